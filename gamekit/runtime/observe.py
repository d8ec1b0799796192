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
from gamekit.errors import ChainError, ChainUnavailable
from gamekit.eth.hashing import checksum_address, keccak256
from gamekit.ports import ChainReader, Store
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import ALL, Notify
from gamekit.runtime.proxies import read_target
from gamekit.runtime.state import State
from gamekit.units import Address, BlockHash, BlockNumber, PlayerId

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
        self._suspected: dict[Address, tuple[GameCode, BlockHash]] = {}
        """Contracts that one answer had changed: as what, and at which head."""
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
        blocks = self._state.head.number - self._checked_at
        if self._suspected or blocks >= self._state.config.pause.code_check_blocks:
            try:
                await self.compare_code()
            except ChainError as error:
                log.warning("reading the games' code, again at the next head: %s", error)

    async def compare_code(self) -> None:
        """Pause each game one of whose contracts is not what it was; one that was never seen is taken as it is.

        One answer proves no change, for nothing proves the answer: the next head must give the same one. Until then
        nothing is signed for the game, so a change stops signing at once, and a false answer for a block.

        At start-up too, before anything is signed: an upgrade does not wait for the server to be there.

        Raises: ChainUnavailable when a contract cannot be read; the others are compared.
        """
        was_suspected = bool(self._suspected)
        targets: dict[Address, list[str]] = {}
        for game in self._state.games.values():
            for target in game.targets:
                targets.setdefault(target, []).append(game.name)
        unread: ChainError | None = None
        for target, games in targets.items():
            try:
                await self._compare(target, games)
            except ChainError as error:
                unread = error
        self._hold()
        if unread is not None:
            raise unread
        if not (was_suspected or self._suspected):
            # Else with the next head again: that nothing has changed is no more than an answer, either.
            self._checked_at = self._state.head.number

    async def _compare(self, target: Address, games: Sequence[str]) -> None:
        """Look at one contract, and pause all games that call it if it has changed, as two heads have it."""
        now, before = await self._read(target), self._code.get(target)
        if before is None:
            # What is compared with ever after: a backend that is behind, or errs, must not say it alone.
            if await self._read(target) != now:
                raise ChainUnavailable(f"the node says two things about {checksum_address(target)}")
            await self._store.commit((now,))
            self._code[target] = now
        elif now != before and self._is_confirmed(target, now):
            reason = f"the game's contract {checksum_address(target)} changed its {_change(before, now)}"
            for place, game in enumerate(games, 1):
                # What was seen is written with the last pause: a crash in between leads here again.
                why = (now,) if place == len(games) else ()
                await self._pause(game_subject(game), reason, BY_ITSELF, *why)
            self._code[target] = now
        if self._code[target] == now:
            self._suspected.pop(target, None)

    async def _read(self, target: Address) -> GameCode:
        read = await read_target(self._chain, target, self._setup.session_validator)
        return GameCode(target, keccak256(read.code), read.word, read.told or b"", read.behind or b"")

    def _is_confirmed(self, target: Address, now: GameCode) -> bool:
        """Whether another head has said the same of a contract; if not, it is suspected from here on."""
        head = self._state.head.hash
        seen, at = self._suspected.get(target, (None, head))
        if seen != now:
            self._suspected[target] = now, head
        return seen == now and at != head

    def _hold(self) -> None:
        """Sign nothing for games whose contract may have changed, until the next head says whether it has."""
        text = "one of the game's contracts may have changed: it is read again with the next block"
        suspected = [
            game.name for game in self._state.games.values() if not self._suspected.keys().isdisjoint(game.targets)
        ]
        for name in suspected:
            log.warning("game %s: %s", name, text)
        now = self._state.head.timestamp
        self._state.pauses.hold(Pause(game_subject(game), text, BY_ITSELF, now) for game in suspected)

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
