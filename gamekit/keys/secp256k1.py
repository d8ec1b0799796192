"""Direct calls into the libsecp256k1 that coincurve bundles, on buffers that the caller can wipe.

coincurve's own `PrivateKey` keeps the key as `bytes` and derives two public keys when it is made (57 µs). This is the
one module that reaches for its private extension.
"""

from typing import Final

from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]  # a compiled module without types
from coincurve.context import GLOBAL_CONTEXT
from sha3 import keccak_256

from gamekit.errors import SigningFailed
from gamekit.units import Address

__all__ = ["CONTEXT", "SECRET_LENGTH", "address_of", "ffi", "is_valid_secret", "lib", "recover"]

SECRET_LENGTH: Final = 32
CONTEXT: Final = GLOBAL_CONTEXT.ctx
"""Blinded when coincurve is imported."""

_ADDRESS_OFFSET: Final = 12


def is_valid_secret(secret: bytearray) -> bool:
    """Whether a buffer holds a private key: 32 bytes, from 1 to the group order - 1."""
    return len(secret) == SECRET_LENGTH and lib.secp256k1_ec_seckey_verify(CONTEXT, ffi.from_buffer(secret)) == 1


def address_of(secret: bytearray) -> Address:
    """Derive the address of a private key.

    Raises:
        SigningFailed: the buffer holds no private key.
    """
    point = ffi.new("secp256k1_pubkey *")
    if not is_valid_secret(secret) or not lib.secp256k1_ec_pubkey_create(CONTEXT, point, ffi.from_buffer(secret)):
        raise SigningFailed("the buffer holds no private key")
    return _address(point)


def recover(digest: bytes, signature: bytes) -> Address | None:
    """Find who signed a digest with these 65 bytes; None if nobody can have."""
    recoverable = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    point = ffi.new("secp256k1_pubkey *")
    parse = lib.secp256k1_ecdsa_recoverable_signature_parse_compact
    if not parse(CONTEXT, recoverable, signature[:64], signature[64] - 27):
        return None
    return _address(point) if lib.secp256k1_ecdsa_recover(CONTEXT, point, recoverable, digest) else None


def _address(point: object) -> Address:
    """Hash a public key; it is no secret."""
    written = ffi.new("unsigned char[65]")
    length = ffi.new("size_t *", 65)
    lib.secp256k1_ec_pubkey_serialize(CONTEXT, written, length, point, lib.SECP256K1_EC_UNCOMPRESSED)
    digest: bytes = keccak_256(ffi.buffer(written)[1:]).digest()
    return Address(digest[_ADDRESS_OFFSET:])
