"""Keccak-256 and the names derived from it: selectors, event topics, addresses and their written forms."""

from typing import Final

from sha3 import keccak_256

from gamekit.errors import EncodingInvalid
from gamekit.eth.rlp import rlp_encode
from gamekit.units import Address, Hash32

EMPTY_HASH: Final = Hash32(keccak_256(b"").digest())
"""The hash of no bytes; stands for an empty dynamic field in every struct hash."""


def keccak256(data: bytes | bytearray | memoryview) -> Hash32:
    """Hash with the padding of Ethereum, not that of SHA-3."""
    digest: bytes = keccak_256(data).digest()
    return Hash32(digest)


def selector(signature: str) -> bytes:
    """Give the 4 bytes that name a function or a custom error, from its canonical text such as `move(uint8,uint8)`.

    Source: Solidity ABI specification, function selector.
    """
    return keccak256(signature.encode())[:4]


def event_topic(signature: str) -> Hash32:
    """Give the first topic of an event, from its canonical text such as `Moved(address,uint8)`."""
    return keccak256(signature.encode())


def to_hex(data: bytes) -> str:
    """Write bytes as `0x` and two lower-case digits for each."""
    return "0x" + data.hex()


def parse_hex(text: str, length: int | None = None) -> bytes:
    """Read bytes from `0x` and an even number of digits in any case.

    Args:
        text: what to read; white space is refused.
        length: how many bytes it must give, or None for any number.

    Raises:
        EncodingInvalid: no prefix, another character, half a byte, or another length.
    """
    try:
        data = bytes.fromhex(text[2:])
    except ValueError:
        data = b""
    if not text.startswith("0x") or len(data) * 2 + 2 != len(text):
        raise EncodingInvalid(f"expected 0x and whole bytes in hexadecimal, got {text[:80]!r}", found=text[:80])
    if length is not None and len(data) != length:
        raise EncodingInvalid(f"expected {length} bytes, got {len(data)}", found=len(data), expected=length)
    return data


def checksum_address(address: bytes) -> str:
    """Write an address with the capitals that guard against typing errors.

    Source: ERC-55.
    """
    digits = address.hex()
    nibbles = keccak256(digits.encode()).hex()
    pairs = zip(digits, nibbles[:40], strict=True)
    return "0x" + "".join(digit.upper() if nibble >= "8" else digit for digit, nibble in pairs)


def parse_address(text: str) -> Address:
    """Read an address written in one case, or in mixed case with a right checksum.

    Raises:
        EncodingInvalid: not 20 bytes of hexadecimal, or mixed case that is not its checksum.

    Source: ERC-55.
    """
    address = Address(parse_hex(text, 20))
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()):
        expected = checksum_address(address)
        if text != expected:
            raise EncodingInvalid(f"address checksum is {text}, expected {expected}", found=text, expected=expected)
    return address


def create_address(deployer: Address, nonce: int) -> Address:
    """Predict where `CREATE` puts a contract. `nonce` is the deployer's transaction count before it."""
    return Address(keccak256(rlp_encode((deployer, nonce)))[12:])


def create2_address(deployer: Address, salt: bytes, init_code: bytes) -> Address:
    """Predict where `CREATE2` puts a contract.

    Args:
        deployer: the contract that runs CREATE2.
        salt: 32 bytes.
        init_code: creation code with its constructor arguments.

    Source: EIP-1014.
    """
    if len(salt) != 32:
        raise EncodingInvalid(f"a salt is 32 bytes, got {len(salt)}", found=len(salt), expected=32)
    return Address(keccak256(b"\xff" + deployer + salt + keccak256(init_code))[12:])
