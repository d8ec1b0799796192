import coincurve
import pytest
from msgspec.structs import replace

from gamekit.core.delegation import authorization_fault, can_delegate, delegate_of
from gamekit.errors import AuthorizationInvalid, AuthorizationSpent
from gamekit.eth.signature import public_key_address
from gamekit.eth.transaction import Authorization, SignedAuthorization, authorization_hash
from gamekit.units import Address, ChainId

KEY = coincurve.PrivateKey.from_int(0xB0B)
OWNER = public_key_address(KEY.public_key.format(compressed=False))
DELEGATE, OTHER = Address(b"\xde" * 20), Address(b"\x07" * 20)
WANTED = Authorization(chain_id=ChainId(31337), delegate=DELEGATE, nonce=3)


def signed(authorization: Authorization) -> SignedAuthorization:
    signature = KEY.sign_recoverable(authorization_hash(authorization), hasher=None)
    return SignedAuthorization(authorization, signature[:64] + bytes((27 + signature[64],)))


@pytest.mark.parametrize(
    ("code", "delegate", "may"),
    [
        (b"", None, True),
        (b"\xef\x01\x00" + DELEGATE, DELEGATE, True),
        (b"\xef\x01\x00" + DELEGATE + b"\x00", None, False),
        (b"\xef\x01\x01" + DELEGATE, None, False),
        (b"\x60" * 23, None, False),
    ],
)
def test_what_an_address_delegates_to(code: bytes, delegate: Address | None, may: bool) -> None:
    assert (delegate_of(code), can_delegate(code)) == (delegate, may)


class TestAuthorizationFault:
    def test_default(self) -> None:
        assert authorization_fault(signed(WANTED), WANTED, OWNER) is None

    @pytest.mark.parametrize("nonce", [2, 4])
    def test_error_nonce(self, nonce: int) -> None:
        fault = authorization_fault(signed(replace(WANTED, nonce=nonce)), WANTED, OWNER)
        assert isinstance(fault, AuthorizationSpent)
        assert fault.compared == {"nonce": nonce, "found": 3}

    def test_error_missing(self) -> None:
        fault = authorization_fault(None, WANTED, OWNER)
        assert fault is not None
        assert fault.compared == {"asked": DELEGATE, "found": None}

    @pytest.mark.parametrize("changes", [{"chain_id": ChainId(1)}, {"delegate": OTHER}])
    def test_error_other_chain_or_contract(self, changes: dict[str, int]) -> None:
        fault = authorization_fault(signed(replace(WANTED, **changes)), WANTED, OWNER)
        assert type(fault) is AuthorizationInvalid
        assert "is for" in str(fault)

    def test_error_every_chain(self) -> None:
        """Chain 0 would let whoever holds the signature take it to any chain."""
        unsigned = replace(WANTED, chain_id=ChainId(0))
        assert (
            type(authorization_fault(SignedAuthorization(unsigned, bytes(65)), WANTED, OWNER)) is AuthorizationInvalid
        )

    def test_error_signer(self) -> None:
        fault = authorization_fault(signed(WANTED), WANTED, OTHER)
        assert fault is not None
        assert fault.compared == {"asked": OTHER, "found": OWNER}

    @pytest.mark.parametrize("signature", [b"", bytes(65), bytes(64)])
    def test_error_signature(self, signature: bytes) -> None:
        fault = authorization_fault(SignedAuthorization(WANTED, signature), WANTED, OWNER)
        assert fault is not None
        assert "signature is none" in str(fault)
