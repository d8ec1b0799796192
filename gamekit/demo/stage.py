"""Everything that stands before the curtain rises: contracts, keys, money, and the server's configuration on disk.

What a server needs lies in one folder, so that it can be started again on the same journal after it was killed.
"""

import json
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import coincurve
import msgspec
from msgspec.structs import replace

from gamekit.config import BatchConfig, Config, FeeConfig, GatewayConfig, JournalConfig, RelayConfig, SponsorConfig
from gamekit.contracts import artifact
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.devnet import DevnetContracts, DevnetNode, deploy, fund
from gamekit.devnet.sponsor import fill_paymaster, set_game
from gamekit.eth.hashing import checksum_address
from gamekit.eth.signature import public_key_address
from gamekit.units import Address, ChainId, Wei

MANIFEST: Final = Path(__file__).with_name("arena.toml")
"""The example game's manifest, which leaves the contract's address open."""
STACKS: Final = (("reference", "0.8"), ("reference", "0.7"), ("nexus", "0.7"))
"""The account stacks that the players are spread over."""
RELAYERS: Final = 24
"""How many accounts send bundles. A bundle stays below the transaction gas cap of mainnet, so a busy block takes
several; a relayer may have a few in flight."""
RELAYER_WEI: Final = Wei(10**21)
SPONSORED_WEI: Final = Wei(100 * 10**18)
"""Deposit of each paymaster."""
BASE_FEE_WEI: Final = 10**7
"""Of the devnet's first block: 0.01 gwei, as on a rollup."""


class Stage(msgspec.Struct, frozen=True):
    """Where everything lies."""

    folder: Path
    url: str
    """The devnet's JSON-RPC endpoint."""
    port: int
    """The server's."""
    contracts: DevnetContracts

    @property
    def config(self) -> Path:
        """The server's configuration."""
        return self.folder / "gamekit.toml"

    @property
    def play_url(self) -> str:
        """Where players connect to."""
        return f"ws://127.0.0.1:{self.port}/play"


def arena_manifest(arena: Address, chain_id: ChainId) -> str:
    """Write the example game's manifest for one deployment."""
    address = f'address = "{checksum_address(arena)}"'
    text = MANIFEST.read_text(encoding="utf-8")
    return text.replace("chain_id = 31337", f"chain_id = {chain_id}\n{address}")


def arena_game(arena: Address, chain_id: ChainId) -> Game:
    """Build the example game."""
    return build_game(parse_manifest(arena_manifest(arena, chain_id)), artifact("Arena").abi)


async def set_stage(
    folder: Path, url: str, players: Sequence[str], port: int = 0, *, code_size_capped: bool = True
) -> Stage:
    """Deploy, make keys, give money, and write the server's configuration.

    Args:
        folder: made if missing; keys are made anew, a journal that lies there belongs to another chain and is removed
            with its master key.
        url: the devnet's endpoint.
        players: names; each gets a token to log in with.
        port: the server's; 0 takes a free one.
        code_size_capped: as in the node's settings; without the cap Kernel is there, too.
    """
    _clear(folder)
    async with DevnetNode(url) as node:
        contracts = await deploy(node, code_size_capped=code_size_capped)
        relayers = make_keys(folder / "relayers.keys", RELAYERS)
        withdrawal = make_keys(folder / "withdrawals.keys", 1)
        thief = make_keys(folder / "thief.key", 1)
        await fund(node, (*relayers, *withdrawal, *thief), RELAYER_WEI)
        (sponsor,) = make_keys(folder / "sponsors.keys", 1)
        for paymaster in (contracts.session_paymaster_07, contracts.session_paymaster_08):
            await fill_paymaster(node, paymaster, SPONSORED_WEI)
            await set_game(node, paymaster, "arena", sponsor)
    stage = Stage(folder, url, port or free_port(), contracts)
    (folder / "contracts.json").write_text(contracts.to_json())
    (folder / "arena.toml").write_text(arena_manifest(contracts.arena, ChainId(31337)))
    tokens = folder / "tokens.json"
    tokens.touch(mode=0o600)
    tokens.write_text(json.dumps({secrets.token_urlsafe(24): player for player in players}))
    stage.config.write_text(to_toml(msgspec.to_builtins(server_config(stage))))
    return stage


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("journal.sqlite*", "master.key*"):
        for old in folder.glob(pattern):
            old.unlink()


def server_config(stage: Stage) -> Config:
    """The configuration of a server that takes a whole crowd from one address."""
    return Config(
        chain=replace(stage.contracts.chain_config(stage.url), poll_ms=50),
        fees=FeeConfig(priority_fee_min_wei=10**6),
        batch=BatchConfig(calls_max=32),
        journal=JournalConfig(path="journal.sqlite", keyfile="master.key"),
        relay=RelayConfig(keys_file="relayers.keys", withdrawal_keys_file="withdrawals.keys"),
        sponsor=SponsorConfig(keys_file="sponsors.keys"),
        gateway=GatewayConfig(
            port=stage.port,
            sockets_per_address_max=20_000,
            actions_per_s_address=100_000.0,
            burst_address=200_000,
            login_nonces_per_minute_address=100_000,
        ),
        games=("arena.toml",),
    )


def make_keys(path: Path, count: int) -> list[Address]:
    """Write private keys into a file that only its owner may read; gives their addresses."""
    keys = [coincurve.PrivateKey() for _ in range(count)]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"0x{key.secret.hex()}\n" for key in keys))
    return [public_key_address(key.public_key.format(compressed=False)) for key in keys]


def free_port() -> int:
    """Find a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def to_toml(tree: Mapping[str, object]) -> str:
    """Write settings as TOML: tables, lists of tables, lists and scalars."""
    return "\n".join(_table(tree, ())) + "\n"


def _table(tree: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    nested = {name: value for name, value in tree.items() if _is_table(value)}
    for name, value in tree.items():
        if name not in nested:
            yield f"{name} = {json.dumps(value)}"
    for name, value in nested.items():
        inner = (*path, name)
        for part in value if isinstance(value, list | tuple) else (value,):
            brackets = ("[[", "]]") if isinstance(value, list | tuple) else ("[", "]")
            yield f"\n{brackets[0]}{'.'.join(inner)}{brackets[1]}"
            yield from _table(part, inner)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list | tuple) and any(isinstance(part, dict) for part in value)
    )
