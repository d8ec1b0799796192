"""The drill of the README: back up while players play, lose the journal, restore, and let the chain tell the rest."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gamekit.chain.rpc import JsonRpc
from gamekit.client.game_client import GameClient
from gamekit.client.login import by_token
from gamekit.config import load
from gamekit.errors import ActionLost, OutcomeUnknown, Paused
from tests.e2e.conftest import run
from tests.e2e.test_serve import open_session, serving, told, url_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
LATER_S = 150


@pytest.fixture
def lost(devnet: Path, tmp_path: Path) -> Callable[["subprocess.Popen[str]"], None]:
    """The server is killed, its journal vanishes, and the copy takes its place."""

    def lose(server: "subprocess.Popen[str]") -> None:
        server.kill()
        server.wait()
        for each in devnet.parent.glob(f"{load(devnet).journal.path}*"):
            each.unlink()
        told(devnet, "restore", str(tmp_path / "copy"))

    return lose


async def test_restore(devnet: Path, tmp_path: Path, lost: Callable[["subprocess.Popen[str]"], None]) -> None:
    (token,) = json.loads(devnet.with_name("tokens.json").read_text())
    with serving(devnet) as server:
        async with GameClient(url_of(server), by_token(token)) as client:
            session = bytes.fromhex((await open_session(client))[2:])
            before = client.welcome.journal_epoch
            (row,) = (row for row in told(devnet, "sessions") if row["permission_id"] == "0x" + session.hex())
            await ask(devnet, "anvil_setBalance", row["account"], hex(10**18))
            made = told(devnet, "backup", str(tmp_path / "copy"))
            assert isinstance(made, dict)
            assert made["journal_epoch"] == "0x" + before.hex()
            ran = await client.act(session, "move", (1, 2), key="ran")
            assert (await ran.settled(20)).ok
            await client.act(session, "move", (3, 4), key="flies")
        lost(server)
    with serving(devnet) as server:
        async with GameClient(url_of(server), by_token(token)) as client:
            assert client.welcome.journal_epoch != before
            with pytest.raises(Paused, match="restored"):
                await client.act(session, "move", (5, 6), key="new")
            with pytest.raises(OutcomeUnknown):
                await client.act(session, "move", (1, 2), key="ran", journal_epoch=before)
            await ask(devnet, "evm_increaseTime", LATER_S)
            await asyncio.to_thread(resumed, devnet)
            new = await client.act(session, "move", (5, 6), key="new")
            assert (await new.settled(20)).ok
            again = await client.act(session, "move", (1, 2), key="ran", journal_epoch=before)
            assert again.action_id > 0
            with pytest.raises(ActionLost):
                await client.act(session, "move", (9, 9), key="never", journal_epoch=before)


async def test_a_journal_that_is_lost(devnet: Path) -> None:
    """The new one's server signs nothing before the longest deadline has passed."""
    (token,) = json.loads(devnet.with_name("tokens.json").read_text())
    with serving(devnet) as server:
        async with GameClient(url_of(server), by_token(token)) as client:
            await open_session(client)
        server.kill()
        server.wait()
    for each in devnet.parent.glob(f"{load(devnet).journal.path}*"):
        each.unlink()
    with serving(devnet) as server:
        async with GameClient(url_of(server), by_token(token)) as client:
            (pause,) = told(devnet, "pause", "--list")
            assert pause["subject"] == "restored"
            assert "the one before it is lost" in pause["reason"]
            await ask(devnet, "evm_increaseTime", LATER_S)
            await asyncio.to_thread(resumed, devnet)
            await open_session(client)


async def ask(devnet: Path, method: str, *params: object) -> None:
    """Tell the chain to do something."""
    async with JsonRpc(load(devnet).chain.rpc_url) as rpc:
        await rpc.request_optional(object, method, *params)


def resumed(devnet: Path) -> None:
    """Wait until the server signs again; each look is a process of its own."""
    while any(row["subject"] == "restored" for row in told(devnet, "pause", "--list")):
        pass


def test_restore_error_while_it_runs(devnet: Path, tmp_path: Path) -> None:
    with serving(devnet) as server:
        url_of(server)
        told(devnet, "backup", str(tmp_path / "copy"))
        ended = run("-m", "gamekit.cli", "restore", str(tmp_path / "copy"), "--config", str(devnet))
        assert ended.returncode == 2
        assert "another process has the journal" in ended.stderr
