"""Transactions equal eth-account's, byte for byte."""

import coincurve
import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import checksum_address, keccak256
from gamekit.eth.signature import recover_address
from gamekit.eth.transaction import Transaction, signing_hash, with_signature
from gamekit.units import Address, ChainId, Gas, Wei

KEY = keccak256(b"a relayer's key")
RELAYER = bytes.fromhex(Account.from_key(KEY).address[2:])
TRANSACTION = Transaction(
    chain_id=ChainId(8453),
    nonce=7,
    max_priority_fee_per_gas=Wei(1),
    max_fee_per_gas=Wei(2),
    gas_limit=Gas(21_000),
    to=Address(b"\x0a" * 20),
    value=Wei(0),
    data=b"",
)


def sign(digest: bytes) -> bytes:
    signature = coincurve.PrivateKey(KEY).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes((signature[64] + 27,))


@settings(max_examples=50)
@given(
    st.builds(
        Transaction,
        chain_id=st.integers(1, 1 << 53).map(ChainId),
        nonce=st.integers(0, (1 << 64) - 2),
        max_priority_fee_per_gas=st.integers(0, 1 << 40).map(Wei),
        max_fee_per_gas=st.integers(1 << 40, 1 << 60).map(Wei),
        gas_limit=st.integers(21_000, 1 << 40).map(Gas),
        to=st.none() | st.binary(min_size=20, max_size=20).map(Address),
        value=st.integers(0, (1 << 256) - 1).map(Wei),
        data=st.binary(max_size=300),
    )
)
def test_with_signature_behavior_equals_eth_account(transaction: Transaction) -> None:
    theirs = Account.sign_transaction(
        {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "maxPriorityFeePerGas": transaction.max_priority_fee_per_gas,
            "maxFeePerGas": transaction.max_fee_per_gas,
            "gas": transaction.gas_limit,
            "to": checksum_address(transaction.to) if transaction.to else b"",
            "value": transaction.value,
            "data": transaction.data,
        },
        KEY,
    )
    digest = signing_hash(transaction)
    raw, transaction_hash = with_signature(transaction, sign(digest))
    assert raw == bytes(theirs.raw_transaction)
    assert transaction_hash == bytes(theirs.hash)
    assert recover_address(digest, sign(digest)) == RELAYER


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (replace(TRANSACTION, nonce=-1), "nonce -1"),
        (replace(TRANSACTION, nonce=(1 << 64) - 1), "nonce"),
        (replace(TRANSACTION, value=Wei(1 << 256)), "value"),
        (replace(TRANSACTION, value=Wei(-1)), "value"),
        (replace(TRANSACTION, max_priority_fee_per_gas=Wei(3)), "must be at most"),
        (replace(TRANSACTION, max_priority_fee_per_gas=Wei(-1)), "must be at most"),
        (replace(TRANSACTION, to=Address(b"")), "20 bytes, got 0"),
        (replace(TRANSACTION, gas_limit=Gas(-1)), "no negative number"),
    ],
)
def test_signing_hash_error_fields(changed: Transaction, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        signing_hash(changed)


def test_with_signature_error_signature() -> None:
    with pytest.raises(EncodingInvalid, match="65 bytes"):
        with_signature(TRANSACTION, b"")
