"""The command line itself: every command is there, and nothing heavy is imported to say so."""

import subprocess
import sys
from pathlib import Path

import pytest

from gamekit.cli import parser
from tests.cli.test_userop import status

COMMANDS = [
    "demo",
    "devnet",
    "serve",
    "sessions",
    "revoke",
    "pause",
    "resume",
    "backup",
    "restore",
    "explain",
    "doctor",
    "userop",
]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--help") == 0
    said = capsys.readouterr().out
    assert [command for command in COMMANDS if command not in said] == []


def test_help_behavior_imports_little() -> None:
    heavy = {"aiohttp", "apsw", "coincurve", "eth_account", "web3"}
    program = f"import sys, gamekit.cli; gamekit.cli.parser(); print(sorted({heavy!r} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "[]"


def test_demo_args() -> None:
    options = parser().parse_args(["demo", "--players", "200", "--seconds", "20", "--report", "report.json"])
    assert (options.players, options.seconds, options.report) == (200, 20.0, Path("report.json"))
    assert (options.kill_after, options.no_thief) == (None, False)


@pytest.mark.parametrize(
    "command", [("sessions",), ("revoke", "0x" + "00" * 32), ("pause", "--list"), ("resume", "chain")]
)
def test_sessions_error_no_server(command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*command, "--config", str(tmp_path / "gamekit.toml")) == 2
    assert "no server listens" in capsys.readouterr().err


def test_serve_error_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("serve", "--config", "/nowhere.toml") == 2
    assert "cannot read /nowhere.toml" in capsys.readouterr().err
