"""One socket: reads frames, asks the peer what they mean, calls the kit, writes what comes back.

The handler's own task is the only one a socket has. Nothing waits to write: all frames of one loop tick leave in one
write, and the transport's buffer, bounded by `SendWindow`, is the send queue. Answers to `act` come by callback, so the
socket reads on while actions are on their way to disk, up to `frames_in_flight_max`; beyond it the socket is not read,
and TCP passes the pressure on to the client.
"""

import asyncio
import logging
from asyncio import Future, TimerHandle, Transport
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter
from msgspec import Struct

from gamekit.config import GatewayConfig
from gamekit.core.journal import Event
from gamekit.errors import ActionInvalid, AuthenticationFailed, GamekitError, OutcomeUnknown, Overloaded
from gamekit.gateway.auth import Authenticator, Identity
from gamekit.gateway.backend import Answer, Backend, SessionView
from gamekit.gateway.limits import Limits
from gamekit.gateway.sending import BINARY, CLOSE, PONG, TEXT, SendWindow, frame_header
from gamekit.protocol import authorizations
from gamekit.protocol.answers import answer_act, refuse_all, request_failed
from gamekit.protocol.codec import ServerFrame, encode
from gamekit.protocol.messages import (
    VERSION,
    Act,
    Cancel,
    Done,
    Hello,
    Open,
    Propose,
    Proposed,
    Revoke,
    SessionInfo,
    Welcome,
)
from gamekit.protocol.messages import Limits as ToldLimits
from gamekit.protocol.octets import Octets16, Octets20, Octets32
from gamekit.protocol.peer import Close, CloseCode, Peer, PeerLimits, Reply, State
from gamekit.units import Address, ChainId, PermissionId, PlayerId

WebSocket = web.WebSocketResponse[Literal[False]]

_log = logging.getLogger("gamekit.gateway")


class Counts(Struct):
    """What the gateway did since it started."""

    logins: int = 0
    logins_refused: int = 0
    frames_received: int = 0
    frames_sent: int = 0
    writes: int = 0
    actions_offered: int = 0
    closed: dict[int, int] = {}
    """Connections that the server closed, by code."""


class Shared(Struct, frozen=True):
    """What all sockets of a gateway share."""

    config: GatewayConfig
    chain_id: ChainId
    backend: Backend
    authenticator: Authenticator
    limits: Limits
    monotonic: Callable[[], float]
    """Seconds for rates and timeouts."""
    wall: Callable[[], float]
    """Unix seconds, for logins only."""
    joined: Callable[["Connection"], None]
    """Called when a player has logged in."""
    counts: Counts

    @property
    def peer_limits(self) -> PeerLimits:
        """What one connection may ask for. A frame that no bucket could ever hold is not promised."""
        config = self.config
        most = min(config.actions_per_frame_max, config.burst_player, config.burst_address)
        return PeerLimits(most, config.frames_per_s, config.frames_burst)


class Connection:
    """One websocket, from its upgrade to its end."""

    def __init__(
        self, shared: Shared, socket: WebSocket, transport: Transport, writer: AbstractStreamWriter, address: str
    ) -> None:
        self._shared = shared
        self._backend = shared.backend
        self._socket = socket
        self._transport = transport
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._peer = Peer(shared.peer_limits)
        self._window = SendWindow(shared.config.send_queue_frames_max, shared.config.send_queue_bytes_max)
        self._outbox: list[bytes] = []  # header and payload by turns, since the last write
        self._in_flight = 0  # act frames that the backend has not answered
        self._room: Future[None] | None = None  # set while the reader waits for in_flight to fall
        self._heard_at = self._loop.time()
        self._draining = False
        self._owner: Address | None = None  # the wallet that logged in, if it was one
        self._closers: list[Callable[[], None]] = []  # what to undo when the socket ends
        self._watching: TimerHandle | None = None
        self.address = address
        self.player = PlayerId("")
        """Empty until the login."""

    def __repr__(self) -> str:
        return f"<Connection {self.player or self.address} {self._peer!r} in_flight={self._in_flight}>"

    async def run(self) -> None:
        """Serve the socket until it ends."""
        try:
            self._watch()
            hello = await self._login()
            if hello is not None:
                await self._catch_up()
                await self._serve()
        finally:
            # Whatever ended it, an error of ours too: say so, let go of everything, and cut the line if it lingers.
            self.close(CloseCode.SERVER_FAILED, "the server failed")
            for undo in self._closers:
                undo()
            if self._watching is not None:
                self._watching.cancel()

    def close(self, code: CloseCode, reason: str) -> None:
        """Close from outside: what is queued leaves first, then the close frame; the line is cut if that takes long."""
        closing = self._peer.close(code, reason)
        if closing is not None:
            self._write_close(closing)

    def drain(self) -> None:
        """Take no more actions, answer those in flight, then close for a restart."""
        self._draining = True
        if not self._in_flight:
            self.close(CloseCode.RESTART, f"the server restarts; resume from {self._peer.sent}")

    def abort(self) -> None:
        """Cut the line."""
        self._transport.abort()

    # Reading.

    def _watch(self) -> None:
        """Cut a line that brings no whole frame, not even a pong, for too long. One timer, not one for each frame."""
        limit = self._shared.config.receive_timeout_s
        silent = self._loop.time() - self._heard_at
        if silent >= limit:
            self.close(CloseCode.TRY_LATER, "nothing came for too long")
            self.abort()
            return
        self._watching = self._loop.call_later(limit - silent, self._watch)

    async def _login(self) -> Hello | None:
        config = self._shared.config
        try:
            async with asyncio.timeout(config.authenticate_timeout_s):
                hello = await self._next()
                if not isinstance(hello, Hello):
                    return None
                identity = await self._shared.authenticator.authenticate(hello.login, self.address, self._shared.wall())
        except TimeoutError:
            self.close(CloseCode.UNAUTHENTICATED, f"no login within {config.authenticate_timeout_s:g} s")
        except AuthenticationFailed as error:
            self._shared.counts.logins_refused += 1
            _log.info("login refused", extra={"address": self.address, "reason": str(error.__cause__ or error)})
            self.close(CloseCode.UNAUTHENTICATED, str(error))
        except Overloaded as error:
            self.close(CloseCode.TRY_LATER, str(error))
        else:
            self._welcome(hello, identity)
            return hello
        await self._next()
        return None

    def _welcome(self, hello: Hello, identity: Identity) -> None:
        shared, backend, player = self._shared, self._backend, identity.player
        self.player, self._owner = player, identity.owner
        now = shared.monotonic()
        buckets = shared.limits.action_buckets(player, self.address, now)
        resumed = self._peer.welcome(backend.journal_epoch, backend.cursor, hello.resume, buckets, backend.ended_epochs)
        # By way of the loop: whatever fails here must not fail the runtime, which calls back in the middle of its work.
        self._closers.append(backend.subscribe(player, self._soon_live))
        life_s = min(shared.config.life_s_max, identity.until - shared.wall())
        expired = partial(self.close, CloseCode.EXPIRED, "log in again")
        self._closers.append(self._loop.call_later(life_s, expired).cancel)
        shared.counts.logins += 1
        limits, config = shared.peer_limits, shared.config
        self._send(
            Welcome(
                version=VERSION,
                player=player,
                journal_epoch=Octets16(backend.journal_epoch),
                cursor=self._peer.sent,
                resumed=resumed,
                chain_id=shared.chain_id,
                sessions=tuple(map(_session_info, backend.sessions_of(player))),
                limits=ToldLimits(
                    config.frame_bytes_max,
                    limits.actions_per_frame_max,
                    config.actions_per_s_player,
                    config.burst_player,
                    config.heartbeat_s,
                ),
                ticket=identity.ticket,
                ticket_until=identity.until,
            )
        )
        shared.joined(self)

    async def _catch_up(self) -> None:
        """Send what the client missed, page by page, as fast as it reads."""
        peer = self._peer
        limit = max(1, self._shared.config.send_queue_frames_max // 2)
        try:
            while peer.behind and peer.state is State.AUTHENTICATED:
                async with asyncio.timeout(self._shared.config.receive_timeout_s):
                    for frame in peer.page(await self._backend.events(self.player, peer.sent, limit), limit):
                        self._send(frame)
                    self._flush()
                    await self._writer.drain()
        except TimeoutError:
            self.close(CloseCode.TRY_LATER, f"reads too slowly; resume from {peer.acknowledged}")
        except ConnectionError:
            self.abort()

    async def _serve(self) -> None:
        while (step := await self._next()) is not None:
            if isinstance(step, Act):
                self._act(step)
                if self._in_flight >= self._shared.config.frames_in_flight_max:
                    await self._wait_for_room()
            elif not isinstance(step, Hello):
                await self._ask(step)

    async def _next(self) -> Hello | Act | Cancel | Revoke | Propose | Open | None:
        """Read up to the next frame that is not done with by itself; None when the socket has ended."""
        peer, monotonic, counts = self._peer, self._shared.monotonic, self._shared.counts
        while True:
            message = await self._socket.receive()
            self._heard_at = self._loop.time()
            kind = message.type
            if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
                counts.frames_received += 1
                step = peer.receive(message.data, monotonic(), binary=kind is WSMsgType.BINARY)
            elif kind is WSMsgType.PING:
                step = peer.count_frame(monotonic())
                self._queue(PONG, message.data)
            elif kind is WSMsgType.PONG:
                continue
            else:
                self._ended()
                return None
            if isinstance(step, Reply):
                self._send(step.frame)
            elif isinstance(step, Close):
                self._write_close(step)
            elif step is not None:
                return step

    def _ended(self) -> None:
        """The client closed, or answered our close frame."""
        if self._peer.state is State.CLOSING:
            self._transport.close()  # both close frames are through; aiohttp must not send a second one
        else:
            self._peer.close(CloseCode.NORMAL, "")

    # Asking the kit.

    def _act(self, act: Act) -> None:
        self._shared.counts.actions_offered += len(act.actions)
        if self._draining:
            self._send(refuse_all(act, Overloaded("the server restarts", queue="restart")))
            return
        try:
            # A retry from before a restore is never executed: the kit finds out what became of it.
            is_older = act.journal_epoch != self._backend.journal_epoch
            take = self._backend.recall if is_older else self._backend.act
            future = take(self.player, PermissionId(bytes(act.permission_id)), act.actions)
        except GamekitError as error:
            self._send(refuse_all(act, error))
            return
        self._in_flight += 1
        future.add_done_callback(partial(self._acted, act))

    def _acted(self, act: Act, done: "Future[list[Answer]]") -> None:
        self._in_flight -= 1
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        error = OutcomeUnknown("the server stopped waiting") if done.cancelled() else done.exception()
        if error is None:
            epoch = self._backend.journal_epoch
            results = [
                result if isinstance(result, GamekitError) else (result.key, result.action_id)
                for result in done.result()
            ]
            for frame in answer_act(act, epoch, results):
                self._send(frame)
        elif isinstance(error, GamekitError):
            self._send(refuse_all(act, error))
        else:
            _log.error("accepting actions failed", exc_info=error, extra={"player": self.player})
            self.close(CloseCode.SERVER_FAILED, "the server failed")
        if self._draining:
            self.drain()

    async def _wait_for_room(self) -> None:
        """Do not read while the kit is behind."""
        self._room = self._loop.create_future()
        try:
            async with asyncio.timeout(self._shared.config.behind_timeout_s):
                await self._room
        except TimeoutError:
            self.close(CloseCode.TRY_LATER, f"the server is behind; resume from {self._peer.sent}")
        finally:
            self._room = None

    async def _ask(self, frame: Cancel | Revoke | Propose | Open) -> None:
        try:
            async with asyncio.timeout(self._shared.config.request_timeout_s):
                self._send(await self._answer(frame))
        except TimeoutError:
            self._send(request_failed(frame.id, OutcomeUnknown("no answer in time")))
        except GamekitError as error:
            self._send(request_failed(frame.id, error))

    async def _answer(self, frame: Cancel | Revoke | Propose | Open) -> Done | Proposed:
        backend, player = self._backend, self.player
        match frame:
            case Cancel():
                permission_id = PermissionId(bytes(frame.permission_id))
                return Done(frame.id, await backend.cancel(player, permission_id, frame.key))
            case Revoke():
                await backend.revoke(player, PermissionId(bytes(frame.permission_id)))
                return Done(frame.id, done=True)
            case Open():
                authorization = authorizations.handed_in(frame.authorization)
                await backend.open_session(player, frame.request_id, bytes(frame.signature), authorization)
                return Done(frame.id, done=True)
            case Propose():
                owner = Address(bytes(frame.account.owner))
                if self._owner not in (None, owner):
                    # Else a player could tie somebody else's account to their own name.
                    raise ActionInvalid("sessions are opened by the wallet that logged in", asked=owner)
                request = await backend.propose_session(player, frame.game, frame.unit, frame.account)
                return Proposed(
                    frame.id,
                    request.request_id,
                    Octets32(request.permission_id),
                    Octets20(request.account),
                    Octets20(request.signer),
                    request.method,
                    request.payload,
                    request.readable,
                    request.explanation,
                    request.sign_before,
                    authorizations.ask(request.authorization),
                )

    # Writing.

    def _soon_live(self, events: Sequence[Event]) -> None:
        self._loop.call_soon(self._live, events)

    def _live(self, events: Sequence[Event]) -> None:
        told = False
        try:
            for frame in self._peer.live(events):
                self._send(frame)
            told = True
        finally:
            if not told:  # an event that cannot be told is not passed over in silence
                self.close(CloseCode.SERVER_FAILED, "the server failed")

    def _send(self, frame: ServerFrame) -> None:
        binary = self._peer.binary
        self._queue(BINARY if binary else TEXT, encode(frame, binary=binary))

    def _queue(self, opcode: int, payload: bytes) -> None:
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox += (frame_header(opcode, len(payload)), payload)

    def _flush(self) -> None:
        """Write everything that this tick brought, in one go."""
        outbox, self._outbox = self._outbox, []
        if not outbox or self._peer.state is State.CLOSING or self._socket.closed or self._transport.is_closing():
            return
        data = b"".join(outbox)
        frames = len(outbox) // 2
        if not self._window.admit(frames, len(data), self._transport.get_write_buffer_size()):
            self.close(CloseCode.TRY_LATER, f"reads too slowly; resume from {self._peer.acknowledged}")
            return
        self._shared.counts.writes += 1
        self._shared.counts.frames_sent += frames
        self._transport.write(data)

    def _write_close(self, closing: Close) -> None:
        """Write what is queued and the close frame, and give the client a bounded time to answer it."""
        counts = self._shared.counts
        counts.closed[closing.code] = counts.closed.get(closing.code, 0) + 1
        if self._socket.closed or self._transport.is_closing():
            return
        outbox, self._outbox = self._outbox, []
        payload = closing.code.to_bytes(2, "big") + closing.reason.encode()
        self._transport.write(b"".join((*outbox, frame_header(CLOSE, len(payload)), payload)))
        self._closers.append(self._loop.call_later(self._shared.config.close_timeout_s, self.abort).cancel)


def _session_info(view: SessionView) -> SessionInfo:
    return SessionInfo(
        Octets32(view.permission_id),
        view.game,
        view.unit,
        Octets20(view.account),
        view.state,
        view.valid_until,
        view.functions,
    )
