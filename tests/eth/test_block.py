"""Blocks and receipts are values: equal by content, never changed after they were read."""

import pytest

from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.units import Address, BlockHash, BlockNumber, Gas, Hash32, UnixSeconds, Wei


def head(number: int, seed: bytes = b"\1") -> Head:
    return Head(BlockNumber(number), BlockHash(seed * 32), BlockHash(bytes(32)), UnixSeconds(9), Wei(7), Gas(30))


def test_head_default() -> None:
    assert head(1) == head(1)
    assert head(1) != head(1, b"\2")
    assert len({head(1), head(1), head(2)}) == 2


def test_head_error_changed() -> None:
    with pytest.raises(AttributeError):
        head(1).number = BlockNumber(2)  # type: ignore[misc]


def test_receipt_default() -> None:
    log = Log(Address(b"\3" * 20), (Hash32(b"\4" * 32),), b"data", 0)
    parts = (
        Hash32(b"\5" * 32),
        BlockHash(b"\1" * 32),
        BlockNumber(1),
        Address(b"\6" * 20),
        None,
        True,
        Gas(21),
        Wei(7),
    )
    assert TransactionReceipt(*parts, (log,)) == TransactionReceipt(*parts, (log,))
    assert TransactionReceipt(*parts, (log,)) != TransactionReceipt(*parts, ())
