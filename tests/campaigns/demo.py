"""SIGKILL of the demo's server, at a random moment of the demo.

Run: python -m tests.campaigns.demo [--count 2] [--seed 1] [--players 20] [--seconds 5] [--thief] [--plant NAME]
    [--json FILE]

Each case runs the whole demo, and kills its server once: while sessions open, while they play, while outcomes are
awaited, while the thief is at work. The demo starts it again, and its own audit counts.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, STDOUT
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gamekit.demo.cast import PID_FILE
from gamekit.demo.report import WRONG
from tests.campaigns import plants
from tests.campaigns.command import exit_code, judged
from tests.campaigns.world import ROOT

DEMO_S_MAX: Final = 400.0
MOMENT_S: Final = 14.0
"""The kill comes at most so long after the server's first start: opening sessions, playing, and the last outcomes."""
MOMENT_THIEF_S: Final = 24.0
"""The same when a thief is at work as well."""
PLANTED: Final = Path(__file__).parent / "planted"
"""Where Python finds what puts a bug into the servers."""
TRIES_MAX: Final = 3
"""Runs for one kill: one that comes after the end kills nobody."""


async def case(options: argparse.Namespace, dice: random.Random) -> dict[str, Any]:
    """Run the demo once and kill its server; gives its report, with what was wrong if it has none."""
    with tempfile.TemporaryDirectory(prefix="gamekit-demo-") as name:
        folder, report = Path(name) / "demo", Path(name) / "report.json"
        command = [
            *("-m", "gamekit.cli", "demo", "--players", str(options.players), "--seconds", str(options.seconds)),
            *("--folder", str(folder), "--report", str(report), "--rate", "10"),
            *(() if options.thief else ("--no-thief",)),
        ]
        log = Path(name) / "demo.log"
        with log.open("wb") as output:
            demo = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                cwd=ROOT,
                env=environment(options.plant),
            )
        try:
            async with asyncio.timeout(DEMO_S_MAX):
                killing = asyncio.create_task(
                    kill(folder, dice.random() * (MOMENT_THIEF_S if options.thief else MOMENT_S))
                )
                code = await demo.wait()
                killing.cancel()
        finally:
            if demo.returncode is None:
                demo.terminate()
                await demo.wait()
        written: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
        if code or not written:
            return {"failed": code or 1, "log": log.read_text(errors="replace")[-1500:], **written}
        return written


def environment(plant: str) -> dict[str, str]:
    """What the demo starts with: with a planted bug, all that it starts finds it, and only servers take it."""
    if not plant:
        return dict(os.environ)
    paths = [str(PLANTED), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "CAMPAIGN_PLANT": plant}


async def kill(folder: Path, after_s: float) -> None:
    """Wait for the server's first start, then so long, then kill whatever server runs."""
    file = folder / PID_FILE
    while not file.exists():
        await asyncio.sleep(0.02)
    await asyncio.sleep(after_s)
    pid = int(file.read_text())
    with suppress(ProcessLookupError, FileNotFoundError):
        if b"gamekit.cli\0serve" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


async def campaign(options: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    """Run every case; stops at the first that is wrong."""
    dice = random.Random(options.seed)
    sums: Counter[str] = Counter()
    began = time.monotonic()
    tries, failure = 0, ""
    wrong: dict[str, int] = {}
    while sums["kills"] < options.count and tries < TRIES_MAX * options.count and not (failure or wrong):
        tries += 1
        found = await case(options, dice)
        sums.update({name: found.get(name, 0) for name in ("kills", "accepted", "reconnects", *WRONG)})
        failure = found.get("log", "")
        wrong = {name: found[name] for name in WRONG if found.get(name)}
        failure = "" if wrong else failure  # It failed because of what it counted: that is a verdict.
        print(f"case {tries}: {found.get('kills', 0)} kills, {found.get('accepted', 0)} accepted, {wrong}", flush=True)
    if failure:
        print(failure)
    figures = {"seed": options.seed, "runs": tries, "players": options.players, **sums}
    figures |= {"failed": int(bool(failure)), "seconds_per_run": round((time.monotonic() - began) / max(tries, 1), 1)}
    if failure:
        figures["no_verdict"] = 1
    return not failure and sums["kills"] >= options.count and not any(sums[name] for name in WRONG), figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description="Kill the demo's server at random moments.")
    parser.add_argument("--count", type=int, default=2, help="kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--players", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--thief", action="store_true", help="with the thief, as `make demo`")
    parser.add_argument("--plant", default="", choices=["", *plants.of("demo")])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    clean, figures = asyncio.run(campaign(options))
    if options.plant:
        figures |= judged(clean, figures, plants.of("demo")[options.plant])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    return exit_code(clean, figures)


if __name__ == "__main__":
    sys.exit(main())
