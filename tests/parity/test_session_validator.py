"""The same operations through the Python policies and the deployed contract: never looser, and here never stricter.

Random scopes are granted on a real chain; random operations, mostly near a limit, are judged by both. What both allow
is then charged by both, and the contract's record must be what Python computed.
"""

import random
from collections.abc import Sequence

import pytest
from msgspec.structs import astuple, replace

from gamekit.chain.rpc import to_data
from gamekit.core.checker import ScopeChecker
from gamekit.core.policy import (
    Allowed,
    ArgumentRule,
    CallEntry,
    CallPolicy,
    Condition,
    Denied,
    GasPolicy,
    RateLimitPolicy,
    SpendingLimitPolicy,
    TimeFramePolicy,
    UsageLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope
from gamekit.core.usage import Usage, charge, paymaster_denial, stored_usage, time_range
from gamekit.devnet import DevnetNode
from gamekit.errors import ChainError
from gamekit.eth import session_validator
from gamekit.eth.calldata import Call
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import GRANT_SESSION, SESSION_OF, decode_session
from gamekit.eth.user_operation import UserOperation, pack
from gamekit.units import Address, Gas, Hash32, NonceKey, UnixSeconds, UserOpHash, Wei
from tests.accounts.world import CHAIN_ID, World

VALIDATE_USER_OP = Function.parse(
    "validateUserOp((address sender,uint256 nonce,bytes init_code,bytes call_data,bytes32 account_gas_limits,"
    "uint256 pre_verification_gas,bytes32 gas_fees,bytes paymaster_and_data,bytes signature) op,bytes32 hash)",
    "uint256",
)
PAYMASTER = Address(b"\x9a" * 20)
SCOPES, OPERATIONS = 12, 25


class Draw:
    """Scopes and operations from a seeded source."""

    def __init__(self, seed: int, world: World, now: int) -> None:
        self._random = random.Random(seed)
        self._world = world
        self._now = now

    def one_in(self, count: int) -> bool:
        return self._random.randrange(count) == 0

    def scope(self) -> Scope:
        draw = self._random
        calls_max = draw.choice([1, 2, 5, 64])
        total = draw.choice([0, 0, 10, 1000])
        selectors = sorted({draw.randbytes(4) for _ in range(draw.randint(1, 4))})
        lanes = {1: draw.choice([0, 20, 99])} if total else {0: draw.choice([2, 50]), 1: draw.choice([9, 500])}
        entries = [
            CallEntry(self._world.contracts.arena, selector, "", tuple(self._rules(lanes))) for selector in selectors
        ]
        return Scope(
            signer=self._world.key.address,
            revoker=self._world.owner.address,
            nonce_key=NonceKey(draw.getrandbits(192)),
            calls_max=calls_max,
            time=TimeFramePolicy(UnixSeconds(self._now - draw.randint(0, 100)), UnixSeconds(self._now + 150)),
            calls=CallPolicy(tuple(entries)),
            usage=UsageLimitPolicy(draw.choice([10, 100, 10_000])),
            gas=GasPolicy(Wei(200_000), Wei(draw.choice([20_000, 100_000])), draw.choice([None, None, PAYMASTER])),
            rate=draw.choice([None, RateLimitPolicy(draw.choice([50, 50, 5000]), calls_max + draw.randint(0, 40))]),
            value=ValueLimitPolicy(Wei(min(total, 7)), Wei(total)),
        )

    def _rules(self, lanes: dict[int, int]) -> list[ArgumentRule | SpendingLimitPolicy]:
        draw = self._random
        rules: list[ArgumentRule | SpendingLimitPolicy] = []
        for _ in range(draw.choice([0, 0, 1, 2])):
            condition = draw.choice(list(Condition))
            value = 0 if condition is Condition.PINNED_TO_ACCOUNT else draw.randint(0, 4)
            # One-of rules mostly come in twos, on the same argument or on another one.
            for _ in range(2 if condition is Condition.ONE_OF else 1):
                rules.append(ArgumentRule(draw.randint(0, 2), condition, value))
                value += 1
        if self.one_in(2):
            lane = draw.choice(list(lanes))
            rules.insert(draw.randint(0, len(rules)), SpendingLimitPolicy(draw.randint(0, 2), lanes[lane], lane))
        return rules

    def calls(self, scope: Scope) -> list[Call]:
        return [self._call(scope) for _ in range(min(scope.calls_max + self.one_in(9), 1 + self._random.randrange(4)))]

    def _call(self, scope: Scope) -> Call:
        draw = self._random
        entry = draw.choice(scope.calls.entries)
        target = PAYMASTER if self.one_in(90) else entry.target
        selector = draw.randbytes(4) if self.one_in(90) else entry.selector
        words = [self._word(entry, place) for place in range(2 + (not self.one_in(20)))]
        value = draw.choice([0, 0, 0, 1, 7, 8]) if scope.value.total_wei_max or self.one_in(20) else 0
        return Call(target, Wei(value), selector + b"".join(word.to_bytes(32, "big") for word in words))

    def _word(self, entry: CallEntry, place: int) -> int:
        """Mostly a word that the entry's rules admit, else one beside it."""
        for rule in entry.rules:
            if rule.argument == place and isinstance(rule, ArgumentRule) and not self.one_in(20):
                pinned = int.from_bytes(self._world.account, "big")
                return pinned if rule.condition is Condition.PINNED_TO_ACCOUNT else rule.value + rule.condition % 2
        return self._random.choice([0, 1, 2, 3, 4, 5, 9, 2**128 + 3, 2**256 - 1] if self.one_in(9) else [0, 1, 2, 3, 4])

    def times(self) -> tuple[UnixSeconds, UnixSeconds]:
        claimed_at = self._now + self._random.randint(-30, 60)
        return UnixSeconds(claimed_at), UnixSeconds(claimed_at + self._random.choice([0, 1, 60, 60, 60, 500]))

    def unsigned(self, scope: Scope, calls: Sequence[Call]) -> UserOperation:
        draw = self._random
        paymaster = draw.choice([None, PAYMASTER]) if self.one_in(15) else scope.gas.paymaster
        return UserOperation(
            sender=self._world.account,
            nonce=scope.nonce_key << 64,
            call_data=self._world.stack.execute(calls, try_mode=self.one_in(2)),
            call_gas_limit=Gas(draw.choice([100, 1000, 1000, 5000])),
            verification_gas_limit=Gas(draw.randint(0, 100)),
            pre_verification_gas=Gas(draw.randint(0, 100)),
            max_fee_per_gas=Wei(draw.choice([1, 1, 2, 20])),
            max_priority_fee_per_gas=Wei(1),
            paymaster=paymaster,
            paymaster_verification_gas_limit=Gas(50 if paymaster else 0),
            paymaster_post_op_gas_limit=Gas(7 if paymaster else 0),
        )


class Both:
    """One granted session, judged twice."""

    def __init__(self, world: World, scope: Scope) -> None:
        self._world = world
        self.scope = scope
        self.packed = scope.pack()
        self.usage = Usage()
        self._checker = ScopeChecker(scope, world.account, (world.contracts.session_validator,))
        self._module = world.contracts.session_validator
        self.permission = session_validator.permission_id(CHAIN_ID, self._module, world.account, self.packed)

    def python(
        self, op: UserOperation, calls: Sequence[Call], times: tuple[UnixSeconds, UnixSeconds]
    ) -> tuple[Usage, tuple[UnixSeconds, UnixSeconds]] | Denied:
        """Everything that the package decides about an operation."""
        verdicts = [self._checker.check_call(call) for call in calls]
        for verdict in verdicts:
            if isinstance(verdict, Denied):
                return verdict
        allowed = [verdict for verdict in verdicts if isinstance(verdict, Allowed)]
        lanes = sum(each.lane_amounts[0] for each in allowed), sum(each.lane_amounts[1] for each in allowed)
        value = Wei(sum(each.value_wei for each in allowed))
        denied = paymaster_denial(self.scope, op.paymaster)
        window = time_range(self.scope, *times)
        charged = charge(self.scope, self.usage, times[0], len(calls), value, lanes, max_cost(op))
        for found in (denied, window, charged):
            if isinstance(found, Denied):
                return found
        assert isinstance(charged, Usage)
        assert isinstance(window, tuple)
        return charged, window

    def signed(
        self, op: UserOperation, calls: Sequence[Call], times: tuple[UnixSeconds, UnixSeconds], name: UserOpHash
    ) -> bytes:
        places = {(each.target, each.selector): place for place, each in enumerate(self.scope.calls.entries)}
        hints = bytes(places.get((call.target, call.data[:4]), 0) for call in calls)
        digest = session_validator.operation_digest(name, self.permission, *times)
        envelope = session_validator.envelope(*times, self._world.key.sign(digest), hints, self.packed)
        packed = astuple(pack(replace(op, signature=envelope), self._world.where.version))
        return VALIDATE_USER_OP.encode_call(packed, name)

    async def contract(self, data: bytes) -> tuple[int, int] | None:
        """The time range that validation returned, None when it refused."""
        asked = {"from": to_data(self._world.account), "to": to_data(self._module), "data": to_data(data)}
        try:
            answer = await self._world.node.request(str, "eth_call", asked, "latest")
        except ChainError:
            return None
        word = int(answer, 16)
        assert word & (1 << 160) - 1 == 0, "the signature itself is right"
        return word >> 208, word >> 160 & (1 << 48) - 1

    async def apply(self, data: bytes) -> Usage:
        """Let the contract charge, and read what it remembers."""
        sent = await self._world.node.send(self._world.account, self._module, data, gas=3_000_000)
        await self._world.node.require_success(sent)
        asked = SESSION_OF.encode_call(self._world.account, self.permission)
        return stored_usage(self.scope, decode_session(await self._world.call(self._module, asked)))


def max_cost(op: UserOperation) -> Wei:
    limits = op.call_gas_limit + op.verification_gas_limit + op.pre_verification_gas
    return Wei((limits + op.paymaster_verification_gas_limit + op.paymaster_post_op_gas_limit) * op.max_fee_per_gas)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_the_same_verdict_and_the_same_charge(node: DevnetNode, seed: int) -> None:
    world = await World.create(node, "reference", "0.7")
    await node.request_optional(object, "anvil_impersonateAccount", to_data(world.account))
    draw = Draw(seed, world, await world.now())
    allowed = denied = 0
    for number in range(SCOPES):
        both = Both(world, draw.scope())
        grant = GRANT_SESSION.encode_call(both.packed, ())
        await node.require_success(
            await node.send(world.account, world.contracts.session_validator, grant, gas=3_000_000)
        )
        for step in range(OPERATIONS):
            calls, times = draw.calls(both.scope), draw.times()
            op = draw.unsigned(both.scope, calls)
            data = both.signed(op, calls, times, UserOpHash(Hash32(bytes((number, step)) * 16)))
            here, there = both.python(op, calls, times), await both.contract(data)
            if isinstance(here, Denied):
                assert there is None, f"stricter than the contract: {here}"
                denied += 1
                continue
            assert there is not None, f"looser than the contract: {calls} {times} {both.scope} {both.usage}"
            both.usage, window = here
            assert window == there
            assert await both.apply(data) == both.usage
            allowed += 1
    assert min(allowed, denied) > SCOPES * OPERATIONS // 5, "both answers must be common"
