"""The verdict on a single call: is it one of the session's functions, with arguments and a value that its rules admit?

Static: what has been used and what the time is belong to `usage.py`.

Source: SessionValidator.sol, which must never allow less than this does.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from gamekit.core.policy import CUMULATIVE_AT_MOST, Allowed, CallEntry, Condition, Denied, SpendingLimitPolicy
from gamekit.core.scope import Scope
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import CANONICAL_ENTRY_POINTS
from gamekit.eth.hashing import to_hex
from gamekit.units import ZERO_ADDRESS, Address


class ScopeChecker:
    """Gives the verdict on single calls of one session; compiled once, since every action asks it."""

    __slots__ = ("_account", "_entries", "_value_per_call_wei_max", "scope")

    def __init__(self, scope: Scope, account: Address, forbidden: Iterable[Address] = ()) -> None:
        """Compile the checks.

        Args:
            scope: the session's scope.
            account: the player's account, which pinned arguments must name.
            forbidden: contracts that no session may call even if an entry says so: the module, and an entry point
                at another than its canonical address. The account, address 0 and the canonical ones always are.
        """
        self.scope: Final = scope
        self._account = int.from_bytes(account, "big")
        self._value_per_call_wei_max = scope.value.per_call_wei_max
        refused = {account, ZERO_ADDRESS, *CANONICAL_ENTRY_POINTS, *forbidden}
        self._entries = {
            entry.target + entry.selector: _CompiledEntry(entry, Allowed(hint), self._compile(entry))
            for hint, entry in enumerate(scope.calls.entries)
            if entry.target not in refused
        }

    def check_call(self, call: Call) -> Allowed | Denied:
        """Decide whether one call is within the scope, whatever has been used and whatever the time is.

        The first policy that refuses is named.
        """
        data = call.data
        entry = self._entries.get(call.target + data[:4])
        if entry is None or len(data) < 4:
            asked = f"{data[:4].hex()} on {to_hex(call.target)}"
            return Denied("CallPolicy", len(self._entries), asked, "this function is not part of the session")
        if not call.value and not entry.checks:
            return entry.allowed
        return self._check_value(call) or self._check_arguments(entry, call)

    def _check_value(self, call: Call) -> Denied | None:
        if 0 <= call.value <= self._value_per_call_wei_max:
            return None
        limit = self._value_per_call_wei_max
        return Denied("ValueLimitPolicy", limit, call.value, f"a call may carry at most {limit} wei")

    def _check_arguments(self, entry: "_CompiledEntry", call: Call) -> Allowed | Denied:
        lane_amounts = [0, 0]
        for check in entry.checks:
            word = call.data[check.start : check.start + 32]
            if len(word) < 32:
                return Denied("CallPolicy", check.start + 32, len(call.data), "an argument that has a rule is missing")
            number = int.from_bytes(word, "big")
            if not check.holds(number):
                return check.refusal(entry.entry, number)
            if check.lane is not None:
                lane_amounts[check.lane] += number
        return Allowed(entry.allowed.hint, call.value, (lane_amounts[0], lane_amounts[1]))

    def _compile(self, entry: CallEntry) -> "tuple[_Check, ...]":
        """Turn rules into checks: neighbouring one-of rules on the same argument become one set."""
        checks: list[_Check] = []
        for rule in entry.rules:
            start = 4 + 32 * rule.argument
            if isinstance(rule, SpendingLimitPolicy):
                checks.append(_Check(start, CUMULATIVE_AT_MOST, frozenset((rule.total_max,)), rule.lane))
                continue
            value = self._account if rule.condition is Condition.PINNED_TO_ACCOUNT else rule.value
            last = checks[-1] if checks else None
            if (
                last
                and (last.start, last.condition) == (start, Condition.ONE_OF)
                and rule.condition is Condition.ONE_OF
            ):
                checks[-1] = _Check(start, Condition.ONE_OF, last.values | {value})
            else:
                checks.append(_Check(start, rule.condition, frozenset((value,))))
        return tuple(checks)


class _Check(Struct, frozen=True, gc=False):
    """One compiled rule."""

    start: int
    """Where the argument's word stands in the call's data."""
    condition: int
    values: frozenset[int]
    """One value, or the alternatives of one-of."""
    lane: int | None = None

    def holds(self, number: int) -> bool:
        if self.condition == Condition.NOT_EQUAL:
            return number not in self.values
        if self.condition in (Condition.AT_MOST, CUMULATIVE_AT_MOST):
            return number <= max(self.values)
        if self.condition == Condition.AT_LEAST:
            return number >= max(self.values)
        return number in self.values

    def refusal(self, entry: CallEntry, number: int) -> Denied:
        argument = (self.start - 4) // 32
        limit = " or ".join(map(str, sorted(self.values)))
        where = f"argument {argument} of {entry.function or entry.selector.hex()}"
        policy = "CallPolicy" if self.lane is None else "SpendingLimitPolicy"
        return Denied(policy, limit, number, f"{where} must be {_WORDS[self.condition]} {limit}")


class _CompiledEntry(Struct, frozen=True, gc=False):
    entry: CallEntry
    allowed: Allowed
    """The answer for a call that carries no value, if there is nothing to check."""
    checks: tuple[_Check, ...]


_WORDS: Final = {
    Condition.EQUAL: "equal to",
    Condition.NOT_EQUAL: "anything but",
    Condition.AT_MOST: "at most",
    Condition.AT_LEAST: "at least",
    Condition.ONE_OF: "one of",
    Condition.PINNED_TO_ACCOUNT: "the player's own account, as a number",
    CUMULATIVE_AT_MOST: "at most",
}
