"""Logins: by a signed message, by the game's own token, or by the ticket of an earlier login.

Every refusal reads the same to the client; the reason goes to our log. Nothing secret is kept: nonces authenticate
themselves, tickets are stored as hashes, and both end with the process.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable
from hashlib import blake2b, sha256
from typing import Final

from msgspec import Struct

from gamekit.config import GatewayConfig
from gamekit.errors import AuthenticationFailed, Overloaded
from gamekit.eth.hashing import checksum_address
from gamekit.protocol.login import Expectation, check_login
from gamekit.protocol.messages import Login, TicketLogin, TokenLogin
from gamekit.units import Address, ChainId, PlayerId, UnixSeconds

TokenHook = Callable[[str], Awaitable[PlayerId | None]]
"""The game's own login: maps a token to a player, or to None."""
WalletHook = Callable[[Address], Awaitable[PlayerId | None]]
"""Maps the address that signed a login message to a player, or to None."""
RandomBytes = Callable[[int], bytes]

PLAYER_LENGTH_MAX: Final = 128

_log = logging.getLogger("gamekit.gateway")


class Identity(Struct, frozen=True):
    """Who a connection belongs to."""

    player: PlayerId
    ticket: str
    """Logs in again without the wallet."""
    until: UnixSeconds
    """Wall-clock end of this login."""
    owner: Address | None = None
    """The wallet that signed the login, if it was one."""


class Nonces:
    """Login nonces that carry their own proof: expiry 5 | random 16 | authentication 16, in hexadecimal.

    Giving one out stores nothing, so asking for many fills nothing; only nonces that logged somebody in are kept, until
    they expire. The key lives as long as the process.
    """

    def __init__(self, config: GatewayConfig, random: RandomBytes) -> None:
        self._life_s = config.login_nonce_s
        self._used_max = config.login_nonces_max
        self._bound = config.login_nonce_bound
        self._random = random
        self._key = random(32)
        self._used: dict[str, int] = {}

    def issue(self, address: str, now: float) -> str:
        """Make a nonce for a client at this address."""
        body = int(now + self._life_s).to_bytes(5, "big") + self._random(16)
        return (body + self._proof(body, address)).hex()

    def spend(self, nonce: str, address: str, now: float) -> None:
        """Use a nonce up.

        Raises:
            AuthenticationFailed: not ours, given to another address, expired, or used before.
            Overloaded: too many logins at once to remember them.
        """
        try:
            data = bytes.fromhex(nonce)
        except ValueError:
            data = b""
        expires = int.from_bytes(data[:5], "big")
        if len(data) != 37 or not hmac.compare_digest(self._proof(data[:21], address), data[21:]) or expires <= now:
            raise AuthenticationFailed("login refused")
        nonce = data.hex()  # one spelling: hexadecimal is read in any case
        if nonce in self._used:
            raise AuthenticationFailed("login refused")
        if len(self._used) >= self._used_max:
            self._used = {old: end for old, end in self._used.items() if end > now}
            if len(self._used) >= self._used_max:
                raise Overloaded("too many logins; try again later", queue="login", depth_max=self._used_max)
        self._used[nonce] = expires

    def _proof(self, body: bytes, address: str) -> bytes:
        bound = address.encode() if self._bound else b""
        return blake2b(body + bound, key=self._key, digest_size=16).digest()


class Tickets:
    """Reconnect tickets, kept as hashes."""

    def __init__(self, config: GatewayConfig, random: RandomBytes) -> None:
        self._most = config.tickets_max
        self._random = random
        self._logins: dict[bytes, tuple[PlayerId, UnixSeconds, Address | None]] = {}

    def issue(self, player: PlayerId, until: UnixSeconds, owner: Address | None = None) -> Identity:
        """Make a ticket; the oldest one goes if there are too many."""
        ticket = self._random(32).hex()
        while len(self._logins) >= self._most:
            del self._logins[next(iter(self._logins))]
        self._logins[_fingerprint(ticket)] = (player, until, owner)
        return Identity(player, ticket, until, owner)

    def find(self, ticket: str, now: float) -> Identity:
        """Tell who logged in with this ticket's login.

        Raises: AuthenticationFailed.
        """
        player, until, owner = self._logins.get(_fingerprint(ticket), (None, UnixSeconds(0), None))
        if player is None or until <= now:
            raise AuthenticationFailed("login refused")
        return Identity(player, ticket, until, owner)

    def forget(self, player: PlayerId) -> None:
        """Drop every ticket of a player: the next login needs the wallet or the token."""
        for ticket in [ticket for ticket, login in self._logins.items() if login[0] == player]:
            del self._logins[ticket]


def _fingerprint(ticket: str) -> bytes:
    return sha256(ticket.encode()).digest()


class Authenticator:
    """Turns a login into a player."""

    def __init__(
        self,
        config: GatewayConfig,
        chain_id: ChainId,
        random: RandomBytes,
        token: TokenHook | None = None,
        wallet: WalletHook | None = None,
    ) -> None:
        self._life_s = config.life_s_max
        self.expected = Expectation(config.domain, config.uri, chain_id, config.login_nonce_s)
        """What a login message must say."""
        self.nonces = Nonces(config, random)
        self.tickets = Tickets(config, random)
        self._token = token
        self._wallet = wallet

    async def authenticate(self, login: Login, address: str, now: float) -> Identity:
        """Decide who logs in.

        Args:
            login: what the client brought.
            address: where it comes from, as the limits count it.
            now: wall-clock unix seconds.

        Raises:
            AuthenticationFailed: always in the same words.
            Overloaded: too many logins at once.
        """
        if isinstance(login, TicketLogin):
            return self.tickets.find(login.ticket, now)
        owner = None
        if isinstance(login, TokenLogin):
            player = None if self._token is None else await self._token(login.token)
        else:
            message = check_login(login.message, login.signature, self.expected, UnixSeconds(int(now)))
            self.nonces.spend(message.nonce, address, now)
            owner = message.address
            player = PlayerId(checksum_address(owner)) if self._wallet is None else await self._wallet(owner)
        if not player or len(player) > PLAYER_LENGTH_MAX:
            raise AuthenticationFailed("login refused")
        return self.tickets.issue(player, UnixSeconds(int(now + self._life_s)), owner)
