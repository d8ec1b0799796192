"""Players who live through a restore: they ask again, under the old epoch, for everything that has no outcome.

What the server may answer is that it is on disk after all (and its outcome follows), that it does not know yet
(`outcome_unknown`: asked again a second later), or that it never ran (`action_lost`: final).
They also take actions back. What was cancelled after the copy is in no journal any more, and nobody asks for it again:
it must never run.
"""

import asyncio
from contextlib import suppress
from typing import Final

import uvloop

from gamekit.demo import crowd
from gamekit.demo.crowd import Finished, Player
from gamekit.demo.tally import Record
from gamekit.errors import OutcomeUnknown
from gamekit.protocol.events import Refused, Reorged, Settled
from gamekit.protocol.messages import ActionRequest, Cancel
from gamekit.protocol.octets import Octets16, Octets32
from tests.campaigns.players import Players, Stubborn

ASK_AGAIN_S: Final = 1.0
FRAME_ACTIONS_MAX: Final = 64
CANCEL_EVERY: Final = 3
"""Frames; the last action of one in so many is taken back when the next frame is sent, if it still waits then."""
UNKNOWN: Final = "unknown"
LOST: Final = "action_lost"
CANCELLED: Final = "action_cancelled"


class Remembering(Record):
    """A record that knows which actions have no outcome that stands."""

    def __init__(self, *taken: object) -> None:
        super().__init__(*taken)  # type: ignore[arg-type]
        self.ended: set[str] = set()
        """Keys with an outcome that stands, or that were turned away for good."""
        self.unknown = 0
        """Answers that nobody knows yet."""
        self.lost = 0
        """Accepted actions of which the server said, after a restore, that they never ran."""
        self.cancelled = 0
        """Actions of which the server said that they were taken back in time."""

    def settled(self, frame: Settled) -> None:
        """An outcome; one that was told before counts once."""
        self.ended.update(action.key for action in frame.actions)
        super().settled(frame)

    def reorged(self, frame: Reorged) -> None:
        """Outcomes that the chain took back."""
        self.ended.difference_update(frame.keys)
        super().reorged(frame)

    def refused(self, frame: Refused) -> None:
        """A refusal ends an action, unless it says that nobody knows."""
        known = [action for action in frame.actions if action.outcome != UNKNOWN]
        self.unknown += len(frame.actions) - len(known)
        for action in known:
            # What was accepted is over only by its own code: a retry that comes too early says nothing about it.
            if action.key not in self._accepted or action.code == LOST or frame.cursor:
                self.ended.add(action.key)
                self.lost += action.code == LOST and action.key in self._accepted
                self.cancelled += action.code == CANCELLED
        final = [action for action in known if action.key in self.ended]
        super().refused(Refused(permission_id=frame.permission_id, actions=final, id=frame.id, cursor=frame.cursor))

    @property
    def open(self) -> list[str]:
        """Keys that were asked for and have no outcome."""
        return [key for key in self.asked if key not in self.ended]


class Asking(Stubborn):
    """A player who asks again."""

    record: Remembering

    def __init__(self, name: str, place: int, seed: str, record: Remembering) -> None:
        super().__init__(name, place, seed, record)
        self._epochs: dict[str, Octets16] = {}
        self._frames = 0

    async def offer(self) -> None:
        """Send one frame of actions, and note the epoch in which each was asked for; now and then take one back."""
        before = next(reversed(self.record.asked), None)
        await super().offer()
        self._frames += 1
        if before is not None and self._frames % CANCEL_EVERY == 0:
            await self._cancel(before)
        if self.welcome is not None:
            for key in self.record.asked.keys() - self._epochs.keys():
                self._epochs[key] = Octets16(self.welcome.journal_epoch)

    async def ask_again(self) -> None:
        """Ask, under its own epoch, for what has no outcome and was asked of another journal."""
        if self.welcome is None or self.proposed is None or self.link is None:
            return
        now = Octets16(self.welcome.journal_epoch)
        waiting: dict[Octets16, list[str]] = {}
        for key in self.record.open:
            epoch = self._epochs.get(key, now)
            if epoch != now:
                waiting.setdefault(epoch, []).append(key)
        for epoch, keys in waiting.items():
            for start in range(0, len(keys), FRAME_ACTIONS_MAX):
                await self._recall(epoch, keys[start : start + FRAME_ACTIONS_MAX])

    async def _cancel(self, key: str) -> None:
        """Ask once: whether it came in time, the events say."""
        request = self.proposed
        if request is None or self.link is None:
            return
        with suppress(OutcomeUnknown):  # The server is down.
            await self.link.ask(lambda request_id: Cancel(request_id, Octets32(request.permission_id), key))

    async def _recall(self, epoch: Octets16, keys: list[str]) -> None:
        if self.proposed is None or self.link is None:
            return
        asked = [(key, self.record.asked[key]) for key in keys]
        requests = [ActionRequest(key, each.function, list(each.arguments)) for key, each in asked]
        await self.link.offer(Octets32(self.proposed.permission_id), requests, epoch)


class RestoredPlayers(Players):
    """A crowd of them."""

    def _player(self, name: str, place: int) -> Player:
        record = Remembering(self.tally, self._log, self._accept_ms, self._settle_ms)
        return Asking(name, place, self._options.seed, record)

    async def _play(self, links: asyncio.TaskGroup) -> None:
        links.create_task(self._ask_again())
        await super()._play(links)

    async def _ask_again(self) -> None:
        while True:
            await asyncio.sleep(ASK_AGAIN_S)
            for player in self.players:
                if isinstance(player, Asking):
                    await player.ask_again()

    def _open(self) -> int:
        return sum(len(player.record.open) for player in self.players if isinstance(player, Asking))

    def _summary(self) -> dict[str, object]:
        records = [player.record for player in self.players if isinstance(player, Asking)]
        more = {
            "told_unknown": sum(record.unknown for record in records),
            "told_lost": sum(record.lost for record in records),
            "told_cancelled": sum(record.cancelled for record in records),
        }
        return {**super()._summary(), **more, "open": self._open(), "unanswered": 0}


def main() -> None:
    """Run as a process of its own."""

    async def play() -> None:
        try:
            await RestoredPlayers(crowd.options()).run()
        except* Finished:
            pass

    uvloop.run(play())


if __name__ == "__main__":
    main()
