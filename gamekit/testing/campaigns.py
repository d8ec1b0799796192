"""The campaigns: what is done to a world in each case, and how many cases that makes."""

import asyncio
import random
from collections.abc import Callable

from gamekit.config import LaneConfig
from gamekit.kit import GameKit
from gamekit.testing.nature import PEOPLED, STILL, WILD
from gamekit.testing.network import CALM, ROUGH, STORM
from gamekit.testing.pairs import POINTS, pieces, walk
from gamekit.testing.report import Report
from gamekit.testing.simulation import Simulation, Workshop, settings
from gamekit.testing.trials import TRIALS, revoke_later

Plant = Callable[[GameKit], None]
Progress = Callable[[Report], None]
Campaign = Callable[[Workshop, Report, int, Plant | None, Progress], None]
"""Runs in a workshop, adds to a report, so many of what it counts, with a bug planted or not."""

CRASHES_PER_CASE = 32
ACTIONS_PER_PLAYER = 14
CLOSE = settings(lanes=LaneConfig(depth_max=4))
"""A bound within reach: now and then a player sends more than a lane takes."""
HALF_FROM = 200
"""Crashes from which on it is no accident when fewer than half of them find an operation in flight."""


def crashes(shop: Workshop, report: Report, case: int, plant: Plant | None) -> Simulation:
    """One world whose server dies again and again, anywhere, with every fault on."""
    dice = random.Random(f"{report.seed}/{case}")
    simulation = Simulation(shop, f"{report.seed}/{case}", plant=plant, config=CLOSE)
    weather = dice.choice([CALM, ROUGH, ROUGH, STORM])
    nature = dice.choice([STILL, WILD, PEOPLED])
    simulation.skew_s = dice.choice([-300.0, 0.0, 300.0])
    is_disk_bad = dice.random() < 0.3
    if not is_disk_bad:
        _slow_down(simulation, report.seed, case)
    power = dice.choice([0.0, 0.3, 1.0])
    from_the_start = dice.random() < 0.2
    pace = dice.choice([4, 8, 16])
    simulation.points.hold = lambda: dice.random() < 0.93 and not simulation.witness.in_flight()

    def strike() -> int | None:
        if len(simulation.witness.deaths) >= CRASHES_PER_CASE:
            return None
        return int(dice.expovariate(1 / pace))

    async def story() -> None:
        players = [simulation.player(name) for name in ("ada", "bob")]
        if from_the_start:
            simulation.strikes = strike
            simulation.rage(nature, weather, power)
        await asyncio.gather(*(player.open() for player in players))
        simulation.strikes = strike
        simulation.rage(nature, weather, power)
        simulation.points.after(strike() or 0)
        playing = [player.play(ACTIONS_PER_PLAYER, 0.5) for player in players]
        if dice.random() < 0.3:
            playing.append(revoke_later(players[0], dice.uniform(2, 12)))
        damaging = asyncio.ensure_future(_damage(simulation, dice)) if is_disk_bad else None
        await asyncio.gather(*playing)
        if damaging is not None:
            damaging.cancel()
        await simulation.rest()

    return simulation.lived(story())


def _slow_down(simulation: Simulation, seed: int, case: int) -> None:
    """Let a third of all disks take their time, a hundredth of a second or a fifth.

    Not those that fail again and again: a start would never be over before the next failure.
    """
    chance = simulation.disk.chance = random.Random(f"{seed}/{case}/disk")
    simulation.disk.slow_s = chance.choice([0.0, 0.0, 0.0, 0.0, 0.02, 0.4])


async def _damage(simulation: Simulation, dice: random.Random) -> None:
    """Let the disk refuse a write or a sync now and then, once or for a while."""
    while True:
        await asyncio.sleep(dice.uniform(2, 8))
        part, length = dice.random() < 0.5, dice.choice((1, 1, 12))
        simulation.disk.arm(dice.randrange(40), dice.choice(("IOERR", "FULL")), length, part=part)


def run_crashes(shop: Workshop, report: Report, count: int, plant: Plant | None, progress: Progress) -> None:
    """Live through cases until so many crashes have come; stop at the first case that shows a bug."""
    case = 0
    while report.crashes < count and report.clean:
        report.add(case, crashes(shop, report, case, plant))
        case += 1
        progress(report)
    require_half(report)


def require_half(report: Report) -> None:
    """Crashes when nothing is in flight show little: a run of which too many are such proves nothing."""
    if report.clean and report.crashes >= HALF_FROM and 2 * report.with_operation_in_flight < report.crashes:
        few = f"{report.with_operation_in_flight} of {report.crashes} crashes had an operation in flight"
        report.fail("coverage", f"{few}: at least half must")


def run_pairs(shop: Workshop, report: Report, count: int, plant: Plant | None, progress: Progress) -> None:
    """Die at every named point, and at every ordered pair of them."""
    covered: set[tuple[str, str]] = set()
    for case, points in enumerate(pieces(POINTS, report.seed)):
        report.add(case, walk(shop, report.seed, case, points, covered, plant))
        report.pairs = len(covered)
        progress(report)
        if not report.clean or report.pairs >= count:
            return


def of_trials(trial: Callable[[Workshop, int, int, Plant | None], Simulation]) -> Campaign:
    """Make a campaign of so many cases of a trial; it stops at the first that shows a bug."""

    def run(shop: Workshop, report: Report, count: int, plant: Plant | None, progress: Progress) -> None:
        for case in range(count):
            report.add(case, trial(shop, report.seed, case, plant))
            progress(report)
            if not report.clean:
                return

    return run


CAMPAIGNS: dict[str, Campaign] = {
    "crashes": run_crashes,
    "pairs": run_pairs,
    **{name: of_trials(trial) for name, trial in TRIALS.items()},
}
"""By name."""
