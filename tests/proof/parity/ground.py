"""Where the campaign stands: one account, its module, the games, the keys, and the one time that everything is near."""

import coincurve
from msgspec import Struct

from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256
from gamekit.eth.signature import public_key_address
from gamekit.units import Address, ChainId, Hash32, UnixSeconds

BASE = UnixSeconds(4_000_000_000)
"""Chain time of the first grant, in unix seconds. Fixed and far ahead of any wall clock, so that a seed gives the same
bytes on every day."""
GAMES = tuple(Address(keccak256(b"parity game %d" % number)[:20]) for number in range(5))
"""Targets of entries; the example game's code is put there."""
STRANGER = Address(b"\x57" * 20)
"""No entry names it."""
PAYMASTERS = Address(b"\x9a" * 20), Address(b"\x9b" * 20)


class Key:
    """A session key."""

    def __init__(self, seed: int) -> None:
        self._key = coincurve.PrivateKey.from_int(seed)
        self.address = public_key_address(self._key.public_key.format(compressed=False))

    def sign(self, digest: Hash32) -> bytes:
        """Sign 32 bytes without a prefix: r, s, and v of 27 or 28."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((27 + signature[64],))


KEYS = tuple(Key(0x5E55_0000 + number) for number in range(4))


class Ground(Struct, frozen=True):
    """What everything is drawn around."""

    chain_id: ChainId
    account: Address
    module: Address
    entry_points: dict[EntryPointVersion, Address]

    @property
    def forbidden(self) -> tuple[Address, ...]:
        """Whom no session may ever call, here."""
        return Address(bytes(20)), self.account, self.module, *self.entry_points.values()
