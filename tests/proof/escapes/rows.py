"""All rows, in the order of the cases."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final

from tests.proof.escapes import family_calls
from tests.proof.escapes.model import Row

ACCOUNTS: Final = ("reference 0.7", "reference 0.8", "nexus 0.7")
"""Every account type and EntryPoint; one line each."""
FAMILIES: Sequence[Callable[[], Iterator[Row]]] = (family_calls.rows,)


@cache
def all_rows() -> tuple[Row, ...]:
    """Every row, each with a name of its own."""
    found = sorted((row for family in FAMILIES for row in family()), key=lambda row: row.case)
    names = [row.id for row in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return tuple(found)
