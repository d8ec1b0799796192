"""A relayer's nonce is a slot: what was released at it is known for ever, and what was not written was never there."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from gamekit.core.relay import CANCEL, FINAL, MINED, REPLACED, SENT, RelayTransaction
from gamekit.errors import StoreUnavailable
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.units import Address, Gas, PermissionId, Wei
from tests.runtime.test_relayers import rows, sent
from tests.runtime.world import OWNER, World, released


@pytest.mark.parametrize("restarted", ["", "mined", "taken back"])
async def test_a_reorg_takes_back_what_an_older_attempt_had_won(world: World, restarted: str) -> None:
    """Every attempt may land again, and the next one must outbid them all, not only the one that was mined."""
    world.chain.finality = 30
    await sent(world)
    older = list(world.chain.pending)
    await world.block(6, empty=True)
    world.chain.pending = older
    await world.block()
    assert [row.state for row in await rows(world)] == [MINED, REPLACED, REPLACED]
    if restarted == "mined":
        await world.restart()
    world.chain.reorg(1, forget=True, length=2)
    await world.step()
    found = await rows(world)
    assert [row.state for row in found] == [SENT, SENT, SENT]
    if restarted == "taken back":
        await world.restart()
    assert world.chain.sent[-1] == found[-1].raw
    world.chain.drop()
    await world.block(2, empty=True)
    assert [row.attempt for row in await rows(world)] == [0, 1, 2, 3]
    await world.quiet()
    await world.check()


@pytest.mark.parametrize("mined", ["", "an older attempt"])
async def test_a_start_hands_over_what_it_finds_before_it_is_outbid(world: World, mined: str) -> None:
    world.chain.finality = 30
    await sent(world)
    older = list(world.chain.pending)
    await world.block(3, empty=True)
    if mined:
        world.chain.pending = older
        await world.block()
        world.chain.reorg(1, forget=True, length=2)
    world.chain.drop()
    for _ in range(4):
        world.chain.mine(empty=True)
    before = len(world.chain.sent)
    await world.restart()
    latest = (await rows(world))[-1]
    assert (latest.attempt, world.chain.sent[before:]) == (1, [latest.raw])
    await world.block(empty=True)
    assert [row.attempt for row in await rows(world)] == [0, 1, 2]
    await world.quiet()
    await world.check()


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_was_given_up_for_two_wrong_counts_goes_on(world: World, restarted: bool) -> None:
    """A start must not take its nonce for another transaction: its bytes left the process."""
    session = await sent(world)
    (first,) = await rows(world)
    count = world.chain.transaction_count

    async def lie(address: Address, **how: Any) -> int:
        return await count(address, **how) + 1

    world.chain.transaction_count = lie  # type: ignore[method-assign]
    await world.block(2, empty=True)
    assert (await rows(world))[0].state == REPLACED
    world.chain.transaction_count = count  # type: ignore[method-assign]
    world.chain.drop()
    world.chain.base_fee = Wei(2 * 10**9)  # So that the same calls would be other bytes now.
    await world.block(empty=True)
    if restarted:
        await world.restart()
    await world.accepted(session, "b")
    await world.quiet()
    assert {row.transaction_hash for row in await rows(world) if row.nonce == first.nonce} == {first.transaction_hash}
    assert (await world.store.get(RelayTransaction, first.transaction_hash)).state == FINAL  # type: ignore[union-attr]
    await world.check()


async def test_a_count_that_lags_at_the_start_takes_no_nonce_twice(world: World) -> None:
    """What is final stands in no list of what is watched, and somebody else's transactions have no row at all."""
    session = await sent(world, "a")
    await world.quiet()
    relayer = next(iter(world.keys.pool))
    world.chain.push(relayer, relayer, b"elsewhere")
    await world.block(33)
    await world.accepted(session, "b")
    await world.quiet()
    used = {row.nonce for row in await world.store.select(RelayTransaction)}
    count = world.chain.transaction_count

    async def lag(address: Address, **how: Any) -> int:
        return 1

    world.chain.transaction_count = lag  # type: ignore[method-assign]
    await world.restart()
    world.chain.transaction_count = count  # type: ignore[method-assign]
    assert world.kit._relayers._relayers[relayer].next_nonce == max(used) + 1 > len(used)
    await world.accepted(session, "c")
    await world.quiet()
    await world.check()


class TestAReceiptUnderOurHash:
    """No header commits to a transaction's hash: what a receipt says of a nonce, the chain's count may contradict."""

    @pytest.mark.parametrize("since", ["", "final", "restarted", "final and restarted"])
    async def test_that_was_another_transactions(self, world: World, since: str) -> None:
        session, row = await self._lied(world)
        lied_at = world.chain.top.head.number
        if "final" in since:
            await world.block(2)
        assert (await rows(world))[0].state == (FINAL if "final" in since else MINED)
        if "restarted" in since:
            await world.restart()
        await world.accepted(session, "b")
        await world.quiet()
        found = await world.store.get(RelayTransaction, row.transaction_hash)
        assert found is not None
        assert (found.state, found.mined_at_block > lied_at) == (FINAL, True)
        assert world.chain.top.world.counts[row.relayer] == world.kit._relayers._relayers[row.relayer].next_nonce
        await world.check()

    async def test_that_was_another_transactions_while_gas_became_dearer(self, world: World) -> None:
        _, row = await self._lied(world)
        await world.block(2)
        world.chain.base_fee = Wei(20 * 10**9)
        await world.quiet()
        await world.block(2)
        first, second = [each for each in await rows(world) if each.nonce == row.nonce]
        assert (first.state, first.mined_at_block, second.state) == (REPLACED, 0, FINAL)
        assert world.kit._relayers._by_hash == {}
        await world.check()

    @pytest.mark.parametrize("state", [MINED, FINAL])
    async def test_is_believed_again_when_the_node_was_only_behind(self, world: World, state: str) -> None:
        world.chain.finality = 2 if state == FINAL else 30
        row = await self._doubted(world, state)
        assert await world.store.get(RelayTransaction, row.transaction_hash) == row, "nothing is written for a doubt"
        await world.block(2, empty=True)
        (relayer,) = world.kit._relayers._relayers.values()
        assert (list(relayer.unmined), relayer.quarantined_until) == ([row.nonce + 1], 0)
        await world.quiet()
        await world.block(3)
        found = await world.store.get(RelayTransaction, row.transaction_hash)
        assert found is not None
        assert (found.state, found.mined_at_block, await world.events("alarm")) == (FINAL, row.mined_at_block, [])
        await world.check()

    async def test_whose_block_is_replaced_while_it_is_doubted(self, world: World) -> None:
        world.chain.finality = 30
        row = await self._doubted(world, MINED)
        world.chain.reorg(world.chain.top.head.number - row.mined_at_block + 1, forget=True, length=6)
        await world.step()
        found = await world.store.get(RelayTransaction, row.transaction_hash)
        assert found is not None
        assert (found.state, found.mined_at_block) == (SENT, 0)
        world.chain.finality = 2
        await world.quiet()
        assert (await rows(world))[0].state == FINAL
        await world.check()

    async def _lied(self, world: World) -> tuple[PermissionId, RelayTransaction]:
        """A transaction that the node has dropped, and that is mined as it says; its session."""
        session = await sent(world)
        (row,) = await rows(world)
        world.chain.drop()
        world.chain.push(OWNER, OWNER, b"elsewhere")
        receipts = world.chain.receipts

        async def lie(block: Head) -> tuple[TransactionReceipt, ...]:
            return tuple(replace(each, transaction_hash=row.transaction_hash) for each in await receipts(block))

        world.chain.receipts = lie  # type: ignore[method-assign]
        await world.block()
        world.chain.receipts = receipts  # type: ignore[method-assign]
        return session, row

    async def _doubted(self, world: World, state: str) -> RelayTransaction:
        """A transaction that was mined, at whose nonce the node says at two heads that nothing was sent."""
        session = await sent(world)
        await world.block(3)
        (row,) = await rows(world)
        assert row.state == state
        await world.accepted(session, "b")
        await world.sign()
        await world.send()

        count = world.chain.transaction_count

        async def behind(address: Address, **how: Any) -> int:
            return row.nonce

        world.chain.transaction_count = behind  # type: ignore[method-assign]
        await world.block(2, empty=True)
        world.chain.transaction_count = count  # type: ignore[method-assign]
        (relayer,) = world.kit._relayers._relayers.values()
        assert (sorted(relayer.unmined), row.raw in world.chain.sent[-2:]) == ([row.nonce, row.nonce + 1], True)
        return row


class TestWhatTheDiskRefuses:
    """Nothing leaves without its row, and what was not written is as if it had never been signed."""

    async def test_leaves_neither_transaction_nor_nonce(self, world: World) -> None:
        refused = world.refuse(released, 2)
        relayers = world.kit._relayers
        (relayer,) = relayers._relayers.values()
        signed = [relayers.sign(relayer, "open", OWNER, b"", Gas(50_000), (bytes([each]),)) for each in range(2)]
        sends = [relayers.send(row) for row in signed if row is not None]
        answers = await asyncio.gather(*sends, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
        assert (relayer.next_nonce, relayer.unmined, relayers._by_hash, relayers.carried()) == (0, {}, {}, set())
        await world.block(3)
        assert len(refused) == 2
        assert (world.chain.sent, await world.store.select(RelayTransaction)) == ([], [])
        await sent(world)
        await world.quiet()
        assert {row.nonce for row in await world.store.select(RelayTransaction)} == {0, 1}
        await world.check()

    async def test_a_nonce_below_another_one_is_used_up(self, world: World) -> None:
        session = await world.open()
        world.refuse(released)
        relayers = world.kit._relayers
        (relayer,) = relayers._relayers.values()
        signed = [relayers.sign(relayer, "open", OWNER, b"", Gas(50_000), (bytes([each]),)) for each in range(2)]
        sends = [relayers.send(row) for row in signed if row is not None]
        await asyncio.gather(*sends, return_exceptions=True)
        assert (relayer.next_nonce, list(relayer.unmined)) == (3, [2])
        await world.accepted(session, "a")
        await world.quiet()
        found = await world.store.select(RelayTransaction)
        assert [row.nonce for row in found if row.kind == CANCEL] == [1]
        await world.check()

    async def test_of_an_attempt_leaves_those_before_it(self, world: World) -> None:
        await sent(world)
        (first,) = await rows(world)
        world.refuse(released)
        with pytest.raises(StoreUnavailable):
            await world.block(3, empty=True)
        (relayer,) = world.kit._relayers._relayers.values()
        assert relayer.unmined == {first.nonce: [first]}
        assert world.chain.sent[-1] == first.raw
