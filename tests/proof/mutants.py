"""Plant bugs in the module's source, one at a time, and see that the Foundry tests find each.

Run: python -m tests.proof.mutants [--sample N --seed S] [--only NAME] [--jobs 2] [--json FILE] [--write]

The tests run in scratch copies of the project, where they deploy what is compiled (`dynamic_test_linking`): a bug
compiles the module and no test. Only what none of them finds is planted in the tests of the libraries as well. A bug
that does not compile is an error of this program; one that no test finds makes the exit code 1. `--write` renews the
table in the contracts' documents.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

from gamekit.contracts import build
from tests.proof.mutations import MUTATIONS, NAMED, Mutation
from tests.proof.solidity import validator_sources

REPOSITORY: Final = Path(__file__).parents[2]
SCRATCH: Final = REPOSITORY / "build" / "proof" / "mutants"
TABLE: Final = build.PROJECT / "MUTANTS.md"
SUITES: Final = ("Harness.sol", "LongLists.sol", "validator", "lib")
"""Of the project's tests, those that are asked."""
FUZZ_RUNS: Final = "64"
"""Fewer than in the project's own run: what a bug lets through is mostly found by a test that was written for it."""
_TEST: Final = re.compile(r"\[FAIL[^\]]*(?:\][^\]]*)*?\] (\w+)\(")
_COMPILED: Final = "Compiler run failed"
COMPILED: Final = Path("out", "SessionValidator.sol", "SessionValidator.json")


class Verdict(NamedTuple):
    """What became of one bug."""

    mutation: Mutation
    killed_by: str
    """The first test that failed; empty for a survivor."""
    seconds: float


class RunFailed(Exception):
    """The tests could not be asked; the message says why."""


class Project:
    """Scratch copies of the Foundry project: one that compiles the module, one that tests what was compiled."""

    def __init__(self, folder: Path) -> None:
        self._module, self._tests = folder / "module", folder / "tests"
        for each, suites in ((self._module, ()), (self._tests, SUITES)):
            _copy(each, suites)
        keep = {"SessionValidator.sol", *validator_sources()}
        for path in self._module.glob("src/**/*.sol"):
            if path.name not in keep:
                path.unlink()

    def test(self, mutation: Mutation | None) -> str:
        """Run the tests with a bug planted; gives the first that fails, empty if all pass.

        Raises: RunFailed when it does not compile, or its text does not stand in its file exactly once.
        """
        if mutation is None:
            return self._run()
        source = self._module / "src" / mutation.file
        before = source.read_text()
        if before.count(mutation.old) != 1:
            raise RunFailed(f"{mutation.name}: its text stands {before.count(mutation.old)} times in {mutation.file}")
        try:
            source.write_text(before.replace(mutation.old, mutation.new))
            return self._run() or self._run_units(mutation)
        finally:
            source.write_text(before)

    def _run(self) -> str:
        """Compile the module and put it where the tests deploy it from."""
        built = _forge(self._module, "build")
        if built.returncode != 0:
            raise RunFailed((built.stdout + built.stderr)[-2000:])
        if not (self._tests / COMPILED).exists() and _forge(self._tests, "build").returncode != 0:
            raise RunFailed("the tests do not compile")
        shutil.copy(self._module / COMPILED, self._tests / COMPILED)
        return self._first_failure()

    def _run_units(self, mutation: Mutation) -> str:
        """Compile the tests of the libraries with the bug: they have the libraries inside."""
        source = self._tests / "src" / mutation.file
        before = source.read_text()
        try:
            source.write_text(before.replace(mutation.old, mutation.new))
            return self._first_failure()
        finally:
            source.write_text(before)

    def _first_failure(self) -> str:
        done = _forge(self._tests, "test", "--fail-fast")
        if done.returncode == 0:
            return ""
        failed = _TEST.search(done.stdout)
        if _COMPILED in done.stdout + done.stderr or failed is None:
            raise RunFailed((done.stdout + done.stderr)[-2000:])
        return failed[1]


def _copy(folder: Path, suites: Sequence[str]) -> None:
    """Copy sources, settings and some tests; what was compiled there before stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("src", "test", "snapshots"):
        shutil.rmtree(folder / name, ignore_errors=True)
    shutil.copytree(build.PROJECT / "src", folder / "src")
    (folder / "test").mkdir()
    for name in suites:
        source = build.PROJECT / "test" / name
        if source.is_dir():
            shutil.copytree(source, folder / "test" / name)
        else:
            shutil.copy(source, folder / "test" / name)
    for name in ("solc.mjs", "package.json", "package-lock.json"):
        shutil.copy(build.PROJECT / name, folder / name)
    settings = (build.PROJECT / "foundry.toml").read_text()
    changed = settings.replace("\noptimizer = true\n", "\noptimizer = true\ndynamic_test_linking = true\n")
    if changed == settings:
        raise RunFailed("foundry.toml does not say `optimizer = true`")
    (folder / "foundry.toml").write_text(changed)
    for name in ("node_modules", "devnet_artifacts"):
        link = folder / name
        if not link.exists():
            link.symlink_to((build.PROJECT / name).resolve())


def _forge(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    executable = next(build.PACKAGES.glob("@foundry-rs/forge-*/bin/forge"))
    command = [str(executable), *arguments, "--threads", "1"]
    variables = build._environment() | {"FOUNDRY_FUZZ_RUNS": FUZZ_RUNS}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def judge(mutations: Sequence[Mutation], jobs: int) -> list[Verdict]:
    """Plant each bug and see who finds it. Raises RunFailed."""
    projects: SimpleQueue[Project] = SimpleQueue()
    for job in range(jobs):
        project = Project(SCRATCH / str(job))
        found = project.test(None)
        if found:
            raise RunFailed(f"without any bug, {found} fails")
        projects.put(project)
    done = 0

    def one(mutation: Mutation) -> Verdict:
        nonlocal done
        project = projects.get()
        started = time.monotonic()
        try:
            verdict = Verdict(mutation, project.test(mutation), time.monotonic() - started)
        finally:
            projects.put(project)
        done += 1
        _say(f"{done}/{len(mutations)} {mutation.name}: {verdict.killed_by or 'SURVIVED'} ({verdict.seconds:.0f} s)")
        return verdict

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, mutations))


def sample(count: int, seed: int) -> list[Mutation]:
    """Choose bugs: those that every run plants, and so many others."""
    others = [mutation for mutation in MUTATIONS if mutation not in NAMED]
    chosen = random.Random(seed).sample(others, max(0, min(count - len(NAMED), len(others))))
    return [*NAMED, *chosen]


def table(killed_by: dict[str, str]) -> str:
    """Write the document."""
    lines = [
        "# Bugs that the tests find",
        "",
        "Written by `python -m tests.proof.mutants --write`; do not edit. Each row is one change to the module's",
        "source, planted alone, and the first Foundry test that failed with it.",
        "",
        f"{len(killed_by)} of {len(MUTATIONS)} planted so far, {sum(map(bool, killed_by.values()))} found.",
        "",
        "| bug | file | the module would | found by |",
        "|---|---|---|---|",
    ]
    for each in MUTATIONS:
        if each.name in killed_by:
            found = f"`{killed_by[each.name]}`" if killed_by[each.name] else "**nobody**"
            lines.append(f"| {each.name} | {each.file} | {each.what} | {found} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(description="Plant bugs in the session validator.")
    parser.add_argument("--sample", type=int, help="plant so many, the named ones among them")
    parser.add_argument("--seed", type=int, default=1, help="chooses the others")
    parser.add_argument("--only", action="append", help="plant this one; may be repeated")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="projects at once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes what was seen")
    parser.add_argument("--write", action="store_true", help="renew the document")
    options = parser.parse_args(arguments)
    build.build()
    chosen = list(MUTATIONS) if options.sample is None else sample(options.sample, options.seed)
    if options.only:
        chosen = [mutation for mutation in MUTATIONS if mutation.name in options.only]
    started = time.monotonic()
    try:
        verdicts = judge(chosen, options.jobs)
    except RunFailed as failure:
        _say(str(failure))
        return 2
    survivors = [verdict.mutation.name for verdict in verdicts if not verdict.killed_by]
    killed_by = {verdict.mutation.name: verdict.killed_by for verdict in verdicts}
    if options.json:
        written = {
            "planted": len(verdicts),
            "found": len(verdicts) - len(survivors),
            "of": len(MUTATIONS),
            "seconds_each": round((time.monotonic() - started) * options.jobs / max(len(verdicts), 1)),
            "survivors": survivors,
            "killed_by": killed_by,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    if options.write:
        TABLE.write_text(table(killed_by))
    _say(f"{len(verdicts)} planted, {len(survivors)} survived: {', '.join(survivors) or 'none'}")
    return 1 if survivors else 0


def _say(what: str) -> None:
    sys.stderr.write(f"mutants: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
