import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gamekit.core import tracking
from gamekit.core.action import Action
from gamekit.core.event import AlarmEvent
from gamekit.core.session import REVOKED, Session
from gamekit.core.tracking import CONSUMED, DEAD, FOREIGN, SUPERSEDED, Operation
from gamekit.errors import ChainUnavailable, StoreError
from gamekit.eth.entry_point import FailedOp
from gamekit.units import PermissionId
from tests.runtime.world import World, targets


async def sent(world: World, *keys: str) -> PermissionId:
    """A session with one operation in the pool."""
    session = await world.open()
    await world.accepted(session, *keys)
    await world.sign()
    await world.send()
    return session


class TestFree:
    async def test_actions_leave_a_slot_only_when_the_deadline_passed_in_finalized_time(self, world: World) -> None:
        session = await sent(world, "a")
        world.chain.drop()
        await world.kit.pause("chain", "the test", "tester")
        deadline = (await world.operations())[0].deadline
        while world.kit.state.final is None or world.kit.state.final.timestamp <= deadline:
            assert not world.lane(session).ready
            await world.block(seconds=20, empty=True)
        assert [action.key for action in world.lane(session).ready] == ["a"]
        assert {operation.state for operation in await world.operations()} == {DEAD}
        await world.kit.resume("chain", "the test", "tester")
        await world.quiet()
        await world.check()

    async def test_the_deadline_itself_is_not_past(self, world: World) -> None:
        session = await sent(world, "a")
        await world.kit.pause("chain", "the test", "tester")
        left = (await world.operations())[0].deadline - world.chain.top.head.timestamp
        await world.block(seconds=left, empty=True)
        await world.block(2, seconds=1, empty=True)
        assert world.kit.state.final is not None
        assert world.kit.state.final.timestamp == (await world.operations())[0].deadline
        assert not world.lane(session).ready
        await world.block(seconds=1, empty=True)
        assert world.lane(session).ready

    async def test_a_freed_action_is_planned_again_in_the_same_sequence(self, world: World) -> None:
        session = await sent(world, "a")
        await expire(world)
        await world.quiet()
        assert {operation.sequence for operation in await world.operations()} == {0}
        assert world.lane(session).sequence == 1
        await world.check()

    async def test_a_finalized_block_beyond_our_head_proves_nothing(self, world: World) -> None:
        """A node may move between two answers: blocks below its final one are not read yet, and may hold ours."""
        session = await sent(world, "a")
        answer = world.chain.head
        world.chain.mine(empty=True)

        async def then_move() -> object:
            head = await answer()
            world.chain.mine()
            world.chain.mine(3, seconds=100)
            return head

        world.chain.head = then_move  # type: ignore[assignment, method-assign]
        await world.step()
        world.chain.head = answer  # type: ignore[method-assign]
        assert not world.lane(session).ready
        await world.quiet()
        await world.check()

    @pytest.mark.parametrize("planted", [False, True])
    async def test_planted_time_of_the_head_frees_what_still_lands(
        self, world: World, monkeypatch: pytest.MonkeyPatch, planted: bool
    ) -> None:
        """The head passes the deadline, a reorg goes back behind it, and the operation lands after all."""
        if planted:
            real = tracking.may_expire
            at_head = lambda live, _: real(live, world.kit.state.head.timestamp)  # noqa: E731
            monkeypatch.setattr("gamekit.runtime.resolve.may_expire", at_head)
        session = await sent(world, "a")
        await world.block(seconds=100, empty=True)
        await world.accepted(session, "b")
        await world.sign()
        await world.send()
        world.chain.reorg(1)
        await world.block()
        await world.quiet()
        assert world.ran().count(targets("a")[0]) == (2 if planted else 1)
        if not planted:
            await world.check()


async def expire(world: World) -> None:
    """Nothing lands until every deadline is final; nothing is signed again meanwhile."""
    world.chain.drop()
    await world.kit.pause("chain", "the test", "tester")
    await world.block(3, seconds=100, empty=True)
    world.chain.drop()
    await world.block(seconds=100, empty=True)
    world.chain.drop()
    await world.kit.resume("chain", "the test", "tester")


class TestForeign:
    async def test_a_slot_used_by_something_else_frees_its_actions_only_when_that_is_final(self, world: World) -> None:
        session = await sent(world, "a")
        lane = world.lane(session)
        world.chain.drop()
        world.chain.consume(lane.session.account, lane.session.key)
        await world.block()
        for _ in range(2):
            assert not lane.ready
            await world.block()
        assert [action.key for action in lane.ready] == ["a"]
        assert {operation.state for operation in await world.operations()} == {FOREIGN}
        await world.quiet()
        assert world.lane(session).sequence == 2
        await world.check()

    async def test_nothing_is_written_of_a_slot_while_its_end_goes_to_disk(self, world: World) -> None:
        """Else a start finds an operation in flight in a slot that somebody else used up, and frees nothing, ever."""
        session = await sent(world, "a")
        lane, (ours,) = world.lane(session), await world.operations()
        world.chain.drop()
        world.chain.consume(lane.session.account, lane.session.key)
        commit = world.store.commit

        def slow(rows: Any) -> Any:
            ends = any(isinstance(row, Operation) and row.state == FOREIGN for row in rows)
            return asyncio.gather(commit(rows), refused()) if ends else commit(rows)

        async def refused() -> None:
            await world.kit._bundler._reject(ours, FailedOp(0, "AA25 invalid account nonce", None, b""))

        world.store.commit = slow  # type: ignore[method-assign]
        while not lane.ready:
            await world.block()
        assert {operation.state for operation in await world.operations()} == {FOREIGN}
        await world.restart()
        await world.quiet()
        assert await world.told("a") == ["settled", "final"]
        await world.check()

    async def test_what_is_given_up_while_its_session_ends_is_refused_once(self, world: World) -> None:
        """The revocation is on its way to disk: who ends the session refuses what waits, and what was just freed."""
        session = await sent(world, "a")
        lane = world.lane(session)
        world.chain.drop()
        world.chain.consume(lane.session.account, lane.session.key)
        ending: list[asyncio.Task[Any]] = []
        commit = world.store.commit

        def together(rows: Any) -> Any:
            if any(isinstance(row, Operation) and row.state == FOREIGN for row in rows) and not ending:
                ending.append(asyncio.ensure_future(world.kit.revoke(session)))
                return asyncio.gather(commit(rows), *ending)
            return commit(rows)

        world.store.commit = together  # type: ignore[method-assign]
        while not ending:
            await world.block()
        await world.block(8, seconds=40)
        assert await world.told("a") == ["refused"]

    async def test_what_a_stranger_consumed_is_not_loaded_as_ours(self, world: World) -> None:
        session = await sent(world, "a")
        slot = next(iter(world.lane(session).slots.values())).slot
        await world.store.commit((replace(slot, state=CONSUMED),))
        world.chain.drop()
        world.chain.consume(slot.sender, world.lane(session).session.key)
        await world.block()
        await world.restart()
        await world.quiet()
        assert await world.told("a") == ["settled", "final"]
        await world.check()

    async def test_a_reorg_takes_the_foreign_operation_back_and_ours_lands(self, world: World) -> None:
        session = await sent(world, "a")
        lane = world.lane(session)
        kept = list(world.chain.pending)
        world.chain.drop()
        world.chain.consume(lane.session.account, lane.session.key)
        await world.block()
        world.chain.reorg(1, forget=True)
        world.chain.pending = kept
        await world.quiet()
        assert await world.told("a") == ["settled", "final"]
        await world.check()


class TestResign:
    async def test_the_same_actions_are_signed_again_in_the_same_slot(self, world: World) -> None:
        await sent(world, "a", "b")
        world.chain.drop()
        await world.block(seconds=70, empty=True)
        first, second = sorted(await world.operations(), key=lambda operation: operation.deadline)
        assert (first.sequence, first.action_ids) == (second.sequence, second.action_ids)
        assert second.deadline > first.deadline
        assert second.max_fee_per_gas * 10 >= first.max_fee_per_gas * 11
        assert second.max_priority_fee_per_gas * 10 >= first.max_priority_fee_per_gas * 11

    @pytest.mark.parametrize("older_lands", [True, False])
    async def test_either_variant_resolves_the_slot(self, world: World, older_lands: bool) -> None:
        await sent(world, "a")
        older = list(world.chain.pending)
        await world.block(seconds=70, empty=True)
        await world.send()
        newer = [tx for tx in world.chain.pending if tx not in older]
        order = older if older_lands else newer
        operations = [op for tx in order for op in world.chain.operations_of(tx)]
        world.chain.drop()
        world.chain.run(operations)
        await world.block()
        await world.quiet()
        landed = [operation for operation in await world.operations() if operation.state == "final"]
        assert [op.deadline for op in landed] == [
            (min if older_lands else max)(op.deadline for op in await world.operations())
        ]
        assert [op.state for op in await world.operations() if op not in landed] == [SUPERSEDED]
        await world.check()

    async def test_the_same_hash_may_be_signed_again_once_it_is_dead(self, world: World) -> None:
        """Fees at their cap do not rise: the operation that is planned anew has the hash of the one that died."""
        session = await sent(world, "a")
        await expire(world)
        before = await world.operations()
        assert {operation.state for operation in before} == {DEAD}
        await world.sign()
        assert len(await world.operations()) == len(before)
        await world.quiet()
        assert not world.lane(session).stopped
        await world.check()

    async def test_actions_past_their_own_time_are_not_signed_again(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a", not_after=world.chain.top.head.timestamp + 50)
        await world.sign()
        await world.send()
        world.chain.drop()
        await world.block(seconds=70, empty=True)
        assert len(await world.operations()) == 1
        await world.block(3, seconds=70, empty=True)
        await world.sign()
        assert await world.told("a") == ["refused"]
        assert (await world.action("a")).reason == "action_expired"
        await world.check()


class TestRecovery:
    async def test_what_ended_long_ago_is_not_loaded(self, world: World) -> None:
        old = await sent(world, "a", "b")
        await world.quiet()
        await world.kit.revoke(old)
        await world.turn(8)
        assert world.kit.session_row(old).state == REVOKED
        assert not world.kit.state.recent.of(old), "its keys are forgotten"
        new = await world.open()
        await world.accepted(new, "c")
        read: list[Any] = []
        select = world.store.select

        async def watched(kind: Any, **how: Any) -> Any:
            rows = await select(kind, **how)
            read.extend(row for row in rows if isinstance(row, Action | Session))
            return rows

        world.store.select = watched  # type: ignore[method-assign]
        await world.restart()
        assert list(world.kit.state.sessions) == [new]
        assert [row.key for row in read if isinstance(row, Action)] == ["c"]
        assert old not in [row.permission_id for row in read if isinstance(row, Session)]
        await world.quiet()
        await world.check()

    async def test_a_revocation_that_is_not_final_is_loaded(self, world: World) -> None:
        session = await world.open()
        await world.kit.revoke(session)
        await world.turn()
        assert world.kit.session_row(session).state == REVOKED
        await world.restart()
        assert world.kit.session_row(session).state == REVOKED

    async def test_what_waited_in_a_session_that_ended_is_told(self, world: World) -> None:
        """The process died between the row that ended the session and those that refuse its actions."""
        session = await world.open()
        await world.accepted(session, "a")
        await world.block(5, empty=True)
        row = world.kit.session_row(session)
        await world.store.commit((row.moved("expired"),))
        await world.restart()
        assert await world.states() == {"a": "refused"}

    async def test_nothing_is_signed_at_start_up_for_a_revoked_session(self, world: World) -> None:
        session = await sent(world, "a")
        await world.kit.revoke(session)
        world.chain.drop()
        world.signed.clear()
        world.chain.mine(seconds=70, empty=True)
        await world.restart()
        assert world.signed == []
        await world.quiet()
        assert world.kit.session_row(session).state == REVOKED
        await world.check()

    async def test_an_operation_of_an_expired_session_is_followed_to_its_end(self, world: World) -> None:
        session = await sent(world, "a")
        await world.block()
        await world.block(seconds=700, empty=True)
        assert world.kit.session_row(session).state == "expired"
        await world.restart()
        await world.quiet()
        assert await world.told("a") == ["settled", "final"]
        await world.check()

    async def test_what_a_reorg_took_back_while_the_process_was_down_is_not_final(self, world: World) -> None:
        session = await sent(world, "a")
        await world.block()
        assert await world.told("a") == ["settled"]
        world.chain.reorg(1, forget=True, length=4)
        await world.restart()
        assert await world.told("a") == ["settled", "reorged"]
        assert world.lane(session).in_flight
        await world.quiet()
        assert await world.told("a") == ["settled", "reorged", "settled", "final"]
        await world.check()

    async def test_a_slot_that_something_else_used_before_the_start_is_not_used_again(self, world: World) -> None:
        """The block that shows it is final and read, but the crash came before the actions were freed."""
        session = await sent(world, "a")
        lane = world.lane(session)
        world.chain.drop()
        world.chain.consume(lane.session.account, lane.session.key)
        await world.block(2)
        world.chain.mine()
        await world.kit._settle._finalize(await world.chain.finalized())
        await world.restart()
        await world.quiet()
        assert world.lane(session).sequence == 2
        await world.check()


class TestStuck:
    async def alarms(self, world: World) -> list[str]:
        told = [msgspec.msgpack.decode(event.body, type=AlarmEvent) for event in await world.events("alarm")]
        return [each.what for each in told if each.what == "lanes_stuck"]

    async def test_an_operator_is_told_once(self, world: World) -> None:
        await sent(world, "a")
        for _ in range(5):
            world.chain.drop()
            await world.turn(seconds=30, empty=True)
        assert await self.alarms(world) == []
        for _ in range(8):
            world.chain.drop()
            await world.turn(seconds=30, empty=True)
        assert await self.alarms(world) == ["lanes_stuck"]
        await world.quiet()
        await world.check()

    async def test_not_of_lanes_that_a_pause_stops(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.kit.pause("function:arena.attack", "the test", "tester")
        await world.block(12, seconds=30)
        assert await self.alarms(world) == []

    async def test_not_of_lanes_that_go_on(self, world: World) -> None:
        session = await world.open()
        for number in range(12):
            await world.accepted(session, f"k{number}")
            await world.turn(seconds=30)
        assert await self.alarms(world) == []


async def test_figures_that_the_chain_does_not_give_are_asked_for_with_the_next_head(world: World) -> None:
    world.chain.finality = 6
    session = await sent(world, "a")
    await world.block()
    await world.accepted(session, "b")
    world.chain.reorg(1, length=2)
    call = world.chain.call

    async def silent(*_: object, **__: object) -> bytes:
        raise ChainUnavailable("no answer")

    world.chain.call = silent  # type: ignore[method-assign]
    await world.step()
    assert not world.lane(session).usage_known
    world.chain.call = call  # type: ignore[method-assign]
    await world.quiet()
    await world.check()


async def test_a_slot_whose_session_is_missing_stops_the_start(world: World) -> None:
    """A journal that lost rows is not guessed about."""
    session = await sent(world, "a")
    del world.store._rows[Session][session,]
    with pytest.raises(StoreError, match="no session"):
        await world.restart()
