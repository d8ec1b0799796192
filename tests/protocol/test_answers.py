"""From results to answers."""

from enum import Enum

import pytest

from gamekit.errors import ActionInvalid, OutcomeUnknown, Overloaded, ScopeDenied, StoreUnavailable
from gamekit.protocol.answers import answer_act, plain, refuse_all, refused_action, request_failed
from gamekit.protocol.codec import decode_server, encode
from gamekit.protocol.events import Refused
from gamekit.protocol.messages import Accepted, Act, ActionRequest
from gamekit.protocol.octets import Octets16, Octets32

EPOCH = bytes(16)
ACT = Act(5, Octets32(b"\x11" * 32), Octets16(EPOCH), [ActionRequest(key, "attack") for key in "abc"])


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("text", "text"),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**256), str(-(2**256))),
        (b"\x01\xff", "0x01ff"),
        ((1, b"\x02"), [1, "0x02"]),
        ({1: {b"a"}}, {"1": ["0x61"]}),
        (Colour.RED, "Colour.RED"),
    ],
)
def test_compared_values_fit_both_encodings(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_all_accepted_is_one_frame() -> None:
    (frame,) = answer_act(ACT, EPOCH, [("a", 1), ("b", 2), ("c", 3)])
    assert isinstance(frame, Accepted)
    assert (frame.id, frame.journal_epoch) == (5, EPOCH)
    assert [(each.key, each.action_id) for each in frame.actions] == [("a", 1), ("b", 2), ("c", 3)]


def test_some_refused_is_two_frames() -> None:
    accepted, refused = answer_act(ACT, EPOCH, [("a", 1), ScopeDenied("no", policy="Call", asked=2**70), ("c", 3)])
    assert isinstance(accepted, Accepted)
    assert isinstance(refused, Refused)
    assert [each.key for each in accepted.actions] == ["a", "c"]
    (action,) = refused.actions
    assert (refused.id, refused.cursor) == (5, 0)
    assert (action.key, action.code, action.outcome, action.message) == ("b", "scope_denied", "final", "no")
    assert action.compared == {"policy": "Call", "asked": str(2**70)}
    for binary in (False, True):
        assert decode_server(encode(refused, binary=binary), binary=binary) == refused


def test_all_refused_is_one_frame() -> None:
    (frame,) = answer_act(ACT, EPOCH, [ActionInvalid("no")] * 3)
    assert frame == refuse_all(ACT, ActionInvalid("no"))


def test_our_own_errors_tell_code_and_outcome_only() -> None:
    action = refused_action("k", StoreUnavailable("disk full: journal.sqlite", path="journal.sqlite"))
    assert (action.code, action.outcome) == ("store_unavailable", "retry")
    assert "sqlite" not in action.message
    assert action.compared == {}
    assert "resolves itself" in refused_action("k", OutcomeUnknown("x")).message


def test_a_request_fails_as_a_whole() -> None:
    frame = request_failed(8, Overloaded("full", queue="lane", depth=1, depth_max=1))
    assert (frame.id, frame.code, frame.outcome, frame.message) == (8, "overloaded", "retry", "full")
    assert frame.compared == {"queue": "lane", "depth": 1, "depth_max": 1}
