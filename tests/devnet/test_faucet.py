"""Players and relayers get their money."""

import pytest

from gamekit.chain.rpc import from_quantity, to_data
from gamekit.devnet import DevnetNode, deposit, fund
from gamekit.devnet.deployment import ENTRY_POINT_SALTS, Plan, carry_out
from gamekit.errors import ChainError
from gamekit.eth.hashing import selector
from gamekit.units import Address, Wei

PLAYERS = [Address(bytes([number]) * 20) for number in range(0x51, 0x54)]


async def test_fund_default_sets_each_balance(node: DevnetNode) -> None:
    await fund(node, PLAYERS, Wei(10**18))
    balances = [await node.request(str, "eth_getBalance", to_data(player), "latest") for player in PLAYERS]
    assert [from_quantity(balance) for balance in balances] == [10**18] * 3


async def test_deposit_default_pays_into_the_entry_point_for_each_account(node: DevnetNode) -> None:
    plan = Plan()
    entry_point = plan.add("EntryPoint07", salt=ENTRY_POINT_SALTS["EntryPoint07"])
    await carry_out(node, plan)
    await deposit(node, entry_point, PLAYERS, Wei(10**17))
    for player in PLAYERS:
        asked = {"to": to_data(entry_point), "data": to_data(selector("balanceOf(address)") + bytes(12) + player)}
        assert from_quantity(await node.request(str, "eth_call", asked, "latest")) == 10**17


async def test_deposit_error_reverted(node: DevnetNode) -> None:
    reverts = Address(b"\x99" * 20)
    await node.set_code(reverts, bytes.fromhex("60006000fd"))
    with pytest.raises(ChainError, match="status 0x0"):
        await deposit(node, reverts, PLAYERS, Wei(1))
