"""Scopes of every kind that the contract grants, and how far each may be used up already."""

import random
from enum import Enum

from msgspec import Struct

from gamekit.core.asset_selectors import DENIED_SELECTORS
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
from gamekit.core.scope import Scope, lane_limits
from gamekit.eth.scope_form import is_long
from gamekit.eth.session_validator_abi import SessionRecord, SessionState
from gamekit.units import UINT128_MAX, UINT256_MAX, Address, NonceKey, UnixSeconds, Wei
from tests.proof.parity.ground import BASE, GAMES, KEYS, PAYMASTERS, Ground, Key
from tests.proof.parity.trees import Tree, as_tree

Rule = ArgumentRule | SpendingLimitPolicy

ODD_NUMBERS = (UINT128_MAX, UINT128_MAX + 1, 1 << 255, UINT256_MAX - 1, UINT256_MAX, 1 << 160)
"""Where widths end."""


class Form(Enum):
    """Which bytes of a scope are granted."""

    SHORT = "short"
    """As the package writes a short list."""
    OTHER = "other"
    """A short list as the contract would also take it, and the package would not write it."""
    TREE = "tree"
    """A long list."""


class WordPlan(Struct, frozen=True):
    """One word of a call's arguments, as its entry's rules see it."""

    good: tuple[int, ...]
    """Values that every rule admits; empty when rules contradict each other."""
    bad: tuple[int, ...]
    """Values next to those that a rule does not admit."""
    lane: int | None
    """The counter that sums this argument, if one does."""


class Drawn(Struct, frozen=True):
    """One scope, and what is needed to draw operations for it."""

    scope: Scope
    granted: bytes
    """What is granted; not always the form that `Scope.pack` writes."""
    signed: bytes
    """What stands in signatures and names the permission: the same, but for a long list."""
    tree: Tree | None
    """Of a long list."""
    is_ours: bool
    """Whether the package would write these bytes."""
    key: Key
    words: tuple[tuple[WordPlan, ...], ...]
    """For each entry the words of its arguments."""


def draw_scope(rng: random.Random, ground: Ground, form: Form) -> Drawn:
    """Draw a scope that the contract grants on the account, at `BASE` or within the hours after it.

    Args:
        rng: the dice.
        ground: where.
        form: which bytes are granted.
    """
    key = rng.choice(KEYS)
    calls_max = rng.choice((1, 2, 5, 16, 64, 64))
    total = rng.choice((0, 0, 0, 10, 1000, UINT128_MAX))
    lanes = {1: rng.choice((0, 20, 99))} if total else {0: rng.choice((2, 50)), 1: rng.choice((9, 500, UINT128_MAX))}
    budget = rng.choice((10**6, 10**12, 10**18, UINT128_MAX))
    uses_max = rng.choice((10, 200, 10_000, 2**32 - 1))
    scope = Scope(
        signer=key.address,
        revoker=Address(rng.randbytes(20)),
        nonce_key=NonceKey(rng.getrandbits(192)),
        calls_max=calls_max,
        time=TimeFramePolicy(
            UnixSeconds(rng.choice((0, BASE - 600, BASE - rng.randrange(100), BASE + 40))),
            UnixSeconds(BASE + rng.choice((20_000, 86_400, 29 * 86_400))),
        ),
        calls=CallPolicy(_draw_entries(rng, lanes, int.from_bytes(ground.account, "big"), form)),
        usage=UsageLimitPolicy(uses_max),
        gas=GasPolicy(Wei(budget), Wei(max(1, budget // rng.choice((1, 2, 10)))), _draw_paymaster(rng)),
        rate=_draw_rate(rng, calls_max),
        value=ValueLimitPolicy(Wei(max(1, total // rng.choice((1, 3, 10))) if total else 0), Wei(total)),
    )
    pinned = int.from_bytes(ground.account, "big")
    words = tuple(_plan_words(entry, pinned) for entry in scope.calls.entries)
    packed = scope.pack()
    if form is Form.TREE or is_long(packed):
        return Drawn(scope, *as_tree(packed), is_ours=True, key=key, words=words)
    if form is Form.OTHER:
        packed = _other_form(rng, packed)
    return Drawn(scope, packed, packed, None, is_ours=form is Form.SHORT, key=key, words=words)


def draw_record(rng: random.Random, scope: Scope, epoch: int) -> SessionRecord:
    """Draw what the module remembers of a session: mostly live, anything from fresh to nearly used up."""
    state, own_epoch = SessionState.LIVE, epoch
    fate = rng.randrange(40)
    if fate == 0:
        state = SessionState.REVOKED
    elif fate == 1:
        own_epoch = epoch - 1
    limits = lane_limits(scope)
    if rng.randrange(5) < 2:
        return SessionRecord(state, own_epoch, 0, 0, Wei(0), 0, 0)
    arrival_ms = 0
    if scope.rate is not None:
        ahead_ms = scope.rate.burst * scope.rate.interval_ms
        arrival_ms = max(0, BASE * 1000 + rng.randint(-100_000, min(ahead_ms, 300_000)))
    return SessionRecord(
        state,
        own_epoch,
        _used(rng, scope.usage.uses_max, scope.calls_max),
        arrival_ms,
        Wei(_used(rng, scope.gas.budget_wei, scope.gas.per_operation_wei_max // 2)),
        _used(rng, limits[0], max(5, limits[0] // 4)),
        _used(rng, limits[1], max(5, limits[1] // 4)),
    )


def _used(rng: random.Random, limit: int, step: int) -> int:
    """Draw how much of a limit is gone: nothing, anything, or nearly all of it."""
    kind = rng.randrange(4)
    if kind == 0:
        return 0
    return rng.randint(0, limit) if kind == 1 else max(0, limit - rng.randint(0, 2 * step))


def _draw_paymaster(rng: random.Random) -> Address | None:
    return rng.choice((None, None, PAYMASTERS[0]))


def _draw_rate(rng: random.Random, calls_max: int) -> RateLimitPolicy | None:
    if rng.randrange(2):
        return None
    interval_ms = rng.choice((1, 50, 999, 5000, 60_000))
    return RateLimitPolicy(interval_ms, calls_max + rng.choice((0, 1, 40)))


def _draw_entries(rng: random.Random, lanes: dict[int, int], pinned: int, form: Form) -> tuple[CallEntry, ...]:
    """Draw entries on several targets; the same selector often stands on more than one of them."""
    count = rng.choice((1, 2, 3, 5, 9, 64, 200) if form is Form.TREE else (1, 1, 2, 3, 4, 8, 8, 40))
    selectors = [rng.randbytes(4) for _ in range(max(2, count // 2))]
    places = {(rng.choice(GAMES), rng.choice(selectors)) for _ in range(count)}
    allowed = sorted(place for place in places if place[1] not in DENIED_SELECTORS and any(place[1]))
    sparse = count > 8
    entries = [
        CallEntry(target, found, "", () if sparse and rng.randrange(4) else tuple(_draw_rules(rng, lanes, pinned)))
        for target, found in allowed
    ]
    return tuple(entries) or (CallEntry(GAMES[0], b"play", "", ()),)


def _draw_rules(rng: random.Random, lanes: dict[int, int], pinned: int) -> list[Rule]:
    rules: list[Rule] = []
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        argument = rng.choice((0, 0, 1, 1, 2, 3, 9))
        condition = rng.choice(tuple(Condition))
        value = rng.choice((0, 1, 2, 3, 4, pinned, *ODD_NUMBERS)) if rng.randrange(6) == 0 else rng.randint(0, 4)
        if condition is Condition.PINNED_TO_ACCOUNT:
            value = 0
        alternatives = rng.choice((1, 2, 2, 3)) if condition is Condition.ONE_OF else 1
        for step in range(alternatives):
            rules.append(ArgumentRule(argument, condition, min(value + 2 * step, UINT256_MAX)))
            if step and rng.randrange(12) == 0:
                rules.append(ArgumentRule(rng.choice((argument, argument + 1)), Condition.NOT_EQUAL, 77))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        lane = rng.choice(tuple(lanes))
        rules.insert(rng.randint(0, len(rules)), SpendingLimitPolicy(rng.choice((0, 1, 2, 4)), lanes[lane], lane))
    return rules


def _plan_words(entry: CallEntry, pinned: int) -> tuple[WordPlan, ...]:
    """Find values for each argument that a rule names, by reading the rules plainly."""
    places = max((rule.argument for rule in entry.rules), default=-1) + 1
    return tuple(_plan_word(entry.rules, place, pinned) for place in range(places))


def _plan_word(rules: tuple[Rule, ...], place: int, pinned: int) -> WordPlan:
    lane = next((rule.lane for rule in rules if isinstance(rule, SpendingLimitPolicy) and rule.argument == place), None)
    own = [rule for rule in rules if rule.argument == place]
    if not own:
        return WordPlan((0, 1, 7, UINT256_MAX), (), None)
    near = {0, 1, 2, 3, 5, pinned, pinned + (1 << 160), UINT256_MAX}
    for rule in own:
        value = rule.total_max if isinstance(rule, SpendingLimitPolicy) else rule.value
        near |= {value, max(0, value - 1), min(UINT256_MAX, value + 1)}
    good = tuple(sorted(value for value in near if _admits(rules, place, pinned, value)))
    return WordPlan(good, tuple(sorted(near - set(good))), lane)


def _admits(rules: tuple[Rule, ...], place: int, pinned: int, value: int) -> bool:
    at = 0
    while at < len(rules):
        rule = rules[at]
        run: list[Rule] = [rule]
        if isinstance(rule, ArgumentRule) and rule.condition is Condition.ONE_OF:
            while at + len(run) < len(rules) and _is_alternative(rules[at + len(run)], rule):
                run.append(rules[at + len(run)])
        if rule.argument == place and not any(_holds(each, value, pinned) for each in run):
            return False
        at += len(run)
    return True


def _is_alternative(rule: Rule, first: ArgumentRule) -> bool:
    return isinstance(rule, ArgumentRule) and rule.condition is Condition.ONE_OF and rule.argument == first.argument


def _holds(rule: Rule, value: int, pinned: int) -> bool:
    if isinstance(rule, SpendingLimitPolicy):
        return value <= rule.total_max
    return {
        Condition.EQUAL: value == rule.value,
        Condition.ONE_OF: value == rule.value,
        Condition.NOT_EQUAL: value != rule.value,
        Condition.AT_MOST: value <= rule.value,
        Condition.AT_LEAST: value >= rule.value,
        Condition.PINNED_TO_ACCOUNT: value == pinned,
    }[rule.condition]


def _other_form(rng: random.Random, packed: bytes) -> bytes:
    """Write the same scope as the contract would also take it, and `Scope.pack` would not: a rule that none uses."""
    entries, rules = packed[54], packed[55]
    if rules == 255:
        return packed
    rules_at = 192 + 32 * entries
    spare = bytes((rng.randrange(4), Condition.NOT_EQUAL)) + bytes(30) + rng.randbytes(32)
    head = packed[:55] + bytes((rules + 1,)) + packed[56:192]
    if rng.randrange(2):
        return head + packed[192:] + spare
    moved = b"".join(
        packed[at : at + 24] + bytes((packed[at + 24] + 1,)) + packed[at + 25 : at + 32]
        for at in range(192, rules_at, 32)
    )
    return head + moved + spare + packed[rules_at:]
