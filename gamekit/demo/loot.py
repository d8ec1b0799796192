"""What a thief carries away: one session's raw key, and what anybody can read on chain beside it."""

from collections.abc import Iterable
from pathlib import Path

import coincurve
import msgspec
from msgspec import Struct

from gamekit.core.scope import Scope
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import parse_address, parse_hex
from gamekit.units import Address, ChainId


class Loot(Struct, frozen=True):
    """One stolen session key, as it stands in the leaked file: bytes in 0x-hexadecimal."""

    player: str
    key: str
    """The raw private key. It exists in this file only because the demo asks a server for it."""
    account: str
    stack: str
    entry_point_version: str
    entry_point: str
    session_validator: str
    chain_id: int
    permission_id: str
    scope: str

    @property
    def secret(self) -> coincurve.PrivateKey:
        """The key, ready to sign."""
        return coincurve.PrivateKey(parse_hex(self.key, 32))

    @property
    def sender(self) -> Address:
        """The victim's account."""
        return parse_address(self.account)

    @property
    def module(self) -> Address:
        """The session validator."""
        return parse_address(self.session_validator)

    @property
    def version(self) -> EntryPointVersion:
        """Which EntryPoint the account obeys."""
        return EntryPointVersion(self.entry_point_version)

    @property
    def limits(self) -> Scope:
        """The session's scope, read."""
        return Scope.unpack(parse_hex(self.scope))

    @property
    def chain(self) -> ChainId:
        """The chain that the session is for."""
        return ChainId(self.chain_id)


def write_loot(path: Path, loot: Iterable[Loot]) -> None:
    """Write a leaked file, one session a line, readable by its owner only."""
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in loot))
    partial.rename(path)  # whoever waits for the file sees all of it


def read_loot(path: Path) -> list[Loot]:
    """Read a leaked file; nothing while there is none."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Loot) for line in lines]
