"""Money for a devnet's players and relayers."""

from collections.abc import Iterable

from gamekit.devnet.node import DevnetNode
from gamekit.eth.hashing import selector
from gamekit.units import Address, Wei

DEPOSIT_GAS = 100_000
"""Gas limit of one depositTo, which needs about 50,000 the first time."""


async def fund(node: DevnetNode, addresses: Iterable[Address], balance: Wei) -> None:
    """Set the balance of each address, in wei. No transaction, no block."""
    for address in addresses:
        await node.set_balance(address, balance)


async def deposit(node: DevnetNode, entry_point: Address, accounts: Iterable[Address], amount: Wei) -> None:
    """Pay `amount` wei into the entry point for each account, and mine it.

    Raises:
        ChainError: a deposit reverted.

    Source: ERC-4337, `depositTo`.
    """
    funder = (await node.unlocked_accounts())[0]
    function = selector("depositTo(address)")
    sent = [
        await node.send(funder, entry_point, function + bytes(12) + account, value=amount, gas=DEPOSIT_GAS)
        for account in accounts
    ]
    if sent:
        await node.mine_pending()
    await node.require_success(*sent)
