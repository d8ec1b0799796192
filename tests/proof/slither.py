"""Ask Slither about the contracts, and hold each of its findings against an answer.

Run: python -m tests.proof.slither [--json FILE]

`slither_answers.toml` says of each finding why it is fine: detector, places, reason. A finding without an answer fails,
and so does an answer without a finding: what it spoke of is gone.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gamekit.contracts import build
from tests.proof import tools

ANSWERS: Final = Path(__file__).with_name("slither_answers.toml")
TIME_S_MAX: Final = 600


class SlitherFailed(Exception):
    """Slither gave no result; the message carries its last words."""


def ask() -> list[dict[str, Any]]:
    """Run Slither on a copy of the sources; gives its findings. Raises SlitherFailed."""
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own)
        shutil.copytree(build.PROJECT / "src", folder / "src")
        for name in ("foundry.toml", "solc.mjs", "package.json"):
            shutil.copy(build.PROJECT / name, folder / name)
        (folder / "node_modules").symlink_to(build.PACKAGES.resolve())
        answer = folder / "slither.json"
        command = [str(tools.FOLDER / "bin" / "slither"), ".", "--filter-paths", "node_modules", "--json", str(answer)]
        variables = tools.environment(folder, {})
        # Its exit code says that it found something, which it does.
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=TIME_S_MAX
        )
        result: dict[str, Any] = json.loads(answer.read_text()) if answer.exists() else {}
        if not result.get("success"):
            raise SlitherFailed((done.stdout + done.stderr)[-2000:])
        found: list[dict[str, Any]] = result["results"]["detectors"]
        return found


def place(finding: dict[str, Any]) -> str:
    """Say where a finding is, without a line: file, and what of it."""
    element = finding["elements"][0]
    path = Path(element["source_mapping"]["filename_relative"])
    return f"{path.relative_to('src')}:{element['name']}"


def answers(text: str) -> dict[tuple[str, str], str]:
    """Read the answers: detector and place, to the reason."""
    return {
        (answer["detector"], where): answer["why"]
        for answer in tomllib.loads(text)["answer"]
        for where in answer["places"]
    }


def judge(found: set[tuple[str, str]], answered: set[tuple[str, str]]) -> list[str]:
    """Say what is wrong: findings without an answer, answers without a finding."""
    return [
        *(f"{detector} at {where} has no answer" for detector, where in sorted(found - answered)),
        *(f"{detector} at {where} is answered and not found" for detector, where in sorted(answered - found)),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(description="Hold Slither's findings against their answers.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes what was seen")
    options = parser.parse_args(arguments)
    build.build()
    tools.ensure()
    try:
        findings = ask()
    except SlitherFailed as failure:
        _say(str(failure))
        return 2
    faults = judge({(each["check"], place(each)) for each in findings}, set(answers(ANSWERS.read_text())))
    for fault in faults:
        _say(fault)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        written = {"findings": len(findings), "unanswered_or_stale": len(faults), "faults": faults}
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    _say(f"{len(findings)} findings, {len(faults)} without an answer or answered and gone")
    return 1 if faults else 0


def _say(what: str) -> None:
    sys.stderr.write(f"slither: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
