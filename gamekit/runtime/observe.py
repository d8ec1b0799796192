"""Watches what nobody asks about: the games' code, the share of reverts, the age of the head. Pauses by itself.

A pause stops signing at once and durably; what is accepted waits, or dies by its own `not_after`.
"""

import logging
from collections.abc import Sequence

import msgspec

from gamekit.core import event as events
from gamekit.core.event import OperationEvent, PauseEvent
from gamekit.core.journal import Event, Row
from gamekit.core.pausing import GameCode, Pause, RevertRate, function_subject, game_subject
from gamekit.core.setup import ChainSetup
from gamekit.errors import ChainError
from gamekit.eth.hashing import checksum_address, keccak256
from gamekit.ports import ChainReader, Store
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import ALL, Notify
from gamekit.runtime.proxies import read_target
from gamekit.runtime.state import State
from gamekit.units import Address, BlockNumber, PlayerId

log = logging.getLogger(__name__)

BY_ITSELF = "gamekit"


class Observe(Follower):
    """Pauses, resumes, and decides when to pause by itself."""

    def __init__(
        self,
        state: State,
        store: Store,
        chain: ChainReader,
        setup: ChainSetup,
        dispatch: Dispatch,
        notify: Notify,
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._setup = setup
        self._dispatch = dispatch
        self._notify = notify
        self._code: dict[Address, GameCode] = {}
        self._checked_at = BlockNumber(0)
        """The head at which the games' code was last compared."""
        self._reverts: dict[str, RevertRate] = {}
        self._over: list[str] = []
        notify.subscribe(ALL, self._on_events)

    async def recover(self) -> None:
        """Take over the pauses that are in force, and the games' code as it was last seen."""
        for pause in await self._store.select(Pause):
            self._state.pauses.put(pause)
        self._code = {row.address: row for row in await self._store.select(GameCode)}

    async def pause(self, subject: str, reason: str, by: str) -> None:
        """Stop signing for a subject: `chain`, `game:<name>` or `function:<game>.<function>`."""
        await self._pause(subject, reason, by)

    async def _pause(self, subject: str, reason: str, by: str, *why: Row) -> None:
        """Pause, and write what the pause was decided from with it: neither is on disk without the other."""
        pause = Pause(subject, reason, by, self._state.head.timestamp)
        self._state.pauses.put(pause)
        told = self._notify.event(events.PAUSED, ALL, PauseEvent(subject, reason, by))
        await self._notify.write((pause, *why), told)

    async def resume(self, subject: str, reason: str, by: str) -> None:
        """Sign again for a subject; what waited goes on."""
        pause = Pause(subject, reason, by, self._state.head.timestamp, active=False)
        told = self._notify.event(events.RESUMED, ALL, PauseEvent(subject, reason, by))
        await self._notify.write((pause,), told)
        self._state.pauses.put(pause)
        self._dispatch.on_head()

    async def on_head(self) -> None:
        """Compare the games' code now and then; pause what reverts too often."""
        over, self._over = self._over, []
        for subject in over:
            share = self._state.config.pause.revert_percent_max
            window = self._state.config.pause.revert_window
            await self.pause(subject, f"more than {share} % of the latest {window} calls reverted", BY_ITSELF)
        # Counted from the last look: heads are skipped when several blocks come at once.
        if self._state.head.number - self._checked_at >= self._state.config.pause.code_check_blocks:
            try:
                await self.compare_code()
            except ChainError as error:
                log.warning("reading the games' code, again at the next head: %s", error)

    async def compare_code(self) -> None:
        """Pause each game one of whose contracts is not what it was; one that was never seen is taken as it is.

        At start-up too, before anything is signed: an upgrade does not wait for the server to be there.

        Raises: ChainUnavailable when a contract cannot be read; those before it are compared.
        """
        targets: dict[Address, list[str]] = {}
        for game in self._state.games.values():
            for target in game.targets:
                targets.setdefault(target, []).append(game.name)
        for target, games in targets.items():
            await self._compare(target, games)
        self._checked_at = self._state.head.number

    async def _compare(self, target: Address, games: Sequence[str]) -> None:
        """Look at one contract, and pause all games that call it if it has changed."""
        read = await read_target(self._chain, target, self._setup.session_validator)
        now = GameCode(target, keccak256(read.code), read.word, read.told or b"", read.behind or b"")
        before = self._code.get(target)
        if now == before:
            return
        if before is None:
            await self._store.commit((now,))
        else:
            reason = f"the game's contract {checksum_address(target)} changed its {_change(before, now)}"
            for place, game in enumerate(games, 1):
                # What was seen is written with the last pause: a crash in between leads here again.
                why = (now,) if place == len(games) else ()
                await self._pause(game_subject(game), reason, BY_ITSELF, *why)
        self._code[target] = now

    def _on_events(self, told: Sequence[Event]) -> None:
        """Count reverts per function."""
        for event in told:
            if event.kind != events.SETTLED:
                continue
            body = msgspec.msgpack.decode(event.body, type=OperationEvent)
            for action in body.actions:
                subject = function_subject(body.game, action.function)
                self._count(subject, event.player, not action.ok)

    def _count(self, subject: str, player: PlayerId, reverted: bool) -> None:
        limits = self._state.config.pause
        rate = self._reverts.get(subject)
        if rate is None:
            rate = self._reverts[subject] = RevertRate(limits.revert_window, limits.revert_players_min)
        rate.add(player, reverted)
        if reverted and rate.over(limits.revert_percent_max):
            del self._reverts[subject]  # After a resume, a whole window must fill again.
            self._over.append(subject)


def _change(before: GameCode, now: GameCode) -> str:
    if now.code_hash != before.code_hash:
        return "code"
    return "beacon's implementation" if now.behind != before.behind else "implementation"
