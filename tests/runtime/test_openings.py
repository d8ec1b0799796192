import asyncio

import pytest
from msgspec.structs import replace

from gamekit.config import SessionConfig
from gamekit.errors import GamekitError, Overloaded
from gamekit.testing.scenery import Keys, config
from gamekit.units import Address, PlayerId
from tests.runtime.world import ALICE, OWNER, World


async def limited(keys: Keys, **limits: int) -> World:
    world = World(keys, replace(config(), sessions=SessionConfig(**limits)))
    await world.start()
    return world


async def test_sessions_at_once_are_bounded(keys: Keys) -> None:
    world = await limited(keys, sessions_open_max=2)
    first = await world.open()
    await world.open()
    with pytest.raises(Overloaded) as refused:
        await world.open()
    assert refused.value.compared == {"queue": "open_sessions", "depth": 2, "depth_max": 2}
    await world.open(PlayerId("bob"), Address(b"\xbb" * 20))
    await world.kit.revoke(first)
    await world.open()


async def test_openings_of_a_day_are_bounded_over_a_restart(keys: Keys) -> None:
    world = await limited(keys, opens_per_day_max=2)
    for _ in range(2):
        await world.kit.revoke(await world.open())
        await world.block(2)
    await world.restart()
    with pytest.raises(Overloaded) as refused:
        await world.open()
    assert refused.value.compared == {"queue": "opens_per_day", "depth": 2, "depth_max": 2}


async def test_yesterdays_count_no_more(keys: Keys) -> None:
    world = await limited(keys, opens_per_day_max=1)
    session = await world.open()
    row = world.kit.state.sessions[session]
    world.kit.state.put(replace(row, valid_after=row.valid_after - 86_400))
    await world.open()


async def test_proposals_made_beforehand_do_not_go_round_it(keys: Keys) -> None:
    world = await limited(keys, sessions_open_max=2)
    requests = [await world.kit.propose(ALICE, "arena", "play", OWNER) for _ in range(4)]
    answers = await asyncio.gather(
        *(world.kit.open(request.permission_id, b"signature") for request in requests), return_exceptions=True
    )
    assert [isinstance(answer, GamekitError) for answer in answers] == [False, False, True, True]


async def test_opening_again_takes_no_place(keys: Keys) -> None:
    world = await limited(keys, sessions_open_max=1, opens_per_day_max=1)
    session = await world.open()
    await world.kit.open(session, b"owner's signature")
    assert world.kit.session_row(session).state == "open"
