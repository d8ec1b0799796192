"""Questions reach the node, with the state before the block; a node that does not answer changes nothing."""

from typing import cast

import pytest

from gamekit.accounts.safe7579 import Safe7579Stack
from gamekit.accounts.stack import CallOutcome
from gamekit.core.receipt import Inclusion, inclusions
from gamekit.errors import CallReverted, ChainUnavailable
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.calldata import Call, decode_execute
from gamekit.ports import ChainReader
from gamekit.runtime.replay import replayed
from gamekit.units import Address, BlockHash, BlockNumber, Gas, Hash32, UnixSeconds, Wei
from tests.core.rows import ENTRY_POINT, operation
from tests.core.scopes import ACCOUNT
from tests.core.test_receipt import event

GAME = Address(b"\x6a" * 20)
PARENT = BlockHash(b"\x0b" * 32)
HEAD = Head(BlockNumber(7), BlockHash(b"\x0a" * 32), PARENT, UnixSeconds(1), Wei(1), Gas(30_000_000))
STACK = Safe7579Stack()
GOOD, BAD = Call(GAME, Wei(0), b"good"), Call(GAME, Wei(0), b"bad!")
CALL_DATA = STACK.execute([GOOD, BAD], try_mode=True)
TOLD = (CallOutcome(True, inferred=True),) * 2


class Node:
    """Answers calls as a chain on which `BAD` reverts; or not at all."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.is_down = is_down
        self.blocks: set[BlockHash | None] = set()

    async def call(
        self, to: Address, data: bytes, *, sender: Address | None = None, block: BlockHash | None = None
    ) -> bytes:
        if self.is_down:
            raise ChainUnavailable("no such state")
        self.blocks.add(block)
        is_bad = BAD in decode_execute(data).calls if to == ACCOUNT else data == BAD.data
        assert sender == (ENTRY_POINT if to == ACCOUNT else ACCOUNT)
        if is_bad:
            raise CallReverted("reverted", b"why" if to == GAME else b"")
        return b""


def found() -> Inclusion:
    receipt = TransactionReceipt(
        Hash32(b"\x01" * 32), HEAD.hash, HEAD.number, ACCOUNT, ENTRY_POINT, True, Gas(1), Wei(1), (event(operation(1)),)
    )
    return inclusions([receipt], frozenset({ENTRY_POINT}))[0]


async def test_default() -> None:
    node = Node()
    outcomes = await replayed(cast("ChainReader", node), HEAD, found(), CALL_DATA, STACK, TOLD)
    assert outcomes == (TOLD[0], CallOutcome(False, b"why", inferred=True))
    assert node.blocks == {PARENT}


async def test_a_node_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    node = cast("ChainReader", Node(is_down=True))
    assert await replayed(node, HEAD, found(), CALL_DATA, STACK, TOLD) == TOLD
    assert "no such state" in caplog.text
