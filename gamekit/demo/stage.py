"""Everything that stands before the curtain rises: the example game's manifest, the server's configuration on disk."""

from pathlib import Path
from typing import Final

from gamekit.contracts import artifact
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.eth.hashing import checksum_address
from gamekit.units import Address, ChainId

MANIFEST: Final = Path(__file__).with_name("arena.toml")
"""The example game's manifest, which leaves the contract's address open."""


def arena_manifest(arena: Address, chain_id: ChainId) -> str:
    """Write the example game's manifest for one deployment."""
    address = f'address = "{checksum_address(arena)}"'
    text = MANIFEST.read_text(encoding="utf-8")
    return text.replace("chain_id = 31337", f"chain_id = {chain_id}\n{address}")


def arena_game(arena: Address, chain_id: ChainId) -> Game:
    """Build the example game."""
    return build_game(parse_manifest(arena_manifest(arena, chain_id)), artifact("Arena").abi)
