"""The policies of a scope, one rule each, and the two answers that a rule gives.

Values only: how they stand in bytes is `scope.py`, what they mean in words is `explain.py`. Every bound here is the
contract's own, or narrower. The words are SmartSessions' and ZeroDev's.

Source: SessionValidator.sol, which enforces all of them.
"""

from enum import IntEnum
from typing import Final

from msgspec import Struct

from gamekit.units import Address, UnixSeconds, Wei

CALLS_MAX_LIMIT: Final = 64
"""Most calls that one operation may carry, whatever a scope says."""
LANES_MAX: Final = 2
"""Most cumulative caps in a scope, the cap on value among them: they share one storage slot."""
DURATION_S_MAX: Final = 30 * 24 * 3600
"""Longest time frame from the grant, in seconds. A key that is needed for longer is granted anew."""
SLACK_S: Final = 120
"""An operation is valid for at most so many seconds from its claimed time."""


class Condition(IntEnum):
    """How an argument is compared with a rule's value; the number is its byte in the packed scope."""

    EQUAL = 0
    NOT_EQUAL = 1
    AT_MOST = 2
    """Unsigned, both sides included."""
    AT_LEAST = 3
    """Unsigned, both sides included."""
    ONE_OF = 4
    """Neighbouring one-of rules on the same argument are alternatives."""
    PINNED_TO_ACCOUNT = 5
    """The whole word is the player's own account: what a beneficiary must be."""


CUMULATIVE_AT_MOST: Final = 6
"""The byte of a spending limit, which is a rule with a memory."""


class TimeFramePolicy(Struct, frozen=True, gc=False):
    """When a session holds."""

    valid_after: UnixSeconds
    """First second that may be claimed, inclusive; 0 is allowed."""
    valid_until: UnixSeconds
    """Last second, inclusive; later than `valid_after`, never 0 (the entry point reads 0 as forever)."""


class ArgumentRule(Struct, frozen=True, gc=False, tag="argument"):
    """One static argument of a function, compared with a fixed value."""

    argument: int
    """Which word of the call's arguments, 0 to 255: the bytes from 4 + 32 * argument. Static words only."""
    condition: Condition
    value: int = 0
    """The word to compare with, as an unsigned number; 0 when pinned to the account."""


class SpendingLimitPolicy(Struct, frozen=True, gc=False, tag="spending"):
    """A cap on the sum of one numeric argument over all calls of the session: spending of in-game currency."""

    argument: int
    """Which word of the call's arguments, as in `ArgumentRule`."""
    total_max: int
    """Most that all calls together may name, inclusive; 0 to 2^128 - 1."""
    lane: int
    """Which of the two cumulative counters on chain it uses: 0 or 1."""


class CallEntry(Struct, frozen=True, gc=False):
    """One function that a session may call."""

    target: Address
    selector: bytes
    """First four bytes of the call's data."""
    function: str = ""
    """Signature text such as `attack(uint256,uint8)`; the wallet shows it. Not part of the packed scope."""
    rules: tuple[ArgumentRule | SpendingLimitPolicy, ...] = ()
    """All of them must hold."""


class CallPolicy(Struct, frozen=True, gc=False):
    """The allowlist: nothing else can be called. There are no wildcards."""

    entries: tuple[CallEntry, ...]
    """1 to 255, strictly ascending by (target, selector)."""


class ValueLimitPolicy(Struct, frozen=True, gc=False):
    """Native currency that calls may carry along. Both 0: none at all."""

    per_call_wei_max: Wei = Wei(0)
    """Inclusive; at most the total."""
    total_wei_max: Wei = Wei(0)
    """Inclusive, over all calls; below 2^128. Takes a cumulative counter."""


class UsageLimitPolicy(Struct, frozen=True, gc=False):
    """How many calls the session may make in all."""

    uses_max: int
    """Calls attempted, reverted ones too: 1 to 2^32 - 1."""


class RateLimitPolicy(Struct, frozen=True, gc=False):
    """How fast: one call every `interval_ms`, and `burst` at once after a pause."""

    interval_ms: int
    """Milliseconds that one call takes to refill, 1 to 2^32 - 1."""
    burst: int
    """Calls at once, from `calls_max` to 2^16 - 1."""


CONFIGURED_PAYMASTER: Final = Address(b"\xff" * 20)
"""Stands for the configuration's own paymaster until a unit is bound to an account, and with it to an entry point."""


class GasPolicy(Struct, frozen=True, gc=False):
    """What the session may burn in gas, charged as all gas limits times the maximum fee, whoever pays."""

    budget_wei: Wei
    """Over the session's life: at least 1, below 2^128."""
    per_operation_wei_max: Wei
    """For one operation: 1 to the budget."""
    paymaster: Address | None = None
    """None: operations must have no paymaster. Else exactly this one, which may not be left out."""


class Allowed(Struct, frozen=True, gc=False):
    """A call is within the scope, and this is what it takes from it."""

    hint: int
    """Index of the entry that covers it: the byte that the signature carries for this call."""
    value_wei: Wei = Wei(0)
    """Native currency that the call carries."""
    lane_amounts: tuple[int, int] = (0, 0)
    """What it adds to each of the two cumulative counters."""


class Denied(Struct, frozen=True, gc=False):
    """A policy refused; everything that a player must be told."""

    policy: str
    """Name of the policy, as its class is named."""
    limit: int | str
    """What the scope allows."""
    asked: int | str
    """What was asked for, in the same unit."""
    reason: str
    """One sentence."""
