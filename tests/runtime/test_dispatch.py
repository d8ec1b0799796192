import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from msgspec.structs import replace

from gamekit.config import BatchConfig, FeeConfig
from gamekit.core.action import Action, ActionRequest
from gamekit.core.fees import bid
from gamekit.core.journal import Row
from gamekit.core.pausing import Pause
from gamekit.core.prepare import call_gas, pre_verification_gas, verification_gas
from gamekit.core.tracking import EXPIRED, LIVE, SIGNED, Operation, Slot
from gamekit.errors import SigningFailed
from gamekit.testing.scenery import config
from gamekit.units import Address, PlayerId, UnixSeconds, Wei
from tests.runtime.world import World, attack, reverting, targets


async def test_the_signature_is_durable_before_anything_is_sent(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    (operation,) = await world.operations()
    assert operation.state == SIGNED
    assert len(operation.signature) == 65
    assert world.chain.operations() == []


async def test_the_operation_is_durable_before_it_is_signed(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    seen: list[str] = []
    signer = world.kit._dispatch._signer
    sign_many = signer.sign_many

    def look(keys: Any, digests: Any) -> list[bytes]:
        seen.extend(row.state for row in cast("dict[bytes, Operation]", world.store._rows[Operation]).values())
        return sign_many(keys, digests)

    signer.sign_many = look  # type: ignore[method-assign]
    await world.sign()
    assert seen == ["planned"]


async def test_actions_of_one_lane_travel_together_in_order(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a", "b", "c")
    await world.quiet()
    assert len(await world.operations()) == 1
    assert world.ran() == targets("a", "b", "c")


async def test_one_operation_of_a_lane_is_in_flight_at_a_time(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    await world.accepted(session, "b")
    await world.sign()
    assert len(await world.operations()) == 1
    await world.quiet()
    assert world.ran() == targets("a", "b")


async def test_a_full_operation_leaves_the_rest_for_the_next(world: World) -> None:
    session = await world.open()
    keys = [f"k{number}" for number in range(11)]
    await world.accepted(session, *keys)
    await world.quiet()
    assert sorted(len(operation.action_ids) for operation in await world.operations()) == [3, 8]
    assert world.ran() == targets(*keys)


async def test_a_reverted_call_of_a_try_batch_leaves_the_others_standing(world: World) -> None:
    session = await world.open()
    world.chain.reverts = reverting("b")
    await world.accepted(session, "a", "b", "c")
    await world.quiet()
    assert await world.states() == {"a": "ok", "b": "reverted", "c": "ok"}
    assert "NoStamina" in (await world.action("b")).reason
    assert world.ran() == targets("a", "b", "c")


async def test_a_group_happens_as_a_whole(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.accepted(session, "g0", "g1", group="g")
    await world.accepted(session, "b")
    await world.quiet()
    assert sorted(len(operation.action_ids) for operation in await world.operations()) == [1, 1, 2]
    assert world.ran() == targets("a", "g0", "g1", "b")


async def test_a_group_is_undone_as_a_whole(world: World) -> None:
    session = await world.open()
    world.chain.reverts = reverting("g1")
    await world.accepted(session, "g0", "g1", group="g")
    await world.quiet()
    assert await world.states() == {"g0": "reverted", "g1": "reverted"}
    assert not (await world.operations())[0].succeeded


async def test_a_group_that_no_operation_holds_is_refused(world: World) -> None:
    """It was accepted when operations could be larger."""
    session = await world.open()
    keys = [f"g{number}" for number in range(8)]
    await world.accepted(session, *keys, group="g")
    await world.accepted(session, "a")
    world.config = config(batch=BatchConfig(calls_max=7))
    await world.restart()
    await world.quiet()
    assert await world.states() == dict.fromkeys(keys, "refused") | {"a": "ok"}


async def test_what_is_late_is_refused_and_not_signed(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a", not_after=world.chain.top.head.timestamp + 1)
    await world.accepted(session, "b")
    await world.block()
    await world.quiet()
    assert await world.states() == {"a": "refused", "b": "ok"}
    assert (await world.action("a")).reason == "action_expired"
    await world.check()


async def test_not_after_is_inclusive(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a", not_after=world.chain.top.head.timestamp)
    await world.quiet()
    assert await world.states() == {"a": "ok"}


async def test_an_ending_session_refuses_what_waits(world: World) -> None:
    session = await world.open()
    until = world.kit.session_row(session).valid_until
    await world.block(seconds=until - world.chain.top.head.timestamp - 1, empty=True)
    await world.accepted(session, "a")
    await world.block(seconds=1, empty=True)
    await world.quiet()
    assert (await world.action("a")).reason == "session_expired"
    await world.check()


class TestGas:
    async def test_an_operation_over_its_limit_is_held_until_gas_is_cheaper(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        world.chain.base_fee = Wei(10**12)
        world.kit.state.config = replace(config(), fees=FeeConfig(max_fee_per_gas_max_wei=10**13))
        await world.block()
        await world.turn(3)
        assert await world.states() == {"a": "accepted"}
        world.chain.base_fee = Wei(10**9)
        await world.block()
        await world.quiet()
        assert await world.states() == {"a": "ok"}

    async def test_gas_over_the_cap_holds_the_lane(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        world.chain.base_fee = Wei(10**15)
        await world.block()
        await world.turn(3)
        assert await world.operations() == []
        world.chain.base_fee = Wei(10**9)
        await world.block()
        await world.quiet()
        await world.check()

    async def test_a_batch_over_the_limit_is_made_smaller(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a", "b", "c", "d")
        lane = world.lane(session)
        fees = bid(world.kit.state.head.base_fee_per_gas, world.kit.state.tip, world.config.fees)
        assert fees is not None
        limits = world.config.batch
        gas = call_gas(2 * 50_000, 2, limits) + verification_gas(2, limits) + pre_verification_gas(2, limits)
        limit = Wei(gas * fees.max_fee_per_gas)
        lane.scope = replace(lane.scope, gas=replace(lane.scope.gas, per_operation_wei_max=limit))
        await world.quiet()
        assert [len(operation.action_ids) for operation in await world.operations()] == [2, 2]
        assert world.ran() == targets("a", "b", "c", "d")

    async def test_an_exhausted_budget_refuses_what_it_cannot_pay(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        lane = world.lane(session)
        lane.usage = replace(lane.usage, gas_spent_wei=Wei(lane.scope.gas.budget_wei - 1))
        await world.sign()
        assert (await world.action("a")).reason == "scope_denied"
        assert await world.told("a") == ["refused"]


async def test_an_action_over_a_cap_is_refused_and_the_others_go_on(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a", "b", "c")
    lane = world.lane(session)
    over = replace(lane.ready[0], lane_amounts=(5, 0))
    lane.ready[0] = over
    await world.quiet()
    assert await world.states() == {"a": "refused", "b": "ok", "c": "ok"}


class TestPause:
    async def test_a_paused_function_is_not_signed(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.kit.pause("function:arena.attack", "the test", "tester")
        await world.turn(3)
        assert await world.operations() == []
        await world.kit.resume("function:arena.attack", "the test", "tester")
        await world.quiet()
        await world.check()

    async def test_what_stands_before_a_paused_function_goes_on_and_what_stands_behind_waits(
        self, world: World
    ) -> None:
        session = await world.open()
        await world.kit.accept(session, [move("m0"), attack("a"), move("m1")])
        await world.kit.pause("function:arena.attack", "the test", "tester")
        await world.turn(3)
        assert await world.states() == {"m0": "ok", "a": "accepted", "m1": "accepted"}

    async def test_a_paused_function_is_not_signed_again(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.sign()
        await world.kit.pause("function:arena.attack", "the test", "tester")
        await world.block(seconds=70, empty=True)
        assert len(await world.operations()) == 1


def move(key: str) -> ActionRequest:
    return ActionRequest(key, "move", (1, 1))


class TestStop:
    async def test_nothing_is_signed_after_the_lane_stopped(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        world.signed.clear()
        commit = world.store.commit

        def revoke_in_between(rows: Any) -> Any:
            if any(type(row).__name__ == "Operation" for row in rows):
                world.lane(session).stopped = "session_revoked"
            return commit(rows)

        world.store.commit = revoke_in_between  # type: ignore[method-assign]
        await world.sign()
        assert world.signed == []
        assert (await world.action("a")).reason == "session_revoked"

    async def test_what_is_accepted_while_the_session_is_revoked_is_refused(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        answer = world.kit.accept(session, [attack("b")])
        revoked = world.kit.revoke(session)
        await revoked
        await answer
        await world.quiet()
        assert (await world.action("b")).state == "refused"
        assert await world.told("b") == ["refused"]
        await world.check()

    async def test_a_key_that_does_not_open_stops_its_own_lane_only(self, world: World) -> None:
        sessions = [await world.open(PlayerId(name), Address(name.encode() * 20)) for name in ("a", "b")]
        for session, key in zip(sessions, ("x", "y"), strict=True):
            await world.accepted(session, key)
        lane = world.lane(sessions[0])
        lane.session = replace(lane.session, sealed=b"\x07" * 64)
        await world.quiet()
        assert await world.states() == {"x": "refused", "y": "ok"}
        assert (await world.action("x")).reason == SigningFailed.code
        assert len(await world.events("alarm")) == 1
        await world.check()


class TestPauseMeanwhile:
    async def test_one_that_is_written_between_plan_and_signature_stops_it(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        commit = world.store.commit
        loop = asyncio.get_running_loop()

        def paused_meanwhile(rows: Sequence[Row]) -> "asyncio.Future[None]":
            written = commit(rows)
            if not any(isinstance(row, Operation) and row.state == "planned" for row in rows):
                return written
            later: asyncio.Future[None] = loop.create_future()
            pausing = loop.create_task(world.kit.pause("chain", "exploit", "olga"))
            pausing.add_done_callback(lambda _: later.set_result(None))
            return later

        world.store.commit = paused_meanwhile  # type: ignore[method-assign]
        world.signed.clear()
        await world.sign()
        world.store.commit = commit  # type: ignore[method-assign]
        assert world.signed == []
        assert len(world.lane(session).ready) == 1
        await world.kit.resume("chain", "patched", "olga")
        await world.quiet()
        assert await world.states() == {"a": "ok"}
        await world.check()

    async def test_one_holds_what_was_only_planned_before_a_restart(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")

        class Crash(BaseException):
            pass

        def crash(*_: object) -> list[bytes]:
            raise Crash

        world.kit._dispatch._signer.sign_many = crash  # type: ignore[method-assign,assignment]
        with pytest.raises(Crash):
            await world.sign()
        await world.kit.pause("chain", "exploit", "olga")
        world.signed.clear()
        await world.restart()
        await world.turn(2)
        assert world.signed == []
        await world.kit.resume("chain", "patched", "olga")
        await world.quiet()
        assert await world.states() == {"a": "ok"}
        await world.check()


async def test_a_machine_that_signs_wrongly_stops_everything(world: World) -> None:
    """Every key opens by itself, so no key is to blame: nothing more may be signed."""
    session = await world.open()
    await world.accepted(session, "a")

    def untrusted(keys: Any, digests: Any) -> list[bytes]:
        raise SigningFailed("a signature does not recover to its key's address")

    world.kit._dispatch._signer.sign_many = untrusted  # type: ignore[method-assign]
    with pytest.raises(SigningFailed):
        await world.sign()
    assert {operation.signature for operation in await world.operations()} == {b""}


async def test_a_new_variant_that_must_not_be_signed_any_more_is_dropped_and_the_old_one_stands(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    await world.send()
    commit = world.store.commit

    def revoke_in_between(rows: Any) -> Any:
        if any(isinstance(row, Operation) and row.state == "planned" for row in rows):
            world.lane(session).stopped = "session_revoked"
        return commit(rows)

    world.store.commit = revoke_in_between  # type: ignore[method-assign]
    world.signed.clear()
    await world.block(seconds=70, empty=True)
    world.store.commit = commit  # type: ignore[method-assign]
    assert world.signed == []
    assert sorted(operation.state for operation in await world.operations()) == ["dead", "sent"]
    await world.quiet()
    assert world.ran() == targets("a")
    await world.check()


async def test_one_operation_in_flight_however_slow_the_disk_is(world: World) -> None:
    """While the refusal of a late action is written, another task opens the lane's slot."""
    session = await world.open()
    await world.accepted(session, "late", not_after=world.chain.top.head.timestamp)
    await world.accepted(session, "a", "b")
    await world.block(seconds=10)
    lane = world.lane(session)
    commit, slow = world.store.commit, [asyncio.get_running_loop().create_future()]

    def waits(rows: Any) -> Any:
        if not slow or not any(isinstance(row, Action) and row.state == "refused" for row in rows):
            return commit(rows)
        return asyncio.gather(slow.pop(), commit(rows))

    refused = slow[0]
    world.store.commit = waits  # type: ignore[method-assign]
    first = asyncio.create_task(world.kit._dispatch.sign([lane]))
    await asyncio.sleep(0)
    await world.kit._dispatch.sign([lane])
    assert (lane.in_flight, len(lane.ready)) == (True, 0)
    await world.accepted(session, "c")
    refused.set_result(None)
    await first
    assert [sequence for sequence, live in lane.slots.items() if live.slot.state == LIVE] == [0]
    assert [action.key for action in lane.ready] == ["c"]
    await world.quiet()
    assert world.ran() == targets("a", "b", "c")
    await world.check()


async def test_what_is_dropped_unsigned_is_not_overtaken(world: World) -> None:
    """The lane is free again in the step that puts the actions back, not after the disk has taken it."""
    session = await world.open()
    await world.accepted(session, "a")
    lane = world.lane(session)
    commit = world.store.commit
    seen: list[tuple[bool, list[str]]] = []

    def paused_between(rows: Any) -> Any:
        if any(isinstance(row, Slot) and row.state == EXPIRED for row in rows):
            seen.append((lane.in_flight, [action.key for action in lane.ready]))
        if any(isinstance(row, Operation) and row.state == "planned" for row in rows):
            world.kit.state.pauses.put(Pause("game:arena", "now", "test", UnixSeconds(0)))
        return commit(rows)

    world.store.commit = paused_between  # type: ignore[method-assign]
    await world.sign()
    assert seen == [(False, ["a"])]
