"""Error codes on the wire."""

import pytest

from gamekit.errors import ClientError, GamekitError, Outcome, OutcomeUnknown, Overloaded, ScopeDenied
from gamekit.protocol.codes import ERRORS, StrangeError, error_of, outcome_of


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("overloaded", "retry"), ("outcome_unknown", "unknown"), ("scope_denied", "final"), ("of a later one", "final")],
)
def test_codes_say_whether_to_ask_again(code: str, outcome: str) -> None:
    assert outcome_of(code) == outcome


def test_every_code_means_one_error() -> None:
    assert ERRORS["overloaded"] is Overloaded
    assert ERRORS["outcome_unknown"] is OutcomeUnknown
    assert all(kind.code == code for code, kind in ERRORS.items())


def test_an_error_travels() -> None:
    sent = ScopeDenied("too much", policy="UsageLimitPolicy", limit=3, asked=4)
    got = error_of(sent.code, sent.outcome.value, str(sent), sent.compared)
    assert type(got) is ScopeDenied
    assert (str(got), got.compared) == (str(sent), sent.compared)


def test_compared_values_may_have_any_name() -> None:
    assert error_of("call_reverted", "final", "reverted", {"data": "0x01", "message": 1}).compared["data"] == "0x01"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_strange_codes_keep_their_outcome(outcome: Outcome) -> None:
    got = error_of("of a later version", outcome.value, "text", {"depth": 1})
    assert isinstance(got, StrangeError)
    assert isinstance(got, ClientError)
    assert got.outcome is outcome
    assert got.compared == {"depth": 1, "code": "of a later version"}


def test_a_known_code_with_another_outcome_keeps_the_servers_outcome() -> None:
    got: GamekitError = error_of("scope_denied", "retry", "text", {})
    assert got.outcome is Outcome.RETRY
