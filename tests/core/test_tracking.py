import pytest

from gamekit.core.tracking import (
    CONSUMED,
    DEAD,
    EXPIRED,
    FINAL,
    INCLUDED,
    LIVE,
    PLANNED,
    SENT,
    SIGNED,
    LiveSlot,
    Operation,
    may_expire,
    may_resign,
)
from gamekit.units import Gas, NonceSequence, UnixSeconds, UserOpHash, Wei
from tests.core.rows import NONCE_KEY, action, live, operation, slot
from tests.core.scopes import START

ALL = (PLANNED, SIGNED, SENT, INCLUDED, FINAL, DEAD, "foreign", "superseded")


class TestSlot:
    def test_a_new_one(self) -> None:
        assert slot().admit(None) == ""

    @pytest.mark.parametrize("state", [LIVE, CONSUMED, EXPIRED])
    def test_the_same_set_may_always_stand_there(self, state: str) -> None:
        assert slot().admit(slot(state=state)) == ""

    @pytest.mark.parametrize("ids", [(1, 2), (2,), (2, 1), ()])
    @pytest.mark.parametrize("state", [LIVE, CONSUMED])
    def test_another_set_may_not_enter(self, ids: tuple[int, ...], state: str) -> None:
        stored = slot(state=state, action_ids=(1, 9))
        refusal = slot(action_ids=ids).admit(stored)
        assert f"{state} with 2 actions" in refusal
        assert f"another set of {len(ids)}" in refusal

    def test_the_order_is_part_of_the_set(self) -> None:
        assert slot(action_ids=(2, 1)).admit(slot(action_ids=(1, 2))) != ""

    def test_another_set_may_enter_after_the_slot_expired(self) -> None:
        assert slot(action_ids=(2,)).admit(slot(state=EXPIRED)) == ""


class TestOperation:
    def test_a_new_one(self) -> None:
        assert operation().admit(None) == ""

    def test_the_first_signature(self) -> None:
        assert operation(state=SIGNED, signature=b"s").admit(operation()) == ""

    def test_a_released_signature_never_changes(self) -> None:
        signed = operation(state=SIGNED, signature=b"s")
        assert "is signed already, with other bytes" in operation(signature=b"t").admit(signed)
        assert "is signed already, with other bytes" in operation().admit(signed)

    def test_what_is_dead_may_be_signed_anew(self) -> None:
        assert operation(signature=b"t").admit(operation(state=DEAD, signature=b"s")) == ""

    @pytest.mark.parametrize("state", [each for each in ALL if each != FINAL])
    def test_final_never_moves(self, state: str) -> None:
        final = operation(state=FINAL, signature=b"s")
        assert f"is final and cannot become {state}" in operation(state=state, signature=b"s").admit(final)

    def test_final_stays(self) -> None:
        final = operation(state=FINAL, signature=b"s")
        assert final.admit(final) == ""

    @pytest.mark.parametrize("state", ALL)
    def test_anything_may_become_what_it_is_moved_to(self, state: str) -> None:
        assert operation(state=state).admit(operation(state=SENT)) == ""
        assert operation().moved(state).state == state

    def test_the_nonce_joins_key_and_sequence(self) -> None:
        assert operation(sequence=NonceSequence(5)).nonce == int.from_bytes(NONCE_KEY, "big") << 64 | 5

    def test_the_most_that_it_costs(self) -> None:
        one = operation(call_gas_limit=Gas(1), verification_gas_limit=Gas(2), pre_verification_gas=Gas(3))
        assert one.max_cost == 60


def of(*variants: Operation) -> LiveSlot:
    return live(0, action(1), variants=variants)


def variant(number: int, deadline: int, state: str = SENT, fee: int = 10) -> Operation:
    return operation(number, deadline=UnixSeconds(START + deadline), state=state, max_fee_per_gas=Wei(fee))


class TestLiveSlot:
    @pytest.mark.parametrize("state", [INCLUDED, FINAL])
    def test_the_variant_that_is_in_a_block(self, state: str) -> None:
        found = of(variant(1, 90), variant(2, 150, state)).included()
        assert found is not None
        assert found.user_op_hash == UserOpHash((2).to_bytes(32, "big"))

    def test_none_is_in_a_block(self) -> None:
        assert of(variant(1, 90), variant(2, 150, SIGNED)).included() is None

    def test_the_latest_is_the_one_with_the_latest_deadline(self) -> None:
        assert of(variant(1, 150), variant(2, 90, fee=99)).latest().deadline == START + 150

    def test_of_the_same_deadline_the_dearer(self) -> None:
        assert of(variant(1, 90, fee=12), variant(2, 90, fee=11)).latest().max_fee_per_gas == 12

    def test_dead_by_counts_every_variant(self) -> None:
        assert of(variant(1, 150), variant(2, 90)).dead_by() == START + 150


class TestMayExpire:
    @pytest.mark.parametrize(("finalized", "expires"), [(149, False), (150, False), (151, True)])
    def test_strictly_after_every_deadline(self, finalized: int, expires: bool) -> None:
        both = of(variant(1, 90), variant(2, 150))
        assert may_expire(both, UnixSeconds(START + finalized)) is expires

    def test_never_when_one_is_included(self) -> None:
        assert not may_expire(of(variant(1, 90, INCLUDED), variant(2, 150)), UnixSeconds(START + 1000))


class TestMayResign:
    @pytest.mark.parametrize(("now", "may"), [(60, False), (61, True), (200, True)])
    def test_when_less_than_so_much_is_left(self, now: int, may: bool) -> None:
        assert may_resign(of(variant(1, 90)), UnixSeconds(START + now), 30) is may

    def test_the_latest_variant_counts(self) -> None:
        assert not may_resign(of(variant(1, 90), variant(2, 200)), UnixSeconds(START + 100), 30)

    def test_never_when_one_is_included(self) -> None:
        assert not may_resign(of(variant(1, 90, INCLUDED)), UnixSeconds(START + 200), 30)
