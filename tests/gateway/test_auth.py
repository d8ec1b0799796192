"""Logins."""

from collections.abc import Callable
from itertools import count

import coincurve
import pytest
from msgspec.structs import replace

from gamekit.config import GatewayConfig
from gamekit.errors import AuthenticationFailed, Overloaded
from gamekit.eth.hashing import checksum_address
from gamekit.eth.signature import public_key_address
from gamekit.gateway.auth import Authenticator, Nonces, Tickets
from gamekit.protocol.login import LoginMessage, format_time, personal_hash
from gamekit.protocol.messages import TicketLogin, TokenLogin, WalletLogin
from gamekit.protocol.octets import SignatureOctets
from gamekit.units import Address, ChainId, PlayerId, UnixSeconds

NOW = 1_767_323_045.0
HERE = "203.0.113.9"
KEY = coincurve.PrivateKey(b"\x01" * 32)
ADDRESS = public_key_address(KEY.public_key.format(compressed=False))
CONFIG = GatewayConfig(domain="game.example", uri="https://game.example/play")


def counting() -> Callable[[int], bytes]:
    numbers = count(1)
    return lambda length: next(numbers).to_bytes(length, "big")


def nonces(**settings: object) -> Nonces:
    return Nonces(replace(GatewayConfig(), **settings), counting())


async def who_is(token: str) -> PlayerId | None:
    return {"good": PlayerId("alice"), "long": PlayerId("x" * 129), "empty": PlayerId("")}.get(token)


def authenticator(config: GatewayConfig = CONFIG) -> Authenticator:
    return Authenticator(config, ChainId(31337), counting(), token=who_is)


def wallet_login(nonce: str, at: float = NOW) -> WalletLogin:
    message = str(
        LoginMessage(
            domain="game.example",
            address=ADDRESS,
            uri="https://game.example/play",
            chain_id=31337,
            nonce=nonce,
            issued_at=format_time(at),
        )
    )
    signature = KEY.sign_recoverable(personal_hash(message), hasher=None)
    return WalletLogin(message, SignatureOctets(signature[:64] + bytes((signature[64] + 27,))))


def test_a_nonce_is_good_once() -> None:
    issuer = nonces()
    nonce = issuer.issue(HERE, NOW)
    assert nonce.isalnum()
    issuer.spend(nonce, HERE, NOW)
    for spelling in (nonce, nonce.upper()):
        with pytest.raises(AuthenticationFailed):
            issuer.spend(spelling, HERE, NOW)


def test_a_nonce_ends() -> None:
    issuer = nonces(login_nonce_s=300.0)
    issuer.spend(issuer.issue(HERE, NOW), HERE, NOW + 299)
    with pytest.raises(AuthenticationFailed):
        issuer.spend(issuer.issue(HERE, NOW), HERE, NOW + 300)


def test_a_nonce_belongs_to_an_address() -> None:
    issuer = nonces()
    with pytest.raises(AuthenticationFailed):
        issuer.spend(issuer.issue(HERE, NOW), "198.51.100.1", NOW)
    loose = nonces(login_nonce_bound=False)
    loose.spend(loose.issue(HERE, NOW), "198.51.100.1", NOW)


@pytest.mark.parametrize("place", [0, 4, 5, 20, 21, 36])
def test_a_nonce_with_another_bit_is_refused(place: int) -> None:
    issuer = nonces()
    data = bytearray.fromhex(issuer.issue(HERE, NOW))
    data[place] ^= 1
    with pytest.raises(AuthenticationFailed):
        issuer.spend(data.hex(), HERE, NOW)


@pytest.mark.parametrize("nonce", ["", "abcdefgh", "zz" * 37, "00" * 37, "00" * 38])
def test_what_we_never_issued_is_refused(nonce: str) -> None:
    with pytest.raises(AuthenticationFailed):
        nonces().spend(nonce, HERE, NOW)


def test_another_process_does_not_know_the_nonce() -> None:
    other = Nonces(GatewayConfig(), bytes)
    with pytest.raises(AuthenticationFailed):
        other.spend(nonces().issue(HERE, NOW), HERE, NOW)


def test_used_nonces_are_bounded_and_forgotten_when_they_end() -> None:
    issuer = nonces(login_nonces_max=2)
    third = issuer.issue(HERE, NOW + 10)
    for _ in range(2):
        issuer.spend(issuer.issue(HERE, NOW), HERE, NOW)
    with pytest.raises(Overloaded):
        issuer.spend(third, HERE, NOW + 20)
    issuer.spend(third, HERE, NOW + 301)


def test_tickets() -> None:
    tickets = Tickets(GatewayConfig(tickets_max=2), counting())
    first, second = (
        tickets.issue(PlayerId("a"), UnixSeconds(100), ADDRESS),
        tickets.issue(PlayerId("b"), UnixSeconds(100)),
    )
    assert tickets.find(first.ticket, 99.0) == first
    assert (first.player, first.until, first.owner) == ("a", 100, ADDRESS)
    for ticket, now in ((first.ticket, 100.0), ("", 0.0), (first.ticket[:-1], 0.0)):
        with pytest.raises(AuthenticationFailed):
            tickets.find(ticket, now)
    tickets.issue(PlayerId("c"), UnixSeconds(100))
    with pytest.raises(AuthenticationFailed):
        tickets.find(first.ticket, 0.0)
    tickets.forget(PlayerId("b"))
    with pytest.raises(AuthenticationFailed):
        tickets.find(second.ticket, 0.0)


async def test_token_login() -> None:
    logins = authenticator()
    identity = await logins.authenticate(TokenLogin("good"), HERE, NOW)
    assert (identity.player, identity.until) == ("alice", int(NOW + 12 * 3600))
    again = await logins.authenticate(TicketLogin(identity.ticket), HERE, NOW + 60)
    assert again == identity


@pytest.mark.parametrize("login", [TokenLogin("bad"), TokenLogin("long"), TokenLogin("empty"), TicketLogin("none")])
async def test_refused_logins_read_the_same(login: TokenLogin | TicketLogin) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        await authenticator().authenticate(login, HERE, NOW)
    assert str(caught.value) == "login refused"


async def test_without_a_hook_tokens_are_refused() -> None:
    logins = Authenticator(CONFIG, ChainId(31337), counting())
    with pytest.raises(AuthenticationFailed):
        await logins.authenticate(TokenLogin("good"), HERE, NOW)


async def test_wallet_login_names_the_player_by_address() -> None:
    logins = authenticator()
    login = wallet_login(logins.nonces.issue(HERE, NOW))
    identity = await logins.authenticate(login, HERE, NOW)
    assert (identity.player, identity.owner) == (checksum_address(ADDRESS), ADDRESS)
    with pytest.raises(AuthenticationFailed):
        await logins.authenticate(login, HERE, NOW)


async def test_wallet_hook_names_the_player() -> None:
    async def known(address: Address) -> PlayerId | None:
        return PlayerId("alice") if address == ADDRESS else None

    logins = Authenticator(CONFIG, ChainId(31337), counting(), wallet=known)
    login = wallet_login(logins.nonces.issue(HERE, NOW))
    assert (await logins.authenticate(login, HERE, NOW)).player == "alice"


async def test_a_refused_message_does_not_use_its_nonce_up() -> None:
    logins = authenticator()
    nonce = logins.nonces.issue(HERE, NOW)
    with pytest.raises(AuthenticationFailed):
        await logins.authenticate(wallet_login(nonce, at=NOW + 3600), HERE, NOW)
    await logins.authenticate(wallet_login(nonce), HERE, NOW)


async def test_a_nonce_of_our_own_making_is_refused() -> None:
    with pytest.raises(AuthenticationFailed):
        await authenticator().authenticate(wallet_login("a" * 74), HERE, NOW)
