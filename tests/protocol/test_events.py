"""From journal rows to event frames."""

import msgspec
import pytest

from gamekit.core import event as kinds
from gamekit.core.event import ActionResult, AlarmEvent, OperationEvent, PauseEvent, RefusedEvent, SessionEvent
from gamekit.core.journal import Event
from gamekit.protocol import events
from gamekit.protocol.codec import decode_server, encode
from gamekit.protocol.events import frame_of
from gamekit.units import Cursor, PlayerId, UnixSeconds

ID, OPERATION, TRANSACTION, ACCOUNT = b"\x11" * 32, b"\x22" * 32, b"\x33" * 32, b"\x44" * 20


def row(kind: str, body: object) -> Event:
    return Event(Cursor(9), kind, PlayerId("alice"), UnixSeconds(1000), msgspec.msgpack.encode(body))


def operation() -> OperationEvent:
    results = (ActionResult(1, "a", "attack"), ActionResult(2, "b", "craft", ok=False, error="NoGold(3)"))
    return OperationEvent(ID, "arena", OPERATION, TRANSACTION, 7, b"\x55" * 32, results, gas_cost_gwei=10**6)


def session(at_block: int = 0) -> SessionEvent:
    return SessionEvent(ID, "arena", "play_match", ACCOUNT, 2000, "owner", at_block)


def test_settled_says_each_outcome() -> None:
    frame = frame_of(row(kinds.SETTLED, operation()))
    assert isinstance(frame, events.Settled)
    assert (frame.cursor, frame.at, frame.block_number) == (9, 1000, 7)
    assert (frame.permission_id, frame.user_op_hash, frame.transaction_hash) == (ID, OPERATION, TRANSACTION)
    assert [(each.key, each.action_id, each.ok, each.error) for each in frame.actions] == [
        ("a", 1, True, ""),
        ("b", 2, False, "NoGold(3)"),
    ]


def test_reorged_and_final_name_the_keys() -> None:
    undone = frame_of(row(kinds.REORGED, operation()))
    final = frame_of(row(kinds.FINAL, operation()))
    assert isinstance(undone, events.Reorged)
    assert isinstance(final, events.Finalized)
    assert undone.keys == final.keys == ["a", "b"]


def test_refused_says_whether_to_ask_again() -> None:
    body = RefusedEvent(ID, "arena", "action_expired", "past its not_after", (ActionResult(3, "c", "move", ok=False),))
    frame = frame_of(row(kinds.REFUSED, body))
    assert isinstance(frame, events.Refused)
    assert frame.id == 0
    (action,) = frame.actions
    assert (action.key, action.action_id, action.code, action.outcome, action.message) == (
        "c",
        3,
        "action_expired",
        "final",
        "past its not_after",
    )


@pytest.mark.parametrize(
    ("kind", "frame_type"),
    [
        (kinds.SESSION_OPENED, events.SessionOpened),
        (kinds.SESSION_LAPSED, events.SessionLapsed),
        (kinds.SESSION_EXPIRING, events.SessionExpiring),
        (kinds.SESSION_EXPIRED, events.SessionExpired),
        (kinds.SESSION_REVOKED, events.SessionRevoked),
    ],
)
def test_session_events_are_named_as_in_the_journal(kind: str, frame_type: type[events.SessionFrame]) -> None:
    frame = frame_of(row(kind, session()))
    assert isinstance(frame, frame_type)
    assert frame.__struct_config__.tag == kind
    assert (frame.permission_id, frame.unit, frame.account, frame.valid_until) == (ID, "play_match", ACCOUNT, 2000)


def test_revoked_is_said_twice() -> None:
    first, second = frame_of(row(kinds.SESSION_REVOKED, session())), frame_of(row(kinds.SESSION_REVOKED, session(5)))
    assert isinstance(first, events.SessionRevoked)
    assert isinstance(second, events.SessionRevoked)
    assert (first.on_chain, second.on_chain) == (False, True)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (kinds.ALARM, AlarmEvent("funds", "relayer 1")),
        (kinds.PAUSED, PauseEvent("game:arena", "code changed", "watch")),
        (kinds.WITHDRAWAL_SETTLED, {}),
        ("of a later version", {}),
    ],
)
def test_other_kinds_are_not_for_players(kind: str, body: object) -> None:
    assert frame_of(row(kind, body)) is None


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("kind", [kinds.SETTLED, kinds.REORGED, kinds.FINAL, kinds.SESSION_REVOKED])
def test_frames_travel(kind: str, binary: bool) -> None:
    frame = frame_of(row(kind, session() if kind == kinds.SESSION_REVOKED else operation()))
    assert frame is not None
    assert decode_server(encode(frame, binary=binary), binary=binary) == frame
