"""A thief who has a session key and bundles his operations himself, on a real chain.

He knows nothing of the scope's limits: he asks for far more than any of them, and for half of what was refused, until
not even one unit more is taken. What he gets is measured by its effects: balances, deposits, and what the contracts
that he calls have counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from gamekit.chain.rpc import from_data, from_quantity, to_data
from gamekit.core.scope import Scope
from gamekit.devnet import DevnetNode
from gamekit.errors import CallReverted
from gamekit.eth import session_validator
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import BALANCE_OF, ENTRY_POINT, GET_NONCE, USER_OPERATION_EVENT, encode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.session_validator_abi import SESSION_VALIDATOR
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, Gas, UnixSeconds, Wei
from tests.accounts.world import CHAIN_ID, World

SINK_CODE = bytes.fromhex("6004356000540160005560015460010160015500")
"""A game that takes every call and all value: slot 0 sums the first argument, slot 1 counts the calls."""
PAYMASTER_CODE = bytes.fromhex("604060005260606000f3")
"""A paymaster that agrees to everything: validatePaymasterUserOp returns no context, and 0."""
SINKS = tuple(Address(bytes((0x60 + number,)) * 20) for number in range(3))
PAYMASTER = Address(b"\x9a" * 20)
PLAY = b"play"
"""Selector of every sink's one function."""
VERIFICATION_GAS, PAYMASTER_GAS, CALL_GAS, CALL_GAS_EACH = 400_000, 60_000, 60_000, 60_000
HIGHEST = 1 << 70
"""Where he begins to ask."""


@dataclass(slots=True)
class Loot:
    """What he got, in the words of `explain.Figures`."""

    native_wei_max: int = 0
    """What the account and its deposit are poorer by."""
    gas_wei_max: int = 0
    gas_per_operation_wei_max: int = 0
    value_wei_max: int = 0
    value_per_call_wei_max: int = 0
    calls_max: int = 0
    calls_per_operation_max: int = 0
    calls_at_once_max: int = 0
    calls_per_minute_max: int = 0
    spending_max: dict[Address, int] = field(default_factory=dict)
    """By the contract that counted."""
    landings: list[tuple[int, int]] = field(default_factory=list)
    """Block time and calls of each bundle."""
    refusals: dict[str, int] = field(default_factory=dict)
    """How often each error stopped him."""


@dataclass(slots=True)
class Bid:
    """One operation that he would like to land."""

    calls: Sequence[Call]
    claimed_at: int
    deadline: int
    cost: int | None = None
    """What it is to cost at most, in wei; None for as little as it can."""


class Thief:
    """One session in his hands."""

    def __init__(self, world: World, scope: Scope, version: EntryPointVersion, bundler: Address) -> None:
        self._world = world
        self._node: DevnetNode = world.node
        self._scope = scope
        self._packed = scope.pack()
        self._version = version
        self._bundler = bundler
        self.loot = Loot()

    async def take(self, at: UnixSeconds, bids: Sequence[Bid]) -> bool:
        """Land a bundle at a block time; whether the chain took all of it."""
        bundle = await self._bundle(bids)
        if not await self.would_land(at, bids):
            return False
        before = await self._standing()
        await self._node.request_optional(object, "evm_setNextBlockTimestamp", at)
        sent = await self._node.send(self._bundler, self._world.where.entry_point, bundle, gas=500_000_000)
        await self._node.require_success(sent)
        receipt = await self._node.request(dict[str, object], "eth_getTransactionReceipt", to_data(sent))
        await self._measure(at, bids, before, receipt)
        return True

    async def would_land(self, at: UnixSeconds, bids: Sequence[Bid]) -> bool:
        """Ask the chain, without effect, whether it would take a bundle at a block time."""
        asked = {
            "from": to_data(self._bundler),
            "to": to_data(self._world.where.entry_point),
            "data": to_data(await self._bundle(bids)),
            "gas": hex(500_000_000),
        }
        try:
            await self._node.request_optional(object, "eth_call", asked, "latest", {}, {"time": hex(at)})
        except CallReverted as reverted:
            name = _name(reverted.data)
            self.loot.refusals[name] = self.loot.refusals.get(name, 0) + 1
            return False
        return True

    async def plunder(self, at: UnixSeconds, bid: Callable[[UnixSeconds, int], Bid]) -> UnixSeconds:
        """Take the most that one operation can, again and again, until one unit is too much.

        Args:
            at: block time of the first; each later one is a second behind.
            bid: what he asks for, from a block time and an amount.

        Returns: the block time behind the last.
        """
        amount = HIGHEST
        while True:
            amount = await self._most(at, bid, amount)
            if not amount:
                return at
            assert await self.take(at, [bid(at, amount)])
            at = UnixSeconds(at + 1)

    async def _most(self, at: UnixSeconds, bid: Callable[[UnixSeconds, int], Bid], highest: int) -> int:
        """Find the largest amount that the chain would take, and see that it takes not one more."""
        if highest != HIGHEST and await self.would_land(at, [bid(at, highest)]):
            return highest
        low, high = 0, highest
        while high - low > 1:
            middle = (low + high) // 2 if low else high // 2
            if await self.would_land(at, [bid(at, middle)]):
                low = middle
            else:
                high = middle
        return low

    async def calls_at(self, at: UnixSeconds, call: Call, claims: Sequence[int]) -> None:
        """Land as many calls as the chain takes in one block, for which operations may claim these times, ascending."""
        bids: list[Bid] = []
        for place, claimed_at in enumerate(claims):
            exact = place in (0, len(claims) - 1)
            count = self._scope.calls_max
            while count:
                more = [*bids, Bid([call] * count, claimed_at, claimed_at + 500)]
                if await self.would_land(at, more):
                    bids = more
                else:
                    count = count // 2 if exact else 0
        if bids:
            assert await self.take(at, bids)

    async def _bundle(self, bids: Sequence[Bid]) -> bytes:
        asked = GET_NONCE.encode_call(self._world.account, self._scope.nonce_key)
        nonce = int.from_bytes(await self._world.call(self._world.where.entry_point, asked), "big")
        operations = [self._signed(bid, nonce + place) for place, bid in enumerate(bids)]
        return encode_handle_ops(operations, self._bundler, self._version)

    def _signed(self, bid: Bid, nonce: int) -> UserOperation:
        world, scope = self._world, self._scope
        paymaster_gas = PAYMASTER_GAS if scope.gas.paymaster else 0
        call_gas = CALL_GAS + CALL_GAS_EACH * len(bid.calls)
        least = VERIFICATION_GAS + call_gas + paymaster_gas
        # What he asks for beyond the gas that is used goes to whoever bundles: to him.
        fee, extra = (1, 0) if bid.cost is None else (max(1, bid.cost // (least * 64)), 0)
        if bid.cost is not None:
            extra = max(0, bid.cost // fee - least)
        op = UserOperation(
            sender=world.account,
            nonce=nonce,
            call_data=world.stack.execute(list(bid.calls), try_mode=False),
            call_gas_limit=Gas(call_gas),
            verification_gas_limit=Gas(VERIFICATION_GAS),
            pre_verification_gas=Gas(extra),
            max_fee_per_gas=Wei(fee),
            max_priority_fee_per_gas=Wei(fee),
            paymaster=scope.gas.paymaster,
            paymaster_verification_gas_limit=Gas(paymaster_gas),
        )
        module = world.contracts.session_validator
        permission = session_validator.permission_id(CHAIN_ID, module, world.account, self._packed)
        name = user_op_hash(op, self._version, world.where.entry_point, CHAIN_ID)
        times = UnixSeconds(bid.claimed_at), UnixSeconds(bid.deadline)
        places = {(each.target, each.selector): place for place, each in enumerate(scope.calls.entries)}
        hints = bytes(places[call.target, call.data[:4]] for call in bid.calls)
        signature = world.key.sign(session_validator.operation_digest(name, permission, *times))
        envelope = session_validator.envelope(*times, signature, hints, self._packed)
        return replace(op, signature=world.stack.signature(envelope))

    async def _standing(self) -> "Standing":
        node, entry_point = self._node, self._world.where.entry_point
        deposits = [
            int.from_bytes(await self._world.call(entry_point, BALANCE_OF.encode_call(each)), "big")
            for each in (self._world.account, PAYMASTER)
        ]
        balances = [
            from_quantity(await node.request(str, "eth_getBalance", to_data(each), "latest"))
            for each in (self._world.account, *SINKS)
        ]
        words = [
            [
                int.from_bytes(from_data(await node.request(str, "eth_getStorageAt", to_data(sink), slot, "latest")))
                for slot in ("0x0", "0x1")
            ]
            for sink in SINKS
        ]
        return Standing(
            account=balances[0] + deposits[0],
            paymaster=deposits[1],
            value=sum(balances[1:]),
            sums=[word[0] for word in words],
            calls=sum(word[1] for word in words),
        )

    async def _measure(self, at: int, bids: Sequence[Bid], before: "Standing", receipt: dict[str, object]) -> None:
        loot, after = self.loot, await self._standing()
        calls, value = after.calls - before.calls, after.value - before.value
        lost = before.account - after.account
        gas = lost - value + before.paymaster - after.paymaster
        loot.native_wei_max += lost
        loot.value_wei_max += value
        loot.gas_wei_max += gas
        loot.gas_per_operation_wei_max = max(loot.gas_per_operation_wei_max, *_costs(receipt))
        loot.value_per_call_wei_max = max(
            loot.value_per_call_wei_max, *(call.value for bid in bids for call in bid.calls)
        )
        loot.calls_max += calls
        loot.calls_per_operation_max = max(loot.calls_per_operation_max, *(len(bid.calls) for bid in bids))
        for sink, first, then in zip(SINKS, before.sums, after.sums, strict=True):
            if then != first:
                loot.spending_max[sink] = loot.spending_max.get(sink, 0) + then - first
        loot.landings.append((at, calls))
        loot.calls_at_once_max = max(loot.calls_at_once_max, calls)
        for start, _ in loot.landings:
            within = sum(count for landed, count in loot.landings if start <= landed <= start + 60)
            loot.calls_per_minute_max = max(loot.calls_per_minute_max, within)


@dataclass(slots=True)
class Standing:
    """What can be lost, at one block."""

    account: int
    """Balance and deposit, in wei."""
    paymaster: int
    """Its deposit."""
    value: int
    """What the sinks hold."""
    sums: list[int]
    calls: int


def _costs(receipt: dict[str, object]) -> list[int]:
    """Give what the entry point charged for each operation of a bundle."""
    logs = receipt["logs"]
    assert isinstance(logs, list)
    charged = [from_data(log["data"]) for log in logs if from_data(log["topics"][0]) == USER_OPERATION_EVENT.topic]
    assert all(int.from_bytes(data[32:64]) == 1 for data in charged), "an operation that was taken ran"
    return [int.from_bytes(data[64:96]) for data in charged]


def _name(data: bytes) -> str:
    """Name what stopped a bundle: the module's error, or the entry point's code."""
    outer = ENTRY_POINT.decode_revert(data)
    inner = outer.values.get("inner")
    if isinstance(inner, bytes):
        return SESSION_VALIDATOR.decode_revert(inner).name
    return str(outer.values.get("reason", outer.name))[:4]
