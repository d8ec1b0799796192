"""What calldata costs, pure: bytes and gas of a bundle, and what a compact encoding of a batch would save.

A rollup charges for data, so a bundle's bytes are counted three ways: raw, by the gas that the protocol asks (4 for a
zero byte, 16 for another), and deflated, which is close to what a rollup posts.

::

    ERC-7579 batch   0x20 | count | offset of each | (target 32 | value 32 | 0x60 | length | data, padded)*
    compact batch    count 1 | (entry 1 | widths | arguments without leading zeros)*

In the compact form `entry` is the scope's own list of targets and functions, one byte, as the hints are; a call without
value says so by having none; each argument has a width of half a byte.

Source: EIP-2028 (4 and 16), EIP-7623 (the floor), ERC-7579.
"""

import zlib
from collections.abc import Sequence
from typing import Final

TRANSACTION_GAS: Final = 21_000
ZERO_BYTE_GAS: Final = 4
BYTE_GAS: Final = 16
FLOOR_TOKEN_GAS: Final = 10
"""A zero byte is one token, another four. Source: EIP-7623."""


def data_gas(data: bytes) -> int:
    """Give the gas of calldata by itself."""
    zeros = data.count(0)
    return ZERO_BYTE_GAS * zeros + BYTE_GAS * (len(data) - zeros)


def intrinsic_gas(data: bytes) -> int:
    """Give the gas of a transaction with this data before it does anything."""
    return TRANSACTION_GAS + data_gas(data)


def floor_gas(data: bytes) -> int:
    """Give the least that a transaction with this data costs, however little it does."""
    zeros = data.count(0)
    return TRANSACTION_GAS + FLOOR_TOKEN_GAS * (zeros + 4 * (len(data) - zeros))


def deflated(data: bytes) -> int:
    """Give the bytes that are left of it once it is compressed by itself."""
    return len(zlib.compress(data, 9))


def compact_batch(calls: Sequence[tuple[int, bytes]]) -> bytes:
    """Encode a batch of calls as densely as a decoder without tables could read it.

    Args:
        calls: of each, its entry in the scope (0 to 255) and its data, a selector and whole words.

    Raises: ValueError for data that is no selector and whole words.
    """
    parts = [bytes((len(calls),))]
    for entry, data in calls:
        if len(data) < 4 or len(data) % 32 != 4:
            raise ValueError(f"{len(data)} bytes are no selector and whole words")
        words = [data[at : at + 32].lstrip(b"\x00") for at in range(4, len(data), 32)]
        if any(len(word) > 15 for word in words):
            # Half a byte says up to 15; wider words are written whole, behind a width of 0.
            words = [word if len(word) <= 15 else data[4 + 32 * at : 36 + 32 * at] for at, word in enumerate(words)]
        widths = [len(word) if len(word) <= 15 else 0 for word in words]
        widths += [0] * (len(widths) % 2)
        packed = bytes(high << 4 | low for high, low in zip(widths[::2], widths[1::2], strict=True))
        parts.append(bytes((entry,)) + packed + b"".join(words))
    return b"".join(parts)


def calldata_row(
    data: bytes, call_data: bytes, signature: bytes, calls: Sequence[tuple[int, bytes]], operations: int
) -> dict[str, object]:
    """Describe one bundle's data, and what a compact batch would leave of it.

    Args:
        data: the handleOps calldata.
        call_data: of one of its operations, what the account executes.
        signature: of one of its operations.
        calls: of one of its operations.
        operations: how many it holds; they differ in little.
    """
    compact = compact_batch(calls)
    padded = compact + bytes(-len(compact) % 32)
    saved = operations * (len(_padded(call_data)) - len(padded))
    saved_gas = operations * (data_gas(_padded(call_data)) - data_gas(padded))
    dense = data.replace(_padded(call_data), padded)
    actions = operations * len(calls)
    return {
        "calls": len(calls),
        "operations": operations,
        "bytes": len(data),
        "zero_bytes": data.count(0),
        "data_gas": data_gas(data),
        "floor_gas": floor_gas(data),
        "deflated_bytes": deflated(data),
        "bytes_per_action": round(len(data) / actions, 1),
        "data_gas_per_action": round(data_gas(data) / actions, 1),
        "deflated_bytes_per_action": round(deflated(data) / actions, 1),
        "call_data_bytes": len(call_data),
        "signature_bytes": len(signature),
        "compact_call_data_bytes": len(compact),
        "compact_saves_bytes_per_action": round(saved / actions, 1),
        "compact_saves_data_gas_per_action": round(saved_gas / actions, 1),
        "compact_saves_deflated_bytes_per_action": round((deflated(data) - deflated(dense)) / actions, 1),
    }


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 32)
