"""Direct calls agree with the library's own wrapper."""

import coincurve
import pytest

from gamekit.errors import SigningFailed
from gamekit.eth.signature import CURVE_ORDER, public_key_address
from gamekit.keys.secp256k1 import address_of, is_valid_secret, recover

DIGEST = bytes(range(32))


@pytest.mark.parametrize("number", [1, 2, 0xDEADBEEF, CURVE_ORDER - 1])
def test_address_of_default(number: int) -> None:
    secret = number.to_bytes(32, "big")
    public_key = coincurve.PrivateKey(secret).public_key.format(compressed=False)
    assert address_of(bytearray(secret)) == public_key_address(public_key)


@pytest.mark.parametrize("number", [0, CURVE_ORDER, (1 << 256) - 1])
def test_is_valid_secret_out_of_range(number: int) -> None:
    assert not is_valid_secret(bytearray(number.to_bytes(32, "big")))
    with pytest.raises(SigningFailed):
        address_of(bytearray(number.to_bytes(32, "big")))


def test_is_valid_secret_other_length() -> None:
    assert not is_valid_secret(bytearray(b"\x01" * 31))


def test_recover_default() -> None:
    signature = coincurve.PrivateKey(b"\x01" * 32).sign_recoverable(DIGEST, hasher=None)
    found = recover(DIGEST, signature[:64] + bytes([27 + signature[64]]))
    assert found == address_of(bytearray(b"\x01" * 32))


@pytest.mark.parametrize("signature", [bytes(64) + b"\x1b", b"\xff" * 64 + b"\x1b"])
def test_recover_nobody(signature: bytes) -> None:
    assert recover(DIGEST, signature) is None
