"""The campaign's own judgement: what is a breach, what was never seen, and that each plant fits the source."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.proof import invariants
from tests.proof.invariants import Campaign, RunFailed, Verdict
from tests.proof.plants import PLANTS, Plant, PlantUnknown, plant_named
from tests.proof.solidity import planted_sources, validator_sources
from tests.proof.suites import CHECKS, PAYMASTER, SPONSOR_CHECKS, SUITES, VALIDATOR


def forge_says(status: str, reason: str | None, sequence: object = None) -> str:
    """The answer of `forge test --json` after five calls."""
    metrics = {"Handler.play": {"calls": 2, "reverts": 0}, "Handler.steal": {"calls": 3, "reverts": 0}}
    kind = {"Invariant": {"runs": 1, "calls": 5, "reverts": 0, "metrics": metrics}}
    result = {"status": status, "reason": reason, "counterexample": sequence, "kind": kind}
    return json.dumps({"suite": {"test_results": {"invariant_noHarm()": result}}})


def test_verdict_held() -> None:
    assert invariants.verdict_of(forge_says("Success", None), 7) == Verdict(7, 5, None, [])


def test_verdict_breach() -> None:
    steps = {"Sequence": [1, [{"func_name": "steal", "args": "12"}]]}
    verdict = invariants.verdict_of(forge_says("Failure", "assertion failed: uses != ", steps), 7)
    assert verdict == Verdict(7, 5, "uses", ["steal(12)"])


@pytest.mark.parametrize("answer", ["", "Error: it did not compile", "{}", '{"suite":{"test_results":{}}}'])
def test_no_verdict_is_no_success(answer: str) -> None:
    with pytest.raises(RunFailed):
        invariants.verdict_of(answer, 7)


@pytest.mark.parametrize(
    ("breach", "found"),
    [
        ("uses", True),
        (None, False),
        ("share of operations that are accepted: 12 < 20", False),
        ("a good operation was refused: AA24 signature error", False),
        ("failed to set up invariant testing environment", False),
    ],
)
def test_a_hole_is_found_by_harm_only(breach: str | None, found: bool) -> None:
    assert invariants.is_found(Verdict(1, 10, breach, [])) is found


def test_a_long_campaign_must_have_seen_everything() -> None:
    for suite in SUITES.values():
        counts = Counter(dict.fromkeys(suite.expected, 1))
        verdict = Verdict(1, invariants.COVERED_CALLS[suite.name], None, [])
        campaign = Campaign(1, 1.0, [verdict], suite, counts=counts)
        assert campaign.missing == []
        name = suite.expected[-1]
        del campaign.counts[name]
        assert campaign.missing == [name]


def test_nothing_is_asked_of_a_short_campaign() -> None:
    assert Campaign(1, 1.0, [Verdict(1, 1000, None, [])]).missing == []


def test_errors_are_named() -> None:
    names = invariants.error_names()
    assert {*CHECKS, *SPONSOR_CHECKS} <= set(names.values())
    code = next(code for code, name in names.items() if name == "UsesExceeded")
    assert invariants.named(f"refused: AA23 {code}", names) == "refused: UsesExceeded"
    assert invariants.named("refused: AA24 signature error", names) == "refused: AA24 signature error"
    code = next(code for code, name in names.items() if name == "SessionNotCharged")
    assert invariants.named(f"refused: AA33 {code}", names) == "refused: SessionNotCharged"


def test_both_entry_points_get_their_share() -> None:
    told = [invariants.command(PAYMASTER, job, 1)[5] for job in range(4)]
    assert told == ["^PaymasterInvariant07Test$", "^PaymasterInvariant08Test$"] * 2
    assert invariants.command(VALIDATOR, 3, 1)[5] == "^SessionValidatorInvariants$"


def test_holes_of_the_paymaster_have_the_numbers_that_solidity_gives_them() -> None:
    assert invariants.plants_of(PAYMASTER)[0] == "Uncharged"
    planted = invariants._planted(PAYMASTER, "NotCounted", Path())
    assert planted == {"INVARIANT_HOLE": "6"}
    assert len(invariants.plants_of(PAYMASTER)) == 6
    assert len(invariants.plants_of(VALIDATOR)) == len(PLANTS)


def test_plants_have_names_of_their_own() -> None:
    assert len({plant.name for plant in PLANTS}) == len(PLANTS) >= 12


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_plant_fits_the_source(plant: Plant) -> None:
    real = validator_sources()
    planted = planted_sources(plant.edits)
    assert {path for path in real if planted[path] != real[path]} == {path for path, _, _ in plant.edits}


def test_plant_unknown() -> None:
    with pytest.raises(PlantUnknown):
        plant_named("no such hole")
