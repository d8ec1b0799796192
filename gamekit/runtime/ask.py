"""Asks the game's own server before an action is taken: allow it, deny it, or put another one in its place.

Frames of one lane are asked one after the other, in the order in which they came. The server has a deadline, and what
waits for it is bounded: a slow server refuses actions, it does not hold them.
"""

import asyncio
from asyncio import Lock
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from gamekit.config import LaneConfig
from gamekit.core.action import ActionRequest
from gamekit.core.session import Session
from gamekit.errors import ActionRefused, GamekitError, Overloaded
from gamekit.units import PermissionId

BeforeAction = Callable[[Session, ActionRequest], Awaitable[ActionRequest | None]]
"""The game's own server: give the request back to allow it, another one to rewrite it, None to deny it.

It is asked only for requests that fit the game's manifest. The key and the group stay those that were asked for."""

Judged = ActionRequest | GamekitError
"""What becomes of one request: what to accept in its place, or why not."""

IsNew = Callable[[ActionRequest], Awaitable[bool]]
"""Whether a request must be asked for: its key is not known."""


class Ask:
    """The game's own server, and who waits for it."""

    def __init__(self, before_action: BeforeAction, limits: LaneConfig) -> None:
        self._before_action = before_action
        self._limits = limits
        self.waiting = 0
        """Requests that wait for an answer, or for their turn to be asked, over all lanes."""
        self._turns: dict[PermissionId, tuple[Lock, list[int]]] = {}
        """Who asks for a lane now, and how many frames want to."""

    @asynccontextmanager
    async def turn(self, permission_id: PermissionId, count: int) -> AsyncIterator[float]:
        """Wait until the lane's earlier frames are accepted; gives the time by which the server must have answered.

        Args:
            count: requests of the frame.

        Raises: Overloaded when too many wait already, or when the deadline passes before it is the frame's turn.
        """
        if self.waiting + count > self._limits.before_action_waiting_max:
            raise self._overloaded(f"{self.waiting} requests wait for the game's own server")
        until = asyncio.get_running_loop().time() + self._limits.before_action_timeout_ms / 1000
        lock, frames = self._turns.setdefault(permission_id, (Lock(), [0]))
        frames[0] += 1
        self.waiting += count
        try:
            try:
                async with asyncio.timeout_at(until):
                    await lock.acquire()
            except TimeoutError:
                raise self._late() from None
            try:
                yield until
            finally:
                lock.release()
        finally:
            self.waiting -= count
            frames[0] -= 1
            if not frames[0]:
                del self._turns[permission_id]

    async def judge(
        self, session: Session, asked: Sequence[ActionRequest], is_new: IsNew, until: float
    ) -> list[Judged]:
        """Ask for each new request in order; those that have no answer in time are refused, to be asked again."""
        judged: list[Judged] = list(asked)
        place = 0
        try:
            async with asyncio.timeout_at(until):
                for place, request in enumerate(asked):
                    if await is_new(request):
                        judged[place] = await self._judge_one(session, request)
        except TimeoutError:
            judged[place:] = [self._late()] * (len(asked) - place)
        return judged

    async def _judge_one(self, session: Session, request: ActionRequest) -> Judged:
        answer = await self._before_action(session, request)
        if answer is None:
            return ActionRefused("the game's own server refused the action", key=request.key)
        return replace(answer, key=request.key, group=request.group)

    def _late(self) -> Overloaded:
        return self._overloaded(f"no answer within {self._limits.before_action_timeout_ms} ms")

    def _overloaded(self, why: str) -> Overloaded:
        most = self._limits.before_action_waiting_max
        text = f"the game's own server: {why}, at most {most} may wait"
        return Overloaded(text, queue="before_action", depth=self.waiting, depth_max=most)
