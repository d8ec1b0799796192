"""A gateway inside an application that exists."""

import asyncio
from typing import cast

import aiohttp
from aiohttp import web
from msgspec.structs import replace

from gamekit.config import Config
from gamekit.gateway.embed import GATEWAY, KIT, setup
from gamekit.kit import GameKit
from gamekit.units import PlayerId
from tests.gateway.conftest import NO_PROXY_LIMITS, Socket
from tests.gateway.memory import MemoryBackend


async def who_is(token: str) -> PlayerId | None:
    return PlayerId(token)


async def test_the_kit_lives_and_dies_with_the_application() -> None:
    memory = MemoryBackend()
    kit = cast("GameKit", memory)
    app = web.Application()

    async def sessions(request: web.Request) -> web.Response:
        assert request.app[KIT] is kit
        return web.Response(text="mine")

    app.router.add_get("/mine", sessions)
    memory.config = replace(Config(), gateway=NO_PROXY_LIMITS)
    setup(app, kit, token=who_is, backend=lambda _: memory)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    assert memory.entered
    async with aiohttp.ClientSession() as http:
        assert await (await http.get(f"{url}/mine")).text() == "mine"
        assert (await http.get(f"{url}/play/health")).status == 200
        assert (await http.post(f"{url}/play/nonce")).status == 200
        assert (await http.options(f"{url}/play/nonce")).status == 204
        async with http.ws_connect(f"{url}/play") as raw:
            socket = Socket(raw, binary=True)
            await socket.login()
            assert app[GATEWAY].counts.logins == 1
            assert not memory.left
            closed, _ = await asyncio.gather(socket.closed(), app.shutdown())
            assert closed[0] == 1012
            assert not memory.left, "sockets end before the kit does"
    await runner.cleanup()
    assert memory.left
