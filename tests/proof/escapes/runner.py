"""Run rows: the twin must pass as a mined transaction, the escape must not, and then nothing may have moved."""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gamekit.chain.rpc import from_data, to_data, to_quantity
from gamekit.errors import GamekitError
from gamekit.eth.abi import AbiValue
from gamekit.eth.entry_point import HANDLE_OPS, USER_OPERATION_EVENT, encode_handle_ops
from gamekit.eth.hashing import parse_address, to_hex
from gamekit.eth.interface import Function
from gamekit.eth.user_operation import PackedUserOperation, UserOperation, pack
from gamekit.units import Address
from tests.proof.escapes.accounts import HIDES_ERRORS
from tests.proof.escapes.model import ANY, EXECUTED, Ask, Judge, Later, Operate, Result, Row, Step, Transact, Trial
from tests.proof.escapes.refusals import Refusal, deeper, refusal
from tests.proof.escapes.verdict import verdict_on
from tests.proof.escapes.watch import State, changes, is_book, look, touched
from tests.proof.escapes.world import World, block_time

_PACKED = (
    "(address sender,uint256 nonce,bytes init_code,bytes call_data,bytes32 account_gas_limits,"
    "uint256 pre_verification_gas,bytes32 gas_fees,bytes paymaster_and_data,bytes signature)"
)
HANDLE_AGGREGATED_OPS = Function.parse(
    f"handleAggregatedOps(({_PACKED}[] user_ops,address aggregator,bytes signature)[] ops,address beneficiary)"
)


class Ended(Struct, frozen=True):
    """How a step ended."""

    text: str
    values: Mapping[str, AbiValue] = {}
    index: int = 0
    operations: tuple[UserOperation, ...] = ()
    touched: tuple[str, ...] = ()
    """What a transaction that failed left different on the chain: nothing, one should think."""


async def run_row(world: World, row: Row, start: State) -> Result:
    """Run one row from the world's first block, and go back to it.

    Args:
        start: what is watched, at that block.
    """
    expected = str(row.expected_at(world.name))
    result = Result(id=row.id, case=row.case, what=row.what, account=world.name, expected=expected)
    result.without = row.reason_without(world.name)
    if result.without:
        return result
    trial = row.build(world)
    faults: list[str] = []
    await _side(world, trial, row, result, start, faults, is_twin=True)
    await _side(world, trial, row, result, start, faults, is_twin=False)
    result.faults = tuple(faults)
    return result


async def _side(
    world: World, trial: Trial, row: Row, result: Result, start: State, faults: list[str], *, is_twin: bool
) -> None:
    """Run the twin or the escape, from the first block and back to it."""
    now, snapshot = world.now, await world.node.snapshot()
    before = (*trial.before, *(trial.twin_before if is_twin else trial.escape_before))
    who = "twin" if is_twin else "escape"
    try:
        for place, step in enumerate(before):
            ended = await run_step(world, step)
            if ended.text != (step.ends if isinstance(step, Operate) else EXECUTED):
                faults.append(f"{who}: step {place} before it: {ended.text}")
        first = await look(world) if before else start
        world.deposit_wei = first["deposit"]
        step = trial.twin if is_twin else trial.escape
        record = await world.used(step.session) if row.off_chain and isinstance(step, Operate) else None
        ended = await run_step(world, step)
        last = await look(world)
        if is_twin:
            result.twin = ended.text
            faults.extend(_twin_faults(trial, ended, first, last))
        else:
            note = await trial.after(world) if trial.after and ended.text.startswith(EXECUTED) else ""
            result.found = f"{ended.text}{note if note.startswith(',') else ' ' + note}".strip()
            result.breach = ", ".join(_breach(trial, result, ended, changes(first, last)))
            faults.extend(_escape_faults(trial, result, ended))
        if row.off_chain:
            asked = trial.off_chain[is_twin]() if trial.off_chain else ""
            if record is not None:
                asked = verdict_on(world, step, ended.operations, record)
            faults.extend(_off_chain_faults(row, result, asked, is_twin=is_twin))
    except (GamekitError, AssertionError) as error:
        faults.append(f"{who}: {type(error).__name__}: {error}")
    finally:
        await world.node.restore(snapshot)
        world.now = now


def _twin_faults(trial: Trial, ended: Ended, first: State, last: State) -> list[str]:
    """What is wrong with a twin: it must succeed, and move what it is meant to and books, nothing else."""
    if ended.text != EXECUTED:
        return [f"twin: {ended.text} {dict(ended.values)}"]
    wanted = {"plays": 1} if trial.effect is None else trial.effect
    effect = {name: amount for name, amount in wanted.items() if amount not in (ANY, 0)}
    found = {name: amount for name, amount in changes(first, last).items() if name in wanted or not is_book(name)}
    found = {name: amount for name, amount in found.items() if wanted.get(name) != ANY}
    return [] if found == effect else [f"twin: moved {found}, not {effect}"]


def _breach(trial: Trial, result: Result, ended: Ended, changed: Mapping[str, int]) -> list[str]:
    """What an escape moved that it may not move: nothing at all where it must be refused."""
    if not result.expected.startswith(EXECUTED):
        return [*changed, *ended.touched]
    return [name for name in changed if not is_book(name) and name not in trial.spares]


def _escape_faults(trial: Trial, result: Result, ended: Ended) -> list[str]:
    faults = [] if result.found == result.expected else [f"escape: {result.found} {dict(ended.values)}"]
    if result.breach:
        faults.append(f"escape: moved {result.breach}")
    if ended.operations and ended.index != len(ended.operations) - 1 and result.found.startswith("AA"):
        faults.append(f"escape: the EntryPoint names operation {ended.index}")
    for name, value in trial.values.items() if not faults else ():
        if ended.values.get(name) != value:
            faults.append(f"escape: {name} is {ended.values.get(name)!r}, not {value!r}")
    return faults


def _off_chain_faults(row: Row, result: Result, asked: str, *, is_twin: bool) -> list[str]:
    """gamekit itself must refuse the escape, by the part that the row names, and accept the twin."""
    if is_twin:
        return [f"off chain: the twin is refused by {asked}"] if asked else []
    result.off_chain = asked
    return [] if asked == row.off_chain else [f"off chain: {asked or 'accepted'}, not {row.off_chain}"]


async def run_step(world: World, step: Step) -> Ended:
    """Carry out one step."""
    while isinstance(step, Later):
        step = await step.make(world)
    if isinstance(step, Operate):
        return await _operate(world, step)
    if isinstance(step, Transact):
        return await _transact(world, step)
    if isinstance(step, Ask):
        reverted = await world.ends(step.to, step.data, step.sender)
        if reverted is not None:
            found = refusal(reverted)
            return Ended(found.text, found.values)
        answer = await world.call(step.to, step.data, step.sender)
        return Ended(EXECUTED if step.accepted(answer) else f"answered {step.refused(answer)}")
    if isinstance(step, Judge):
        answered = step.verdict(world)
        return Ended((await answered if inspect.isawaitable(answered) else answered) or EXECUTED)
    await step.what(world)
    await world.tick()
    return Ended(EXECUTED)


async def _operate(world: World, step: Operate) -> Ended:
    operations = tuple(await world.bundle(step.attempt, step.session))
    version = world.where.version
    if step.repack is None and step.aggregator is None:
        data = encode_handle_ops(operations, world.thief, version)
    else:
        packed = [_packed(op, world) for op in operations]
        packed[-1] = packed[-1] if step.repack is None else step.repack(packed[-1])
        rows = tuple(_fields(each) for each in packed)
        if step.aggregator is None:
            data = HANDLE_OPS.encode_call(rows, world.thief)
        else:
            data = HANDLE_AGGREGATED_OPS.encode_call(((rows, step.aggregator, b""),), world.thief)
    receipt = await _send(world, world.thief, world.where.entry_point, data, 0, step.gas, step.at)
    if receipt["status"] != "0x1":
        found, left = await _failure(world, receipt)
        return Ended(found.text, found.values, found.index, operations, left)
    topic = to_hex(USER_OPERATION_EVENT.topic)
    ended = [from_data(log["data"]) for log in receipt["logs"] if log["topics"][0] == topic]
    succeeded = sum(int.from_bytes(data[32:64], "big") for data in ended)
    if len(ended) == succeeded == len(operations):
        return Ended(EXECUTED, operations=operations)
    return Ended(f"{EXECUTED} and reverted", operations=operations)


def _packed(op: UserOperation, world: World) -> PackedUserOperation:
    packed = pack(op, world.where.version)
    assert isinstance(packed, PackedUserOperation)
    return packed


def _fields(op: PackedUserOperation) -> tuple[object, ...]:
    return tuple(getattr(op, name) for name in op.__struct_fields__)


async def _transact(world: World, step: Transact) -> Ended:
    endings = [await world.ends(step.to, data, step.sender) for data in step.also]
    receipt = await _send(world, step.sender, step.to, step.data, step.value, step.gas, step.at)
    found, left = (None, ()) if receipt["status"] == "0x1" else await _failure(world, receipt)
    text = found.text if found else EXECUTED
    others = sorted({EXECUTED if each is None else refusal(each).text for each in endings} - {text})
    return Ended(f"{text}, also {others}" if others else text, found.values if found else {}, touched=left)


async def _send(
    world: World, sender: Address, to: Address, data: bytes, value: int, gas: int, at: int | None
) -> dict[str, Any]:
    """Mine one transaction; gives its receipt."""
    if at is not None:
        await world.node.request_optional(object, "evm_setNextBlockTimestamp", to_quantity(at))
    transaction = {
        "from": to_data(sender),
        "to": to_data(to),
        "data": to_data(data),
        "value": to_quantity(value),
        "gas": to_quantity(gas),
        "gasPrice": "0x0",
    }
    name = await world.node.request(str, "eth_sendTransaction", transaction)
    await world.node.request_optional(object, "evm_mine")
    receipt = await world.node.request(dict[str, Any], "eth_getTransactionReceipt", name)
    world.now = block_time(receipt)
    return receipt


async def _failure(world: World, receipt: Mapping[str, Any]) -> tuple[Refusal, tuple[str, ...]]:
    """Say why a mined transaction reverted, and what it left different all the same."""
    hides, name = world.where.name in HIDES_ERRORS, receipt["transactionHash"]
    options = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": not hides}}
    trace, left = await asyncio.gather(
        world.node.request(dict[str, Any], "debug_traceTransaction", name, options),
        touched(world, name, parse_address(receipt["from"])),
    )
    found = refusal(from_data(trace.get("output", "0x")))
    if hides and found.text.endswith(HIDES_ERRORS[world.where.name]):
        found = deeper(found, _said_by(trace, to_data(world.module)))
    return found, left


def _said_by(frame: Mapping[str, Any], contract: str) -> bytes:
    """What a contract reverted with in a trace; empty if it did not."""
    if frame.get("to") == contract and "error" in frame:
        return from_data(frame.get("output", "0x"))
    for inner in frame.get("calls", ()):
        found = _said_by(inner, contract)
        if found:
            return found
    return b""


async def run_account(world: World, rows: Sequence[Row]) -> list[Result]:
    """Run rows on one account."""
    start = await look(world)
    return [await run_row(world, row, start) for row in rows]
