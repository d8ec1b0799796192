"""Contracts that can run the code of another, so that what they do can change without their address.

Pure: what their code and storage say. Which the owner must accept in a grant follows ProxyLib.sol, to the byte.
"""

from typing import Final

from msgspec import Struct

from gamekit.eth.hashing import keccak256
from gamekit.eth.interface import Function
from gamekit.units import ZERO_ADDRESS, Address, Gas, Hash32

_PUSH1: Final = 0x60
_PUSH32: Final = 0x7F
_CALLCODE: Final = 0xF2
_DELEGATECALL: Final = 0xF4
"""Source: the EVM's instructions."""

_CLONE_HEAD: Final = bytes.fromhex("363d3d373d3d3d363d73")
_CLONE_TAIL: Final = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
"""What stands around the implementation in a minimal proxy; immutable arguments may follow. Source: ERC-1167."""


def _slot(name: bytes) -> Hash32:
    return Hash32((int.from_bytes(keccak256(name), "big") - 1).to_bytes(32, "big"))


IMPLEMENTATION_SLOT: Final = _slot(b"eip1967.proxy.implementation")
"""Where a proxy keeps its implementation. Source: ERC-1967."""

BEACON_SLOT: Final = _slot(b"eip1967.proxy.beacon")
"""Where a proxy keeps the beacon that says its implementation. Source: ERC-1967."""

IMPLEMENTATION: Final = Function.parse("implementation()", "address", "view")
"""What a proxy, or a beacon, may answer. Source: ERC-897, ERC-1967."""

PROBE_GAS: Final = Gas(30_000 + 21_000 + 64)
"""Gas of a call that asks it: ProxyLib's, and what a transaction costs before its first instruction.

Source: TargetLib.sol; EIP-2028."""


class Accepted(Struct, frozen=True):
    """What an owner accepts in a grant: that a target runs the code of an implementation."""

    target: Address
    implementation: Address
    """The target itself where nothing says what it runs."""


def runs_others(code: bytes) -> bool:
    """Whether `delegatecall` or `callcode` is among the instructions, read one after another as the EVM does.

    What stands in the data of a PUSH is none; data behind the code may look like one.

    Source: ProxyLib.sol, canRunOthersCode.
    """
    at, end = 0, len(code)
    while at < end:
        instruction = code[at]
        if instruction in (_DELEGATECALL, _CALLCODE):
            return True
        at += instruction - _PUSH1 + 2 if _PUSH1 <= instruction <= _PUSH32 else 1
    return False


def clone_target(code: bytes) -> Address | None:
    """Give what a minimal proxy runs for ever, as it stands in its code; None for any other code, or if it is zero.

    Source: ERC-1167; ProxyLib.sol, _toldBy.
    """
    if code[:10] == _CLONE_HEAD and code[30:45] == _CLONE_TAIL:
        return word_address(bytes(12) + code[10:30])
    return None


def told_address(answer: bytes) -> Address | None:
    """Read the answer to a question as ProxyLib does: its first word, if that is an address and not zero."""
    return word_address(answer[:32]) if len(answer) >= 32 else None


def word_address(word: bytes) -> Address | None:
    """Give the address that a storage word holds; None for zero, or what is no address."""
    if any(word[:12]) or word[12:] == ZERO_ADDRESS:
        return None
    return Address(word[12:])
