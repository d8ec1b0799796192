"""Watches what nobody asks about: the games' code, the share of reverts, the age of the head. Pauses by itself.

A pause stops signing at once and durably; what is accepted waits, or dies by its own `not_after`.
"""

import logging
from collections.abc import Sequence

import msgspec

from gamekit.core import event as events
from gamekit.core.event import OperationEvent, PauseEvent
from gamekit.core.journal import Event
from gamekit.core.pausing import Pause, RevertRate, function_subject, game_subject
from gamekit.errors import ChainError
from gamekit.eth.hashing import keccak256
from gamekit.ports import ChainReader, Store
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import ALL, Notify
from gamekit.runtime.state import State
from gamekit.units import Address, Hash32

log = logging.getLogger(__name__)

IMPLEMENTATION_SLOT = Hash32(
    (int.from_bytes(keccak256(b"eip1967.proxy.implementation"), "big") - 1).to_bytes(32, "big")
)
"""Where a proxy keeps its implementation. Source: ERC-1967."""

BY_ITSELF = "gamekit"


class Observe(Follower):
    """Pauses, resumes, and decides when to pause by itself."""

    def __init__(self, state: State, store: Store, chain: ChainReader, dispatch: Dispatch, notify: Notify) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._dispatch = dispatch
        self._notify = notify
        self._code: dict[Address, tuple[bytes, Hash32]] = {}
        self._reverts: dict[str, RevertRate] = {}
        self._over: list[str] = []
        notify.subscribe(ALL, self._on_events)

    async def recover(self) -> None:
        """Take over the pauses that are in force, and the games' code as it is now."""
        for pause in await self._store.select(Pause):
            self._state.pauses.put(pause)
        for game in self._state.games.values():
            self._code[game.address] = await self._read_code(game.address)

    async def pause(self, subject: str, reason: str, by: str) -> None:
        """Stop signing for a subject: `chain`, `game:<name>` or `function:<game>.<function>`."""
        pause = Pause(subject, reason, by, self._state.head.timestamp)
        self._state.pauses.put(pause)
        told = self._notify.event(events.PAUSED, ALL, PauseEvent(subject, reason, by))
        await self._store.commit((pause, told))
        self._notify.publish((told,))

    async def resume(self, subject: str, reason: str, by: str) -> None:
        """Sign again for a subject; what waited goes on."""
        pause = Pause(subject, reason, by, self._state.head.timestamp, active=False)
        told = self._notify.event(events.RESUMED, ALL, PauseEvent(subject, reason, by))
        await self._store.commit((pause, told))
        self._state.pauses.put(pause)
        self._notify.publish((told,))
        self._dispatch.on_head()

    async def on_head(self) -> None:
        """Compare the games' code now and then; pause what reverts too often."""
        over, self._over = self._over, []
        for subject in over:
            share = self._state.config.pause.revert_percent_max
            window = self._state.config.pause.revert_window
            await self.pause(subject, f"more than {share} % of the latest {window} calls reverted", BY_ITSELF)
        if self._state.head.number % self._state.config.pause.code_check_blocks == 0:
            for game in self._state.games.values():
                await self._compare_code(game.name, game.address)

    async def _compare_code(self, game: str, address: Address) -> None:
        try:
            now = await self._read_code(address)
        except ChainError as error:
            log.warning("reading the code of %s: %s", game, error)
            return
        before = self._code.setdefault(address, now)
        if now != before:
            self._code[address] = now
            what = "code" if now[0] != before[0] else "implementation"
            await self.pause(game_subject(game), f"the game's contract changed its {what}", BY_ITSELF)

    async def _read_code(self, address: Address) -> tuple[bytes, Hash32]:
        code = await self._chain.code(address)
        return keccak256(code), await self._chain.storage(address, IMPLEMENTATION_SLOT)

    def _on_events(self, told: Sequence[Event]) -> None:
        """Count reverts per function."""
        for event in told:
            if event.kind != events.SETTLED:
                continue
            body = msgspec.msgpack.decode(event.body, type=OperationEvent)
            for action in body.actions:
                subject = function_subject(body.game, action.function)
                self._count(subject, not action.ok)

    def _count(self, subject: str, reverted: bool) -> None:
        rate = self._reverts.get(subject)
        if rate is None:
            rate = self._reverts[subject] = RevertRate(self._state.config.pause.revert_window)
        rate.add(reverted)
        if reverted and rate.over(self._state.config.pause.revert_percent_max):
            self._reverts[subject] = RevertRate(self._state.config.pause.revert_window)
            self._over.append(subject)
