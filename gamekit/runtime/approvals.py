"""Finds what an account has let a game's contracts take: what no session can do, and those contracts can."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from gamekit.errors import CallReverted, ChainUnavailable
from gamekit.eth.block import Log
from gamekit.eth.interface import Function
from gamekit.eth.token import (
    ALLOWANCE,
    APPROVAL,
    APPROVAL_FOR_ALL,
    GET_APPROVED,
    IS_APPROVED_FOR_ALL,
    Approval,
)
from gamekit.ports import ChainReader
from gamekit.units import Address, BlockNumber, Gas, Hash32

log = logging.getLogger(__name__)

BLOCKS_MAX = 10_000
"""How far back approvals are looked for of tokens that nobody named; nodes rarely search more at once."""

LOGS_MAX = 64
"""Most logs that are followed, the latest: anybody can make a token that logs approvals in anybody's name."""

PROBE_GAS = Gas(200_000)
"""For one question to a token, whose answer costs what it likes."""


async def find_approvals(
    chain: ChainReader, account: Address, targets: Iterable[Address], tokens: Sequence[Address], head: BlockNumber
) -> tuple[Approval, ...]:
    """Ask the tokens that a game names, and those whose recent logs name the account and one of the targets.

    What a log says is never believed: its token is asked what holds now.

    Args:
        chain: read at its head.
        account: the player's.
        targets: the contracts that a session may call.
        tokens: those that the game names.
        head: the latest block's number.

    Raises: ChainUnavailable when a token that the game names cannot be asked.
    """
    spenders = tuple(dict.fromkeys(targets))
    logs = await _logs(chain, account, spenders, head)
    asked = dict.fromkeys((*tokens, *(each.address for each in logs)))
    items = dict.fromkeys(
        (each.address, Address(each.topics[2][12:]), int.from_bytes(each.topics[3], "big"))
        for each in logs
        if each.topics[0] == APPROVAL and len(each.topics) == 4
    )
    found = await asyncio.gather(
        *(_of_token(chain, token, account, spender) for token in asked for spender in spenders),
        *(_of_item(chain, *item) for item in items),
    )
    return tuple(each for some in found for each in some)


async def _logs(chain: ChainReader, account: Address, spenders: Sequence[Address], head: BlockNumber) -> Sequence[Log]:
    """The latest approvals of the account for these spenders; none where the node does not search."""
    topics = ((APPROVAL, APPROVAL_FOR_ALL), (_word(account),), tuple(map(_word, spenders)))
    try:
        return await chain.logs(topics, BlockNumber(max(0, head - BLOCKS_MAX + 1)), LOGS_MAX)
    except ChainUnavailable as error:
        log.info("looking for approvals of %s: %s", account.hex(), error)
        return ()


async def _of_token(chain: ChainReader, token: Address, account: Address, spender: Address) -> list[Approval]:
    amount = await _ask(chain, token, ALLOWANCE, account, spender)
    takes_all = await _ask(chain, token, IS_APPROVED_FOR_ALL, account, spender)
    found = [Approval(token, spender, amount=amount)] if amount else []
    return [*found, Approval(token, spender)] if takes_all else found


async def _of_item(chain: ChainReader, token: Address, spender: Address, item: int) -> list[Approval]:
    approved = await _ask(chain, token, GET_APPROVED, item)
    return [Approval(token, spender, item=item)] if approved == int.from_bytes(spender, "big") else []


async def _ask(chain: ChainReader, token: Address, question: Function, *arguments: object) -> int:
    """The first word of the answer; 0 where there is none."""
    try:
        answer = await chain.call(token, question.encode_call(*arguments), gas=PROBE_GAS)
    except CallReverted:
        return 0
    except ChainUnavailable as error:
        # Nodes name a call that runs out of gas, or into no instruction, as an error of their own.
        if error.code != "rpc_refused":
            raise
        return 0
    return int.from_bytes(answer[:32], "big") if len(answer) >= 32 else 0


def _word(address: Address) -> Hash32:
    return Hash32(address.rjust(32, b"\0"))
