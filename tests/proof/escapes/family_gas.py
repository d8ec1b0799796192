"""Gas is an asset: its caps, the paymaster, and a bundle's other fields that cost."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.demo.forgery import Attempt, Change, gas_of
from gamekit.eth.user_operation import PackedUserOperation, UserOperation
from gamekit.units import Address, Gas
from tests.proof.escapes.make import Pair, operation_row, refused, trial_row
from tests.proof.escapes.model import Expected, Operate, Row, Step, Trial
from tests.proof.escapes.sessions import (
    GAS_PER_OPERATION_WEI,
    TIGHT_BUDGET_WEI,
    TIGHT_PER_OPERATION_WEI,
)
from tests.proof.escapes.world import FEE_WEI, World

PER_OPERATION: Final = refused("GasPerOperationExceeded")
BUDGET: Final = refused("GasBudgetExceeded")
PAYMASTER: Final = refused("PaymasterMismatch")
OVERFLOW: Final = Expected("AA94")
FIELD_MAX: Final = (1 << 120) - 1
PAYMASTER_GAS: Final = 60_000


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _per_operation()
    yield from _budget()
    yield from _overflow()
    yield from _paymasters()
    yield from _paid_by_others()


def _cost(op: UserOperation) -> int:
    gas = op.pre_verification_gas + op.verification_gas_limit + op.call_gas_limit
    gas += op.paymaster_verification_gas_limit + op.paymaster_post_op_gas_limit
    return gas * op.max_fee_per_gas


def _raised(field: str, limit: int, over: int) -> Change:
    """Raise a gas limit until the operation costs the limit, or `over` units of gas more, at 1 gwei each."""

    def change(op: UserOperation) -> UserOperation:
        room = (limit - _cost(op)) // op.max_fee_per_gas + over
        return replace(op, **{field: Gas(getattr(op, field) + room)})

    return change


def _per_operation() -> Iterator[Row]:
    """C34: one operation may cost so much, by any of the five limits or the fee."""
    limit = TIGHT_PER_OPERATION_WEI
    for slug, what, field in (
        ("call-gas", "the call gas", "call_gas_limit"),
        ("verification-gas", "the verification gas", "verification_gas_limit"),
        ("pre-verification-gas", "the pre-verification gas", "pre_verification_gas"),
    ):
        yield operation_row(
            "C34",
            slug,
            f"{what} makes the operation cost one unit more than it may",
            PER_OPERATION,
            partial(
                lambda field, w: (
                    replace(_tight(w), before_signing=_raised(field, limit, 1)),
                    replace(_tight(w), before_signing=_raised(field, limit, 0)),
                ),
                field,
            ),
            session="tight",
            values=lambda _: {"gasWei": limit + FEE_WEI, "gasPerOperationWeiMax": limit},
            off_chain="GasPolicy",
        )
    fee = limit // gas_of(1)
    yield operation_row(
        "C34",
        "fee",
        "a fee that makes the operation cost more than it may",
        PER_OPERATION,
        lambda w: (replace(_tight(w), fee_wei=fee + 1), replace(_tight(w), fee_wei=fee)),
        session="tight",
        values=lambda _: {"gasWei": (fee + 1) * gas_of(1), "gasPerOperationWeiMax": limit},
        off_chain="GasPolicy",
    )
    yield operation_row(
        "C34",
        "fee-huge",
        "a fee that takes the whole deposit",
        PER_OPERATION,
        lambda w: (replace(_tight(w), fee_wei=10**12), replace(_tight(w), fee_wei=FEE_WEI)),
        session="tight",
        off_chain="GasPolicy",
    )


def _tight(world: World) -> Attempt:
    return world.one(world.play(), "tight")


def _budget() -> Iterator[Row]:
    """C34: all operations together may cost so much."""
    first = TIGHT_PER_OPERATION_WEI
    rest = TIGHT_BUDGET_WEI - first

    def spent(world: World) -> tuple[Step, ...]:
        return (Operate(replace(_tight(world), before_signing=_raised("call_gas_limit", first, 0)), "tight"),)

    def pair(world: World) -> Pair:
        over, most = (replace(_tight(world), before_signing=_raised("call_gas_limit", rest, each)) for each in (1, 0))
        return over, most

    yield operation_row(
        "C34",
        "budget",
        "one unit of gas more than the session may burn in all",
        BUDGET,
        pair,
        session="tight",
        before=spent,
        values=lambda _: {"gasSpentWei": TIGHT_BUDGET_WEI + FEE_WEI, "gasBudgetWei": TIGHT_BUDGET_WEI},
        off_chain="GasPolicy",
    )

    def bundled(world: World) -> Pair:
        before = replace(_tight(world), before_signing=_raised("call_gas_limit", first, 0))
        over, most = pair(world)
        return replace(over, first=(before,)), replace(most, first=(before,))

    yield operation_row(
        "C34",
        "budget-in-bundle",
        "the same, by two operations in one bundle",
        BUDGET,
        bundled,
        session="tight",
        effect={"plays": 2},
        values=lambda _: {"gasSpentWei": TIGHT_BUDGET_WEI + FEE_WEI, "gasBudgetWei": TIGHT_BUDGET_WEI},
        off_chain="GasPolicy",
    )


def _overflow() -> Iterator[Row]:
    """C34: numbers that would wrap around; the EntryPoint takes none above 120 bits, and nor does the module."""
    for slug, what, field in (
        ("overflow-call-gas", "the call gas", "call_gas_limit"),
        ("overflow-verification-gas", "the verification gas", "verification_gas_limit"),
        ("overflow-pre-verification-gas", "the pre-verification gas", "pre_verification_gas"),
        ("overflow-fee", "the fee", "max_fee_per_gas"),
    ):
        yield operation_row(
            "C34",
            slug,
            f"{what} is 2^120",
            OVERFLOW,
            partial(
                lambda field, w: (
                    replace(w.honest(), before_signing=lambda op: replace(op, **{field: FIELD_MAX + 1})),
                    w.honest(),
                ),
                field,
            ),
        )
    yield operation_row(
        "C34",
        "most-fee",
        "the fee is the most that the EntryPoint takes",
        PER_OPERATION,
        lambda w: (replace(w.honest(), fee_wei=FIELD_MAX), w.honest()),
        values=lambda _: {"gasWei": FIELD_MAX * gas_of(1), "gasPerOperationWeiMax": GAS_PER_OPERATION_WEI},
        off_chain="GasPolicy",
    )


def _with_paymaster(address: Address, gas: int = PAYMASTER_GAS, data: bytes = b"") -> Change:
    return lambda op: replace(
        op,
        paymaster=address,
        paymaster_verification_gas_limit=Gas(gas),
        paymaster_post_op_gas_limit=Gas(gas),
        paymaster_data=data,
    )


def _paid(world: World, change: Change | None = None) -> Attempt:
    own = _with_paymaster(world.strangers.paymaster)
    both = own if change is None else lambda op: change(own(op))
    return replace(world.one(world.play(), "paid"), before_signing=both)


def _paymasters() -> Iterator[Row]:
    """C35, C58: none, or exactly the one that the scope names, which may not be left out."""
    yield operation_row(
        "C35",
        "added",
        "a paymaster where the scope has none",
        PAYMASTER,
        lambda w: (replace(w.honest(), before_signing=_with_paymaster(w.strangers.paymaster)), w.honest()),
        values=lambda w: {"paymaster": w.strangers.paymaster, "allowed": bytes(20)},
        off_chain="GasPolicy",
    )
    yield operation_row(
        "C35",
        "other",
        "another paymaster than the scope's",
        PAYMASTER,
        lambda w: (
            replace(w.one(w.play(), "paid"), before_signing=_with_paymaster(w.strangers.other_paymaster)),
            _paid(w),
        ),
        session="paid",
        values=lambda w: {"paymaster": w.strangers.other_paymaster, "allowed": w.strangers.paymaster},
        off_chain="GasPolicy",
    )
    yield operation_row(
        "C58",
        "left-out",
        "the scope's paymaster left out: the account would pay",
        PAYMASTER,
        lambda w: (w.one(w.play(), "paid"), _paid(w)),
        session="paid",
        values=lambda w: {"paymaster": bytes(20), "allowed": w.strangers.paymaster},
        off_chain="GasPolicy",
    )
    yield trial_row(
        "C58",
        "after-signing",
        "the scope's paymaster left out after signing",
        PAYMASTER,
        lambda w: Trial(
            escape=Operate(replace(_paid(w), after_signing=_without_paymaster), "paid"), twin=Operate(_paid(w), "paid")
        ),
    )
    for slug, what, kept in (
        ("cut", "a paymaster of 20 bytes without its gas limits", 20),
        ("cut-byte", "without their last byte", 51),
    ):
        yield trial_row(
            "C35",
            slug,
            f"paymasterAndData cut: {what}",
            Expected("AA93"),
            partial(
                lambda kept, w: Trial(
                    escape=Operate(_paid(w), "paid", repack=lambda op: _cut(op, kept)), twin=Operate(_paid(w), "paid")
                ),
                kept,
            ),
        )


def _without_paymaster(op: UserOperation) -> UserOperation:
    return replace(
        op,
        paymaster=None,
        paymaster_verification_gas_limit=Gas(0),
        paymaster_post_op_gas_limit=Gas(0),
        paymaster_data=b"",
    )


def _cut(op: PackedUserOperation, kept: int) -> PackedUserOperation:
    return replace(op, paymaster_and_data=op.paymaster_and_data[:kept])


def _paid_by_others() -> Iterator[Row]:
    """C35, C58: the budget is charged whoever pays, for all five limits."""
    limit = GAS_PER_OPERATION_WEI
    for slug, what, field in (
        ("verification-gas", "the paymaster's verification gas", "paymaster_verification_gas_limit"),
        ("post-op-gas", "the paymaster's post-operation gas", "paymaster_post_op_gas_limit"),
        ("call-gas", "the call gas, which the paymaster pays", "call_gas_limit"),
    ):
        effect: Mapping[str, int] = {"plays": 1}
        yield operation_row(
            "C58",
            slug,
            f"{what} makes the operation cost one unit more than it may",
            PER_OPERATION,
            partial(lambda field, w: (_paid(w, _raised(field, limit, 1)), _paid(w, _raised(field, limit, 0))), field),
            session="paid",
            effect=effect,
            values=lambda _: {"gasWei": limit + FEE_WEI, "gasPerOperationWeiMax": limit},
            off_chain="GasPolicy",
        )
