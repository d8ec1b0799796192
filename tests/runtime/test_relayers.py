import asyncio
from typing import Any

import pytest

from gamekit.config import FeeConfig, RelayConfig
from gamekit.core.relay import CANCEL, FINAL, MINED, REPLACED, SENT, RelayNonce, RelayTransaction
from gamekit.errors import ChainUnavailable, ConfigInvalid, FeeTooLow, StoreConflict
from gamekit.testing.scenery import Keys, config
from gamekit.testing.wire import DecodedTransaction
from gamekit.units import Address, Gas, Hash32, PermissionId, PlayerId, Wei
from tests.runtime.world import World, turns


async def sent(world: World, *keys: str) -> PermissionId:
    session = await world.open()
    await world.accepted(session, *(keys or "a"))
    await world.sign()
    await world.send()
    return session


async def rows(world: World) -> list[RelayTransaction]:
    """Bundles by (nonce, attempt)."""
    found = await world.store.select(RelayTransaction)
    return sorted((row for row in found if row.kind == "handle_ops"), key=lambda row: (row.nonce, row.attempt))


def miscount(world: World, relayer: Address, wrong: list[int]) -> list[int]:
    """Let the node's next counts of a relayer be wrong, each by so many. Gives what it has said."""
    count, by, said = world.chain.transaction_count, iter(wrong), list[int]()

    async def lie(address: Address, **how: Any) -> int:
        if address != relayer:
            return await count(address, **how)
        said.append(await count(address, **how) + next(by, 0))
        return said[-1]

    world.chain.transaction_count = lie  # type: ignore[method-assign]
    return said


async def test_a_transaction_is_durable_before_it_leaves(world: World) -> None:
    await world.open()
    seen: list[str] = []
    send = world.chain.send_raw_transaction

    async def look(raw: bytes) -> None:
        seen.extend(row.state for row in await rows(world) if row.raw == raw)
        await send(raw)

    world.chain.send_raw_transaction = look  # type: ignore[method-assign]
    await sent(world)
    assert seen == [SENT]


async def test_its_life_ends_final(world: World) -> None:
    await sent(world)
    await world.block()
    assert [row.state for row in await rows(world)] == [MINED]
    await world.block(2)
    assert [row.state for row in await rows(world)] == [FINAL]
    assert world.kit._relayers._by_hash == {}


async def test_what_is_not_mined_is_sent_again_byte_for_byte(world: World) -> None:
    await sent(world)
    world.chain.drop()
    await world.block(2, empty=True)
    assert world.chain.sent[-1] == world.chain.sent[-2]


async def test_what_the_node_has_taken_is_given_one_block(world: World) -> None:
    await sent(world)
    already = len(world.chain.sent)
    await world.block(empty=True)
    assert len(world.chain.sent) == already


async def test_what_waits_too_long_is_replaced_with_both_fees_raised(world: World) -> None:
    await sent(world)
    await world.block(3, empty=True)
    first, second = await rows(world)
    assert (first.nonce, first.attempt, second.nonce, second.attempt) == (first.nonce, 0, first.nonce, 1)
    assert 10 * second.max_fee_per_gas >= 11 * first.max_fee_per_gas
    assert 10 * second.max_priority_fee_per_gas >= 11 * first.max_priority_fee_per_gas
    assert [tx.nonce for tx in world.chain.pending] == [first.nonce]
    await world.quiet()
    assert sorted(row.state for row in await rows(world)) == [FINAL, REPLACED]
    await world.check()


async def test_the_attempt_that_was_replaced_may_land(world: World) -> None:
    await sent(world)
    older = list(world.chain.pending)
    await world.block(3, empty=True)
    world.chain.pending = older
    await world.quiet()
    assert [row.state for row in await rows(world)] == [FINAL, REPLACED]
    await world.check()


async def test_a_fee_that_the_pool_refuses_is_raised_with_the_next_head(world: World) -> None:
    session = await world.open()
    relayer = next(iter(world.keys.pool))
    dear = DecodedTransaction(Hash32(b"\x01" * 32), relayer, 1, relayer, b"", 5 * 10**9, 3 * 10**8, b"")
    world.chain.pending.append(dear)
    await world.accepted(session, "a")
    await world.sign()
    await world.send()
    assert world.chain.operations() == []
    await world.block(12, empty=True)
    assert world.chain.operations() != []
    await world.quiet()
    await world.check()


async def test_at_the_fee_cap_an_operator_is_told_once(keys: Keys) -> None:
    world = World(keys, config(fees=FeeConfig(max_fee_per_gas_max_wei=22 * 10**8)))
    await world.start()
    await sent(world)
    await world.block(20, empty=True)
    assert len(await rows(world)) == 1
    assert len(await world.events("alarm")) == 1
    await world.quiet()
    await world.check()


async def test_after_the_last_replacement_it_only_waits(keys: Keys) -> None:
    world = World(keys, config(relay=RelayConfig(replacements_max=2, replace_after_blocks=1)))
    await world.start()
    await sent(world)
    await world.block(9, empty=True)
    assert [row.attempt for row in await rows(world)] == [0, 1, 2]
    assert len(await world.events("alarm")) == 1


async def test_at_the_cap_its_nonce_is_freed_and_what_it_carried_travels_in_another(keys: Keys) -> None:
    """A pool that forgets a bundle again and again, but takes a transfer, is not stuck for ever."""
    world = World(keys, config(relay=RelayConfig(replacements_max=1, replace_after_blocks=1)))
    await world.start()
    await sent(world)
    for _ in range(4):
        world.chain.pending = [tx for tx in world.chain.pending if not world.chain.operations_of(tx)]
        await world.block()
    (cancelled,) = [row for row in await world.store.select(RelayTransaction) if row.kind == CANCEL]
    first = (await rows(world))[0]
    assert (cancelled.nonce, cancelled.to, cancelled.subjects) == (first.nonce, first.relayer, ())
    assert cancelled.state in (MINED, FINAL)
    await world.quiet()
    assert {row.nonce for row in await rows(world)} == {first.nonce, first.nonce + 1}
    assert len(await world.events("alarm")) == 1
    await world.check()


async def test_the_attempt_that_was_cancelled_may_land(keys: Keys) -> None:
    world = World(keys, config(relay=RelayConfig(replacements_max=1, replace_after_blocks=1)))
    await world.start()
    await sent(world)
    bundle = list(world.chain.pending)
    await world.block(4, empty=True)
    world.chain.pending = bundle
    await world.quiet()
    await world.check()


async def test_while_gas_costs_more_than_the_cap_nothing_is_cancelled(keys: Keys) -> None:
    world = World(keys, config(relay=RelayConfig(replacements_max=0, replace_after_blocks=1)))
    await world.start()
    await sent(world)
    world.chain.base_fee = Wei(300 * 10**9)
    await world.block(6, empty=True)
    assert [row.kind for row in await world.store.select(RelayTransaction) if row.kind == CANCEL] == []
    world.chain.base_fee = Wei(10**9)
    await world.quiet()
    await world.check()


async def test_no_head_ends_before_all_that_it_began(keys: Keys) -> None:
    """One cancel's estimate fails, another one's is slow: with the next head that one would be made twice."""
    world = World(keys, config(relay=RelayConfig(replacements_max=0, replace_after_blocks=1, operations_max=1)))
    await world.start()
    for number in range(2):
        session = await world.open(PlayerId(f"p{number}"), Address(bytes([1 + number]) * 20))
        await world.accepted(session, f"k{number}")
    await world.sign()
    await world.send()
    estimate, answer = world.chain.estimate_gas, asyncio.Event()
    asked: list[Address] = []

    async def slow(to: Address, data: bytes, **how: Any) -> Gas:
        asked.append(to)
        if len(asked) == 1:
            raise ChainUnavailable("no answer")
        await answer.wait()
        return await estimate(to, data, **how)

    world.chain.estimate_gas = slow  # type: ignore[method-assign]
    head = asyncio.create_task(world.block(empty=True))
    await turns()
    assert (len(asked), head.done()) == (2, False)
    answer.set()
    await head
    await world.quiet()
    await world.check()


async def test_what_lands_before_its_cancel_is_signed_is_not_cancelled(keys: Keys) -> None:
    world = World(keys, config(relay=RelayConfig(replacements_max=0, replace_after_blocks=1)))
    await world.start()
    await sent(world)
    bundle = list(world.chain.pending)
    estimate = world.chain.estimate_gas

    async def late(to: Address, data: bytes, **how: Any) -> Gas:
        world.chain.pending = bundle
        world.chain.mine()
        head = world.chain.top.head
        await world.store.commit(world.kit._relayers.on_receipts(head, await world.chain.receipts(head)))
        return await estimate(to, data, **how)

    world.chain.estimate_gas = late  # type: ignore[method-assign]
    await world.block(empty=True)
    world.chain.estimate_gas = estimate  # type: ignore[method-assign]
    assert [row.kind for row in await world.store.select(RelayTransaction) if row.kind == CANCEL] == []
    await world.quiet()
    await world.check()


async def test_nothing_is_signed_that_the_balance_might_not_cover(world: World) -> None:
    session = await world.open()
    relayer = next(iter(world.keys.pool))
    world.chain.base_fee = Wei(50 * 10**9)
    await world.block(4)
    world.kit._relayers._relayers[relayer].balance = world.chain.balances[relayer] = Wei(10**16)
    await world.accepted(session, "a")
    await world.turn(4)
    assert await rows(world) == []
    assert "to spare" in str((await world.events("alarm"))[0].body)
    world.chain.balances[relayer] = Wei(10**18)
    await world.block(20)
    await world.quiet()
    await world.check()


async def test_a_gap_is_filled(world: World) -> None:
    """However it came about: what stands behind a nonce that nobody used would wait for ever."""
    session = await world.open()
    relayer = world.kit._relayers._relayers[next(iter(world.keys.pool))]
    relayer.next_nonce += 1
    await world.accepted(session, "a")
    await world.quiet()
    assert [row.kind for row in await world.store.select(RelayTransaction)].count(CANCEL) == 1
    await world.check()


async def test_a_reorg_takes_back_what_somebody_else_had_used_a_nonce_for(world: World) -> None:
    world.chain.finality = 20
    await sent(world)
    (row,) = await rows(world)
    world.chain.drop()
    world.chain.push(row.relayer, row.relayer, b"elsewhere")
    await world.turn(6)
    assert (await rows(world))[0].state == REPLACED
    world.chain.reorg(7, forget=True, length=8)
    world.chain.finality = 2
    await world.step()
    await world.quiet()
    counts = world.chain.top.world.counts[row.relayer]
    assert counts >= 2
    await world.check()


async def test_a_count_that_is_too_high_once_leaves_no_gap(world: World) -> None:
    await sent(world)
    count = world.chain.transaction_count
    asked: list[int] = []

    async def lie(address: Address, **how: Any) -> int:
        asked.append(await count(address, **how))
        return asked[-1] + (7 if len(asked) == 1 else 0)

    world.chain.transaction_count = lie  # type: ignore[method-assign]
    await world.block(empty=True)
    assert asked
    await world.quiet()
    assert [row.kind for row in await world.store.select(RelayTransaction) if row.kind == CANCEL] == []
    await world.check()


async def test_the_journal_refuses_another_transaction_at_one_nonce(world: World) -> None:
    """A relayer whose memory is wrong signs at a nonce that it has used: nothing leaves the process."""
    session = await sent(world)
    await world.quiet()
    relayer = world.kit._relayers._relayers[next(iter(world.keys.pool))]
    relayer.next_nonce -= 1
    await world.accepted(session, "b")
    await world.sign()
    before = list(world.chain.sent)
    with pytest.raises(StoreConflict, match="no replacement"):
        await world.send()
    assert world.chain.sent == before


async def test_planted_without_the_protection_it_leaves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RelayNonce, "admit", lambda *_: "")
    monkeypatch.setattr(RelayTransaction, "UNIQUE", ())
    session = await sent(world)
    await world.quiet()
    relayer = world.kit._relayers._relayers[next(iter(world.keys.pool))]
    relayer.next_nonce -= 1
    await world.accepted(session, "b")
    await world.sign()
    before = list(world.chain.sent)
    await world.send()
    assert len(world.chain.sent) == len(before) + 1


async def test_a_nonce_that_somebody_else_used_frees_what_it_carried(world: World) -> None:
    await sent(world)
    (row,) = await rows(world)
    world.chain.drop()
    world.chain.push(row.relayer, row.relayer, b"elsewhere")
    await world.quiet()
    first, second = await rows(world)
    assert (first.state, second.nonce) == (REPLACED, first.nonce + 1)
    assert len(await world.events("alarm")) == 1
    assert world.kit._relayers._relayers[row.relayer].quarantined_until > first.sent_at_block
    await world.block(3)
    assert world.kit._relayers._by_hash == {}
    await world.check()


async def test_a_reorg_takes_a_mined_transaction_back(world: World) -> None:
    world.chain.finality = 6
    await sent(world)
    await world.block()
    world.chain.reorg(1, forget=True, length=2)
    await world.step()
    assert [row.state for row in await rows(world)] == [SENT]
    await world.quiet()
    assert [row.state for row in await rows(world)] == [FINAL]


async def test_an_answer_that_comes_after_the_block_changes_nothing(world: World) -> None:
    """The node takes the transaction, mines it, and then says that its fee is too low."""
    await world.accepted(await world.open(), "a")
    await world.sign()
    send = world.chain.send_raw_transaction

    async def late(raw: bytes) -> None:
        await send(raw)
        await world.block()
        raise FeeTooLow("replacement transaction underpriced")

    world.chain.send_raw_transaction = late  # type: ignore[method-assign]
    await world.send()
    world.chain.send_raw_transaction = send  # type: ignore[method-assign]
    await world.quiet()
    assert [row.state for row in await rows(world)] == [FINAL]
    assert world.kit._relayers._by_hash == {}


async def test_a_reverted_bundle_is_followed_by_another(world: World) -> None:
    """Between simulation and block its lane was used: handleOps reverts, the nonce is spent."""
    session = await sent(world)
    lane = world.lane(session)
    pending = list(world.chain.pending)
    world.chain.drop()
    world.chain.consume(lane.session.account, lane.session.key)
    world.chain.mine()
    world.chain.pending = pending
    await world.quiet()
    assert not (await rows(world))[0].succeeded
    await world.check()


async def test_a_poor_relayer_gets_no_work_and_an_operator_is_told_once(world: World) -> None:
    session = await sent(world)
    relayer = next(iter(world.keys.pool))
    world.chain.balances[relayer] = Wei(10**15)
    await world.block(empty=True)
    await world.block(3)
    await world.accepted(session, "b")
    await world.turn(20)
    assert world.chain.operations() == []
    assert (await world.action("b")).state == "accepted"
    assert len(await world.events("alarm")) == 1
    world.chain.balances[relayer] = Wei(10**18)
    await world.block(20)
    await world.quiet()
    await world.check()


class TestRecovery:
    async def test_the_next_nonce_comes_from_journal_and_chain(self, world: World) -> None:
        await sent(world)
        (row,) = await rows(world)
        world.chain.drop()
        await world.restart()
        relayer = world.kit._relayers._relayers[row.relayer]
        assert relayer.next_nonce == row.nonce + 1
        assert [attempt.transaction_hash for attempt in relayer.unmined[row.nonce]] == [row.transaction_hash]
        await world.quiet()
        await world.check()

    @pytest.mark.parametrize(("wrong", "asked"), [([], 1), ([1000], 2), ([1, 2], 3)])
    async def test_a_count_that_is_too_high_once_is_not_believed(
        self, world: World, wrong: list[int], asked: int
    ) -> None:
        await sent(world)
        await world.quiet()
        relayer = next(iter(world.keys.pool))
        counted = miscount(world, relayer, wrong)
        await world.kit._relayers.recover()
        assert (world.kit._relayers._relayers[relayer].next_nonce, len(counted)) == (2, asked)

    @pytest.mark.parametrize(("wrong", "asked"), [([], 2), ([1], 3), ([-1], 3), ([5, 1], 4)])
    async def test_what_only_the_chain_knows_is_believed_when_it_was_said_twice(
        self, world: World, wrong: list[int], asked: int
    ) -> None:
        relayer = next(iter(world.keys.pool))
        world.chain.push(relayer, relayer, b"elsewhere")
        world.chain.mine()
        counted = miscount(world, relayer, wrong)
        await world.kit._relayers.recover()
        assert (world.kit._relayers._relayers[relayer].next_nonce, len(counted)) == (1, asked)

    async def test_a_node_that_counts_anew_each_time_is_no_witness(self, world: World) -> None:
        miscount(world, next(iter(world.keys.pool)), [1, 2, 3, 4])
        with pytest.raises(ChainUnavailable, match=r"counts \[1, 2, 3, 4\] transactions"):
            await world.kit._relayers.recover()

    async def test_attempts_are_found_in_their_order(self, world: World) -> None:
        await sent(world)
        await world.block(6, empty=True)
        await world.restart()
        (attempts,) = [each for one in world.kit._relayers._relayers.values() for each in one.unmined.values()]
        assert [row.attempt for row in attempts] == list(range(len(attempts)))
        await world.quiet()
        await world.check()

    async def test_a_mined_one_is_watched_until_it_is_final(self, world: World) -> None:
        world.chain.finality = 6
        await sent(world)
        await world.block()
        await world.restart()
        world.chain.reorg(1, forget=True, length=2)
        await world.step()
        assert [row.state for row in await rows(world)] == [SENT]
        await world.quiet()
        await world.check()


@pytest.mark.parametrize("relayers", [1, 3])
async def test_nonces_have_no_gap(tmp_path_factory: pytest.TempPathFactory, relayers: int) -> None:
    keys = Keys.make(tmp_path_factory.mktemp("relayers"), relayers)
    world = World(keys, config(relay=RelayConfig(operations_max=1)))
    await world.start()
    for number in range(6):
        session = await world.open(PlayerId(f"p{number}"), Address(bytes([1 + number]) * 20))
        await world.accepted(session, f"k{number}")
    await world.quiet()
    for relayer in keys.pool:
        nonces = [row.nonce for row in await world.store.select(RelayTransaction) if row.relayer == relayer]
        assert sorted(nonces) == list(range(len(nonces)))
    await world.check()


async def test_a_pool_without_keys_says_so(keys: Keys) -> None:
    world = World(Keys(keys.keystore, {}, {}))
    await world.start()
    with pytest.raises(ConfigInvalid, match="sessions"):
        await world.open()


async def test_a_node_that_does_not_answer_for_a_relayer_is_asked_again_with_the_next_head(world: World) -> None:
    await sent(world)
    count = world.chain.transaction_count

    async def silent(address: Address, **how: Any) -> int:
        raise ChainUnavailable("no answer")

    world.chain.transaction_count = silent  # type: ignore[method-assign]
    await world.block(3, empty=True)
    world.chain.transaction_count = count  # type: ignore[method-assign]
    await world.quiet()
    await world.check()
