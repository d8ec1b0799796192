"""The pipeline of one commit against another's, by turns on the same machine: what a change costs.

Each turn is a process of its own that measures one round in a checkout of its own; the order changes with each round.
The figure is the median of the rounds' ratios, so that a machine which gets slower or faster meanwhile counts for both.

Run: python -m benchmarks.against BASE [--commit HEAD] [--rounds 7] [--seconds 3] [--sessions 100]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import write_report

REPOSITORY = Path(__file__).parents[1]
COMPILED = ("artifacts", "devnet_artifacts")
"""What the set-up compiles; neither side measures a contract, so both take this checkout's."""
FIGURES = ("accepted_per_s", "signed_per_s")


def check_out(commit: str, folder: Path) -> Path:
    """Make a checkout of a commit, with compiled contracts."""
    command = ["git", "worktree", "add", "--quiet", "--detach", str(folder), commit]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    for name in COMPILED:
        shutil.copytree(REPOSITORY / "gamekit" / "contracts" / name, folder / "gamekit" / "contracts" / name)
    return folder


def one_round(checkout: Path, seconds: float, sessions: int) -> dict[str, float]:
    """Measure once, in a checkout; gives the row's figures."""
    command = [sys.executable, "-m", "benchmarks.pipeline", "--rounds", "1"]
    command += ["--seconds", str(seconds), "--sessions", str(sessions)]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL)
    (row,) = json.loads((checkout / "benchmarks" / "results" / "pipeline.json").read_text())["rows"]
    return {name: float(row[name]) for name in FIGURES}


def ratios(rounds: list[tuple[dict[str, float], dict[str, float]]], name: str) -> list[float]:
    """One figure of the commit over the base's, round by round."""
    return [commit[name] / base[name] for base, commit in rounds]


def main() -> None:
    """Measure by turns, print each round, write `benchmarks/results/against.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--sessions", type=int, default=100)
    options = parser.parse_args()
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    with tempfile.TemporaryDirectory(prefix="gamekit-against-") as own:
        try:
            base, commit = check_out(options.base, Path(own, "base")), check_out(options.commit, Path(own, "commit"))
            for turn in range(options.rounds):
                pair = [base, commit] if turn % 2 else [commit, base]
                found = {each: one_round(each, options.seconds, options.sessions) for each in pair}
                rounds.append((found[base], found[commit]))
                told = ", ".join(f"{name} {ratios(rounds[-1:], name)[0]:.3f}" for name in FIGURES)
                print(f"round {turn + 1} of {options.rounds}: {told} of the base", flush=True)
        finally:
            for name in ("base", "commit"):
                subprocess.run(
                    ["git", "worktree", "remove", "--force", str(Path(own, name))], cwd=REPOSITORY, check=False
                )
    row: dict[str, object] = {
        "base": options.base,
        "commit": options.commit,
        "sessions": options.sessions,
        "rounds": options.rounds,
    }
    for name in FIGURES:
        found_ratios = ratios(rounds, name)
        row[name] = round(statistics.median(commit[name] for _, commit in rounds))
        row[f"{name}_ratio"] = round(statistics.median(found_ratios), 3)
        row[f"{name}_ratio_min"], row[f"{name}_ratio_max"] = round(min(found_ratios), 3), round(max(found_ratios), 3)
        print(f"{name}: {row[f'{name}_ratio']} of the base, {row[f'{name}_ratio_min']} to {row[f'{name}_ratio_max']}")
    write_report("against", " ".join((__doc__ or "").split("\n\n")[1].split()), [row])


if __name__ == "__main__":
    main()
