"""A gateway on loopback with a kit in memory, and a client that speaks frames."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest
import uvloop
from aiohttp import WSMsgType
from msgspec.structs import replace

from gamekit.config import GatewayConfig
from gamekit.gateway.app import Gateway
from gamekit.gateway.auth import RandomBytes, WalletHook
from gamekit.gateway.serve import Server
from gamekit.protocol.codec import ClientFrame, ServerFrame, decode_server, encode
from gamekit.protocol.messages import Act, ActionRequest, Hello, Login, Resume, TokenLogin, Welcome
from gamekit.protocol.octets import Octets16, Octets32
from gamekit.units import ChainId, PlayerId
from tests.gateway.memory import EPOCH, PERMISSION, MemoryBackend

NO_PROXY_LIMITS = GatewayConfig(port=0, sockets_per_address_max=1000, login_nonces_per_minute_address=1000)


class ManualClock:
    """Time that moves when it is told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Socket:
    """A client's end of one websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, binary: bool) -> None:
        self.raw = socket
        self._binary = binary
        self._last_id = 0

    async def send(self, frame: ClientFrame) -> None:
        data = encode(frame, binary=self._binary)
        await (self.raw.send_bytes(data) if self._binary else self.raw.send_str(data.decode()))

    async def receive(self) -> ServerFrame:
        message = await self.raw.receive()
        assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), f"closed with {self.raw.close_code} {message.extra}"
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        return decode_server(data, binary=message.type is WSMsgType.BINARY)

    async def login(self, login: Login | None = None, resume: Resume | None = None) -> Welcome:
        await self.send(Hello(1, login or TokenLogin("alice"), resume))
        welcome = await self.receive()
        assert isinstance(welcome, Welcome)
        return welcome

    def act(self, *keys: str, function: str = "attack") -> Act:
        self._last_id += 1
        actions = [ActionRequest(key, function, [7]) for key in keys]
        return Act(self._last_id, Octets32(PERMISSION), Octets16(EPOCH), actions)

    async def closed(self) -> tuple[int | None, str]:
        """Read until the server closes; gives code and reason."""
        while True:
            message = await self.raw.receive()
            if message.type is WSMsgType.CLOSE:
                return message.data, message.extra or ""
            if message.type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
                return self.raw.close_code, ""


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


class World:
    """Starts gateways and clients, and ends them with the test."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.backend = MemoryBackend()
        self.monotonic = ManualClock(1000.0)
        self.wall = ManualClock(1_767_323_045.0)
        self.random: RandomBytes = secrets.token_bytes
        self.gateway: Gateway
        self.server: Server
        self.http: aiohttp.ClientSession

    async def start(
        self,
        token: Callable[[str], Awaitable[PlayerId | None]] | None = None,
        wallet: WalletHook | None = None,
        real_time: bool = False,
        **settings: object,
    ) -> None:
        config = replace(NO_PROXY_LIMITS, **settings)
        self.gateway = Gateway(
            self.backend,
            config,
            ChainId(31337),
            token=token or self._token,
            wallet=wallet,
            monotonic=time.monotonic if real_time else self.monotonic,
            wall=time.time if real_time else self.wall,
            random=self.random,
        )
        self.server = await self._stack.enter_async_context(Server(self.gateway))
        self.http = await self._stack.enter_async_context(aiohttp.ClientSession())

    @staticmethod
    async def _token(token: str) -> PlayerId | None:
        return PlayerId(token) if token in ("alice", "bob") else None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/play"

    async def connect(
        self, *, binary: bool = True, autoping: bool = False, headers: dict[str, str] | None = None
    ) -> Socket:
        upgrade = self.http.ws_connect(self.url, autoping=autoping, compress=15, headers=headers)
        socket = await self._stack.enter_async_context(upgrade)
        return Socket(socket, binary=binary)

    async def player(self, *, binary: bool = True, resume: Resume | None = None) -> Socket:
        socket = await self.connect(binary=binary)
        await socket.login(resume=resume)
        return socket


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(stack)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run everything here on both loops: uvloop is what serves, asyncio is what an embedder may have."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
