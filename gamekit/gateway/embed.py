"""Add gamekit to an aiohttp application that exists: the kit starts and stops with it, its routes stand beside yours.

::

    app = web.Application()
    gamekit.gateway.embed.setup(app, GameKit.from_config("gamekit.toml"), token=who_is)
    web.run_app(app)  # in your handlers: request.app[KIT]

Your server's own settings apply to your application; `serve.py` shows the hardened ones.
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web

from gamekit.gateway.app import Gateway, routes
from gamekit.gateway.auth import TokenHook, WalletHook
from gamekit.gateway.backend import Backend
from gamekit.gateway.kit_backend import KitBackend
from gamekit.gateway.serve import check_parser
from gamekit.kit import GameKit
from gamekit.units import ChainId

KIT: Final = web.AppKey("gamekit", GameKit)
"""The running kit, in `request.app[KIT]`."""
GATEWAY: Final = web.AppKey("gamekit_gateway", Gateway)
"""The gateway, to log a player out or to read its counts."""


def setup(
    app: web.Application,
    kit: GameKit,
    *,
    token: TokenHook | None = None,
    wallet: WalletHook | None = None,
    backend: Callable[[GameKit], Backend] = KitBackend,
) -> None:
    """Start the kit with the application, serve players beside its routes, stop both in order.

    Args:
        app: an application that has not started.
        kit: not entered yet; it is entered at start-up and left at clean-up.
        token: maps a token of the game's own login to a player, or to None.
        wallet: maps the address of a login message to a player; without it the player is named by the address.
        backend: what stands between the sockets and the kit.

    Raises: ConfigInvalid when aiohttp lacks its C parser.
    """
    check_parser()
    config = kit.config

    async def running(app: web.Application) -> AsyncIterator[None]:
        async with kit:
            app[KIT] = kit
            chain_id = ChainId(config.chain.chain_id)
            app[GATEWAY] = Gateway(backend(kit), config.gateway, chain_id, token=token, wallet=wallet)
            yield

    async def stopping(app: web.Application) -> None:
        # Before the clean-up: sockets are closed while the kit still answers what is in flight.
        await app[GATEWAY].close()

    app.cleanup_ctx.append(running)
    app.on_shutdown.append(stopping)
    app.add_routes(routes(config.gateway, lambda: app[GATEWAY]))
