"""Asking a server that is not there, or that dies before it answers."""

import asyncio
from pathlib import Path

import pytest

from gamekit.commands.admin import ServerNotRunning, ask, socket_path
from gamekit.errors import OutcomeUnknown


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ServerNotRunning):
        await ask(tmp_path / "gamekit.toml", "GET", "/status")


async def test_a_server_that_goes_away_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    """It may have revoked, or not: asking again is harmless."""
    config = tmp_path / "gamekit.toml"

    async def killed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_unix_server(killed, socket_path(config))
    async with server:
        with pytest.raises(OutcomeUnknown, match="POST /revoke"):
            await ask(config, "POST", "/revoke", {"permission_id": "0x"})
