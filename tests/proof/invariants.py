"""Fuzz the session validator among adversaries at length, and show that the same invariants find planted holes.

`gamekit/contracts/test/invariant/` is the world: `Handler` holds what adversaries, owners and time do, `Book` what
must hold. Here it is run for a number of calls, split over processes with seeds of their own, and what the runs report
is added up: it is not enough that nothing broke. Every kind of operation must also have been accepted, and every check
must have refused something.

Run: python -m tests.proof.invariants --calls 100000 [--seed S] [--jobs 2] [--json FILE]
     python -m tests.proof.invariants --plant all [--calls N]
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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gamekit.contracts import artifact, build
from gamekit.eth.hashing import selector, to_hex
from tests.proof.plants import PLANTS, Plant, PlantUnknown, plant_named
from tests.proof.solidity import creation_codes, planted_sources

DEPTH = 250
"""Calls of one run: long enough for sessions to be used up, short enough for the book to stay small."""
PLANT_CALLS = 20_000
"""Calls within which a plant must be found, unless the command line says otherwise."""
PLANT_SEED = 1
COVERED_CALLS = 20_000
"""A campaign of at least so many calls must have seen everything in EXPECTED."""
SUITE = "test/invariant/*"
REPORTS = "cache/reports"
"""Where the suite may write, from the project's root (foundry.toml)."""
PROGRESS_SECONDS = 2.0

SCOPES = ("plain", "rules", "value", "rate", "many", "sponsored", "tight", "long")
MODES = ("single", "single try", "batch", "batch try")
ACCOUNTS = ("reference 0.7", "reference 0.8", "Nexus 0.7")
CHECKS = (
    "SelectorNotExecute", "ModeNotAllowed", "CallDataNotCanonical", "CallsOutOfRange", "SelectorMissing",
    "SignatureTooShort", "SignatureTooLong", "SessionNotLive", "EpochStale", "NonceKeyMismatch", "PaymasterMismatch",
    "GasPerOperationExceeded", "GasBudgetExceeded", "UsesExceeded", "RateExceeded", "TimeRangeEmpty",
    "HintOutOfRange", "WitnessInvalid", "CallNotAllowed", "TargetForbidden", "ValuePerCallExceeded",
    "ArgumentMissing", "ArgumentRefused", "CapExceeded",
)  # fmt: skip
"""Every error of validation that an operation can end with. Two others cannot be reached through an EntryPoint: it
asks each account about its own operations only (SenderMismatch), and refuses larger gas fields itself
(GasFieldTooLarge). Init code on an account that exists is refused by the EntryPoint, too (AA10)."""
WORDS = ("AA10 sender already constructed", "AA22 expired or not due", "AA24 signature error",
         "AA25 invalid account nonce")  # fmt: skip
"""What the EntryPoints themselves refuse with."""
EXPECTED = (
    *(f"accepted: {account}, {mode}" for account in ACCOUNTS for mode in MODES),
    *(f"accepted: {scope}" for scope in SCOPES),
    *(f"accepted: bundle of {size}" for size in (1, 2, 3, 4)),
    *(f"refused: {check}" for check in CHECKS),
    *(f"refused: {words}" for words in WORDS),
    "intruded", "owned", "reinstalled", "revoked all", "revoked one", "upgraded",
)  # fmt: skip
"""What must have happened at least once in a campaign."""


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
        return [] if self.calls < COVERED_CALLS else [name for name in EXPECTED if not self.counts[name]]

    @property
    def breaches(self) -> list[Verdict]:
        """The verdicts that something was broken."""
        return [verdict for verdict in self.verdicts if verdict.breach is not None]


def error_names() -> dict[str, str]:
    """Give the name of each error of the session validator by its selector in hexadecimal."""
    entries: Sequence[dict[str, Any]] = artifact("SessionValidator").abi
    return {
        to_hex(selector(f"{entry['name']}({','.join(given['type'] for given in entry['inputs'])})")): entry["name"]
        for entry in entries
        if entry["type"] == "error"
    }


def named(name: str, errors: dict[str, str]) -> str:
    """Write an error's name where the suite counted its selector: "refused: AA23 0x…" becomes "refused: Name"."""
    prefix = "refused: AA23 "
    code = name.removeprefix(prefix)
    return f"refused: {errors[code]}" if name.startswith(prefix) and code in errors else name


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


def command(seed: int) -> list[str]:
    """Give the command line of one forge process."""
    executable = next(build.PACKAGES.glob("@foundry-rs/forge-*/bin/forge"))
    return [str(executable), "test", "--match-path", SUITE, "--threads", "1", "--fuzz-seed", hex(seed), "--json"]


def environment(runs: int, report: Path, planted: Path | None) -> dict[str, str]:
    """Give what one forge process is told beside its command line."""
    variables = build._environment() | {
        "FOUNDRY_INVARIANT_RUNS": str(runs),
        "FOUNDRY_INVARIANT_DEPTH": str(DEPTH),
        # Nothing of an earlier run may be played first.
        "FOUNDRY_INVARIANT_FAILURE_PERSIST_DIR": str(report.with_suffix("")),
        "INVARIANT_REPORT": str(report.relative_to(build.PROJECT)),
    }
    if planted is not None:
        # How a planted hole was found needs no shortening.
        variables |= {"FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT": "0"}
        variables |= {"INVARIANT_VALIDATOR": str(planted.relative_to(build.PROJECT))}
    return variables


def run(calls: int, seed: int, jobs: int, planted: Path | None = None) -> Campaign:
    """Run `calls` calls or a few more, in `jobs` processes whose seeds follow each other; says how far it is."""
    folder = build.PROJECT / REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    runs = -(-calls // (DEPTH * jobs))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        reports = [Path(own, f"{seed + job:x}.jsonl") for job in range(jobs)]
        answers = [report.with_suffix(".json") for report in reports]
        processes = []
        for job, (report, answer) in enumerate(zip(reports, answers, strict=True)):
            report.touch()
            with answer.open("wb") as stdout, report.with_suffix(".err").open("wb") as stderr:
                processes.append(
                    subprocess.Popen(
                        command(seed + job), cwd=build.PROJECT, stdout=stdout, stderr=stderr,
                        env=environment(runs, report, planted),
                    )
                )  # fmt: skip
        try:
            _wait(processes, reports, runs * DEPTH * jobs, started)
        finally:
            for process in processes:
                process.kill()
        verdicts = [verdict_of(answer.read_text(), seed + job) for job, answer in enumerate(answers)]
        campaign = Campaign(seed, time.monotonic() - started, verdicts)
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
        campaign.counts["attempts of games"] += report["attempts"]
        for name, number in report["counts"].items():
            campaign.counts[named(name, errors)] += number


def compile_suite() -> None:
    """Compile once, before several processes start. It is what `build.py test` compiles as well.

    Raises:
        RunFailed: it does not compile.
    """
    listing = [*command(0)[:-1], "--list"]
    done = subprocess.run(
        listing, cwd=build.PROJECT, env=build._environment(), check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RunFailed(f"the suite does not compile: {done.stdout[-4000:]}{done.stderr[-2000:]}")


def hunt(plants: Sequence[Plant], calls: int, seed: int, jobs: int) -> list[tuple[Plant, Verdict]]:
    """Plant one hole after the other, `jobs` at once, and look for each."""
    with ThreadPoolExecutor(jobs) as pool:
        shares = pool.map(lambda job: _hunt_share(plants[job::jobs], calls, seed), range(jobs))
        found = [row for share in shares for row in share]
    return sorted(found, key=lambda row: plants.index(row[0]))


def _hunt_share(plants: Sequence[Plant], calls: int, seed: int) -> list[tuple[Plant, Verdict]]:
    found = []
    folder = build.PROJECT / REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    for plant in plants:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            planted = Path(own, "SessionValidator.json")
            code = creation_codes(planted_sources(plant.edits))["SessionValidator"]
            planted.write_text(json.dumps({"abi": [], "bytecode": {"object": to_hex(code)}}), encoding="utf-8")
            campaign = run(calls, seed, 1, planted)
        (verdict,) = campaign.verdicts
        found.append((plant, verdict))
        told = f"found after {verdict.calls:,} calls" if is_found(verdict) else "NOT FOUND"
        _say(f"{plant.name:28} {told}: {verdict.breach} ({campaign.seconds:.1f} s)")
    return found


def is_found(verdict: Verdict) -> bool:
    """Whether a hole was found: by harm that was done, not by a good operation that the plant made impossible."""
    return verdict.breach is not None and not verdict.breach.startswith(("a good operation", "failed to set up"))


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
    _say(f"seed {campaign.seed:#x}: repeat with --seed {campaign.seed:#x} --calls {campaign.calls}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(description="Fuzz the session validator among adversaries.")
    parser.add_argument("--calls", type=int, help="calls in all")
    parser.add_argument("--plant", metavar="NAME", help="look for a planted hole instead, or for all of them")
    parser.add_argument("--seed", type=lambda text: int(text, 0), help="repeats what an earlier run printed")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes at once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes what was seen")
    options = parser.parse_args(arguments)
    build.build()
    try:
        compile_suite()
        if options.plant:
            return _hunt(options)
        return _campaign(options)
    except (PlantUnknown, RunFailed) as failure:
        _say(str(failure))
        return 1


def _campaign(options: argparse.Namespace) -> int:
    seed = secrets.randbits(48) if options.seed is None else options.seed
    _say(f"seed {seed:#x}")
    campaign = run(options.calls or 100_000, seed, options.jobs)
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
    plants = PLANTS if options.plant == "all" else (plant_named(options.plant),)
    seed = PLANT_SEED if options.seed is None else options.seed
    found = hunt(plants, options.calls or PLANT_CALLS, seed, min(options.jobs, len(plants)))
    if options.json:
        written = {plant.name: asdict(verdict) for plant, verdict in found}
        options.json.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    missed = [plant.name for plant, verdict in found if not is_found(verdict)]
    _say(f"{len(found) - len(missed)} of {len(found)} planted holes found" + f", not: {missed}" * bool(missed))
    return 1 if missed else 0


def _say(what: str, end: str = "\n") -> None:
    print(what, end=end, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
