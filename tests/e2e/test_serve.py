"""`gamekit serve` and its operator's commands, against a running server."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet

from gamekit.client.game_client import GameClient
from gamekit.client.login import by_token
from gamekit.commands.admin import socket_path
from gamekit.protocol.events import SessionOpened, SessionRevoked
from tests.e2e.conftest import ROOT, run

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
STOP_S_MAX = 20.0


@pytest.fixture
def server(devnet: Path) -> Iterator["subprocess.Popen[str]"]:
    with serving(devnet) as process:
        yield process


@contextmanager
def serving(devnet: Path) -> Iterator["subprocess.Popen[str]"]:
    """A server in a process of its own."""
    tokens = str(devnet.with_name("tokens.json"))
    command = (sys.executable, "-m", "gamekit.cli", "serve", "--config", str(devnet), "--tokens", tokens)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def url_of(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    found = re.search(r"ws://\S+", server.stdout.readline())
    assert found is not None
    return f"{found[0]}/play"


def told(devnet: Path, *command: str) -> Any:
    ended = run("-m", "gamekit.cli", *command, "--config", str(devnet), "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


async def open_session(client: GameClient) -> str:
    wallet = Wallet.create()
    events = client.events()
    request = await client.propose("arena", "try_out", bytes.fromhex(wallet.address[2:]))
    signed = wallet.sign_typed_data(full_message=request.payload)
    await client.open(request.request_id, bytes(signed.signature))
    async for event in events:
        if isinstance(event, SessionOpened):
            break
    return "0x" + request.permission_id.hex()


async def test_serve(devnet: Path, server: "subprocess.Popen[str]") -> None:
    (token,) = json.loads(devnet.with_name("tokens.json").read_text())
    async with GameClient(url_of(server), by_token(token)) as client:
        permission_id = await open_session(client)
        rows = told(devnet, "sessions", "--player", "player")
        assert isinstance(rows, list)
        row = next(row for row in rows if row["permission_id"] == permission_id)
        assert (row["state"], row["unit"], row["stack"]) == ("open", "try_out", "reference 0.7")
        assert "sealed" not in row

        events = client.events()
        ended = told(devnet, "revoke", permission_id, "--reason", "a test")
        assert isinstance(ended, dict)
        assert (ended["permission_id"], ended["in_flight"]) == (permission_id, [])
        async for event in events:
            if isinstance(event, SessionRevoked) and event.on_chain:
                break
    assert permission_id not in str(told(devnet, "sessions"))
    assert stat.S_IMODE(socket_path(devnet).stat().st_mode) == 0o600
    assert "sessions at block" in run("-m", "gamekit.cli", "doctor", "--config", str(devnet)).stdout


def test_serve_behavior_ends_in_order(devnet: Path, server: "subprocess.Popen[str]") -> None:
    url_of(server)
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait(STOP_S_MAX) == 0
    assert not socket_path(devnet).exists()


def test_revoke_error_unknown_session(devnet: Path, server: "subprocess.Popen[str]") -> None:
    url_of(server)
    ended = run("-m", "gamekit.cli", "revoke", "0x" + "77" * 32, "--config", str(devnet))
    assert ended.returncode == 2
    assert "no session 7777" in ended.stderr


def test_serve_error_second_server_on_one_journal(devnet: Path, server: "subprocess.Popen[str]") -> None:
    url_of(server)
    ended = run("-m", "gamekit.cli", "serve", "--config", str(devnet))
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_serve_error_leaks_nothing_on_a_real_chain(devnet: Path, tmp_path: Path) -> None:
    text = devnet.read_text().replace("chain_id = 31337", "chain_id = 8453")
    other = devnet.with_name("other.toml")
    other.write_text(text)
    ended = run("-m", "gamekit.cli", "serve", "--config", str(other), "--demo-leak", str(tmp_path / "leak"))
    assert ended.returncode == 2
    assert not (tmp_path / "leak").exists()
