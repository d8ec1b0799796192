"""The gateway's three routes, and the sockets behind them.

::

    GET  <path>          the websocket
    POST <path>/nonce    what a wallet's login message must say: domain, URI, chain id and a fresh nonce
    GET  <path>/health   whether new players are taken and can play; 503 with the reason if not
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from gamekit.config import GatewayConfig
from gamekit.errors import ConfigInvalid, Overloaded
from gamekit.gateway.auth import Authenticator, RandomBytes, TokenHook, WalletHook
from gamekit.gateway.backend import Backend
from gamekit.gateway.connection import Connection, Counts, Shared, WebSocket
from gamekit.gateway.limits import Limits, Proxies
from gamekit.protocol.messages import ACTIONS_MAX, VERSION
from gamekit.protocol.peer import CloseCode
from gamekit.units import ChainId, PlayerId

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "no-referrer",
    "Server": "gamekit",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer of ours. `Server` hides versions."""

RETRY_SPREAD_S: Final = 16
"""Seconds over which those who were refused a socket are spread."""

_log = logging.getLogger("gamekit.gateway")


class Gateway:
    """The websocket edge of one kit.

    Args:
        backend: the kit.
        config: every limit.
        chain_id: the chain that login messages must name.
        token: the game's own login: maps a token to a player, or to None.
        wallet: maps the address of a login message to a player; without it the player is named by the address.
        monotonic: seconds, for rates.
        wall: unix seconds, for logins.
        random: gives so many unguessable bytes.
    """

    def __init__(
        self,
        backend: Backend,
        config: GatewayConfig,
        chain_id: ChainId,
        *,
        token: TokenHook | None = None,
        wallet: WalletHook | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        if not 1 <= config.actions_per_frame_max <= ACTIONS_MAX:
            raise ConfigInvalid(
                f"gateway.actions_per_frame_max is {config.actions_per_frame_max}, must be 1 to {ACTIONS_MAX}"
            )
        self.config = config
        self.authenticator = Authenticator(config, chain_id, random, token, wallet)
        self.limits = Limits(config)
        self.counts = Counts()
        self._proxies = Proxies(config.trusted_proxies)
        self._sockets: set[Connection] = set()
        self._players: dict[PlayerId, list[Connection]] = {}
        self._random = random
        self._closing = False
        self._empty = asyncio.Event()
        self._shared = Shared(
            config=config,
            chain_id=chain_id,
            backend=backend,
            authenticator=self.authenticator,
            limits=self.limits,
            monotonic=monotonic,
            wall=wall,
            joined=self._joined,
            counts=self.counts,
        )

    def __repr__(self) -> str:
        return f"<Gateway {len(self._sockets)} sockets, {len(self._players)} players>"

    async def play(self, request: web.Request) -> web.StreamResponse:
        """Upgrade to a websocket and serve it until it ends."""
        refusal = self._refuse_origin(request)
        if refusal is not None:
            return refusal
        address = self._address(request)
        if self._closing:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "the server restarts")
        try:
            self.limits.admit_socket(address, self._shared.monotonic())
        except Overloaded as error:
            return self._later(error)
        try:
            return await self._serve(request, address)
        finally:
            self.limits.release_socket(address)

    async def nonce(self, request: web.Request) -> web.Response:
        """Give what a login message must say."""
        refusal = self._refuse_origin(request)
        if refusal is not None:
            return refusal
        address = self._address(request)
        try:
            self.limits.admit_nonce(address, self._shared.monotonic())
        except Overloaded as error:
            return self._allow_origin(request, _error(HTTPStatus.TOO_MANY_REQUESTS, str(error)))
        expected = self.authenticator.expected
        answer = {
            "nonce": self.authenticator.nonces.issue(address, self._shared.wall()),
            "domain": expected.domain,
            "uri": expected.uri,
            "version": "1",
            "chain_id": expected.chain_id,
            "life_s": expected.age_s_max,
        }
        return self._allow_origin(request, _json(answer))

    async def nonce_preflight(self, request: web.Request) -> web.Response:
        """Tell a browser of an allowed origin that it may ask."""
        refusal = self._refuse_origin(request)
        if refusal is not None:
            return refusal
        return self._allow_origin(request, web.Response(status=HTTPStatus.NO_CONTENT, headers=SECURITY_HEADERS))

    async def health(self, _request: web.Request) -> web.Response:
        """Tell whether new players are taken and can play; if not, why."""
        reason = "the server restarts" if self._closing else self._shared.backend.fault()
        if reason:
            answer = {"ok": False, "protocol": VERSION, "reason": reason}
            return _json(answer, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"ok": True, "protocol": VERSION})

    def close_player(self, player: PlayerId) -> None:
        """Log a player out: every socket is closed and every ticket forgotten."""
        self.authenticator.tickets.forget(player)
        for connection in tuple(self._players.get(player, ())):
            connection.close(CloseCode.EXPIRED, "logged out")

    async def close(self, timeout_s: float = 7.0) -> None:
        """Take no more sockets, answer what is in flight, close every socket with 1012, cut those that linger.

        Args:
            timeout_s: how long all of it may take, in seconds.
        """
        self._closing = True
        for connection in tuple(self._sockets):
            connection.drain()
        try:
            async with asyncio.timeout(timeout_s):
                while self._sockets:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            _log.warning("sockets cut at shutdown", extra={"sockets": len(self._sockets)})
            for connection in tuple(self._sockets):
                connection.abort()

    async def _serve(self, request: web.Request, address: str) -> web.StreamResponse:
        config = self.config
        socket: WebSocket = web.WebSocketResponse(
            timeout=config.close_timeout_s,
            heartbeat=config.heartbeat_s,
            autoclose=False,
            autoping=False,
            compress=False,
            max_msg_size=config.frame_bytes_max + 1,  # the first size that is refused
            decode_text=False,
        )
        socket.headers.update(SECURITY_HEADERS)
        writer = await socket.prepare(request)
        if request.transport is None:
            return socket
        connection = Connection(self._shared, socket, request.transport, writer, address)
        self._sockets.add(connection)
        try:
            await connection.run()
        finally:
            self._left(connection)
        return socket

    def _joined(self, connection: Connection) -> None:
        """The newest sockets of a player win: what is beyond the bound is closed, oldest first."""
        sockets = self._players.setdefault(connection.player, [])
        sockets.append(connection)
        for oldest in sockets[: -self.config.sockets_per_player_max]:
            sockets.remove(oldest)
            oldest.close(CloseCode.REPLACED, "a newer connection of this player")

    def _left(self, connection: Connection) -> None:
        self._sockets.discard(connection)
        sockets = self._players.get(connection.player, [])
        if connection in sockets:
            sockets.remove(connection)
        if not sockets:
            self._players.pop(connection.player, None)
        if not self._sockets:
            self._empty.set()

    def _later(self, error: Overloaded) -> web.Response:
        """Refuse a connect, and spread those who come again: told the same second, a crowd returns as a crowd."""
        wait_s = ceil(int(str(error.compared.get("retry_after_ms", 0))) / 1000)
        response = _error(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        response.headers[hdrs.RETRY_AFTER] = str(wait_s + 1 + self._random(1)[0] % RETRY_SPREAD_S)
        return response

    def _address(self, request: web.Request) -> str:
        return self._proxies.client(request.remote, ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, [])))

    def _refuse_origin(self, request: web.Request) -> web.Response | None:
        """Browsers always send their origin: only pages that we name may speak for a player."""
        origins = request.headers.getall(hdrs.ORIGIN, [])
        allowed = (
            self.config.allow_no_origin if not origins else len(origins) == 1 and origins[0] in self.config.origins
        )
        return None if allowed else _error(HTTPStatus.FORBIDDEN, "this origin may not connect")

    def _allow_origin(self, request: web.Request, response: web.Response) -> web.Response:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "POST"
            response.headers[hdrs.VARY] = "Origin"
        return response


def routes(config: GatewayConfig, gateway: Callable[[], Gateway]) -> list[web.RouteDef]:
    """Give the gateway's routes, for `app.add_routes`.

    Args:
        config: where they stand.
        gateway: asked for at each request: an embedded gateway exists only once its application has started.
    """

    async def play(request: web.Request) -> web.StreamResponse:
        return await gateway().play(request)

    async def nonce(request: web.Request) -> web.Response:
        return await gateway().nonce(request)

    async def nonce_preflight(request: web.Request) -> web.Response:
        return await gateway().nonce_preflight(request)

    async def health(request: web.Request) -> web.Response:
        return await gateway().health(request)

    path = config.path.rstrip("/")
    return [
        web.get(config.path, play),
        web.post(f"{path}/nonce", nonce),
        web.options(f"{path}/nonce", nonce_preflight),
        web.get(f"{path}/health", health),
    ]


def _json(value: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", headers=SECURITY_HEADERS
    )


def _error(status: HTTPStatus, message: str) -> web.Response:
    return _json({"error": message}, status)
