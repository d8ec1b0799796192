"""The simulated chain and anvil behind one interface, so that one test runs on both.

Three kinds: the simulated chain; anvil as it is; and anvil behind the campaigns' proxy, which models what real pools do
and anvil does not. A twin's own flags say where they differ by design, and the tests assert both sides of each.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from gamekit.chain.reader import EvmChain
from gamekit.chain.rpc import JsonRpc
from gamekit.config import ChainConfig, StackConfig
from gamekit.devnet import Anvil, DevnetContracts, DevnetNode, deploy
from gamekit.devnet.deployment import Plan, plan_devnet
from gamekit.eth.calldata import Call
from gamekit.eth.hashing import checksum_address
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import REVOKE_ALL_SESSIONS, REVOKE_SESSION
from gamekit.eth.transaction import Transaction, signing_hash, with_signature
from gamekit.ports import ChainReader, TransactionSender
from gamekit.testing.chain import BLOCK_S, FakeChain
from gamekit.testing.contracts import OWNERS_SIGNATURE
from gamekit.testing.scenery import ARENA, NO_STAMINA, chain_config
from gamekit.units import Address, ChainId, Gas, Hash32, PermissionId, UserOpHash, Wei
from tests.accounts.world import Key
from tests.campaigns.proxy import Proxy
from tests.campaigns.rules import Dice

CHAIN_ID = ChainId(31337)
GWEI = 10**9
ATTACK = Function.parse("attack(uint256 target,uint16 strength)")
MOVE = Function.parse("move(int16 dx,int16 dy)")
STAMINA = 100
"""An attack of more strength reverts."""
DEVOURS = 999
"""An attack of this strength burns all gas that it gets."""


class Node(Protocol):
    """A chain that a test drives, seen through the ports."""

    reader: ChainReader
    sender: TransactionSender
    contracts: DevnetContracts
    is_pool: bool
    """Whether it wants 10 % more of a replacement, and keeps what a reorg took out: all but anvil itself."""
    refuses_low_fees: bool
    """Whether a fee below the base fee is refused; otherwise it waits."""

    async def mine(self, count: int = 1, *, seconds: int = BLOCK_S) -> None:
        """Mine blocks, so many seconds apart; the first takes all that is pending."""
        ...

    async def reorg(self, depth: int) -> None:
        """Replace the highest blocks by empty ones."""
        ...

    async def fund(self, address: Address, balance: Wei = Wei(10**20)) -> None:
        """Give an address exactly this much."""
        ...


class Twin(Node, Protocol):
    """A node with the contracts, and a game at `ARENA`."""

    checks_owners: bool
    """Whether the owner's signature over a grant is checked."""
    leaves_gas: bool
    """Whether a batch of some calls goes on after the last of them burnt all gas that it got, a 64th less than all."""

    def approve(self, owner: Key, user_op_hash: UserOpHash) -> bytes:
        """What the owner's wallet gives for an operation of the account's own."""
        ...

    async def revoke(self, account: Address, permission: PermissionId) -> None:
        """Let the account itself revoke a session, in the next block."""
        ...

    async def revoke_all(self, account: Address) -> None:
        """Let the account itself revoke all its sessions, in the next block."""
        ...


class Simulated:
    """The simulated chain, with the addresses that the real contracts have."""

    is_pool = True
    refuses_low_fees = False
    checks_owners = False
    leaves_gas = False

    def __init__(self, chain_type: type[FakeChain] = FakeChain) -> None:
        self.contracts = plan_devnet(Plan())
        where = self.contracts
        self.chain = chain_type(
            where.entry_point_07, where.session_validator, where.session_opener, where.owner_validator
        )
        self.chain.reverts = _reverts
        self.chain.burns = lambda call: _strength(call) == DEVOURS
        self.reader: ChainReader = self.chain
        self.sender: TransactionSender = self.chain
        self.chain.mine(3)

    async def mine(self, count: int = 1, *, seconds: int = BLOCK_S) -> None:
        self.chain.mine(count, seconds=seconds)

    async def reorg(self, depth: int) -> None:
        self.chain.reorg(depth)

    async def fund(self, address: Address, balance: Wei = Wei(10**20)) -> None:
        """Of an account it is what an operation may cost."""
        self.chain.balances[address] = self.chain.deposits[address] = balance

    def approve(self, owner: Key, user_op_hash: UserOpHash) -> bytes:
        """Whose it is, the simulated chain does not ask."""
        return OWNERS_SIGNATURE

    async def revoke(self, account: Address, permission: PermissionId) -> None:
        self.chain.revoke(permission)

    async def revoke_all(self, account: Address) -> None:
        self.chain.revoke_all(account)


class OnAnvil:
    """anvil, which mines when it is told to."""

    refuses_low_fees = True
    checks_owners = True
    leaves_gas = True

    def __init__(self, node: DevnetNode, contracts: DevnetContracts, rpc: JsonRpc, proxy: Proxy | None) -> None:
        self._node = node
        self._proxy = proxy
        self.contracts = contracts
        self.is_pool = proxy is not None
        chain = EvmChain(rpc, ChainConfig())
        self.reader: ChainReader = chain
        self.sender: TransactionSender = chain

    async def mine(self, count: int = 1, *, seconds: int = BLOCK_S) -> None:
        for _ in range(count):
            at = (await self.reader.head()).timestamp + seconds
            await self._node.request_optional(object, "evm_setNextBlockTimestamp", at)
            await self._node.mine()

    async def reorg(self, depth: int) -> None:
        if self._proxy is not None:
            await self._proxy.reorganise(depth)
        else:
            await self._node.reorganise(depth)

    async def fund(self, address: Address, balance: Wei = Wei(10**20)) -> None:
        await self._node.set_balance(address, balance)

    def approve(self, owner: Key, user_op_hash: UserOpHash) -> bytes:
        return owner.sign(Hash32(user_op_hash))

    async def revoke(self, account: Address, permission: PermissionId) -> None:
        await self._as_account(account, REVOKE_SESSION.encode_call(permission))

    async def revoke_all(self, account: Address) -> None:
        await self._as_account(account, REVOKE_ALL_SESSIONS.encode_call())

    async def _as_account(self, account: Address, data: bytes) -> None:
        await self._node.impersonate(account)
        await self._node.send(account, self.contracts.session_validator, data, gas=200_000)


@asynccontextmanager
async def on_anvil(anvil: Anvil, *, pool: bool = False) -> AsyncIterator[OnAnvil]:
    """Lend a node that mines by hand; afterwards the chain is what it was before.

    Args:
        anvil: with the cap on a transaction's gas.
        pool: put the campaigns' proxy before it, which replaces and remembers as real pools do.
    """
    async with DevnetNode(anvil.url, timeout_ms=60_000) as node:
        contracts = await deploy(node)
        before = await node.snapshot()
        await node.request_optional(object, "evm_setAutomine", False)
        # What a reorg brings is as far apart as what it took out, so that the time does not go back.
        await node.request_optional(object, "anvil_setBlockTimestampInterval", BLOCK_S)
        await node.set_code(ARENA, arena_code())
        await node.mine(3)
        try:
            if pool:
                async with Proxy(anvil.url, Dice([], 1)) as proxy, JsonRpc(proxy.url, timeout_ms=60_000) as rpc:
                    yield OnAnvil(node, contracts, rpc, proxy)
            else:
                yield OnAnvil(node, contracts, node, None)
        finally:
            await node.request_optional(object, "anvil_dropAllTransactions")
            await node.request(bool, "anvil_removeBlockTimestampInterval")
            await node.mine_automatically()
            await node.restore(before)


def transaction(
    key: Key,
    nonce: int,
    *,
    fee: int = 100 * GWEI,
    tip: int = GWEI,
    gas: int = 21_000,
    to: Address = Address(b"\x77" * 20),
    data: bytes = b"",
) -> tuple[bytes, Hash32]:
    """Sign a transaction; gives its bytes and its hash."""
    unsigned = Transaction(
        chain_id=CHAIN_ID, nonce=nonce, max_priority_fee_per_gas=Wei(tip), max_fee_per_gas=Wei(fee),
        gas_limit=Gas(gas), to=to, value=Wei(0), data=data,
    )  # fmt: skip
    return with_signature(unsigned, key.sign(signing_hash(unsigned)))


def twin_config(contracts: DevnetContracts) -> ChainConfig:
    """One reference stack on EntryPoint 0.7, at the addresses that both twins have."""
    where = (contracts.entry_point_07, contracts.reference_factory_07, contracts.owner_validator)
    return chain_config(
        session_validator=checksum_address(contracts.session_validator),
        session_opener=checksum_address(contracts.session_opener),
        stacks=(StackConfig("reference", "0.7", *map(checksum_address, where)),),
    )


# The game, once as what the simulated chain is told, once as code of the machine.


def _strength(call: Call) -> int:
    return int.from_bytes(call.data[36:68], "big") if call.data[:4] == ATTACK.selector else 0


def _reverts(call: Call) -> bytes | None:
    strength = _strength(call)
    return NO_STAMINA.encode(strength, STAMINA) if strength > STAMINA else None


def arena_code() -> bytes:
    """Assemble the game: `move` succeeds, and so does an `attack` whose strength is no more than its stamina."""
    attack, move, weak = (each.hex() for each in (ATTACK.selector, MOVE.selector, NO_STAMINA.encode(0, 0)[:4]))
    parts = (
        "5f35 60e0 1c",  # the selector
        f"80 63{attack} 14 601b 57",
        f"63{move} 14 602e 57",
        "5f5f fd",  # no other function
        "5b 6024 35",  # 1b: the strength
        f"80 61{DEVOURS:04x} 14 6047 57",
        f"80 60{STAMINA:02x} 10 6030 57",
        "5b 00",  # 2e: success
        f"5b 63{weak} 60e0 1b 5f 52",  # 30: NoStamina(strength, stamina)
        f"6004 52 60{STAMINA:02x} 6024 52 6044 5f fd",
        "5b fe",  # 47: all gas is gone
    )
    return bytes.fromhex("".join(parts))
