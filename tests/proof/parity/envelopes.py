"""Signature fields that somebody changed after the key signed: a bundler, who sees every operation and signs none."""

import random

from msgspec.structs import replace

from gamekit.eth.signature import CURVE_ORDER
from gamekit.eth.user_operation import PackedUserOperation
from tests.proof.parity.draft import Draft, Session, word
from tests.proof.parity.ground import STRANGER

HEAD = 77
"""Bytes before the hints: two times, r, s and v."""


def tamper(rng: random.Random, draft: Draft, op: PackedUserOperation, others: list[Session]) -> PackedUserOperation:
    """Change one thing of a sealed operation."""
    kind = rng.choice(KINDS)
    draft.notes.append(kind)
    if kind == "another field":
        return _other_field(rng, op)
    if kind == "another session's scope":
        draft.session = rng.choice(others)
        scope = draft.session.drawn.signed + draft.witnesses
        return replace(op, signature=op.signature[: HEAD + len(draft.hints)] + scope)
    return replace(op, signature=_tampered(rng, kind, op.signature, len(draft.hints)))


KINDS = (
    "a bit", "a time", "r or s", "v", "the high s", "a hint", "more or fewer hints", "cut", "longer", "nothing left",
    "another session's scope", "another field",
)  # fmt: skip


def _tampered(rng: random.Random, kind: str, signature: bytes, hints: int) -> bytes:
    data = bytearray(signature)
    if kind == "a bit":
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "a time":
        at = rng.choice((0, 6))
        data[at : at + 6] = (int.from_bytes(data[at : at + 6], "big") ^ rng.choice((1, 2, 64))).to_bytes(6, "big")
    elif kind == "r or s":
        at = rng.choice((12, 44))
        data[at : at + 32] = rng.choice((word(0), word(CURVE_ORDER), word(CURVE_ORDER - 1), rng.randbytes(32)))
    elif kind == "v":
        data[76] = rng.choice((0, 1, 26, 29, 27, 28, data[76] ^ 1, rng.randrange(256)))
    elif kind == "the high s":
        data[44:76] = word(CURVE_ORDER - int.from_bytes(data[44:76], "big"))
        data[76] = 55 - data[76]
    elif kind == "a hint":
        data[HEAD + rng.randrange(max(1, hints))] = rng.choice((0, 1, 255, rng.randrange(256)))
    elif kind == "more or fewer hints":
        data[HEAD : HEAD + rng.randrange(2)] = bytes(rng.randrange(3))
    elif kind == "cut":
        del data[rng.choice((rng.randrange(len(data)), len(data) - 1, len(data) - 32)) :]
    elif kind == "longer":
        data += rng.choice((b"\x00", bytes(32), rng.randbytes(rng.randint(1, 64))))
    else:
        del data[rng.choice((0, HEAD, HEAD + 191)) :]
    return bytes(data)


def _other_field(rng: random.Random, op: PackedUserOperation) -> PackedUserOperation:
    """Change what the entry point's hash covers."""
    kind = rng.randrange(5)
    if kind == 0:
        return replace(op, nonce=op.nonce ^ 1 << rng.randrange(256))
    if kind == 1:
        return replace(op, gas_fees=_flipped(rng, op.gas_fees))
    if kind == 2:
        return replace(op, account_gas_limits=_flipped(rng, op.account_gas_limits))
    if kind == 3 and op.paymaster_and_data:
        size = rng.choice((0, 19, 20, 51, 52, len(op.paymaster_and_data)))
        cut = op.paymaster_and_data[:size] + (b"\x01" if size > 52 else b"")
        return replace(op, paymaster_and_data=cut)
    return replace(op, paymaster_and_data=STRANGER + bytes(rng.choice((0, 31, 32, 33))))


def _flipped(rng: random.Random, data: bytes) -> bytes:
    return (int.from_bytes(data, "big") ^ 1 << rng.randrange(256)).to_bytes(32, "big")
