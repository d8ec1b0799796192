"""Sessions for the thief, and how he goes about each: what he can reach of every figure that an explanation states."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace

from gamekit.chain.rpc import to_data
from gamekit.core.policy import (
    SLACK_S,
    ArgumentRule,
    CallEntry,
    CallPolicy,
    Condition,
    GasPolicy,
    RateLimitPolicy,
    SpendingLimitPolicy,
    TimeFramePolicy,
    UsageLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope
from gamekit.devnet import DevnetNode, deposit, fund
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.units import Address, UnixSeconds, Wei
from tests.accounts.world import World
from tests.proof.adversary import PAYMASTER, PAYMASTER_CODE, PLAY, SINK_CODE, SINKS, Bid, Loot, Thief
from tests.proof.parity.oracle import grant_call

ETHER = 10**18
DURATION_S = 600
Attack = Callable[[Thief, Scope, int], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """One kind of session, and what the thief is to reach of it."""

    changes: dict[str, object]
    """To a session with one function, no value, a small gas budget and no pace."""
    attack: Attack
    reaches: frozenset[str]
    """Figures of which he gets at least `REACHED_MIN`; he never gets more than any."""


def entry(sink: Address, *rules: ArgumentRule | SpendingLimitPolicy) -> CallEntry:
    return CallEntry(sink, PLAY, "", rules)


def play(sink: Address = SINKS[0], amount: int = 0, value: int = 0) -> Call:
    return Call(sink, Wei(value), PLAY + amount.to_bytes(32, "big"))


async def burn_gas(thief: Thief, scope: Scope, edge: int) -> None:
    """The dearest operations, until the budget is gone."""
    start = UnixSeconds(scope.time.valid_after + 10)
    await thief.plunder(start, lambda at, cost: Bid([play()], at - 1, at + 60, cost))


async def send_value(thief: Thief, scope: Scope, edge: int) -> None:
    """The most value, until none is left; then the dearest operations."""
    start = UnixSeconds(scope.time.valid_after + 10)
    then = await thief.plunder(start, lambda at, value: Bid([play(value=value)], at - 1, at + 60))
    await thief.plunder(then, lambda at, cost: Bid([play()], at - 1, at + 60, cost))


async def spend(thief: Thief, scope: Scope, edge: int) -> None:
    """The highest amounts, on each function in turn."""
    at = UnixSeconds(scope.time.valid_after + 10)
    for each in scope.calls.entries:
        at = await thief.plunder(at, lambda at, amount, sink=each.target: Bid([play(sink, amount)], at - 1, at + 60))  # type: ignore[misc]


async def call_often(thief: Thief, scope: Scope, edge: int) -> None:
    """As many calls as there are, in one operation and in all."""
    start = UnixSeconds(scope.time.valid_after + 10)
    await thief.plunder(start, lambda at, count: Bid([play()] * min(count, 300), at - 1, at + 60))


async def play_to_the_end(thief: Thief, scope: Scope, edge: int) -> None:
    """From the first second to the last, each time with claims as old and as new as the chain takes them."""
    first, last = scope.time.valid_after + edge, scope.time.valid_until
    await play_too_early(thief, scope.time.valid_after)
    for at in (*range(first, last, 59), last):
        await thief.calls_at(UnixSeconds(at), play(), claims(scope, at, edge))
    await play_too_late(thief, last)


async def play_too_early(thief: Thief, first: int) -> None:
    """Try the edges before the first second, with claims from before and behind it; `Loot` counts what lands."""
    for at in (first - SLACK_S, first - 2, first - 1):
        for claimed_at in (at - 1, first - 1, first, first + 1):
            await thief.take(UnixSeconds(at), [Bid([play()], claimed_at, first + 60)])


async def play_too_late(thief: Thief, last: int) -> None:
    """Try every edge behind the last second, with claims from before and behind it; `Loot` counts what lands."""
    for late in (1, 2, SLACK_S, SLACK_S + 1):
        after = last + late
        for claimed_at in (last - SLACK_S, last - 1, last, after - SLACK_S, after - 1, after):
            await thief.take(UnixSeconds(after), [Bid([play()], claimed_at, after + 60)])


async def play_for_a_minute(thief: Thief, scope: Scope, edge: int) -> None:
    """Nothing for a while, and then everything at once and for one minute."""
    start = scope.time.valid_after + 300
    for at in (start, start + 13, start + 37, start + 60):
        await thief.calls_at(UnixSeconds(at), play(), claims(scope, at, edge))
    await play_too_late(thief, scope.time.valid_until)


def claims(scope: Scope, at: int, edge: int) -> list[int]:
    """Times that an operation in this block may claim, ascending: the oldest, then as often as a batch refills."""
    oldest, newest = at - SLACK_S, min(at - edge, scope.time.valid_until - 1)
    step = max(1, scope.calls_max * (scope.rate.interval_ms if scope.rate else 1000) // 1000)
    return [*range(oldest, newest, step), newest]


SCENARIOS = {
    "gas": Scenario({}, burn_gas, frozenset({"native_wei_max", "gas_wei_max", "gas_per_operation_wei_max"})),
    "gas and value": Scenario(
        {"value": ValueLimitPolicy(Wei(ETHER // 5 + 3), Wei(ETHER // 2 + 7))},
        send_value,
        frozenset(
            {
                "native_wei_max",
                "gas_wei_max",
                "gas_per_operation_wei_max",
                "value_wei_max",
                "value_per_call_wei_max",
            }
        ),
    ),
    "a paymaster pays": Scenario(
        {
            "value": ValueLimitPolicy(Wei(ETHER // 10), Wei(ETHER // 10)),
            "gas": GasPolicy(Wei(ETHER // 100), Wei(ETHER // 300), PAYMASTER),
        },
        send_value,
        frozenset({"native_wei_max", "gas_wei_max", "value_wei_max"}),
    ),
    "counted": Scenario(
        {
            "calls": CallPolicy(
                (
                    entry(SINKS[0], ArgumentRule(0, Condition.AT_MOST, 600), SpendingLimitPolicy(0, 1009, 0)),
                    entry(SINKS[1], SpendingLimitPolicy(0, 1009, 0)),
                    entry(SINKS[2], SpendingLimitPolicy(0, 77, 1)),
                )
            )
        },
        spend,
        frozenset({"spending_max"}),
    ),
    "uses": Scenario(
        {"usage": UsageLimitPolicy(205), "calls_max": 64},
        call_often,
        frozenset({"calls_max", "calls_per_operation_max"}),
    ),
    "pace, to the end": Scenario(
        {"rate": RateLimitPolicy(1000, 10), "calls_max": 8},
        play_to_the_end,
        frozenset({"calls_max", "calls_per_operation_max", "calls_at_once_max"}),
    ),
    "pace, for a minute": Scenario(
        {"rate": RateLimitPolicy(1000, 40), "calls_max": 8},
        play_for_a_minute,
        frozenset({"calls_at_once_max", "calls_per_minute_max"}),
    ),
}


async def rob(node: DevnetNode, version: str, name: str, lane: int) -> tuple[Scope, Loot]:
    """Grant the session of a scenario on an account with money, and let the thief have it."""
    scenario = SCENARIOS[name]
    world = await World.create(node, "reference", version)
    for sink in SINKS:
        await node.set_code(sink, SINK_CODE)
    await node.set_code(PAYMASTER, PAYMASTER_CODE)
    await fund(node, [world.account], Wei(3 * ETHER))
    await deposit(node, world.where.entry_point, [world.account, PAYMASTER], Wei(2 * ETHER))
    scope = await _granted(world, scenario, lane)
    thief = Thief(world, scope, EntryPointVersion(version), (await node.unlocked_accounts())[1])
    # The first second of a range is outside it on EntryPoint 0.8.
    await scenario.attack(thief, scope, 0 if version == "0.7" else 1)
    return scope, thief.loot


async def _granted(world: World, scenario: Scenario, lane: int) -> Scope:
    module, account = world.contracts.session_validator, world.account
    start = UnixSeconds(await world.now() + 300)
    scope = Scope(
        signer=world.key.address,
        revoker=world.owner.address,
        nonce_key=world.stack.nonce_key(module, lane),
        calls_max=2,
        time=TimeFramePolicy(start, UnixSeconds(start + DURATION_S)),
        calls=CallPolicy((entry(SINKS[0]),)),
        usage=UsageLimitPolicy(100_000),
        gas=GasPolicy(Wei(ETHER // 100), Wei(3 * ETHER // 1000 + 1)),
    )
    scope = replace(scope, **scenario.changes)
    await world.node.request_optional(object, "anvil_impersonateAccount", to_data(account))
    await world.node.require_success(await world.node.send(account, module, grant_call(scope.pack()), gas=3_000_000))
    return scope
