"""The gateway's world, and a client in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from gamekit.client.game_client import GameClient
from gamekit.client.login import LoginSource, by_token
from gamekit.protocol.messages import Resume
from tests.gateway.conftest import World, until


class Pauses:
    """Waits that last as long as the test says: each is noted, and ends when it is let go."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)
        await self.free.wait()


class ClientWorld(World):
    """Starts clients too."""

    def __init__(self, stack: AsyncExitStack) -> None:
        super().__init__(stack)
        self.pauses = Pauses()

    def client(self, login: LoginSource | None = None, resume: Resume | None = None) -> GameClient:
        return GameClient(self.url, login or by_token("alice"), resume=resume, pause=self.pauses, chance=lambda: 1.0)

    async def enter(self, client: GameClient | None = None) -> GameClient:
        return await self._stack.enter_async_context(client or self.client())

    @staticmethod
    async def connected(client: GameClient, times: int) -> None:
        """Wait until the client was welcomed so many times."""
        await until(lambda: client._link is not None and client._link.connects == times)

    def cut(self) -> None:
        """Break every connection, without a word."""
        for connection in tuple(self.gateway._sockets):
            connection.abort()


@pytest.fixture
async def world() -> AsyncIterator[ClientWorld]:
    async with AsyncExitStack() as stack:
        yield ClientWorld(stack)
