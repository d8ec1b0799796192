"""Authorizations read back as they were written."""

import pytest

from gamekit.errors import EncodingInvalid
from gamekit.eth.transaction import Authorization, SignedAuthorization
from gamekit.protocol import authorizations
from gamekit.units import Address, ChainId

ASKED = Authorization(chain_id=ChainId(5), delegate=Address(b"\xde" * 20), nonce=7)
SIGNED = SignedAuthorization(ASKED, bytes(range(65)))


def test_what_is_asked_for() -> None:
    written = authorizations.ask(ASKED)
    assert written is not None
    assert (written.chain_id, bytes(written.delegate), written.nonce) == (5, bytes(ASKED.delegate), 7)
    assert authorizations.asked(written) == ASKED


def test_what_is_handed_in() -> None:
    written = authorizations.hand_in(SIGNED)
    assert written is not None
    assert written.signature == SIGNED.signature
    assert authorizations.handed_in(written) == SIGNED


def test_nothing_stays_nothing() -> None:
    assert authorizations.ask(None) is None
    assert authorizations.hand_in(None) is None
    assert authorizations.handed_in(None) is None


def test_a_signature_has_65_bytes() -> None:
    with pytest.raises(EncodingInvalid, match="65 bytes, got 64"):
        authorizations.hand_in(SignedAuthorization(ASKED, bytes(64)))
