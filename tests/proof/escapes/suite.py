"""Start a chain, build each world once, run the rows, report."""

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from gamekit.devnet import Anvil, AnvilSettings, DevnetNode
from gamekit.devnet.deployment import OPERATOR
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
            await _plant(world, hole)
            world.signs_deadline = PLANTS[hole].signs_deadline
        results.extend(await run_account(world, rows))

    await in_worlds(accounts, run)
    return results


async def _plant(world: World, name: str) -> None:
    """Put a contract with a hole in the real one's place; what that has written stays."""
    place, arguments = world.module, b""
    if PLANTS[name].contract == "SessionPaymaster":
        assert world.where.paymaster is not None
        place = world.where.paymaster
        arguments = b"".join(each.rjust(32, b"\x00") for each in (world.where.entry_point, world.module, OPERATOR))
    await world.node.set_code(place, await plant(world.node, name, arguments))
    await world.tick()


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
        f"{result.account:18} {result.id:28} {result.verdict}: {'; '.join(result.faults)[:400]}"
        for result in results
        if result.verdict in ("accepted", "failed")
    ]
    return "\n".join([*lines, ", ".join(f"{count:,} {name}" for name, count in totals(results).items())])


def totals(results: Sequence[Result]) -> dict[str, int]:
    """Count the verdicts."""
    names = ("refused", "accepted", "failed", "not applicable")
    return {name: sum(result.verdict == name for result in results) for name in names}


async def hunt(names: Sequence[str], rows: Sequence[Row]) -> bool:
    """Run rows against session validators with a hole; whether each reports exactly the rows that it opens."""
    all_found = True
    for name in names:
        results = await run_suite([HUNTED_ON], rows, name)
        found = {
            verdict: {each.id for each in results if each.verdict == verdict} for verdict in ("accepted", "failed")
        }
        hole, ran = PLANTS[name], {each.id for each in results}
        told = {"accepted": set(hole.accepted) & ran, "failed": set(hole.failed) & ran}
        is_found = found == told and bool(found["accepted"])
        all_found &= is_found
        print(f"{name:20} {'found' if is_found else 'NOT as told'}: {totals(results)}", flush=True)  # noqa: T201
        if not is_found:
            print(f"{report(results)}\ntold: {told}")  # noqa: T201
    return all_found


HUNTED_ON = "reference 0.8"
"""The account on which the holes are hunted: what they open depends a little on the account."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.escapes", description=__doc__)
    parser.add_argument("--account", action="append", choices=ACCOUNTS, help="only this account; may be repeated")
    parser.add_argument("--case", action="append", help="only this case (C22) or row (C22:inside); may be repeated")
    parser.add_argument(
        "--plant",
        action="append",
        choices=("all", *PLANTS),
        help=f"run on {HUNTED_ON} against a session validator with this hole, and tell whether it is found",
    )
    parser.add_argument("--write", action="store_true", help="write the document, if every row ran and ended well")
    parser.add_argument("--json", type=Path, help="write the totals to this file")
    parser.add_argument("--results", type=Path, help="write every row's result to this file")
    return parser.parse_args()


async def main() -> int:
    """Do what the command line says; 0 if every row is as it must be."""
    options = arguments()
    rows = [row for row in all_rows() if not options.case or {row.case, row.id} & set(options.case)]
    if options.plant:
        return int(not await hunt(list(PLANTS) if "all" in options.plant else options.plant, rows))
    accounts = options.account or ACCOUNTS
    began = time.monotonic()
    results = await run_suite(accounts, rows)
    seconds, counts = time.monotonic() - began, totals(results)
    print(f"{report(results)}\n{len(rows)} rows, {seconds:.1f} s")  # noqa: T201
    if options.json:
        runs = len(results) - counts["not applicable"]
        figures = {"rows": len(rows), "accounts": len(accounts), "runs": runs} | counts
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    if options.results:
        options.results.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    is_good = not counts["accepted"] + counts["failed"]
    if options.write and is_good and len(results) == len(ACCOUNTS) * len(all_rows()):
        DOCUMENT.write_text(render(all_rows(), len(PLANTS)))
        print(f"wrote {DOCUMENT.name}")  # noqa: T201
    return int(not is_good)
