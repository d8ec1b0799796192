"""Signatures are taken apart strictly and name their maker."""

import coincurve
import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.eth.signature import CURVE_ORDER, S_MAX, Signature, parse_signature, public_key_address, recover_address

KEY = keccak256(b"a player's session key")
SIGNER = bytes.fromhex(Account.from_key(KEY).address[2:])


def sign(digest: bytes) -> bytes:
    signature = coincurve.PrivateKey(KEY).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes((signature[64] + 27,))


def forge(*, r: int = 1, s: int = 1, v: int = 27) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((v,))


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32))
def test_recover_address_default(digest: bytes) -> None:
    assert recover_address(digest, sign(digest)) == SIGNER


def test_recover_address_behavior_equals_eth_account() -> None:
    digest = keccak256(b"anything")
    signed = Account.unsafe_sign_hash(digest, KEY)
    assert recover_address(digest, bytes(signed.signature)) == SIGNER


def test_recover_address_error_no_key() -> None:
    # 5 is the x of no point of the curve.
    with pytest.raises(EncodingInvalid, match="no key"):
        recover_address(bytes(32), forge(r=5))


@given(st.binary(min_size=32, max_size=32))
def test_parse_signature_behavior_round_trip(digest: bytes) -> None:
    signature = sign(digest)
    assert parse_signature(signature).to_bytes() == signature


def test_parse_signature_default() -> None:
    assert parse_signature(forge(r=2, s=3, v=28)) == Signature(r=2, s=3, recovery_id=1)
    assert parse_signature(forge(s=S_MAX)).s == S_MAX


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (forge()[:64], "65 bytes, got 64"),
        (forge() + b"\x00", "65 bytes, got 66"),
        (forge(v=0), "27 or 28, got 0"),
        (forge(v=29), "27 or 28, got 29"),
        (forge(r=0), "r is outside"),
        (forge(r=CURVE_ORDER), "r is outside"),
        (forge(s=0), "s is not the low one"),
        (forge(s=S_MAX + 1), "s is not the low one"),
    ],
)
def test_parse_signature_error_form(signature: bytes, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        parse_signature(signature)


def test_public_key_address_default() -> None:
    assert public_key_address(coincurve.PrivateKey(KEY).public_key.format(compressed=False)) == SIGNER


def test_public_key_address_error_compressed() -> None:
    with pytest.raises(EncodingInvalid, match="uncompressed"):
        public_key_address(coincurve.PrivateKey(KEY).public_key.format())
    with pytest.raises(EncodingInvalid, match="uncompressed"):
        public_key_address(b"\x05" + bytes(64))
