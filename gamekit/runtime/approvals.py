"""Finds what an account has let a game's contracts take: what no session can do, and those contracts can.

A node that refuses to say (it throttles, it does not search) has not said "nothing": that is told, too.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from http import HTTPStatus

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
    Unread,
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

HALTS = (
    "outofgas",
    "opcode",
    "badinstruction",
    "invalidjump",
    "stackunderflow",
    "stackoverflow",
    "stacklimit",
    "outofbounds",
    "writeprotection",
    "calldepth",
    "evmerror",
    "vmexecution",
)
"""Words of nodes, without spaces, for code that came to grief.

Source: go-ethereum, `core/vm/errors.go`; revm, `HaltReason`; Nethermind, `EvmExceptionType`.
"""


async def find_approvals(
    chain: ChainReader, account: Address, targets: Iterable[Address], tokens: Sequence[Address], head: BlockNumber
) -> tuple[Approval | Unread, ...]:
    """Ask the tokens that a game names, and those whose recent logs name the account and one of the targets.

    What a log says is never believed: its token is asked what holds now.

    Args:
        chain: read at its head.
        account: the player's.
        targets: the contracts that a session may call.
        tokens: those that the game names.
        head: the latest block's number.

    Returns: what the account has let them take, then what could not be read.

    Raises: ChainUnavailable when the node does not answer.
    """
    spenders = tuple(dict.fromkeys(targets))
    unread: list[Unread] = []
    logs = await _logs(chain, account, spenders, head)
    if logs is None:
        unread.append(Unread())
        logs = ()
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
    told = dict.fromkeys(each for some in found for each in some)
    approvals = [each for each in told if isinstance(each, Approval)]
    return (*approvals, *(each for each in told if isinstance(each, Unread)), *unread)


async def _logs(
    chain: ChainReader, account: Address, spenders: Sequence[Address], head: BlockNumber
) -> Sequence[Log] | None:
    """The latest approvals of the account for these spenders; None where the node does not search."""
    topics = ((APPROVAL, APPROVAL_FOR_ALL), (_word(account),), tuple(map(_word, spenders)))
    try:
        return await chain.logs(topics, BlockNumber(max(0, head - BLOCKS_MAX + 1)), LOGS_MAX)
    except ChainUnavailable as error:
        log.info("looking for approvals of %s: %s", account.hex(), error)
        return None


async def _of_token(chain: ChainReader, token: Address, account: Address, spender: Address) -> list[Approval | Unread]:
    amount = await _ask(chain, token, ALLOWANCE, account, spender)
    takes_all = await _ask(chain, token, IS_APPROVED_FOR_ALL, account, spender)
    found: list[Approval | Unread] = [Approval(token, spender, amount=amount)] if amount else []
    if takes_all:
        found.append(Approval(token, spender))
    return [*found, Unread(token)] if None in (amount, takes_all) else found


async def _of_item(chain: ChainReader, token: Address, spender: Address, item: int) -> list[Approval | Unread]:
    approved = await _ask(chain, token, GET_APPROVED, item)
    if approved is None:
        return [Unread(token)]
    return [Approval(token, spender, item=item)] if approved == int.from_bytes(spender, "big") else []


async def _ask(chain: ChainReader, token: Address, question: Function, *arguments: object) -> int | None:
    """The first word of the token's answer, 0 where it has none; None where the node refused to ask it."""
    try:
        answer = await chain.call(token, question.encode_call(*arguments), gas=PROBE_GAS)
    except CallReverted:
        return 0
    except ChainUnavailable as error:
        if is_halt(error):
            return 0
        if error.code == "rpc_refused" or error.compared.get("status") == HTTPStatus.TOO_MANY_REQUESTS:
            log.info("asking %s for approvals: %s", token.hex(), error)
            return None
        raise
    return int.from_bytes(answer[:32], "big") if len(answer) >= 32 else 0


def is_halt(error: ChainUnavailable) -> bool:
    """Whether a node's refusal says that the called code came to grief, which is the code's own answer.

    Nodes name a call that runs out of gas, or into no instruction, as an error of their own, with codes that they use
    for other things as well: only the words tell. What has none of them is no answer.
    """
    words = "".join(str(error).lower().split())
    return error.code == "rpc_refused" and any(halt in words for halt in HALTS)


def _word(address: Address) -> Hash32:
    return Hash32(address.rjust(32, b"\0"))
