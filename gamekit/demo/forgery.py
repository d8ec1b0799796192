"""How a thief writes operations: anything may be changed before or after the stolen key signs.

Built from `gamekit.eth` alone. Nothing here checks a rule of the session: that is the point.
"""

from collections.abc import Callable, Sequence
from typing import Final

import coincurve
from msgspec import Struct
from msgspec.structs import replace

from gamekit.demo.loot import Loot
from gamekit.eth.calldata import Call, Mode, execute_batch, execute_single
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256, parse_address, parse_hex
from gamekit.eth.session_validator import envelope, operation_digest, permission_id
from gamekit.eth.signature import CURVE_ORDER
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, ChainId, Gas, UnixSeconds, Wei

LIFE_S: Final = 115
"""Deadline of a forged operation behind its claimed time."""
VERIFICATION_GAS: Final = 400_000
VERIFICATION_GAS_PER_CALL: Final = 15_000
CALL_GAS: Final = 60_000
CALL_GAS_PER_CALL: Final = 60_000
PRE_VERIFICATION_GAS: Final = 60_000

Change = Callable[[UserOperation], UserOperation]


class Attempt(Struct, frozen=True, kw_only=True):
    """One operation that a thief tries, or the honest one that differs from it in a single thing."""

    call_data: bytes
    hints: bytes
    """One entry of the scope for each call."""
    age_s: int = 5
    """How long before the head it claims to have been made; negative claims the future."""
    life_s: int = LIFE_S
    fee_wei: int = 0
    """Highest fee per gas; 0 for the thief's usual one."""
    nonce_key: int | None = None
    before_signing: Change | None = None
    after_signing: Change | None = None
    """What a dishonest bundler would do: the key does not sign again."""
    scope: bytes | None = None
    """Another scope than the granted one."""
    secret: coincurve.PrivateKey | None = None
    """Another key than the stolen one."""
    chain: ChainId | None = None
    """Another chain, in everything that is signed."""
    version: EntryPointVersion | None = None
    """Another entry point, in the hash that is signed."""
    module: Address | None = None
    """Another session validator, in the permission that is signed."""
    is_personal: bool = False
    """Whether the digest is signed with the prefix of personal messages."""
    first: tuple["Attempt", ...] = ()
    """Operations that stand before it in the same bundle."""


class Forger:
    """Signs attempts with one stolen key."""

    def __init__(self, loot: Loot, now: UnixSeconds, fee_wei: int, *, signs_deadline: bool = True) -> None:
        """Get ready to sign.

        Args:
            loot: what was stolen.
            now: chain time.
            fee_wei: highest fee per gas, where an attempt does not say.
            signs_deadline: False for a session validator that forgets the deadline, as one with a planted bug may.
        """
        self.loot = loot
        self.now = now
        self._fee_wei = fee_wei
        self._signs_deadline = signs_deadline
        self._scope = parse_hex(loot.scope)
        self._key = loot.limits.nonce_key

    def bundle(self, attempt: Attempt, sequence: int) -> list[UserOperation]:
        """Write and sign an attempt and what stands before it, from a place of the session's lane on."""
        attempts = (*attempt.first, attempt)
        return [self._sign(each, sequence + place) for place, each in enumerate(attempts)]

    def _sign(self, attempt: Attempt, sequence: int) -> UserOperation:
        loot = self.loot
        calls = len(attempt.hints)
        fee = attempt.fee_wei or self._fee_wei
        op = UserOperation(
            sender=loot.sender,
            nonce=(self._key if attempt.nonce_key is None else attempt.nonce_key) << 64 | sequence,
            call_data=attempt.call_data,
            call_gas_limit=Gas(CALL_GAS + calls * CALL_GAS_PER_CALL),
            verification_gas_limit=Gas(VERIFICATION_GAS + calls * VERIFICATION_GAS_PER_CALL),
            pre_verification_gas=Gas(PRE_VERIFICATION_GAS),
            max_fee_per_gas=Wei(fee),
            max_priority_fee_per_gas=Wei(min(fee, 10**6)),
        )
        op = op if attempt.before_signing is None else attempt.before_signing(op)
        scope = self._scope if attempt.scope is None else attempt.scope
        claimed_at = UnixSeconds(self.now - attempt.age_s)
        deadline = UnixSeconds(claimed_at + attempt.life_s)
        chain, version, entry_point = attempt.chain or loot.chain, loot.version, parse_address(loot.entry_point)
        if attempt.version is not None:
            version, entry_point = attempt.version, attempt.version.canonical_address
        name = user_op_hash(op, version, entry_point, chain)
        permission = permission_id(chain, attempt.module or loot.module, loot.sender, scope)
        signed_deadline = deadline if self._signs_deadline else UnixSeconds(0)
        digest = operation_digest(name, permission, claimed_at, signed_deadline)
        signature = sign(attempt.secret or loot.secret, _personal(digest) if attempt.is_personal else digest)
        op = replace(op, signature=envelope(claimed_at, deadline, signature, attempt.hints, scope))
        return op if attempt.after_signing is None else attempt.after_signing(op)


def _personal(digest: bytes) -> bytes:
    """What wallets sign of a message of 32 bytes. Source: ERC-191, version 0x45."""
    return keccak256(b"\x19Ethereum Signed Message:\n32" + digest)


def gas_of(calls: int) -> int:
    """All gas that an attempt with so many calls asks for: what the session's budget is charged for."""
    per_call = VERIFICATION_GAS_PER_CALL + CALL_GAS_PER_CALL
    return VERIFICATION_GAS + CALL_GAS + PRE_VERIFICATION_GAS + calls * per_call


def sign(secret: coincurve.PrivateKey, digest: bytes) -> bytes:
    """Sign 32 bytes: r, s and v (27 or 28)."""
    signature = secret.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes((27 + signature[64],))


def single(call: Call) -> bytes:
    """Calldata of one call."""
    return execute_single(Mode.SINGLE, *call)


def batch(calls: Sequence[Call]) -> bytes:
    """Calldata of several calls, all or none."""
    return execute_batch(Mode.BATCH, calls)


# Changes after signing.


def with_signature_bytes(start: int, written: bytes) -> Change:
    """Overwrite a part of the envelope."""
    end = start + len(written)
    return lambda op: replace(op, signature=op.signature[:start] + written + op.signature[end:])


def with_deadline_after(seconds: int) -> Change:
    """Extend the deadline that the key signed."""

    def change(op: UserOperation) -> UserOperation:
        deadline = int.from_bytes(op.signature[6:12], "big") + seconds
        return with_signature_bytes(6, deadline.to_bytes(6, "big"))(op)

    return change


def with_claim_later(seconds: int) -> Change:
    """Move the claimed time that the key signed: another pace, another time range."""

    def change(op: UserOperation) -> UserOperation:
        claimed_at = int.from_bytes(op.signature[:6], "big") + seconds
        return with_signature_bytes(0, claimed_at.to_bytes(6, "big"))(op)

    return change


def with_high_s(op: UserOperation) -> UserOperation:
    """Write the other signature that verifies: s mirrored, v flipped."""
    s = int.from_bytes(op.signature[44:76], "big")
    mirrored = (CURVE_ORDER - s).to_bytes(32, "big") + bytes((55 - op.signature[76],))
    return with_signature_bytes(44, mirrored)(op)


def with_short_signature(op: UserOperation) -> UserOperation:
    """Cut the envelope."""
    return replace(op, signature=op.signature[:64])


# Calldata that says one thing to one decoder and another to the next.


def with_word(call_data: bytes, at: int, value: int) -> bytes:
    """Overwrite one word of calldata."""
    return call_data[:at] + value.to_bytes(32, "big") + call_data[at + 32 :]


def with_mode(call_data: bytes, mode: bytes) -> bytes:
    """Overwrite the mode word of `execute`."""
    return call_data[:4] + mode + call_data[36:]


def with_aliased_head(call_data: bytes, other: bytes) -> bytes:
    """Let the head's offset point at a second execution behind the first."""
    tail = other[68:]
    return with_word(call_data, 36, len(call_data) - 4) + tail


def with_aliased_element(call_data: bytes) -> bytes:
    """Let the second element of a batch be the first one again, and the second one stand unread."""
    first = call_data[164:196]
    return call_data[:196] + first + call_data[228:]
