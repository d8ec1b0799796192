import msgspec
import pytest

from gamekit.core import event
from gamekit.core.event import (
    ActionResult,
    AlarmEvent,
    OperationEvent,
    PauseEvent,
    RefusedEvent,
    SessionEvent,
    WithdrawalEvent,
)

RESULTS = (ActionResult(1, "a", "move"), ActionResult(2, "b", "attack", False, "NoStamina()", True))
BODIES = [
    OperationEvent(b"p", "arena", b"h", b"t", 7, b"b", RESULTS, 99),
    RefusedEvent(b"p", "arena", "session_revoked", "it ended", RESULTS),
    SessionEvent(b"p", "arena", "play", b"a", 1800, "lost phone", 7),
    PauseEvent("chain", "why", "olga"),
    AlarmEvent("relayer_poor", "0 wei"),
    WithdrawalEvent(b"h", b"t", 7, True, "send 5 wei"),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_body_is_read_as_it_was_written(body: msgspec.Struct) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(body), type=type(body)) == body


def test_defaults_take_no_room() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(RESULTS[0])) == {"id": 1, "key": "a", "function": "move"}


def test_every_kind_is_another_word() -> None:
    kinds = [value for name, value in vars(event).items() if name.isupper()]
    assert len(kinds) == len(set(kinds)) == 15
