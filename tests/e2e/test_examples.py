"""The two example programs run, do something visible, and end well."""

from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, run

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
EXAMPLES = ROOT / "examples"
LINES_MAX = 40


def test_no_web_server(devnet: Path) -> None:
    ended = run(str(EXAMPLES / "no_web_server.py"), str(devnet))
    assert ended.returncode == 0, ended.stderr
    assert "The most that can be lost" in ended.stdout
    assert ended.stdout.splitlines()[-2:] == [
        "match42:turn1: ok ",
        "match42:turn2: reverted NoStamina(strength=101, stamina=100)",
    ]


def test_embed_aiohttp(devnet: Path) -> None:
    ended = run(str(EXAMPLES / "embed_aiohttp.py"), str(devnet))
    assert ended.returncode == 0, ended.stderr
    accepted, settled = ended.stdout.splitlines()
    assert accepted.startswith("accepted: ")
    assert settled.startswith("settled: ok in block ")


def test_embed_aiohttp_behavior_is_short() -> None:
    assert len((EXAMPLES / "embed_aiohttp.py").read_text().splitlines()) < LINES_MAX


def test_doctor(devnet: Path) -> None:
    ended = run("-m", "gamekit.cli", "doctor", "--config", str(devnet))
    assert ended.returncode == 0, ended.stdout
    assert "FAIL" not in ended.stdout
    assert "session validator" in ended.stdout
