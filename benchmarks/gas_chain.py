"""The chain that gas is measured on: one anvil with a clock of its own, so that two runs give the same figures.

A bundle's `validation` is what the accounts used in `validateUserOp`, read from the trace of the mined transaction;
its `total` is the receipt's. Both depend on nothing but the calldata and the storage before it: the clock is set, keys
and addresses follow from fixed numbers, and each bundle starts from the same snapshot.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import coincurve
import msgspec

from gamekit.chain.rpc import from_data, from_quantity, to_data
from gamekit.contracts import build
from gamekit.devnet import Anvil, AnvilSettings, DevnetContracts, DevnetNode, deploy
from gamekit.devnet.deployment import DEPLOYER, NO_SALT, has_code, require_code
from gamekit.errors import ChainError
from gamekit.eth.entry_point import ENTRY_POINT
from gamekit.eth.hashing import create2_address, keccak256
from gamekit.eth.interface import Function
from gamekit.eth.signature import public_key_address
from gamekit.units import Address, ChainId, Hash32, UnixSeconds, Wei

CHAIN_ID: Final = ChainId(31337)
DEPLOYED_AT: Final = 1_900_000_000
STARTS_AT: Final = DEPLOYED_AT + 3600
"""The clock before the first transaction; each block is one second later than the one before it."""
SETTINGS: Final = AnvilSettings(code_size_capped=False)
"""Kernel and SmartSession, as npm carries them, are larger than real chains allow."""
TRANSACTION_GAS: Final = 500_000_000
CALL_TRACER: Final = {"tracer": "callTracer"}
EMPTY_POOL: Final = {"pending": "0x0", "queued": "0x0"}
RICH: Final = Wei(10**24)
ATTACK: Final = Function.parse("attack(uint256 target,uint16 strength)")
"""The one call that every row makes."""
ACTIONS_OF: Final = Function.parse("actionsOf(address player)", "uint256", "view")
BENCHMARK_CONTRACTS: Final = "test/benchmark"
"""What is compiled for the benchmark alone, below the Foundry project."""


class Key:
    """A private key that follows from a number, and its address."""

    def __init__(self, number: int) -> None:
        self._key = coincurve.PrivateKey(keccak256(b"gas" + number.to_bytes(32, "big")))
        self.address = public_key_address(self._key.public_key.format(compressed=False))

    def sign(self, digest: bytes) -> bytes:
        """Give r, s and v over 32 bytes."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((27 + signature[64],))


class Frame(msgspec.Struct, rename={"sender": "from", "gas_used": "gasUsed"}):
    """A call inside a transaction, as anvil's callTracer gives it."""

    sender: str
    gas_used: str
    to: str = ""
    input: str = "0x"
    output: str = "0x"
    calls: list["Frame"] = []

    def walk(self) -> Iterator["Frame"]:
        """Give this frame and all below it."""
        yield self
        for call in self.calls:
            yield from call.walk()


class Sent(msgspec.Struct, frozen=True):
    """A transaction, and what it used."""

    data: bytes
    total_gas: int
    trace: Frame


def validation_gas(trace: Frame, entry_point: Address, accounts: Sequence[Address], function: bytes) -> int:
    """Add up what these accounts used when the entry point called `function` on them.

    Raises: ValueError unless each was called exactly once.
    """
    wanted = {to_data(account) for account in accounts}
    found = [
        frame
        for frame in trace.walk()
        if frame.to in wanted and frame.sender == to_data(entry_point) and frame.input.startswith(to_data(function))
    ]
    if sorted(frame.to for frame in found) != sorted(wanted) or len(wanted) != len(accounts):
        raise ValueError(f"{len(found)} validations of {len(accounts)} accounts in the trace")
    return sum(from_quantity(frame.gas_used) for frame in found)


class Chain:
    """Sends, and waits until it is mined."""

    def __init__(self, node: DevnetNode, contracts: DevnetContracts, bundler: Address) -> None:
        self.node = node
        self.contracts = contracts
        self.bundler = bundler
        """Sends every measured transaction, and gets the fees: an externally owned account."""

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator["Chain"]:
        """Start an anvil with everything of ours on it, and end it afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            anvil = Anvil.start(Path(folder), SETTINGS)
            try:
                async with DevnetNode(anvil.url, timeout_ms=120_000) as node:
                    await node.request_optional(object, "evm_setNextBlockTimestamp", DEPLOYED_AT)
                    await node.request_optional(object, "anvil_setBlockTimestampInterval", 1)
                    await node.request_optional(object, "anvil_autoImpersonateAccount", True)
                    contracts = await deploy(node, code_size_capped=False)
                    # How many blocks that took is the node's choice; from here on one transaction is one block.
                    await node.request_optional(object, "evm_setNextBlockTimestamp", STARTS_AT)
                    await node.mine()
                    yield cls(node, contracts, (await node.unlocked_accounts())[1])
            finally:
                anvil.stop()

    async def now(self) -> UnixSeconds:
        """Give the second of the head."""
        block = await self.node.request(dict[str, object], "eth_getBlockByNumber", "latest", False)
        return UnixSeconds(from_quantity(str(block["timestamp"])))

    async def call(self, to: Address, data: bytes) -> bytes:
        """Ask a contract."""
        asked = {"to": to_data(to), "data": to_data(data)}
        return from_data(await self.node.request(str, "eth_call", asked, "latest"))

    async def actions_of(self, player: Address) -> int:
        """Ask the game how many actions of a player it has executed."""
        return int.from_bytes(await self.call(self.contracts.arena, ACTIONS_OF.encode_call(player)), "big")

    async def create(self, code: bytes, salt: bytes = NO_SALT) -> Address:
        """Deploy creation code through the deterministic deployer, unless it stands there already."""
        address = create2_address(DEPLOYER, salt, code)
        if not await has_code(self.node, address):
            await self.act(self.bundler, DEPLOYER, salt + code)
            await require_code(self.node, [address])
        return address

    async def act(self, sender: Address, to: Address, data: bytes, value: Wei = Wei(0)) -> Hash32:
        """Send as anybody, contracts too, and require that it succeeds."""
        await self.node.set_balance(sender, RICH)
        sent = await self.node.send(sender, to, data, value=value, gas=TRANSACTION_GAS)
        try:
            await self.node.require_success(sent)
        except ChainError as error:
            trace = await self.node.request(Frame, "debug_traceTransaction", to_data(sent), CALL_TRACER)
            revert = ENTRY_POINT.decode_revert(from_data(trace.output))
            head = f"head {await self.now()}, nonce of {to_data(sender)}"
            raise SystemExit(f"{error}: {revert.name} {revert.values} {trace.output} {head}") from error
        return sent

    async def measure(self, to: Address, data: bytes) -> Sent:
        """Send as the bundler; give what was used."""
        sent = await self.act(self.bundler, to, data)
        receipt = await self.node.request(dict[str, object], "eth_getTransactionReceipt", to_data(sent))
        trace = await self.node.request(Frame, "debug_traceTransaction", to_data(sent), CALL_TRACER)
        return Sent(data, from_quantity(str(receipt["gasUsed"])), trace)

    @asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        """Forget afterwards what happens inside."""
        before = await self.node.snapshot()
        yield
        # anvil shows a receipt before its pool lets go of the transaction; what a restore overtakes is mined again.
        while await self.node.request(dict[str, str], "txpool_status") != EMPTY_POOL:
            await asyncio.sleep(0)
        await self.node.restore(before)


def game_call(index: int) -> bytes:
    """The data of the call at a place of a batch."""
    return ATTACK.encode_call(index + 1, 5)


def compile_benchmark_contracts() -> None:
    """Let forge compile what only the benchmark needs. Does nothing while it is unchanged."""
    build.build()
    if build.forge("build", "--quiet", BENCHMARK_CONTRACTS) != 0:
        raise SystemExit("forge could not compile the benchmark's contracts")


def benchmark_contract(source: str, name: str) -> bytes:
    """Read the creation code of one of them."""
    stored = msgspec.json.decode((build.PROJECT / "out" / f"{source}.sol" / f"{name}.json").read_bytes())
    return bytes.fromhex(stored["bytecode"]["object"][2:])
