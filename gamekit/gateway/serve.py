"""Run a gateway by itself: hardened server settings, one listening socket, an orderly end."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final, Literal, Self

from aiohttp import http_parser, web

from gamekit.config import GatewayConfig
from gamekit.errors import ConfigInvalid
from gamekit.gateway.app import Gateway, routes

REQUEST_BYTES_MAX: Final = 64 * 1024
"""Largest request body; none of our routes reads one."""
LINE_BYTES_MAX: Final = 4096
"""Longest request line and longest header."""
HEADERS_MAX: Final = 64
DRAIN_S: Final = 5.5
"""How long sockets may take to end, from the signal on: longer than any request to the kit."""
CUT_S: Final = 0.5
"""How long handlers may take after that, before they are cancelled. With what engine and journal may take, below ten
seconds in all."""


def check_parser() -> None:
    """Make sure that aiohttp parses HTTP in C: its parser in Python reads some malformed requests differently.

    Raises: ConfigInvalid.
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigInvalid("aiohttp has no HTTP parser in C here; install its wheel, without AIOHTTP_NO_EXTENSIONS")


def application(gateway: Gateway) -> web.Application:
    """Make an application that serves the gateway and nothing else."""
    app = web.Application(client_max_size=REQUEST_BYTES_MAX)
    app.add_routes(routes(gateway.config, lambda: gateway))
    return app


class Server:
    """A listening gateway.

    ::

        async with Server(gateway) as server:
            ...  # server.port is the port that was bound
    """

    def __init__(self, gateway: Gateway, app: web.Application | None = None) -> None:
        """Raises ConfigInvalid when aiohttp lacks its C parser."""
        check_parser()
        self._gateway = gateway
        self._runner = _runner(app or application(gateway), gateway.config)
        self.port = 0
        """Where it listens; 0 before it does. Useful when the configured port is 0: any free one."""

    def __repr__(self) -> str:
        return f"<Server on port {self.port}, {self._gateway!r}>"

    async def __aenter__(self) -> Self:
        config = self._gateway.config
        await self._runner.setup()
        site = web.TCPSite(self._runner, config.host, config.port, backlog=1024)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> Literal[False]:
        """Close every socket with 1012, then the listener."""
        await self._gateway.close(DRAIN_S)
        await self._runner.cleanup()
        return False


def _runner(app: web.Application, config: GatewayConfig) -> web.AppRunner:
    return web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        handler_cancellation=False,  # a client that goes away must not cancel a commit
        keepalive_timeout=config.header_timeout_s,
        lingering_time=2.0,
        max_field_size=LINE_BYTES_MAX,
        max_headers=HEADERS_MAX,
        max_line_size=LINE_BYTES_MAX,
        shutdown_timeout=CUT_S,
    )


async def serve(gateway: Gateway, *, started: Callable[[Server], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then end in order.

    Args:
        gateway: what to serve.
        started: called once it listens.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        async with Server(gateway) as server:
            if started is not None:
                started(server)
            await stop.wait()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
