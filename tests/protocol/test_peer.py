"""One connection's state."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gamekit.core.event import OperationEvent
from gamekit.core.journal import Event
from gamekit.protocol.bucket import Bucket
from gamekit.protocol.codec import ClientFrame, encode
from gamekit.protocol.events import EventFrames, Refused
from gamekit.protocol.messages import (
    Acknowledge,
    Act,
    ActionRequest,
    Cancel,
    Hello,
    Ping,
    Pong,
    Resume,
    Revoke,
    TokenLogin,
)
from gamekit.protocol.octets import Octets16, Octets32
from gamekit.protocol.peer import REASON_BYTES_MAX, Close, CloseCode, Peer, PeerLimits, Reply, State, Step
from gamekit.units import Cursor, PlayerId, UnixSeconds

ID = Octets32(b"\x11" * 32)
EPOCH = Octets16(bytes(range(16)))
ENDED = Octets16(b"\x0e" * 16)
LIMITS = PeerLimits(actions_per_frame_max=8, frames_per_s=100, frames_burst=200)
HELLO = Hello(1, TokenLogin("token"))


def act(request: int = 1, count: int = 1, epoch: Octets16 = EPOCH) -> Act:
    return Act(request, ID, epoch, [ActionRequest(f"k{request}-{place}", "attack") for place in range(count)])


def give(peer: Peer, frame: ClientFrame, now: float = 0.0, *, binary: bool = False) -> Step:
    return peer.receive(encode(frame, binary=binary), now, binary=binary)


def new_peer(*, newest: int = 0, resume: Resume | None = None, buckets: tuple[Bucket, ...] = ()) -> Peer:
    peer = Peer(LIMITS)
    give(peer, Hello(1, TokenLogin("token"), resume))
    peer.welcome(EPOCH, Cursor(newest), resume, buckets, {})
    return peer


def event(cursor: int, kind: str = "settled") -> Event:
    body = OperationEvent(ID, "arena", ID, ID, 1, ID, ())
    return Event(Cursor(cursor), kind, PlayerId("alice"), UnixSeconds(1), msgspec.msgpack.encode(body, enc_hook=bytes))


def cursors(frames: list[EventFrames]) -> list[int]:
    return [frame.cursor for frame in frames]


def test_hello_comes_first() -> None:
    peer = Peer(LIMITS)
    assert give(peer, Ping(1)) == Close(CloseCode.VIOLATION, "the first frame is hello, and only that; state is new")
    assert peer.state is State.CLOSING


def test_hello_is_handed_to_the_login() -> None:
    peer = Peer(LIMITS)
    assert give(peer, HELLO) == HELLO
    assert peer.state is State.AUTHENTICATING


@pytest.mark.parametrize("frame", [HELLO, Ping(1), act()])
def test_nothing_is_read_during_the_login(frame: ClientFrame) -> None:
    peer = Peer(LIMITS)
    give(peer, HELLO)
    step = give(peer, frame)
    assert isinstance(step, Close)
    assert step.code is CloseCode.VIOLATION


def test_hello_comes_once() -> None:
    assert give(new_peer(), HELLO) == Close(CloseCode.VIOLATION, "hello comes once")


def test_other_versions_are_refused() -> None:
    step = give(Peer(LIMITS), Hello(2, TokenLogin("t")))
    assert step == Close(CloseCode.VIOLATION, "protocol version is 1, the client asked for 2")


def test_welcome_means_nothing_unless_a_login_is_on_its_way() -> None:
    peer = Peer(LIMITS)
    assert peer.welcome(EPOCH, Cursor(5), None, (), {}) is False
    assert peer.state is State.NEW


@pytest.mark.parametrize("first_binary", [False, True])
def test_the_first_frame_decides_the_encoding(first_binary: bool) -> None:
    peer = Peer(LIMITS)
    give(peer, HELLO, binary=first_binary)
    peer.welcome(EPOCH, Cursor(0), None, (), {})
    assert peer.binary is first_binary
    step = give(peer, Ping(1), binary=not first_binary)
    assert step == Close(CloseCode.VIOLATION, "text and binary frames in one connection")


def test_requests_are_handed_on() -> None:
    peer = new_peer()
    for frame in (act(1), Cancel(2, ID, "k"), Revoke(3, ID)):
        assert give(peer, frame) == frame


def test_ping_is_answered() -> None:
    assert give(new_peer(), Ping(7)) == Reply(Pong(7))


def test_request_ids_grow() -> None:
    peer = new_peer()
    give(peer, Ping(7))
    assert give(peer, act(7)) == Close(CloseCode.VIOLATION, "request ids grow: 7 after 7")


def test_actions_of_a_frame_are_bounded() -> None:
    assert isinstance(give(new_peer(), act(count=8)), Act)
    assert give(new_peer(), act(count=9)) == Close(CloseCode.VIOLATION, "9 actions in a frame, at most 8")


def test_too_many_actions_are_refused_with_a_time() -> None:
    peer = new_peer(buckets=(Bucket(8, 8), Bucket(1000, 1000)))
    assert isinstance(give(peer, act(1, 8)), Act)
    step = give(peer, act(2, 2))
    assert isinstance(step, Reply)
    assert isinstance(step.frame, Refused)
    assert [each.code for each in step.frame.actions] == ["overloaded"] * 2
    assert step.frame.actions[0].outcome == "retry"
    assert step.frame.actions[0].compared == {"queue": "rate", "retry_after_ms": 250}
    assert isinstance(give(peer, act(3, 2), now=0.25), Act)


def test_sockets_of_one_player_share_a_bucket() -> None:
    shared = Bucket(10, 8)
    first, second = new_peer(buckets=(shared,)), new_peer(buckets=(shared,))
    assert isinstance(give(first, act(1, 8)), Act)
    assert isinstance(give(second, act(1, 1)), Reply)


def test_a_flood_of_frames_closes() -> None:
    peer = new_peer()
    steps = [give(peer, Ping(place)) for place in range(1, 201)]
    flood = Close(CloseCode.TOO_MANY_FRAMES, "more than 100 frames per second")
    assert [step for step in steps if isinstance(step, Close)] == [flood]
    assert steps[-1] == flood, "hello was the first of the 200 that the burst allows"


def test_closing_ignores_everything() -> None:
    peer = new_peer()
    assert peer.close(CloseCode.RESTART, "bye") == Close(CloseCode.RESTART, "bye")
    assert peer.close(CloseCode.NORMAL, "again") is None
    assert give(peer, act()) is None
    assert peer.live([event(1)]) == []


def test_reasons_fit_a_close_frame() -> None:
    closing = Peer(LIMITS).close(CloseCode.NORMAL, "ж" * 200)
    assert closing is not None
    assert len(closing.reason.encode()) == REASON_BYTES_MAX


def test_events_leave_once_and_in_order() -> None:
    peer = new_peer(newest=3)
    assert cursors(peer.live([event(4), event(6)])) == [4, 6]
    assert cursors(peer.live([event(6), event(7)])) == [7]
    assert peer.sent == 7


def test_events_that_are_not_for_players_move_the_cursor_only() -> None:
    peer = new_peer()
    assert peer.live([event(4, "alarm")]) == []
    assert peer.sent == 4


def test_without_a_cursor_only_new_events_follow() -> None:
    peer = new_peer(newest=9)
    assert (peer.sent, peer.behind) == (9, False)


@pytest.mark.parametrize(
    ("resume", "resumed", "sent"),
    [
        (Resume(EPOCH, 4), True, 4),
        (Resume(EPOCH, 9), True, 9),
        (Resume(EPOCH, 10), False, 9),
        (Resume(Octets16(bytes(16)), 4), False, 9),
        (Resume(ENDED, 4), True, 4),
        (Resume(ENDED, 8), True, 6),  # the copy that was restored ends at 6
        (None, False, 9),
    ],
)
def test_resume(resume: Resume | None, resumed: bool, sent: int) -> None:
    peer = Peer(LIMITS)
    give(peer, Hello(1, TokenLogin("t"), resume))
    assert peer.welcome(EPOCH, Cursor(9), resume, (), {bytes(ENDED): Cursor(6)}) is resumed
    assert (peer.sent, peer.behind) == (sent, sent < 9)


def test_catching_up_page_by_page() -> None:
    peer = new_peer(newest=5, resume=Resume(EPOCH, 1))
    assert cursors(peer.page([event(2), event(3)], limit=2)) == [2, 3]
    assert peer.behind
    assert cursors(peer.page([event(5)], limit=2)) == [5]
    assert cursors(peer.live([event(6)])) == [6], "and now they come as they happen"


def test_live_events_wait_until_caught_up() -> None:
    peer = new_peer(newest=5, resume=Resume(EPOCH, 1))
    assert peer.live([event(6)]) == []
    assert cursors(peer.page([event(5)], limit=2)) == [5]
    assert peer.behind, "6 happened after the page was read"
    assert cursors(peer.page([event(6)], limit=2)) == [6]
    assert not peer.behind


def test_catching_up_ends_even_if_the_journal_lacks_what_was_announced() -> None:
    peer = new_peer(newest=5, resume=Resume(EPOCH, 1))
    peer.live([event(6)])
    peer.page([], limit=2)
    peer.page([], limit=2)
    assert not peer.behind


def test_acknowledging_what_was_sent() -> None:
    peer = new_peer(newest=3)
    peer.live([event(5)])
    assert give(peer, Acknowledge(5)) is None
    assert give(peer, Acknowledge(4)) is None
    assert peer.acknowledged == 5
    assert give(peer, Acknowledge(6)) == Close(CloseCode.VIOLATION, "acknowledged cursor 6, sent only 5")


def test_repr_is_the_state_in_words() -> None:
    assert repr(new_peer(newest=3)) == "<Peer authenticated sent=3 acknowledged=3>"


FRAMES = st.sampled_from(
    [
        encode(frame, binary=binary)
        for binary in (False, True)
        for frame in (HELLO, act(1), act(2, 9), Ping(3), Acknowledge(1), Revoke(4, ID), Cancel(5, ID, "k"))
    ]
)


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("bytes"), st.one_of(st.binary(max_size=80), FRAMES), st.booleans()),
            st.tuples(st.just("welcome"), st.integers(0, 5), st.booleans()),
            st.tuples(st.just("live"), st.integers(1, 9), st.booleans()),
            st.tuples(st.just("page"), st.integers(1, 9), st.booleans()),
        ),
        max_size=30,
    )
)
def test_any_bytes_leave_a_legal_state(steps: list[tuple[str, bytes | int, bool]]) -> None:
    peer = Peer(LIMITS)
    closed = 0
    last = 0
    for name, value, flag in steps:
        before = peer.state
        if name == "bytes" and isinstance(value, bytes):
            closed += isinstance(peer.receive(value, 0.0, binary=flag), Close)
        elif isinstance(value, int):
            frames = []
            if name == "welcome":
                peer.welcome(EPOCH, Cursor(value), None, (), {})
                last = max(last, peer.sent)
            else:
                frames = peer.live([event(value)]) if name == "live" else peer.page([event(value)], 1)
            for frame in frames:
                assert frame.cursor > last, "each event once, in order"
                last = frame.cursor
        legal = {
            State.NEW: {State.NEW, State.AUTHENTICATING, State.CLOSING},
            State.AUTHENTICATING: {State.AUTHENTICATING, State.AUTHENTICATED, State.CLOSING},
            State.AUTHENTICATED: {State.AUTHENTICATED, State.CLOSING},
            State.CLOSING: {State.CLOSING},
        }
        assert peer.state in legal[before]
        assert peer.acknowledged <= peer.sent
    assert closed == (peer.state is State.CLOSING)
