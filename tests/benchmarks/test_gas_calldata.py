"""Bytes of calldata: what the protocol charges for them, and how dense a batch could be."""

import zlib

import pytest

from benchmarks.gas_calldata import calldata_row, compact_batch, data_gas, deflated, floor_gas, intrinsic_gas
from gamekit.eth.interface import Function

ATTACK = Function.parse("attack(uint256 target,uint16 strength)")


def test_data_gas_success_zeros_are_cheap() -> None:
    assert data_gas(b"") == 0
    assert data_gas(b"\x00\x00\x01") == 4 + 4 + 16
    assert intrinsic_gas(b"\x00\x00\x01") == 21_024


def test_floor_gas_success_ten_for_a_token() -> None:
    """EIP-7623: a zero byte is one token, another four, a token is 10 gas."""
    assert floor_gas(b"\x00\x01") == 21_000 + 10 + 40


def test_deflated_success_is_what_zlib_leaves() -> None:
    data = bytes(1000) + b"game"
    assert zlib.decompress(zlib.compress(data, 9)) == data
    assert deflated(data) == len(zlib.compress(data, 9)) < 30


def test_compact_batch_success_byte_for_byte() -> None:
    """count 1 | entry 1 | widths 1 | arguments without zeros: 4 bytes for a call with two small arguments."""
    calls = [(0, ATTACK.encode_call(1, 5)), (3, ATTACK.encode_call(0, 256))]
    assert compact_batch(calls) == bytes.fromhex("02" + "00" + "11" + "01" + "05" + "03" + "02" + "0100")


def test_compact_batch_success_odd_and_wide_arguments() -> None:
    """A third argument leaves half a byte over; what needs more than 15 bytes stands whole, behind a width of 0."""
    three = b"\x01\x02\x03\x04" + (7).to_bytes(32, "big") * 3
    assert compact_batch([(9, three)]) == bytes.fromhex("01" + "09" + "1110" + "07" * 3)
    wide = b"\x01\x02\x03\x04" + bytes(12) + b"\xaa" * 20
    assert compact_batch([(0, wide)]) == bytes.fromhex("01" + "00" + "00") + bytes(12) + b"\xaa" * 20


@pytest.mark.parametrize("data", [b"", b"\x01\x02\x03", bytes(35), bytes(37)])
def test_compact_batch_refuses_what_is_no_whole_words(data: bytes) -> None:
    with pytest.raises(ValueError, match="no selector and whole words"):
        compact_batch([(0, data)])


def test_calldata_row_success_savings_are_those_of_the_parts() -> None:
    call_data, calls = bytes(100) + b"\x07" * 56, [(0, ATTACK.encode_call(1, 5))] * 2
    data = b"\x01" * 40 + call_data + bytes(4) + b"\x02" * 65
    row = calldata_row(data, call_data, b"\x02" * 65, calls, 1)
    assert row["bytes"] == len(data)
    assert row["zero_bytes"] == data.count(0)
    assert (row["call_data_bytes"], row["signature_bytes"], row["compact_call_data_bytes"]) == (156, 65, 9)
    # 160 bytes padded become 32: 104 zeros and 56 others become 23 + 2 zeros and 7 others.
    assert row["compact_saves_bytes_per_action"] == (160 - 32) / 2
    dense = data_gas(compact_batch(calls) + bytes(23))
    assert row["compact_saves_data_gas_per_action"] == (104 * 4 + 56 * 16 - dense) / 2
    assert row["bytes_per_action"] == round(len(data) / 2, 1)
