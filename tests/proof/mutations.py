"""The bugs that `mutants.py` plants, read from `mutations.toml`."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple


class Mutation(NamedTuple):
    """One bug."""

    name: str
    file: str
    """Under src/."""
    old: str
    """Stands there exactly once."""
    new: str
    what: str
    """What the contract would do then."""
    always: bool = False
    """Whether every run plants it."""
    why: str = ""
    """Of an equivalent one: why nobody can tell it from the real source."""

    def digest(self) -> str:
        """Name what is changed and into what, so that a result is not taken for another bug's."""
        parts = f"{self.file}\0{self.old}\0{self.new}"
        return hashlib.sha256(parts.encode()).hexdigest()[:12]


_WRITTEN: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("mutations.toml").read_text())
MUTATIONS: Final = tuple(Mutation(**written) for written in _WRITTEN["mutation"])
"""Each must be found."""
NAMED: Final = tuple(mutation for mutation in MUTATIONS if mutation.always)
EQUIVALENT: Final = tuple(Mutation(**written) for written in _WRITTEN.get("equivalent", ()))
"""None can be found: they are no bugs."""
