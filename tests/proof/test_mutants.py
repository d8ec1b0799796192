import re
from pathlib import Path

import pytest

from gamekit.contracts import build
from tests.proof import found, mutants, run
from tests.proof.decisions import Change, deciding, touched, uncovered
from tests.proof.mutations import EQUIVALENT, MUTATIONS, NAMED, Mutation
from tests.proof.scratch import SUITES
from tests.proof.solidity import validator_sources

AUDITED = {name: text for contract in SUITES for name, text in validator_sources(contract).items()}
"""What decides about operations: the module and the paymaster, and what they import of ours."""
CHANGES = [Change(each.file, each.old) for each in (*MUTATIONS, *EQUIVALENT)]
NOT_YET = {"single-short", "close-silent", "element-padding-cut", "inside-unasked", "zeros-first-byte", "walk-push32"}
"""Written after the last run: `python -m tests.proof.mutants --new --write` plants them."""
SOURCE = """
contract Door {
    // if (open) revert Closed();
    string public constant MOTTO = "require nothing; if (x == y)";

    function enter(uint256 age) external onlyOwner {
        if (age < 18) {
            revert TooYoung(age);
        } else {
            _requireTicket(age);
        }
        for (uint256 i = 0; i < age; ++i) welcome();
        bool old = age >> 6 != 0;
        mask = 1 << age;
        return old && late ? 1 : 2;
    }

    function leave() external {
        assembly ("memory-safe") {
            gone := or(gone, iszero(here))
        }
        left = left + 1;
    }
}
"""


@pytest.mark.parametrize("mutation", [*MUTATIONS, *EQUIVALENT], ids=lambda mutation: mutation.name)
def test_each_stands_in_its_file_once(mutation: Mutation) -> None:
    source = (build.PROJECT / "src" / mutation.file).read_text()
    assert source.count(mutation.old) == 1
    assert mutation.new != mutation.old


def test_there_are_enough_and_each_has_a_name() -> None:
    names = [each.name for each in (*MUTATIONS, *EQUIVALENT)]
    assert len(set(names)) == len(names)
    assert len(MUTATIONS) >= 60
    assert len(NAMED) == 13


def test_what_is_no_bug_says_why() -> None:
    assert not any(mutation.why for mutation in MUTATIONS)
    assert all(len(mutation.why) > 20 and not mutation.always for mutation in EQUIVALENT)


def test_every_line_that_decides_is_changed_by_one() -> None:
    assert {line.file for name in AUDITED for line in deciding(name, AUDITED[name])} >= {
        f"{name}.sol" for name in ("AllowlistLib", "AssetSelectors", "CalldataLib", "GrantLib", "ProxyLib", "TargetLib")
    }
    missing = [f"{line.file}:{line.number}: {line.text}" for line in uncovered(AUDITED, CHANGES)]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("contract", SUITES)
def test_a_new_line_that_decides_is_missed(contract: str) -> None:
    name = f"{contract}.sol"
    before, brace, after = AUDITED[name].rpartition("}")
    line = "    function _f(uint256 a) private pure { if (a == 7) revert(); }\n        if (a == 7) revert();\n"
    assert [missed.text for missed in uncovered(AUDITED | {name: before + line + brace + after}, CHANGES)] == [
        "if (a == 7) revert();"
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("witness-root", "if (hash != list.root) revert ISessionValidator.WitnessInvalid(index, hash, list.root);"),
        ("walk-last", "for {} lt(at, end) { at := add(at, 1) } {"),
    ],
)
def test_without_its_mutation_a_line_is_missed(name: str, line: str) -> None:
    others = [Change(each.file, each.old) for each in (*MUTATIONS, *EQUIVALENT) if each.name != name]
    assert len(others) == len(CHANGES) - 1
    assert [missed.text for missed in uncovered(AUDITED, others)] == [line]


def test_lines_that_decide() -> None:
    assert [line.text for line in deciding("Door.sol", SOURCE)] == [
        "function enter(uint256 age) external onlyOwner {",
        "if (age < 18) {",
        "revert TooYoung(age);",
        "_requireTicket(age);",
        "for (uint256 i = 0; i < age; ++i) welcome();",
        "bool old = age >> 6 != 0;",
        "return old && late ? 1 : 2;",
        "gone := or(gone, iszero(here))",
    ]


def test_a_change_of_several_lines_touches_each() -> None:
    old = "        if (age < 18) {\n            revert TooYoung(age);\n"
    left = uncovered({"Door.sol": SOURCE}, [Change("Door.sol", old)])
    assert "if (age < 18) {" not in {line.text for line in left}
    assert "revert TooYoung(age);" not in {line.text for line in left}
    assert len(left) == len(list(deciding("Door.sol", SOURCE))) - 2
    assert touched(SOURCE, "what never stood there") == touched(SOURCE, "\n") == set()


def test_each_was_planted_as_it_is_and_found() -> None:
    seen = found.read()
    assert not [name for name, by in seen.items() if not by and name in {each.name for each in MUTATIONS}]
    assert {mutation.name for mutation in MUTATIONS} - set(seen) == NOT_YET


def test_what_is_no_bug_was_found_by_nobody() -> None:
    seen = found.read()
    assert not any(seen.get(each.name) for each in EQUIVALENT)


def test_those_who_found_them_are_tests_that_exist() -> None:
    written = "\n".join(path.read_text() for path in (build.PROJECT / "test").rglob("*.sol"))
    names = set(re.findall(r"function ((?:test|invariant)\w*|setUp)\(", written))
    assert {by for by in found.read().values() if by} <= names


def test_the_table_is_what_the_results_make() -> None:
    assert found.TABLE.read_text() == found.table(found.read())


def test_a_changed_bug_loses_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    first = MUTATIONS[0]
    assert first.name in found.read()
    changed = first._replace(new=first.new + " ")
    monkeypatch.setattr(found, "MUTATIONS", (changed, *MUTATIONS[1:]))
    assert first.name not in found.read()


def test_new_results_keep_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(found, "RESULTS", tmp_path / "found.json")
    monkeypatch.setattr(found, "TABLE", tmp_path / "MUTANTS.md")
    found.add({MUTATIONS[0].name: "test_one", MUTATIONS[1].name: "test_two"})
    found.add({MUTATIONS[1].name: "", EQUIVALENT[0].name: "", "no such bug": "test_three"})
    assert found.read() == {MUTATIONS[0].name: "test_one", MUTATIONS[1].name: "", EQUIVALENT[0].name: ""}
    written = found.TABLE.read_text()
    assert f"2 of {len(MUTATIONS)} planted, 1 found." in written
    assert f"| {MUTATIONS[0].name} | {MUTATIONS[0].file} | {MUTATIONS[0].what} | `test_one` |" in written
    assert f"| {MUTATIONS[1].name} | {MUTATIONS[1].file} | {MUTATIONS[1].what} | **nobody** |" in written
    assert written.count("not planted yet") == len(MUTATIONS) - 2


def test_a_sample_has_those_that_every_run_plants() -> None:
    chosen = mutants.sample(20, 7)
    assert chosen[: len(NAMED)] == list(NAMED)
    assert len(set(chosen)) == len(chosen) == 20
    assert mutants.sample(20, 7) == chosen != mutants.sample(20, 8)


def test_the_small_run_plants_three_that_the_commit_chooses(capsys: pytest.CaptureFixture[str]) -> None:
    (part,) = [part for part in run.PARTS if part.name == "mutants"]
    options = mutants._parser().parse_args(part.small)
    chosen = mutants.chosen(options)
    assert len(chosen) == len(NAMED) + 3
    assert f"--seed {mutants.seed_of_commit()}" in capsys.readouterr().err
    assert mutants.sample(16, mutants.seed_of_commit()) == chosen


def test_a_bug_must_be_found_and_what_is_none_must_not() -> None:
    assert mutants.Verdict(MUTATIONS[0], "test_it", 1.0).as_expected()
    assert not mutants.Verdict(MUTATIONS[0], "", 1.0).as_expected()
    assert mutants.Verdict(EQUIVALENT[0], "", 1.0).as_expected()
    assert not mutants.Verdict(EQUIVALENT[0], "test_it", 1.0).as_expected()
