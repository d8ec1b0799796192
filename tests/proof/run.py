"""Prove the contracts: every suite, one after another, and a page that says what each of them saw.

Run: python -m tests.proof.run [--nightly] [--only NAME ...] [--write]

Each part is a program of its own that can be run alone; here they get their size, their seed and a place for their
figures. Nothing is run twice: what pytest runs besides is small. `--write` renews the committed page.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from gamekit.contracts import build

REPOSITORY: Final = Path(__file__).parents[2]
FIGURES: Final = REPOSITORY / "build" / "contracts"
"""Where each part leaves its figures."""
RESULTS: Final = REPOSITORY / "benchmarks" / "results" / "contracts.json"
PAGE: Final = RESULTS.with_suffix(".md")
"""The results page, one table for each size."""
HEADER: Final = """# What the proof of the contracts saw

Written by `python -m tests.proof.run --write`; do not edit.
`make contracts` runs the small size, `make nightly` the full one.

"""


SEED: Final = "SEED"
_COUNTED: Final = re.compile(r"^Ran \d+ test suites.*: (\d+) tests passed, (\d+) failed")


class Part(NamedTuple):
    """One suite."""

    name: str
    what: str
    module: str
    """What `python -m` runs; empty for forge."""
    small: tuple[str, ...]
    """Arguments in continuous integration."""
    full: tuple[str, ...]
    """Arguments in a night; `SEED` stands for the night's own."""


PARTS: Final = (
    Part("foundry", "one file per function, a test per event and error; fuzzed", "", (), ()),
    Part(
        "escapes",
        "every case of the attack list on every account and EntryPoint, mined, beside its twin",
        "tests.proof.escapes",
        (),
        (),
    ),
    Part(
        "invariants",
        "stateful fuzzing among adversaries",
        "tests.proof.invariants",
        ("--calls", "100000", "--seed", "0x67616d65"),
        ("--calls", "1000000", "--seed", SEED),
    ),
    Part(
        "sponsorship",
        "stateful fuzzing of the paymaster among thieves, dishonest owners and sponsors",
        "tests.proof.invariants",
        ("--suite", "paymaster", "--calls", "10000", "--seed", "0x67616d65"),
        ("--suite", "paymaster", "--calls", "100000", "--seed", "0x67616d65"),
    ),
    Part(
        "parity",
        "Python's verdict and the module's on the same inputs",
        "tests.proof.parity",
        ("--count", "50000", "--seed", "1"),
        ("--count", "1000000", "--seed", SEED),
    ),
    Part(
        "symbolic",
        "proofs by Halmos, each with a twin that must fail",
        "tests.proof.symbolic",
        (),
        ("--nightly", "--all-holes"),
    ),
    Part(
        "mutants",
        "bugs planted in the source of the module and the paymaster, each to be found",
        "tests.proof.mutants",
        ("--sample", "16"),
        ("--write",),
    ),
    Part("slither", "static analysis, each finding answered", "tests.proof.slither", (), ()),
)


class Outcome(NamedTuple):
    """What became of one part."""

    name: str
    passed: bool
    seconds: float
    figures: dict[str, Any]


def run_part(part: Part, seed: int, *, nightly: bool) -> Outcome:
    """Run one part to its end; what it prints goes where ours goes."""
    print(f"\n== {part.name}: {part.what}", flush=True)
    file = FIGURES / f"{part.name}.json"
    file.unlink(missing_ok=True)
    started = time.monotonic()
    if part.module:
        sized = [str(seed) if word == SEED else word for word in (part.full if nightly else part.small)]
        command = [sys.executable, "-m", part.module, *sized, "--json", str(file)]
        code = subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    else:
        code = _foundry(file, hex(seed) if nightly else None)
    figures = json.loads(file.read_text()) if file.exists() else {}
    seconds = time.monotonic() - started
    print(f"== {part.name}: {'passed' if code == 0 else 'FAILED'} after {seconds:.0f} s", flush=True)
    return Outcome(part.name, code == 0, seconds, figures)


def _foundry(file: Path, night_seed: str | None) -> int:
    """Run forge's own tests, and count them; with many more runs of each fuzz test if it is a night."""
    variables = {"FOUNDRY_FUZZ_SEED": night_seed} if night_seed else {}
    command = [sys.executable, "-P", str(build.PROJECT / "build.py"), "fuzz" if night_seed else "test"]
    passed = failed = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | variables) as forge:
        assert forge.stdout is not None
        for line in forge.stdout:
            print(line, end="", flush=True)
            counted = _COUNTED.search(line)
            if counted:
                passed, failed = int(counted[1]), int(counted[2])
    file.write_text(json.dumps({"tests": passed, "failed": failed, "seed": night_seed or ""}))
    return forge.returncode or (0 if passed else 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(description="Prove the contracts.")
    parser.add_argument("--nightly", action="store_true", help="at full size")
    parser.add_argument("--seed", type=int, default=int(time.strftime("%Y%m%d")), help="of a night; that day's date")
    parser.add_argument("--only", action="append", choices=[part.name for part in PARTS], help="only this part")
    parser.add_argument("--write", action="store_true", help="renew the committed results")
    options = parser.parse_args(arguments)
    FIGURES.mkdir(parents=True, exist_ok=True)
    chosen = [part for part in PARTS if not options.only or part.name in options.only]
    outcomes = [run_part(part, options.seed, nightly=options.nightly) for part in chosen]
    commit = _commit()
    record = {
        "size": "nightly" if options.nightly else "ci",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "parts": {
            each.name: {
                "passed": each.passed,
                "seconds": round(each.seconds),
                "commit": commit,
                "figures": each.figures,
            }
            for each in outcomes
        },
    }
    (FIGURES / "contracts.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    print("\n" + page(record))
    if options.write:
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        kept[record["size"]] = _joined(kept.get(record["size"], {}), record)
        RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        PAGE.write_text(HEADER + "\n".join(page(kept[size]) for size in sorted(kept)))
    return 0 if all(each.passed for each in outcomes) else 1


def _joined(earlier: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Put a run beside the parts that were run before, each with its commit: a night can go on another night."""
    same = earlier.get("machine") == record["machine"]
    return record | {"parts": (earlier["parts"] if same else {}) | record["parts"]}


def page(record: dict[str, Any]) -> str:
    """Lay one run out as a table."""
    lines = [
        f"## {record['size']}",
        "",
        f"{record['machine']}. Wall times, one part after another.",
        "",
        "| part | verdict | seconds | commit | what it saw |",
        "|---|---|---|---|---|",
    ]
    for part in PARTS:
        seen = record["parts"].get(part.name)
        if seen is not None:
            numbers = ", ".join(_facts(seen["figures"]))
            verdict = "passed" if seen["passed"] else "**failed**"
            cells = (f"{part.name}: {part.what}", verdict, f"{seen['seconds']:,}", seen["commit"], numbers)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _facts(figures: dict[str, Any]) -> Iterator[str]:
    """Give the figures of a part that are one number or word each."""
    for name, value in figures.items():
        if isinstance(value, int | float | str) and value != "":
            yield (
                f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value}"
            )


def _commit() -> str:
    command = ("git", "rev-parse", "--short", "HEAD")
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
