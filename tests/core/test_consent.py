import pytest
from msgspec.structs import replace

from gamekit.core.consent import consent
from gamekit.core.delegation import DelegationRequest
from gamekit.core.session import Session
from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import checksum_address, to_hex
from gamekit.eth.proxy import Accepted
from gamekit.eth.transaction import Authorization
from gamekit.units import Address, ChainId, NonceKey, UnixSeconds
from tests.core.games import UNIT, game_of
from tests.core.rows import session
from tests.core.scopes import ACCOUNT, REVOKER, SIGNER, START

GAME = game_of(units={"play": UNIT})
SCOPE = GAME.unit("play").bind(
    account=ACCOUNT, signer=SIGNER, revoker=REVOKER, nonce_key=NonceKey(7), valid_after=START
)


def proposed(**changes: object) -> Session:
    plain = session(scope=SCOPE.pack(), state="proposed", grant_deadline=UnixSeconds(START + 600), epoch=3)
    return replace(plain, **changes)


def test_it_says_who_signs_and_until_when() -> None:
    request = consent(proposed(), SCOPE, GAME, REVOKER)
    assert request.permission_id == proposed().permission_id
    assert (request.account, request.owner, request.sign_before) == (ACCOUNT, REVOKER, START + 600)


def test_the_wallet_shows_what_is_granted() -> None:
    message = consent(proposed(), SCOPE, GAME, REVOKER).typed_data.message
    assert message["account"] == checksum_address(ACCOUNT)
    assert message["sessionKey"] == checksum_address(SIGNER)
    assert message["scope"] == to_hex(SCOPE.pack())
    assert (message["epoch"], message["deadline"]) == (3, START + 600)
    assert message["allowedCalls"] == [
        {"target": checksum_address(GAME.address), "functionSignature": "move(int16,int16)"}
    ]


def test_the_words_name_the_game() -> None:
    assert "quest" in consent(proposed(), SCOPE, GAME, REVOKER).explanation


def test_the_wallet_and_the_words_say_what_is_accepted_of_a_proxy() -> None:
    runs = Address(b"\x22" * 20)
    request = consent(proposed(implementations=(runs,)), SCOPE, GAME, REVOKER, [Accepted(GAME.address, runs)])
    assert request.typed_data.message["acceptedImplementations"] == [checksum_address(runs)]
    assert f"a proxy that runs {checksum_address(runs)}" in request.explanation


def test_a_scope_whose_functions_have_no_text_is_refused() -> None:
    entries = tuple(replace(entry, function="") for entry in SCOPE.calls.entries)
    nameless = replace(SCOPE, calls=replace(SCOPE.calls, entries=entries))
    with pytest.raises(EncodingInvalid):
        consent(proposed(), nameless, GAME, REVOKER)


def test_what_must_be_authorized_is_said_with_what_a_wallet_can_do() -> None:
    wanted = Authorization(chain_id=ChainId(5), delegate=GAME.address, nonce=7)
    request = consent(proposed(), SCOPE, GAME, REVOKER, delegation=DelegationRequest(wanted, replaces=REVOKER))
    assert request.authorization == wanted
    assert f"chain 5, contract {checksum_address(GAME.address)}, nonce 7" in request.explanation
    assert f"It ends the delegation to {checksum_address(REVOKER)}" in request.explanation
    assert "A wallet in a browser does not sign authorizations for pages" in request.explanation
    assert consent(proposed(), SCOPE, GAME, REVOKER).authorization is None
