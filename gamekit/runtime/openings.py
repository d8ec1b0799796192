"""Bounds what a player's sessions cost the relayers: nobody refunds a grant, nor the revocation of one.

Counted from the sessions' own rows, so a restart forgets nothing. Revoking is never refused: each revocation belongs to
a grant that was counted.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gamekit.core.session import GRANTING, OPEN, PROPOSED, Session
from gamekit.errors import Overloaded
from gamekit.ports import Store
from gamekit.runtime.state import State
from gamekit.units import PermissionId, PlayerId

DAY_S = 86_400


class Openings:
    """Admits proposals and openings of sessions."""

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._under_way: set[PermissionId] = set()
        """Sessions that are being opened and whose row does not say so yet."""

    async def require(self, player: PlayerId) -> None:
        """Refuse a player who may not open another session. Raises Overloaded with the bound."""
        stored = await self._store.select(Session, player=player)
        # No await from here on: the caller may take the room that was found.
        known = {row.permission_id: row for row in stored}
        known |= {row.permission_id: row for row in self._state.sessions.values() if row.player == player}
        limits, now = self._state.config.sessions, self._state.head.timestamp
        # A session's time begins, in chain time, when it is proposed.
        at_once = today = 0
        for row in known.values():
            is_opening = row.permission_id in self._under_way
            at_once += is_opening or row.state in (GRANTING, OPEN)
            today += is_opening or bool(row.grant_data and row.valid_after > now - DAY_S)
        _require("sessions at once", "open_sessions", at_once, limits.sessions_open_max)
        _require("sessions opened within a day", "opens_per_day", today, limits.opens_per_day_max)

    @asynccontextmanager
    async def opening(self, permission_id: PermissionId) -> AsyncIterator[None]:
        """Hold a place while a session is opened; opening it again takes none. Raises Overloaded with the bound."""
        session = self._state.sessions.get(permission_id)
        if session is None or session.state != PROPOSED or permission_id in self._under_way:
            yield
            return
        await self.require(session.player)
        self._under_way.add(permission_id)
        try:
            yield
        finally:
            self._under_way.discard(permission_id)


def _require(what: str, queue: str, depth: int, depth_max: int) -> None:
    if depth >= depth_max:
        text = f"the player has {depth} {what}, at most {depth_max}"
        raise Overloaded(text, queue=queue, depth=depth, depth_max=depth_max)
