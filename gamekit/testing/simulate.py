"""Runs a campaign: `python -m gamekit.testing.simulate --crashes 10000 --seed 1 --json -`.

Ends with 1 when anything was lost, doubled, told wrong, or an invariant did not hold, and says where: the same seed
shows it again. `--plant` plants a known bug, in the campaign that must find it unless another is named: it ends with 1
when the bug breaks what it is known to break, and with 2, which is no verdict, when the plant does not fit the code any
more or something else broke first.
"""

import argparse
import gc
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gamekit.testing.campaigns import CAMPAIGNS
from gamekit.testing.planting import ELSEWHERE, Misfit, fit
from gamekit.testing.plants import PLANTS
from gamekit.testing.report import Report
from gamekit.testing.simulation import workshop

NO_VERDICT = 2
"""Exit code of a run that proves nothing."""
EVERY_S = 5.0
"""Seconds between two lines of progress."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m gamekit.testing.simulate", description=(__doc__ or "").split("\n")[0]
    )
    made.add_argument("--campaign", choices=sorted(CAMPAIGNS), help="crashes, or the plant's own")
    made.add_argument(
        "--crashes", "--count", dest="count", type=int, help="how many, at least: 1000, or what a plant needs"
    )
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--json", metavar="FILE", default="", help="where the report goes; - is standard output")
    made.add_argument("--plant", metavar="NAME", default="", help="a known bug to plant; `list` names them")
    made.add_argument("--quiet", action="store_true", help="no line of progress")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; give the exit code."""
    asked = parser().parse_args(arguments)
    if asked.plant == "list":
        print(listed())
        return 0
    if asked.plant and asked.plant not in PLANTS:
        print(f"no bug is called {asked.plant!r}; --plant list names them", file=sys.stderr)
        return NO_VERDICT
    campaign, count = sized(asked.campaign, asked.count, asked.plant)
    try:
        report = run(campaign, count, asked.seed, asked.plant, loud=not asked.quiet)
    except Misfit as error:
        print(f"{asked.plant} does not fit the code: {error}", file=sys.stderr)
        return NO_VERDICT
    if asked.json == "-":
        sys.stdout.write(report.to_json())
    elif asked.json:
        Path(asked.json).write_text(report.to_json(), encoding="utf-8")
    for broken in report.broken[:5]:
        print(f"{broken.invariant}: {broken.what} (seed {broken.seed}, case {broken.case})", file=sys.stderr)
    if report.no_verdict:
        print(f"{asked.plant} must break {' or '.join(PLANTS[asked.plant].breaks)}: no verdict", file=sys.stderr)
    print(summary(report), file=sys.stderr)
    return NO_VERDICT if report.no_verdict else int(not report.clean)


def listed() -> str:
    """Name every known bug: by campaign, what it must break and what it is; then what is found elsewhere."""
    lines = [
        f"{name:32} {plant.campaign:10} {', '.join(plant.breaks):22} {(plant.sow.__doc__ or '').splitlines()[0]}"
        for name, plant in sorted(PLANTS.items())
    ]
    elsewhere = [f"{name:32} {what}" for name, what in sorted(ELSEWHERE.items())]
    return "\n".join([*lines, "", "Of what is not simulated here:", *elsewhere])


def sized(campaign: str | None, count: int | None, plant: str) -> tuple[str, int]:
    """Which campaign, and how much of it: at least as much as the planted bug takes, in the campaign that finds it."""
    if not plant:
        return campaign or "crashes", 1000 if count is None else count
    known = PLANTS[plant]
    if campaign not in (None, known.campaign):
        return str(campaign), 1000 if count is None else count
    return known.campaign, max(known.within, count or 0)


def run(campaign: str, count: int, seed: int, plant: str = "", *, loud: bool = False) -> Report:
    """Run a campaign; give what it saw. Raises Misfit when the planted bug does not fit the code."""
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
    try:
        with workshop() as shop:
            if plant:
                fit(shop, PLANTS[plant])
            CAMPAIGNS[campaign](shop, report, count, PLANTS[plant].sow if plant else None, progress)
    finally:
        gc.enable()
        gc.unfreeze()
        logger.setLevel(level)
    report.no_verdict = int(bool(plant) and not report.clean and report.broken[0].invariant not in PLANTS[plant].breaks)
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
