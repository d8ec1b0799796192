"""What a node promises the runtime, on the simulated chain and on anvil: blocks, receipts, nonces, the pool, reorgs."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from gamekit.errors import CallReverted, ChainUnavailable, FeeTooLow, SubmitError
from gamekit.eth.session_validator_abi import REVOKE_SESSION_WITH_SIGNATURE, SESSION_VALIDATOR
from gamekit.testing.chain import TRANSACTION_GAS_MAX
from gamekit.testing.scenery import arena
from gamekit.units import Address, BlockNumber, Hash32, NonceKey, UnixSeconds, Wei
from tests.accounts.world import Key
from tests.testing.twins import CHAIN_ID, GWEI, Node, transaction

KEY = Key(0x7E57)
SOMEBODY = Address(b"\x77" * 20)
NOBODYS = (
    arena()
    .unit("play")
    .bind(account=SOMEBODY, signer=KEY.address, revoker=KEY.address, nonce_key=NonceKey(1), valid_after=UnixSeconds(1))
)
UNKNOWN_SESSION = REVOKE_SESSION_WITH_SIGNATURE.encode_call(SOMEBODY, NOBODYS.pack(), bytes(65))


async def send(node: Node, nonce: int, **how: int) -> Hash32:
    raw, sent = transaction(KEY, nonce, **how)  # type: ignore[arg-type]
    await node.sender.send_raw_transaction(raw)
    return sent


async def mined(node: Node, depth: int = 0) -> list[Hash32]:
    """The transactions of one block, so far below the head."""
    head = await node.reader.head()
    block = await node.reader.block(BlockNumber(head.number - depth))
    assert block is not None
    return [receipt.transaction_hash for receipt in await node.reader.receipts(block)]


@pytest.fixture(autouse=True)
async def _money(node: Node) -> None:
    await node.fund(KEY.address)


class TestBlocks:
    async def test_each_names_its_parent(self, node: Node) -> None:
        await node.mine(3)
        top = await node.reader.head()
        chain = [await node.reader.block(BlockNumber(top.number - depth)) for depth in range(4)]
        assert chain[0] == top
        for block, parent in pairwise(chain):
            assert block is not None
            assert parent is not None
            assert (parent.number, parent.hash) == (block.number - 1, block.parent_hash)
            assert block.timestamp == parent.timestamp + 2

    async def test_above_the_head_is_none(self, node: Node) -> None:
        top = await node.reader.head()
        assert await node.reader.block(BlockNumber(top.number + 1)) is None

    async def test_the_last_final_one_follows_the_head(self, node: Node) -> None:
        before = await node.reader.head()
        await node.mine(2)
        assert await node.reader.finalized() == before

    async def test_the_chain_is_named(self, node: Node) -> None:
        assert await node.reader.chain_id() == CHAIN_ID


class TestReceipts:
    async def test_of_exactly_one_block(self, node: Node) -> None:
        before = await node.reader.head()
        sent = await send(node, 0)
        await node.mine()
        top = await node.reader.head()
        assert await node.reader.receipts(before) == ()
        (receipt,) = await node.reader.receipts(top)
        assert (receipt.transaction_hash, receipt.block_hash, receipt.block_number) == (sent, top.hash, top.number)
        assert (receipt.sender, receipt.to, receipt.succeeded, receipt.logs) == (KEY.address, SOMEBODY, True, ())
        assert (before.transaction_count, top.transaction_count) == (0, 1)

    async def test_in_the_order_of_the_nonces(self, node: Node) -> None:
        second, first = await send(node, 1), await send(node, 0)
        await node.mine()
        assert await mined(node) == [first, second]

    async def test_of_what_reverted(self, node: Node) -> None:
        """It is mined, it uses its nonce up, and leaves no log."""
        module = node.contracts.session_validator
        raw, _ = transaction(KEY, 0, gas=200_000, to=module, data=UNKNOWN_SESSION)
        await node.sender.send_raw_transaction(raw)
        await node.mine()
        (receipt,) = await node.reader.receipts(await node.reader.head())
        assert (receipt.succeeded, receipt.logs) == (False, ())
        assert await node.reader.transaction_count(KEY.address) == 1

    async def test_the_calldata_is_kept(self, node: Node) -> None:
        raw, sent = transaction(KEY, 0, gas=60_000, data=b"\xbe\xef")
        await node.sender.send_raw_transaction(raw)
        await node.mine()
        assert await node.reader.transaction_data(sent) == b"\xbe\xef"

    async def test_of_a_transaction_that_the_node_does_not_have(self, node: Node) -> None:
        with pytest.raises(ChainUnavailable):
            await node.reader.transaction_data(Hash32(b"\x09" * 32))


class TestTransactionCount:
    async def test_at_the_head_with_what_is_pending_and_at_a_block(self, node: Node) -> None:
        before = await node.reader.head()
        await send(node, 0)
        count = node.reader.transaction_count
        assert (await count(KEY.address), await count(KEY.address, pending=True)) == (0, 1)
        await node.mine()
        assert (await count(KEY.address), await count(KEY.address, pending=True)) == (1, 1)
        assert await count(KEY.address, block=before.hash) == 0

    async def test_what_is_behind_a_gap_is_not_next(self, node: Node) -> None:
        await send(node, 0)
        await send(node, 2)
        assert await node.reader.transaction_count(KEY.address, pending=True) == 1
        await node.mine(2)
        assert await node.reader.transaction_count(KEY.address) == 1


class TestPool:
    async def test_the_same_again_is_success(self, node: Node) -> None:
        sent = [await send(node, 0), await send(node, 0)]
        await node.mine()
        assert await mined(node) == sent[:1]

    async def test_a_nonce_that_is_consumed(self, node: Node) -> None:
        """Whatever consumed it: the same transaction, or another."""
        await send(node, 0)
        await node.mine()
        for fee in (100, 500):
            with pytest.raises(SubmitError) as refused:
                await send(node, 0, fee=fee * GWEI)
            assert not isinstance(refused.value, FeeTooLow)

    @pytest.mark.parametrize(("fee", "tip", "gas"), [(100, 10, 22_000), (99, 10, 21_000)])
    async def test_a_replacement_that_pays_no_more(self, node: Node, fee: int, tip: int, gas: int) -> None:
        first = await send(node, 0, fee=100 * GWEI, tip=10 * GWEI)
        with pytest.raises(FeeTooLow):
            await send(node, 0, fee=fee * GWEI, tip=tip * GWEI, gas=gas)
        await node.mine()
        assert await mined(node) == [first]

    @pytest.mark.parametrize(("fee", "tip"), [(109, 11), (110, 10), (120, 10)])
    async def test_a_replacement_that_pays_less_than_a_tenth_more(self, node: Node, fee: int, tip: int) -> None:
        """By design different: anvil takes whatever pays more, real pools want a tenth more of both fees."""
        first = await send(node, 0, fee=100 * GWEI, tip=10 * GWEI)
        if not node.is_pool:
            second = await send(node, 0, fee=fee * GWEI, tip=tip * GWEI)
        else:
            with pytest.raises(FeeTooLow):
                await send(node, 0, fee=fee * GWEI, tip=tip * GWEI)
            second = first
        await node.mine()
        assert await mined(node) == [second]

    async def test_a_replacement_that_pays_a_tenth_more_of_both_is_mined(self, node: Node) -> None:
        await send(node, 0, fee=100 * GWEI, tip=10 * GWEI)
        second = await send(node, 0, fee=110 * GWEI, tip=11 * GWEI)
        await node.mine()
        assert await mined(node) == [second]

    async def test_a_fee_below_the_base_fee_is_not_mined(self, node: Node) -> None:
        """By design different: anvil refuses it, real pools and ours may keep it for a cheaper block."""
        refused = False
        with suppress(FeeTooLow):
            refused = True
            await send(node, 0, fee=1, tip=1)
            refused = False
        assert refused == node.refuses_low_fees
        await node.mine()
        assert await mined(node) == []
        assert await node.reader.transaction_count(KEY.address) == 0

    async def test_the_cap_of_a_transactions_gas(self, node: Node) -> None:
        with pytest.raises(SubmitError) as refused:
            await send(node, 0, gas=TRANSACTION_GAS_MAX + 1)
        assert not isinstance(refused.value, FeeTooLow)
        sent = await send(node, 0, gas=TRANSACTION_GAS_MAX)
        await node.mine()
        assert await mined(node) == [sent]


class TestReorg:
    async def test_an_orphaned_block_is_unknown(self, node: Node) -> None:
        await send(node, 0)
        await node.mine(2)
        top = await node.reader.head()
        orphaned = await node.reader.block(BlockNumber(top.number - 1))
        assert orphaned is not None
        shared = await node.reader.block(BlockNumber(top.number - 2))
        await node.reorg(2)
        now = await node.reader.block(orphaned.number)
        assert now is not None
        assert shared is not None
        assert (now.hash != orphaned.hash, now.parent_hash) == (True, shared.hash)
        assert await node.reader.receipts(now) == ()
        questions: list[Callable[[], Awaitable[object]]] = [
            lambda: node.reader.receipts(orphaned),
            lambda: node.reader.transaction_count(KEY.address, block=orphaned.hash),
            lambda: node.reader.code(SOMEBODY, block=orphaned.hash),
            lambda: node.reader.call(SOMEBODY, b"\x01\x02\x03\x04", block=orphaned.hash),
        ]
        for ask in questions:
            with pytest.raises(ChainUnavailable):
                await ask()

    async def test_the_head_is_as_high_as_before(self, node: Node) -> None:
        await send(node, 0)
        await node.mine(2)
        before = await node.reader.head()
        await node.reorg(2)
        after = await node.reader.head()
        assert (after.number, after.hash != before.hash) == (before.number, True)

    async def test_what_was_mined_is_mined_no_more(self, node: Node) -> None:
        sent = await send(node, 0)
        await node.mine()
        await node.reorg(1)
        assert await node.reader.transaction_count(KEY.address) == 0
        if not node.is_pool:
            with pytest.raises(ChainUnavailable):
                await node.reader.transaction_data(sent)

    async def test_what_was_mined_is_pending_again(self, node: Node) -> None:
        """By design different: anvil forgets what a reorg took out, real nodes put it back into the pool."""
        sent = await send(node, 0)
        await node.mine()
        await node.reorg(1)
        await node.mine()
        assert await mined(node) == ([sent] if node.is_pool else [])

    async def test_what_was_mined_can_be_sent_again(self, node: Node) -> None:
        """What both promise: handing it over once more is success, whether the node still has it or not."""
        sent = await send(node, 0)
        await node.mine()
        await node.reorg(1)
        assert await send(node, 0) == sent
        await node.mine()
        assert await mined(node) == [sent]

    async def test_what_was_mined_can_be_replaced(self, node: Node) -> None:
        await send(node, 0, fee=100 * GWEI, tip=10 * GWEI)
        await node.mine()
        await node.reorg(1)
        second = await send(node, 0, fee=110 * GWEI, tip=11 * GWEI)
        await node.mine()
        assert await mined(node) == [second]


class TestState:
    async def test_a_balance(self, node: Node) -> None:
        await node.fund(SOMEBODY, Wei(12_345))
        assert await node.reader.balance(SOMEBODY) == 12_345

    async def test_what_reverts_says_why(self, node: Node) -> None:
        """When it is called and when its gas is estimated."""
        module = node.contracts.session_validator
        questions: list[Callable[[], Awaitable[object]]] = [
            lambda: node.reader.call(module, UNKNOWN_SESSION),
            lambda: node.reader.estimate_gas(module, UNKNOWN_SESSION, sender=KEY.address),
        ]
        for ask in questions:
            with pytest.raises(CallReverted) as reverted:
                await ask()
            revert = SESSION_VALIDATOR.decode_revert(reverted.value.data)
            assert (revert.name, revert.values.get("state")) == ("SessionNotLive", 0)

    async def test_the_gas_of_a_transfer(self, node: Node) -> None:
        assert await node.reader.estimate_gas(KEY.address, b"", sender=KEY.address) >= 21_000

    async def test_a_contract_has_code(self, node: Node) -> None:
        top = await node.reader.head()
        assert await node.reader.code(node.contracts.session_validator)
        assert await node.reader.code(node.contracts.session_validator, block=top.hash)

    async def test_a_suggested_tip(self, node: Node) -> None:
        assert 0 <= await node.reader.max_priority_fee_per_gas() < 10**12
