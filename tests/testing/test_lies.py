"""A node's lies pass through the shipped reader, which believes none of them."""

import random

import pytest

from gamekit.errors import ChainUnavailable
from gamekit.eth.block import Log, TransactionReceipt
from gamekit.eth.entry_point import GET_NONCE
from gamekit.testing.chain import FakeChain
from gamekit.testing.lies import as_rpc, bend, committed, lie_about_receipts, read_receipts
from gamekit.testing.loop import VirtualLoop
from gamekit.testing.scenery import ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR
from gamekit.units import Address, Hash32

NOBODY = Address(b"\x01" * 20)


def mined() -> FakeChain:
    """A chain whose highest block has two transactions."""
    chain = FakeChain(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)
    chain.push(NOBODY, MODULE, b"revoke!" + bytes(32) + MODULE)
    chain.push(NOBODY, MODULE, b"revoke*" + NOBODY)
    chain.mine()
    return chain


def read(chain: FakeChain, said: tuple[TransactionReceipt, ...], *, checked: bool = True) -> tuple[object, ...]:
    loop = VirtualLoop()
    try:
        return loop.run(read_receipts(committed(chain.top.head, chain.top.receipts), said, checked=checked))
    finally:
        loop.close()


def test_the_truth_is_believed() -> None:
    chain = mined()
    assert read(chain, chain.top.receipts) == chain.top.receipts
    assert len(chain.top.receipts) == 2


@pytest.mark.parametrize("kind", ["receipt hidden", "outcome forged"])
def test_a_lie_is_no_answer(kind: str) -> None:
    chain = mined()
    lies = (lie_about_receipts(chain, chain.top.head, chain.top.receipts, random.Random(seed)) for seed in range(50))
    said = next(said for told, said in lies if told == kind)
    with pytest.raises(ChainUnavailable):
        read(chain, said)
    assert read(chain, said, checked=False) == said


def test_an_invented_receipt_is_of_the_very_block() -> None:
    chain = mined()
    first = chain.top.receipts[0]
    invented = TransactionReceipt(
        Hash32(b"\x07" * 32), chain.top.head.hash, chain.top.head.number, NOBODY, ENTRY_POINT, True,
        first.gas_used, first.effective_gas_price, (Log(ENTRY_POINT, (Hash32(bytes(32)),), b"", 0),),
    )  # fmt: skip
    with pytest.raises(ChainUnavailable):
        read(chain, (*chain.top.receipts, invented))
    assert as_rpc(invented).block_hash == as_rpc(first).block_hash


def test_bend() -> None:
    question = GET_NONCE.encode_call(NOBODY, 7)
    answer = (7 << 64 | 3).to_bytes(32, "big")
    bent = {bend(question, answer, random.Random(seed)) for seed in range(20)}
    assert {int.from_bytes(each, "big") - (7 << 64) for each in bent} == {2, 4, 5}
    assert bend(b"else", b"\x01" * 64, random.Random(1)) == bytes(64)
