"""What stands on the simulated stage: a small game, where its contracts are, and a server's keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from gamekit.config import BatchConfig, ChainConfig, Config, RelayConfig, StackConfig
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address
from gamekit.eth.interface import CustomError
from gamekit.keys.buffers import Fill, fill_random
from gamekit.keys.keystore import Keystore
from gamekit.testing.contracts import CHAIN_ID
from gamekit.units import Address

MODULE = Address(b"\x5e" * 20)
OPENER = Address(b"\x0e" * 20)
FACTORY = Address(b"\xfa" * 20)
OWNER_VALIDATOR = Address(b"\x0a" * 20)
ARENA = Address(b"\xa4" * 20)
ENTRY_POINT = EntryPointVersion.V07.canonical_address
NO_STAMINA = CustomError.parse("NoStamina(uint256 strength,uint256 stamina)")

LIMITS = {
    "minutes": 10,
    "rate_per_s": 1000,
    "burst": 640,
    "calls_max": 8,
    "gas_budget_wei": 9 * 10**17,
    "gas_per_operation_wei_max": 9 * 10**16,
    "uses_max": 400,
}
"""What a unit allows unless it says otherwise: more than a short life uses."""


def unit(name: str, meaning: str, *functions: str, **changes: int) -> str:
    """Write a unit for a manifest, with changes to `LIMITS`."""
    limits = "".join(f"{limit} = {value}\n" for limit, value in (LIMITS | changes).items())
    named = ", ".join(f'"{function}"' for function in functions)
    return f'\n[unit.{name}]\nmeaning = "{meaning}"\nfunctions = [{named}]\n{limits}'


MANIFEST = f"""
name = "arena"
chain_id = {CHAIN_ID}
address = "{checksum_address(ARENA)}"
abi = "none"

[function.attack]
play = true
meaning = "attack"
gas = 50000
reference.target = "whom you attack"

[function.move]
play = true
meaning = "move"
gas = 40000
{unit("play", "play", "attack", "move")}"""
ABI = [
    {"type": "function", "name": "attack", "stateMutability": "nonpayable", "outputs": [],
     "inputs": [{"name": "target", "type": "uint256"}, {"name": "strength", "type": "uint16"}]},
    {"type": "function", "name": "move", "stateMutability": "nonpayable", "outputs": [],
     "inputs": [{"name": "dx", "type": "int16"}, {"name": "dy", "type": "int16"}]},
    {"type": "error", "name": "NoStamina",
     "inputs": [{"name": "strength", "type": "uint256"}, {"name": "stamina", "type": "uint256"}]},
]  # fmt: skip


def arena() -> Game:
    """The game: players attack and move."""
    return build_game(parse_manifest(MANIFEST), ABI)


def chain_config(**changes: Any) -> ChainConfig:  # noqa: ANN401
    """One reference stack on EntryPoint 0.7."""
    where = [checksum_address(address) for address in (ENTRY_POINT, FACTORY, OWNER_VALIDATOR)]
    settings: dict[str, Any] = {
        "chain_id": CHAIN_ID,
        "session_validator": checksum_address(MODULE),
        "session_opener": checksum_address(OPENER),
        "stacks": (StackConfig("reference", "0.7", *where),),
    }
    return ChainConfig(**settings | changes)


def config(**sections: Any) -> Config:  # noqa: ANN401
    """Everything at its default but the addresses; a section's changes by its name."""
    return Config(**{"chain": chain_config(), "batch": BatchConfig(calls_max=8), "relay": RelayConfig()} | sections)


class Keys(Struct, frozen=True):
    """Key material of a server: outlives its process."""

    keystore: Keystore
    pool: dict[Address, Any]
    apart: dict[Address, Any]

    @classmethod
    def make(
        cls,
        folder: Path,
        relayers: int = 1,
        *,
        fill: Fill = fill_random,
        now: Callable[[], float] = lambda: 1_800_000_000.0,
    ) -> "Keys":
        """Make a master key, so many relayers of play, and one of withdrawals."""
        keystore = Keystore.open(folder / "master.key", fill=fill, now=now)
        pools = []
        for name, first, count in (("pool", 1, relayers), ("apart", 100, 1)):
            path = folder / name
            path.touch(mode=0o600)
            path.write_text("\n".join(f"{number:064x}" for number in range(first, first + count)))
            pools.append(dict(keystore.relayers(path)))
        return cls(keystore, *pools)
