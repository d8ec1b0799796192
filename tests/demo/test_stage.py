"""What the demo writes to disk can be read back, and keys are private."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from gamekit.config import Config, load
from gamekit.demo.stage import arena_game, make_keys, server_config, set_stage, to_toml
from gamekit.devnet import Anvil
from gamekit.units import Address, ChainId


def test_to_toml_reads_back_what_was_written() -> None:
    tree = {"a": 1, "b": 'x"y\\z\n', "c": [1, 2], "d": {"e": True, "f": {"g": 0.5}}, "h": [{"i": []}, {"i": ["j"]}]}
    assert tomllib.loads(to_toml(tree)) == tree


def test_to_toml_args_a_whole_configuration() -> None:
    written = tomllib.loads(to_toml(msgspec.to_builtins(Config())))
    assert msgspec.convert(written, Config) == Config()


def test_arena_game_has_the_units_that_the_demo_plays() -> None:
    game = arena_game(Address(b"\x12" * 20), ChainId(31337))
    assert set(game.units) == {"play_match", "play_free", "try_out"}
    assert game.units["play_match"].policies.rate is not None
    assert game.units["play_match"].policies.rate.interval_ms == 50


def test_make_keys_behavior_private_and_different(tmp_path: Path) -> None:
    addresses = make_keys(tmp_path / "keys", 3)
    assert len(set(addresses)) == 3
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0


@pytest.mark.slow
async def test_set_stage(anvil: Anvil, tmp_path: Path) -> None:
    stage = await set_stage(tmp_path, anvil.url, ["ada", "bob"])
    assert load(stage.config, {}) == server_config(stage)
    tokens = msgspec.json.decode((tmp_path / "tokens.json").read_bytes(), type=dict[str, str])
    assert sorted(tokens.values()) == ["ada", "bob"]
    for name in ("tokens.json", "relayers.keys", "withdrawals.keys", "thief.key"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


@pytest.mark.slow
async def test_set_stage_behavior_removes_the_journal_of_another_chain(anvil: Anvil, tmp_path: Path) -> None:
    old = [tmp_path / name for name in ("journal.sqlite-wal", "master.key", "master.key.epochs")]
    for each in old:
        each.touch()
    await set_stage(tmp_path, anvil.url, [])
    assert not any(each.exists() for each in old)
