"""An adversary with the key, who bundles himself, tries to exceed every number that the explanation states.

He never does; he reaches so much of each that the statement is not idle; and a statement that is wrong is found.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gamekit.core.explain import Figures, describe
from gamekit.core.policy import RateLimitPolicy, TimeFramePolicy, ValueLimitPolicy
from gamekit.core.scope import Scope
from gamekit.devnet import Anvil, DevnetNode
from gamekit.eth.hashing import checksum_address
from gamekit.units import UnixSeconds, Wei
from tests.core.games import quest
from tests.proof.adversary import PAYMASTER, Loot
from tests.proof.scenarios import SCENARIOS, rob

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

VERSIONS = "0.7", "0.8"
REACHED_MIN = 0.8
"""Share of a figure that the thief reaches where a scenario says that he does."""
NUMBERS = (
    "native_wei_max",
    "gas_wei_max",
    "gas_per_operation_wei_max",
    "value_wei_max",
    "value_per_call_wei_max",
    "calls_max",
    "calls_per_operation_max",
    "calls_at_once_max",
    "calls_per_minute_max",
)

Robbed = dict[tuple[str, str], tuple[Scope, Loot]]


@pytest.fixture(scope="module")
def robbed(tmp_path_factory: pytest.TempPathFactory) -> Robbed:
    """Each scenario on each entry point, once."""
    return asyncio.run(_rob_all(tmp_path_factory.mktemp("thief")))


async def _rob_all(folder: Path) -> Robbed:
    anvil = Anvil.start(folder)
    found: Robbed = {}
    try:
        async with DevnetNode(anvil.url, timeout_ms=60_000) as node:
            for version in VERSIONS:
                for lane, name in enumerate(SCENARIOS):
                    before = await node.snapshot()
                    found[name, version] = await rob(node, version, name, lane)
                    await node.restore(before)
    finally:
        anvil.stop()
    return found


def stated(scope: Scope) -> Figures:
    return describe(scope, quest()).figures


def pairs(figures: Figures, loot: Loot) -> Iterator[tuple[str, int, int]]:
    """Give each number that is stated, with what the thief got."""
    for name in NUMBERS:
        most = getattr(figures, name)
        if most is not None:
            yield name, most, getattr(loot, name)
    for what, cap in figures.spending_max.items():
        yield "spending_max", cap, sum(got for sink, got in loot.spending_max.items() if checksum_address(sink) in what)


def exceeded(figures: Figures, loot: Loot) -> list[str]:
    """Say what he got beyond what is stated: more of something, or something at another time."""
    assert figures.valid_after is not None
    assert figures.valid_until is not None
    outside = [at for at, _ in loot.landings if not figures.valid_after <= at <= figures.valid_until]
    more = [f"{name}: {got} of {most}" for name, most, got in pairs(figures, loot) if got > most]
    return [*more, *(f"time: {at}" for at in outside)]


def idle(figures: Figures, loot: Loot, reaches: frozenset[str]) -> list[str]:
    return [
        f"{name}: {got} of {most}"
        for name, most, got in pairs(figures, loot)
        if name in reaches and got < REACHED_MIN * most
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_thief_never_exceeds_what_is_stated(robbed: Robbed, name: str, version: str) -> None:
    scope, loot = robbed[name, version]
    assert exceeded(stated(scope), loot) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_he_reaches_most_of_it(robbed: Robbed, name: str, version: str) -> None:
    scope, loot = robbed[name, version]
    assert idle(stated(scope), loot, SCENARIOS[name].reaches) == []
    assert loot.refusals, "something stopped him"


def test_each_number_is_reached_somewhere() -> None:
    reached = frozenset[str]().union(*(each.reaches for each in SCENARIOS.values()))
    assert reached == {*NUMBERS, "spending_max"}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("gas", "GasPerOperationExceeded"),
        ("gas", "GasBudgetExceeded"),
        ("gas and value", "ValuePerCallExceeded"),
        ("gas and value", "CapExceeded"),
        ("counted", "CapExceeded"),
        ("counted", "ArgumentRefused"),
        ("uses", "UsesExceeded"),
        ("uses", "CallsOutOfRange"),
        ("pace, to the end", "RateExceeded"),
        ("pace, to the end", "TimeRangeEmpty"),
        ("pace, for a minute", "AA22"),
        ("pace, for a minute", "RateExceeded"),
    ],
)
def test_what_stops_him_is_the_limit(robbed: Robbed, name: str, error: str) -> None:
    """One step above what he got was refused, for the reason that the explanation names."""
    for version in VERSIONS:
        assert error in robbed[name, version][1].refusals


WRONG: dict[str, tuple[str, Callable[[Scope], Scope]]] = {
    "forgets the value": ("gas and value", lambda scope: replace(scope, value=ValueLimitPolicy())),
    "takes the account's gas for a paymaster's": (
        "gas",
        lambda scope: replace(scope, gas=replace(scope.gas, paymaster=PAYMASTER)),
    ),
    "one wei less": ("gas and value", lambda scope: replace(scope, value=_less(scope.value))),
    "one use less": (
        "uses",
        lambda scope: replace(scope, usage=replace(scope.usage, uses_max=scope.usage.uses_max - 1)),
    ),
    "one call less in an operation": ("uses", lambda scope: replace(scope, calls_max=scope.calls_max - 1)),
    "a second less at the end": ("pace, to the end", lambda scope: replace(scope, time=_shorter(scope.time, 0, 1))),
    "two seconds less at the start": (
        "pace, to the end",
        lambda scope: replace(scope, time=_shorter(scope.time, 2, 0)),
    ),
    "a smaller burst": ("pace, for a minute", lambda scope: replace(scope, rate=RateLimitPolicy(1000, 38))),
}


def _shorter(time: TimeFramePolicy, start: int, end: int) -> TimeFramePolicy:
    return TimeFramePolicy(UnixSeconds(time.valid_after + start), UnixSeconds(time.valid_until - end))


def _less(value: ValueLimitPolicy) -> ValueLimitPolicy:
    return ValueLimitPolicy(value.per_call_wei_max, Wei(value.total_wei_max - 1))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_statement_is_found(robbed: Robbed, wrong: str, version: str) -> None:
    name, change = WRONG[wrong]
    scope, loot = robbed[name, version]
    assert exceeded(stated(change(scope)), loot) != []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_explanation_that_forgets_the_slack_is_found(
    robbed: Robbed, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gamekit.core.explain.SLACK_S", 0)
    broken = [
        each.partition(":")[0]
        for name in ("pace, to the end", "pace, for a minute")
        for each in exceeded(stated(robbed[name, version][0]), robbed[name, version][1])
    ]
    assert {"calls_max", "calls_at_once_max", "calls_per_minute_max"} <= set(broken)


def test_an_idle_statement_is_found(robbed: Robbed) -> None:
    """One that is never exceeded because it says far too much."""
    scope, loot = robbed["gas", "0.7"]
    generous = replace(scope, gas=replace(scope.gas, budget_wei=Wei(2 * scope.gas.budget_wei)))
    assert idle(stated(generous), loot, SCENARIOS["gas"].reaches) != []
