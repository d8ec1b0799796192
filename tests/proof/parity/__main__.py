"""`python -m tests.proof.parity --count 50000 --seed 1`: the campaign from the command line, on a devnet of its own."""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

import msgspec

from gamekit.devnet import Anvil, DevnetNode
from tests.proof.parity.campaign import Campaign, Result
from tests.proof.parity.oracle import Oracle
from tests.proof.parity.plants import PLANTS, Plant


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof.parity", description=__doc__)
    parser.add_argument("--count", type=int, default=50_000, help="inputs to judge; nightly 1000000")
    parser.add_argument("--seed", type=int, default=1, help="what all inputs follow from")
    parser.add_argument("--json", type=Path, help="where to write what was found")
    parser.add_argument("--only", type=int, metavar="INDEX", help="judge one input of the seed, and show it")
    parser.add_argument("--plant", choices=PLANTS, help="plant a bug on Python's side; the campaign must fail")
    return parser.parse_args(given)


async def campaign(options: argparse.Namespace, node: DevnetNode, anvil: Anvil) -> int:
    """Run what was asked for; gives the exit code."""
    plant = PLANTS[options.plant][0] if options.plant else Plant()
    running = Campaign(await Oracle.create(node), options.seed, plant)
    if options.only is not None:
        for each in await running.run_one(options.only):
            say(str(each))
        result = running.result
    else:
        result = await running.run(options.count, Progress(options.count))
    result.cpu_seconds = {"python": round(time.process_time(), 1), "anvil": cpu_seconds(anvil.pid)}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    report(result)
    return 1 if result.faults else 0


def cpu_seconds(pid: int) -> float:
    """Give what a process has used so far. Source: proc(5), /proc/pid/stat: utime and stime behind the name."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 1)


class Progress:
    """Says on standard error how far it is, every few seconds."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = self._told = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._told < 5 and done < self._count:
            return
        self._told = now
        rate = done / (now - self._started)
        say(f"parity: {done:,} of {self._count:,} inputs, {rate:,.0f} a second", sys.stderr)


def say(text: str, where: TextIO = sys.stdout) -> None:
    where.write(text + "\n")
    where.flush()


def report(result: Result) -> None:
    """Say the figures, and each fault with what draws it again."""
    say(
        f"parity: {result.count:,} inputs of seed {result.seed} in {result.seconds} s: {result.accepted:,} accepted, "
        f"{result.refused:,} refused by {len(result.errors)} errors, {result.signature_failed:,} wrong signatures; "
        f"CPU seconds {result.cpu_seconds}"
    )
    for reason, entry in result.stricter.items():
        say(f"parity: {entry['count']} that only Python refuses, {reason}: {entry['why']}")
    if result.errors_missing:
        say(f"parity: errors of validation that none produced: {', '.join(result.errors_missing)}")
    for fault in result.faults:
        say(f"parity: FAULT {fault.what}: {fault.detail}")
        if fault.index >= 0:
            say(f"parity:   again: python -m tests.proof.parity --seed {result.seed} --only {fault.index}")


async def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        anvil = Anvil.start(Path(folder))
        try:
            async with DevnetNode(anvil.url, timeout_ms=120_000) as node:
                return await campaign(options, node, anvil)
        finally:
            anvil.stop()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
