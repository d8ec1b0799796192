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
from gamekit.eth.transaction import (
    Authorization,
    SignedAuthorization,
    Transaction,
    authorization_hash,
    signing_hash,
    with_signature,
)
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


PLAYER_KEY = keccak256(b"a player's key")
AUTHORIZATION = Authorization(chain_id=ChainId(8453), delegate=Address(b"\x0d" * 20), nonce=0)


def authorize(authorization: Authorization) -> SignedAuthorization:
    signature = coincurve.PrivateKey(PLAYER_KEY).sign_recoverable(authorization_hash(authorization), hasher=None)
    return SignedAuthorization(authorization, signature[:64] + bytes((signature[64] + 27,)))


@settings(max_examples=50)
@given(
    st.lists(
        st.builds(
            Authorization,
            chain_id=st.integers(1, 1 << 53).map(ChainId),
            delegate=st.binary(min_size=20, max_size=20).map(Address),
            nonce=st.integers(0, (1 << 64) - 2),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_with_signature_behavior_authorizations_equal_eth_accounts(authorizations: list[Authorization]) -> None:
    player = Account.from_key(PLAYER_KEY)
    theirs = Account.sign_transaction(
        {
            "type": 4,
            "chainId": TRANSACTION.chain_id,
            "nonce": TRANSACTION.nonce,
            "maxPriorityFeePerGas": TRANSACTION.max_priority_fee_per_gas,
            "maxFeePerGas": TRANSACTION.max_fee_per_gas,
            "gas": TRANSACTION.gas_limit,
            "to": checksum_address(Address(b"\x0a" * 20)),
            "value": TRANSACTION.value,
            "data": TRANSACTION.data,
            "authorizationList": [
                player.sign_authorization(
                    {"chainId": each.chain_id, "address": checksum_address(each.delegate), "nonce": each.nonce}
                )
                for each in authorizations
            ],
        },
        KEY,
    )
    transaction = replace(TRANSACTION, authorizations=tuple(map(authorize, authorizations)))
    raw, transaction_hash = with_signature(transaction, sign(signing_hash(transaction)))
    assert raw == bytes(theirs.raw_transaction)
    assert transaction_hash == bytes(theirs.hash)


def test_authorization_hash_default() -> None:
    digest = authorization_hash(AUTHORIZATION)
    assert digest == keccak256(b"\x05" + bytes.fromhex("d982210594" + "0d" * 20 + "80"))
    player = bytes.fromhex(Account.from_key(PLAYER_KEY).address[2:])
    assert recover_address(digest, authorize(AUTHORIZATION).signature) == player


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (replace(AUTHORIZATION, chain_id=ChainId(0)), "chain 0 or nonce 0 is out of range"),
        (replace(AUTHORIZATION, nonce=-1), "nonce -1"),
        (replace(AUTHORIZATION, nonce=(1 << 64) - 1), "out of range"),
        (replace(AUTHORIZATION, delegate=Address(b"")), "20 bytes, got 0"),
    ],
)
def test_authorization_hash_error_fields(changed: Authorization, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        authorization_hash(changed)
    with pytest.raises(EncodingInvalid, match=message):
        signing_hash(replace(TRANSACTION, authorizations=(SignedAuthorization(changed, sign(bytes(32))),)))


def test_signing_hash_error_authorizations_create_nothing() -> None:
    with pytest.raises(EncodingInvalid, match="cannot create a contract"):
        signing_hash(replace(TRANSACTION, to=None, authorizations=(authorize(AUTHORIZATION),)))


def test_signing_hash_error_signature_of_an_authorization() -> None:
    unsigned = SignedAuthorization(AUTHORIZATION, b"")
    with pytest.raises(EncodingInvalid, match="65 bytes"):
        signing_hash(replace(TRANSACTION, authorizations=(unsigned,)))
