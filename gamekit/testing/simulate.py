"""Runs a campaign: `python -m gamekit.testing.simulate --crashes 10000 --seed 1 --json -`.

Ends with 1 when anything was lost, doubled, told wrong, or an invariant did not hold, and says where: the same seed
shows it again. `--plant` plants a known bug, which the campaign must then find.
"""

import argparse
import gc
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gamekit.testing.campaigns import CAMPAIGNS
from gamekit.testing.plants import PLANTS
from gamekit.testing.report import Report
from gamekit.testing.simulation import workshop

EVERY_S = 5.0
"""Seconds between two lines of progress."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m gamekit.testing.simulate", description=(__doc__ or "").split("\n")[0]
    )
    made.add_argument("--campaign", choices=sorted(CAMPAIGNS), default="crashes")
    made.add_argument("--crashes", "--count", dest="count", type=int, default=1000, help="how many, at least")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--json", metavar="FILE", default="", help="where the report goes; - is standard output")
    made.add_argument("--plant", metavar="NAME", default="", help="a known bug to plant; `list` names them")
    made.add_argument("--quiet", action="store_true", help="no line of progress")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; give the exit code."""
    asked = parser().parse_args(arguments)
    if asked.plant == "list":
        for name, plant in sorted(PLANTS.items()):
            print(f"{name:32} {plant.campaign:10} {(plant.sow.__doc__ or '').splitlines()[0]}")
        return 0
    if asked.plant and asked.plant not in PLANTS:
        print(f"no bug is called {asked.plant!r}; --plant list names them", file=sys.stderr)
        return 2
    report = run(asked.campaign, asked.count, asked.seed, asked.plant, loud=not asked.quiet)
    if asked.json == "-":
        sys.stdout.write(report.to_json())
    elif asked.json:
        Path(asked.json).write_text(report.to_json(), encoding="utf-8")
    for broken in report.broken[:5]:
        print(f"{broken.invariant}: {broken.what} (seed {broken.seed}, case {broken.case})", file=sys.stderr)
    print(summary(report), file=sys.stderr)
    return 0 if report.clean else 1


def run(campaign: str, count: int, seed: int, plant: str = "", *, loud: bool = False) -> Report:
    """Run a campaign; give what it saw."""
    report = Report(campaign, seed, plant)
    began = told = time.monotonic()

    def progress(so_far: Report) -> None:
        nonlocal told
        if so_far.cases % 10 == 0:
            gc.collect()
        now = time.monotonic()
        so_far.seconds = round(now - began, 3)
        if loud and now - told > EVERY_S:
            told = now
            rate = so_far.crashes / (now - began)
            print(f"seed {seed}: {so_far.cases} cases, {so_far.crashes} crashes, {rate:.0f}/s", file=sys.stderr)

    logger = logging.getLogger("gamekit")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)  # Faults are the point here.
    gc.collect()
    gc.freeze()
    gc.disable()  # Worlds are full of cycles; they are collected one by one, as each ends.
    with workshop() as shop:
        CAMPAIGNS[campaign](shop, report, count, PLANTS[plant].sow if plant else None, progress)
    gc.enable()
    gc.unfreeze()
    logger.setLevel(level)
    return report


def summary(report: Report) -> str:
    """One line."""
    return (
        f"{report.campaign}, seed {report.seed}: {report.cases} cases, {report.crashes} crashes "
        f"({report.with_operation_in_flight} with an operation in flight), {report.accepted} accepted, "
        f"{report.settled} settled, {report.refused} refused, {report.lost} lost, {report.duplicated} duplicated, "
        f"{report.invariant_breaks} invariant breaks, {report.seconds:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
