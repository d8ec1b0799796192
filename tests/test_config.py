from pathlib import Path

import msgspec
import pytest

from gamekit.config import Config, load
from gamekit.errors import ConfigInvalid


def written(folder: Path, text: str) -> Path:
    path = folder / "gamekit.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), {}) == Config()


def test_settings_stand_in_their_sections(tmp_path: Path) -> None:
    config = load(written(tmp_path, '[chain]\nchain_id = 8453\n[[chain.stacks]]\nstack = "nexus"\n' + STACK), {})
    assert config.chain.chain_id == 8453
    assert [stack.stack for stack in config.chain.stacks] == ["nexus"]


STACK = 'entry_point_version = "0.7"\nentry_point = "0x1"\nfactory = "0x2"\nowner_validator = "0x3"\n'


class TestEnvironment:
    @pytest.mark.parametrize(
        ("name", "text", "found"),
        [
            ("GAMEKIT_CHAIN__CHAIN_ID", "10", 10),
            ("GAMEKIT_CHAIN__RPC_URL", "https://node.example/key", "https://node.example/key"),
            ("GAMEKIT_CHAIN__RPC_URL", '"quoted"', "quoted"),
            ("gamekit_chain__chain_id", "10", 31337),
            ("OTHER_CHAIN__CHAIN_ID", "10", 31337),
            ("GAMEKIT_HOME", "10", 31337),
        ],
    )
    def test_it_overrides_one_setting(self, tmp_path: Path, name: str, text: str, found: object) -> None:
        chain = load(written(tmp_path, "[chain]\npoll_ms = 7\n"), {name: text}).chain
        assert (chain.rpc_url if "RPC" in name else chain.chain_id) == found
        assert chain.poll_ms == 7

    def test_a_section_that_the_file_has_not(self, tmp_path: Path) -> None:
        assert load(written(tmp_path, ""), {"GAMEKIT_RELAY__SIMULATE": "false"}).relay.simulate is False

    def test_the_processs_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GAMEKIT_GATEWAY__PORT", "9999")
        assert load(written(tmp_path, "")).gateway.port == 9999


class TestInvalid:
    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("[chain]\nchain_idd = 1\n", "chain_idd"),
            ("[chains]\n", "chains"),
            ('[chain]\nchain_id = "one"\n', "chain.chain_id"),
            ('[chain]\nfinality = "tags"\n', "chain.finality"),
            ("[chain]\nincluded_depth = 0\n", "chain.included_depth"),
            ("[batch]\ncalls_max = 65\n", "batch.calls_max"),
            ("[batch]\ndeadline_s = 121\n", "batch.deadline_s"),
            ("[fees]\nreplace_percent = 9\n", "fees.replace_percent"),
            ("[relay]\noperations_max = 0\n", "relay.operations_max"),
            ("games = 7\n", "games"),
        ],
    )
    def test_the_setting_is_named(self, tmp_path: Path, text: str, named: str) -> None:
        with pytest.raises(ConfigInvalid) as refused:
            load(written(tmp_path, text), {})
        assert named in str(refused.value)
        assert refused.value.compared["path"].endswith("gamekit.toml")  # type: ignore[attr-defined]

    def test_no_toml(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigInvalid, match="cannot read"):
            load(written(tmp_path, "chain ="), {})

    def test_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "gamekit.toml"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(ConfigInvalid, match="cannot read"):
            load(path, {})

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigInvalid, match="cannot read"):
            load(tmp_path / "missing.toml", {})

    def test_a_setting_inside_what_is_no_section(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigInvalid, match="GAMEKIT_GAMES__FIRST"):
            load(written(tmp_path, "games = []\n"), {"GAMEKIT_GAMES__FIRST": "x"})


def test_every_default_passes_its_own_checks() -> None:
    assert msgspec.convert(msgspec.to_builtins(Config()), Config) == Config()
