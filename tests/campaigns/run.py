"""Run every campaign, and write a page that says what each of them saw.

Run: python -m tests.campaigns.run [--nightly] [--only NAME ...] [--runs clean] [--write] [--jobs N]

Each part is a program of its own that can be run alone; here they get their size, their seed and a place for their
figures. Most of them wait for blocks, so a few run side by side; what each prints is shown when it ends. After the
clean runs come the planted bugs: the same programs, each with one bug, which must fail. `--write` renews the page.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from gamekit.demo.report import WRONG
from gamekit.testing.plants import PLANTS

REPOSITORY: Final = Path(__file__).parents[2]
FIGURES: Final = REPOSITORY / "build" / "campaigns"
"""Where each part leaves its figures, and what it printed."""
RESULTS: Final = REPOSITORY / "benchmarks" / "results" / "campaigns.json"
PAGE: Final = RESULTS.with_suffix(".md")
HEADER: Final = """# What the campaigns saw

Written by `python -m tests.campaigns.run --write`; do not edit.
`make campaigns` runs the small size, `make nightly` the full one. 0 lost, 0 duplicated and 0 broken invariants are what
passes; a planted bug passes when it is found, and the seed and the number of cases say how soon.

"""
SIMULATOR: Final = "gamekit.testing.simulate"
PART_S_MAX: Final = 7200.0
SHOWN_LINES: Final = 25
"""Of what a failed part printed."""
CASES: Final = ("cases", "crashes", "kills", "rounds", "restores", "actions", "faults")
"""Figures that say how far a part went, the first that it has."""
SHOWN: Final = (
    *("kills", "actions", "rounds", "restores", "cases", "crashes", "pairs", "accepted", "settled", "executed"),
    *("executions", "faults", "full", "locked", "ended", "runs", "with_operation_in_flight", "faulty_percent"),
    *("forged_receipts", "reorgs", "winners", "told_unknown", "told_lost", "told_cancelled"),
)
"""Figures that the page counts, in this order."""
BREAKS: Final = (
    *(name for name in WRONG if name not in ("lost", "duplicated")),
    *("malformed", "invariant_breaks", "untrue", "double_signed", "forged_receipts_believed"),
)
"""Figures that must be 0 besides lost and duplicated; the page shows their sum."""


class Part(NamedTuple):
    """One campaign."""

    name: str
    what: str
    module: str
    small: tuple[str, ...]
    """Arguments in continuous integration."""
    full: tuple[str, ...]
    """Arguments in a night."""
    plants: tuple[str, ...] = ()
    """Bugs that every run plants."""
    plants_full: tuple[str, ...] = ()
    """Further bugs that only a night has the time for."""
    planted: tuple[str, ...] = ()
    """Arguments with a planted bug; the first find ends the run."""


def _simulated(name: str, what: str, small: int, full: int, *plants: str) -> Part:
    sized = ("--campaign", name, "--seed", "1", "--crashes")
    return Part(name, what, SIMULATOR, (*sized, str(small)), (*sized, str(full)), plants, (), (*sized, str(small)))


REAL: Final = (
    Part(
        "kills",
        "SIGKILL of the real server at random moments, behind a failing node",
        "tests.campaigns.kills",
        ("--count", "10", "--seed", "1"),
        ("--count", "1000", "--seed", "1"),
        ("ack_before_commit", "resign_at_next_nonce"),
        ("not_found_is_evidence", "lost_action"),
        ("--count", "10", "--seed", "1"),
    ),
    Part(
        "byzantine",
        "30 % of all replies faulty, forged receipts among them",
        "tests.campaigns.byzantine",
        ("--count", "2000", "--seed", "1"),
        ("--count", "20000", "--seed", "1"),
        ("trust_receipt",),
        (),
        ("--count", "400", "--seed", "1"),
    ),
    Part(
        "racers",
        "64 writers for each nonce slot, through the real journal and EntryPoint",
        "tests.campaigns.racers",
        ("--count", "32", "--seed", "1"),
        ("--count", "256", "--seed", "1"),
        ("winner_not_checked", "guard_outside_transaction"),
        (),
        ("--count", "32", "--seed", "1"),
    ),
    Part(
        "restore",
        "an old copy of the journal restored in the middle of play",
        "tests.campaigns.restore",
        ("--count", "10", "--seed", "1"),
        ("--count", "100", "--seed", "1"),
        ("restore_without_epoch",),
        (),
        ("--count", "10", "--seed", "1"),
    ),
    Part(
        "full_disk",
        "the real server's disk full (RLIMIT_FSIZE) or locked, for a while",
        "tests.campaigns.full_disk",
        ("--count", "12", "--seed", "1"),
        ("--count", "200", "--seed", "1"),
        ("failure_is_success",),
        (),
        ("--count", "12", "--seed", "1"),
    ),
    Part(
        "demo",
        "SIGKILL at a random moment of the demo with 20 players",
        "tests.campaigns.demo",
        ("--count", "2", "--seed", "1"),
        ("--count", "50", "--seed", "1", "--thief"),
        ("lost_in_demo",),
        (),
        ("--count", "10", "--seed", "1"),
    ),
)
# How many crashes, and for the others how many cases: 15 states, two ways and so many depths; four revocations each;
# 320 actions and more among poison.
SIMULATED: Final = (
    _simulated("crashes", "simulated crash points, all faults on", 10_000, 100_000),
    _simulated("pairs", "every named crash point, and every ordered pair", 1_000_000, 1_000_000),
    _simulated("disk", "disk faults at every write", 300, 2_000),
    _simulated("reorgs", "reorgs by depth (1 to 8, at night 64), in every state, straight and sideways", 240, 1_920),
    _simulated("poison", "1 % of all actions burn their batch's gas, one account every mined bundle", 16, 160),
    _simulated("revoke", "four sessions a case, each revoked at a random moment", 50, 500),
    _simulated("budget", "1,000 requests at the edge of a cap", 20, 200),
    _simulated("gas", "three sessions that run out of gas, while it is dear and the server dies", 20, 200),
    _simulated("sponsor", "a paymaster that runs dry or reaches its cap, while the server dies", 20, 200),
)


class Outcome(NamedTuple):
    """What became of one run of one part."""

    part: str
    plant: str
    passed: bool
    seconds: float
    figures: dict[str, Any]


def parts() -> tuple[Part, ...]:
    """Every part; the simulated ones with each bug that is known for them."""
    bugs = {
        part.name: sorted(name for name, plant in PLANTS.items() if plant.campaign == part.name) for part in SIMULATED
    }
    return (*(part._replace(plants=tuple(bugs[part.name])) for part in SIMULATED), *REAL)


def jobs_of(chosen: Sequence[Part], *, nightly: bool) -> Iterator[tuple[Part, str, tuple[str, ...]]]:
    """Give every run: the part, its planted bug, its arguments. The clean ones first."""
    for part in chosen:
        yield part, "", part.full if nightly else part.small
    # The real ones take longest: they begin while there is something left to run beside them.
    for part in reversed(chosen):
        for plant in (*part.plants, *(part.plants_full if nightly else ())):
            yield part, plant, (*part.planted, "--plant", plant)


async def run_part(part: Part, plant: str, arguments: tuple[str, ...]) -> Outcome:
    """Run one part to its end. With a planted bug, failing is what it must do."""
    name = f"{part.name}-{plant}" if plant else part.name
    file, log = FIGURES / f"{name}.json", FIGURES / f"{name}.log"
    file.unlink(missing_ok=True)
    started = time.monotonic()
    command = (sys.executable, "-m", part.module, *arguments, "--json", str(file))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=output, stderr=STDOUT, cwd=REPOSITORY
        )
        try:
            async with asyncio.timeout(PART_S_MAX):
                code = await process.wait()
        except TimeoutError:
            code = -1
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    figures = json.loads(file.read_text()) if file.exists() else {}
    # A program that fell over has found nothing, nor has one that saw something else break than the planted bug breaks.
    passed = code == 1 and bool(figures) and not figures.get("no_verdict") if plant else code == 0
    return Outcome(part.name, plant, passed, time.monotonic() - started, figures)


async def run_all(jobs: Sequence[tuple[Part, str, tuple[str, ...]]], at_once: int) -> list[Outcome]:
    """Run the jobs, a few at once; say when each begins and how it ended."""
    free = asyncio.Semaphore(at_once)

    async def one(job: tuple[Part, str, tuple[str, ...]]) -> Outcome:
        part, plant, arguments = job
        async with free:
            title = f"{part.name} with {plant} planted" if plant else f"{part.name}: {part.what}"
            print(f"== {title}", flush=True)
            outcome = await run_part(part, plant, arguments)
            verdict = ("found" if plant else "passed") if outcome.passed else ("NOT FOUND" if plant else "FAILED")
            print(f"== {title}: {verdict} after {outcome.seconds:.0f} s\n   {facts(outcome.figures)}", flush=True)
            if not outcome.passed:
                log = FIGURES / f"{part.name}{'-' if plant else ''}{plant}.log"
                print("\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]), flush=True)
            return outcome

    return await asyncio.gather(*map(one, jobs))


def facts(figures: dict[str, Any]) -> str:
    """Name the figures that say what was done, in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {figures[name]:,}" for name in SHOWN if figures.get(name))


def wrong(figures: dict[str, Any]) -> tuple[int, int, int]:
    """Count what must be 0: lost, duplicated, and every other broken invariant."""
    return figures.get("lost", 0), figures.get("duplicated", 0), sum(figures.get(name, 0) for name in BREAKS)


def _faults(figures: dict[str, Any]) -> int:
    """How many faults were injected; some campaigns count them by kind."""
    injected = figures.get("faults_injected", 0)
    return sum(injected.values()) if isinstance(injected, dict) else injected


def cases(figures: dict[str, Any]) -> str:
    """How far a run went."""
    return next((f"{figures[name]:,} {name}" for name in CASES if figures.get(name)), "")


def page(record: dict[str, Any]) -> str:
    """Lay one size out as two tables."""
    clean = [each for each in record["runs"] if not each["plant"]]
    planted = [each for each in record["runs"] if each["plant"]]
    lost, duplicated, broken = (
        map(sum, zip(*(wrong(each["figures"]) for each in clean), strict=True)) if clean else (0,) * 3
    )
    found = f"{sum(each['passed'] for each in planted)} of {len(planted)} planted bugs found"
    lines = [
        f"## {record['size']}",
        "",
        f"{record['machine']}. Wall times, a few runs at once; each run names its commit.",
        f"**{lost} lost, {duplicated} duplicated, {broken} invariant breaks; {found}.**",
        "",
        "| campaign | verdict | counts | faults injected | lost | duplicated | invariant breaks | seed | commit | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    what = {part.name: part.what for part in (*SIMULATED, *REAL)}
    for each in clean:
        figures, name = each["figures"], each["part"]
        verdict = "passed" if each["passed"] else "**failed**"
        counts = (facts(figures), f"{_faults(figures):,}", *wrong(figures))
        lines.append(_row(f"{name}: {what[name]}", verdict, *counts, *_origin(each)))
    if planted:
        lines += ["", "| planted bug | by | verdict | after | seed | commit | s |", "|---|---|---|---|---|---|---|"]
    for each in planted:
        verdict = "found" if each["passed"] else "**not found**"
        lines.append(_row(each["plant"], each["part"], verdict, cases(each["figures"]), *_origin(each)))
    return "\n".join(lines) + "\n"


def _row(*columns: object) -> str:
    return f"| {' | '.join(map(str, columns))} |"


def _origin(each: dict[str, Any]) -> tuple[object, ...]:
    """What anybody needs to run it again, and the time that it takes."""
    return each["figures"].get("seed", ""), each["commit"], f"{each['seconds']:,}"


def joined(earlier: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Put runs beside those of before that were not run again: a night can go on another night. In the page's order."""
    same = earlier.get("machine") == record["machine"]
    runs = {(each["part"], each["plant"]): each for each in (*(earlier["runs"] if same else ()), *record["runs"])}
    every = jobs_of(parts(), nightly=record["size"] == "nightly")
    return record | {"runs": [runs[key] for key in ((part.name, plant) for part, plant, _ in every) if key in runs]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; gives the exit code."""
    known = parts()
    parser = argparse.ArgumentParser(description="Run the campaigns.")
    parser.add_argument("--nightly", action="store_true", help="at full size")
    parser.add_argument("--only", action="append", choices=[part.name for part in known], help="only this part")
    parser.add_argument("--runs", choices=("all", "clean", "planted"), default="all", help="with planted bugs, or not")
    parser.add_argument("--jobs", type=int, default=3, help="how many run at once")
    parser.add_argument("--write", action="store_true", help="renew the committed page")
    options = parser.parse_args(arguments)
    FIGURES.mkdir(parents=True, exist_ok=True)
    chosen = [part for part in known if not options.only or part.name in options.only]
    began = time.monotonic()
    every = jobs_of(chosen, nightly=options.nightly)
    jobs = [job for job in every if options.runs == "all" or bool(job[1]) == (options.runs == "planted")]
    outcomes = asyncio.run(run_all(jobs, options.jobs))
    commit = _commit()
    record = {
        "size": "nightly" if options.nightly else "ci",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "runs": [each._asdict() | {"seconds": round(each.seconds), "commit": commit} for each in outcomes],
    }
    (FIGURES / "campaigns.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    print(f"\n{page(record)}\n{time.monotonic() - began:,.0f} s in all")
    if options.write:
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        kept[record["size"]] = joined(kept.get(record["size"], {}), record)
        RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        PAGE.write_text(HEADER + "\n".join(page(kept[size]) for size in sorted(kept)))
    return 0 if all(each.passed for each in outcomes) else 1


def _commit() -> str:
    command = ("git", "rev-parse", "--short", "HEAD")
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
