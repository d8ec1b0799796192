"""A player's client in Python: for bots, tests, and game servers that play for somebody.

::

    async with GameClient("http://localhost:8080/play", by_token("…")) as client:
        handle = await client.act(permission_id, "attack", [7], key="match42:t19")  # accepted: on disk
        outcome = await handle.settled(timeout=2)
        async for event in client.events():
            ...
"""

import asyncio
import random
import secrets
from asyncio import Future, Task
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, Self
from weakref import WeakSet, WeakValueDictionary

import aiohttp

from gamekit.client.handle import ActionHandle, Settlement
from gamekit.client.link import Link
from gamekit.client.login import LoginSource
from gamekit.client.stream import EventStream
from gamekit.errors import GamekitError, OutcomeUnknown
from gamekit.eth.transaction import SignedAuthorization
from gamekit.protocol import authorizations
from gamekit.protocol.codec import ClientFrame
from gamekit.protocol.codes import error_of
from gamekit.protocol.events import EventFrames, Finalized, Refused, Reorged, Settled
from gamekit.protocol.messages import (
    Accepted,
    AccountRequest,
    ActionRequest,
    Cancel,
    Done,
    Error,
    Open,
    Ping,
    Pong,
    Propose,
    Proposed,
    Resume,
    Revoke,
    Welcome,
)
from gamekit.protocol.octets import Octets16, Octets20, Octets32, SignatureOctets

CONNECT_S: Final = 30.0
"""How long entering the client may take."""

Reply = Done | Proposed | Error | Pong


class GameClient:
    """One player's client. Use as an async context manager: inside, the login has succeeded.

    Args:
        url: the websocket's address, http or ws.
        login: see `client.login`.
        resume: where an earlier process stopped reading events; `client.position` gives it.
        pause, chance: waiting and jitter of reconnects; tests pass their own.
    """

    def __init__(
        self,
        url: str,
        login: LoginSource,
        *,
        resume: Resume | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._url = url
        self._login = login
        self._resume = resume
        self._pause = pause
        self._chance = chance
        self._http: aiohttp.ClientSession | None = None
        self._link: Link | None = None
        self._running: Task[None] | None = None  # a client is an edge: it reads while its caller does other things
        self._handles: WeakValueDictionary[tuple[bytes, str], ActionHandle] = WeakValueDictionary()
        self._replies: dict[int, Future[Reply]] = {}
        self._up = asyncio.Event()
        self._streams: WeakSet[EventStream] = WeakSet()
        self._error: GamekitError | None = None
        self._welcome: Welcome | None = None

    def __repr__(self) -> str:
        return f"<GameClient {self._welcome.player if self._welcome else 'nobody yet'} at {self._url}>"

    async def __aenter__(self) -> Self:
        """Connect and log in. Raises AuthenticationFailed, or OutcomeUnknown when there is no answer in time."""
        self._http = aiohttp.ClientSession()
        self._link = Link(
            self._http, self._url, self._login, self, resume=self._resume, pause=self._pause, chance=self._chance
        )
        self._running = asyncio.create_task(self._link.run(), name="gamekit client")
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._up.wait()
        except TimeoutError as error:
            await self.close()
            raise OutcomeUnknown("no welcome in time", url=self._url) from error
        if self._error is not None:
            await self.close()
            raise self._error
        return self

    async def __aexit__(self, *_: object) -> Literal[False]:
        await self.close()
        return False

    async def close(self) -> None:
        """Disconnect. What was accepted goes on without us."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        if self._http is not None:
            await self._http.close()
        self.ended(self._error or OutcomeUnknown("the client was closed"))

    @property
    def welcome(self) -> Welcome:
        """What the server said last: player, sessions, limits. Raises OutcomeUnknown before the login."""
        if self._welcome is None:
            raise OutcomeUnknown("not logged in yet")
        return self._welcome

    @property
    def position(self) -> Resume | None:
        """Where the next process can go on reading events."""
        return self._link.resume if self._link is not None else self._resume

    async def act(
        self,
        permission_id: bytes,
        function: str,
        arguments: Sequence[Any] | Mapping[str, Any] = (),
        *,
        key: str = "",
        not_after: int = 0,
        value: int = 0,
        journal_epoch: bytes = b"",
    ) -> ActionHandle:
        """Ask for one action; returns when it is accepted, which is: on disk.

        Args:
            permission_id: the session.
            function: a function of the game's manifest.
            arguments: in the ABI's order, or by name.
            key: idempotency key; left out, a random one. Asking again with the same key and body is harmless.
            not_after: chain time after which it is refused rather than signed; 0 is never.
            value: native currency to carry, in wei.
            journal_epoch: for a retry, `welcome.journal_epoch` as it was when it was first asked for: if the server's
                journal was restored since, it is never executed again, and the chain tells what became of it.

        Raises: what the server refused it with; `error.outcome` says whether to ask again.
        """
        plain = dict(arguments) if isinstance(arguments, Mapping) else list(arguments)
        request = ActionRequest(key or secrets.token_hex(12), function, plain, not_after, "", str(value))
        (answer,) = await self.act_many(permission_id, [request], journal_epoch)
        if isinstance(answer, GamekitError):
            raise answer
        return answer

    async def act_many(
        self, permission_id: bytes, actions: Sequence[ActionRequest], journal_epoch: bytes = b""
    ) -> list[ActionHandle | GamekitError]:
        """Ask for actions in order; gives a handle for each that is accepted, an error for each that is not.

        Actions of one group must fit one frame. For `journal_epoch` see `act`.
        """
        link, session = self._ready(), Octets32(permission_id)
        handles = [self._handle(session, action.key) for action in actions]
        epoch = Octets16(journal_epoch or self.welcome.journal_epoch)
        size = self.welcome.limits.actions_per_frame_max
        for first in range(0, len(actions), size):
            await link.offer(session, actions[first : first + size], epoch)
        return [await handle.accepted() for handle in handles]

    async def cancel(self, permission_id: bytes, key: str) -> bool:
        """Take an action back that is not signed yet; False when it is too late, or unknown."""
        return await self._done(lambda request_id: Cancel(request_id, Octets32(permission_id), key))

    async def revoke(self, permission_id: bytes) -> None:
        """End a session: nothing is signed from now on; `session_revoked` tells when the chain refuses its key."""
        await self._done(lambda request_id: Revoke(request_id, Octets32(permission_id)))

    async def propose(
        self, game: str, unit: str, owner: bytes, *, stack: str = "", entry_point_version: str = ""
    ) -> Proposed:
        """Ask for what the owner's wallet must sign to open a session.

        Where the answer has an `authorization`, the owner's key signs that, too: see `client.login.authorize`.
        """
        account = AccountRequest(Octets20(owner), stack, entry_point_version)
        reply = await self._ask(lambda request_id: Propose(request_id, game, unit, account))
        if not isinstance(reply, Proposed):
            raise OutcomeUnknown("the server answered something else")
        return reply

    async def open(self, request_id: str, signature: bytes, authorization: SignedAuthorization | None = None) -> None:
        """Hand in what the wallet signed; `session_opened` tells that it plays, `session_lapsed` that it never will.

        Args:
            request_id: of what was proposed.
            signature: over its payload.
            authorization: what its `authorization` became, if it has one.
        """
        handed = authorizations.hand_in(authorization)
        await self._done(lambda number: Open(number, request_id, SignatureOctets(signature), handed))

    async def ping(self) -> None:
        """Make sure that the server reads."""
        await self._ask(Ping)

    def events(self) -> EventStream:
        """Follow the player's durable events from now on, across reconnects."""
        events = EventStream()
        if self._error is not None:
            events.fail(self._error)
        self._streams.add(events)
        return events

    # The link's listener.

    def welcomed(self, welcome: Welcome) -> None:
        """Take the welcome; requests of the connection before are lost, and all outcomes of a journal before."""
        if self._welcome is not None and self._welcome.journal_epoch != welcome.journal_epoch:
            for handle in list(self._handles.values()):
                handle.lose(OutcomeUnknown("the server's journal was restored", key=handle.key))
        self._welcome = welcome
        self._up.set()
        self._lose_replies(OutcomeUnknown("the connection was lost before the answer"))

    def answered(self, answer: Accepted | Refused | Done | Proposed | Error | Pong) -> None:
        """Give an answer to whoever waits for it."""
        if isinstance(answer, Accepted):
            for accepted in answer.actions:
                if handle := self._handles.get((answer.permission_id, accepted.key)):
                    handle.take_accepted(accepted.action_id)
        elif isinstance(answer, Refused):
            self._refused(answer)
        elif (reply := self._replies.pop(answer.id, None)) is not None and not reply.done():
            reply.set_result(answer)

    def happened(self, event: EventFrames) -> None:
        """Give an event to the handles that it concerns, and to whoever reads events."""
        match event:
            case Settled():
                for action in event.actions:
                    outcome = Settlement(
                        action.ok, action.error, event.user_op_hash, event.transaction_hash, event.block_number
                    )
                    for handle in self._find(event.permission_id, (action.key,)):
                        handle.take_settled(action.action_id, outcome)
            case Reorged():
                for handle in self._find(event.permission_id, event.keys):
                    handle.take_back()
            case Finalized():
                for handle in self._find(event.permission_id, event.keys):
                    handle.take_final()
            case Refused():
                self._refused(event)
        for stream in list(self._streams):
            stream.put(event)

    def ended(self, error: GamekitError) -> None:
        """The link has given up: so does everybody who waits."""
        self._error = self._error or error
        self._up.set()
        self._lose_replies(error)
        for handle in list(self._handles.values()):
            handle.lose(error)
        for stream in list(self._streams):
            stream.fail(error)

    def _refused(self, refused: Refused) -> None:
        for action in refused.actions:
            error = error_of(action.code, action.outcome, action.message, action.compared)
            for handle in self._find(refused.permission_id, (action.key,)):
                handle.take_refused(error)

    def _find(self, permission_id: bytes, keys: Iterable[str]) -> Iterable[ActionHandle]:
        return [handle for key in keys if (handle := self._handles.get((permission_id, key))) is not None]

    def _handle(self, permission_id: Octets32, key: str) -> ActionHandle:
        handle = self._handles.get((permission_id, key))
        if handle is None or handle.is_refused:
            handle = self._handles[permission_id, key] = ActionHandle(permission_id, key)
        return handle

    def _ready(self) -> Link:
        if self._error is not None:
            raise self._error
        if self._link is None:
            raise OutcomeUnknown("not connected: use `async with`")
        return self._link

    async def _done(self, make: Callable[[int], ClientFrame]) -> bool:
        reply = await self._ask(make)
        return isinstance(reply, Done) and reply.done

    async def _ask(self, make: Callable[[int], ClientFrame]) -> Reply:
        """Send a request and wait for its answer. Raises what the server refused it with."""
        reply: Future[Reply] = asyncio.get_running_loop().create_future()

        def register(request_id: int) -> ClientFrame:
            self._replies[request_id] = reply
            return make(request_id)

        await self._ready().ask(register)
        answer = await reply
        if isinstance(answer, Error):
            raise error_of(answer.code, answer.outcome, answer.message, answer.compared)
        return answer

    def _lose_replies(self, error: GamekitError) -> None:
        replies, self._replies = self._replies, {}
        for reply in replies.values():
            if not reply.done():
                reply.set_exception(error)
