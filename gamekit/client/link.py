"""One player's connection that holds: logs in, reads, reconnects, resumes, sends again what is unanswered.

::

    connect → hello → welcome → (events missed, answers, events) … closed → wait → connect …

Ends by itself only when going on is senseless: login refused, a newer client of the same player, a protocol error.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import aiohttp
from aiohttp import WSCloseCode, WSMsgType

from gamekit.client.login import LoginSource
from gamekit.client.outbox import Outbox
from gamekit.errors import AuthenticationFailed, ClientError, GamekitError, Outcome, OutcomeUnknown, ProtocolViolation
from gamekit.protocol.codec import ClientFrame, ServerFrame, decode_server, encode
from gamekit.protocol.events import EventFrames, Refused
from gamekit.protocol.messages import (
    VERSION,
    Accepted,
    Acknowledge,
    ActionRequest,
    Done,
    Error,
    Hello,
    Pong,
    Proposed,
    Resume,
    TicketLogin,
    Welcome,
)
from gamekit.protocol.octets import Octets16, Octets32
from gamekit.protocol.peer import CloseCode

BACK_OFF_S: Final = 0.2
"""First wait before connecting again; doubles each time."""
BACK_OFF_S_MAX: Final = 20.0
ACKNOWLEDGE_EVERY: Final = 64
"""Events between two acknowledgements."""
ABNORMAL: Final = WSCloseCode.ABNORMAL_CLOSURE
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024

Socket = aiohttp.ClientWebSocketResponse

_log = logging.getLogger("gamekit.client")


class Replaced(ClientError):
    """The server prefers a newer connection of the same player."""

    code = "replaced"


class Listener(Protocol):
    """Who is told what the server says. Called while reading: must not wait."""

    def welcomed(self, welcome: Welcome) -> None:
        """The link is up, again or for the first time."""
        ...

    def answered(self, answer: Accepted | Refused | Done | Proposed | Error | Pong) -> None:
        """A request has its answer."""
        ...

    def happened(self, event: EventFrames) -> None:
        """A durable event; each is told once, in order."""
        ...

    def ended(self, error: GamekitError) -> None:
        """The link has given up."""
        ...


class Link:
    """A connection that reconnects.

    Args:
        url: the websocket's address.
        login: makes a login when there is no ticket.
        listener: is told everything.
        resume: where an earlier process stopped reading.
        pause: waits so many seconds; tests pass their own.
        chance: a number from 0 to 1, for the jitter of the back-off.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        login: LoginSource,
        listener: Listener,
        *,
        resume: Resume | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._http = http
        self._url = url
        self._login = login
        self._listener = listener
        self._resume = resume
        self._pause = pause
        self._chance = chance
        self._ticket = ""
        self._socket: Socket | None = None  # set between welcome and close
        self._sending = asyncio.Lock()  # frames leave in the order of the outbox
        self._unacknowledged = 0
        self.outbox = Outbox()
        self.connects = 0
        """How often the server said welcome."""

    def __repr__(self) -> str:
        return f"<Link to {self._url}, {self.connects} connects, {self.outbox!r}>"

    @property
    def resume(self) -> Resume | None:
        """Where another process could go on reading."""
        return self._resume

    async def run(self) -> None:
        """Hold the connection until it ends for good; the listener is told why. Cancel it to stop."""
        failures = 0
        while True:
            connects = self.connects
            try:
                code = await self._connect()
            except GamekitError as error:
                self._listener.ended(error)
                return
            failures = 0 if self.connects > connects else failures + 1
            if code == CloseCode.REPLACED:
                self._listener.ended(Replaced("a newer connection of this player took over"))
                return
            wait = min(BACK_OFF_S_MAX, BACK_OFF_S * 2 ** min(failures, 16)) * (0.5 + self._chance() / 2)
            _log.info("disconnected", extra={"close_code": code, "wait_s": wait})
            await self._pause(wait)

    async def offer(self, permission_id: Octets32, actions: Sequence[ActionRequest], journal_epoch: Octets16) -> None:
        """Ask for actions. Never fails: what cannot leave now leaves after the next welcome."""
        self.outbox.add(permission_id, journal_epoch, actions)
        await self._flush()

    async def ask(self, make: Callable[[int], ClientFrame]) -> int:
        """Send another request, once: it is not repeated on the next connection.

        Raises: OutcomeUnknown when the connection is down.
        """
        async with self._sending:
            if self._socket is None:
                raise OutcomeUnknown("not connected")
            request_id = self.outbox.next_id()
            await self._send(self._socket, make(request_id))
            return request_id

    async def _connect(self) -> int:
        """Hold one connection. Returns its close code; raises what makes another one senseless."""
        used_ticket = bool(self._ticket)
        try:
            login = TicketLogin(self._ticket) if self._ticket else await self._login(self._http, self._url)
            async with self._http.ws_connect(self._url, max_msg_size=FRAME_BYTES_MAX, autoping=True) as socket:
                await self._send(socket, Hello(VERSION, login, self._resume))
                try:
                    await self._read(socket)
                finally:
                    self._socket = None
                code = socket.close_code or ABNORMAL
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            _log.info("connecting failed", extra={"reason": str(error)})
            return ABNORMAL
        except GamekitError as error:
            if error.outcome is not Outcome.RETRY:
                raise
            _log.info("login put off", extra={"reason": str(error)})
            return ABNORMAL
        if code in (CloseCode.EXPIRED, CloseCode.UNAUTHENTICATED):
            self._ticket = ""
        if code == CloseCode.UNAUTHENTICATED and not used_ticket:
            raise AuthenticationFailed("login refused")
        if code in (CloseCode.VIOLATION, WSCloseCode.MESSAGE_TOO_BIG):
            raise ProtocolViolation("the server says that this client does not follow the protocol")
        return code

    async def _read(self, socket: Socket) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await self._take(socket, decode_server(message.data, binary=True))

    async def _take(self, socket: Socket, frame: ServerFrame) -> None:
        match frame:
            case Welcome():
                await self._welcomed(socket, frame)
            case Accepted() | Done() | Proposed() | Error() | Pong():
                self._answered(frame)
            case Refused() if not frame.cursor:
                self._answered(frame)
            case _:
                self._resume = Resume(self._epoch(), frame.cursor)
                self._listener.happened(frame)
                await self._acknowledge(socket, frame.cursor)

    def _answered(self, frame: Accepted | Refused | Done | Proposed | Error | Pong) -> None:
        if isinstance(frame, Accepted | Refused):
            self.outbox.answered(frame)
        self._listener.answered(frame)

    async def _welcomed(self, socket: Socket, welcome: Welcome) -> None:
        self.connects += 1
        self._ticket = welcome.ticket
        self._unacknowledged = 0
        self._resume = Resume(welcome.journal_epoch, welcome.cursor)
        async with self._sending:
            self.outbox.connected()
            self._socket = socket
        self._listener.welcomed(welcome)
        await self._flush()

    async def _acknowledge(self, socket: Socket, cursor: int) -> None:
        self._unacknowledged += 1
        if self._unacknowledged >= ACKNOWLEDGE_EVERY:
            self._unacknowledged = 0
            await self._send(socket, Acknowledge(cursor))

    async def _flush(self) -> None:
        async with self._sending:
            if self._socket is not None:
                for act in self.outbox.frames():
                    await self._send(self._socket, act)

    async def _send(self, socket: Socket, frame: ClientFrame) -> None:
        with suppress(ConnectionError):  # the reader sees the end of it, and what matters is sent again
            await socket.send_bytes(encode(frame, binary=True))

    def _epoch(self) -> Octets16:
        if self._resume is None:
            raise ProtocolViolation("an event before the welcome")
        return self._resume.journal_epoch
