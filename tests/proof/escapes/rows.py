"""All rows, in the order of the cases."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from tests.proof.escapes import (
    family_approvals,
    family_arguments,
    family_authority,
    family_bindings,
    family_calls,
    family_delegation,
    family_enabling,
    family_encodings,
    family_games,
    family_gas,
    family_grants,
    family_lists,
    family_lives,
    family_manifest,
    family_modes,
    family_scopes,
    family_signatures,
    family_sponsored,
    family_times,
)
from tests.proof.escapes.model import Row

FAMILIES: Sequence[Callable[[], Iterator[Row]]] = (
    family_calls.rows,
    family_approvals.rows,
    family_modes.rows,
    family_encodings.rows,
    family_arguments.rows,
    family_bindings.rows,
    family_signatures.rows,
    family_gas.rows,
    family_sponsored.rows,
    family_times.rows,
    family_grants.rows,
    family_enabling.rows,
    family_scopes.rows,
    family_lives.rows,
    family_lists.rows,
    family_authority.rows,
    family_games.rows,
    family_delegation.rows,
    family_manifest.rows,
)


@cache
def all_rows() -> tuple[Row, ...]:
    """Every row, each with a name of its own."""
    found = sorted((row for family in FAMILIES for row in family()), key=lambda row: row.case)
    names = [row.id for row in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return tuple(found)
