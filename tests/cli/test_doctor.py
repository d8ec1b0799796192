"""`gamekit doctor` finds what is wrong, says it in words, and prints no secret."""

import asyncio
import json
from pathlib import Path

import pytest

from gamekit.demo.stage import set_stage
from gamekit.devnet import Anvil, DevnetNode
from gamekit.units import Address
from tests.cli.test_userop import status

pytestmark = pytest.mark.slow


@pytest.fixture
def config(anvil: Anvil, tmp_path: Path) -> Path:
    return asyncio.run(set_stage(tmp_path, anvil.url, ["ada"])).config


def findings(config: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    status("doctor", "--config", str(config), "--json")
    told: list[dict[str, str]] = json.loads(capsys.readouterr().out)
    return told


def wrong(config: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [each["about"] for each in findings(config, capsys) if each["level"] == "error"]


def change(config: Path, old: str, new: str) -> None:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def test_doctor_default(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("doctor", "--config", str(config)) == 0
    said = capsys.readouterr().out
    assert "FAIL" not in said
    assert "not running" in said


def test_doctor_behavior_prints_no_secret(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status("doctor", "--config", str(config))
    said = capsys.readouterr().out
    for name in ("relayers.keys", "withdrawals.keys", "thief.key"):
        for key in (config.parent / name).read_text().split():
            assert key.removeprefix("0x") not in said


def test_doctor_error_other_chain(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(config, "chain_id = 31337", "chain_id = 1")
    assert set(wrong(config, capsys)) == {"game arena", "chain"}


def test_doctor_error_no_code(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = config.read_text().splitlines()
    line = next(each for each in lines if each.startswith("session_opener"))
    change(config, line, f'session_opener = "0x{"99" * 20}"')
    assert wrong(config, capsys) == ["session opener"]


def test_doctor_error_no_node(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = next(each for each in config.read_text().splitlines() if each.startswith("rpc_url"))
    change(config, line, 'rpc_url = "http://127.0.0.1:9"')
    assert wrong(config, capsys) == ["chain"]


def test_doctor_error_key_that_others_can_read(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status("doctor", "--config", str(config))
    capsys.readouterr()
    key = config.parent / "master.key"
    key.write_text("0x" + "11" * 32)
    key.chmod(0o644)
    assert "master key" in wrong(config, capsys)


def test_doctor_error_poor_relayer(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "relayers.keys").write_text("0x" + "17" * 32)
    (config.parent / "master.key").touch(mode=0o600)
    (config.parent / "master.key").write_text("11" * 32)
    assert wrong(config, capsys) == ["relayers"]


def test_doctor_error_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("doctor", "--config", "/nowhere.toml") == 2
    assert "cannot read /nowhere.toml" in capsys.readouterr().err


def test_doctor_error_another_contract_as_the_module(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    addresses = {
        name: value.strip('"')
        for name, _, value in (line.partition(" = ") for line in config.read_text().splitlines())
        if name in ("session_validator", "session_opener")
    }
    change(
        config,
        f'session_validator = "{addresses["session_validator"]}"',
        f'session_validator = "{addresses["session_opener"]}"',
    )
    assert wrong(config, capsys) == ["session validator"]


def test_doctor_behavior_each_contract_of_a_game(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = config.parent / "arena.toml"
    further = f'\n[contract.bank]\nabi = "Arena"\naddress = "0x{"77" * 20}"\n'
    manifest.write_text(manifest.read_text() + further)
    said = {each["about"]: each["level"] for each in findings(config, capsys)}
    assert said["contract arena of arena"] == "ok"
    assert said["contract bank of arena"] == "error"


def test_doctor_behavior_a_contract_that_can_run_others(
    anvil: Anvil, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = config.parent / "arena.toml"
    manifest.write_text(manifest.read_text() + f'\n[contract.bank]\nabi = "Arena"\naddress = "0x{"78" * 20}"\n')

    async def put_code() -> None:
        async with DevnetNode(anvil.url) as node:
            await node.set_code(Address(b"\x78" * 20), b"\x00\xf4")

    asyncio.run(put_code())
    (told,) = [each for each in findings(config, capsys) if each["level"] == "warning" and "bank" in each["about"]]
    assert "can run code of others" in told["said"]
