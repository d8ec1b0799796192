"""Signs: opens a key into one buffer, calls libsecp256k1 on it, wipes the buffer.

The nonce is RFC 6979's, which libsecp256k1 uses when it is given no other: the same digest gives the same bytes, so a
crash between signing and sending costs nothing. Never pass a nonce function here.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag

from gamekit.errors import SigningFailed
from gamekit.eth.signature import SIGNATURE_LENGTH
from gamekit.keys.keystore import Keystore, Unseal
from gamekit.keys.secp256k1 import CONTEXT, SECRET_LENGTH, ffi, lib, recover
from gamekit.ports import SealedKey
from gamekit.units import Hash32

CHECK_EVERY: Final = 512
"""One signature in so many is recovered and compared with its key's address. Recovering costs as much as two
signatures; each time, it would be the larger part of the work."""

_ZEROS: Final = bytes(SECRET_LENGTH)

_VECTOR_SECRET: Final = 1
_VECTOR_DIGEST: Final = bytes.fromhex("a0dc65ffca799873cbea0ac274015b9526505daaaed385155425f7337704883e")
_VECTOR_SIGNATURE: Final = bytes.fromhex(
    "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
    "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
)
"""RFC 6979 over secp256k1: key 1, SHA-256 of "Satoshi Nakamoto". Source: bitcointalk.org topic 285142, the
vectors that Bitcoin libraries share; more of them in tests/vectors/rfc6979_secp256k1.json."""


class LocalSigner:
    """Implements `gamekit.ports.Signer` in this process."""

    def __init__(self, keystore: Keystore) -> None:
        """Bind the keystore's keys to the library, and test the library.

        Raises:
            SigningFailed: the library does not give the published signature; nothing must be signed with it.
        """
        _test_library()
        self._sign = _opening_signer(keystore.unseals)
        # One set of buffers, so one signature at a time: the library lets go of the interpreter while it signs.
        self._lock = threading.Lock()
        self._until_check = 1  # the first one, then one in `CHECK_EVERY`

    def sign(self, key: SealedKey, digest: Hash32) -> bytes:
        """Sign with RFC 6979; see `gamekit.ports.Signer.sign`.

        Raises:
            SigningFailed: the key does not open, the digest is not 32 bytes, or a sampled check failed.
        """
        with self._lock:
            signature = self._sign(key, digest)
        self._until_check -= 1
        if self._until_check <= 0:
            self._sample((key,), (digest,), (signature,))
        return signature

    def sign_many(self, keys: Sequence[SealedKey], digests: Sequence[Hash32]) -> list[bytes]:
        """Sign each digest with its key; see `gamekit.ports.Signer.sign_many`.

        Raises:
            SigningFailed: as `sign`. No signature is given then, not even of the others.
        """
        if len(keys) != len(digests):
            raise SigningFailed(f"{len(keys)} keys for {len(digests)} digests", keys=len(keys), digests=len(digests))
        with self._lock:
            signatures = list(map(self._sign, keys, digests))
        self._until_check -= len(signatures)
        if self._until_check <= 0:
            self._sample(keys, digests, signatures)
        return signatures

    def _sample(self, keys: Sequence[SealedKey], digests: Sequence[Hash32], signatures: Sequence[bytes]) -> None:
        """Check one signature in `CHECK_EVERY`, before any of them is given away."""
        while self._until_check <= 0:
            place = len(signatures) - 1 + self._until_check
            self._until_check += CHECK_EVERY
            if recover(digests[place], signatures[place]) != keys[place].binding[-20:]:
                raise SigningFailed("a signature does not recover to its key's address: do not trust this machine")


def _opening_signer(unseals: Mapping[bytes, Unseal]) -> Callable[[SealedKey, Hash32], bytes]:
    """Give the function that opens, signs and wipes, with every buffer made and every name bound beforehand.

    It must not run twice at once.
    """
    secret = bytearray(SECRET_LENGTH)
    pointer = ffi.from_buffer("unsigned char[32]", secret)
    recoverable = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    recovery_id = ffi.new("int *")
    written = bytearray(SIGNATURE_LENGTH)
    written_pointer = ffi.from_buffer("unsigned char[]", written)
    sign_recoverable = lib.secp256k1_ecdsa_sign_recoverable
    serialize = lib.secp256k1_ecdsa_recoverable_signature_serialize_compact
    context, null, overwrite = CONTEXT, ffi.NULL, ffi.memmove

    def sign(key: SealedKey, digest: Hash32) -> bytes:
        if len(digest) != 32:
            raise SigningFailed(f"a digest is 32 bytes, got {len(digest)}", found=len(digest))
        sealed = key.sealed
        try:
            unseals[sealed[:4]](sealed[4:16], sealed[16:], key.binding, secret)
            signed = sign_recoverable(context, recoverable, digest, pointer, null, null)
        except (InvalidTag, KeyError, ValueError) as error:
            raise SigningFailed("the key does not open: not sealed for this row, or under another key") from error
        finally:
            overwrite(pointer, _ZEROS, SECRET_LENGTH)
        if not signed:
            raise SigningFailed("the library refused to sign with this key")
        serialize(context, written_pointer, recovery_id, recoverable)
        written[64] = 27 + recovery_id[0]
        return bytes(written)

    return sign


def _test_library() -> None:
    """Sign the published vector."""
    secret = ffi.new("unsigned char[32]")
    secret[31] = _VECTOR_SECRET
    recoverable = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    compact = ffi.new("unsigned char[64]")
    lib.secp256k1_ecdsa_sign_recoverable(CONTEXT, recoverable, _VECTOR_DIGEST, secret, ffi.NULL, ffi.NULL)
    lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(CONTEXT, compact, ffi.new("int *"), recoverable)
    if bytes(ffi.buffer(compact)) != _VECTOR_SIGNATURE:
        raise SigningFailed("libsecp256k1 does not give the signature of RFC 6979's vector")
