"""What a session has used up, and what an operation adds to it: the contract's arithmetic, digit for digit.

Uses and pace count calls that were attempted, reverted ones too. Gas is charged by limits, not by use. Nothing is ever
given back.

Source: SessionValidator.sol, which must never allow less than this does.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gamekit.core.policy import CALLS_MAX_LIMIT, SLACK_S, Denied
from gamekit.core.scope import VALUE_LANE, Scope, lane_limits
from gamekit.eth.hashing import to_hex
from gamekit.eth.session_validator_abi import SessionRecord
from gamekit.eth.user_operation import UserOperation
from gamekit.units import UINT48_MAX, Address, UnixSeconds, Wei

GAS_FIELD_MAX: Final = (1 << 120) - 1
"""Largest gas limit or fee that an entry point admits; beyond it AA94. Source: EntryPoint, `_validatePrepayment`."""
_MS_PER_S: Final = 1000


class Usage(Struct, frozen=True, gc=False):
    """What the chain has charged a session so far; all zero before its first operation."""

    uses: int = 0
    """Calls attempted."""
    arrival_ms: int = 0
    """The pace's own clock, in unix milliseconds: when all calls so far would have been due. 0 before the first."""
    gas_spent_wei: Wei = Wei(0)
    value_spent_wei: Wei = Wei(0)
    lane_amounts: tuple[int, int] = (0, 0)
    """What spending limits have counted; always 0 on the lane that counts value."""

    def with_gas(self, more: Wei) -> "Usage":
        """The same with more gas spent, in wei."""
        return replace(self, gas_spent_wei=Wei(self.gas_spent_wei + more))


def charge(
    scope: Scope,
    usage: Usage,
    claimed_at: UnixSeconds,
    calls_count: int,
    value_wei: Wei,
    lane_amounts: tuple[int, int],
    max_cost_wei: Wei,
) -> Usage | Denied:
    """Charge one operation as validation does; the first policy that refuses is named.

    Args:
        scope: the session's scope.
        usage: what was used before this operation.
        claimed_at: the operation's claimed time, in unix seconds.
        calls_count: calls in the operation.
        value_wei: native currency that all of them carry.
        lane_amounts: sum of `Allowed.lane_amounts` over them.
        max_cost_wei: all gas limits of the operation, the paymaster's too, times its maximum fee.
    """
    after = Usage(
        uses=usage.uses + calls_count,
        arrival_ms=_arrival_ms(scope, usage, claimed_at, calls_count),
        gas_spent_wei=Wei(usage.gas_spent_wei + max_cost_wei),
        value_spent_wei=Wei(usage.value_spent_wei + value_wei),
        lane_amounts=(usage.lane_amounts[0] + lane_amounts[0], usage.lane_amounts[1] + lane_amounts[1]),
    )
    return (
        _calls_denial(scope, after, calls_count)
        or _pace_denial(scope, after, claimed_at)
        or _gas_denial(scope, after, max_cost_wei)
        or _amounts_denial(scope, after)
        or after
    )


def max_cost(op: UserOperation) -> Wei | Denied:
    """Give the most that an operation can be charged, in wei: all its gas limits times its highest fee, whoever pays.

    Denied when a number is beyond `GAS_FIELD_MAX`, even if it would cost nothing.
    """
    gas = (
        op.pre_verification_gas,
        op.verification_gas_limit,
        op.call_gas_limit,
        op.paymaster_verification_gas_limit,
        op.paymaster_post_op_gas_limit,
    )
    highest = max(*gas, op.max_fee_per_gas)
    if highest > GAS_FIELD_MAX:
        return Denied("GasPolicy", GAS_FIELD_MAX, highest, f"no gas limit and no fee may be beyond {GAS_FIELD_MAX}")
    return Wei(sum(gas) * op.max_fee_per_gas)


def paymaster_denial(scope: Scope, paymaster: Address | None) -> Denied | None:
    """Refuse an operation with another paymaster than the scope's, or without the one that it names."""
    allowed = scope.gas.paymaster
    if paymaster == allowed:
        return None
    limit, asked = ("none" if each is None else to_hex(each) for each in (allowed, paymaster))
    return Denied("GasPolicy", limit, asked, f"the paymaster must be {limit}")


def admissible_calls(scope: Scope, usage: Usage, claimed_at: UnixSeconds) -> int:
    """Say how many calls one operation may carry that claims this time: by its size, the uses left and the pace."""
    calls = min(scope.calls_max, CALLS_MAX_LIMIT, scope.usage.uses_max - usage.uses)
    if scope.rate is not None:
        now_ms = claimed_at * _MS_PER_S
        ahead_ms = max(usage.arrival_ms - now_ms, 0)
        calls = min(calls, scope.rate.burst - -(-ahead_ms // scope.rate.interval_ms))
    return max(calls, 0)


def admissible_at(scope: Scope, usage: Usage, calls_count: int) -> UnixSeconds:
    """Say which time an operation of so many calls must claim at least, by the pace alone."""
    if scope.rate is None:
        return scope.time.valid_after
    at_ms = usage.arrival_ms - (scope.rate.burst - calls_count) * scope.rate.interval_ms
    return UnixSeconds(max(-(-at_ms // _MS_PER_S), scope.time.valid_after))


def time_range(
    scope: Scope, claimed_at: UnixSeconds, deadline: UnixSeconds
) -> tuple[UnixSeconds, UnixSeconds] | Denied:
    """Give the seconds in which the entry point lets the operation in: those that validation returns.

    The end is inclusive. The start is the first such second for entry points 0.6 and 0.7 and the last one before it
    for 0.8; a range that is empty for either is denied.
    """
    first = max(claimed_at, scope.time.valid_after)
    last = min(deadline, claimed_at + SLACK_S, scope.time.valid_until)
    if first >= last:
        return Denied("TimeFramePolicy", last, first, "there is no second at which the operation would be valid")
    return UnixSeconds(first), UnixSeconds(last)


def stored_usage(scope: Scope, record: SessionRecord) -> Usage:
    """Read what the contract has stored for a session; the scope says what lane 0 counts."""
    lanes = [record.lane0, record.lane1]
    value_wei = 0
    if scope.value.total_wei_max:
        value_wei, lanes[VALUE_LANE] = lanes[VALUE_LANE], 0
    return Usage(record.uses, record.arrival_ms, record.gas_spent_wei, Wei(value_wei), (lanes[0], lanes[1]))


def _arrival_ms(scope: Scope, usage: Usage, claimed_at: UnixSeconds, calls_count: int) -> int:
    if scope.rate is None:
        return usage.arrival_ms
    return max(usage.arrival_ms, claimed_at * _MS_PER_S) + calls_count * scope.rate.interval_ms


def _calls_denial(scope: Scope, after: Usage, calls_count: int) -> Denied | None:
    if not 1 <= calls_count <= min(scope.calls_max, CALLS_MAX_LIMIT):
        return Denied("CallPolicy", scope.calls_max, calls_count, f"an operation carries 1 to {scope.calls_max} calls")
    if after.uses > scope.usage.uses_max:
        limit = scope.usage.uses_max
        return Denied("UsageLimitPolicy", limit, after.uses, f"the session may make {limit} calls in all")
    return None


def _pace_denial(scope: Scope, after: Usage, claimed_at: UnixSeconds) -> Denied | None:
    if scope.rate is None:
        return None
    ahead_ms, limit_ms = after.arrival_ms - claimed_at * _MS_PER_S, scope.rate.burst * scope.rate.interval_ms
    if ahead_ms > limit_ms or after.arrival_ms > UINT48_MAX:
        return Denied("RateLimitPolicy", limit_ms, ahead_ms, "too many calls in too short a time, in milliseconds")
    return None


def _gas_denial(scope: Scope, after: Usage, max_cost_wei: Wei) -> Denied | None:
    budget, limit = scope.gas.budget_wei, scope.gas.per_operation_wei_max
    if max_cost_wei > limit:
        return Denied("GasPolicy", limit, max_cost_wei, f"one operation may cost at most {limit} wei")
    if after.gas_spent_wei > budget:
        return Denied("GasPolicy", budget, after.gas_spent_wei, f"the session may burn {budget} wei of gas in all")
    return None


def _amounts_denial(scope: Scope, after: Usage) -> Denied | None:
    limit = scope.value.total_wei_max
    if after.value_spent_wei > limit:
        return Denied("ValueLimitPolicy", limit, after.value_spent_wei, f"the session may send {limit} wei in all")
    if after.lane_amounts == (0, 0):
        return None
    limits = lane_limits(scope)
    for lane, amount in enumerate(after.lane_amounts):
        if amount > limits[lane]:
            return Denied("SpendingLimitPolicy", limits[lane], amount, f"the session may spend {limits[lane]} in all")
    return None
