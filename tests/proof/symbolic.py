"""Prove the session validator with Halmos, and show that each proof finds a hole.

`gamekit/contracts/test/proof/` holds the proofs, `properties.py` their list. Each is run three times: on the module as
it is (it must pass, on every path, with no loop cut short), once asking whether it ever comes to what it proves (it
must), and on a module with its hole (it must find a counterexample). Everything else is a failure: a timeout, an error,
a path that Halmos gave up.

Run: python -m tests.proof.symbolic [--only TEXT ...] [--all-holes] [--nightly] [--jobs 2] [--json FILE]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gamekit.contracts import build
from tests.proof import tools
from tests.proof.properties import PROPERTIES, Hole, Property
from tests.proof.solidity import creation_codes, planted_sources

PROOFS: Final = build.PROJECT / "test" / "proof"
SPLITTING: Final = Path(__file__).with_name("splitting.py")
SECONDS_MAX: Final = 7200
"""Longest time for one run of Halmos."""
PASS: Final = 0
COUNTEREXAMPLE: Final = 1
VERDICTS: Final = {
    0: "proven", 1: "counterexample", 2: "timeout", 3: "stuck", 4: "every path reverts", 5: "error",
}  # fmt: skip
"""Halmos's exit codes of one proof."""


class ProofFailed(Exception):
    """Something did not compile, or Halmos gave no verdict; the message says what."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of Halmos."""

    proof: Property
    hole: Hole | None = None
    """What is wrong with the module; None if nothing is."""
    reach: bool = False
    """Whether to ask only if the proof comes to what it proves."""
    words: int = 0
    """Of callData with so many words only; 0 for all that the proof is about."""

    @property
    def name(self) -> str:
        """For people."""
        about = f" with “{self.hole.name}”" if self.hole else " reached" if self.reach else ""
        about += f" of {self.words} words" if self.words else ""
        return f"{self.proof.contract}.{self.proof.check}{about}"

    @property
    def variables(self) -> dict[str, str]:
        """What the proof is told by its environment."""
        told = {"PROOF_REACH": "true"} if self.reach else {}
        words = self.words if self.expected == PASS else self.proof.words
        return told | ({"PROOF_WORDS": str(words)} if words else {})

    @property
    def expected(self) -> int:
        """Halmos's exit code, if all is well."""
        return PASS if self.hole is None and not self.reach else COUNTEREXAMPLE


@dataclass(frozen=True, slots=True)
class Row:
    """What one run gave."""

    name: str
    states: str
    expected: str
    verdict: str
    paths: int
    seconds: float
    said: str
    """The end of what Halmos printed, if it was not what was expected."""

    @property
    def holds(self) -> bool:
        """Whether it is what it should be."""
        return self.verdict == self.expected


def jobs_of(proofs: Sequence[Property], *, all_holes: bool) -> list[Job]:
    """Give the runs that `proofs` take: each passes, is reached, and finds its first hole, or all of them."""
    jobs: list[Job] = []
    for proof in proofs:
        jobs.extend(Job(proof, words=words) for words in proof.apart or (0,))
        if proof.reaches:
            jobs.append(Job(proof, reach=True))
        jobs.extend(Job(proof, hole) for hole in (proof.holes if all_holes else proof.holes[:1]))
    return jobs


def compile_proofs(folder: Path) -> None:
    """Compile the proofs, with the syntax trees that Halmos reads, into `folder`/out.

    Raises:
        ProofFailed: they do not compile.
    """
    shutil.copytree(PROOFS, folder / "test" / "proof")
    shutil.copytree(build.PROJECT / "src", folder / "src")
    for name in ("foundry.toml", "solc.mjs"):
        shutil.copy(build.PROJECT / name, folder / name)
    (folder / "node_modules").symlink_to(build.PACKAGES.resolve())
    command = ["forge", "build", "--ast", "--extra-output", "storageLayout", "metadata", "--threads", "1", "test/proof"]
    done = subprocess.run(
        command, cwd=folder, env=tools.environment(folder, {}), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ProofFailed(f"the proofs do not compile: {done.stdout[-3000:]}{done.stderr[-3000:]}")


def make_root(folder: Path, proofs: Path, module: bytes) -> None:
    """Make a project for Halmos: the compiled proofs, and the module that they are about."""
    (folder / "src").mkdir(parents=True)
    # Halmos has forge build first; here there is nothing to build.
    (folder / "foundry.toml").write_text('[profile.default]\nsrc = "src"\noffline = true\n')
    (folder / "out").symlink_to(proofs / "out")
    (folder / "module.json").write_text(json.dumps({"bytecode": {"object": module.hex()}}))


def run(job: Job, root: Path) -> Row:
    """Run Halmos once, on the module in `root`."""
    expected = job.expected
    with tempfile.TemporaryDirectory(dir=root) as own:
        report = Path(own, "report.json")
        command = [
            str(tools.PYTHON), str(SPLITTING), "--root", str(root), "--contract", job.proof.contract,
            "--match-test", f"^check_{job.proof.check}\\(", "--loop", "256", "--no-status",
            "--solver-timeout-assertion", "0",
            "--json-output", str(report), *(["--early-exit"] if expected else []),
        ]  # fmt: skip
        environment = tools.environment(Path(own), job.variables)
        started = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
            )
        except subprocess.TimeoutExpired:
            return Row(job.name, job.proof.states, VERDICTS[expected], "timeout", 0, SECONDS_MAX, "")
        seconds = time.monotonic() - started
        said = done.stdout + done.stderr
        if report.exists():
            verdict, paths = verdict_of(json.loads(report.read_text()))
        else:
            verdict, paths = f"Halmos ended with code {done.returncode} and no report", 0
    row = Row(job.name, job.proof.states, VERDICTS[expected], verdict, paths, round(seconds, 1), said[-3000:])
    _say(f"{'ok    ' if row.holds else 'FAILED'} {row.name}: {verdict}, {paths:,} paths, {seconds:.0f} s")
    if not row.holds:
        _say(row.said)
    return row


def verdict_of(report: dict[str, Any]) -> tuple[str, int]:
    """Read Halmos's report on one proof: its verdict in words, and the number of paths.

    Raises:
        ProofFailed: there is none, or more than one.
    """
    results = [result for proofs in report.get("test_results", {}).values() for result in proofs]
    if len(results) != 1:
        return f"{len(results)} proofs were run", 0
    (result,) = results
    total, _, blocked = result["num_paths"] or (0, 0, 0)
    verdict = VERDICTS.get(result["exitcode"], "unknown")
    if verdict == "proven" and result["num_bounded_loops"]:
        return "loops were cut short", total
    if verdict == "proven" and blocked:
        return f"{blocked} paths were given up", total
    return verdict, total


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(description="Prove the session validator symbolically.")
    parser.add_argument("--only", action="append", default=[], help="only proofs whose name holds this")
    parser.add_argument("--all-holes", action="store_true", help="every hole of a proof, not only its first")
    parser.add_argument("--nightly", action="store_true", help="also the proofs that take long")
    parser.add_argument("--jobs", type=int, default=2, help="how many runs of Halmos at once")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(arguments)
    chosen = [
        proof
        for proof in PROPERTIES
        if (options.nightly or not proof.nightly)
        and (not options.only or any(text in f"{proof.contract}.{proof.check}" for text in options.only))
    ]
    started = time.monotonic()
    tools.ensure()
    with tempfile.TemporaryDirectory(prefix="gamekit-symbolic-") as own:
        rows = prove(jobs_of(chosen, all_holes=options.all_holes), Path(own), options.jobs)
    figures = summary(rows, time.monotonic() - started)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    _say(f"{figures['proofs']} proofs, {figures['twins']} twins, {figures['failed']} failed, {figures['seconds']} s")
    return 0 if rows and figures["failed"] == 0 else 1


def prove(jobs: Sequence[Job], folder: Path, workers: int) -> list[Row]:
    """Compile the proofs and every module that `jobs` are about, then run all; rows in the order of `jobs`."""
    _say(f"compiling the proofs and {len({job.hole for job in jobs})} modules")
    compile_proofs(folder / "proofs")
    roots: dict[Hole | None, Path] = {}
    for job in jobs:
        if job.hole not in roots:
            root = folder / f"module-{len(roots)}"
            module = creation_codes(planted_sources(job.hole.edits if job.hole else ()))["SessionValidator"]
            make_root(root, folder / "proofs", module)
            roots[job.hole] = root
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda job: run(job, roots[job.hole]), jobs))


def summary(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """Give the figures."""
    proofs = [row for row in rows if row.expected == "proven"]
    return {
        "proofs": len({row.name.partition(" ")[0] for row in proofs}),
        "twins": sum("“" in row.name for row in rows),
        "failed": sum(not row.holds for row in rows),
        "paths": sum(row.paths for row in proofs),
        "seconds": round(seconds),
        "rows": [asdict(row) for row in rows],
    }


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
