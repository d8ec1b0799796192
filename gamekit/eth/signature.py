"""The 65-byte form of a secp256k1 signature: r 32, s 32, v 1, and who made it.

Signing lives in `keys/signer`; here signatures are only taken apart and checked, on the cold path.
"""

from typing import Final

import coincurve
import msgspec

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.units import Address

SIGNATURE_LENGTH: Final = 65
CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the secp256k1 group. Source: SEC 2, section 2.4.1."""

S_MAX: Final = CURVE_ORDER // 2
"""Largest `s` accepted: of the two that verify, only the lower one. Source: EIP-2."""


class Signature(msgspec.Struct, frozen=True):
    """A recoverable signature, taken apart."""

    r: int
    """1 to the group order - 1."""
    s: int
    """1 to `S_MAX`."""
    recovery_id: int
    """Which of the points with this `r`: 0 or 1. As `v` on chain it is 27 or 28."""

    def to_bytes(self) -> bytes:
        """Write r, s and v (27 or 28) in 65 bytes."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big") + bytes((27 + self.recovery_id,))


def parse_signature(data: bytes) -> Signature:
    """Take 65 bytes apart, strictly as the contracts do.

    Raises:
        EncodingInvalid: another length, `v` other than 27 and 28, `r` or `s` out of range, or the high `s`.
    """
    if len(data) != SIGNATURE_LENGTH:
        raise EncodingInvalid(f"a signature is 65 bytes, got {len(data)}", found=len(data), expected=SIGNATURE_LENGTH)
    r, s, v = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big"), data[64]
    if v not in (27, 28):
        raise EncodingInvalid(f"signature v must be 27 or 28, got {v}", found=v)
    if not 0 < r < CURVE_ORDER:
        raise EncodingInvalid(f"signature r is outside the group: {r:#x}", found=r, maximum=CURVE_ORDER - 1)
    if not 0 < s <= S_MAX:
        raise EncodingInvalid(f"signature s is not the low one: {s:#x}", found=s, maximum=S_MAX)
    return Signature(r=r, s=s, recovery_id=v - 27)


def recover_address(digest: bytes, signature: bytes) -> Address:
    """Find who signed a 32-byte digest. No prefix is added.

    Raises:
        EncodingInvalid: the signature is malformed, or no key can have made it.
    """
    parsed = parse_signature(signature)
    recoverable = signature[:64] + bytes((parsed.recovery_id,))
    try:
        public_key = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except ValueError as error:
        raise EncodingInvalid("no key can have made this signature", signature=signature, digest=digest) from error
    return public_key_address(public_key.format(compressed=False))


def public_key_address(public_key: bytes) -> Address:
    """Derive the address of an uncompressed public key: 65 bytes that start with 4."""
    if len(public_key) != 65 or public_key[0] != 4:
        raise EncodingInvalid(
            f"expected an uncompressed public key, got {len(public_key)} bytes", found=len(public_key)
        )
    return Address(keccak256(public_key[1:])[12:])
