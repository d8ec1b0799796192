import re

import pytest

from gamekit.contracts import build
from tests.proof import mutants
from tests.proof.mutations import MUTATIONS, NAMED, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_stands_in_its_file_once(mutation: Mutation) -> None:
    source = (build.PROJECT / "src" / mutation.file).read_text()
    assert source.count(mutation.old) == 1
    assert mutation.new != mutation.old


def test_there_are_enough_and_each_has_a_name() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 60


def test_the_table_says_who_found_what_was_planted() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| (\w+\.sol) \| .* \| `(test\w+)` \|$", mutants.TABLE.read_text(), re.MULTILINE)
    assert len(rows) >= 60
    assert {row[:2] for row in rows} <= {(mutation.name, mutation.file) for mutation in MUTATIONS}
    assert {mutation.name for mutation in NAMED} <= {row[0] for row in rows}


def test_a_sample_has_those_that_every_run_plants() -> None:
    chosen = mutants.sample(20, 7)
    assert chosen[: len(NAMED)] == list(NAMED)
    assert len(set(chosen)) == len(chosen) == 20
    assert mutants.sample(20, 7) == chosen != mutants.sample(20, 8)


def test_a_survivor_is_told_in_the_table() -> None:
    assert "**nobody**" in mutants.table({MUTATIONS[0].name: ""})
