"""The runner of the symbolic proofs; the proofs themselves run in `python -m tests.proof.symbolic`."""

import re
from typing import Any

import pytest

from tests.proof.properties import PROPERTIES
from tests.proof.solidity import planted_sources, validator_sources
from tests.proof.symbolic import PROOFS, Row, jobs_of, summary, verdict_of


def report(**changed: Any) -> dict[str, Any]:
    """Give Halmos's report on one proof that passed, with some fields changed."""
    result = {"exitcode": 0, "num_paths": [7, 3, 0], "num_bounded_loops": 0} | changed
    return {"test_results": {"test/proof/Calls.t.sol:CallsProof": [result]}}


def test_holes_default() -> None:
    sources = validator_sources()
    for proof in PROPERTIES:
        for hole in proof.holes:
            assert planted_sources(hole.edits) != sources, hole.name


def test_holes_error_text_gone() -> None:
    with pytest.raises(AssertionError, match="holds 0 times"):
        planted_sources([("SessionValidator.sol", "what never stood there", "")])


def test_properties_every_proof_is_listed() -> None:
    written = set()
    for path in PROOFS.glob("*.t.sol"):
        text = path.read_text()
        (contract,) = re.findall(r"^contract (\w+Proof) is", text, re.MULTILINE)
        written |= {(contract, check) for check in re.findall(r"function check_(\w+)\(", text)}
    assert written == {(proof.contract, proof.check) for proof in PROPERTIES}


def test_properties_every_proof_has_a_twin() -> None:
    assert all(proof.holes for proof in PROPERTIES)


def test_properties_runs_apart_leave_no_number_of_words_out() -> None:
    text = (PROOFS / "Calls.t.sol").read_text()
    apart = [proof for proof in PROPERTIES if proof.apart]
    assert [proof.check for proof in apart] == ["batch_3", "batch_4"]
    for proof in apart:
        bounds = re.search(rf"function check_{proof.check}\(\) external {{\s*_batch\(\d, (\d+), (\d+)\);", text)
        assert bounds is not None
        assert sorted(proof.apart) == list(range(int(bounds[1]), int(bounds[2]) + 1))


def test_jobs_of_apart() -> None:
    (proof,) = (proof for proof in PROPERTIES if proof.check == "batch_3")
    *runs, reached, planted = jobs_of([proof], all_holes=False)
    assert [run.variables["PROOF_WORDS"] for run in runs] == [str(words) for words in range(20, 1, -1)]
    assert reached.variables == {"PROOF_REACH": "true", "PROOF_WORDS": "20"}
    assert planted.variables == {"PROOF_WORDS": "20"}


def test_jobs_of_default() -> None:
    proof = PROPERTIES[0]
    jobs = jobs_of([proof], all_holes=False)
    assert [(job.hole, job.reach) for job in jobs] == [(None, False), (None, True), (proof.holes[0], False)]


def test_jobs_of_args_all_holes() -> None:
    jobs = jobs_of(PROPERTIES, all_holes=True)
    assert [job.hole for job in jobs if job.hole] == [hole for proof in PROPERTIES for hole in proof.holes]


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "proven"),
        ({"exitcode": 1}, "counterexample"),
        ({"exitcode": 2}, "timeout"),
        ({"exitcode": 4}, "every path reverts"),
        ({"exitcode": 5, "num_paths": None}, "error"),
        ({"num_bounded_loops": 1}, "loops were cut short"),
        ({"num_paths": [7, 3, 2]}, "2 paths were given up"),
    ],
)
def test_verdict_of_default(changed: dict[str, Any], verdict: str) -> None:
    assert verdict_of(report(**changed))[0] == verdict


def test_verdict_of_behavior_nothing_was_run() -> None:
    assert verdict_of({"test_results": {}})[0] == "0 proofs were run"


def test_summary_counts_what_failed() -> None:
    rows = [
        Row("a", "", "proven", "proven", 7, 1.0, ""),
        Row("a with “b”", "", "counterexample", "proven", 7, 1.0, ""),
    ]
    figures = summary(rows, 2.0)
    assert (figures["proofs"], figures["twins"], figures["failed"], figures["paths"]) == (1, 1, 1, 7)
