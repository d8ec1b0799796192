"""Scopes for tests: one plain example, and a strategy for every kind that can be granted."""

from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.core.policy import (
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
from gamekit.eth.hashing import selector
from gamekit.units import Address, NonceKey, UnixSeconds, Wei

SIGNER = Address(b"\x51" * 20)
REVOKER = Address(b"\x52" * 20)
ACCOUNT = Address(b"\xac" * 20)
GAME = Address(b"\x6a" * 20)
PAYMASTER = Address(b"\x9a" * 20)
START = UnixSeconds(1_800_000_000)
ATTACK = "attack(uint256,uint16)"
MOVE = "move(uint8,uint8)"


def entry(function: str, *rules: ArgumentRule | SpendingLimitPolicy, target: Address = GAME) -> CallEntry:
    return CallEntry(target, selector(function), function, rules)


def scope_of(*entries: CallEntry, **changes: object) -> Scope:
    """A scope of 30 minutes, 20 calls a second, 64 at once, without value."""
    scope = Scope(
        signer=SIGNER,
        revoker=REVOKER,
        nonce_key=NonceKey(7),
        calls_max=32,
        time=TimeFramePolicy(START, UnixSeconds(START + 1800)),
        calls=CallPolicy(tuple(sorted(entries or (entry(MOVE),), key=lambda each: each.target + each.selector))),
        usage=UsageLimitPolicy(1000),
        gas=GasPolicy(Wei(10**16), Wei(10**15)),
        rate=RateLimitPolicy(50, 64),
    )
    return replace(scope, **changes)


addresses = st.binary(min_size=20, max_size=20).filter(any).map(Address)
words = st.integers(0, 2**256 - 1)
uint128s = st.integers(1, 2**128 - 1)


@st.composite
def rules(draw: st.DrawFn) -> ArgumentRule:
    condition = draw(st.sampled_from(Condition))
    value = 0 if condition is Condition.PINNED_TO_ACCOUNT else draw(words)
    return ArgumentRule(draw(st.integers(0, 255)), condition, value)


@st.composite
def spending(draw: st.DrawFn, has_value: bool) -> list[SpendingLimitPolicy]:
    """Up to one limit for each counter that value leaves."""
    lanes = draw(st.lists(st.sampled_from([1] if has_value else [0, 1]), unique=True, max_size=2))
    return [SpendingLimitPolicy(draw(st.integers(0, 255)), draw(uint128s), lane) for lane in lanes]


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    """Any scope that `pack` takes."""
    has_value = draw(st.booleans())
    limits: list[SpendingLimitPolicy] = draw(spending(has_value))
    places = draw(
        st.lists(st.binary(min_size=24, max_size=24).filter(lambda b: any(b[:20])), min_size=1, max_size=6, unique=True)
    )
    entries = []
    for place in sorted(places):
        own: list[ArgumentRule | SpendingLimitPolicy] = [*draw(st.lists(rules(), max_size=4))]
        if draw(st.booleans()) and limits:
            own.append(limits.pop())
        entries.append(CallEntry(Address(place[:20]), place[20:], "", tuple(draw(st.permutations(own)))))
    calls_max = draw(st.integers(1, 64))
    budget, total = draw(uint128s), draw(uint128s) if has_value else 0
    valid_after = draw(st.integers(0, 2**37))
    return Scope(
        signer=draw(addresses),
        revoker=draw(addresses),
        nonce_key=NonceKey(draw(st.integers(0, 2**192 - 1))),
        calls_max=calls_max,
        time=TimeFramePolicy(UnixSeconds(valid_after), UnixSeconds(draw(st.integers(valid_after + 1, 2**37 + 1)))),
        calls=CallPolicy(tuple(entries)),
        usage=UsageLimitPolicy(draw(st.integers(1, 2**32 - 1))),
        gas=GasPolicy(Wei(budget), Wei(draw(st.integers(1, budget))), draw(st.none() | addresses)),
        rate=draw(
            st.none()
            | st.builds(RateLimitPolicy, interval_ms=st.integers(1, 2**31), burst=st.integers(calls_max, 2**16 - 1))
        ),
        value=ValueLimitPolicy(Wei(draw(st.integers(1, total)) if total else 0), Wei(total)),
    )
