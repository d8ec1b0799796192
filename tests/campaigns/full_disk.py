"""A disk that is full or locked under the real server, for a while, again and again.

Run: python -m tests.campaigns.full_disk [--count 12] [--seed 1] [--plant NAME] [--json FILE]

The kernel refuses the server's process to write beyond a size (RLIMIT_FSIZE), or another connection holds the
journal's write lock. Some of these strike long enough that the server gives up and is started again, as its supervisor
would. What was acknowledged is on disk all the same, and what could not be written was not acknowledged.
"""

import asyncio
import os
import random
import resource
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import apsw

from gamekit.demo.report import WRONG
from tests.campaigns import plants
from tests.campaigns.command import Result, attempt, command
from tests.campaigns.world import World

PLAYERS: Final = 6
RATE: Final = 12.0
SERIES_MAX: Final = 25
"""Faults before the players get new sessions, and an audit."""
SERIES_PLANTED: Final = 3
FAULT_S: Final = (0.2, 4.0)
"""How long a fault lasts, at least and at most; some outlast the journal's own patience of 5 s."""
LOCKED_S_MAX: Final = 7.0
CALM_S: Final = 1.5


class Disk:
    """One run."""

    def __init__(self, world: World, count: int, seed: int) -> None:
        self._world = world
        self._count = count
        self._seed = seed
        self._random = random.Random(seed)
        self.sums: Counter[str] = Counter()
        self.faults: list[str] = []

    async def run(self) -> bool:
        """Strike, series by series; whether nothing was wrong."""
        series, most = 0, SERIES_PLANTED if self._world.plant else SERIES_MAX
        while self.sums["faults"] < self._count:
            series += 1
            await self._series(series, min(most, self._count - self.sums["faults"]))
            print(f"{self.sums['faults']} faults, {self.sums['accepted']} accepted", flush=True)
            if self.faults or any(self.sums[name] for name in (*WRONG, "malformed")):
                return False
        return True

    async def _series(self, series: int, faults: int) -> None:
        world = self._world
        await world.start()
        crowd = await world.crowd(series, RATE)
        keeping = asyncio.create_task(self._keep_up())
        try:
            await crowd.playing()
            for _ in range(faults):
                await asyncio.sleep(self._random.random() * CALM_S)
                await (self._full() if self._random.random() < 0.6 else self._locked())
                self.sums["faults"] += 1
            told = await crowd.finish()
            verdict = await world.audit(crowd.log)
            self.sums["told_nothing"] += told["open"] + told["unanswered"]
            self.sums["turned_away"] += told["turned_away"]
            self.sums.update({name: value for name, value in verdict.items() if type(value) is int})
            self.faults += verdict["faults"]
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            crowd.close()
        await world.stop()

    async def _full(self) -> None:
        """Let no file of the server grow beyond what is a part of its journal's log now."""
        log = self._world.folder / "journal.sqlite-wal"
        size = log.stat().st_size if log.exists() else 0
        most = int(size * self._random.random())
        with suppress(ProcessLookupError, PermissionError):
            resource.prlimit(self._world.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        self.sums["full"] += 1
        await asyncio.sleep(self._random.uniform(*FAULT_S))
        with suppress(ProcessLookupError, PermissionError):
            resource.prlimit(self._world.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        if self._random.random() < 0.3:
            # Whoever finds the disk full once may well be killed for it.
            with suppress(ProcessLookupError):
                os.kill(self._world.pid, signal.SIGKILL)

    async def _locked(self) -> None:
        """Hold the write lock from another connection."""
        other = apsw.Connection(str(self._world.folder / "journal.sqlite"))
        try:
            other.set_busy_timeout(2_000)
            with suppress(apsw.BusyError):
                other.execute("BEGIN IMMEDIATE")
                self.sums["locked"] += 1
                await asyncio.sleep(self._random.uniform(FAULT_S[0], LOCKED_S_MAX))
                other.execute("ROLLBACK")
        finally:
            other.close()

    async def _keep_up(self) -> None:
        """Start the server again when it ends, as a supervisor would."""
        while True:
            await asyncio.sleep(0.1)
            if not self._world.runs():
                self.sums["ended"] += 1
                await self._world.kill()
                await self._world.start()

    def figures(self) -> dict[str, Any]:
        """What was seen."""
        names = ("faults", "full", "locked", "ended", "turned_away", "accepted", "executed", "refused", *WRONG)
        return {"seed": self._seed, **{name: self.sums[name] for name in (*names, "malformed")}}


async def campaign(count: int, seed: int, plant: str) -> Result:
    """Run it; gives whether nothing was wrong, the figures, and what was."""
    async with World(PLAYERS, seed, plant=plant) as world:
        run = Disk(world, count, seed)
        return await attempt(run, world)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; 0 when nothing is wrong."""
    return command("Fill and lock the real server's disk.", (12, "faults"), plants.of("full_disk"), campaign, arguments)


if __name__ == "__main__":
    sys.exit(main())
