"""The process dies and starts again: at every stage of an action, and anywhere in a random life with every fault on."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from gamekit.core.journal import CHAIN_ID, Meta
from gamekit.core.session import Session
from gamekit.core.tracking import LIVE, SENT, LiveSlot, may_expire
from gamekit.errors import (
    ChainMismatch,
    ChainUnavailable,
    GamekitError,
    SessionNotOpen,
    SessionRevoked,
    StoreUnavailable,
)
from gamekit.eth.block import Head
from gamekit.kit import GameKit
from gamekit.runtime.intake import Accepted
from gamekit.testing.scenery import Keys
from tests.runtime.world import World, targets

STAGES: list[Callable[[World], Awaitable[Any]]] = [
    lambda world: world.sign(),
    lambda world: world.send(),
    lambda world: world.block(),
    lambda world: world.block(),
    lambda world: world.block(),
]


@pytest.mark.parametrize("stages", range(len(STAGES) + 1))
@pytest.mark.parametrize("twice", [False, True])
async def test_at_every_stage(world: World, stages: int, twice: bool) -> None:
    session = await world.open()
    await world.accepted(session, "a", "b")
    await world.accepted(session, "g0", "g1", group="g")
    for stage in STAGES[:stages]:
        await stage(world)
    await world.restart()
    if twice:
        await world.restart()
    await world.quiet()
    assert world.ran() == targets("a", "b", "g0", "g1")
    for key in ("a", "b", "g0", "g1"):
        assert await world.told(key) == ["settled", "final"]
    await world.check()


class Crash(BaseException):
    """The process dies here."""


async def dying(world: World, after: int, written: bool, life: Coroutine[Any, Any, None]) -> None:
    """Live until the process dies at a commit: before it is written, or just after."""
    commit, left = world.store.commit, [after]

    def last(rows: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            return commit(rows)
        if written and left[0] == -1:
            commit(rows)
        raise Crash

    world.store.commit = last  # type: ignore[method-assign]
    try:
        await life
    finally:
        for _ in range(5):
            await asyncio.sleep(0)  # what still runs of the dead process dies too
        world.store.commit = commit  # type: ignore[method-assign]
        await asyncio.sleep(0)


@pytest.mark.parametrize("after", range(14))
@pytest.mark.parametrize("written", [False, True])
async def test_at_every_commit(world: World, after: int, written: bool) -> None:
    """The process dies at its n-th commit from the first signature on: before it is written, or just after."""
    session = await world.open()
    await world.accepted(session, "a", "b")
    with pytest.raises(Crash):
        await dying(world, after, written, world.turn(10))
    await world.restart()
    await world.quiet()
    assert world.ran() == targets("a", "b")
    await world.check()


def invariants(world: World) -> None:
    """What holds at every instant, in memory."""
    for lane in world.kit.state.lanes.values():
        ready = [action.id for action in lane.ready]
        assert ready == sorted(ready), "a lane keeps its order"
        live = [action.id for slot in lane.slots.values() if slot.slot.state == LIVE for action in slot.actions]
        assert len(live) == len(set(live)), "an action sits in at most one live slot"
        assert not set(live) & set(ready), "an action waits or flies, not both"
    waiting = sum(len(lane.ready) for lane in world.kit.state.lanes.values())
    assert world.kit.state.accepted == waiting, "the count of accepted actions is that of those that wait"


async def live(keys: Keys, seed: int, steps: int, plant: Callable[[GameKit], None] | None = None) -> World:
    """A random life: players act, the chain reorganises and forgets, replies get lost, the process dies."""
    chance = random.Random(seed)
    world = World(keys)
    if plant is not None:
        make = world._kit

        def planted() -> GameKit:
            kit = make()
            plant(kit)
            return kit

        world._kit = planted  # type: ignore[method-assign]
        plant(world.kit)
    world.chain.finality = 5
    await world.start()
    sessions = [await world.open() for _ in range(2)]
    await world.block(6)
    for number in range(steps):
        await one_step(world, chance, sessions, number, harsh=bool(seed % 2))
        invariants(world)
    world.chain.deaf = world.chain.silent_after = world.chain.down = 0
    await resume(world)
    await world.quiet(200)
    return world


MILD = {
    "act": 8, "sign": 8, "send": 8, "block": 12, "late": 2, "reorg": 3, "restart": 2, "drop": 1, "deaf": 1, "silent": 1,
    "foreign": 1, "skip": 2,
}  # fmt: skip
HARSH = MILD | {"crash": 2, "down": 1, "pause": 1, "resume": 2, "revoke": 1}


async def resume(world: World) -> None:
    if world.kit.state.pauses:
        await world.kit.resume("game:arena", "the test", "tester")


async def one_step(world: World, chance: random.Random, sessions: list[Any], number: int, harsh: bool) -> None:
    session = chance.choice(sessions)
    weights = HARSH if harsh else MILD
    what = chance.choices([*weights], [*weights.values()])[0]
    chain = world.chain
    if what == "act":
        keys = [f"k{number}.{place}" for place in range(chance.randint(1, 3))]
        group = {"group": f"g{number}"} if chance.random() < 0.3 else {}
        late = {"not_after": chain.top.head.timestamp + chance.randint(0, 60)} if chance.random() < 0.2 else {}
        with contextlib.suppress(SessionNotOpen):
            await world.act(session, *keys, **group, **late)
    elif what in ("sign", "send", "restart", "drop"):
        await asyncio.ensure_future(getattr(world, what)()) if what != "drop" else chain.drop()
    elif what in ("block", "late", "skip"):
        chain.mine(seconds=chance.choice([2, 40, 100]) if what == "late" else 2, empty=what != "block")
        await world.step()
    elif what == "reorg":
        final = world.kit.state.final
        deepest = chain.top.head.number - (final.number if final else 0)
        depth = chance.randint(1, max(1, min(4, deepest)))
        chain.reorg(depth, forget=chance.random() < 0.5, length=depth + chance.randint(0, 1))
        await (world.restart() if chance.random() < 0.3 else world.step())
    else:
        await fault(world, chance, session, what)


async def fault(world: World, chance: random.Random, session: Any, what: str) -> None:
    chain = world.chain
    if what == "crash":
        with contextlib.suppress(Crash):
            await dying(world, chance.randint(0, 6), chance.random() < 0.5, world.turn())
        await world.restart()
    elif what == "down":
        chain.down = chance.randint(1, 6)
        chain.mine()
        with contextlib.suppress(ChainUnavailable):
            await world.step()
        chain.down = 0
    elif what == "pause":
        await world.kit.pause("game:arena", "the test", "tester")
    elif what == "resume":
        await resume(world)
    elif what == "revoke" and chance.random() < 0.2:
        await world.kit.revoke(session)
    elif what == "deaf":
        chain.deaf = 1
    elif what == "silent":
        chain.silent_after = 1
    elif what == "foreign" and chance.random() < 0.3:
        row = await world.store.get(Session, session)
        assert row is not None
        chain.consume(row.account, row.key)


async def found(keys: Keys, seed: int, plant: Callable[[GameKit], None] | None = None) -> str:
    """What is wrong with a life; empty if every accepted action ran exactly once or was refused, and was told so."""
    try:
        world = await live(keys, seed, 60, plant)
        await world.check()
        for key, state in (await world.states()).items():
            told = await world.told(key)
            assert told[-1] == ("refused" if state == "refused" else "final"), (key, told)
    except (AssertionError, GamekitError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


SEEDS = range(32)


@pytest.mark.parametrize("seed", SEEDS)
async def test_anywhere(keys: Keys, seed: int) -> None:
    assert await found(keys, seed) == ""


def time_of_the_head(kit: GameKit) -> None:
    """Actions leave a slot when the head has passed the deadline, not the last final block."""
    real = kit._resolve._given_up

    def given_up(live: LiveSlot, final: Head) -> bool:
        return real(live, final) if live.foreign_at else may_expire(live, kit.state.head.timestamp)

    kit._resolve._given_up = given_up  # type: ignore[method-assign]


def not_found_is_evidence(kit: GameKit) -> None:
    """Actions leave a slot when no transaction in flight carries its operation."""

    def given_up(live: LiveSlot, final: Head) -> bool:
        return live.latest().state == SENT and not kit._relayers.carried().intersection(live.variants)

    kit._resolve._given_up = given_up  # type: ignore[method-assign]


def foreign_before_final(kit: GameKit) -> None:
    """Actions leave a slot as soon as something else has used it."""

    def given_up(live: LiveSlot, final: Head) -> bool:
        return bool(live.foreign_at) or may_expire(live, final.timestamp)

    kit._resolve._given_up = given_up  # type: ignore[method-assign]


def forgotten_variant(kit: GameKit) -> None:
    """Only the latest variant of a slot is looked for in blocks."""
    index = kit.state.index

    def latest_only(live: LiveSlot) -> None:
        for user_op_hash in live.variants:
            kit.state.slots_by_operation.pop(user_op_hash, None)
        latest, variants = live.latest(), live.variants
        live.variants = {latest.user_op_hash: latest}
        index(live)
        live.variants = variants

    kit.state.index = latest_only  # type: ignore[method-assign]


def reorg_not_taken_back(kit: GameKit) -> None:
    """What stood in blocks that are canonical no more stays as it was."""

    async def nothing(orphaned: Any) -> None:
        return None

    kit._settle._orphan = nothing  # type: ignore[method-assign]


def reorg_missed_while_down(kit: GameKit) -> None:
    """A start believes the blocks that the process before it has read."""

    async def none(head: Any) -> list[Head]:
        return []

    kit._settle._lost_since = none  # type: ignore[method-assign]


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [
        time_of_the_head,
        not_found_is_evidence,
        foreign_before_final,
        forgotten_variant,
        reorg_not_taken_back,
        reorg_missed_while_down,
    ],
)
async def test_planted_bugs_are_found_among_the_same_seeds(keys: Keys, plant: Callable[[GameKit], None]) -> None:
    for seed in SEEDS:
        if await found(keys, seed, plant):
            return
    pytest.fail(f"no life shows {plant.__name__}")


async def test_a_journal_of_another_chain_is_not_used(world: World) -> None:
    """Slots and nonces of one chain protect nothing on another."""
    await world.block()
    await world.store.commit((Meta(CHAIN_ID, b"1"),))
    with pytest.raises(ChainMismatch, match="the journal's chain id"):
        await world.restart()


@pytest.mark.parametrize("after", range(14))
async def test_a_disk_that_refuses_at_every_commit_stops_everything_and_loses_nothing(world: World, after: int) -> None:
    """Memory is ahead of the disk then, so nothing goes on in this process: the next reads journal and chain."""
    session = await world.open()
    await world.accepted(session, "a", "b")
    commit, left = world.store.commit, [after]

    def full(rows: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise StoreUnavailable("disk full")
        return commit(rows)

    world.store.commit = full  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await world.turn(10)
    world.store.commit = commit  # type: ignore[method-assign]
    await world.restart()
    await world.quiet()
    assert world.ran() == targets("a", "b")
    await world.check()


@pytest.mark.parametrize("depth", [1, 3, 5])
async def test_a_reorg_below_the_first_head(keys: Keys, depth: int) -> None:
    """A new journal begins at the head, and a reorg may take that away, and what stands below it."""
    world = World(keys)
    world.chain.finality = 6
    world.chain.mine(4)
    await world.start()
    world.chain.reorg(depth, length=depth + 1)
    await world.step()
    assert world.kit.state.head.hash == world.chain.top.head.hash
    assert not world.kit.state.pauses
    session = await world.open()
    await world.accepted(session, "a")
    await world.quiet()
    assert world.ran() == targets("a")
    await world.check()


async def test_a_session_that_ended_before_the_start_answers_as_ever(world: World) -> None:
    """Whoever never heard the first answer asks again, perhaps of a server whose node is away."""
    session = await world.open()
    (first,) = await world.accepted(session, "a")
    await world.quiet()
    await world.kit.revoke(session)
    await world.block(4)
    await world.restart()
    assert session not in world.kit.state.sessions
    world.chain.down = 10**6
    (again, new) = await world.act(session, "a", "b")
    assert again == Accepted("a", first.action_id, duplicate=True)
    assert isinstance(new, SessionRevoked)
    assert not await world.kit.cancel(session, "a")
    assert (await world.kit.revoke(session)).in_flight == ()
    assert await world.states() == {"a": "ok"}
