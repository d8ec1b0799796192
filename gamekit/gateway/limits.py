"""Who is asking, and how much one player and one address may take."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil
from typing import Final, TypeVar

from gamekit.config import GatewayConfig
from gamekit.errors import ConfigInvalid, Overloaded
from gamekit.protocol.bucket import Bucket
from gamekit.units import PlayerId

Key = TypeVar("Key")

BUCKETS_MAX: Final = 100_000
"""Above it, buckets that have refilled are dropped: they have forgotten everything anyway."""
CONNECTS_S: Final = 15.0
"""An address may replace all of its sockets this often, in seconds; twice that at once, after quiet."""
HOPS_MAX: Final = 16
"""Longest X-Forwarded-For that is followed."""

UNKNOWN_ADDRESS: Final = "unknown"
"""Where the transport has no address, such as a local socket: all of them share one limit."""


class Proxies:
    """Finds the address that a request comes from, behind proxies of our own."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """Raises ConfigInvalid for what is no network."""
        try:
            self._trusted: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(text) for text in trusted)
        except ValueError as error:
            raise ConfigInvalid(f"gateway.trusted_proxies: {error}") from error

    def client(self, remote: str | None, forwarded: str) -> str:
        """Give the key that limits count by: the rightmost address that no trusted proxy vouches past.

        What a client writes into the header stands left of what our proxies append, so it is never reached.

        Args:
            remote: the address at the other end of the connection.
            forwarded: the X-Forwarded-For header, all of its lines joined with commas; may be empty.
        """
        address = _address(remote or "")
        hops = forwarded.split(",")[-HOPS_MAX:] if forwarded else []
        while address is not None and hops and self._is_trusted(address):
            before = _address(hops.pop())
            if before is None:
                break
            address = before
        return address_key(address)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address as proxies write it: bare, in brackets, or with a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def address_key(address: IPv4Address | IPv6Address | None) -> str:
    """Name what limits count by: one IPv4 address, or the /64 that one IPv6 customer gets."""
    if address is None:
        return UNKNOWN_ADDRESS
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)


class Limits:
    """Counts sockets by address, and keeps the buckets of players and addresses."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._players: dict[PlayerId, Bucket] = {}
        self._addresses: dict[str, Bucket] = {}
        self._nonces: dict[str, Bucket] = {}
        self._connects: dict[str, Bucket] = {}
        self._sockets: dict[str, int] = {}
        self.sockets = 0
        """Websockets now open."""

    def admit_socket(self, address: str, now: float) -> None:
        """Count a socket in.

        Raises: Overloaded when this address, or all of them, have enough, or when this one comes and goes too often:
            each connect may read a player's whole past from the journal. Nothing is counted then.
        """
        config = self._config
        most = config.sockets_per_address_max
        connects = _bucket(self._connects, address, most / CONNECTS_S, 2 * most, now)
        if wait := connects.wait(1, now):
            message = "this address connects too often"
            raise Overloaded(message, queue="connects", retry_after_ms=ceil(wait * 1000))
        here = self._sockets.get(address, 0)
        if here >= config.sockets_per_address_max:
            message = f"{here} connections from this address, at most {config.sockets_per_address_max}"
            raise Overloaded(message, queue="address", depth=here, depth_max=config.sockets_per_address_max)
        if self.sockets >= config.sockets_max:
            message = "the server takes no more connections"
            raise Overloaded(message, queue="sockets", depth=self.sockets, depth_max=config.sockets_max)
        connects.take(1, now)
        self._sockets[address] = here + 1
        self.sockets += 1

    def release_socket(self, address: str) -> None:
        """Count a socket out."""
        self.sockets -= 1
        left = self._sockets[address] - 1
        if left:
            self._sockets[address] = left
        else:
            del self._sockets[address]

    def action_buckets(self, player: PlayerId, address: str, now: float) -> tuple[Bucket, ...]:
        """Give the buckets that every action of this player, from this address, takes a token from."""
        config = self._config
        mine = _bucket(self._players, player, config.actions_per_s_player, config.burst_player, now)
        here = _bucket(self._addresses, address, config.actions_per_s_address, config.burst_address, now)
        return mine, here

    def admit_nonce(self, address: str, now: float) -> None:
        """Count a login nonce.

        Raises: Overloaded when this address asked too often.
        """
        per_minute = self._config.login_nonces_per_minute_address
        bucket = _bucket(self._nonces, address, per_minute / 60, per_minute, now)
        wait = bucket.wait(1, now)
        if wait:
            raise Overloaded("too many logins from this address", queue="login", retry_after_ms=ceil(wait * 1000))
        bucket.take(1, now)


def _bucket(buckets: dict[Key, Bucket], key: Key, rate: float, burst: float, now: float) -> Bucket:
    bucket = buckets.get(key)
    if bucket is None:
        if len(buckets) >= BUCKETS_MAX:
            for full in [name for name, other in buckets.items() if other.is_full(now)]:
                del buckets[full]
        bucket = buckets[key] = Bucket(rate, burst)
    return bucket
