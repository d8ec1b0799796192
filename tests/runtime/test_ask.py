import asyncio

import pytest
from msgspec.structs import replace

from gamekit.config import LaneConfig
from gamekit.core.action import ActionRequest
from gamekit.core.session import Session
from gamekit.errors import ActionInvalid, ActionRefused, IdempotencyConflict, Overloaded
from gamekit.runtime.intake import Accepted
from gamekit.testing.scenery import Keys, config
from tests.runtime.world import World, attack, targets


async def test_allows_denies_and_rewrites(keys: Keys) -> None:
    async def judge(session: Session, request: ActionRequest) -> ActionRequest | None:
        assert session.player == "alice"
        if request.key == "no":
            return None
        return attack("b", not_after=request.not_after) if request.key == "a" else request

    async def rename(session: Session, request: ActionRequest) -> ActionRequest | None:
        judged = await judge(session, request)
        return None if judged is None else replace(judged, key=request.key)

    world = World(keys, before_action=rename)
    await world.start()
    session = await world.open()
    answers = await world.act(session, "a", "no", "c")
    assert [type(answer) for answer in answers] == [Accepted, ActionRefused, Accepted]
    await world.quiet()
    assert world.ran() == targets("b", "c")


async def test_a_denial_is_not_told_of_what_was_accepted(keys: Keys) -> None:
    denied: set[str] = set()

    async def judge(session: Session, request: ActionRequest) -> ActionRequest | None:
        return None if request.key in denied else request

    world = World(keys, before_action=judge)
    await world.start()
    session = await world.open()
    (first,) = await world.accepted(session, "a")
    denied.add("a")
    assert await world.act(session, "a") == [Accepted("a", first.action_id, duplicate=True)]


async def test_a_server_that_does_not_answer_refuses_in_time(keys: Keys) -> None:
    async def judge(session: Session, request: ActionRequest) -> ActionRequest | None:
        if request.key in ("slow", "g1"):
            await asyncio.get_running_loop().create_future()
        return request

    world = World(keys, config(lanes=LaneConfig(before_action_timeout_ms=5)), before_action=judge)
    await world.start()
    session = await world.open()
    answers = await world.act(session, "a", "slow", "b")
    assert [type(answer) for answer in answers] == [Accepted, Overloaded, Overloaded]
    assert answers[1].compared["queue"] == "before_action"
    assert {type(answer) for answer in await world.act(session, "g0", "g1", group="g")} == {Overloaded}
    assert await world.states() == {"a": "accepted"}
    await world.accepted(session, "b")
    assert world.kit._intake._ask is not None
    assert (world.kit._intake._ask.waiting, world.kit._intake._ask._turns) == (0, {})


async def test_how_many_may_wait_is_bounded(keys: Keys) -> None:
    gate = asyncio.Event()

    async def judge(session: Session, request: ActionRequest) -> ActionRequest | None:
        await gate.wait()
        return request

    world = World(keys, config(lanes=LaneConfig(before_action_waiting_max=3)), before_action=judge)
    await world.start()
    first, second = await world.open(), await world.open()
    for session in (first, second):
        await world.kit._resolve.lane_of(world.kit.session_row(session))
    waiting = world.kit.accept(first, [attack("a"), attack("b")])
    (refused, also) = await world.kit.accept(second, [attack("c"), attack("d")])
    assert isinstance(refused, Overloaded)
    assert isinstance(also, Overloaded)
    assert refused.compared == {"queue": "before_action", "depth": 2, "depth_max": 3}
    gate.set()
    assert all(isinstance(answer, Accepted) for answer in await waiting)
    await world.accepted(second, "c", "d")


async def test_a_slow_frame_is_not_overtaken(keys: Keys) -> None:
    gate = asyncio.Event()
    asked: list[str] = []

    async def judge(session: Session, request: ActionRequest) -> ActionRequest | None:
        asked.append(request.key)
        if request.key == "a":
            await gate.wait()
        return request

    world = World(keys, before_action=judge)
    await world.start()
    first, second = await world.open(), await world.open()
    for session in (first, second):
        await world.kit._resolve.lane_of(world.kit.session_row(session))
    frames = [world.kit.accept(first, [attack(key)]) for key in "abc"]
    await world.accepted(second, "other")
    assert asked == ["a", "other"]
    gate.set()
    await asyncio.gather(*frames)
    assert asked == ["a", "other", "b", "c"]
    assert [action.key for action in world.lane(first).ready] == ["a", "b", "c"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_the_key_stands_for_what_was_asked_and_is_asked_for_once(keys: Keys, restarted: bool) -> None:
    asked: list[str] = []

    async def rewrite(session: Session, request: ActionRequest) -> ActionRequest | None:
        asked.append(request.key)
        return attack(f"x{len(asked)}", group="another")

    world = World(keys, before_action=rewrite)
    await world.start()
    session = await world.open()
    (first,) = await world.accepted(session, "a")
    if restarted:
        await world.restart()
    assert await world.act(session, "a") == [Accepted("a", first.action_id, duplicate=True)]
    assert isinstance((await world.act(session, "a", not_after=1_900_000_000))[0], IdempotencyConflict)
    assert asked == ["a"]
    await world.quiet()
    assert world.ran() == targets("x1")


async def test_what_is_no_request_of_this_game_is_not_asked_for(keys: Keys) -> None:
    async def judge(session: Session, request: ActionRequest) -> ActionRequest | None:
        return ActionRequest("a", "nothing") if request.key == "a" else None

    world = World(keys, before_action=judge)
    await world.start()
    session = await world.open()
    answers = await world.kit.accept(session, [ActionRequest("x", "nothing"), attack("a"), attack("b")])
    assert [type(answer) for answer in answers] == [ActionInvalid, ActionInvalid, ActionRefused]
