"""What a caller holds: a session to act in, and an accepted action to wait for."""

import asyncio
from asyncio import Future
from collections.abc import Mapping, Sequence
from typing import Protocol

from gamekit.core.action import ACCEPTED, Action, ActionRequest
from gamekit.core.revocation import Revocation
from gamekit.core.session import Session
from gamekit.errors import GamekitError, OutcomeUnknown
from gamekit.ports import Store
from gamekit.runtime.intake import Answer
from gamekit.runtime.state import State
from gamekit.units import ActionId, PermissionId, UnixSeconds, Wei


class Sessions(Protocol):
    """What a session's handle asks of the façade; `kit.GameKit` satisfies it by its shape."""

    def session_row(self, permission_id: PermissionId) -> Session:
        """The session as it is now."""
        ...

    def accept(self, permission_id: PermissionId, requests: Sequence[ActionRequest]) -> "Future[list[Answer]]":
        """Accept actions of one session, in order."""
        ...

    def handle(self, key: str, action_id: ActionId) -> "ActionHandle":
        """A handle on an accepted action."""
        ...

    async def cancel(self, permission_id: PermissionId, key: str) -> bool:
        """Take an action back that is not signed yet."""
        ...

    async def revoke(self, permission_id: PermissionId, reason: str = "revoked") -> Revocation:
        """End a session."""
        ...

    async def opened(self, permission_id: PermissionId, timeout: float | None = None) -> None:
        """Wait until a session plays."""
        ...


class ActionHandle:
    """One accepted action. Dropping it, or cancelling a wait on it, never cancels the action."""

    __slots__ = ("_state", "_store", "action_id", "key")

    def __init__(self, state: State, store: Store, key: str, action_id: ActionId) -> None:
        self._state = state
        self._store = store
        self.key = key
        self.action_id = action_id

    def __repr__(self) -> str:
        return f"<ActionHandle {self.action_id} {self.key!r}>"

    async def settled(self, timeout: float | None = None) -> Action:
        """Wait for the outcome: the action's row, in state ok, reverted or refused.

        Args:
            timeout: seconds; None waits as long as it takes, which is bounded by the operation's deadline and finality.

        Raises: OutcomeUnknown when the time is over: the action goes on, ask again.
        """
        waiter = asyncio.get_running_loop().create_future()
        # First the waiter, then the look at the journal: an outcome in between is seen by one of them.
        waiters = self._state.waiters.setdefault(self.action_id, [])
        waiters.append(waiter)
        try:
            row = await self._store.get(Action, self.action_id)
            if row is not None and row.state != ACCEPTED:
                return row
            async with asyncio.timeout(timeout):
                settled: Action = await waiter
                return settled
        except TimeoutError as error:
            what, by = self._state.resolved_by(self.action_id)
            text = f"action {self.key!r} has no outcome after {timeout} s; it resolves itself, by {what}"
            told = {"key": self.key, "action_id": self.action_id, "resolved_by": what, "by": by}
            raise OutcomeUnknown(text, **told) from error
        finally:
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters and self._state.waiters.get(self.action_id) is waiters:
                del self._state.waiters[self.action_id]


class SessionHandle:
    """One session, to act in."""

    __slots__ = ("_sessions", "permission_id")

    def __init__(self, sessions: Sessions, permission_id: PermissionId) -> None:
        self._sessions = sessions
        self.permission_id = permission_id

    def __repr__(self) -> str:
        return f"<SessionHandle {self.permission_id.hex()[:8]}>"

    @property
    def row(self) -> Session:
        """The session as it is now."""
        return self._sessions.session_row(self.permission_id)

    async def act(
        self,
        function: str,
        arguments: Sequence[object] | Mapping[str, object] = (),
        *,
        key: str,
        not_after: int = 0,
        value: int = 0,
    ) -> ActionHandle:
        """Ask for one action; returns when it is accepted, which is: on disk.

        Args:
            function: name of a play function in the manifest.
            arguments: by place or by name.
            key: idempotency key; the same key and body gives the same answer, ever.
            not_after: chain time after which it is refused rather than signed; 0 is never.
            value: native currency to carry, in wei, within the session's value limit.

        Raises: ClientError or StoreUnavailable; then nothing was accepted.
        """
        request = ActionRequest(key, function, arguments, UnixSeconds(not_after), "", Wei(value))
        answer = (await self._sessions.accept(self.permission_id, (request,)))[0]
        if isinstance(answer, GamekitError):
            raise answer
        return self._sessions.handle(answer.key, answer.action_id)

    async def act_group(
        self, calls: Sequence[tuple[str, Sequence[object] | Mapping[str, object]]], *, key: str
    ) -> list[ActionHandle]:
        """Ask for actions that belong together: all of them happen, or none.

        Args:
            calls: (function, arguments) each, in order, at most as many as an operation of the session carries.
            key: idempotency key of the group; its members are `key/0`, `key/1` …
        """
        requests = [
            ActionRequest(f"{key}/{place}", function, arguments, group=key)
            for place, (function, arguments) in enumerate(calls)
        ]
        answers = await self._sessions.accept(self.permission_id, requests)
        for answer in answers:
            if isinstance(answer, GamekitError):
                raise answer
        return [self._sessions.handle(a.key, a.action_id) for a in answers if not isinstance(a, GamekitError)]

    async def cancel(self, key: str) -> bool:
        """Take an action back that is not signed yet; False when it is too late, or unknown."""
        return await self._sessions.cancel(self.permission_id, key)

    async def revoke(self, reason: str = "revoked") -> Revocation:
        """End the session: no signature from now on; on chain as soon as a block takes it."""
        return await self._sessions.revoke(self.permission_id, reason)

    async def opened(self, timeout: float | None = None) -> "SessionHandle":
        """Wait until the chain has the grant, `included_depth` deep. Raises OutcomeUnknown when the time is over."""
        await self._sessions.opened(self.permission_id, timeout)
        return self
