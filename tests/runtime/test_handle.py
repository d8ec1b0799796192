import asyncio

import pytest

from gamekit.errors import ActionInvalid, IdempotencyConflict, OutcomeUnknown
from tests.runtime.world import World, reverting


async def test_settled_gives_the_outcome(world: World) -> None:
    session = world.kit.session(await world.open())
    handle = await session.act("attack", target_and(7), key="a")
    waiting = asyncio.ensure_future(handle.settled())
    await asyncio.sleep(0)
    await world.turn()
    assert (await waiting).state == "ok"
    assert world.kit.state.waiters == {}


async def test_an_outcome_that_is_there_is_given_at_once(world: World) -> None:
    session = world.kit.session(await world.open())
    handle = await session.act("attack", target_and(7), key="a")
    await world.quiet()
    assert (await handle.settled(timeout=0)).state == "ok"


async def test_a_revert_is_an_outcome(world: World) -> None:
    session = world.kit.session(await world.open())
    world.chain.reverts = reverting("a")
    handle = await session.act("attack", target_and(ord("a")), key="a")
    await world.quiet()
    row = await handle.settled()
    assert (row.state, row.reason) == ("reverted", "NoStamina(strength=9, stamina=1)")


async def test_a_refusal_is_an_outcome(world: World) -> None:
    session = world.kit.session(await world.open())
    handle = await session.act("attack", target_and(7), key="a")
    waiting = asyncio.ensure_future(handle.settled())
    await asyncio.sleep(0)
    assert await session.cancel("a")
    assert (await waiting).reason == "action_cancelled"


async def test_a_timeout_cancels_nothing(world: World) -> None:
    session = world.kit.session(await world.open())
    handle = await session.act("attack", target_and(7), key="a")
    with pytest.raises(OutcomeUnknown) as unknown:
        await handle.settled(timeout=0)
    assert unknown.value.compared["key"] == "a"
    assert unknown.value.compared["action_id"] == handle.action_id
    assert world.kit.state.waiters == {}
    await world.quiet()
    assert (await handle.settled()).state == "ok"


async def test_several_may_wait_and_one_may_leave(world: World) -> None:
    session = world.kit.session(await world.open())
    handle = await session.act("attack", target_and(7), key="a")
    waiting = [asyncio.ensure_future(handle.settled()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.sleep(0)
    await world.turn()
    assert [(await each).state for each in (waiting[0], waiting[2])] == ["ok", "ok"]


async def test_act_raises_what_refuses_it(world: World) -> None:
    session = world.kit.session(await world.open())
    with pytest.raises(ActionInvalid):
        await session.act("attack", (1,), key="a")


async def test_a_group(world: World) -> None:
    session = world.kit.session(await world.open())
    handles = await session.act_group([("attack", (1, 1)), ("move", (1, 1))], key="g")
    assert [handle.key for handle in handles] == ["g/0", "g/1"]
    await world.quiet()
    assert [(await handle.settled()).state for handle in handles] == ["ok", "ok"]
    assert len(await world.operations()) == 1
    with pytest.raises(IdempotencyConflict):
        await session.act_group([("attack", (2, 1))], key="g")


async def test_revoke(world: World) -> None:
    session = world.kit.session(await world.open())
    answer = await session.revoke("lost phone")
    assert answer.in_flight == ()
    assert session.row.ended_reason == "lost phone"


async def test_a_handle_shows_what_it_is(world: World) -> None:
    session = world.kit.session(await world.open())
    handle = await session.act("attack", target_and(7), key="a")
    assert repr(handle) == f"<ActionHandle {handle.action_id} 'a'>"
    assert repr(session) == f"<SessionHandle {session.permission_id.hex()[:8]}>"


def target_and(target: int) -> tuple[int, int]:
    return target, 1


async def test_an_unknown_outcome_says_what_will_tell_it_and_by_when(world: World) -> None:
    world.chain.finality = 4
    session = await world.open()
    handle = await world.kit.session(session).act("attack", target_and(7), key="a")

    async def unknown() -> tuple[object, object]:
        with pytest.raises(OutcomeUnknown) as told:
            await handle.settled(timeout=0)
        return told.value.compared["resolved_by"], told.value.compared["by"]

    assert await unknown() == (
        "its operation, or the end of its session", world.kit.session_row(session).valid_until
    )  # fmt: skip
    await world.sign()
    (operation,) = await world.operations()
    assert await unknown() == ("inclusion, or finalized chain time past its deadline", operation.deadline)
    what, by = world.kit.state.resolved_by(handle.action_id)
    await world.send()
    await world.block()
    assert (await handle.settled()).state == "ok"
    assert world.kit.state.resolved_by(handle.action_id) == ("the depth of its block", 0)
    await world.quiet()
    assert (what, by) != world.kit.state.resolved_by(handle.action_id) == ("the journal", 0)
