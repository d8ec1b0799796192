"""One socket, end to end over loopback."""

import asyncio

import pytest
from aiohttp import WSMsgType

from gamekit.errors import Overloaded, SessionNotFound, StoreUnavailable
from gamekit.gateway.backend import Accepted as Known
from gamekit.protocol.codec import ServerFrame
from gamekit.protocol.events import Finalized, Refused, Reorged, SessionRevoked, Settled
from gamekit.protocol.messages import (
    Accepted,
    AccountRequest,
    Acknowledge,
    Act,
    Cancel,
    Done,
    Error,
    Hello,
    Open,
    Ping,
    Pong,
    Propose,
    Proposed,
    Resume,
    Revoke,
    TicketLogin,
    TokenLogin,
)
from gamekit.protocol.octets import Octets16, Octets20, Octets32, SignatureOctets
from gamekit.protocol.peer import CloseCode
from gamekit.units import ActionId, Cursor, PlayerId
from tests.gateway.conftest import World, until
from tests.gateway.memory import ACCOUNT, ALICE, EPOCH, PERMISSION, refused_event, session_event

ID = Octets32(PERMISSION)


def keys(frame: ServerFrame) -> list[str]:
    assert isinstance(frame, Accepted | Refused | Settled)
    return [action.key for action in frame.actions]


@pytest.mark.parametrize("binary", [False, True])
async def test_welcome_says_who_and_what(world: World, binary: bool) -> None:
    await world.start()
    world.backend.settle("old")
    welcome = await (await world.connect(binary=binary)).login()
    assert (welcome.version, welcome.player, welcome.journal_epoch) == (1, "alice", EPOCH)
    assert (welcome.cursor, welcome.resumed, welcome.chain_id) == (1, False, 31337)
    (session,) = welcome.sessions
    assert (session.permission_id, session.account, session.functions) == (ID, Octets20(ACCOUNT), ("attack", "move"))
    assert (welcome.limits.actions_per_frame_max, welcome.limits.frame_bytes_max) == (64, 16384)
    assert welcome.ticket_until == int(world.wall.now + 12 * 3600)


@pytest.mark.parametrize("binary", [False, True])
async def test_accepted_then_settled_then_final(world: World, binary: bool) -> None:
    await world.start()
    socket = await world.player(binary=binary)
    await socket.send(socket.act("a", "b"))
    accepted = await socket.receive()
    assert isinstance(accepted, Accepted)
    assert [(each.key, each.action_id) for each in accepted.actions] == [("a", 1), ("b", 2)]
    assert (accepted.id, accepted.permission_id, accepted.journal_epoch) == (1, ID, Octets16(EPOCH))
    world.backend.settle("a", "b")
    settled = await socket.receive()
    assert isinstance(settled, Settled)
    assert [(each.key, each.ok) for each in settled.actions] == [("a", True), ("b", True)]
    world.backend.settle("a", "b", kind="reorged")
    assert isinstance(await socket.receive(), Reorged)
    world.backend.settle("a", "b", kind="final")
    assert isinstance(await socket.receive(), Finalized)


async def test_a_reverted_call_has_its_error(world: World) -> None:
    await world.start()
    socket = await world.player()
    world.backend.settle("a", error="NotEnoughGold(3, 5)")
    settled = await socket.receive()
    assert isinstance(settled, Settled)
    assert [(each.ok, each.error) for each in settled.actions] == [(False, "NotEnoughGold(3, 5)")]


async def test_same_key_same_answer(world: World) -> None:
    await world.start()
    socket = await world.player()
    await socket.send(socket.act("a"))
    first = await socket.receive()
    await socket.send(socket.act("a"))
    second = await socket.receive()
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert first.actions == second.actions
    await socket.send(socket.act("a", function="move"))
    refused = await socket.receive()
    assert isinstance(refused, Refused)
    assert refused.actions[0].code == "idempotency_conflict"


async def test_some_accepted_some_refused(world: World) -> None:
    await world.start()
    socket = await world.player()
    act = socket.act("a", "b")
    act.actions[1] = type(act.actions[1])("b", "withdraw")
    await socket.send(act)
    accepted, refused = await socket.receive(), await socket.receive()
    assert keys(accepted) == ["a"]
    assert isinstance(refused, Refused)
    assert (refused.id, refused.actions[0].key, refused.actions[0].code) == (1, "b", "action_invalid")


async def test_refused_later_is_an_event(world: World) -> None:
    await world.start()
    socket = await world.player()
    event = world.backend.emit("refused", refused_event("a", "action_expired"))
    refused = await socket.receive()
    assert isinstance(refused, Refused)
    assert (refused.id, refused.cursor, refused.actions[0].code) == (0, event.cursor, "action_expired")


async def test_another_players_session_does_not_exist(world: World) -> None:
    await world.start()
    socket = await world.connect()
    await socket.login(TokenLogin("bob"))
    await socket.send(socket.act("a"))
    refused = await socket.receive()
    assert isinstance(refused, Refused)
    assert refused.actions[0].code == "session_not_found"


async def test_another_players_events_are_not_told(world: World) -> None:
    await world.start()
    bob = await world.connect()
    await bob.login(TokenLogin("bob"))
    world.backend.settle("a")
    await bob.send(Ping(1))
    assert await bob.receive() == Pong(1)


async def test_an_old_epoch_is_never_executed(world: World) -> None:
    await world.start()
    socket = await world.player()
    act = socket.act("a")
    await socket.send(Act(act.id, act.permission_id, Octets16(bytes(16)), act.actions))
    refused = await socket.receive()
    assert isinstance(refused, Refused)
    assert refused.actions[0].outcome == "unknown"
    assert world.backend.calls == []
    world.backend.recalled["b"] = Known("b", ActionId(7), duplicate=True)
    act = socket.act("b")
    await socket.send(Act(act.id, act.permission_id, Octets16(bytes(16)), act.actions))
    accepted = await socket.receive()
    assert isinstance(accepted, Accepted)
    assert accepted.actions[0].action_id == 7
    assert world.backend.calls == []


async def test_cancel_revoke_propose_open(world: World) -> None:
    await world.start()
    socket = await world.player(binary=False)
    owner, signature = Octets20(b"\x07" * 20), SignatureOctets(b"\x08" * 65)
    await socket.send(Cancel(1, ID, "a"))
    assert await socket.receive() == Done(1, done=False)
    await socket.send(Revoke(2, ID))
    assert await socket.receive() == Done(2, done=True)
    await socket.send(Propose(3, "arena", "play_match", AccountRequest(owner)))
    proposed = await socket.receive()
    assert isinstance(proposed, Proposed)
    assert (proposed.method, proposed.signer, proposed.readable) == ("eth_signTypedData_v4", owner, True)
    assert proposed.payload["primaryType"] == "Grant"
    await socket.send(Open(4, proposed.request_id, signature))
    assert await socket.receive() == Done(4, done=True)
    assert world.backend.calls == [
        ("cancel", ALICE, PERMISSION, "a"),
        ("revoke", ALICE, PERMISSION),
        ("propose", ALICE, "arena", "play_match", owner),
        ("open", ALICE, "request-1", signature),
    ]
    for call in world.backend.calls:
        assert all(type(value) is not Octets32 for value in call), "the kit gets plain bytes"


async def test_a_failed_request_says_why(world: World) -> None:
    await world.start()
    socket = await world.player()
    world.backend.failure = SessionNotFound("no such session")
    await socket.send(Revoke(9, ID))
    assert await socket.receive() == Error("session_not_found", "final", "no such session", id=9)


async def test_an_act_that_fails_as_a_whole_refuses_each_action(world: World) -> None:
    await world.start()
    socket = await world.player()
    world.backend.failure = StoreUnavailable("disk full")
    await socket.send(socket.act("a", "b"))
    refused = await socket.receive()
    assert isinstance(refused, Refused)
    assert [(each.key, each.code, each.outcome) for each in refused.actions] == [
        ("a", "store_unavailable", "retry"),
        ("b", "store_unavailable", "retry"),
    ]


@pytest.mark.parametrize("error", [Overloaded("full"), None], ids=["refused", "cancelled"])
async def test_an_answer_that_fails_refuses_each_action(world: World, error: Overloaded | None) -> None:
    await world.start()
    world.backend.holding = True
    socket = await world.player()
    await socket.send(socket.act("a"))
    await socket.send(Ping(2))
    await socket.receive()
    ((answers, _),) = world.backend.held
    if error is None:
        answers.cancel()
    else:
        answers.set_exception(error)
    refused = await socket.receive()
    assert isinstance(refused, Refused)
    assert refused.actions[0].code == ("outcome_unknown" if error is None else "overloaded")


async def test_a_bug_in_the_kit_closes_the_socket(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.start()
    world.backend.holding = True
    socket = await world.player()
    await socket.send(socket.act("a"))
    await socket.send(Ping(2))
    await socket.receive()
    ((answers, _),) = world.backend.held
    answers.set_exception(ZeroDivisionError())
    assert await socket.closed() == (CloseCode.SERVER_FAILED, "the server failed")
    assert "accepting actions failed" in caplog.text


async def test_ping_of_both_kinds(world: World) -> None:
    await world.start()
    socket = await world.player()
    await socket.send(Ping(1))
    assert await socket.receive() == Pong(1)
    await socket.raw.ping(b"there?")
    message = await socket.raw.receive()
    assert (message.type, message.data) == (WSMsgType.PONG, b"there?")


async def test_resume_sends_what_was_missed_then_what_happens(world: World) -> None:
    await world.start(send_queue_frames_max=4)
    for place in range(7):
        world.backend.settle(f"k{place}")
    socket = await world.connect()
    welcome = await socket.login(resume=Resume(Octets16(EPOCH), 2))
    assert (welcome.resumed, welcome.cursor) == (True, 2)
    missed = [await socket.receive() for _ in range(5)]
    assert [keys(frame) for frame in missed] == [["k2"], ["k3"], ["k4"], ["k5"], ["k6"]]
    world.backend.settle("new")
    assert keys(await socket.receive()) == ["new"]
    await socket.send(Acknowledge(8))
    await socket.send(Ping(1))
    assert await socket.receive() == Pong(1)


async def test_revoked_is_told(world: World) -> None:
    await world.start()
    socket = await world.player()
    world.backend.emit("session_revoked", session_event(at_block=7))
    revoked = await socket.receive()
    assert isinstance(revoked, SessionRevoked)
    assert revoked.on_chain


async def test_a_ticket_logs_in_again_and_ends_with_the_login(world: World) -> None:
    await world.start(life_s_max=100.0)
    first = await (await world.connect()).login()
    world.wall.now += 40
    again = await (await world.connect()).login(TicketLogin(first.ticket))
    assert (again.player, again.ticket, again.ticket_until) == ("alice", first.ticket, first.ticket_until)
    world.wall.now += 60
    expired = await world.connect()
    with pytest.raises(AssertionError, match="closed with 4401"):
        await expired.login(TicketLogin(first.ticket))


async def test_frames_of_one_tick_leave_in_one_write(world: World) -> None:
    await world.start()
    socket = await world.player()
    writes = world.gateway.counts.writes
    for place in range(20):
        world.backend.settle(f"k{place}")
    assert [keys(await socket.receive()) for _ in range(20)] == [[f"k{place}"] for place in range(20)]
    assert world.gateway.counts.writes == writes + 1


async def test_reading_stops_while_the_kit_is_behind(world: World) -> None:
    await world.start(frames_in_flight_max=3)
    world.backend.holding = True
    socket = await world.player()
    for place in range(8):
        await socket.send(socket.act(f"k{place}"))
    await until(lambda: len(world.backend.held) == 3)
    got: list[str] = []
    while len(got) < 8:
        world.backend.release()
        got += keys(await socket.receive())
        assert len(world.backend.held) <= 3
    assert got == [f"k{place}" for place in range(8)]


async def test_a_kit_that_stays_behind_is_told_as_such(world: World) -> None:
    await world.start(frames_in_flight_max=1, behind_timeout_s=0.02)
    world.backend.holding = True
    socket = await world.player()
    await socket.send(socket.act("a"))
    code, reason = await socket.closed()
    assert code == CloseCode.TRY_LATER
    assert "behind" in reason


async def test_nothing_remains_of_a_socket(world: World) -> None:
    await world.start()
    socket = await world.player()
    assert world.backend.listeners == 1
    await socket.raw.close()
    await until(lambda: not world.gateway.limits.sockets)
    assert world.backend.listeners == 0
    assert repr(world.gateway) == "<Gateway 0 sockets, 0 players>"


async def test_a_request_without_an_answer_is_unknown(world: World) -> None:
    await world.start(request_timeout_s=0.02)
    world.backend.going_on = asyncio.Event()
    socket = await world.player()
    await socket.send(Cancel(1, ID, "a"))
    error = await socket.receive()
    assert isinstance(error, Error)
    assert (error.id, error.code, error.outcome) == (1, "outcome_unknown", "unknown")


async def test_a_bug_in_the_login_hook_closes_the_socket(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(token: str) -> PlayerId:
        raise ZeroDivisionError

    await world.start(token=broken)
    socket = await world.connect()
    await socket.send(Hello(1, TokenLogin("secret-token")))
    assert await socket.closed() == (CloseCode.SERVER_FAILED, "the server failed")
    await until(lambda: "ZeroDivisionError" in caplog.text)
    assert "secret-token" not in caplog.text


async def test_resume_after_a_restore_tells_anew_what_the_copy_has_not(world: World) -> None:
    await world.start()
    world.backend.ended_epochs = {bytes(16): Cursor(1)}
    for place in range(3):
        world.backend.settle(f"k{place}")
    socket = await world.connect()
    welcome = await socket.login(resume=Resume(Octets16(bytes(16)), 9))
    assert (welcome.resumed, welcome.cursor, welcome.journal_epoch) == (True, 1, EPOCH)
    assert [keys(await socket.receive()) for _ in range(2)] == [["k1"], ["k2"]]


async def test_an_event_that_cannot_be_read_fails_the_socket_and_not_the_kit(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.start()
    socket = await world.player()
    world.backend.emit("settled", {"of": "another version"})  # raises nothing here
    assert await socket.closed() == (CloseCode.SERVER_FAILED, "the server failed")
    assert "missing required field" in caplog.text


async def test_a_connection_in_words(world: World) -> None:
    await world.start()
    await world.player()
    (connection,) = world.gateway._sockets
    assert repr(connection) == "<Connection alice <Peer authenticated sent=0 acknowledged=0> in_flight=0>"
