"""A node that lies: three of ten replies are faulty, forged receipts among them.

Run: python -m tests.campaigns.byzantine [--count 2000] [--seed 1] [--plant NAME] [--json FILE]

The real server plays through the lying node until so many actions are accepted. Then the lies go on while everything
settles, and only when nothing moves any more the node tells the truth for what is left. What the clients were told must
then stand on the chain: the same outcome, of the same operation, in the same block.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from gamekit.demo.report import WRONG
from tests.campaigns import plants
from tests.campaigns.command import Result, attempt, command
from tests.campaigns.rules import Dice, byzantine
from tests.campaigns.world import Broken, World

PLAYERS: Final = 12
RATE: Final = 2.0
SHARE: Final = 0.30
LAGS: Final = (0, 0, 0, 2)
"""One backend of four is two blocks behind."""
SERIES_ACTIONS: Final = 5000
"""Actions before the players get new sessions, and an audit."""
SETTLING_S_MAX: Final = 40.0
"""How long the lies go on after the last action."""
PLAYING_S_MAX: Final = 900.0
FORGED: Final = ("forged_receipt", "forged_outcome", "hidden_receipt")


class Byzantine:
    """One run."""

    def __init__(self, world: World, count: int, seed: int) -> None:
        self._world = world
        self._count = count
        self._seed = seed
        self.sums: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.asked = 0
        self.seconds = 0.0
        self.faults: list[str] = []

    async def run(self) -> bool:
        """Play series by series; whether nothing was wrong."""
        series = 0
        while self.sums["accepted"] < self._count:
            series += 1
            await self._series(series, min(SERIES_ACTIONS, self._count - self.sums["accepted"]))
            print(f"{self.sums['accepted']} accepted, {sum(self.injected.values())} faults injected", flush=True)
            if self.faults or any(self.sums[name] for name in (*WRONG, "malformed")):
                return False
        return True

    async def _series(self, series: int, actions: int) -> None:
        world = self._world
        await world.start()
        crowd = await world.crowd(series, RATE)
        try:
            await crowd.playing()
            began = time.monotonic()
            dice = world.proxy.dice = Dice(byzantine(SHARE), self._seed * 1000 + series)
            deadline = began + PLAYING_S_MAX
            while crowd.latest.get("accepted", 0) < actions:
                await asyncio.sleep(0.1)
                if time.monotonic() > deadline:
                    raise Broken(f"the server stands still at {crowd.latest}")
                await self._keep_up()
            finishing = asyncio.create_task(crowd.finish())
            settling = time.monotonic() + SETTLING_S_MAX
            while not finishing.done() and time.monotonic() < settling:
                await asyncio.wait([finishing], timeout=0.2)
                await self._keep_up()
            self.seconds += time.monotonic() - began
            self.injected += dice.injected
            self.asked += dice.asked
            self.sums["settled_under_lies"] += int(finishing.done())
            world.proxy.dice = Dice((), 0)
            while not finishing.done():
                await asyncio.wait([finishing], timeout=0.2)
                await self._keep_up()
            told = finishing.result()
            self.sums["told_nothing"] += told["open"] + told["unanswered"]
            self.sums["reorged"] += told["reorged"]
            verdict = await world.audit(crowd.log)
            self.sums.update({name: value for name, value in verdict.items() if type(value) is int})
            self.faults += verdict["faults"]
        finally:
            crowd.close()
        await world.stop()

    async def _keep_up(self) -> None:
        """Start the server again if it stopped by itself: no lie may make it doubt its own journal."""
        if not self._world.runs():
            self.sums["stopped"] += 1
            await self._world.kill()
            self._world.proxy.dice = Dice((), 0)
            await self._world.start()
            self.faults.append(f"stopped: the server stopped itself: {self._world.last_stop()}")

    def figures(self) -> dict[str, Any]:
        """What was seen."""
        return {
            "actions": self.sums["accepted"],
            "seed": self._seed,
            "replies": self.asked,
            "faults_injected": sum(self.injected.values()),
            "faulty_percent": round(100 * sum(self.injected.values()) / max(self.asked, 1), 1),
            "lagging_replies": self._world.proxy.lagged,
            "forged_receipts": sum(self.injected[name] for name in FORGED),
            "forged_receipts_believed": self.sums["unfounded"] + self.sums["misreported"],
            "faults_by_kind": dict(sorted(self.injected.items())),
            "seconds_of_lies": round(self.seconds, 1),
            **{name: self.sums[name] for name in ("executed", "refused", "reorged", "stopped", *WRONG, "malformed")},
        }


async def campaign(count: int, seed: int, plant: str) -> Result:
    """Run it; gives whether nothing was wrong, the figures, and what was."""
    async with World(PLAYERS, seed, plant=plant, lags=LAGS) as world:
        run = Byzantine(world, count, seed)
        clean, figures, faults = await attempt(run, world)
        if not any(run.injected[name] for name in FORGED):
            figures["no_verdict"] = 1  # A run that forged nothing proves nothing.
        return clean, figures, faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; 0 when nothing is wrong."""
    return command(
        "Play through a node that lies.", (2000, "accepted actions"), plants.of("byzantine"), campaign, arguments
    )


if __name__ == "__main__":
    sys.exit(main())
