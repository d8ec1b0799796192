"""A scope: all policies of one session, and its bytes on chain.

::

    word 0   signer 20 | valid_after 6 | valid_until 6
    word 1   revoker 20 | version 1 | calls_max 1 | entries 1 | rules 1 | burst 2 | reserved 6
    word 2   nonce_key 24 | uses_max 4 | interval_ms 4
    word 3   gas budget 16 | gas per operation 16           in wei
    word 4   value in all 16 | value per call 16            in wei
    word 5   paymaster 20 | reserved 12
    entries  target 20 | selector 4 | first rule 1 | rules 1 | reserved 6
    rules    argument 1 | condition 1 | lane 1 | reserved 29, value 32

Reserved bytes are zero. The rules of an entry stand behind those of the entry before it; the contract would also take
them in another order, or shared. A list of more than `SHORT_LIST_MAX` entries is long: the counts are 0, each entry's
rules stand right behind it, and signatures carry the Merkle root of the list instead (`eth/scope_form.py`). The verdict
on a call is `checker.py`, what a session has used up is `usage.py`.

Source: SessionValidator.sol, which must never allow less than this does.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from gamekit.core.asset_selectors import DENIED_SELECTORS
from gamekit.core.policy import (
    CALLS_MAX_LIMIT,
    CUMULATIVE_AT_MOST,
    DURATION_S_MAX,
    LANES_MAX,
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
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.entry_point_version import CANONICAL_ENTRY_POINTS
from gamekit.eth.hashing import selector
from gamekit.eth.scope_form import ENTRY_LENGTH, HEADER_LENGTH, RULE_LENGTH, entries_of, is_long
from gamekit.units import (
    UINT48_MAX,
    UINT128_MAX,
    UINT192_MAX,
    UINT256_MAX,
    ZERO_ADDRESS,
    Address,
    NonceKey,
    UnixSeconds,
    Wei,
)

SCOPE_VERSION: Final = 1
VALUE_LANE: Final = 0
"""Which cumulative counter sums the value of calls, in a scope that allows any."""

SHORT_LIST_MAX: Final = 12
"""Most entries that ride in every signature as they are. Measured: `benchmarks/results/gas.json`, `lists`."""
ENTRIES_MAX: Final = 2000
"""Most entries of a scope: what one transaction below 16,777,216 gas can grant."""


class Scope(Struct, frozen=True, gc=False):
    """All the rules of a session. Everything here is enforced by the contract, whoever holds the key."""

    signer: Address
    """Address of the session key."""
    revoker: Address
    """May revoke by a plain transaction, without the server: by default the owner's own account. Zero: nobody may."""
    nonce_key: NonceKey
    """The only lane whose operations the session may sign, as the account writes it."""
    calls_max: int
    """Most calls in one operation, 1 to 64."""
    time: TimeFramePolicy
    calls: CallPolicy
    usage: UsageLimitPolicy
    gas: GasPolicy
    rate: RateLimitPolicy | None = None
    """None: the module sets no pace; uses and gas still bound the session."""
    value: ValueLimitPolicy = ValueLimitPolicy()

    def pack(self) -> bytes:
        """Write the granted form: the whole list, short or long.

        Raises: ConfigInvalid if the contract would refuse the scope; it says which bound is broken.
        """
        fault = scope_fault(self)
        if fault:
            raise ConfigInvalid(f"scope: {fault}")
        return _pack(self)

    @classmethod
    def unpack(cls, data: bytes, functions: Iterable[str] = ()) -> "Scope":
        """Read the bytes again; only what `pack` writes is read.

        Args:
            data: the packed scope.
            functions: signature texts, which the bytes do not hold; each finds its entries by its selector.

        Raises: EncodingInvalid for any other bytes.
        """
        scope = _unpack(data, {selector(text): text for text in functions})
        fault = scope_fault(scope) or ("" if _pack(scope) == data else "the bytes are not the canonical ones")
        if fault:
            raise EncodingInvalid(f"scope: {fault}")
        return scope


def scope_fault(scope: Scope) -> str:
    """Say why the contract would refuse this scope whatever the time is; empty if it would not."""
    for name, found, low, high in _bounds(scope):
        if not low <= found <= high:
            return f"{name} must be {low} to {high}, got {found}"
    if len(scope.revoker) != 20:
        return f"revoker must be 20 bytes, got {scope.revoker.hex()}"
    for name, address in (("signer", scope.signer), ("paymaster", scope.gas.paymaster)):
        if address is not None and (len(address) != 20 or address == ZERO_ADDRESS):
            return f"{name} must be 20 bytes and not zero, got {address.hex()}"
    return _entries_fault(scope.calls.entries) or _lanes_fault(scope)


def grant_fault(scope: Scope, account: Address, module: Address, now: UnixSeconds) -> str:
    """Say why the contract would refuse to grant this scope on an account now; empty if it would not.

    What only the chain can say is left out: whether the targets have code, are tokens, or are the account's modules.

    Args:
        scope: what is to be granted.
        account: whose session it would be.
        module: the session validator.
        now: chain time.
    """
    fault = scope_fault(scope)
    if fault:
        return fault
    if scope.signer in (account, module):
        return f"the session key cannot be the account or the module, got {scope.signer.hex()}"
    if not now <= scope.time.valid_until <= now + DURATION_S_MAX:
        return f"valid_until must be {now} to {now + DURATION_S_MAX}, got {scope.time.valid_until}"
    forbidden = {account, module, *CANONICAL_ENTRY_POINTS}
    for entry in scope.calls.entries:
        if entry.target in forbidden or entry.selector in DENIED_SELECTORS:
            place = f"{entry.function or entry.selector.hex()} of {entry.target.hex()}"
            return f"no session may call {place}: it could act for the account, or moves assets, rights or code"
    return ""


def lane_limits(scope: Scope) -> tuple[int, int]:
    """Give the cap of each cumulative counter; 0 where the scope has none."""
    limits = [0, 0]
    if scope.value.total_wei_max:
        limits[VALUE_LANE] = scope.value.total_wei_max
    for rule in _spending_limits(scope):
        limits[rule.lane] = rule.total_max
    return limits[0], limits[1]


def _bounds(scope: Scope) -> Iterator[tuple[str, int, int, int]]:
    """Name every number of a scope with its lowest and highest value."""
    frame, gas, value, rate = scope.time, scope.gas, scope.value, scope.rate
    entries = scope.calls.entries
    yield "valid_after", frame.valid_after, 0, UINT48_MAX
    yield "valid_until", frame.valid_until, frame.valid_after + 1, UINT48_MAX
    yield "calls_max", scope.calls_max, 1, CALLS_MAX_LIMIT
    yield "nonce_key", scope.nonce_key, 0, UINT192_MAX
    yield "uses_max", scope.usage.uses_max, 1, 2**32 - 1
    yield "gas budget_wei", gas.budget_wei, 1, UINT128_MAX
    yield "gas per_operation_wei_max", gas.per_operation_wei_max, 1, gas.budget_wei
    yield "value total_wei_max", value.total_wei_max, 0, UINT128_MAX
    yield "value per_call_wei_max", value.per_call_wei_max, 1 if value.total_wei_max else 0, value.total_wei_max
    yield "number of entries", len(entries), 1, ENTRIES_MAX
    if _is_long(entries):
        yield "number of rules of an entry", max(len(entry.rules) for entry in entries), 0, 255
    else:
        yield "number of rules", sum(len(entry.rules) for entry in entries), 0, 255
    if rate is not None:
        yield "interval_ms", rate.interval_ms, 1, 2**32 - 1
        yield "burst", rate.burst, scope.calls_max, 2**16 - 1
        # The furthest that the pace's clock can ever be: a whole burst ahead of the last second.
        yield "burst after the end, in ms", frame.valid_until * 1000 + rate.burst * rate.interval_ms, 0, UINT48_MAX


def _entries_fault(entries: Sequence[CallEntry]) -> str:
    before = b""
    for entry in entries:
        place = entry.target + entry.selector
        if len(entry.target) != 20 or len(entry.selector) != 4 or entry.target == ZERO_ADDRESS:
            return f"an entry is a target of 20 bytes, not zero, and a selector of 4, got {place.hex()}"
        if place <= before:
            return f"entries must ascend by (target, selector): {place.hex()} stands after {before.hex()}"
        if entry.function and selector(entry.function) != entry.selector:
            return f"{entry.function} has the selector {selector(entry.function).hex()}, got {entry.selector.hex()}"
        before = place
        for rule in entry.rules:
            fault = _rule_fault(rule)
            if fault:
                return f"{entry.function or place.hex()}: {fault}"
    return ""


def _rule_fault(rule: ArgumentRule | SpendingLimitPolicy) -> str:
    if not 0 <= rule.argument <= 255:
        return f"argument must be 0 to 255, got {rule.argument}"
    if isinstance(rule, SpendingLimitPolicy):
        if not 0 <= rule.total_max <= UINT128_MAX:
            return f"a spending limit must be 0 to 2^128 - 1, got {rule.total_max}"
        return "" if 0 <= rule.lane < LANES_MAX else f"lane must be 0 or 1, got {rule.lane}"
    high = 0 if rule.condition is Condition.PINNED_TO_ACCOUNT else UINT256_MAX
    return "" if 0 <= rule.value <= high else f"the value of a rule must be 0 to {high}, got {rule.value}"


def _lanes_fault(scope: Scope) -> str:
    """Spending limits may share a counter if they share the limit; the value's counter is its own."""
    limits = list(lane_limits(scope))
    for rule in _spending_limits(scope):
        if rule.lane == VALUE_LANE and scope.value.total_wei_max:
            return f"lane {VALUE_LANE} counts the value of calls, a spending limit needs another"
        if rule.total_max != limits[rule.lane]:
            return f"limits that share lane {rule.lane} must be equal, got {rule.total_max} and {limits[rule.lane]}"
    return ""


def _spending_limits(scope: Scope) -> Iterator[SpendingLimitPolicy]:
    for entry in scope.calls.entries:
        for rule in entry.rules:
            if isinstance(rule, SpendingLimitPolicy):
                yield rule


def _pack(scope: Scope) -> bytes:
    frame, gas, value = scope.time, scope.gas, scope.value
    entries = scope.calls.entries
    rules = [rule for entry in entries for rule in entry.rules]
    burst, interval_ms = (scope.rate.burst, scope.rate.interval_ms) if scope.rate else (0, 0)
    long = _is_long(entries)
    counts = (0, 0) if long else (len(entries), len(rules))
    parts = [
        scope.signer + frame.valid_after.to_bytes(6, "big") + frame.valid_until.to_bytes(6, "big"),
        scope.revoker + bytes((SCOPE_VERSION, scope.calls_max, *counts)),
        burst.to_bytes(2, "big") + bytes(6),
        scope.nonce_key.to_bytes(24, "big") + scope.usage.uses_max.to_bytes(4, "big") + interval_ms.to_bytes(4, "big"),
        gas.budget_wei.to_bytes(16, "big") + gas.per_operation_wei_max.to_bytes(16, "big"),
        value.total_wei_max.to_bytes(16, "big") + value.per_call_wei_max.to_bytes(16, "big"),
        (gas.paymaster or ZERO_ADDRESS) + bytes(12),
    ]
    first_rule = 0
    for entry in entries:
        count = len(entry.rules)
        begin = first_rule if count and not long else 0
        parts.append(entry.target + entry.selector + bytes((begin, count)) + bytes(6))
        if long:
            parts += map(_pack_rule, entry.rules)
        first_rule += count
    return b"".join(parts) + (b"" if long else b"".join(map(_pack_rule, rules)))


def _is_long(entries: Sequence[CallEntry]) -> bool:
    """Whether signatures carry the list's root: measured to be cheaper."""
    return len(entries) > SHORT_LIST_MAX


def _pack_rule(rule: ArgumentRule | SpendingLimitPolicy) -> bytes:
    if isinstance(rule, SpendingLimitPolicy):
        head = bytes((rule.argument, CUMULATIVE_AT_MOST, rule.lane))
        return head + bytes(29) + rule.total_max.to_bytes(32, "big")
    return bytes((rule.argument, rule.condition)) + bytes(30) + rule.value.to_bytes(32, "big")


def _unpack(data: bytes, functions: dict[bytes, str]) -> Scope:
    """Read the fields and nothing more; the caller checks bounds and that packing gives the same bytes."""
    try:
        written = entries_of(data)
    except EncodingInvalid as error:
        raise EncodingInvalid(f"scope: {error}", found=len(data)) from error
    if data[52] != SCOPE_VERSION:
        raise EncodingInvalid(f"scope: version must be {SCOPE_VERSION}, got {data[52]}", found=data[52])
    entries = [
        _unpack_entry(entry, rules, functions) for entry, rules in zip(written, _rules_of(data, written), strict=True)
    ]
    number = int.from_bytes
    interval_ms, paymaster = number(data[92:96], "big"), Address(data[160:180])
    return Scope(
        signer=Address(data[:20]),
        revoker=Address(data[32:52]),
        nonce_key=NonceKey(number(data[64:88], "big")),
        calls_max=data[53],
        time=TimeFramePolicy(UnixSeconds(number(data[20:26], "big")), UnixSeconds(number(data[26:32], "big"))),
        calls=CallPolicy(tuple(entries)),
        usage=UsageLimitPolicy(number(data[88:92], "big")),
        gas=GasPolicy(
            Wei(number(data[96:112], "big")),
            Wei(number(data[112:128], "big")),
            None if paymaster == ZERO_ADDRESS else paymaster,
        ),
        rate=RateLimitPolicy(interval_ms, number(data[56:58], "big")) if interval_ms else None,
        value=ValueLimitPolicy(
            per_call_wei_max=Wei(number(data[144:160], "big")), total_wei_max=Wei(number(data[128:144], "big"))
        ),
    )


def _rules_of(data: bytes, written: Sequence[bytes]) -> Iterator[Sequence[ArgumentRule | SpendingLimitPolicy]]:
    """Give each entry's rules, each rule once: the work is in proportion to the bytes.

    Rules that entries share are refused here, before there are 255 of them on each of 255 entries.
    """
    if is_long(data):
        for entry in written:
            yield _unpack_rules(entry[ENTRY_LENGTH:])
        return
    rules = _unpack_rules(data[HEADER_LENGTH + ENTRY_LENGTH * len(written) :])
    following = 0
    for entry in written:
        first, count = entry[24], entry[25]
        if first != (following if count else 0):
            text = f"an entry's rules begin at {first}, those of the entry before end at {following}"
            raise EncodingInvalid(
                f"scope: the bytes are not the canonical ones: {text}", found=first, expected=following
            )
        yield rules[first : first + count]
        following += count


def _unpack_entry(
    data: bytes, rules: Sequence[ArgumentRule | SpendingLimitPolicy], functions: dict[bytes, str]
) -> CallEntry:
    return CallEntry(
        target=Address(data[:20]),
        selector=data[20:24],
        function=functions.get(data[20:24], ""),
        rules=tuple(rules),
    )


def _unpack_rules(data: bytes) -> list[ArgumentRule | SpendingLimitPolicy]:
    return [_unpack_rule(data[at : at + RULE_LENGTH]) for at in range(0, len(data), RULE_LENGTH)]


def _unpack_rule(data: bytes) -> ArgumentRule | SpendingLimitPolicy:
    argument, condition, value = data[0], data[1], int.from_bytes(data[32:], "big")
    if condition == CUMULATIVE_AT_MOST:
        return SpendingLimitPolicy(argument=argument, total_max=value, lane=data[2])
    if condition > CUMULATIVE_AT_MOST:
        raise EncodingInvalid(f"scope: unknown condition {condition}", found=condition)
    return ArgumentRule(argument=argument, condition=Condition(condition), value=value)
