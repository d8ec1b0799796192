"""Speaking with our own module on chain: names, digests, the signature envelope, calldata, events and errors.

What a scope means and how its bytes are built stands in `core/scope.py`; here a scope is bytes.

::

    permission id     keccak(chain id 32 | module 20 | account 20 | scope)
    operation digest  keccak(typehash | user operation hash | permission id | claimed at << 48 | deadline), raw
    envelope          claimed at 6 | deadline 6 | r 32 | s 32 | v 1 | hints, one byte per call | scope | witnesses

The scope stands there in its signed form; only a long list has witnesses (`scope_form.py`).

Source: SessionValidator.sol.
"""

from typing import Final

from msgspec import Struct

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.eth.scope_form import MERKLE_LENGTH, entries_of, is_long
from gamekit.eth.signature import SIGNATURE_LENGTH
from gamekit.units import UINT48_MAX, Address, ChainId, Hash32, PermissionId, UnixSeconds, UserOpHash

OPERATION_TYPEHASH: Final = keccak256(
    b"SessionOperation(bytes32 userOpHash,bytes32 permissionId,uint96 claimedAtAndDeadline)"
)
"""Keeps the digest of an operation apart from that of anything else."""

DOMAIN_NAME: Final = "gamekit SessionValidator"
"""Of the module's typed data, as wallets show it."""
DOMAIN_VERSION: Final = "1"
_DOMAIN_HEAD: Final = (
    keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak256(DOMAIN_NAME.encode())
    + keccak256(DOMAIN_VERSION.encode())
)
_REVOKE_TYPEHASH: Final = keccak256(b"RevokeSession(address account,bytes32 permissionId)")
_ZERO_20: Final = bytes(20)

_ENVELOPE_HEAD: Final = 6 + 6 + SIGNATURE_LENGTH
"""Bytes of an envelope before its hints."""


class Envelope(Struct, frozen=True, gc=False):
    """What stands in an operation's signature, as the module sees it."""

    claimed_at: UnixSeconds
    """Chain time that the operation says it was made at."""
    deadline: UnixSeconds
    """Last second, inclusive, at which it may be executed."""
    signature: bytes
    """Of the session key: 65 bytes."""
    hints: bytes
    """For each call, which entry of the scope, or which witness, allows it."""
    scope: bytes
    """In its signed form."""
    witnesses: bytes = b""
    """Of a long list: the entries that the calls use, each with its path to the root."""


def permission_id(chain_id: ChainId, module: Address, account: Address, scope: bytes) -> PermissionId:
    """Name a permission: a scope, in its signed form, on one account, under one module, on one chain."""
    return PermissionId(keccak256(b"".join((chain_id.to_bytes(32, "big"), module, account, scope))))


def operation_digest(
    user_op_hash: UserOpHash, permission: PermissionId, claimed_at: UnixSeconds, deadline: UnixSeconds
) -> Hash32:
    """Give the 32 bytes that the session key signs for an operation, without any prefix.

    Raises:
        EncodingInvalid: a time is outside 48 bits.
    """
    times = _times(claimed_at, deadline)
    return keccak256(b"".join((OPERATION_TYPEHASH, user_op_hash, permission, _ZERO_20, times)))


def envelope(
    claimed_at: UnixSeconds, deadline: UnixSeconds, signature: bytes, hints: bytes, scope: bytes, witnesses: bytes = b""
) -> bytes:
    """Write what stands in an operation's signature; the scope in its signed form.

    Raises:
        EncodingInvalid: a time is outside 48 bits, or the signature is not 65 bytes.
    """
    if len(signature) != SIGNATURE_LENGTH:
        raise EncodingInvalid(
            f"a signature is 65 bytes, got {len(signature)}", found=len(signature), expected=SIGNATURE_LENGTH
        )
    return b"".join((_times(claimed_at, deadline), signature, hints, scope, witnesses))


def decode_envelope(data: bytes, calls: int) -> Envelope:
    """Take an envelope apart, given the number of calls in its operation.

    Raises:
        EncodingInvalid: the length is not what the calls and the scope's own counts make it.
    """
    scope_at = _ENVELOPE_HEAD + calls
    scope, witnesses = data[scope_at:], b""
    if is_long(scope):
        scope, witnesses = scope[:MERKLE_LENGTH], scope[MERKLE_LENGTH:]
        if len(scope) < MERKLE_LENGTH:
            raise EncodingInvalid(
                f"the scope has {len(scope)} bytes, of a long list {MERKLE_LENGTH}",
                found=len(scope),
                expected=MERKLE_LENGTH,
            )
    else:
        entries_of(scope)
    return Envelope(
        claimed_at=UnixSeconds(int.from_bytes(data[:6], "big")),
        deadline=UnixSeconds(int.from_bytes(data[6:12], "big")),
        signature=data[12:_ENVELOPE_HEAD],
        hints=data[_ENVELOPE_HEAD:scope_at],
        scope=scope,
        witnesses=witnesses,
    )


def revoke_digest(chain_id: ChainId, module: Address, account: Address, permission: PermissionId) -> Hash32:
    """Give the 32 bytes that a session key signs to revoke itself; the typed data is `revoke_typed_data`."""
    domain = b"".join((_DOMAIN_HEAD, chain_id.to_bytes(32, "big"), module.rjust(32, b"\x00")))
    struct = b"".join((_REVOKE_TYPEHASH, account.rjust(32, b"\x00"), permission))
    return keccak256(b"\x19\x01" + keccak256(domain) + keccak256(struct))


def _times(claimed_at: UnixSeconds, deadline: UnixSeconds) -> bytes:
    if not 0 <= claimed_at <= UINT48_MAX or not 0 <= deadline <= UINT48_MAX:
        raise EncodingInvalid(
            f"times must fit 48 bits, got {claimed_at} and {deadline}", found=(claimed_at, deadline), maximum=UINT48_MAX
        )
    return (claimed_at << 48 | deadline).to_bytes(12, "big")
