"""An old copy of the journal is restored in the middle of play, again and again.

Run: python -m tests.campaigns.restore [--count 10] [--seed 1] [--plant NAME] [--json FILE]

`gamekit backup` copies the journal while the server plays; some blocks later the server is killed, `gamekit restore`
puts the copy back, and the server starts. The players ask again for everything that has no outcome, under the epoch of
the journal that is gone, and some actions they take back. Nothing may run twice, nobody may be told what the chain does
not say, and play goes on once chain time has passed every deadline and that is final; the campaign moves the chain's
clock there.
"""

import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gamekit.demo.report import WRONG
from tests.campaigns.command import Result, attempt, command
from tests.campaigns.world import ROOT, Broken, CrowdProcess, World

PLAYERS: Final = 6
RATE: Final = 12.0
SERIES_MAX: Final = 5
"""Restores before the players get new sessions: each moves the clock ahead, and a session lasts half an hour."""
AHEAD_S: Final = 125
"""How far the clock is moved: past the longest deadline that the module allows, 120 s."""
LOST_S: Final = (0.3, 3.0)
"""How long the server plays on after the copy, at least and at most: what the restore forgets."""
LANDING_S: Final = 2.5
"""How long what was sent before may land, after the restore."""
RESUME_S_MAX: Final = 60.0
COMMAND_S_MAX: Final = 60.0


def _copied_by_hand(world: World, copy: Path) -> None:
    """The operator copies the file into its place: no new epoch, no mark."""
    for file in world.folder.glob("journal.sqlite*"):
        file.unlink()
    shutil.copy(copy, world.folder / "journal.sqlite")


PLANTS: Final = {"restore_without_epoch": _copied_by_hand}
BREAKS: Final = {"restore_without_epoch": ("lost", "duplicated", "unaccepted", "misreported", "told_nothing")}
"""Figures of which each must break one."""


class Restores:
    """One run."""

    def __init__(self, world: World, count: int, seed: int, plant: str) -> None:
        self._world = world
        self._count = count
        self._seed = seed
        self._plant = plant
        self._random = random.Random(seed)
        self.sums: Counter[str] = Counter()
        self.faults: list[str] = []
        self.resumed_s: list[float] = []

    async def run(self) -> bool:
        """Restore, series by series; whether nothing was wrong."""
        series, most = 0, 1 if self._plant else SERIES_MAX
        while self.sums["restores"] < self._count:
            series += 1
            await self._series(series, min(most, self._count - self.sums["restores"]))
            print(f"{self.sums['restores']} restores, {self.sums['accepted']} accepted", flush=True)
            if self.faults or any(self.sums[name] for name in (*WRONG, "malformed")):
                return False
        return True

    async def _series(self, series: int, restores: int) -> None:
        world = self._world
        await world.start()
        crowd = await world.crowd(series, RATE, "restored_players")
        try:
            await crowd.playing()
            for _ in range(restores):
                await self._restore(crowd)
            told = await crowd.finish()
            verdict = await world.audit(crowd.log)
            self.sums["told_nothing"] += told["open"]
            self.sums["told_unknown"] += told["told_unknown"]
            self.sums["told_lost"] += told["told_lost"]
            self.sums["told_cancelled"] += told["told_cancelled"]
            self.sums.update({name: value for name, value in verdict.items() if type(value) is int})
            self.faults += verdict["faults"]
        finally:
            crowd.close()
        await world.stop()

    async def _restore(self, crowd: CrowdProcess) -> None:
        world = self._world
        await asyncio.sleep(1 + self._random.random() * 2)
        copy = world.folder / f"copy-{self.sums['restores']}.sqlite"
        await self._command("backup", copy)
        before = crowd.latest.get("accepted", 0)
        await asyncio.sleep(self._random.uniform(*LOST_S))
        await world.kill()
        self.sums["accepted_after_the_copy"] += crowd.latest.get("accepted", 0) - before
        if self._plant:
            PLANTS[self._plant](world, copy)
        else:
            await self._command("restore", copy)
        self.sums["restores"] += 1
        await world.start()
        began = time.monotonic()
        await asyncio.sleep(LANDING_S)
        await world.proxy.ask("evm_increaseTime", AHEAD_S)
        await self._resumed(crowd)
        self.resumed_s.append(time.monotonic() - began)

    async def _resumed(self, crowd: CrowdProcess) -> None:
        """Wait until actions are accepted again."""
        before = crowd.latest.get("accepted", 0)
        deadline = time.monotonic() + RESUME_S_MAX
        while crowd.latest.get("accepted", 0) <= before:
            if time.monotonic() > deadline or not self._world.runs():
                raise Broken(f"the server does not go on after a restore:\n{self._world.last_words()}")
            await asyncio.sleep(0.1)

    async def _command(self, name: str, copy: Path) -> None:
        command = ("-m", "gamekit.cli", name, str(copy), "--config", str(self._world.stage.config))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=ROOT
        )
        async with asyncio.timeout(COMMAND_S_MAX):
            output, _ = await process.communicate()
        if process.returncode:
            raise Broken(f"gamekit {name}: {output.decode(errors='replace')}")

    def figures(self) -> dict[str, Any]:
        """What was seen."""
        told = ("told_unknown", "told_lost", "told_cancelled")
        names = ("restores", "accepted", "executed", "accepted_after_the_copy", *told, *WRONG)
        resumed = sorted(self.resumed_s)
        return {
            "seed": self._seed,
            **{name: self.sums[name] for name in (*names, "malformed")},
            "seconds_to_resume_p50": round(resumed[len(resumed) // 2], 1) if resumed else 0.0,
        }


async def campaign(count: int, seed: int, plant: str) -> Result:
    """Run it; gives whether nothing was wrong, the figures, and what was."""
    async with World(PLAYERS, seed) as world:
        run = Restores(world, count, seed, plant)
        clean, figures, faults = await attempt(run, world)
        if not (run.sums["accepted_after_the_copy"] and run.sums["told_cancelled"]):
            figures["no_verdict"] = 1  # A run in which a restore forgot nothing, or nobody cancelled, proves nothing.
        return clean, figures, faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; 0 when nothing is wrong."""
    return command(
        "Restore old copies of the journal in the middle of play.", (10, "restores"), BREAKS, campaign, arguments
    )


if __name__ == "__main__":
    sys.exit(main())
