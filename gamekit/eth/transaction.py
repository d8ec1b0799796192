"""Transactions of an externally owned account: the bytes that it signs, and the bytes that are sent.

Only the fee-market kind (type 2) with an empty access list, which is all that a relayer sends.

Source: EIP-1559, EIP-2718.
"""

from typing import Final

from msgspec import Struct

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.eth.rlp import RlpItem, rlp_encode
from gamekit.eth.signature import parse_signature
from gamekit.units import UINT64_MAX, UINT256_MAX, Address, ChainId, Gas, Hash32, Wei

_TYPE: Final = b"\x02"


class Transaction(Struct, frozen=True, gc=False, kw_only=True):
    """What a relayer signs."""

    chain_id: ChainId
    nonce: int
    """The sender's transaction count before it; 0 to 2**64 - 2."""
    max_priority_fee_per_gas: Wei
    max_fee_per_gas: Wei
    """At least the priority fee, or every pool refuses it."""
    gas_limit: Gas
    to: Address | None
    """None creates a contract."""
    value: Wei
    data: bytes


def signing_hash(transaction: Transaction) -> Hash32:
    """Give the 32 bytes that the sender signs.

    Raises:
        EncodingInvalid: a field is out of range.
    """
    return keccak256(_TYPE + rlp_encode(_fields(transaction)))


def with_signature(transaction: Transaction, signature: bytes) -> tuple[bytes, Hash32]:
    """Join a transaction and its 65-byte signature: the bytes that are sent, and the hash that names them on chain.

    Raises:
        EncodingInvalid: a field is out of range, or the signature is malformed.
    """
    parsed = parse_signature(signature)
    raw = _TYPE + rlp_encode([*_fields(transaction), parsed.recovery_id, parsed.r, parsed.s])
    return raw, keccak256(raw)


def _fields(transaction: Transaction) -> list[RlpItem]:
    t = transaction
    if not 0 <= t.nonce < UINT64_MAX or not 0 <= t.value <= UINT256_MAX:
        raise EncodingInvalid(f"nonce {t.nonce} or value {t.value} is out of range", found=(t.nonce, t.value))
    if not 0 <= t.max_priority_fee_per_gas <= t.max_fee_per_gas <= UINT256_MAX:
        raise EncodingInvalid(
            f"the priority fee {t.max_priority_fee_per_gas} must be at most the fee {t.max_fee_per_gas}",
            found=t.max_priority_fee_per_gas,
            maximum=t.max_fee_per_gas,
        )
    if t.to is not None and len(t.to) != 20:
        raise EncodingInvalid(f"the receiver must be 20 bytes, got {len(t.to)}", found=len(t.to), expected=20)
    fees = (t.max_priority_fee_per_gas, t.max_fee_per_gas)
    return [t.chain_id, t.nonce, *fees, t.gas_limit, t.to or b"", t.value, t.data, []]
