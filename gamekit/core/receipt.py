"""What the receipts of a canonical block say about user operations, ours or not.

Receipts are all of a block's, read by its hash: an operation counts as included by whichever transaction carries it.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from gamekit.accounts.stack import AccountStack
from gamekit.accounts.stack import CallOutcome as Told
from gamekit.core.game import Game
from gamekit.core.tracking import INCLUDED, CallOutcome, Operation
from gamekit.errors import EncodingInvalid
from gamekit.eth.block import TransactionReceipt
from gamekit.eth.calldata import decode_execute
from gamekit.eth.entry_point import OperationLogs, split_logs_by_operation
from gamekit.units import Address

ERROR_LENGTH_MAX = 240
"""Most characters of an error that are kept: a contract may revert with as many bytes as its gas buys."""


class Inclusion(Struct, frozen=True):
    """One user operation in one canonical transaction."""

    entry_point: Address
    logs: OperationLogs
    receipt: TransactionReceipt


def inclusions(receipts: Iterable[TransactionReceipt], entry_points: frozenset[Address]) -> list[Inclusion]:
    """Find every user operation of these entry points; the receipts are those of one block, in order."""
    return [
        Inclusion(entry_point, logs, receipt)
        for receipt in receipts
        if receipt.succeeded
        for entry_point in sorted({log.address for log in receipt.logs} & entry_points)
        for logs in split_logs_by_operation(receipt.logs, entry_point)
    ]


def included(
    operation: Operation,
    call_data: bytes,
    found: Inclusion,
    stack: AccountStack,
    game: Game,
    replayed: Sequence[Told] = (),
) -> Operation:
    """Give the operation as included by this transaction, with one outcome per call of its calldata.

    Args:
        replayed: what is known of each call beyond what the account's events say; empty if nothing is.
    """
    event = found.logs.event
    return operation.moved(
        INCLUDED,
        transaction_hash=found.receipt.transaction_hash,
        block_hash=found.receipt.block_hash,
        block_number=found.receipt.block_number,
        succeeded=event.success,
        actual_gas_cost=event.actual_gas_cost,
        actual_gas_used=event.actual_gas_used,
        outcomes=outcomes(operation, call_data, replayed or told_outcomes(operation, call_data, found, stack), game),
    )


def told_outcomes(operation: Operation, call_data: bytes, found: Inclusion, stack: AccountStack) -> tuple[Told, ...]:
    """Read what the account's events say of each call.

    An account may emit what it likes: it deceives its own player, and must not stop the others. So what cannot be read
    gives no outcome at all.
    """
    return read_outcomes(stack, operation.sender, call_data, found)


def read_outcomes(stack: AccountStack, account: Address, call_data: bytes, found: Inclusion) -> tuple[Told, ...]:
    """Read what the account's events say of each call of this calldata; nothing when they cannot be read."""
    try:
        return stack.call_outcomes(
            found.logs.logs,
            account=account,
            call_data=call_data,
            succeeded=found.logs.event.success,
            revert_reason=found.logs.revert_reason,
        )
    except EncodingInvalid:
        return ()


def outcomes(operation: Operation, call_data: bytes, known: Sequence[Told], game: Game) -> tuple[CallOutcome, ...]:
    """Name what became of each call, revert data as the game's own errors."""
    if not known:
        return (CallOutcome(False, "unreadable"),) * len(operation.action_ids)
    return named(call_data, known, game)


def named(call_data: bytes, known: Sequence[Told], game: Game) -> tuple[CallOutcome, ...]:
    """Name what became of each call of this calldata."""
    if not known:
        return (CallOutcome(False, "unreadable"),) * len(decode_execute(call_data).calls)
    if all(told.succeeded for told in known):
        return tuple(CallOutcome(True, "", told.inferred) for told in known)
    return tuple(
        CallOutcome(
            told.succeeded, "" if told.succeeded else _error(told.revert_data, game, call.target), told.inferred
        )
        for told, call in zip(known, decode_execute(call_data).calls, strict=False)
    )


def _error(revert_data: bytes | None, game: Game, target: Address) -> str:
    """Name a revert: the game's custom error with its arguments, or what is known instead."""
    if revert_data is None:
        return "unknown"
    if not revert_data:
        return "out_of_gas_or_empty_revert"
    revert = game.decode_revert(revert_data, target)
    if not revert.name:
        return f"unknown error {revert.data[:4].hex()}"
    text = f"{revert.name}({', '.join(f'{name}={_text(value)}' for name, value in revert.values.items())})"
    return text if len(text) <= ERROR_LENGTH_MAX else f"{text[: ERROR_LENGTH_MAX - 1]}…"


def _text(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
