"""Start a chain, build each world once, run the rows, report."""

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from gamekit.devnet import Anvil, AnvilSettings, DevnetNode
from tests.proof.escapes.accounts import ACCOUNTS
from tests.proof.escapes.model import Result, Row
from tests.proof.escapes.plants import PLANTS, plant
from tests.proof.escapes.rows import all_rows
from tests.proof.escapes.runner import run_account
from tests.proof.escapes.table import DOCUMENT, render
from tests.proof.escapes.world import World
from tests.proof.storage_rules import judge, summary

SETTINGS = AnvilSettings(code_size_capped=False, base_fee_wei=0)
"""Kernel as npm carries it is larger than real chains admit. Without a base fee only operations cost anything."""


async def run_suite(accounts: Sequence[str], rows: Sequence[Row], hole: str = "") -> list[Result]:
    """Run rows on accounts, on a chain of their own.

    Args:
        hole: name of a bug (`plants.py`) that the session validator has, from before the first row on.
    """
    results: list[Result] = []

    async def run(world: World) -> None:
        if hole:
            await world.node.set_code(world.module, await plant(world.node, hole))
            await world.tick()
            world.signs_deadline = PLANTS[hole].signs_deadline
        results.extend(await run_account(world, rows))

    await in_worlds(accounts, run)
    return results


async def in_worlds(accounts: Sequence[str], visit: Callable[[World], Awaitable[None]]) -> None:
    """Build the world of each account, one after the other on one chain, and visit it."""
    with tempfile.TemporaryDirectory() as folder:
        anvil = Anvil.start(Path(folder), SETTINGS)
        try:
            async with DevnetNode(anvil.url, timeout_ms=60_000) as node:
                # A node that mines by itself forgets a mined transaction only after it has answered: behind a restore
                # it would mine it again.
                await node.request_optional(object, "evm_setAutomine", False)
                await node.request_optional(object, "anvil_autoImpersonateAccount", True)
                await node.request_optional(object, "anvil_setBlockTimestampInterval", 1)
                for account in accounts:
                    before = await node.snapshot()
                    await visit(await World.create(node, account))
                    await node.restore(before)
        finally:
            anvil.stop()


async def print_storage() -> None:
    """Print what each account does in the validation of a session's operation."""

    async def traced(world: World) -> None:
        (op,) = await world.bundle(world.honest(), "play")
        trace, found = await judge(world, op)
        print(summary(world, trace, found))  # noqa: T201

    await in_worlds(ACCOUNTS, traced)


def report(results: Sequence[Result]) -> str:
    """Say what is not as it must be, and the totals."""
    lines = [
        f"{result.account:14} {result.id:28} {result.verdict}: {'; '.join(result.faults)[:400]}"
        for result in results
        if result.verdict in ("accepted", "failed")
    ]
    counts = {name: sum(result.verdict == name for result in results) for name in VERDICTS}
    return "\n".join([*lines, ", ".join(f"{count} {name}" for name, count in counts.items())])


VERDICTS = ("refused", "accepted", "failed", "not applicable")


async def main() -> int:
    """Do what the command line says; 0 if every row is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.escapes", description=__doc__)
    parser.add_argument("--account", action="append", choices=ACCOUNTS, help="only this account; may be repeated")
    parser.add_argument("--case", action="append", help="only this case (C22) or row (C22:alias); may be repeated")
    parser.add_argument("--plant", default="", choices=PLANTS, help="run against a session validator with this hole")
    parser.add_argument(
        "--write", action="store_true", help="write the document, if all rows ran and ended as they must"
    )
    parser.add_argument("--json", type=Path, help="write every result to this file")
    options = parser.parse_args()
    rows = [row for row in all_rows() if not options.case or {row.case, row.id} & set(options.case)]
    began = time.monotonic()
    results = await run_suite(options.account or ACCOUNTS, rows, options.plant)
    print(report(results))  # noqa: T201
    print(f"{len(rows)} rows, {time.monotonic() - began:.1f} s")  # noqa: T201
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    wrong = {name: {each.id for each in results if each.verdict == name} for name in ("accepted", "failed")}
    ran = {each.id for each in results}
    hole = PLANTS.get(options.plant)
    told = {"accepted": set(hole.accepted) & ran, "failed": set(hole.failed) & ran} if hole else {}
    is_good = wrong == (told or {"accepted": set(), "failed": set()})
    if hole:
        print("exactly the rows that this hole opens" if is_good else f"not the rows that it opens: {told}")  # noqa: T201
    if options.write and is_good and not hole and len(results) == len(ACCOUNTS) * len(all_rows()):
        DOCUMENT.write_text(render(all_rows(), len(PLANTS)))
        print(f"wrote {DOCUMENT.name}")  # noqa: T201
    return int(not is_good)
