"""A player's client against a real gateway."""

import asyncio
import time

import coincurve
import pytest

from gamekit.client import game_client as game_client_module
from gamekit.client import link as link_module
from gamekit.client.game_client import GameClient
from gamekit.client.link import Replaced
from gamekit.client.login import authorize, by_token, by_wallet
from gamekit.errors import (
    ActionExpired,
    ActionInvalid,
    AuthenticationFailed,
    GamekitError,
    OutcomeUnknown,
    Overloaded,
    ProtocolViolation,
    SessionNotFound,
)
from gamekit.eth.signature import public_key_address, recover_address
from gamekit.eth.transaction import Authorization, authorization_hash
from gamekit.protocol.events import SessionRevoked, Settled
from gamekit.protocol.login import personal_hash
from gamekit.protocol.messages import ActionRequest, Resume
from gamekit.protocol.octets import Octets16
from gamekit.units import ChainId
from tests.client.conftest import ClientWorld
from tests.gateway.conftest import until
from tests.gateway.memory import ACCOUNT, ALICE, EPOCH, PERMISSION, refused_event, session_event

KEY = coincurve.PrivateKey(b"\x01" * 32)
ADDRESS = public_key_address(KEY.public_key.format(compressed=False))


async def sign(text: str) -> bytes:
    signature = KEY.sign_recoverable(personal_hash(text), hasher=None)
    return signature[:64] + bytes((signature[64] + 27,))


async def test_accepted_settled_final(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    handle = await client.act(PERMISSION, "attack", [7], key="k1")
    assert (handle.action_id, repr(handle)) == (1, "<ActionHandle 'k1' accepted>")
    world.backend.settle("k1")
    outcome = await handle.settled(timeout=5)
    assert (outcome.ok, outcome.error, outcome.block_number) == (True, "", 7)
    world.backend.settle("k1", kind="final")
    assert await handle.final(timeout=5) == outcome
    assert repr(handle) == "<ActionHandle 'k1' final>"


async def test_arguments_by_name_and_a_key_of_its_own(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    first = await client.act(PERMISSION, "attack", {"target": 7}, not_after=9, value=10**18)
    second = await client.act(PERMISSION, "attack", {"target": 7})
    assert first.key != second.key
    request, _ = world.backend.keys[PERMISSION, first.key]
    assert (request.arguments, request.not_after, request.value) == ({"target": 7}, 9, str(10**18))


async def test_many_in_frames_of_the_servers_size(world: ClientWorld) -> None:
    await world.start(actions_per_frame_max=2)
    client = await world.enter()
    requests = [ActionRequest(f"k{place}", "withdraw" if place == 3 else "attack") for place in range(5)]
    answers = await client.act_many(PERMISSION, requests)
    assert [isinstance(answer, GamekitError) for answer in answers] == [False, False, False, True, False]
    assert [keys for _, _, keys in world.backend.calls] == [("k0", "k1"), ("k2", "k3"), ("k4",)]


async def test_a_reverted_action(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    handle = await client.act(PERMISSION, "attack", [7], key="k1")
    world.backend.settle("k1", error="NotEnoughGold(3, 5)")
    outcome = await handle.settled(timeout=5)
    assert (outcome.ok, outcome.error) == (False, "NotEnoughGold(3, 5)")


async def test_a_reorg_takes_the_outcome_back(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    handle = await client.act(PERMISSION, "attack", [7], key="k1")
    world.backend.settle("k1", error="NotYours()")
    assert not (await handle.settled(timeout=5)).ok
    world.backend.settle("k1", kind="reorged")
    await client.ping()
    assert repr(handle) == "<ActionHandle 'k1' accepted>"
    world.backend.settle("k1")
    assert (await handle.settled(timeout=5)).ok


async def test_refused_at_once(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    with pytest.raises(ActionInvalid, match="no function withdraw"):
        await client.act(PERMISSION, "withdraw", key="k1")
    with pytest.raises(Overloaded) as caught:
        await client.act(PERMISSION, "full", key="k1")
    assert caught.value.compared == {"queue": "lane", "depth": 256, "depth_max": 256}
    await client.act(PERMISSION, "attack", key="k1")


async def test_refused_later(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    handle = await client.act(PERMISSION, "attack", key="k1")
    world.backend.emit("refused", refused_event("k1", "action_expired"))
    for wait in (handle.settled, handle.final):
        with pytest.raises(ActionExpired):
            await wait(timeout=5)


async def test_giving_up_waiting_does_not_give_up_the_action(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    handle = await client.act(PERMISSION, "attack", key="k1")
    with pytest.raises(OutcomeUnknown, match="it resolves itself"):
        await handle.settled(timeout=0)
    waiting = asyncio.ensure_future(handle.settled())
    await asyncio.sleep(0)
    waiting.cancel()
    world.backend.settle("k1")
    assert (await handle.settled(timeout=5)).ok


async def test_cancel_revoke_propose_open(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    assert not await client.cancel(PERMISSION, "k1")
    await client.revoke(PERMISSION)
    proposed = await client.propose("arena", "play_match", ACCOUNT, stack="nexus")
    await client.open(proposed.request_id, b"\x01" * 65)
    world.backend.failure = SessionNotFound("no such session")
    with pytest.raises(SessionNotFound):
        await client.revoke(PERMISSION)


async def test_an_authorization_travels_with_the_grant(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    world.backend.authorization = wanted = Authorization(chain_id=ChainId(31337), delegate=ACCOUNT, nonce=4)
    proposed = await client.propose("arena", "play_match", ADDRESS)
    assert proposed.authorization is not None

    def sign_digest(digest: bytes) -> bytes:
        signature = KEY.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))

    signed = authorize(proposed.authorization, sign_digest)
    await client.open(proposed.request_id, b"\x01" * 65, signed)
    assert world.backend.calls[-1] == ("open", ALICE, "request-1", b"\x01" * 65, signed)
    assert signed.authorization == wanted
    assert recover_address(authorization_hash(wanted), signed.signature) == ADDRESS


async def test_events(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    events = client.events()
    world.backend.emit("session_revoked", session_event())
    assert isinstance(await anext(events), SessionRevoked)


async def test_a_lost_connection_loses_nothing(world: ClientWorld) -> None:
    await world.start()
    world.backend.holding = True
    client = await world.enter()
    first = asyncio.ensure_future(client.act(PERMISSION, "attack", [1], key="k1"))
    second = asyncio.ensure_future(client.act(PERMISSION, "attack", [2], key="k2"))
    await until(lambda: len(world.backend.held) == 2)
    world.backend.held.clear()  # the answers are lost with the connection
    world.backend.holding = False
    world.pauses.free.clear()
    world.cut()
    await until(lambda: world.pauses.asked)
    third = asyncio.ensure_future(client.act(PERMISSION, "attack", [3], key="k3"))
    await asyncio.sleep(0)
    world.backend.settle("k1")
    world.pauses.free.set()
    handles = [await first, await second, await third]
    assert [handle.action_id for handle in handles] == [1, 2, 3]
    assert (await handles[0].settled(timeout=5)).ok, "it settled while nobody was connected"
    assert [keys for _, _, keys in world.backend.calls[2:]] == [("k1",), ("k2",), ("k3",)]
    assert world.gateway.counts.logins == 2


async def test_requests_of_a_lost_connection_are_unknown(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    link = client._link
    assert link is not None
    world.pauses.free.clear()
    world.cut()
    await until(lambda: world.pauses.asked)
    with pytest.raises(OutcomeUnknown, match="not connected"):
        await client.revoke(PERMISSION)


async def test_back_off_grows_to_a_bound_and_starts_anew(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    world.gateway._closing = True  # 503 to every upgrade
    world.cut()
    await until(lambda: len(world.pauses.asked) >= 10)
    assert world.pauses.asked[:4] == [0.2, 0.4, 0.8, 1.6]
    assert max(world.pauses.asked) == 20.0
    world.gateway._closing = False
    await world.connected(client, 2)
    await client.ping()


async def test_reconnects_use_the_ticket(world: ClientWorld) -> None:
    await world.start()
    signatures = []

    async def counted(text: str) -> bytes:
        signatures.append(text)
        return await sign(text)

    world.wall.now = time.time()
    client = await world.enter(world.client(by_wallet(ADDRESS, counted, "Play the arena")))
    world.cut()
    await world.connected(client, 2)
    await client.ping()
    assert len(signatures) == 1
    assert "Play the arena" in signatures[0]
    world.gateway.close_player(client.welcome.player)  # forgets the ticket
    await world.connected(client, 3)
    assert len(signatures) == 2


async def test_resume_in_another_process(world: ClientWorld) -> None:
    await world.start()
    async with world.client() as first:
        world.backend.settle("k1")
        await first.ping()
        position = first.position
    assert position == Resume(Octets16(EPOCH), 1)
    world.backend.settle("k2")
    client = world.client(resume=position)
    events = client.events()
    await world.enter(client)
    event = await anext(events)
    assert isinstance(event, Settled)
    assert [action.key for action in event.actions] == ["k2"]


async def test_a_restored_journal_makes_outcomes_unknown(world: ClientWorld) -> None:
    await world.start()
    client = await world.enter()
    handle = await client.act(PERMISSION, "attack", key="k1")
    world.backend.journal_epoch = bytes(16)
    world.cut()
    with pytest.raises(OutcomeUnknown, match="restored"):
        await handle.settled(timeout=5)


async def test_a_refused_login_ends_it(world: ClientWorld) -> None:
    await world.start()
    with pytest.raises(AuthenticationFailed):
        await world.enter(world.client(by_token("nobody")))


async def test_a_newer_client_ends_it(world: ClientWorld) -> None:
    await world.start(sockets_per_player_max=1)
    old = await world.enter()
    handle = await old.act(PERMISSION, "attack", key="k1")
    events = old.events()
    await world.enter()
    with pytest.raises(Replaced):
        await handle.settled(timeout=5)
    with pytest.raises(Replaced):
        await anext(events)
    with pytest.raises(Replaced):
        await old.act(PERMISSION, "attack")
    assert world.pauses.asked == []


async def test_leaving_tells_whoever_waits(world: ClientWorld) -> None:
    await world.start()
    async with world.client() as client:
        handle = await client.act(PERMISSION, "attack", key="k1")
    with pytest.raises(OutcomeUnknown, match="closed"):
        await handle.settled(timeout=5)


async def test_before_the_login_nothing_is_known(world: ClientWorld) -> None:
    await world.start()
    client = world.client()
    assert repr(client) == f"<GameClient nobody yet at {world.url}>"
    with pytest.raises(OutcomeUnknown):
        _ = client.welcome
    with pytest.raises(OutcomeUnknown, match="async with"):
        await client.act(PERMISSION, "attack")


async def test_a_login_that_must_wait_is_tried_again(world: ClientWorld) -> None:
    await world.start(login_nonces_per_minute_address=1)
    world.wall.now = time.time()
    await world.enter(world.client(by_wallet(ADDRESS, sign)))
    world.pauses.free.clear()
    second = asyncio.ensure_future(world.enter(world.client(by_wallet(ADDRESS, sign))))
    await until(lambda: world.pauses.asked)
    world.monotonic.now += 60
    world.pauses.free.set()
    await second


async def test_a_server_without_logins_by_wallet(world: ClientWorld) -> None:
    await world.start(origins=("https://game.example",), allow_no_origin=False)
    with pytest.raises(AuthenticationFailed, match="403"):
        await world.enter(world.client(by_wallet(ADDRESS, sign)))


async def test_no_answer_at_all(world: ClientWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game_client_module, "CONNECT_S", 0.02)
    await world.start()
    world.pauses.free.clear()
    client = GameClient("http://127.0.0.1:9/play", by_token("alice"), pause=world.pauses)
    with pytest.raises(OutcomeUnknown, match="no welcome in time"):
        await world.enter(client)


async def test_a_frame_too_large_is_the_clients_own_fault(world: ClientWorld) -> None:
    await world.start(frame_bytes_max=300)
    client = await world.enter()
    with pytest.raises(ProtocolViolation):
        await client.act(PERMISSION, "attack", ["x" * 300])
    assert world.pauses.asked == []


async def test_requests_on_their_way_when_the_line_breaks_are_unknown(world: ClientWorld) -> None:
    await world.start()
    world.backend.going_on = asyncio.Event()
    client = await world.enter()
    asked = asyncio.ensure_future(client.cancel(PERMISSION, "k1"))
    await until(lambda: world.gateway.counts.frames_received == 2)
    world.cut()
    with pytest.raises(OutcomeUnknown, match="lost before the answer"):
        await asked
    world.backend.going_on.set()


async def test_events_are_acknowledged_now_and_then(world: ClientWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "ACKNOWLEDGE_EVERY", 3)
    await world.start()
    client = await world.enter()
    for place in range(7):
        world.backend.settle(f"k{place}")
    (connection,) = world.gateway._sockets
    await until(lambda: connection._peer.acknowledged == 6)
    await client.ping()
