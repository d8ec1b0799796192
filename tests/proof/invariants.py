"""Fuzz a contract among adversaries at length, and show that the same invariants find planted holes.

There are two worlds (`suites.py`): `gamekit/contracts/test/invariant/` around the session validator, where `Handler`
holds what adversaries, owners and time do and `Book` what must hold, and `test/paymaster/PaymasterInvariant.t.sol`
around the paymaster. Here one is run for a number of calls, split over processes with seeds of their own, and what the
runs report is added up: it is not enough that nothing broke. In each run a fifth of the operations must have been
accepted, and in all of them every kind of operation, and every check must have refused something.

Run: python -m tests.proof.invariants [--suite paymaster] --calls 100000 [--seed S] [--jobs 2] [--json FILE]
     python -m tests.proof.invariants [--suite paymaster] --plant all [--calls N]
The exit code is 0 if the campaign held (or every plant was found), else 1.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gamekit.contracts import artifact, build
from gamekit.eth.hashing import selector, to_hex
from tests.proof.plants import PLANTS, PlantUnknown, plant_named
from tests.proof.solidity import creation_codes, planted_sources
from tests.proof.suites import PAYMASTER, SUITES, VALIDATOR, Suite, paymaster_holes

DEPTH = 250
"""Calls of one run: long enough for sessions to be used up, short enough for the book to stay small."""
PLANT_SEED = 1
COVERED_CALLS = {"validator": 20_000, "paymaster": 8_000}
"""A campaign of a suite of at least so many calls must have seen everything that the suite expects."""
REPORTS = "cache/reports"
"""Where the suite may write, from the project's root (foundry.toml)."""
PROGRESS_SECONDS = 2.0


class RunFailed(Exception):
    """forge did not give a verdict: it did not compile, or its answer is not what it should be."""


@dataclass(slots=True)
class Verdict:
    """What one forge process said."""

    seed: int
    calls: int
    """Calls made, also those of an unfinished run."""
    breach: str | None
    """What was broken, in the suite's own words."""
    sequence: list[str]
    """The calls that led to it."""


@dataclass(slots=True)
class Campaign:
    """What all processes together saw."""

    seed: int
    seconds: float
    verdicts: list[Verdict]
    suite: Suite = VALIDATOR
    submitted: int = 0
    accepted: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(verdict.calls for verdict in self.verdicts)

    @property
    def missing(self) -> list[str]:
        """What should have happened and did not; nothing is asked of a short campaign."""
        if self.calls < COVERED_CALLS[self.suite.name]:
            return []
        return [name for name in self.suite.expected if not self.counts[name]]

    @property
    def breaches(self) -> list[Verdict]:
        """The verdicts that something was broken."""
        return [verdict for verdict in self.verdicts if verdict.breach is not None]


def error_names() -> dict[str, str]:
    """Give the name of each error of the session validator and the paymaster by its selector in hexadecimal."""
    entries: list[dict[str, Any]] = [*artifact("SessionValidator").abi, *artifact("SessionPaymaster").abi]
    return {
        to_hex(selector(f"{entry['name']}({','.join(given['type'] for given in entry['inputs'])})")): entry["name"]
        for entry in entries
        if entry["type"] == "error"
    }


def named(name: str, errors: dict[str, str]) -> str:
    """Write an error's name where the suite counted its selector: "refused: AA23 0x…" becomes "refused: Name"."""
    beginning, _, code = name.rpartition(" ")
    is_revert = beginning in ("refused: AA23", "refused: AA33")
    return f"refused: {errors[code]}" if is_revert and code in errors else name


def verdict_of(answer: str, seed: int) -> Verdict:
    """Read what `forge test --json` printed.

    Raises:
        RunFailed: it is no result of exactly one invariant.
    """
    try:
        results = [result for suite in json.loads(answer).values() for result in suite["test_results"].values()]
        (result,) = results
        calls = sum(row["calls"] for row in result["kind"]["Invariant"]["metrics"].values())
    except (ValueError, KeyError, AttributeError) as error:
        raise RunFailed(f"forge gave no verdict: {answer[-2000:]}") from error
    if result["status"] == "Success":
        return Verdict(seed, calls, None, [])
    reason = (result["reason"] or "no reason given").removeprefix("assertion failed: ").removesuffix(" != ")
    steps = (result["counterexample"] or {}).get("Sequence", [None, []])[1]
    return Verdict(seed, calls, reason, [f"{step['func_name']}({step['args']})" for step in steps])


def command(suite: Suite, job: int, seed: int) -> list[str]:
    """Give the command line of one forge process; jobs take the suite's contracts in turns."""
    executable = next(build.PACKAGES.glob("@foundry-rs/forge-*/bin/forge"))
    contract = suite.contracts[job % len(suite.contracts)]
    return [
        *(str(executable), "test", "--match-path", suite.path, "--match-contract", f"^{contract}$"),
        *("--threads", "1", "--fuzz-seed", hex(seed), "--json"),
    ]


def environment(runs: int, report: Path, planted: Mapping[str, str]) -> dict[str, str]:
    """Give what one forge process is told beside its command line.

    Args:
        planted: names a hole to the suite; empty for none.
    """
    variables = build._environment() | {
        "FOUNDRY_INVARIANT_RUNS": str(runs),
        "FOUNDRY_INVARIANT_DEPTH": str(DEPTH),
        # Nothing of an earlier run may be played first.
        "FOUNDRY_INVARIANT_FAILURE_PERSIST_DIR": str(report.with_suffix("")),
        "INVARIANT_REPORT": str(report.relative_to(build.PROJECT)),
    }
    # How a planted hole was found needs no shortening.
    return variables | {"FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT": "0", **planted} if planted else variables


def run(suite: Suite, calls: int, seed: int, jobs: int, planted: Mapping[str, str] = MappingProxyType({})) -> Campaign:
    """Run `calls` calls or a few more, in `jobs` processes whose seeds follow each other; says how far it is.

    Every contract of the suite gets its share, so there are at least as many processes as contracts; a planted hole is
    looked for by one process, in the last of them.
    """
    folder = build.PROJECT / REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    places = [len(suite.contracts) - 1] if planted else list(range(max(jobs, len(suite.contracts))))
    runs = -(-calls // (DEPTH * len(places)))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        reports = [Path(own, f"{seed + job:x}.jsonl") for job in range(len(places))]
        answers = [report.with_suffix(".json") for report in reports]
        processes = []
        for job, place in enumerate(places):
            report = reports[job]
            report.touch()
            with answers[job].open("wb") as stdout, report.with_suffix(".err").open("wb") as stderr:
                processes.append(
                    subprocess.Popen(
                        command(suite, place, seed + job), cwd=build.PROJECT, stdout=stdout, stderr=stderr,
                        env=environment(runs, report, planted),
                    )
                )  # fmt: skip
        try:
            _wait(processes, reports, runs * DEPTH * len(places), started)
        finally:
            for process in processes:
                process.kill()
        verdicts = [verdict_of(answer.read_text(), seed + job) for job, answer in enumerate(answers)]
        campaign = Campaign(seed, time.monotonic() - started, verdicts, suite)
        errors = error_names()
        for report in reports:
            _add(campaign, report.read_text().splitlines(), errors)
    return campaign


def _wait(processes: Sequence[subprocess.Popen[bytes]], reports: Sequence[Path], calls: int, started: float) -> None:
    """Wait until all have ended, or one found something; says how far it is while a person looks."""
    while True:
        running = [process for process in processes if process.poll() is None]
        failed = any(process.returncode for process in processes)
        if failed or not running:
            break
        try:
            running[0].wait(PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            done = sum(report.read_bytes().count(b"\n") for report in reports) * DEPTH
            if sys.stdout.isatty():
                _say(f"\r{done:,} of {calls:,} calls, {done / (time.monotonic() - started):,.0f}/s ", end="")
    # The others' calls count as well, so they are not stopped.
    for process in running:
        process.wait()


def _add(campaign: Campaign, lines: Sequence[str], errors: dict[str, str]) -> None:
    """Add what finished runs reported."""
    for line in lines:
        report: dict[str, Any] = json.loads(line)
        campaign.submitted += report["submitted"]
        campaign.accepted += report["accepted"]
        if "attempts" in report:
            campaign.counts["attempts of games"] += report["attempts"]
        for name, number in report["counts"].items():
            campaign.counts[named(name, errors)] += number


def compile_suite(suite: Suite) -> None:
    """Compile once, before several processes start. It is what `build.py test` compiles as well.

    Raises:
        RunFailed: it does not compile.
    """
    listing = [*command(suite, 0, 0)[:-1], "--list"]
    done = subprocess.run(
        listing, cwd=build.PROJECT, env=build._environment(), check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RunFailed(f"the suite does not compile: {done.stdout[-4000:]}{done.stderr[-2000:]}")


def plants_of(suite: Suite) -> tuple[str, ...]:
    """Give the names of the holes that can be planted into a suite's contract."""
    return paymaster_holes() if suite is PAYMASTER else tuple(plant.name for plant in PLANTS)


def hunt(suite: Suite, names: Sequence[str], calls: int, seed: int, jobs: int) -> list[tuple[str, Verdict]]:
    """Plant one hole after the other, `jobs` at once, and look for each."""
    with ThreadPoolExecutor(jobs) as pool:
        shares = pool.map(lambda job: _hunt_share(suite, names[job::jobs], calls, seed), range(jobs))
        found = [row for share in shares for row in share]
    return sorted(found, key=lambda row: names.index(row[0]))


def _hunt_share(suite: Suite, names: Sequence[str], calls: int, seed: int) -> list[tuple[str, Verdict]]:
    found = []
    folder = build.PROJECT / REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            campaign = run(suite, calls, seed, 1, _planted(suite, name, Path(own)))
        (verdict,) = campaign.verdicts
        found.append((name, verdict))
        told = f"found after {verdict.calls:,} calls" if is_found(verdict) else "NOT FOUND"
        _say(f"{name:28} {told}: {verdict.breach} ({campaign.seconds:.1f} s)")
    return found


def _planted(suite: Suite, name: str, folder: Path) -> dict[str, str]:
    """Say to forge which hole is planted: a paymaster by its number, a session validator by its bytecode."""
    if suite is PAYMASTER:
        return {"INVARIANT_HOLE": str(1 + paymaster_holes().index(name))}
    planted = folder / "SessionValidator.json"
    code = creation_codes(planted_sources(plant_named(name).edits))["SessionValidator"]
    planted.write_text(json.dumps({"abi": [], "bytecode": {"object": to_hex(code)}}), encoding="utf-8")
    return {"INVARIANT_VALIDATOR": str(planted.relative_to(build.PROJECT))}


def is_found(verdict: Verdict) -> bool:
    """Whether a hole was found: by harm that was done, not by a good operation that the plant made impossible."""
    harmless = ("a good operation", "failed to set up", "share of ")
    return verdict.breach is not None and not verdict.breach.startswith(harmless)


def show(campaign: Campaign) -> None:
    """Print what a campaign saw."""
    share = campaign.accepted / max(1, campaign.submitted)
    rate = campaign.calls / campaign.seconds
    _say(
        f"{campaign.calls:,} calls in {campaign.seconds:.0f} s ({rate:,.0f}/s), {campaign.submitted:,} operations, "
        f"{campaign.accepted:,} accepted ({share:.1%})"
    )
    for name, number in sorted(campaign.counts.items()):
        _say(f"{number:>10,} {name}")
    for name in campaign.missing:
        _say(f"never happened: {name}")
    for verdict in campaign.breaches:
        _say(f"BREACH after {verdict.calls:,} calls with seed {verdict.seed:#x}: {verdict.breach}")
        for step in verdict.sequence:
            _say(f"    {step}")
    again = f"--suite {campaign.suite.name} --seed {campaign.seed:#x} --calls {campaign.calls}"
    _say(f"seed {campaign.seed:#x}: repeat with {again}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(description="Fuzz the session validator, or the paymaster, among adversaries.")
    parser.add_argument("--suite", choices=SUITES, default=VALIDATOR.name, help="which of the two")
    parser.add_argument("--calls", type=int, help="calls in all")
    parser.add_argument("--plant", metavar="NAME", help="look for a planted hole instead, or for all of them")
    parser.add_argument("--seed", type=lambda text: int(text, 0), help="repeats what an earlier run printed")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes at once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes what was seen")
    options = parser.parse_args(arguments)
    build.build()
    try:
        compile_suite(SUITES[options.suite])
        if options.plant:
            return _hunt(options)
        return _campaign(options)
    except (PlantUnknown, RunFailed) as failure:
        _say(str(failure))
        return 1


def _campaign(options: argparse.Namespace) -> int:
    seed = secrets.randbits(48) if options.seed is None else options.seed
    _say(f"seed {seed:#x}")
    suite = SUITES[options.suite]
    campaign = run(suite, options.calls or suite.calls, seed, options.jobs)
    show(campaign)
    if options.json:
        written = {
            "calls": campaign.calls,
            "operations": campaign.submitted,
            "accepted": campaign.accepted,
            "seconds": round(campaign.seconds),
            "seed": hex(campaign.seed),
            "breaches": [asdict(verdict) for verdict in campaign.breaches],
            "missing": campaign.missing,
            "counts": dict(campaign.counts),
        }
        options.json.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 1 if campaign.breaches or campaign.missing else 0


def _hunt(options: argparse.Namespace) -> int:
    suite = SUITES[options.suite]
    known = plants_of(suite)
    if options.plant not in ("all", *known):
        raise PlantUnknown(f"no plant of the {suite.name} is called {options.plant}; there are {', '.join(known)}")
    names = known if options.plant == "all" else (options.plant,)
    seed = PLANT_SEED if options.seed is None else options.seed
    found = hunt(suite, names, options.calls or suite.plant_calls, seed, min(options.jobs, len(names)))
    if options.json:
        written = {name: asdict(verdict) for name, verdict in found}
        options.json.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    missed = [name for name, verdict in found if not is_found(verdict)]
    _say(f"{len(found) - len(missed)} of {len(found)} planted holes found" + f", not: {missed}" * bool(missed))
    return 1 if missed else 0


def _say(what: str, end: str = "\n") -> None:
    print(what, end=end, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
