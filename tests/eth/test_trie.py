"""Roots of small lists by hand, and of long ones against blocks of a real node (tests/chain/test_blocks.py)."""

import pytest

from gamekit.eth.block import Log
from gamekit.eth.hashing import keccak256
from gamekit.eth.rlp import RlpItem, rlp_encode
from gamekit.eth.trie import encode_receipt, ordered_root
from gamekit.units import Address, Gas, Hash32


def test_ordered_root_args_nothing() -> None:
    """The root of an empty trie, as every header of an empty block shows it."""
    assert ordered_root([]).hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"


def test_ordered_root_args_one() -> None:
    """A single leaf: the key is 0x80, an even path of a leaf begins with 0x20."""
    assert ordered_root([b"value"]) == keccak256(rlp_encode([b"\x20\x80", b"value"]))


def test_ordered_root_args_two() -> None:
    """Keys 0x80 and 0x01 part at their first nibble; short leaves stand in the branch itself."""
    branch: list[RlpItem] = [b""] * 17
    branch[0], branch[8] = [b"\x31", b"b"], [b"\x30", b"a"]
    assert ordered_root([b"a", b"b"]) == keccak256(rlp_encode(branch))


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17, 127, 128, 129, 300])
def test_ordered_root_error_any_change(count: int) -> None:
    values = [bytes([place % 251]) * 40 for place in range(count)]
    root = ordered_root(values)
    assert ordered_root([*values, b"more"]) != root
    assert ordered_root(values[:-1]) != root
    assert ordered_root([*values[:-1], values[-1][:-1]]) != root
    assert count < 2 or ordered_root([values[1], values[0], *values[2:]]) != root


def test_encode_receipt_default() -> None:
    log = Log(Address(b"\xaa" * 20), (Hash32(b"\x04" * 32),), b"\xde\xad", 3)
    plain = encode_receipt(0, Gas(21_000), bytes(256), [log], succeeded=True)
    body: RlpItem = [1, 21_000, bytes(256), [[b"\xaa" * 20, [b"\x04" * 32], b"\xde\xad"]]]
    assert plain == rlp_encode(body)
    assert encode_receipt(2, Gas(21_000), bytes(256), [log], succeeded=True) == b"\x02" + plain
    assert encode_receipt(0x7E, Gas(1), b"", [], succeeded=False, more=[5, 1]) == b"\x7e" + rlp_encode(
        [0, 1, b"", [], 5, 1]
    )
