"""The players of a campaign: the demo's crowd, which plays until it is told to stop and never waits long to reconnect.

A process of its own, as in the demo; a line on standard input ends the playing, and then it waits for every outcome.
"""

import asyncio
import sys
import time
from typing import Final

import aiohttp
import uvloop

from gamekit.client.link import Link
from gamekit.client.login import by_token
from gamekit.demo import crowd
from gamekit.demo.crowd import ANSWER_S_MAX, FRAME_ACTIONS, Crowd, Finished, Player
from gamekit.demo.tally import Record

RECONNECT_S_MAX: Final = 0.3
"""Longest wait before connecting again: the server lives a second or two at a time."""
STILL_S_MAX: Final = 70.0
"""Nothing new for so long means that nothing comes: an operation is dead after its 45 s, and finality."""
OPEN_MAX: Final = 600
"""Actions without an outcome, over all players, above which nobody asks for more: what a broken server piles up would
only be refused."""


async def _pause(seconds: float) -> None:
    await asyncio.sleep(min(seconds, RECONNECT_S_MAX))


class Stubborn(Player):
    """A player whose client comes back at once."""

    async def connect(self, http: aiohttp.ClientSession, url: str, token: str, group: asyncio.TaskGroup) -> None:
        """Log in; the link stays up by itself from then on."""
        self.link = Link(http, url, by_token(token), self, pause=_pause)
        group.create_task(self.link.run())
        async with asyncio.timeout(ANSWER_S_MAX):
            await self._up.wait()


class Players(Crowd):
    """Plays until told to stop, or until `--seconds` are over."""

    def _player(self, name: str, place: int) -> Player:
        record = Record(self.tally, self._log, self._accept_ms, self._settle_ms)
        return Stubborn(name, place, self._options.seed, record)

    async def _play(self, links: asyncio.TaskGroup) -> None:
        del links
        told = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        ends = time.monotonic() + self._options.seconds
        pause = FRAME_ACTIONS / self._options.rate
        at = time.monotonic()
        while not told.done() and time.monotonic() < ends:
            for player in self.players:
                if self._open() < OPEN_MAX:
                    await player.offer()
            at += pause
            self._progress()
            await asyncio.wait([told], timeout=max(0.0, at - time.monotonic()))

    def _open(self) -> int:
        """Actions without an outcome, and without an answer."""
        return abs(self.tally.open) + self._unanswered()

    async def _outcomes(self) -> None:
        still_since, before = time.monotonic(), -1
        while (now := self._open()) and time.monotonic() - still_since < STILL_S_MAX:
            if now != before:
                still_since, before = time.monotonic(), now
            await asyncio.sleep(0.25)
        self._progress()


def main() -> None:
    """Run as a process of its own."""

    async def play() -> None:
        try:
            await Players(crowd.options()).run()
        except* Finished:
            pass

    uvloop.run(play())


if __name__ == "__main__":
    main()
