"""An event loop in virtual time: it never sleeps, and the same program runs in the same order every time.

Where a real loop would wait, this one moves its clock to the next timer. Where a real loop would wait for ever, it
says so: with no timer and nothing ready, no later moment can change anything.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Stalled(Exception):
    """Nothing will ever happen: no task is ready and no timer is set, and what was waited for has not come."""


class _TimeSelector(selectors.BaseSelector):
    """Watches nothing. Waiting moves the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: ANN401
        """Take the loop's own pipe, which nobody ever writes to."""
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, -1, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:  # noqa: ANN401
        """Give the pipe back."""
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the clock on. Raises Stalled when there is no timer."""
        if timeout is None:
            raise Stalled("nothing will ever happen: no task is ready and no timer is set")
        if timeout > 0:
            self.now += timeout
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """What is registered."""
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop of one thread whose time is made up, in seconds from 0."""

    def __init__(self) -> None:
        self._virtual = _TimeSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Arguments]], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        """Call soon: there is one thread, and nobody to wake."""
        return self.call_soon(callback, *args, context=context)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` is done, in this thread. Raises what it raises, and Stalled."""
        return self.run_until_complete(main)
