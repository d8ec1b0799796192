"""Measures what an action costs on chain: a session of ours beside the owner, and beside what others call a session.

One anvil, one game call (`attack` of the example game), everything warm: each account has a deposit, has used its
nonce key, and has acted once before. Nobody's operation has a paymaster. validation_gas is what the account used in
validateUserOp, from the trace of the mined transaction; where no entry point is involved, the row's note says what
stands for it. total_gas is the receipt's. Both are of the whole bundle: `operations` operations of as many players,
`calls` calls each. The clock is set and the keys are fixed, so the same checkout always gives the same figures.

`limits` is what a row's signer is held to on chain, whoever holds the key. Before a row is measured, each of its limits
is stepped over, and the run ends if that is not refused. Exits with 1 when a bound that was promised does not hold.

Run: python -m benchmarks.gas
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import product

from msgspec import to_builtins

from benchmarks import peers
from benchmarks.gas_accounts import (
    ALL_ON,
    EVERY_CHECK,
    Contestant,
    Operations,
    Owner,
    SafeOwner,
    Session,
    SimpleAccount,
)
from benchmarks.gas_calldata import calldata_row
from benchmarks.gas_chain import SETTINGS, Chain, compile_benchmark_contracts, game_call
from benchmarks.gas_checks import check_rows, crossover, list_rows
from benchmarks.gas_limits import require_limits
from benchmarks.gas_peers import MERGED, SEPARATE, SHIPPED, SUDO, Delegation, SmartSession, Thirdweb
from benchmarks.gas_verdicts import EVERY_CHECK as EVERY_CHECK_SIGNER
from benchmarks.gas_verdicts import Row, verdicts
from benchmarks.report import write_report
from gamekit.contracts import build
from gamekit.core.setup import StackSetup, chain_setup
from gamekit.eth.entry_point import decode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion

CALLS = (1, 5, 10, 25, 50)
OPERATIONS = (1, 10)
PEERS = ("@metamask/delegation-abis", "@thirdweb-dev/contracts")
TOOLS = ("@openzeppelin/contracts", "@rhinestone/modulekit", "aa06", "aa07", "aa08", "solc")
NOTES = {
    "kernel": "Kernel 3.1 as npm carries it, 28,581 bytes: not the live build",
    "safe7579": "Safe 1.4.1 with Safe7579 1.0.0",
    "nexus": "Nexus 1.0.0",
}
"""Which build of others an account is."""
EOA = "externally owned account"
COMPARED_ON = "nexus"
"""The account on which sessions of others and single checks are measured."""
CALLDATA_NOTE = (
    "A compact batch is not an ERC-7579 batch: the account itself decodes `execute`, and knows two layouts, "
    "packed(target, value, data) and abi.encode((address,uint256,bytes)[]). A third one would need an executor module "
    "that unpacks it and calls executeFromExecutor: a second contract with all rights over the account, one more call "
    "frame for each operation, and a decoder in the validator that must be proven equal to it. Where data is posted "
    "compressed it would save next to nothing, since nearly all that it leaves out is zeros. On EntryPoint 0.7 a "
    "contract without any rights may unpack whole bundles, since all that it writes is signed; EntryPoint 0.8 takes "
    "bundles from externally owned accounts only. The deflated figures are of calls that differ in one number: "
    "the best case."
)


def contestants(stacks: Sequence[StackSetup]) -> list[Callable[[], Operations | Delegation]]:
    """List what makes everybody who is measured."""
    found: list[Callable[[], Operations | Delegation]] = []
    found += [partial(SimpleAccount, version) for version in (EntryPointVersion.V07, EntryPointVersion.V08)]
    for where in stacks:
        note = NOTES.get(where.name, "")
        every = partial(Session, where, ALL_ON, EVERY_CHECK_SIGNER, EVERY_CHECK, note=note)
        found += [partial(Owner, where, note=note), partial(Session, where, note=note), every]
        if where.name == "safe7579":
            found.append(partial(SafeOwner, where))
    where = next(each for each in stacks if each.name == COMPARED_ON)
    found += [partial(SmartSession, where, form) for form in (SUDO, SHIPPED, SEPARATE, MERGED)]
    found += [partial(SmartSession, where, form, arguments=True) for form in (SEPARATE, MERGED)]
    found += [partial(Thirdweb, session=session) for session in (False, True)]
    found += [partial(Delegation, caveats=caveats) for caveats in (False, True)]
    return found


async def measure(
    chain: Chain, contestant: Contestant, calls: Sequence[int] = CALLS, operations: Sequence[int] = OPERATIONS
) -> AsyncIterator[tuple[Row, bytes]]:
    """Measure one contestant, each bundle from the same state; gives each row and the transaction's data.

    Raises: SystemExit when a call was not executed.
    """
    await contestant.open(chain, max(operations))
    for each_operations, each_calls in product(operations, calls):
        places = range(each_operations)
        async with chain.undone():
            before = [await contestant.executed(place) for place in places]
            to, data = await contestant.transaction(each_calls, each_operations)
            sent = await chain.measure(to, data)
            executed = [await contestant.executed(place) - before[place] for place in places]
        if executed != [each_calls] * each_operations:
            raise SystemExit(f"{contestant.account}, {contestant.signer}: executed {executed} of {each_calls} each")
        row = Row(
            account=contestant.account,
            entry_point_version=contestant.entry_point_version,
            signer=contestant.signer,
            calls=each_calls,
            operations=each_operations,
            validation_gas=contestant.validation(sent, each_operations),
            total_gas=sent.total_gas,
            calldata_bytes=len(data),
            limits=contestant.limits,
            note=contestant.note,
        )
        yield row, data


async def plain_transaction(chain: Chain) -> Row:
    """Measure what the call costs where there is no account at all: the protocol itself checks the signature."""
    to, data = chain.contracts.arena, game_call(0)
    await chain.measure(to, data)
    async with chain.undone():
        sent = await chain.measure(to, data)
    note = "a plain transaction to the game"
    return Row(EOA, None, "its own key", 1, 1, 0, sent.total_gas, len(data), (), note)


def describe(row: Row, data: bytes) -> dict[str, object]:
    """Account for the bytes of a bundle of our session."""
    first = decode_handle_ops(data).operations[0]
    calls = [(0, game_call(index)) for index in range(row.calls)]
    return calldata_row(data, first.call_data, first.signature, calls, row.operations)


async def run() -> dict[str, list[dict[str, object]]]:
    """Measure everything, and say how far it is."""
    rows: list[Row] = []
    calldata: list[dict[str, object]] = []
    async with Chain.start() as chain:
        stacks = chain_setup(chain.contracts.chain_config(chain.node.url)).stacks
        rows.append(await plain_transaction(chain))
        show(rows[0])
        steps = 0
        for make in contestants(stacks):
            steps += await require_limits(chain, make)
            async for row, data in measure(chain, make()):
                show(row)
                rows.append(row)
                if (row.account, row.signer) == (COMPARED_ON, "session"):
                    calldata.append(describe(row, data))
        where = next(each for each in stacks if each.name == COMPARED_ON)
        print("each check by itself", flush=True)
        checks = await check_rows(chain, where)
        print("longer lists", flush=True)
        lists = await list_rows(chain, where)
    print(f"{steps} steps over the limits that the rows list were refused", flush=True)
    built = [to_builtins(row) for row in rows]
    judged = [to_builtins(verdict) for verdict in verdicts(rows)]
    return {"rows": built, "checks": checks, "lists": lists, "calldata": calldata, "verdicts": judged}


def show(row: Row) -> None:
    """Say how far it is."""
    print(
        f"{row.account:<33} {row.entry_point_version or '-':<4} {row.signer:<44}"
        f"{row.calls:>3} x {row.operations:<3}{row.validation_gas:>11,}{row.total_gas:>12,}",
        flush=True,
    )


def main() -> None:
    """Measure, print, write `benchmarks/results/gas.json`; exit with 1 when a bound is broken."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    peers.install()
    compile_benchmark_contracts()
    found = asyncio.run(run())
    rows = found.pop("rows")
    for check in found["checks"]:
        print(f"{check['check']:<33}{check['gas_one_call']:>8,}{check['gas_each_further_call']:>10,} each further call")
    for verdict in found["verdicts"]:
        sign = "holds" if verdict["holds"] else "BROKEN"
        print(f"{sign:<8}{verdict['name']:<75}{verdict['found']:>12,} of {verdict['limit']:,}")
    write_report(
        "gas",
        " ".join(" ".join((__doc__ or "").split("\n\n")[1:3]).split()),
        rows,
        **found,
        calldata_note=CALLDATA_NOTE,
        lists_crossover=crossover(found["lists"]),
        hardfork=SETTINGS.hardfork,
        peers=peers.peer_versions(*PEERS) | tool_versions(),
    )
    if not all(verdict["holds"] for verdict in found["verdicts"]):
        sys.exit(1)


def tool_versions() -> dict[str, str]:
    """Read what the contracts' package.json pins."""
    stored = json.loads((build.PROJECT / "package.json").read_text())
    pins: dict[str, str] = stored["dependencies"] | stored["optionalDependencies"]
    return {name: pin for name, pin in pins.items() if name in TOOLS or name.startswith("@foundry-rs/anvil")}


if __name__ == "__main__":
    main()
