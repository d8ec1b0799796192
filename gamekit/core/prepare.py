"""From a batch to an operation: calldata, nonce, gas limits, fees, claimed time and deadline.

The gas limits are what the session's budget pays in validation, whatever is used: so they follow from the manifest's
ceilings and not from a wish for safety.
"""

from gamekit.config import BatchConfig
from gamekit.core.fees import Fees
from gamekit.core.scope import Scope
from gamekit.eth.block import Head
from gamekit.units import Gas, UnixSeconds, Wei


def call_gas(ceilings: int, calls: int, limits: BatchConfig) -> Gas:
    """Gas limit of the execution: the calls' own ceilings, and the account's overhead for each."""
    return Gas(limits.execution_gas + ceilings + calls * limits.execution_gas_per_call)


def verification_gas(calls: int, limits: BatchConfig) -> Gas:
    """Gas limit of the validation: it reads every call."""
    return Gas(limits.verification_gas + calls * limits.verification_gas_per_call)


def pre_verification_gas(calls: int, limits: BatchConfig) -> Gas:
    """What the bundler is paid for calldata and the transaction's share."""
    return Gas(limits.pre_verification_gas + calls * limits.pre_verification_gas_per_call)


def max_cost(ceilings: int, calls: int, fees: Fees, limits: BatchConfig) -> Wei:
    """Most that an operation can be charged, in wei: the sum of its limits at its highest fee."""
    gas = call_gas(ceilings, calls, limits) + verification_gas(calls, limits) + pre_verification_gas(calls, limits)
    return Wei(gas * fees.max_fee_per_gas)


def times(head: Head, scope: Scope, limits: BatchConfig) -> tuple[UnixSeconds, UnixSeconds] | None:
    """Choose the claimed time and the deadline; None when the session ends too soon for either.

    The claimed time is one second before the latest canonical head's: the entry points differ on whether the first
    second of the range is inside it, and a block may share its parent's timestamp.
    """
    claimed_at = max(head.timestamp - 1, scope.time.valid_after)
    deadline = min(claimed_at + limits.deadline_s, scope.time.valid_until)
    if deadline <= head.timestamp:
        return None
    return UnixSeconds(claimed_at), UnixSeconds(deadline)
