"""`gamekit doctor` finds what is wrong, says it in words, and prints no secret."""

import asyncio
import json
from pathlib import Path

import pytest

from gamekit.chain.rpc import to_data
from gamekit.demo.stage import Stage, make_keys, set_stage
from gamekit.devnet import Anvil, DevnetNode
from gamekit.devnet.sponsor import Caps, set_caps
from gamekit.keys.keystore import Keystore
from gamekit.units import Address, Wei
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
    for name in ("relayers.keys", "withdrawals.keys", "thief.key", "sponsors.keys"):
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
    # Both paymasters, too, ask another module than this one.
    told = [about.partition(" 0x")[0] for about in wrong(config, capsys)]
    assert told == ["session validator", "paymaster", "paymaster"]


class TestPaymasters:
    """Who pays for players without ether. The first start makes the master key, without which no key can be read."""

    @pytest.fixture
    def stage(self, anvil: Anvil, tmp_path: Path) -> Stage:
        stage = asyncio.run(set_stage(tmp_path, anvil.url, ["ada"]))
        Keystore.open(tmp_path / "master.key")
        return stage

    def about(self, stage: Stage, capsys: pytest.CaptureFixture[str], word: str = "paymaster") -> list[dict[str, str]]:
        return [each for each in findings(stage.config, capsys) if word in each["about"]]

    def test_default(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        told = self.about(stage, capsys)
        assert [each["level"] for each in told] == ["ok"] * 4
        assert told[0]["said"].endswith("and it is staked")
        assert told[1]["said"] == "0 of 50 ETH of today's cap are used"

    def test_error_deposit_too_low(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        change(stage.config, f"deposit_min_wei = {10**17}", f"deposit_min_wei = {10**24}")
        assert [each["level"] for each in self.about(stage, capsys)] == ["error", "ok"] * 2

    def test_error_another_sponsor(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        make_keys(stage.folder / "sponsors.keys", 1)
        told = self.about(stage, capsys)
        assert [each["level"] for each in told] == ["ok", "error"] * 2
        assert told[1]["said"].endswith("whose key is not here")

    def test_warning_paused(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        async def pause() -> None:
            async with DevnetNode(stage.url) as node:
                await set_caps(node, stage.contracts.session_paymaster_07, "arena", Caps(day_wei_max=Wei(0)))

        asyncio.run(pause())
        told = [each for each in self.about(stage, capsys) if each["level"] == "warning"]
        assert [each["said"].partition(":")[0] for each in told] == ["the game's cap for a day is 0"]

    def test_error_of_another_entry_point(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        first, second = (
            to_data(each) for each in (stage.contracts.session_paymaster_07, stage.contracts.session_paymaster_08)
        )
        change(stage.config, first, second)
        told = [each for each in self.about(stage, capsys) if each["level"] == "error"]
        assert told[0]["said"].startswith("its entry point is 0x")

    def test_error_no_paymaster(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        paymaster = to_data(stage.contracts.session_paymaster_07)
        change(stage.config, paymaster, to_data(stage.contracts.arena))
        told = [each for each in self.about(stage, capsys) if each["level"] == "error"]
        assert [each["said"] for each in told] == ["it does not answer as a session paymaster"]
        change(stage.config, to_data(stage.contracts.arena), "0x" + "99" * 20)
        told = [each for each in self.about(stage, capsys) if each["level"] == "error"]
        assert told[0]["said"].startswith("there is no code at")

    def test_warning_without_keys(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        change(stage.config, 'keys_file = "sponsors.keys"', 'keys_file = ""')
        told = self.about(stage, capsys, "sponsors")
        assert [each["level"] for each in told] == ["warning"]


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
