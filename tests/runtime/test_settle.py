import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest

from gamekit.core.journal import FINAL_BLOCK, Meta
from gamekit.errors import ChainMismatch, ChainUnavailable
from gamekit.eth.block import Head
from gamekit.testing.scenery import Keys, chain_config, config
from gamekit.units import PermissionId
from tests.runtime.world import ALICE, OWNER, World, reverting, targets


async def included(world: World, *keys: str) -> PermissionId:
    session = await world.open()
    await world.accepted(session, *keys)
    await world.turn()
    return session


async def test_an_action_goes_from_accepted_to_final(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    assert (await world.action("a")).state == "accepted"
    await world.turn()
    assert (await world.action("a")).state == "ok"
    assert await world.told("a") == ["settled"]
    await world.quiet()
    assert await world.told("a") == ["settled", "final"]
    assert world.ran() == targets("a")
    await world.check()


async def test_an_outcome_is_told_when_its_block_is_as_deep_as_configured(keys: Keys) -> None:
    world = World(keys, config(chain=chain_config(included_depth=3)))
    await world.start()
    request = await world.kit.propose(ALICE, "arena", "play", OWNER)
    await world.kit.open(request.permission_id, b"signature")
    await world.block(2)
    assert world.kit.session_row(request.permission_id).state == "granting"
    await world.block()
    assert world.kit.session_row(request.permission_id).state == "open"
    await world.accepted(request.permission_id, "a")
    await world.turn()
    for _ in range(2):
        assert await world.told("a") == []
        await world.block()
    assert await world.told("a") == ["settled", "final"]


async def test_an_operation_in_somebody_elses_transaction_counts(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    await world.send()
    operations = world.chain.operations()
    world.chain.drop()
    world.chain.run(operations)
    await world.quiet()
    assert await world.told("a") == ["settled", "final"]
    await world.check()


async def test_nothing_new_is_no_step(world: World) -> None:
    assert not await world.step()


async def test_a_node_that_lags_behind_says_nothing_new(world: World) -> None:
    await world.block(2)
    top = world.chain.blocks.pop()
    assert not await world.step()
    assert world.kit.state.head == top.head


async def test_what_a_failed_step_left_undone_is_done_with_the_same_head(world: World) -> None:
    """The node answers for the block and then no more: the head is read, and what is due with it waits."""
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    world.chain.mine()
    fee = world.chain.max_priority_fee_per_gas

    async def no_answer() -> Any:
        raise ChainUnavailable("no answer")

    world.chain.max_priority_fee_per_gas = no_answer  # type: ignore[method-assign]
    with pytest.raises(ChainUnavailable):
        await world.step()
    world.chain.max_priority_fee_per_gas = fee  # type: ignore[method-assign]
    assert await world.step()
    assert not await world.step()


class TestReorg:
    @pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
    async def test_outcomes_are_taken_back_and_told_again(self, world: World, depth: int) -> None:
        world.chain.finality = 8
        session = await included(world, "a", "b")
        await world.block(depth - 1)
        assert await world.told("a") == ["settled"]
        world.chain.reorg(depth, length=depth + 1)
        await world.step()
        assert await world.told("a") == ["settled", "reorged"]
        assert (await world.action("a")).state == "accepted"
        assert world.lane(session).in_flight
        await world.quiet()
        assert await world.told("a") == ["settled", "reorged", "settled", "final"]
        assert await world.told("b") == ["settled", "reorged", "settled", "final"]
        assert world.ran() == targets("a", "b")
        await world.check()

    async def test_an_outcome_may_change(self, world: World) -> None:
        world.chain.finality = 8
        await included(world, "a")
        world.chain.reorg(1)
        world.chain.reverts = reverting("a")
        await world.block()
        await world.quiet()
        assert await world.told("a") == ["settled", "reorged", "settled", "final"]
        assert (await world.action("a")).state == "reverted"

    async def test_what_the_new_fork_forgot_is_sent_again(self, world: World) -> None:
        world.chain.finality = 8
        await included(world, "a")
        world.chain.reorg(1, forget=True)
        await world.quiet()
        assert world.ran() == targets("a")
        await world.check()

    async def test_a_shorter_fork_takes_back_as_well(self, world: World) -> None:
        world.chain.finality = 8
        await included(world, "a")
        await world.block(2)
        world.chain.reorg(3, length=1)
        await world.step()
        assert await world.told("a") == ["settled", "reorged"]
        await world.quiet()
        await world.check()

    async def test_an_unsettled_inclusion_that_is_taken_back_tells_nothing(self, keys: Keys) -> None:
        """Included again in a later block, it is told when that block is deep, not when the first would have been."""
        world = World(keys, config(chain=chain_config(included_depth=3)))
        world.chain.finality = 12
        await world.start()
        request = await world.kit.propose(ALICE, "arena", "play", OWNER)
        await world.kit.open(request.permission_id, b"signature")
        await world.block(3)
        await world.accepted(request.permission_id, "a")
        await world.turn()
        number = world.chain.top.head.number
        world.chain.reorg(1, length=2)
        await world.step()
        await world.block()
        assert world.chain.top.head.number == number + 2
        assert world.ran() == targets("a")
        for _ in range(2):
            assert await world.told("a") == []
            await world.block()
        assert await world.told("a") == ["settled"]

    async def test_two_operations_of_a_lane_taken_back_keep_their_order(self, world: World) -> None:
        world.chain.finality = 10
        session = await included(world, "a")
        await world.accepted(session, "b")
        await world.turn()
        world.chain.reorg(2, forget=True)
        await world.quiet()
        assert world.ran() == targets("a", "b")
        await world.check()

    async def test_a_gap_before_a_slot_lets_it_die_and_order_is_kept(self, world: World) -> None:
        """The first of two may not be signed again (its own time is over), so the second could never land."""
        world.chain.finality = 4
        session = await world.open()
        await world.accepted(session, "a", not_after=world.chain.top.head.timestamp + 10)
        await world.turn()
        await world.accepted(session, "b")
        await world.turn()
        world.chain.reorg(2, forget=True)
        for _ in range(14):
            await world.sign()
            await world.block(seconds=30, empty=True)
            world.chain.drop()
        await world.quiet()
        assert (await world.action("a")).reason == "action_expired"
        assert (await world.action("b")).state == "ok"
        await world.check()

    async def test_a_chain_that_moves_while_it_is_read_is_read_again(self, world: World) -> None:
        world.chain.reorg(2)
        block = world.chain.block

        async def moved(number: Any) -> Head | None:
            world.chain.block = block  # type: ignore[method-assign]
            return None

        world.chain.block = moved  # type: ignore[method-assign]
        with pytest.raises(ChainUnavailable, match="moved"):
            await world.step()
        assert await world.step()

    async def test_what_was_read_stays_read_when_the_node_falls_silent(self, world: World) -> None:
        """Else a server that is far behind a node that often fails would never catch up."""
        before = world.kit.state.head.number
        world.chain.mine(6)
        receipts, asked = world.chain.receipts, 0

        async def silent(block: Head) -> Any:
            nonlocal asked
            asked += 1
            if asked == 4:
                raise ChainUnavailable("no answer")
            return await receipts(block)

        world.chain.receipts = silent  # type: ignore[method-assign]
        with pytest.raises(ChainUnavailable, match="no answer"):
            await world.step()
        assert world.kit.state.head.number == before + 3
        assert await world.step()
        assert (world.kit.state.head.number, asked) == (before + 6, 7)


class TestCatchUp:
    async def test_blocks_since_the_start_are_read_even_if_none_of_them_became_final(self, world: World) -> None:
        """The process dies before any block that it has read is final: the next one misses none."""
        world.chain.finality = 100
        session = await world.open()
        await world.accepted(session, "a")
        await world.sign()
        await world.send()
        world.chain.mine(6)
        await world.restart()
        assert await world.told("a") == ["settled"]
        await world.check()

    async def test_reading_resumes_after_the_last_final_block_that_is_told(self, world: World) -> None:
        await world.block(5)
        row = await world.store.get(Meta, FINAL_BLOCK)
        assert row is not None
        final = world.chain.blocks[-3].head
        assert row.value == final.number.to_bytes(8, "big") + final.hash

    async def test_what_is_final_and_not_told_yet_is_read_again(self, keys: Keys) -> None:
        """Outcomes are told deeper than blocks are final: reading resumes where everything is told."""
        world = World(keys, config(chain=chain_config(included_depth=6)))
        await world.start()
        request = await world.kit.propose(ALICE, "arena", "play", OWNER)
        await world.kit.open(request.permission_id, b"signature")
        await world.block(4)
        await world.restart()
        assert world.kit.session_row(request.permission_id).state == "granting"
        await world.block(2)
        assert world.kit.session_row(request.permission_id).state == "open"
        await world.accepted(request.permission_id, "a")
        await world.turn(4)
        await world.restart()
        assert await world.told("a") == []
        await world.quiet()
        assert await world.told("a") == ["settled", "final"]

    async def test_a_journal_of_another_chain_is_refused(self, world: World) -> None:
        await world.block(5)
        world.chain.reorg(9)
        with pytest.raises(ChainMismatch) as refused:
            await world.restart()
        assert set(refused.value.compared) == {"expected", "found"}

    async def test_a_node_behind_the_last_final_block_is_refused(self, world: World) -> None:
        await world.block(5)
        del world.chain.blocks[5:]
        with pytest.raises(ChainUnavailable, match="behind"):
            await world.restart()

    async def test_a_start_that_dies_again_and_again_comes_further_each_time(self, world: World) -> None:
        """Far behind the chain, and killed after twenty blocks each time: one day it has read them all."""
        session = await world.open()
        await world.accepted(session, "a")
        world.chain.mine(100)
        commit: Any = world.store.commit
        starts = 0
        while starts < 12:
            starts += 1
            left = [20]

            def dying(rows: Any, left: list[int] = left) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
                return commit(rows)

            world.store.commit = dying  # type: ignore[method-assign]
            try:
                await world.restart()
            except KeyboardInterrupt:
                continue
            break
        world.store.commit = commit  # type: ignore[method-assign]
        assert 4 < starts < 12
        await world.restart()
        await world.quiet()
        await world.check()

    async def test_a_block_that_still_stands_is_not_taken_back(self, world: World) -> None:
        world.chain.finality = 6
        await included(world, "a")
        await world.restart()
        assert await world.told("a") == ["settled"]
        await world.quiet()
        assert await world.told("a") == ["settled", "final"]

    @pytest.mark.parametrize("longer", [1, 3])
    async def test_what_a_reorg_replaces_while_a_start_reads_is_taken_back(self, world: World, longer: int) -> None:
        """Blocks that the process before had read are compared when they are read again, not once at the start."""
        world.chain.finality = 8
        session = await world.open()
        await world.block(3)
        await world.accepted(session, "a")
        await world.turn()
        await world.block()
        assert await world.told("a") == ["settled"]
        receipts, asked = world.chain.receipts, [0]

        async def meanwhile(block: Head) -> Any:
            asked[0] += 1
            if asked[0] == 2:
                world.chain.reorg(2, forget=True, length=2 + longer)
            return await receipts(block)

        world.chain.receipts = meanwhile  # type: ignore[method-assign]
        with suppress(ChainUnavailable):
            await world.restart()
        world.chain.receipts = receipts  # type: ignore[method-assign]
        await world.restart()
        await world.step()
        assert await world.told("a") == ["settled", "reorged"]
        await world.quiet()
        assert await world.told("a") == ["settled", "reorged", "settled", "final"]
        await world.check()

    async def test_a_node_that_is_behind_the_journal_takes_nothing_back(self, world: World) -> None:
        world.chain.finality = 8
        await included(world, "a")
        ahead = world.chain.blocks[-1:]
        del world.chain.blocks[-1:]
        await world.restart()
        world.chain.blocks += ahead
        await world.step()
        assert await world.told("a") == ["settled"]
        await world.quiet()
        assert await world.told("a") == ["settled", "final"]


class TestHostile:
    async def test_an_account_that_reports_nonsense_stops_nobody(self, world: World) -> None:
        session = await included(world, "z")
        assert session
        world.chain.garble = True
        await world.accepted(session, "a")
        await world.turn()
        world.chain.garble = False
        await world.accepted(session, "b")
        await world.quiet()
        assert (await world.action("a")).reason == "unreadable"
        assert (await world.action("b")).state == "ok"


class TestRun:
    async def test_a_node_that_does_not_answer_is_asked_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        waits: list[float] = []

        async def no_wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr("gamekit.runtime.settle.asyncio.sleep", no_wait)
        world.chain.down = 1
        with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
            await world.kit._settle.run()
        assert "does not answer" in caplog.text
        assert waits == [0.1, 0.1]


async def test_a_settled_action_wakes_who_waits_for_it(world: World) -> None:
    session = await world.open()
    (answer,) = await world.accepted(session, "a")
    waiting = world.kit.handle(answer.key, answer.action_id).settled()
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    await world.turn()
    assert (await task).state == "ok"


async def test_one_question_without_an_answer_keeps_nobody_else_from_acting(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    await world.send()
    world.chain.drop()

    async def silent() -> None:
        raise ChainUnavailable("no answer")

    world.kit._grant.on_head = silent  # type: ignore[method-assign]
    await world.quiet()
    assert "Grant at block" in caplog.text
    await world.check()
