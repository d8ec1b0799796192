"""What a node reads and gamekit only writes: RLP, signed transactions, raw logs."""

from functools import lru_cache
from typing import Self, cast

from msgspec import Struct

from gamekit.errors import EncodingInvalid
from gamekit.eth.block import Log
from gamekit.eth.hashing import keccak256
from gamekit.eth.rlp import RlpItem, rlp_encode
from gamekit.eth.signature import Signature, recover_address
from gamekit.eth.transaction import Authorization, SignedAuthorization
from gamekit.eth.user_operation import PackedUserOperation, split_pair
from gamekit.units import Address, ChainId, Hash32, Wei

FEE_MARKET = 2
"""The transaction kind of EIP-1559."""
SET_CODE = 4
"""The transaction kind of EIP-7702."""


class DecodedTransaction(Struct, frozen=True):
    """A transaction as a pool holds it."""

    hash: Hash32
    sender: Address
    nonce: int
    to: Address
    data: bytes
    max_fee: int
    tip: int
    raw: bytes
    gas: int = 0
    """Its gas limit; 0 when nobody said."""
    authorizations: tuple[SignedAuthorization, ...] = ()

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Decode a signed transaction of the fee-market kind, or that with authorizations; recover who signed it.

        Raises: EncodingInvalid for anything else.
        """
        fields = rlp_decode(raw[1:])
        if raw[0] not in (FEE_MARKET, SET_CODE) or not isinstance(fields, list):
            raise EncodingInvalid("not a transaction of the fee-market kind")
        own = 9 if raw[0] == FEE_MARKET else 10
        unsigned, signature = fields[:own], [int.from_bytes(field, "big") for field in fields[own:]]  # type: ignore[arg-type]
        signed = cast("list[list[bytes]]", unsigned[9] if raw[0] == SET_CODE else [])
        digest = keccak256(raw[:1] + rlp_encode(cast("list[RlpItem]", unsigned)))
        parity, r, s = signature
        numbers = [int.from_bytes(field, "big") for field in unsigned[:5] if isinstance(field, bytes)]
        to, data = unsigned[5], unsigned[7]
        if not isinstance(to, bytes) or not isinstance(data, bytes):
            raise EncodingInvalid("the transaction's fields are no bytes")
        sender = recovered(digest, Signature(r, s, parity).to_bytes())
        return cls(keccak256(raw), sender, numbers[1], Address(to), data, numbers[3], numbers[2], raw, numbers[4],
                   tuple(map(_authorization, signed)))  # fmt: skip


@lru_cache(maxsize=4096)
def recovered(digest: Hash32, signature: bytes) -> Address:
    """Recover who signed; remembered, since a chain asks the same about a bundle each time it is simulated."""
    return recover_address(digest, signature)


def _authorization(fields: list[bytes]) -> SignedAuthorization:
    chain_id, nonce, parity, r, s = (int.from_bytes(fields[place], "big") for place in (0, 2, 3, 4, 5))
    unsigned = Authorization(chain_id=ChainId(chain_id), delegate=Address(fields[1]), nonce=nonce)
    return SignedAuthorization(unsigned, Signature(r, s, parity).to_bytes())


def rlp_decode(data: bytes) -> bytes | list[object]:
    """Decode one item that fills the data."""
    item, end = _item(data, 0)
    if end != len(data):
        raise EncodingInvalid(f"{len(data) - end} bytes behind the item")
    return item


def _item(data: bytes, at: int) -> tuple[bytes | list[object], int]:
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    is_list = first >= 0xC0
    length, start = first - (0xC0 if is_list else 0x80), at + 1
    if length > 55:
        start += length - 55
        length = int.from_bytes(data[at + 1 : start], "big")
    if not is_list:
        return data[start : start + length], start + length
    items: list[object] = []
    at, end = start, start + length
    while at < end:
        item, at = _item(data, at)
        items.append(item)
    return items, end


def words(*numbers: int) -> bytes:
    """Write numbers as ABI words."""
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def dynamic(data: bytes) -> bytes:
    """The tail of a dynamic value: its length, and itself in whole words."""
    return words(len(data)) + data + bytes(-len(data) % 32)


def event_log(address: Address, *topics: bytes, data: bytes = b"") -> Log:
    """Write a log whose place in the block is still open."""
    return Log(address, tuple(Hash32(topic) for topic in topics), data, 0)


def max_cost(op: PackedUserOperation) -> Wei:
    """All gas limits times the highest fee."""
    limits = *split_pair(op.account_gas_limits), op.pre_verification_gas, *split_pair(op.paymaster_and_data[20:52])
    return Wei(sum(limits) * split_pair(op.gas_fees)[1])
