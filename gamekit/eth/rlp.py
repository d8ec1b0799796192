"""RLP, the encoding of transactions. Only encoding lives here: gamekit reads no RLP.

Source: Ethereum yellow paper, appendix B.
"""

from collections.abc import Sequence
from typing import TypeAlias

from gamekit.errors import EncodingInvalid

RlpItem: TypeAlias = "bytes | int | Sequence[RlpItem]"
"""Bytes, a number that is not negative, or a list of items."""


def rlp_encode(item: RlpItem) -> bytes:
    """Encode an item; a number becomes its shortest big-endian bytes, zero becomes the empty string.

    Raises:
        EncodingInvalid: a number below zero.
    """
    if isinstance(item, int):
        item = _number_bytes(item)
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _length_prefix(len(item), 0x80) + item
    return rlp_list(b"".join(map(rlp_encode, item)))


def rlp_list(payload: bytes) -> bytes:
    """Make a list of items that are encoded already, one behind another."""
    return _length_prefix(len(payload), 0xC0) + payload


def _number_bytes(number: int) -> bytes:
    if number < 0:
        raise EncodingInvalid(f"RLP carries no negative number, got {number}", found=number)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _length_prefix(length: int, base: int) -> bytes:
    if length <= 55:
        return bytes((base + length,))
    length_bytes = _number_bytes(length)
    return bytes((base + 55 + len(length_bytes),)) + length_bytes
