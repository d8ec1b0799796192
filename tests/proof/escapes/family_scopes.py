"""What may not be granted: scopes that are not well-formed, or that limit nothing."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.core.policy import (
    CALLS_MAX_LIMIT,
    DURATION_S_MAX,
    ArgumentRule,
    Condition,
    RateLimitPolicy,
    SpendingLimitPolicy,
)
from gamekit.units import ZERO_ADDRESS
from tests.proof.escapes.family_grants import honest as one_move
from tests.proof.escapes.family_grants import refused_grant
from tests.proof.escapes.grants import NO_SCOPE, Grant, fault_of_bytes, fresh, grant, overwritten
from tests.proof.escapes.make import trial_row
from tests.proof.escapes.model import Row, Trial
from tests.proof.escapes.sessions import ATTACK, CRAFT, MOVE, Asked, entry, sorted_entries
from tests.proof.escapes.world import World


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _times()
    yield from _signers()
    yield from _limits()
    yield from _bytes()
    yield from _rules()


def _bytes_row(
    case: str,
    slug: str,
    what: str,
    error: str,
    change: Callable[[World, Grant], Grant],
    *,
    twin: Callable[[World, Grant], Grant] = lambda _, made: made,
    honest: Callable[[World], Grant] = one_move,
    values: Mapping[str, object] | None = None,
    off_chain: str = NO_SCOPE,
) -> Row:
    """A grant of bytes that gamekit itself would not write; `off_chain` says who of it would not read them either."""
    return trial_row(
        case,
        slug,
        what,
        refused_grant(error),
        lambda w: Trial(
            escape=grant(lambda w: change(w, honest(w))),
            twin=grant(lambda w: twin(w, honest(w))),
            values=values or {},
            effect={},
            off_chain=(
                lambda: fault_of_bytes(w, change(w, honest(w))),
                lambda: fault_of_bytes(w, twin(w, honest(w))),
            ),
        ),
        off_chain=off_chain,
    )


def _times() -> Iterator[Row]:
    """C38: a session ends, soon enough, and begins before."""

    def frame(begin: Callable[[World], int], end: Callable[[World], int]) -> Callable[[World, Grant], Grant]:
        return lambda w, made: overwritten(made, 20, begin(w).to_bytes(6, "big") + end(w).to_bytes(6, "big"))

    now: Callable[[World], int] = lambda w: w.now  # noqa: E731
    rows: tuple[tuple[str, str, str, Callable[[World], int], Callable[[World], int]], ...] = (
        ("end-zero", "an end of 0, which an EntryPoint reads as for ever", "TimeFrameEmpty", lambda w: 0, lambda w: 0),
        ("end-zero-begun", "an end of 0, behind a beginning", "TimeFrameEmpty", now, lambda w: 0),
        ("end-at-begin", "an end at its beginning", "TimeFrameEmpty", now, now),
        ("end-before-begin", "an end before its beginning", "TimeFrameEmpty", now, lambda w: w.now - 1),
        ("over", "a session that is over", "TimeFrameOver", lambda w: w.now - 50, lambda w: w.now - 1),
        ("long", "a session of 30 days and a second", "TimeFrameTooLong", now, lambda w: w.now + DURATION_S_MAX + 2),
        ("far", "a session far in the future", "TimeFrameTooLong", lambda w: (1 << 48) - 9, lambda w: (1 << 48) - 1),
    )
    for slug, what, error, begin, end in rows:
        yield _bytes_row(
            "C38",
            f"grant-{slug}",
            f"granted: {what}",
            error,
            frame(begin, end),
            # The next block is a second later than the head.
            twin=frame(now, lambda w: w.now + DURATION_S_MAX + 1),
            off_chain=NO_SCOPE if error == "TimeFrameEmpty" else "grant_fault",
        )


def _signers() -> Iterator[Row]:
    """C39, C44: a session key that nobody has, or that is not a key."""
    signers: tuple[tuple[str, str, Callable[[World], bytes]], ...] = (
        ("zero", "address 0, which a malformed signature recovers to", lambda w: ZERO_ADDRESS),
        ("account", "the account itself", lambda w: w.account),
        ("module", "the session validator", lambda w: w.module),
    )
    for slug, what, address in signers:
        yield _bytes_row(
            "C39",
            f"grant-{slug}",
            f"granted: a session key that is {what}",
            "SignerInvalid",
            partial(lambda address, w, made: overwritten(made, 0, address(w)), address),
            off_chain=NO_SCOPE if slug == "zero" else "grant_fault",
        )


def _move(world: World, **changes: object) -> Asked:
    return Asked((entry(world.contracts.arena, MOVE),), **changes)  # type: ignore[arg-type]


LIMITS: Final[tuple[tuple[str, str, str, str, int, bytes, Mapping[str, object]], ...]] = (
    ("C11", "calls-zero", "no call in an operation", "CallsMaxInvalid", 53, b"\x00", {"callsMax": 0}),
    (
        "C11",
        "calls-65",
        "65 calls in an operation",
        "CallsMaxInvalid",
        53,
        b"\x41",
        {"callsMax": 65, "callsMaxLimit": CALLS_MAX_LIMIT},
    ),
    ("C28", "uses-zero", "no call in all", "UsesMaxInvalid", 88, bytes(4), {"usesMax": 0}),
    (
        "C34",
        "gas-zero",
        "operations that cost nothing",
        "GasLimitInvalid",
        112,
        bytes(16),
        {"gasPerOperationWeiMax": 0},
    ),
    (
        "C34",
        "gas-over-budget",
        "operations that cost more than the budget",
        "GasLimitInvalid",
        112,
        b"\xff" * 16,
        {},
    ),
    (
        "C06",
        "value-over-total",
        "value per call over the total",
        "ValueLimitInvalid",
        128,
        (5).to_bytes(16, "big") + (6).to_bytes(16, "big"),
        {"valuePerCallWeiMax": 6, "valueTotalWeiMax": 5},
    ),
    (
        "C06",
        "value-without-call",
        "a total without a limit per call",
        "ValueLimitInvalid",
        128,
        (5).to_bytes(16, "big") + bytes(16),
        {},
    ),
    (
        "C28",
        "burst",
        "a burst below the largest batch",
        "BurstTooSmall",
        56,
        b"\x00\x07",
        {"burst": 7, "callsMax": 8},
    ),
    ("C28", "slow", "a pace whose clock would not fit", "RateTooSlow", 56, ((1 << 16) - 1).to_bytes(2, "big"), {}),
)
"""Case, slug, what, error, where something is written in the scope, what, and values of the error."""


def _limits() -> Iterator[Row]:
    """C06, C11, C28, C34: limits that would limit nothing, or nothing that could be checked."""
    for case, slug, what, error, at, written, values in LIMITS:
        paced = slug in ("burst", "slow")
        interval = (1 << 32) - 1 if slug == "slow" else 1000
        rate = RateLimitPolicy(interval_ms=interval, burst=8) if paced else None
        yield _bytes_row(
            case,
            f"grant-{slug}",
            f"granted: {what}",
            error,
            partial(lambda at, written, w, made: overwritten(made, at, written), at, written),
            honest=partial(lambda rate, w: fresh(w, _move(w, rate=rate)), rate),
            values=values,
        )


def _bytes() -> Iterator[Row]:
    """C26, C27: bytes that two readers could take for two scopes."""
    for slug, what, at in (
        ("header", "a reserved byte of the header", 63),
        ("header-last", "the last reserved byte of the header", 191),
        ("entry", "a reserved byte of an entry", 223),
    ):
        yield _bytes_row(
            "C27",
            f"grant-reserved-{slug}",
            f"granted: {what} is not zero",
            "ScopeReservedNotZero",
            partial(lambda at, _, made: overwritten(made, at, b"\x01"), at),
            values={"word": 1},
        )
    for version in (0, 2):
        yield _bytes_row(
            "C27",
            f"grant-version-{version}",
            f"granted: version {version}",
            "ScopeVersionUnknown",
            partial(lambda version, _, made: overwritten(made, 52, bytes((version,))), version),
            values={"version": version, "known": 1},
        )
    for slug, what, change in (
        ("longer", "a word behind the scope", lambda made: replace(made, scope=made.scope + bytes(32))),
        ("longer-byte", "a byte behind the scope", lambda made: replace(made, scope=made.scope + b"\x00")),
        ("shorter", "a scope without its entry", lambda made: replace(made, scope=made.scope[:192])),
        ("short-header", "less than a header", lambda made: replace(made, scope=made.scope[:191])),
        ("empty", "nothing at all", lambda made: replace(made, scope=b"")),
    ):
        yield _bytes_row(
            "C26",
            f"grant-{slug}",
            f"granted: {what}",
            "ScopeLengthMismatch",
            partial(lambda change, _, made: change(made), change),
        )


def _two(world: World) -> Grant:
    """A grant of two entries."""
    return fresh(world, Asked(sorted_entries(*(entry(world.contracts.arena, each) for each in (MOVE, ATTACK)))))


def _ruled(world: World, **changes: object) -> Grant:
    """A grant of one entry with two rules: the second counts in lane 0."""
    rules = (ArgumentRule(0, Condition.AT_MOST, 5), SpendingLimitPolicy(1, 100, 0))
    return fresh(world, Asked((entry(world.contracts.arena, CRAFT, *rules),), **changes))  # type: ignore[arg-type]


def _rules() -> Iterator[Row]:
    """C27: entries and rules that would be merged, or read as something else."""
    first, second = 192, 224

    def doubled(_: World, made: Grant) -> Grant:
        return replace(overwritten(made, second, made.scope[first:second]), functions=(made.functions[0],) * 2)

    def swapped(_: World, made: Grant) -> Grant:
        one, other = made.scope[first:second], made.scope[second : second + 32]
        return replace(overwritten(made, first, other + one), functions=made.functions[::-1])

    for slug, what, change in (
        ("twice", "the same function twice", doubled),
        ("unsorted", "entries that do not ascend", swapped),
    ):
        yield _bytes_row("C27", f"grant-{slug}", f"granted: {what}", "EntriesNotAscending", change, honest=_two)
    count, rule, counting = 192 + 25, 224, 288
    changes: tuple[tuple[str, str, str, int, bytes], ...] = (
        ("rules-beyond", "an entry whose rules end behind the last", "RulesOutOfRange", count, b"\x03"),
        ("condition", "a condition that does not exist", "RuleInvalid", rule + 1, b"\x07"),
        ("pinned-value", "a pinned argument with a value", "RuleInvalid", rule + 1, b"\x05"),
        ("lane-unused", "a lane on a rule that counts nothing", "RuleInvalid", rule + 2, b"\x01"),
        ("lane-2", "a lane that does not exist", "RuleInvalid", counting + 2, b"\x02"),
        ("sum-129-bits", "a sum of 2^128", "RuleInvalid", counting + 32, (1 << 128).to_bytes(32, "big")),
        ("rule-reserved", "a reserved byte of a rule is not zero", "ScopeReservedNotZero", rule + 3, b"\x01"),
    )
    for slug, what, error, at, written in changes:
        yield _bytes_row(
            "C27",
            f"grant-{slug}",
            f"granted: {what}",
            error,
            partial(lambda at, written, _, made: overwritten(made, at, written), at, written),
            honest=_ruled,
        )
    value = (5).to_bytes(16, "big") * 2
    yield _bytes_row(
        "C27",
        "grant-lane-of-value",
        "granted: an argument counted where value is",
        "RuleInvalid",
        lambda _, made: overwritten(made, 128, value),
        twin=lambda _, made: overwritten(overwritten(made, 128, value), counting + 2, b"\x01"),
        honest=_ruled,
    )
    yield _bytes_row(
        "C27",
        "grant-lane-limits",
        "granted: two limits for one sum",
        "LaneLimitsDiffer",
        lambda _, made: overwritten(made, rule, b"\x00\x06\x00" + bytes(29) + (99).to_bytes(32, "big")),
        twin=lambda _, made: overwritten(made, rule, b"\x00\x06\x00" + bytes(29) + (100).to_bytes(32, "big")),
        honest=_ruled,
        values={"lane": 0, "limit": 100, "otherLimit": 99},
    )
