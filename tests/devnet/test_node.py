"""The devnet node's own commands do what their names say."""

from collections.abc import AsyncIterator

import pytest

from gamekit.chain.rpc import from_quantity, to_data
from gamekit.devnet import DevnetNode
from gamekit.errors import ChainError
from gamekit.units import Address, Hash32, Wei

REVERTS = bytes.fromhex("60006000fd")
"""Runtime code that reverts whatever it is asked."""
SOMEBODY = Address(b"\x5a" * 20)
GAS = 50_000


@pytest.fixture
async def still(node: DevnetNode) -> AsyncIterator[DevnetNode]:
    """The same node, mining only when told: blocks can be counted."""
    await node.mine_automatically(interval_s=3600)
    yield node
    await node.mine_automatically()


async def balance(node: DevnetNode, address: Address) -> int:
    return from_quantity(await node.request(str, "eth_getBalance", to_data(address), "latest"))


async def test_send_default_moves_value(node: DevnetNode) -> None:
    funder = (await node.unlocked_accounts())[0]
    sent = await node.send(funder, SOMEBODY, b"", value=Wei(12), gas=GAS)
    await node.require_success(sent)
    assert await balance(node, SOMEBODY) == 12


async def test_require_success_error_reverted(node: DevnetNode) -> None:
    await node.set_code(SOMEBODY, REVERTS)
    sent = await node.send((await node.unlocked_accounts())[0], SOMEBODY, b"", gas=GAS)
    with pytest.raises(ChainError, match="status 0x0"):
        await node.require_success(sent)


async def test_require_success_error_not_mined(node: DevnetNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gamekit.devnet.node.MINED_S_MAX", 0.0)
    with pytest.raises(ChainError, match="status None"):
        await node.require_success(Hash32(bytes(32)))


async def test_set_balance_default(node: DevnetNode) -> None:
    await node.set_balance(SOMEBODY, Wei(10**18))
    assert await balance(node, SOMEBODY) == 10**18


async def test_mine_args_blocks(still: DevnetNode) -> None:
    before = await still.block_number()
    await still.mine(3)
    assert await still.block_number() == before + 3


async def test_mine_automatically_behaviour_pending_until_mined(still: DevnetNode) -> None:
    sent = await still.send((await still.unlocked_accounts())[0], SOMEBODY, b"", value=Wei(1), gas=GAS)
    assert await balance(still, SOMEBODY) == 0
    await still.mine_pending()
    await still.require_success(sent)


async def test_mine_pending_behaviour_leaves_mining_to_a_node_that_does_it(
    node: DevnetNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "mine", lambda: pytest.fail("mined"))
    await node.mine_pending()


async def test_drop_behaviour_a_dropped_transaction_is_never_mined(still: DevnetNode) -> None:
    sent = await still.send((await still.unlocked_accounts())[0], SOMEBODY, b"", value=Wei(1), gas=GAS)
    await still.drop(sent)
    await still.mine()
    assert await balance(still, SOMEBODY) == 0


async def test_reorganise_behaviour_transactions_are_gone(still: DevnetNode) -> None:
    await still.mine(2)
    sent = await still.send((await still.unlocked_accounts())[0], SOMEBODY, b"", value=Wei(1), gas=GAS)
    await still.mine()
    await still.require_success(sent)
    height = await still.block_number()
    await still.reorganise(1)
    assert (await balance(still, SOMEBODY), await still.block_number()) == (0, height)


async def test_increase_time_default_shows_in_the_next_block(node: DevnetNode) -> None:
    async def timestamp() -> int:
        block = await node.request(dict[str, object], "eth_getBlockByNumber", "latest", False)
        return from_quantity(str(block["timestamp"]))

    await node.mine()
    before = await timestamp()
    await node.increase_time(1000)
    await node.mine()
    assert await timestamp() - before in range(1000, 1010)


async def test_set_next_base_fee_default(node: DevnetNode) -> None:
    await node.set_next_base_fee(Wei(77))
    await node.mine()
    block = await node.request(dict[str, object], "eth_getBlockByNumber", "latest", False)
    assert block["baseFeePerGas"] == hex(77)


async def test_restore_error_unknown_snapshot(node: DevnetNode) -> None:
    with pytest.raises(ChainError, match="no snapshot"):
        await node.restore("0xffff")
