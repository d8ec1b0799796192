"""The hardened defaults, each with somebody who tries to exceed it."""

import asyncio
import socket as sockets
from typing import Any

import coincurve
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from gamekit.config import GatewayConfig
from gamekit.errors import ConfigInvalid
from gamekit.eth.signature import public_key_address
from gamekit.gateway.app import RETRY_SPREAD_S, Gateway
from gamekit.protocol.codec import encode
from gamekit.protocol.events import Refused
from gamekit.protocol.login import LoginMessage, format_time, personal_hash
from gamekit.protocol.messages import (
    Accepted,
    AccountRequest,
    Error,
    Hello,
    Ping,
    Propose,
    Proposed,
    Resume,
    TicketLogin,
    TokenLogin,
    WalletLogin,
)
from gamekit.protocol.octets import Octets16, Octets20, SignatureOctets
from gamekit.protocol.peer import CloseCode
from gamekit.units import ChainId, PlayerId
from tests.gateway.conftest import World, until
from tests.gateway.memory import ALICE, EPOCH, MemoryBackend

KEY = coincurve.PrivateKey(b"\x01" * 32)
UPGRADE = (
    "GET /play HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


async def raw(world: World, text: str) -> bytes:
    """Say something over bare TCP; gives everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
    writer.write(text.encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


# Origins.


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://game.example:8443", "https://game.example/"]
)
async def test_other_origins_are_refused(world: World, origin: str) -> None:
    await world.start(origins=("https://game.example",))
    for attempt in (world.connect(headers={"Origin": origin}),):
        with pytest.raises(WSServerHandshakeError) as caught:
            await attempt
        assert caught.value.status == 403
    for method in ("POST", "OPTIONS"):
        answer = await world.http.request(method, f"{world.url}/nonce", headers={"Origin": origin})
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_named_origins_are_let_in(world: World) -> None:
    await world.start(origins=("https://game.example",), allow_no_origin=False)
    headers = {"Origin": "https://game.example"}
    await (await world.connect(headers=headers)).login()
    for method, status in (("POST", 200), ("OPTIONS", 204)):
        answer = await world.http.request(method, f"{world.url}/nonce", headers=headers)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, "https://game.example")


async def test_no_origin_can_be_refused(world: World) -> None:
    await world.start(origins=("https://game.example",), allow_no_origin=False)
    with pytest.raises(WSServerHandshakeError):
        await world.connect()


async def test_two_origins_are_none(world: World) -> None:
    await world.start(origins=("https://game.example",))
    text = f"{UPGRADE}Origin: https://game.example\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n"
    assert b" 403 " in (await raw(world, text)).split(b"\r\n")[0] + b" "


# Frames.


async def test_frames_are_bounded(world: World) -> None:
    await world.start(frame_bytes_max=1024)
    player = await world.player(binary=False)
    await player.raw.send_str('{"type":"ping","id":1}'.ljust(1024))
    await player.receive()
    await player.raw.send_str('{"type":"ping","id":2}'.ljust(1025))
    assert (await player.closed())[0] == 1009


async def test_fragments_are_bounded_together(world: World) -> None:
    await world.start(frame_bytes_max=1024)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
    writer.write(f"{UPGRADE}\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    for opcode in (0x01, 0x00, 0x00):
        writer.write(bytes((opcode, 0x80 | 126)) + (600).to_bytes(2, "big") + bytes(4) + b" " * 600)
    header = await reader.readexactly(4)
    assert (header[0], int.from_bytes(header[2:], "big")) == (0x88, 1009)
    writer.close()


async def test_compression_is_never_agreed(world: World) -> None:
    await world.start()
    text = f"{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
    writer.write(text.encode())
    assert b"permessage-deflate" not in await reader.readuntil(b"\r\n\r\n")
    writer.write(bytes((0xC1, 0x80)) + bytes(4))  # a compressed frame all the same
    header = await reader.readexactly(4)
    assert (header[0], int.from_bytes(header[2:], "big")) == (0x88, 1002)
    writer.close()


async def test_garbage_is_a_violation(world: World) -> None:
    await world.start()
    player = await world.player(binary=False)
    await player.raw.send_str('{"type":"act","scope":"everything"}')
    code, reason = await player.closed()
    assert code == CloseCode.VIOLATION
    assert "unreadable frame" in reason


async def test_too_many_frames(world: World) -> None:
    await world.start(frames_burst=3)
    player = await world.player()
    for place in (1, 2, 3):
        await player.send(Ping(place))
    assert (await player.closed())[0] == CloseCode.TOO_MANY_FRAMES


async def test_too_many_pings(world: World) -> None:
    await world.start(frames_burst=3)
    player = await world.player()
    for _ in range(3):
        await player.raw.ping()
    assert (await player.closed())[0] == CloseCode.TOO_MANY_FRAMES


# Rates.


async def test_actions_per_player(world: World) -> None:
    await world.start(burst_player=4, actions_per_s_player=4.0)
    first, second = await world.player(), await world.player()
    await first.send(first.act("a", "b", "c"))
    assert isinstance(await first.receive(), Accepted)
    await second.send(second.act("d", "e"))
    refused = await second.receive()
    assert isinstance(refused, Refused)
    assert refused.actions[0].compared == {"queue": "rate", "retry_after_ms": 250}
    world.monotonic.now += 0.25
    await second.send(second.act("d", "e"))
    assert isinstance(await second.receive(), Accepted)


async def test_actions_per_address(world: World) -> None:
    await world.start(burst_address=4, actions_per_s_address=4.0)
    alice, bob = await world.player(), await world.connect()
    await bob.login(TokenLogin("bob"))
    await alice.send(alice.act("a", "b", "c", "d"))
    assert isinstance(await alice.receive(), Accepted)
    await bob.send(bob.act("e"))
    refused = await bob.receive()
    assert isinstance(refused, Refused)
    assert refused.actions[0].code == "overloaded"


async def test_a_frame_that_no_bucket_could_hold_is_not_promised(world: World) -> None:
    await world.start(burst_player=10, actions_per_frame_max=64)
    player = await world.connect()
    assert (await player.login()).limits.actions_per_frame_max == 10
    await player.send(player.act(*map(str, range(11))))
    assert (await player.closed())[0] == CloseCode.VIOLATION


def test_a_frame_carries_64_at_most() -> None:
    with pytest.raises(ConfigInvalid, match="actions_per_frame_max is 65, must be 1 to 64"):
        Gateway(MemoryBackend(), GatewayConfig(actions_per_frame_max=65), ChainId(1))


# Sockets.


async def test_sockets_per_address(world: World) -> None:
    await world.start(sockets_per_address_max=2)
    first = await world.connect()
    await world.connect()
    with pytest.raises(WSServerHandshakeError) as caught:
        await world.connect()
    assert caught.value.status == 503
    await first.raw.close()
    await until(lambda: world.gateway.limits.sockets == 1)
    await world.connect()


async def test_sockets_of_all(world: World) -> None:
    await world.start(sockets_max=1)
    await world.connect()
    waits: set[str] = set()
    for _ in range(12):
        with pytest.raises(WSServerHandshakeError) as caught:
            await world.connect()
        assert caught.value.headers is not None
        waits.add(caught.value.headers["Retry-After"])
    assert len(waits) > 4
    assert all(1 <= int(each) <= RETRY_SPREAD_S for each in waits)


async def test_forwarded_addresses_count_behind_our_proxy(world: World) -> None:
    await world.start(sockets_per_address_max=1, trusted_proxies=("127.0.0.0/8",))
    for client in ("198.51.100.1", "198.51.100.2"):
        await world.connect(headers={"X-Forwarded-For": f"10.1.1.1, {client}"})
    with pytest.raises(WSServerHandshakeError):
        await world.connect(headers={"X-Forwarded-For": "10.2.2.2, 198.51.100.1"})


async def test_the_newest_sockets_of_a_player_win(world: World) -> None:
    await world.start(sockets_per_player_max=2)
    first, second = await world.player(), await world.player()
    third = await world.player()
    assert await first.closed() == (CloseCode.REPLACED, "a newer connection of this player")
    for socket in (second, third):
        await socket.send(Ping(1))
        await socket.receive()


async def test_logging_a_player_out(world: World) -> None:
    await world.start()
    socket = await world.connect()
    welcome = await socket.login()
    world.gateway.close_player(ALICE)
    assert await socket.closed() == (CloseCode.EXPIRED, "logged out")
    again = await world.connect()
    with pytest.raises(AssertionError, match="4401"):
        await again.login(TicketLogin(welcome.ticket))
    world.gateway.close_player(PlayerId("nobody"))


# Time.


async def test_a_login_must_come_soon(world: World) -> None:
    await world.start(authenticate_timeout_s=0.02)
    assert await (await world.connect()).closed() == (CloseCode.UNAUTHENTICATED, "no login within 0.02 s")


async def test_a_login_that_takes_too_long(world: World) -> None:
    async def never(_token: str) -> PlayerId | None:
        await asyncio.Event().wait()
        return None

    await world.start(token=never, authenticate_timeout_s=0.02)
    socket = await world.connect()
    await socket.send(Hello(1, TokenLogin("alice")))
    assert (await socket.closed())[0] == CloseCode.UNAUTHENTICATED


async def test_a_refused_login(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gamekit.gateway")
    await world.start()
    socket = await world.connect()
    await socket.send(Hello(1, TokenLogin("wrong-token")))
    assert await socket.closed() == (CloseCode.UNAUTHENTICATED, "login refused")
    assert world.gateway.counts.logins_refused == 1
    assert "wrong-token" not in caplog.text


async def test_a_login_ends(world: World) -> None:
    await world.start(life_s_max=0.02)
    assert await (await world.player()).closed() == (CloseCode.EXPIRED, "log in again")


async def test_silence_is_noticed(world: World) -> None:
    await world.start(heartbeat_s=0.02)
    player = await world.player()  # a client that answers no ping
    message = await player.raw.receive()
    assert message.type is WSMsgType.PING
    assert (await player.closed())[0] == 1006


async def test_a_line_without_whole_frames_is_cut(world: World) -> None:
    await world.start(receive_timeout_s=0.05)
    player = await world.player()
    assert (await player.closed())[0] in (CloseCode.TRY_LATER, 1006)


async def test_slow_headers_are_cut(world: World) -> None:
    await world.start(header_timeout_s=0.05)
    assert await raw(world, "GET /play/health HTTP/1.1\r\nHost: ") == b""


@pytest.mark.parametrize(
    "text",
    [
        f"GET /{'a' * 5000} HTTP/1.1\r\nHost: h\r\n\r\n",
        f"GET /play/health HTTP/1.1\r\nHost: h\r\nX: {'a' * 5000}\r\n\r\n",
        "GET /play/health HTTP/1.1\r\nHost: h\r\n" + "".join(f"X{n}: 1\r\n" for n in range(80)) + "\r\n",
        "GET /play/health HTTP/1.1\r\nHost: h\r\nHost: i\r\nConnection: close\r\n\r\n",
        "GET /play/health HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["line", "field", "fields", "two hosts", "smuggling"],
)
async def test_malformed_requests_are_refused(world: World, text: str) -> None:
    await world.start()
    assert (await raw(world, text)).startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))


# Slow readers.


async def slow_player(world: World) -> sockets.socket:
    """A player whose end reads nothing after the welcome."""
    end = sockets.socket()
    end.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    end.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(end, ("127.0.0.1", world.server.port))
    hello = encode(Hello(1, TokenLogin("alice"), Resume(Octets16(EPOCH), 0)), binary=True)
    frame = bytes((0x82, 0x80 | len(hello))) + bytes(4) + hello
    await loop.sock_sendall(end, f"{UPGRADE}\r\n".encode() + frame)
    await until(lambda: world.gateway.counts.logins)
    return end


async def test_a_slow_reader_is_closed_and_holds_a_bounded_queue(world: World) -> None:
    await world.start(send_queue_frames_max=64, close_timeout_s=0.02)
    end = await slow_player(world)
    emitted = 0
    while not world.gateway.counts.closed:
        world.backend.settle(*(f"k{place}" for place in range(100)))
        emitted += 1
        await asyncio.sleep(0)
        assert emitted < 10_000
    assert world.gateway.counts.closed == {CloseCode.TRY_LATER: 1}
    await until(lambda: not world.gateway.limits.sockets)
    end.close()


async def test_a_slow_reader_that_catches_up_is_waited_for_then_closed(world: World) -> None:
    await world.start(receive_timeout_s=0.05, close_timeout_s=0.02)
    for _ in range(1500):
        world.backend.settle(*(f"k{place}" for place in range(100)))
    end = await slow_player(world)
    await until(lambda: world.gateway.counts.closed)
    assert world.gateway.counts.closed == {CloseCode.TRY_LATER: 1}
    assert world.gateway.counts.frames_sent < 1500
    await until(lambda: not world.gateway.limits.sockets)
    end.close()


# Logins by wallet.


async def wallet_login(world: World, **changes: Any) -> WalletLogin:
    answer = await (await world.http.post(f"{world.url}/nonce")).json()
    fields = {name: answer[name] for name in ("domain", "uri", "chain_id", "nonce")} | changes
    address = public_key_address(KEY.public_key.format(compressed=False))
    text = str(LoginMessage(address=address, issued_at=format_time(world.wall.now), **fields))
    signature = KEY.sign_recoverable(personal_hash(text), hasher=None)
    return WalletLogin(text, SignatureOctets(signature[:64] + bytes((signature[64] + 27,))))


async def test_wallet_login_end_to_end(world: World) -> None:
    await world.start()
    login = await wallet_login(world)
    assert (await (await world.connect()).login(login)).player.startswith("0x")
    with pytest.raises(AssertionError, match="4401"):
        await (await world.connect()).login(login)


async def test_a_wallet_proposes_for_itself_only(world: World) -> None:
    await world.start()
    socket = await world.connect()
    await socket.login(await wallet_login(world))
    await socket.send(Propose(1, "arena", "play_match", AccountRequest(Octets20(bytes(20)))))
    refused = await socket.receive()
    assert isinstance(refused, Error)
    assert refused.code == "action_invalid"
    mine = Octets20(public_key_address(KEY.public_key.format(compressed=False)))
    await socket.send(Propose(2, "arena", "play_match", AccountRequest(mine)))
    assert isinstance(await socket.receive(), Proposed)


@pytest.mark.parametrize("changes", [{"domain": "evil.example"}, {"chain_id": 1}, {"nonce": "a" * 74}])
async def test_wallet_logins_for_elsewhere_are_refused(world: World, changes: dict[str, Any]) -> None:
    await world.start()
    with pytest.raises(AssertionError, match="4401"):
        await (await world.connect()).login(await wallet_login(world, **changes))


async def test_a_nonce_logs_in_from_its_address_only(world: World) -> None:
    await world.start(trusted_proxies=("127.0.0.0/8",))
    login = await wallet_login(world)
    with pytest.raises(AssertionError, match="4401"):
        await (await world.connect(headers={"X-Forwarded-For": "198.51.100.7"})).login(login)


async def test_nonces_per_address(world: World) -> None:
    await world.start(login_nonces_per_minute_address=2)
    answers = [(await world.http.post(f"{world.url}/nonce")).status for _ in range(3)]
    assert answers == [200, 200, 429]


async def test_too_many_wallet_logins_at_once(world: World) -> None:
    await world.start(login_nonces_max=1)
    await (await world.connect()).login(await wallet_login(world))
    with pytest.raises(AssertionError, match="1013"):
        await (await world.connect()).login(await wallet_login(world))


# Answers over HTTP.


async def test_every_answer_has_the_security_headers(world: World) -> None:
    await world.start()
    answers = [
        await world.http.get(f"{world.url}/health"),
        await world.http.post(f"{world.url}/nonce"),
        await world.http.get(world.url, headers={"Origin": "https://evil.example"}),
    ]
    for answer in answers:
        assert answer.headers["Server"] == "gamekit"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert await answers[0].json() == {"ok": True, "protocol": 1}


async def test_health_says_why_nobody_can_play(world: World) -> None:
    await world.start()
    world.backend.trouble = "no new block for more than 60 s"
    answer = await world.http.get(f"{world.url}/health")
    assert answer.status == 503
    assert await answer.json() == {"ok": False, "protocol": 1, "reason": "no new block for more than 60 s"}
    world.backend.trouble = ""
    assert (await world.http.get(f"{world.url}/health")).status == 200


async def test_play_wants_a_websocket(world: World) -> None:
    await world.start()
    assert (await world.http.get(world.url)).status == 400
    assert world.gateway.limits.sockets == 0


# The end.


async def test_the_end_answers_what_is_in_flight_first(world: World) -> None:
    await world.start()
    world.backend.holding = True
    busy, idle = await world.player(), await world.player()
    await busy.send(busy.act("a"))
    await until(lambda: world.backend.held)
    closing = asyncio.ensure_future(world.gateway.close())
    assert (await idle.closed())[0] == CloseCode.RESTART
    await busy.send(busy.act("b"))
    late = await busy.receive()
    assert isinstance(late, Refused)
    assert (late.actions[0].code, late.actions[0].outcome) == ("overloaded", "retry")
    world.backend.release()
    assert isinstance(await busy.receive(), Accepted)
    assert await busy.closed() == (CloseCode.RESTART, "the server restarts; resume from 0")
    await closing
    health = await world.http.get(f"{world.url}/health")
    assert (health.status, (await health.json())["reason"]) == (503, "the server restarts")
    with pytest.raises(WSServerHandshakeError):
        await world.connect()


async def test_the_end_does_not_wait_for_ever(world: World) -> None:
    await world.start()
    world.backend.holding = True
    player = await world.player()
    await player.send(player.act("a"))
    await until(lambda: world.backend.held)
    await world.gateway.close(timeout_s=0.02)
    assert (await player.closed())[0] == 1006
    world.backend.release()
