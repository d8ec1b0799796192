"""An action that a client asked for, to wait on."""

import asyncio
from asyncio import Future
from typing import TypeVar

from msgspec import Struct

from gamekit.errors import GamekitError, OutcomeUnknown
from gamekit.protocol.octets import Octets32

T = TypeVar("T")


class Settlement(Struct, frozen=True):
    """The outcome of an action on chain."""

    ok: bool
    error: str
    """The game's own error, decoded; empty when ok."""
    user_op_hash: Octets32
    transaction_hash: Octets32
    block_number: int


class ActionHandle:
    """One action. Dropping it, or cancelling a wait on it, never cancels the action."""

    def __init__(self, permission_id: Octets32, key: str) -> None:
        loop = asyncio.get_running_loop()
        self.permission_id = permission_id
        self.key = key
        self._accepted: Future[int | GamekitError] = loop.create_future()
        self._settled: Future[Settlement | GamekitError] = loop.create_future()
        self._final: Future[Settlement | GamekitError] = loop.create_future()

    def __repr__(self) -> str:
        state = "final" if self._final.done() else "settled" if self._settled.done() else "accepted"
        return f"<ActionHandle {self.key!r} {state if self._accepted.done() else 'asked for'}>"

    @property
    def action_id(self) -> int:
        """Its place in the server's journal. Raises what it was refused with, or OutcomeUnknown without an answer."""
        if not self._accepted.done():
            raise OutcomeUnknown("not accepted yet", key=self.key)
        answer = self._accepted.result()
        if isinstance(answer, GamekitError):
            raise answer
        return answer

    @property
    def is_refused(self) -> bool:
        """Whether it was not accepted: asking again under the same key is another attempt."""
        return self._accepted.done() and isinstance(self._accepted.result(), GamekitError)

    async def accepted(self) -> "ActionHandle | GamekitError":
        """Wait until it is on disk; gives itself, or why it was refused."""
        answer = await asyncio.shield(self._accepted)
        return answer if isinstance(answer, GamekitError) else self

    async def settled(self, timeout: float | None = None) -> Settlement:
        """Wait for its outcome. A reorg may take it back: ask again, or wait for `final`.

        Args:
            timeout: seconds.

        Raises: what it was refused with; OutcomeUnknown when the time is over: the action goes on.
        """
        return await self._wait(self._settled, timeout)

    async def final(self, timeout: float | None = None) -> Settlement:
        """Wait until its outcome can no longer be taken back. Raises as `settled`."""
        return await self._wait(self._final, timeout)

    async def _wait(self, future: "Future[T | GamekitError]", timeout: float | None) -> T:
        try:
            async with asyncio.timeout(timeout):
                answer = await asyncio.shield(future)
        except TimeoutError as error:
            text = f"action {self.key!r} has no outcome after {timeout} s; it resolves itself"
            raise OutcomeUnknown(text, key=self.key) from error
        if isinstance(answer, GamekitError):
            raise answer
        return answer

    # What the client tells it.

    def take_accepted(self, action_id: int) -> None:
        """It is on disk."""
        _set(self._accepted, action_id)

    def take_settled(self, action_id: int, outcome: Settlement) -> None:
        """It has an outcome; after a reconnect that may be known before the first ack."""
        _set(self._accepted, action_id)
        _set(self._settled, outcome)

    def take_back(self) -> None:
        """A reorg took the outcome back."""
        if self._settled.done():
            self._settled = asyncio.get_running_loop().create_future()

    def take_final(self) -> None:
        """The outcome stays."""
        if self._settled.done():
            _set(self._final, self._settled.result())

    def take_refused(self, error: GamekitError) -> None:
        """It did not happen and will not."""
        _set(self._accepted, error)
        _set(self._settled, error)
        _set(self._final, error)

    def lose(self, error: GamekitError) -> None:
        """Nobody will tell any more."""
        self.take_refused(error)


def _set(future: "Future[T | GamekitError]", value: T | GamekitError) -> None:
    if not future.done():
        future.set_result(value)
