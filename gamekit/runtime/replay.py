"""Puts the questions of `accounts/replay.py` to the node."""

import logging
from collections.abc import Sequence

from gamekit.accounts.replay import Question, replay
from gamekit.accounts.stack import AccountStack, CallOutcome
from gamekit.core.receipt import Inclusion
from gamekit.errors import CallReverted, ChainError
from gamekit.eth.block import Head
from gamekit.ports import ChainReader

log = logging.getLogger(__name__)


async def replayed(
    chain: ChainReader,
    head: Head,
    found: Inclusion,
    call_data: bytes,
    stack: AccountStack,
    told: Sequence[CallOutcome],
) -> tuple[CallOutcome, ...]:
    """Complete what the account told of an operation, on the state before its block `head`.

    A node that does not answer, or has that state no more, changes nothing: what was told stays, marked as it is.
    """
    event = found.logs.event
    asking = replay(
        stack,
        told,
        call_data=call_data,
        account=event.sender,
        entry_point=found.entry_point,
        undone=not event.success,
    )
    answer: bytes | None = None
    is_first = True
    try:
        while True:
            question = next(asking) if is_first else asking.send(answer)
            is_first = False
            answer = await _ask(chain, head, question)
    except StopIteration as stopped:
        return tuple(stopped.value)
    except ChainError as error:
        log.warning("replaying operation %s: %s", event.user_op_hash.hex(), error)
        return tuple(told)


async def _ask(chain: ChainReader, head: Head, question: Question) -> bytes | None:
    try:
        await chain.call(question.to, question.data, sender=question.sender, block=head.parent_hash)
    except CallReverted as reverted:
        return reverted.data
    return None
