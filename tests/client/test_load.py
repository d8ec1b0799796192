"""Many players in one process."""

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest

from gamekit.client.load import Load, LoadPlayer
from gamekit.client.login import by_token
from tests.client.conftest import ClientWorld
from tests.gateway.conftest import ManualClock, until
from tests.gateway.memory import refused_event


class Stage:
    """A crowd under a clock of its own: each pause moves it, and lets the loop turn."""

    def __init__(self, world: ClientWorld, http: aiohttp.ClientSession, *players: LoadPlayer) -> None:
        self.clock = ManualClock(0.0)
        self.log = io.BytesIO()
        self.load = Load(http, world.url, players, self.log, clock=self.clock, pause=self.pause)

    async def pause(self, seconds: float) -> None:
        self.clock.now += seconds
        for _ in range(20):
            await asyncio.sleep(0)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def player(name: str = "p0", token: str = "alice", function: str = "attack") -> LoadPlayer:
    return LoadPlayer(name, by_token(token), lambda number: (function, [number, 7]))


async def test_offered_accepted_settled(world: ClientWorld) -> None:
    await world.start(sockets_per_player_max=10)
    world.backend.settling = True
    async with aiohttp.ClientSession() as http:
        stage = Stage(world, http, player("p0"), player("p1"))
        report = await stage.load.run(1.0, rate_per_s=20, actions_per_frame=4, drain_s=20)
    assert (report.players, report.connected, report.ended) == (2, 2, 0)
    assert report.offered == report.accepted == report.settled_ok == 40
    assert (report.declined, report.refused, report.unsettled, report.unanswered, report.reconnects) == (0, 0, 0, 0, 0)
    assert report.actions_per_s > 0
    assert report.settle_ms_p99 >= report.settle_ms_p50 >= 0
    lines = stage.lines()
    accepted = [line for line in lines if line["event"] == "accepted"]
    assert len({line["key"] for line in accepted}) == 40
    assert accepted[0] == {
        "event": "accepted",
        "player": "p0",
        "permission_id": "0x" + "11" * 32,
        "key": "p0.0",
        "account": "0x" + "22" * 20,
        "function": "attack",
        "arguments": [0, 7],
        "action_id": 1,
        "journal_epoch": "0x" + bytes(range(16)).hex(),
    }
    settled = [line for line in lines if line["event"] == "settled"]
    assert {line["key"] for line in settled} == {line["key"] for line in accepted}
    assert all(line["ok"] and line["transaction_hash"] == "0x" + "44" * 32 for line in settled)


async def test_declined_is_no_promise(world: ClientWorld) -> None:
    await world.start()
    async with aiohttp.ClientSession() as http:
        stage = Stage(world, http, player(function="full"))
        report = await stage.load.run(0.1, rate_per_s=20, actions_per_frame=2, drain_s=20)
    assert (report.offered, report.declined, report.accepted) == (2, 2, 0)
    assert report.declined_codes == {"overloaded": 2}
    assert stage.lines() == []


async def test_reorged_then_settled_otherwise_then_refused(world: ClientWorld) -> None:
    await world.start()
    async with aiohttp.ClientSession() as http:
        stage = Stage(world, http, player())
        running = asyncio.ensure_future(stage.load.run(0.1, rate_per_s=20, actions_per_frame=2, drain_s=20))
        await until(lambda: stage.load.accepted >= 2)
        for kind, error in (("settled", ""), ("reorged", ""), ("settled", "NotYours()"), ("final", "")):
            world.backend.settle("p0.0", kind=kind, error=error)
        world.backend.emit("refused", refused_event("p0.1", "action_expired"))
        report = await running
    assert (report.settled_ok, report.settled_reverted, report.reorged, report.final) == (0, 1, 1, 1)
    assert (report.refused, report.unsettled) == (1, 0)
    assert [(line["event"], line["key"], line.get("ok")) for line in stage.lines()] == [
        ("accepted", "p0.0", None),
        ("accepted", "p0.1", None),
        ("settled", "p0.0", True),
        ("reorged", "p0.0", None),
        ("settled", "p0.0", False),
        ("refused", "p0.1", None),
    ]


async def test_an_outcome_before_its_promise_is_written_in_order(world: ClientWorld) -> None:
    await world.start()
    world.backend.holding = True
    async with aiohttp.ClientSession() as http:
        stage = Stage(world, http, player())
        running = asyncio.ensure_future(stage.load.run(0.05, rate_per_s=20, actions_per_frame=1, drain_s=20))
        await until(lambda: world.backend.held)
        world.backend.settle("p0.0")
        await until(lambda: stage.load.settled)
        world.backend.release()
        report = await running
    assert (report.accepted, report.settled_ok) == (1, 1)
    assert [line["event"] for line in stage.lines()] == ["accepted", "settled"]


async def test_players_without_a_session_or_a_login_do_not_hold_the_others_up(world: ClientWorld) -> None:
    await world.start()
    async with aiohttp.ClientSession() as http:
        stage = Stage(world, http, player("p0"), player("p1", token="bob"), player("p2", token="nobody"))
        world.backend.settling = True
        report = await stage.load.run(0.1, rate_per_s=20, actions_per_frame=2, drain_s=1)
    assert (report.players, report.connected, report.ended) == (3, 1, 1)
    assert report.ended_codes == {"authentication_failed": 1}
    assert report.settled_ok == 2
    assert repr(stage.load) == "<Load 3 players, 2 accepted, 2 settled>"


async def test_nothing_happened(world: ClientWorld) -> None:
    await world.start()
    async with aiohttp.ClientSession() as http:
        report = await Stage(world, http).load.run(0.1, rate_per_s=20, drain_s=1)
    assert (report.actions_per_s, report.accept_ms_p50, report.seconds) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("cut_after", [2, 6])
async def test_a_cut_line_loses_nothing(world: ClientWorld, cut_after: int) -> None:
    await world.start()
    world.backend.settling = True
    async with aiohttp.ClientSession() as http:
        stage = Stage(world, http, player())
        stage.load._players[0].link._pause = stage.pause
        running = asyncio.ensure_future(stage.load.run(1.0, rate_per_s=20, actions_per_frame=1, drain_s=20))
        await until(lambda: stage.load.accepted >= cut_after)
        world.cut()
        report = await running
    assert report.reconnects == 1
    assert report.offered == report.accepted == report.settled_ok
    assert len(world.backend.keys) == report.accepted
