from typing import Any

import pytest

from gamekit.core.relay import (
    MINED,
    OPERATION_OVERHEAD,
    PLANNED,
    TRANSACTION_OVERHEAD,
    Relayer,
    RelayNonce,
    RelayTransaction,
    bundle_gas,
    bundles,
    choose,
    nonce_of,
    operation_gas,
)
from gamekit.units import Address, BlockNumber, Gas, Hash32, Wei
from tests.core.rows import ENTRY_POINT, operation
from tests.core.scopes import ACCOUNT

A, B = Address(b"\xaa" * 20), Address(b"\xbb" * 20)


def transaction(**changes: Any) -> RelayTransaction:
    fields: dict[str, Any] = {
        "transaction_hash": Hash32(b"\x01" * 32),
        "relayer": A,
        "nonce": 3,
        "attempt": 0,
        "kind": "handle_ops",
        "to": ENTRY_POINT,
        "data": b"",
        "value": Wei(0),
        "gas_limit": Gas(1),
        "max_fee_per_gas": Wei(1),
        "max_priority_fee_per_gas": Wei(1),
        "raw": b"\x02",
        "subjects": (b"",),
    }
    return RelayTransaction(**fields | changes)


def relayer(address: Address, unmined: int, balance: int = 10, next_nonce: int = 9) -> Relayer:
    one = Relayer(address, next_nonce, Wei(balance))
    one.unmined = {nonce: [transaction(relayer=address, nonce=nonce)] for nonce in range(unmined)}
    return one


def test_a_transaction_moves() -> None:
    one = transaction()
    assert one.state == PLANNED
    assert one.moved(MINED, mined_at_block=BlockNumber(7)).mined_at_block == 7


def test_a_relayer_shows_its_state() -> None:
    assert repr(relayer(A, 2)) == "<Relayer aaaaaaaa next 9, unmined [0, 1]>"


class TestProtection:
    """Another transaction at one nonce of a relayer is its next attempt, dearer by ten per cent twice, or nothing."""

    FIRST = nonce_of(transaction(max_fee_per_gas=Wei(100), max_priority_fee_per_gas=Wei(10)))

    def second(self, **changes: Any) -> RelayNonce:
        fields = {"transaction_hash": Hash32(b"\x02" * 32), "attempt": 1, "max_fee_per_gas": Wei(110),
                  "max_priority_fee_per_gas": Wei(11)}  # fmt: skip
        return nonce_of(transaction(**fields | changes))

    def test_the_first_and_the_same_again(self) -> None:
        assert self.FIRST.admit(None) == ""
        assert self.FIRST.admit(self.FIRST) == ""

    def test_a_replacement(self) -> None:
        assert self.second().admit(self.FIRST) == ""

    @pytest.mark.parametrize("attempt", [0, 2])
    def test_another_is_no_replacement(self, attempt: int) -> None:
        assert "no replacement" in self.second(attempt=attempt).admit(self.FIRST)

    @pytest.mark.parametrize("low", [{"max_fee_per_gas": Wei(109)}, {"max_priority_fee_per_gas": Wei(10)}])
    def test_both_fees_must_rise(self, low: dict[str, Any]) -> None:
        assert "too low" in self.second(**low).admit(self.FIRST)


class TestSpare:
    def test_what_is_in_flight_may_cost_its_worst(self) -> None:
        one = relayer(A, 0, balance=1000)
        cheap = transaction(gas_limit=Gas(10), max_fee_per_gas=Wei(20), value=Wei(1))
        dear = transaction(gas_limit=Gas(10), max_fee_per_gas=Wei(30))
        one.unmined = {3: [cheap, dear], 4: [cheap]}
        assert one.spare == 1000 - 300 - 201
        assert choose([one], 4, Wei(499)) is one
        assert choose([one], 4, Wei(500)) is None


class TestChoose:
    def test_one_whose_key_something_else_uses_comes_last(self) -> None:
        suspect, other = relayer(A, 0), relayer(B, 3)
        suspect.quarantined_until = 10
        assert choose([suspect, other], 4, Wei(0), height=9) is other
        assert choose([suspect, other], 4, Wei(0), height=10) is suspect

    def test_the_least_busy(self) -> None:
        chosen = choose([relayer(A, 2), relayer(B, 1)], 4, Wei(0))
        assert chosen is not None
        assert chosen.address == B

    def test_of_equals_the_one_that_has_sent_least(self) -> None:
        chosen = choose([relayer(A, 1, next_nonce=8), relayer(B, 1, next_nonce=7)], 4, Wei(0))
        assert chosen is not None
        assert chosen.address == B

    def test_none_when_all_are_busy(self) -> None:
        assert choose([relayer(A, 4)], 4, Wei(0)) is None

    def test_none_when_all_are_poor(self) -> None:
        assert choose([relayer(A, 0, balance=9)], 4, Wei(10)) is None
        assert choose([relayer(A, 0, balance=10)], 4, Wei(10)) is not None

    def test_none_of_none(self) -> None:
        assert choose([], 4, Wei(0)) is None


class TestGas:
    def test_an_operation_takes_its_limits_and_the_entry_points_work(self) -> None:
        one = operation(call_gas_limit=Gas(620_000), verification_gas_limit=Gas(7), calldata_bytes=2)
        assert operation_gas(one) == 640_000 + 7 + 32 + OPERATION_OVERHEAD

    def test_a_bundle_is_the_sum_and_the_transaction(self) -> None:
        two = [operation(1), operation(2)]
        assert bundle_gas(two) == TRANSACTION_OVERHEAD + 2 * operation_gas(two[0])
        assert bundle_gas([]) == TRANSACTION_OVERHEAD


class TestBundles:
    def test_none_of_nothing(self) -> None:
        assert bundles(ENTRY_POINT, [], 10**7, 4) == []

    def test_split_by_number(self) -> None:
        found = bundles(ENTRY_POINT, [operation(number) for number in range(5)], 10**9, 2)
        assert [len(bundle.operations) for bundle in found] == [2, 2, 1]
        assert {bundle.entry_point for bundle in found} == {ENTRY_POINT}

    def test_the_gas_cap_itself_may_be_reached(self) -> None:
        four = [operation(number) for number in range(4)]
        assert [len(bundle.operations) for bundle in bundles(ENTRY_POINT, four, bundle_gas(four[:2]), 9)] == [2, 2]
        assert len(bundles(ENTRY_POINT, four, bundle_gas(four[:2]) - 1, 9)) == 4

    def test_one_that_is_over_the_cap_by_itself_travels_alone(self) -> None:
        found = bundles(ENTRY_POINT, [operation(1), operation(2)], 1, 9)
        assert [len(bundle.operations) for bundle in found] == [1, 1]

    def test_suspects_travel_alone_behind_the_others(self) -> None:
        other = Address(b"\x77" * 20)
        five = [operation(number, sender=other if number % 2 else ACCOUNT) for number in range(5)]
        found = bundles(ENTRY_POINT, five, 10**9, 9, {other})
        assert [bundle.operations for bundle in found] == [(five[0], five[2], five[4]), (five[1],), (five[3],)]
