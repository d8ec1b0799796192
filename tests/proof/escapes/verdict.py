"""What gamekit itself says of an operation, before it would sign one: the same order as the pipeline's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gamekit.core.checker import ScopeChecker
from gamekit.core.policy import Allowed, Denied
from gamekit.core.scope import Scope
from gamekit.core.usage import Usage, charge, paymaster_denial, stored_usage, time_range
from gamekit.errors import EncodingInvalid
from gamekit.eth.calldata import decode_execute
from gamekit.eth.session_validator_abi import SessionRecord
from gamekit.eth.user_operation import UserOperation
from gamekit.units import UnixSeconds, Wei
from tests.proof.escapes.model import Operate, Step

if TYPE_CHECKING:
    from tests.proof.escapes.world import World


def verdict_on(world: "World", step: Step, operations: Sequence[UserOperation], record: SessionRecord) -> str:
    """Say which part of gamekit refuses an operation of a bundle; empty if none does.

    Args:
        step: what was sent.
        operations: what it came to.
        record: what the chain had counted before it.
    """
    assert isinstance(step, Operate), "only operations have a verdict of their own"
    scope = world.sessions[step.session].scope
    usage = stored_usage(scope, record)
    for op in operations:
        found = _verdict(world, scope, usage, op)
        if isinstance(found, str):
            return found
        usage = found
    return ""


def _verdict(world: "World", scope: Scope, usage: Usage, op: UserOperation) -> Usage | str:
    try:
        calls = decode_execute(op.call_data).calls
    except EncodingInvalid:
        return "calldata"
    checker = ScopeChecker(scope, world.account, (world.module,))
    allowed: list[Allowed] = []
    for call in calls:
        verdict = checker.check_call(call)
        if isinstance(verdict, Denied):
            return verdict.policy
        allowed.append(verdict)
    gas = op.pre_verification_gas + op.verification_gas_limit + op.call_gas_limit
    gas += op.paymaster_verification_gas_limit + op.paymaster_post_op_gas_limit
    lanes = [sum(each.lane_amounts[lane] for each in allowed) for lane in (0, 1)]
    claimed, deadline = (UnixSeconds(int.from_bytes(op.signature[at : at + 6], "big")) for at in (0, 6))
    value, cost = Wei(sum(call.value for call in calls)), Wei(gas * op.max_fee_per_gas)
    charged = charge(scope, usage, claimed, len(calls), value, (lanes[0], lanes[1]), cost)
    for found in (charged, paymaster_denial(scope, op.paymaster), time_range(scope, claimed, deadline)):
        if isinstance(found, Denied):
            return found.policy
    assert isinstance(charged, Usage)
    return charged
