"""SIGKILL of the real server, again and again, at random moments, behind a node that fails.

Run: python -m tests.campaigns.kills [--count 10] [--seed 1] [--plant NAME] [--json FILE]

One chain, one proxy and one players' process live on, while the server is killed and started again on the same
journal: while it plays, while it starts, while it recovers from the kill before. The clients ask again, by key. After a
series the faults stop, everything accepted must get its outcome, and the auditor joins what the clients were told with
the chain.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from gamekit.demo.report import WRONG
from tests.campaigns import plants
from tests.campaigns.command import Result, attempt, command
from tests.campaigns.rules import Dice, shaken
from tests.campaigns.world import CrowdProcess, World

PLAYERS: Final = 6
RATE: Final = 12.0
"""Actions per second and player."""
SERIES_MAX: Final = 50
"""Kills before the players get new sessions, and an audit."""
SERIES_PLANTED: Final = 2
"""The same with a planted bug: the first audit that finds it ends the run."""
FAULTY: Final = 0.08
"""Share of the node's answers that are faulty, while the server is killed."""
WHILE_STARTING: Final = 0.25
"""Share of the kills that strike a server which is still reading its journal and the chain."""
STARTING_S: Final = 0.5
LIFE_S: Final = 1.6
"""Longest that a server lives before it is killed, from when it takes players on: more than a block."""
REORG_EVERY: Final = 6
"""After so many kills the chain replaces its last blocks, at most `REORG_DEPTH_MAX`."""
REORG_DEPTH_MAX: Final = 2
STOPS_MAX: Final = 3
"""A server that ends by itself so often, while nobody strikes it and the node is honest, will not recover."""
IN_FLIGHT: Final = ("planned", "signed", "sent")


class Kills:
    """One run."""

    def __init__(self, world: World, count: int, seed: int) -> None:
        self._world = world
        self._count = count
        self._seed = seed
        self._random = random.Random(seed)
        self.kills = 0
        self.while_starting = 0
        self.in_flight = 0
        self.found: Counter[str] = Counter()
        """States of operations on disk at the kills: at how many kills there was one."""
        self.reorgs = 0
        self.sums: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        """Why actions were refused."""
        self.faults: list[str] = []
        self.injected: Counter[str] = Counter()
        self.seconds_killing = 0.0

    async def run(self) -> bool:
        """Kill, series by series; whether nothing was wrong. Stops at the first series that is."""
        series, most = 0, SERIES_PLANTED if self._world.plant else SERIES_MAX
        while self.kills < self._count:
            series += 1
            await self._series(series, min(most, self._count - self.kills))
            print(
                f"{self.kills} kills, {self.sums['accepted']} accepted, {self._wrong() or 'nothing wrong'}", flush=True
            )
            if self._wrong() or self.faults:
                return False
        return True

    def _wrong(self) -> dict[str, int]:
        return {name: self.sums[name] for name in (*WRONG, "malformed") if self.sums[name]}

    async def _series(self, series: int, kills: int) -> None:
        world = self._world
        await world.start()
        crowd = await world.crowd(series, RATE)
        try:
            await crowd.playing()
            for _ in range(REORG_DEPTH_MAX):
                await world.proxy.mine()  # What paid the players in went to the node itself: no reorg may undo it.
            world.proxy.dice = Dice(shaken(FAULTY), self._seed * 1000 + series)
            began = time.monotonic()
            await asyncio.sleep(self._random.random() * LIFE_S)
            for _ in range(kills):
                await self._kill()
            self.seconds_killing += time.monotonic() - began
            self.injected += world.proxy.dice.injected
            world.proxy.dice = Dice((), 0)
            await self._judge(crowd)
        finally:
            crowd.close()
        await world.stop()

    async def _kill(self) -> None:
        """Kill, look at what is on disk, and start again; some kills strike the start."""
        world = self._world
        self.kills += await world.kill()
        states = world.states()
        self.found.update(state for state in states if states[state])
        self.in_flight += any(states[state] for state in IN_FLIGHT)
        if self.kills % REORG_EVERY == 0:
            depth = self._random.randint(1, REORG_DEPTH_MAX)
            await world.proxy.reorganise(depth, rebroadcast=self._random.random() < 0.5)
            self.reorgs += 1
        await world.spawn()
        if self._random.random() < WHILE_STARTING:
            self.while_starting += 1
            await asyncio.sleep(self._random.random() * STARTING_S)
            return
        if not await world.up():
            world.failed_starts += 1
        await asyncio.sleep(self._random.random() * LIFE_S)

    async def _judge(self, crowd: CrowdProcess) -> None:
        """Let everything come to rest, then join both sides."""
        world = self._world
        if not (world.runs() and await world.up()):
            await world.kill()
            await world.start()
        keeping = asyncio.create_task(self._keep_up())
        finishing = asyncio.create_task(crowd.finish())
        try:
            await asyncio.wait([keeping, finishing], return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
                self.faults.append(f"stopped: the server stopped itself again and again: {world.last_stop()}")
                return
            told = finishing.result()
        finally:
            for task in (keeping, finishing):
                task.cancel()
            await asyncio.gather(keeping, finishing, return_exceptions=True)
        verdict = await world.audit(crowd.log)
        self.sums["told_nothing"] += told["open"] + told["unanswered"]
        self.sums["reconnects"] += told["reconnects"]
        self.reasons.update(told["reasons"])
        self.sums.update({name: value for name, value in verdict.items() if type(value) is int})
        self.faults += verdict["faults"]

    async def _keep_up(self) -> None:
        """Start the server again when it ends by itself, as a supervisor would; return when it does so for ever."""
        stops = 0
        while stops < STOPS_MAX:
            await asyncio.sleep(0.2)
            if not self._world.runs():
                stops += 1
                await self._world.kill()
                await self._world.start()

    def figures(self) -> dict[str, Any]:
        """What was seen."""
        world = self._world
        return {
            "kills": self.kills,
            "seed": self._seed,
            "while_starting": self.while_starting,
            "with_operation_in_flight": self.in_flight,
            "states_at_kill": dict(sorted(self.found.items())),
            "failed_starts": world.failed_starts,
            "reorgs": self.reorgs,
            "faults_injected": sum(self.injected.values()),
            "faults_by_kind": dict(sorted(self.injected.items())),
            "underpriced_refused": world.proxy.pool.refused,
            "seconds_per_kill": round(self.seconds_killing / max(self.kills, 1), 2),
            **{name: self.sums[name] for name in ("accepted", "executed", "refused", "reconnects", *WRONG)},
            "malformed": self.sums["malformed"],
            "reasons": dict(sorted(self.reasons.items())),
        }


async def campaign(count: int, seed: int, plant: str) -> Result:
    """Run it; gives whether nothing was wrong, the figures, and what was."""
    async with World(PLAYERS, seed, plant=plant) as world:
        run = Kills(world, count, seed)
        return await attempt(run, world)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; 0 when nothing is wrong."""
    return command("Kill the real server at random moments.", (10, "kills"), plants.of("kills"), campaign, arguments)


if __name__ == "__main__":
    sys.exit(main())
