"""A call that eats the gas of its batch: what it costs the others, and how few operations it takes to be rid of it."""

from math import ceil, log2
from typing import Any

import pytest

from gamekit.config import BatchConfig
from gamekit.core.action import ActionRequest
from gamekit.core.tracking import Operation
from gamekit.errors import ChainUnavailable
from gamekit.eth.calldata import EXECUTE_SELECTOR
from gamekit.testing.scenery import Keys, config
from gamekit.units import Address, PermissionId
from tests.runtime.world import World, attack, target_of, targets


def burning(world: World, *keys: str) -> None:
    """The attacks of these keys leave their batch no gas."""
    poison = set(targets(*keys))
    world.chain.burns = lambda call: target_of(call) in poison


async def watched(world: World, operations: int) -> PermissionId:
    """A session that has played, whose next operations are asked about."""
    session = await world.open()
    await world.accepted(session, "first")
    await world.quiet()
    world.lane(session).watched = operations
    return session


async def ok(world: World) -> set[str]:
    return {key for key, state in (await world.states()).items() if state == "ok"}


@pytest.mark.parametrize("place", range(8))
async def test_always_asked_nobody_is_lost(keys: Keys, place: int) -> None:
    world = World(keys, config(batch=BatchConfig(calls_max=8, simulate="always")))
    await world.start()
    session = await world.open()
    names = [f"k{number}" for number in range(8)]
    burning(world, names[place])
    await world.accepted(session, *names)
    await world.quiet()
    assert await ok(world) == set(names) - {names[place]}
    assert (await world.action(names[place])).state == "reverted"
    assert len(await world.operations()) - 1 <= ceil(log2(8)) + 1
    assert world.ran() == targets(*names)


async def test_a_lane_is_watched_once_an_operation_failed_as_a_whole(world: World) -> None:
    session = await world.open()
    burning(world, "p0", "p1", "p2")
    await world.accepted(session, "a", "p0")
    await world.quiet()
    assert await ok(world) == set()
    await world.accepted(session, "b", "p1", "c")
    await world.quiet()
    assert await ok(world) == {"b", "c"}
    assert len(await world.operations()) == 4


async def test_what_failed_alone_goes_on_alone(world: World) -> None:
    """It is known by target and calldata, on its own lane only; nothing need be asked about it again."""
    session = await watched(world, 8)
    burning(world, "p")
    await world.accepted(session, "p")
    await world.quiet()
    row = await world.action("p")
    assert list(world.lane(session).poisons) == [(row.target, row.data)]
    world.lane(session).watched = 0
    before = len(await world.operations())
    again = ActionRequest("again", "attack", attack("p").arguments)
    await world.kit.accept(session, [attack("a"), again, attack("b"), attack("c")])
    await world.quiet()
    assert len(await world.operations()) == before + 3
    assert await ok(world) == {"first", "a", "b", "c"}


async def test_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gamekit.runtime.poison.REMEMBERED_MAX", 2)
    session = await watched(world, 8)
    burning(world, "p0", "p1", "p2")
    for key in ("p0", "p1", "p2"):
        await world.accepted(session, key)
        await world.quiet()
    kept = [(await world.action(key)).data for key in ("p1", "p2")]
    assert [data for _, data in world.lane(session).poisons] == kept


async def test_a_lane_is_watched_no_more_after_some_good_operations(world: World) -> None:
    session = await watched(world, 2)
    for key in ("a", "b"):
        await world.accepted(session, key)
        await world.quiet()
    assert world.lane(session).watched == 0


async def test_a_node_that_does_not_answer_delays_nothing(world: World) -> None:
    session = await watched(world, 2)
    real: Any = world.chain.call

    async def silent(to: Address, data: bytes, **how: Any) -> bytes:
        if data[:4] == EXECUTE_SELECTOR:
            raise ChainUnavailable("no answer")
        return bytes(await real(to, data, **how))

    world.chain.call = silent  # type: ignore[method-assign]
    await world.accepted(session, "a")
    await world.quiet()
    await world.check()


async def test_planted_without_looking_ahead_others_are_lost(keys: Keys) -> None:
    world = World(keys, config(batch=BatchConfig(calls_max=8, simulate="never")))
    await world.start()
    session = await world.open()
    burning(world, "p")
    await world.accepted(session, "a", "p", "b")
    await world.quiet()
    assert await ok(world) == set()


@pytest.mark.parametrize("poisonous", [False, True])
async def test_a_slot_that_a_stranger_uses_up_while_it_is_asked_about(keys: Keys, poisonous: bool) -> None:
    world = World(keys, config(batch=BatchConfig(calls_max=8, simulate="always")))
    await world.start()
    session = await world.open()
    if poisonous:
        burning(world, "p")
    await world.accepted(session, "a", "p")
    row, real = world.kit.session_row(session), world.chain.call

    async def taken(to: Address, data: bytes, **how: Any) -> bytes:
        if data[:4] == EXECUTE_SELECTOR:
            world.chain.call = real  # type: ignore[method-assign]
            world.chain.consume(row.account, row.key)
            await world.block(4)
        return bytes(await real(to, data, **how))

    world.chain.call = taken  # type: ignore[method-assign]
    await world.quiet()
    assert {operation.sequence for operation in await world.operations() if operation.signature} == {1, 2} - {
        2 * (not poisonous)
    }
    assert await ok(world) == {"a", "p"} - set("p" * poisonous)
    await world.check()


async def test_a_revocation_while_it_is_halved(keys: Keys) -> None:
    world = World(keys, config(batch=BatchConfig(calls_max=8, simulate="always")))
    await world.start()
    session = await world.open()
    burning(world, "p")
    await world.accepted(session, "a", "p")
    real: Any = world.chain.call

    async def revoking(to: Address, data: bytes, **how: Any) -> bytes:
        if data[:4] == EXECUTE_SELECTOR:
            world.chain.call = real  # type: ignore[method-assign]
            await world.kit.revoke(session)
        return bytes(await real(to, data, **how))

    world.chain.call = revoking  # type: ignore[method-assign]
    await world.quiet()
    assert world.signed == []
    assert {row.state for row in await world.store.select(Operation)} <= {"dead"}
    assert await world.states() == {"a": "refused", "p": "refused"}
    assert world.ran() == []
