"""`gamekit explain`, on the example game's own manifest."""

import json
from pathlib import Path

import pytest

from tests.cli.test_userop import status
from tests.core.towns import abi, manifest

MANIFEST = str(Path(__file__).parents[2] / "examples" / "arena.toml")


def test_explain_default_says_every_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("explain", MANIFEST) == 0
    said = capsys.readouterr().out
    assert "== play_match ==" in said
    assert "== take_a_walk ==" in said


def test_explain_args_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("explain", MANIFEST, "take_a_walk", "--stack", "nexus") == 0
    said = capsys.readouterr().out
    assert "look around the arena" in said
    assert "play one match" not in said
    assert "Nexus can be upgraded by its owner" in said


def test_explain_args_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("explain", MANIFEST, "play_match", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["play_match"]["figures"]["gas_wei_max"] == 500_000_000_000_000_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("/nowhere.toml",), "cannot read /nowhere.toml"),
        ((MANIFEST, "sell_everything"), "no unit 'sell_everything'"),
        ((MANIFEST, "play_match", "--stack", "metal"), "unknown account stack 'metal'"),
        ((MANIFEST, "--scope", "0x00"), "scope"),
    ],
)
def test_explain_error(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("explain", *arguments) == 2
    assert words in capsys.readouterr().err


def test_explain_behavior_contracts_without_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "town.toml").write_text(manifest(bank=None))
    for name in ("town", "bank"):
        (tmp_path / f"{name}.json").write_text(json.dumps(abi(name)))
    assert status("explain", str(tmp_path / "town.toml"), "two") == 0
    said = capsys.readouterr().out
    assert "bank 0x" + "f" * 39 + "e" in said.lower()
    assert "(play1(uint256) of bank)" in said
