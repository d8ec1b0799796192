"""Reports what happened: durable events first, then whoever listens.

An event's row is written in the transaction of the transition that it reports; subscribers are called only after that
transaction is on disk, in cursor order.
"""

import logging
from collections.abc import Callable, Sequence

import msgspec

from gamekit.core.event import ALARM, AlarmEvent
from gamekit.core.journal import Event, Row
from gamekit.errors import StoreError
from gamekit.ports import Store
from gamekit.runtime.state import State
from gamekit.units import Cursor, PlayerId, UnixSeconds

log = logging.getLogger(__name__)

Listener = Callable[[Sequence[Event]], None]

ALL = PlayerId("")
"""Listens to every player's events."""


class Notify:
    """The event stream."""

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._listeners: dict[PlayerId, list[Listener]] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self.next_cursor = Cursor(1)
        self._unused: set[Cursor] = set()
        """Cursors below the next one whose events the disk refused."""

    def event(self, kind: str, player: PlayerId, body: object) -> Event:
        """Make the next event. Commit it in the same step: cursors follow the order of commits."""
        cursor = self.next_cursor
        self.next_cursor = Cursor(cursor + 1)
        head = self._state.history.head
        at = head.timestamp if head else UnixSeconds(0)
        return Event(cursor, kind, player, at, self._encode(body))

    def publish(self, events: Sequence[Event]) -> None:
        """Call the listeners, once the events are on disk."""
        for listener in tuple(self._listeners.get(ALL, ())):
            _call(listener, events)
        for event in events:
            for listener in tuple(self._listeners.get(event.player, ())) if event.player else ():
                _call(listener, (event,))

    async def write(self, rows: Sequence[Row], *told: Event) -> None:
        """Write rows with the events that tell of them, then tell those; to be called in the step that made them.

        Raises: StoreError: then nothing has happened, and the cursors are free again unless later ones are taken.
        """
        try:
            await self._store.commit((*rows, *told))
        except StoreError:
            self._unused.update(event.cursor for event in told)
            while self.next_cursor - 1 in self._unused:
                self.next_cursor = Cursor(self.next_cursor - 1)
                self._unused.discard(self.next_cursor)
            raise
        self.publish(told)

    async def alarm(self, what: str, detail: str) -> None:
        """Tell an operator, durably, of something that must be looked at."""
        event = self.event(ALARM, ALL, AlarmEvent(what, detail))
        await self.write((), event)

    def subscribe(self, player: PlayerId, listener: Listener) -> Callable[[], None]:
        """Listen to one player's events, or to `ALL`; call what is returned to stop."""
        listeners = self._listeners.setdefault(player, [])
        listeners.append(listener)

        def stop() -> None:
            listeners.remove(listener)
            if not listeners and self._listeners.get(player) is listeners:
                del self._listeners[player]

        return stop

    async def since(self, cursor: Cursor, limit: int, player: PlayerId = ALL) -> list[Event]:
        """Read events after a cursor, in order; one player's, or all."""
        if player:
            return await self._store.select(Event, after=cursor, limit=limit, player=player)
        return await self._store.select(Event, after=cursor, limit=limit)


def _call(listener: Listener, events: Sequence[Event]) -> None:
    """Call code that is not ours: whatever it raises is its own affair, and must not stop the ones who sign."""
    try:
        listener(events)
    except Exception:
        log.exception("a listener failed; it can read what it missed after its last cursor")
