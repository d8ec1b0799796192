"""gamekit in an aiohttp application that exists already: `python examples/embed_aiohttp.py gamekit.toml`."""

import asyncio
import sys

from aiohttp import web
from bot import play_one_match

from gamekit import GameKit, PlayerId
from gamekit.gateway.embed import KIT, setup


async def scores(request: web.Request) -> web.Response:  # a route of your own, which may use the kit
    return web.json_response({"sessions": len(request.app[KIT].sessions())})


async def who_is(token: str) -> PlayerId | None:  # your own login
    return {"ada's token": PlayerId("ada")}.get(token)


def application(config: str) -> web.Application:
    app = web.Application()
    app.router.add_get("/scores", scores)
    setup(app, GameKit.from_config(config), token=who_is)  # gamekit starts, serves players, and ends with the app
    return app


async def main(config: str) -> None:
    runner = web.AppRunner(application(config))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await play_one_match(f"http://127.0.0.1:{runner.addresses[0][1]}/play", "ada's token", config)
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "gamekit.toml"))
