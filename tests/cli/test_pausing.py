"""Pausing from outside: the commands against the admin socket of a kit on a fake chain."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gamekit.commands.admin import ask, serve_admin
from gamekit.testing.scenery import Keys
from tests.cli.test_userop import status
from tests.runtime.world import World

Said = pytest.CaptureFixture[str]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(Keys.make(tmp_path))
    await world.start()
    async with serve_admin(world.kit, tmp_path / "gamekit.toml"):
        yield world


@pytest.fixture
def config(tmp_path: Path) -> tuple[str, str]:
    return "--config", str(tmp_path / "gamekit.toml")


async def run(*command: str) -> int | str | None:
    return await asyncio.to_thread(status, *command)


@pytest.mark.parametrize("subject", ["chain", "game:arena", "function:arena.attack"])
async def test_pause_and_resume(world: World, config: tuple[str, str], capsys: Said, subject: str) -> None:
    assert await run("pause", subject, "--reason", "an exploit", "--by", "olga", *config) == 0
    assert "signs nothing from now on" in capsys.readouterr().out
    assert [(pause.subject, pause.reason, pause.by) for pause in world.kit.state.pauses] == [
        (subject, "an exploit", "olga")
    ]
    assert await run("pause", "--list", "--json", *config) == 0
    assert [row["subject"] for row in json.loads(capsys.readouterr().out)] == [subject]
    assert await run("resume", subject, "--reason", "fixed", "--json", *config) == 0
    assert json.loads(capsys.readouterr().out) == {"subject": subject, "reason": "fixed", "by": "operator"}
    assert not world.kit.state.pauses


@pytest.mark.parametrize("subject", ["", "arena", "game:chess", "function:arena.withdraw", "function:attack"])
async def test_pause_error_subject(world: World, config: tuple[str, str], capsys: Said, subject: str) -> None:
    assert await run("pause", subject, "--reason", "an exploit", "--json", *config) == 2
    said = json.loads(capsys.readouterr().err)
    assert (said["code"], said["compared"]) == ("config_invalid", {"subject": subject})
    assert not world.kit.state.pauses


async def test_pause_error_no_reason(world: World, config: tuple[str, str], capsys: Said) -> None:
    assert await run("pause", "chain", *config) == 2
    assert "need a reason" in capsys.readouterr().err
    assert not world.kit.state.pauses


@pytest.mark.usefixtures("world")
async def test_resume_error_not_paused(config: tuple[str, str], capsys: Said) -> None:
    assert await run("resume", "chain", "--reason", "fixed", *config) == 2
    assert "'chain' is not paused" in capsys.readouterr().err


async def test_status_tells_how_long_revocations_took(world: World, tmp_path: Path) -> None:
    session = await world.open()
    await world.kit.revoke(session)
    told = await ask(tmp_path / "gamekit.toml", "GET", "/status")
    assert told["revocation_times"]["memory"]["total"] == 1
    assert told["revocation_times"]["final"]["total"] == 0
    assert told["loop_lateness"]["total"] == 0
