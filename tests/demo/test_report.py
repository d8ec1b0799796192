"""The report says what the issue asks for, and is clean only when nothing went wrong."""

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import pytest

from gamekit.demo.audit import Verdict
from gamekit.demo.report import Figures, is_clean, report, summary
from gamekit.demo.thief import Trial

CLIENTS: dict[str, Any] = {
    "offered": 10,
    "turned_away": 0,
    "open": 0,
    "unanswered": 0,
    "offered_per_s": 5.0,
    "actions_per_s": 4.0,
    "accept_ms_p50": 1.0,
    "accept_ms_p99": 2.0,
    "settle_ms_p50": 3.0,
    "settle_ms_p99": 4.0,
    "reconnects": 0,
    "reasons": {},
}
GOOD = Trial("nexus 0.7", "x", "AA24", "AA24", "AA24", "0x01", "executed", "executed")
ASKED_FOR = {
    *("players", "accepted", "settled_ok", "settled_reverted", "refused", "lost", "duplicated"),
    *("offered_per_s", "actions_per_s", "accept_ms_p50", "accept_ms_p99", "settle_ms_p50", "settle_ms_p99"),
    *("gas_per_action", "calls_per_operation", "operations_per_bundle"),
    *("escapes_tried", "escapes_refused_on_chain", "twins_passed"),
}


def written(trials: list[Trial], clients: Mapping[str, int] = MappingProxyType({}), **verdict: int) -> dict[str, Any]:
    audited = Verdict(accepted=10, executed=10, executed_ok=9, reverted=1, operations=2, bundles=1, gas_used=1000)
    for name, value in verdict.items():
        setattr(audited, name, value)
    return report(Figures(2, 1.0), {**CLIENTS, **clients}, asdict(audited), trials)


def test_report_default() -> None:
    found = written([GOOD])
    assert set(found) >= ASKED_FOR
    assert (found["gas_per_action"], found["calls_per_operation"], found["operations_per_bundle"]) == (100, 5.0, 2.0)
    assert (found["escapes_tried"], found["escapes_refused_on_chain"], found["twins_passed"]) == (1, 1, 1)
    assert is_clean(found, has_thief=True)
    assert "1 of 1 escapes refused by the chain" in summary(found, [GOOD])


@pytest.mark.parametrize(
    "wrong", ["lost", "duplicated", "unaccepted", "misreported", "out_of_order", "unfounded", "counter_mismatches"]
)
def test_is_clean_error(wrong: str) -> None:
    assert not is_clean(written([GOOD], {}, **{wrong: 1}), has_thief=True)


@pytest.mark.parametrize("name", ["open", "unanswered"])
def test_is_clean_error_a_client_was_told_nothing(name: str) -> None:
    assert not is_clean(written([GOOD], {name: 1}), has_thief=True)


@pytest.mark.parametrize(
    "odd",
    [
        Trial("nexus 0.7", "x", "AA24", "executed", "AA24", "0x01", "executed", "executed"),
        Trial("nexus 0.7", "x", "AA24", "AA24", "AA23", "0x01", "executed", "executed"),
        Trial("nexus 0.7", "x", "AA24", "AA24", "AA24", "0x01", "AA25", ""),
    ],
)
def test_is_clean_error_an_escape_or_a_vacuous_refusal(odd: Trial) -> None:
    found = written([GOOD, odd])
    assert not is_clean(found, has_thief=True)
    assert "x" in summary(found, [GOOD, odd])


def test_is_clean_args_without_a_thief() -> None:
    assert is_clean(written([]), has_thief=False)
    assert not is_clean(written([]), has_thief=True)
