"""Finding out by asking again what the chain does not say of a batch: which calls succeeded, and why one failed.

An account may report neither (`safe7579.py`) or not which of two equal calls (`nexus.py`). Then the node is asked what
the same calls would have done on the state of the block before: as the entry point, one growing batch that must succeed
as a whole; as the account, the failing call alone, for its reason. Transactions that stood before the operation in its
own block are not in that state, so an answer is good evidence and no proof, and is marked inferred.

Questions for a batch of n calls of which f failed: at most 1 + f * (2 + log2 n). Nothing is asked here; the generator
gives the questions and takes the answers.
"""

from collections.abc import Generator, Sequence
from typing import TypeAlias

from msgspec import Struct

from gamekit.accounts.stack import AccountStack, CallOutcome
from gamekit.eth.calldata import Call, decode_execute
from gamekit.units import Address


class Question(Struct, frozen=True):
    """One eth_call on the state before the operation's block."""

    sender: Address
    to: Address
    data: bytes


Answer: TypeAlias = bytes | None
"""What it reverted with; None when it did not."""


def is_told(outcomes: Sequence[CallOutcome]) -> bool:
    """Whether the chain has said everything: which calls failed, and with what."""
    return not any(each.inferred or (not each.succeeded and each.revert_data is None) for each in outcomes)


def replay(
    stack: AccountStack,
    told: Sequence[CallOutcome],
    *,
    call_data: bytes,
    account: Address,
    entry_point: Address,
    undone: bool,
) -> Generator[Question, Answer, tuple[CallOutcome, ...]]:
    """Complete what the chain told. What it did tell stands, and where a replay contradicts it, nothing is added.

    Args:
        told: as `call_outcomes` of the stack gave it.
        undone: whether the execution as a whole reverted.
    """
    calls = decode_execute(call_data).calls
    failed: list[int] = []
    kept: list[Call] = []
    at = 0
    while at < len(calls):
        at += yield from _passing(stack, kept, calls[at:], account, entry_point)
        kept = [call for place, call in enumerate(calls[:at]) if place not in failed]
        if at < len(calls):
            failed.append(at)
            if undone:
                break
            at += 1
    if undone:
        reason = None
        if failed:
            reason = yield from _reason(calls[failed[0]], account)
        return tuple(CallOutcome(False, reason, inferred=True) for _ in calls)
    if _contradicts(told, failed):
        return tuple(told)
    reasons = [each.revert_data for each in told if not each.succeeded]
    completed: list[CallOutcome] = []
    for place, outcome in enumerate(told):
        if place not in failed:
            completed.append(CallOutcome(True, inferred=outcome.inferred))
            continue
        # Failures that were told stand in the order of the calls.
        reason = reasons.pop(0) if reasons else None
        is_inferred = outcome.inferred or reason is None
        if reason is None:
            reason = yield from _reason(calls[place], account)
        completed.append(CallOutcome(False, reason, inferred=is_inferred))
    return tuple(completed)


def _passing(
    stack: AccountStack, kept: Sequence[Call], rest: Sequence[Call], account: Address, entry_point: Address
) -> Generator[Question, Answer, int]:
    """How many calls of `rest` succeed, one after the other behind `kept`, before the first that does not."""

    def passes(count: int) -> Generator[Question, Answer, bool]:
        answer = yield Question(entry_point, account, stack.execute([*kept, *rest[:count]], False))
        return answer is None

    if (yield from passes(len(rest))):
        return len(rest)
    low, high = 0, len(rest) - 1
    while low < high:
        middle = (low + high) // 2
        if (yield from passes(middle + 1)):
            low = middle + 1
        else:
            high = middle
    return low


def _reason(call: Call, account: Address) -> Generator[Question, Answer, Answer]:
    """What the call reverts with by itself; None when it does not, or carries value, which is not asked about."""
    if call.value:
        return None
    return (yield Question(account, call.target, call.data))


def _contradicts(told: Sequence[CallOutcome], failed: Sequence[int]) -> bool:
    """Whether the chain has said otherwise: of one call for certain, or of how many failed."""
    for place, outcome in enumerate(told):
        if not outcome.inferred and outcome.succeeded == (place in failed):
            return True
    count = sum(not each.succeeded for each in told)
    return count not in (0, len(failed))
