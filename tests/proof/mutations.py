"""The bugs that `mutants.py` plants, read from `mutations.toml`."""

import tomllib
from pathlib import Path
from typing import Final, NamedTuple


class Mutation(NamedTuple):
    """One bug."""

    name: str
    file: str
    """Under src/."""
    old: str
    """Stands there exactly once."""
    new: str
    what: str
    """What the module would do then."""
    always: bool = False
    """Whether every run plants it."""


MUTATIONS: Final = tuple(
    Mutation(**written) for written in tomllib.loads(Path(__file__).with_name("mutations.toml").read_text())["mutation"]
)
NAMED: Final = tuple(mutation for mutation in MUTATIONS if mutation.always)
