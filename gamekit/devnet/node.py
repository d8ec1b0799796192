"""What only a devnet's node can do: money from nowhere, blocks on demand, time travel, reorganisations."""

import asyncio

from gamekit.chain.rpc import JsonRpc, from_quantity, to_data, to_quantity
from gamekit.errors import ChainError
from gamekit.units import Address, BlockNumber, Hash32, Wei

MINED_S_MAX = 5.0
"""Longest wait for a transaction: a node that mines at once still does so after it has answered."""
POLL_S = 0.005
"""How often a receipt is asked for."""


class DevnetNode(JsonRpc):
    """A JSON-RPC client that knows anvil's own methods. Each raises what `JsonRpc.request` raises."""

    async def unlocked_accounts(self) -> tuple[Address, ...]:
        """Give the funded accounts that the node itself signs for."""
        written = await self.request(tuple[str, ...], "eth_accounts")
        return tuple(Address(bytes.fromhex(account[2:])) for account in written)

    async def send(self, sender: Address, to: Address, data: bytes, *, value: Wei = Wei(0), gas: int) -> Hash32:
        """Send a transaction from an unlocked account; gives its hash at once, mined or not."""
        transaction = {
            "from": to_data(sender),
            "to": to_data(to),
            "data": to_data(data),
            "value": to_quantity(value),
            "gas": to_quantity(gas),
        }
        return Hash32(bytes.fromhex((await self.request(str, "eth_sendTransaction", transaction))[2:]))

    async def require_success(self, *transaction_hashes: Hash32) -> None:
        """Wait until all of these are mined, then check that none reverted.

        Raises:
            ChainError: one is not mined within `MINED_S_MAX`, or reverted. No other is still under way then.
        """
        statuses = [(each, await self._await_status(each)) for each in transaction_hashes]
        for each, status in statuses:
            if status != "0x1":
                raise ChainError(f"transaction {to_data(each)} has status {status}", status=status)

    async def _await_status(self, transaction_hash: Hash32) -> object:
        """Poll the receipt; gives its status, None if it has not come in time."""
        deadline = asyncio.get_running_loop().time() + MINED_S_MAX
        while True:
            receipt = await self.request_optional(object, "eth_getTransactionReceipt", to_data(transaction_hash))
            if isinstance(receipt, dict):
                return receipt["status"]
            if asyncio.get_running_loop().time() >= deadline:
                return None
            await asyncio.sleep(POLL_S)

    async def block_number(self) -> BlockNumber:
        """Give the height of the head."""
        return BlockNumber(from_quantity(await self.request(str, "eth_blockNumber")))

    async def mine(self, blocks: int = 1) -> None:
        """Mine so many blocks now; pending transactions go into the first."""
        await self.request_optional(object, "anvil_mine", to_quantity(blocks))

    async def mine_pending(self) -> None:
        """Mine what waits, unless the node mines each transaction by itself.

        Both at once, and a `restore` behind them, left transactions that are counted and have no receipt.
        """
        if not await self.request(bool, "anvil_getAutomine"):
            await self.mine()

    async def mine_automatically(self, interval_s: int = 0) -> None:
        """Mine a block for each transaction (0), or one every so many whole seconds."""
        # Each of the two replaces the other's mode, and an interval of 0 would stop mining.
        if interval_s:
            await self.request_optional(object, "evm_setIntervalMining", interval_s)
        else:
            await self.request_optional(object, "evm_setAutomine", True)

    async def set_balance(self, address: Address, balance: Wei) -> None:
        """Give `address` exactly this balance, from nowhere."""
        await self.request_optional(object, "anvil_setBalance", to_data(address), to_quantity(balance))

    async def impersonate(self, address: Address) -> None:
        """Let `send` send for an address whose key nobody has."""
        await self.request_optional(object, "anvil_impersonateAccount", to_data(address))

    async def set_code(self, address: Address, code: bytes) -> None:
        """Put `code` at an address, without running a constructor."""
        await self.request_optional(object, "anvil_setCode", to_data(address), to_data(code))

    async def set_next_base_fee(self, fee: Wei) -> None:
        """Choose the next block's base fee, in wei per gas."""
        await self.request_optional(object, "anvil_setNextBlockBaseFeePerGas", to_quantity(fee))

    async def increase_time(self, seconds: int) -> None:
        """Move the chain's clock ahead; the next block shows it."""
        await self.request_optional(object, "evm_increaseTime", to_quantity(seconds))

    async def reorganise(self, depth: int) -> None:
        """Replace the last `depth` blocks by empty ones.

        Their transactions are gone and not pending again: whoever sent them must send them anew. Not for a node that
        mines by the clock: a block that anvil mines within leaves a height without a block, for ever.
        """
        await self.request_optional(object, "anvil_reorg", depth, [])

    async def drop(self, transaction_hash: Hash32) -> None:
        """Forget a pending transaction."""
        await self.request_optional(object, "anvil_dropTransaction", to_data(transaction_hash))

    async def snapshot(self) -> str:
        """Remember the whole chain; the name is good for one `restore`."""
        return await self.request(str, "evm_snapshot")

    async def restore(self, snapshot: str) -> None:
        """Go back to a snapshot: blocks, state and time."""
        if not await self.request(bool, "evm_revert", snapshot):
            raise ChainError(f"the node has no snapshot {snapshot}", snapshot=snapshot)
