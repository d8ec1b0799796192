"""The events of a client, to iterate over."""

import asyncio
from collections import deque
from typing import Final, Self

from gamekit.errors import GamekitError, Overloaded
from gamekit.protocol.events import EventFrames

EVENTS_MAX: Final = 10_000
"""Most events that wait for a reader: beyond it the stream ends, for a gap would be worse."""


class EventStream:
    """Durable events from the moment it was made, across reconnects. Iterate over it; dropping it stops it."""

    def __init__(self) -> None:
        self._waiting: deque[EventFrames] = deque()
        self._changed = asyncio.Event()
        self._error: GamekitError | None = None

    def __repr__(self) -> str:
        return f"<EventStream {len(self._waiting)} waiting>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventFrames:
        """Wait for the next event.

        Raises: what ended the client, once all events before are read; Overloaded when the reader fell too far behind.
        """
        while not self._waiting:
            if self._error is not None:
                raise self._error
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    # What the client tells it.

    def put(self, event: EventFrames) -> None:
        """An event happened."""
        if self._error is not None:
            return
        if len(self._waiting) >= EVENTS_MAX:
            self.fail(Overloaded("events are read too slowly", queue="events", depth_max=EVENTS_MAX))
            return
        self._waiting.append(event)
        self._changed.set()

    def fail(self, error: GamekitError) -> None:
        """No more events will come."""
        self._error = self._error or error
        self._changed.set()
