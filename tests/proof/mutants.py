"""Plant bugs in the contracts' source, one at a time, and see that the Foundry tests find each.

Run: python -m tests.proof.mutants [--sample N [--seed S]] [--only NAME] [--file NAME.sol] [--new] [--equivalent]
                                   [--jobs 2] [--json FILE] [--write]

The tests run in scratch copies of the project, where they deploy what is compiled (`dynamic_test_linking`): a bug
compiles its contract and no test. Only what none of them finds is planted in the tests of its library as well, which
are compiled with it. A bug that does not compile is an error of this program; one that no test finds makes the exit
code 1, and so does a change that is listed as equivalent and is found. `--new` plants those that have no result yet,
`--write` keeps what was seen beside what was seen before and renews the table in the contracts' documents.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

from gamekit.contracts import build
from tests.proof import found
from tests.proof.mutations import EQUIVALENT, MUTATIONS, NAMED, Mutation
from tests.proof.scratch import Project, RunFailed, contract_of

REPOSITORY: Final = Path(__file__).parents[2]
SCRATCH: Final = REPOSITORY / "build" / "proof" / "mutants"


class Verdict(NamedTuple):
    """What became of one bug."""

    mutation: Mutation
    killed_by: str
    """The first test that failed; empty for a survivor."""
    seconds: float

    def as_expected(self) -> bool:
        """Whether a bug was found, or what is none was not."""
        return bool(self.killed_by) != bool(self.mutation.why)


def judge(mutations: Sequence[Mutation], jobs: int, keep: Callable[[Verdict], None]) -> list[Verdict]:
    """Plant each bug and see who finds it; `keep` is told of each, one at a time. Raises RunFailed."""
    projects: SimpleQueue[Project] = SimpleQueue()
    contracts = sorted({contract_of(mutation.file) for mutation in mutations})
    for job in range(jobs):
        project = Project(SCRATCH / str(job), contracts)
        if job == 0:
            project.require_sound(contracts)
        projects.put(project)
    done = 0
    turn = threading.Lock()

    def one(mutation: Mutation) -> Verdict:
        nonlocal done
        project = projects.get()
        started = time.monotonic()
        try:
            verdict = Verdict(mutation, project.test(mutation), time.monotonic() - started)
        finally:
            projects.put(project)
        with turn:
            done += 1
            seen = f"{verdict.killed_by or 'SURVIVED'} ({verdict.seconds:.0f} s)"
            _say(f"{done}/{len(mutations)} {mutation.name}: {seen}")
            keep(verdict)
        return verdict

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, mutations))


def sample(count: int, seed: int) -> list[Mutation]:
    """Choose bugs: those that every run plants, and so many others."""
    others = [mutation for mutation in MUTATIONS if mutation not in NAMED]
    chosen = random.Random(seed).sample(others, max(0, min(count - len(NAMED), len(others))))
    return [*NAMED, *chosen]


def seed_of_commit() -> int:
    """Give a number that is another one for each commit, and the day's where there is no git."""
    command = ("git", "rev-parse", "HEAD")
    asked = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    commit = re.fullmatch(r"([0-9a-f]{8})[0-9a-f]+", asked.stdout.strip())
    return int(commit[1], 16) if commit else int(time.time() // 86_400)


def chosen(options: argparse.Namespace) -> list[Mutation]:
    """Give what the command line asks for."""
    if options.sample is not None:
        seed = seed_of_commit() if options.seed is None else options.seed
        _say(f"{options.sample} of {len(MUTATIONS)}, chosen with --seed {seed}")
        options.seed = seed
        return sample(options.sample, seed)
    known = found.read() if options.new else {}
    listed = EQUIVALENT if options.equivalent else (*MUTATIONS, *EQUIVALENT) if options.only else MUTATIONS
    return [
        each
        for each in listed
        if (not options.only or each.name in options.only)
        and (not options.file or each.file in options.file)
        and each.name not in known
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; gives the exit code."""
    options = _parser().parse_args(arguments)
    build.build()
    started = time.monotonic()

    def keep(verdict: Verdict) -> None:
        if options.write:
            found.add({verdict.mutation.name: verdict.killed_by})

    try:
        verdicts = judge(chosen(options), options.jobs, keep)
    except RunFailed as failure:
        _say(str(failure))
        return 2
    if options.json:
        seconds = (time.monotonic() - started) * options.jobs
        _write(options.json, verdicts, round(seconds / max(len(verdicts), 1)), options.seed)
    wrong = [verdict.mutation.name for verdict in verdicts if not verdict.as_expected()]
    missed = "found" if options.equivalent else "survived"
    _say(f"{len(verdicts)} planted, {len(wrong)} {missed}: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Plant bugs in the contracts.")
    parser.add_argument("--sample", type=int, help="plant so many, the named ones among them")
    parser.add_argument("--seed", type=int, help="chooses the others; by default the commit does")
    parser.add_argument("--only", action="append", help="plant this one; may be repeated")
    parser.add_argument("--file", action="append", help="plant those in this source; may be repeated")
    parser.add_argument("--new", action="store_true", help="plant those without a result")
    parser.add_argument("--equivalent", action="store_true", help="plant what is listed as no bug")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="projects at once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes what was seen")
    parser.add_argument("--write", action="store_true", help="keep the results and renew the document")
    return parser


def _write(file: Path, verdicts: Sequence[Verdict], seconds_each: int, seed: int | None) -> None:
    survivors = [verdict.mutation.name for verdict in verdicts if not verdict.killed_by]
    written = {
        "planted": len(verdicts),
        "found": len(verdicts) - len(survivors),
        "of": len(MUTATIONS),
        "seconds_each": seconds_each,
        "survivors": survivors,
        "killed_by": {verdict.mutation.name: verdict.killed_by for verdict in verdicts},
    }
    if seed is not None:
        written["seed"] = seed
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(written, indent=1) + "\n")


def _say(what: str) -> None:
    sys.stderr.write(f"mutants: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
