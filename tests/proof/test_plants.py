"""The escape suite can fail: a session validator with a hole is found, by exactly the rows that the hole opens."""

import pytest

from tests.proof.escapes.plants import PLANTS
from tests.proof.escapes.rows import all_rows
from tests.proof.escapes.suite import HUNTED_ON, run_suite
from tests.proof.solidity import planted_sources, validator_sources

EVERY = 12
"""Beside the rows that a hole opens, so many rows apart others are run, which must not notice it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
async def test_hole_is_found(name: str) -> None:
    hole = PLANTS[name]
    told = {*hole.accepted, *hole.failed}
    rows = [row for place, row in enumerate(all_rows()) if row.id in told or place % EVERY == 0]
    assert told <= {row.id for row in rows}, "a row that the hole opens is no more"
    results = await run_suite([HUNTED_ON], rows, name)
    assert {each.id for each in results if each.verdict == "accepted"} == set(hole.accepted)
    assert {each.id for each in results if each.verdict == "failed"} == set(hole.failed)
    assert hole.accepted


@pytest.mark.parametrize("name", PLANTS)
def test_hole_is_an_exact_text_of_the_source(name: str) -> None:
    hole = PLANTS[name]
    planted, real = planted_sources(hole.replacements, hole.contract), validator_sources(hole.contract)
    assert sum(planted[file] != real[file] for file in real) == len({each[0] for each in hole.replacements})
