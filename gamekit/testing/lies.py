"""What a lying node says, and the real reader that must not believe it.

A lie about receipts reaches `chain.reader.EvmChain` as JSON-RPC would bring it: that block's own hash is on every
receipt, and nothing but the header's commitment tells that they are not the block's.
"""

import random
from collections.abc import Sequence
from typing import Any, cast

from msgspec.structs import replace

from gamekit.chain.blocks import RpcLog, RpcReceipt
from gamekit.chain.reader import EvmChain
from gamekit.chain.rpc import JsonRpc, to_data, to_quantity
from gamekit.config import ChainConfig
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.entry_point import GET_NONCE
from gamekit.eth.trie import encode_receipt, ordered_root
from gamekit.testing.chain import FakeChain
from gamekit.units import Gas

HIDING = 0.2
"""Of lies about a block that has bundles: how many leave one out, and how many turn an outcome."""


def lie_about_receipts(
    chain: FakeChain, block: Head, found: Sequence[TransactionReceipt], dice: random.Random
) -> tuple[str, tuple[TransactionReceipt, ...]]:
    """Give the kind of a lie and what is said instead; empty when there is nothing to lie about."""
    roll = dice.random()
    if roll < 2 * HIDING and found:
        place = dice.randrange(len(found))
        told = found[place]
        if roll < HIDING:
            return "receipt hidden", (*found[:place], *found[place + 1 :])
        return "outcome forged", (*found[:place], replace(told, succeeded=not told.succeeded), *found[place + 1 :])
    invented = chain.forge_receipts(block)
    return ("receipt forged", (*found, *invented)) if invented else ("", ())


def committed(block: Head, receipts: Sequence[TransactionReceipt]) -> Head:
    """Give a head as its block's header has it: it commits to the receipts that the block really has."""
    encoded = [encode_receipt(0, Gas(0), b"", each.logs, succeeded=each.succeeded) for each in receipts]
    return replace(block, receipts_root=ordered_root(encoded))


async def read_receipts(
    block: Head, said: Sequence[TransactionReceipt], *, checked: bool
) -> tuple[TransactionReceipt, ...]:
    """Read what a node said of a block as the shipped adapter does. Raises ChainUnavailable for what is not true.

    Args:
        block: what was asked about.
        said: the node's answer.
        checked: whether what is said is compared with the block at all: by `chain.blocks_checked`, and by its count.
    """
    block = block if checked else replace(block, transaction_count=None)
    node = cast("JsonRpc", _Node([as_rpc(each) for each in said]))
    return await EvmChain(node, ChainConfig(blocks_checked=checked)).receipts(block)


class _Node:
    """Answers one question."""

    def __init__(self, answer: list[RpcReceipt]) -> None:
        self._answer = answer

    async def request_optional(self, *_: Any) -> list[RpcReceipt]:  # noqa: ANN401
        return self._answer


def as_rpc(receipt: TransactionReceipt) -> RpcReceipt:
    """Write a receipt as nodes do."""
    logs = [
        RpcLog(
            to_data(log.address), [to_data(topic) for topic in log.topics], to_data(log.data), to_quantity(log.index)
        )
        for log in receipt.logs
    ]
    return RpcReceipt(
        to_data(receipt.transaction_hash),
        to_data(receipt.block_hash),
        to_quantity(receipt.block_number),
        to_quantity(receipt.gas_used),
        logs,
        to_quantity(int(receipt.succeeded)),
        None if receipt.to is None else to_data(receipt.to),
        to_quantity(receipt.effective_gas_price),
        to_data(receipt.sender),
    )


def bend(data: bytes, answer: bytes, dice: random.Random) -> bytes:
    """A false answer to a call: a nonce that is too high or too low, or nothing but zeros."""
    if data[:4] != GET_NONCE.selector:
        return bytes(len(answer))
    nonce = int.from_bytes(answer, "big")
    sequence = nonce & (1 << 64) - 1
    return (nonce - sequence + max(0, sequence + dice.choice((-1, 1, 2)))).to_bytes(32, "big")
