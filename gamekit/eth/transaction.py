"""Transactions of an externally owned account: the bytes that it signs, and the bytes that are sent.

Only the fee-market kind (type 2) with an empty access list, and the same with authorizations (type 4), by which other
people's addresses delegate to a contract: that is all that a relayer sends.

Source: EIP-1559, EIP-2718, EIP-7702.
"""

from typing import Final

from msgspec import Struct

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.eth.rlp import RlpItem, rlp_encode
from gamekit.eth.signature import parse_signature
from gamekit.units import UINT64_MAX, UINT256_MAX, Address, ChainId, Gas, Hash32, Wei

_TYPE: Final = b"\x02"
_TYPE_WITH_AUTHORIZATIONS: Final = b"\x04"
_AUTHORIZATION_MAGIC: Final = b"\x05"


class Authorization(Struct, frozen=True, gc=False, kw_only=True):
    """What an externally owned account signs so that it delegates to a contract's code, from then on.

    Never for chain 0, which means every chain: whoever holds the signature could take it to any of them.
    """

    chain_id: ChainId
    delegate: Address
    """The contract; the zero address ends the delegation."""
    nonce: int
    """The account's transaction count at the time; 0 to 2**64 - 2. Any other and the chain passes over it."""


class SignedAuthorization(Struct, frozen=True, gc=False):
    """An authorization and its signature of 65 bytes."""

    authorization: Authorization
    signature: bytes


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
    authorizations: tuple[SignedAuthorization, ...] = ()
    """What the chain takes note of before it makes the call; each by itself, and one that does not fit is no error."""


def authorization_hash(authorization: Authorization) -> Hash32:
    """Give the 32 bytes that the account's key signs.

    Raises:
        EncodingInvalid: a field is out of range, or the chain is 0.
    """
    return keccak256(_AUTHORIZATION_MAGIC + rlp_encode(_authorization_fields(authorization)))


def signing_hash(transaction: Transaction) -> Hash32:
    """Give the 32 bytes that the sender signs.

    Raises:
        EncodingInvalid: a field is out of range.
    """
    return keccak256(_type(transaction) + rlp_encode(_fields(transaction)))


def with_signature(transaction: Transaction, signature: bytes) -> tuple[bytes, Hash32]:
    """Join a transaction and its 65-byte signature: the bytes that are sent, and the hash that names them on chain.

    Raises:
        EncodingInvalid: a field is out of range, or the signature is malformed.
    """
    parsed = parse_signature(signature)
    raw = _type(transaction) + rlp_encode([*_fields(transaction), parsed.recovery_id, parsed.r, parsed.s])
    return raw, keccak256(raw)


def _type(transaction: Transaction) -> bytes:
    return _TYPE_WITH_AUTHORIZATIONS if transaction.authorizations else _TYPE


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
    fields: list[RlpItem] = [t.chain_id, t.nonce, *fees, t.gas_limit, t.to or b"", t.value, t.data, []]
    if t.authorizations:
        if t.to is None:
            raise EncodingInvalid("a transaction with authorizations cannot create a contract")
        fields.append([_signed_fields(each) for each in t.authorizations])
    return fields


def _signed_fields(signed: SignedAuthorization) -> list[RlpItem]:
    parsed = parse_signature(signed.signature)
    return [*_authorization_fields(signed.authorization), parsed.recovery_id, parsed.r, parsed.s]


def _authorization_fields(authorization: Authorization) -> list[RlpItem]:
    a = authorization
    if not 1 <= a.chain_id <= UINT256_MAX or not 0 <= a.nonce < UINT64_MAX:
        raise EncodingInvalid(f"chain {a.chain_id} or nonce {a.nonce} is out of range", found=(a.chain_id, a.nonce))
    if len(a.delegate) != 20:
        raise EncodingInvalid(
            f"the delegate must be 20 bytes, got {len(a.delegate)}", found=len(a.delegate), expected=20
        )
    return [a.chain_id, a.delegate, a.nonce]
