import pytest
from msgspec.structs import replace

from gamekit.core.lane import Lane
from gamekit.core.policy import Denied, GasPolicy, UsageLimitPolicy, ValueLimitPolicy
from gamekit.core.sponsoring import SPONSOR_POLICY
from gamekit.core.tracking import CONSUMED, EXPIRED
from gamekit.core.usage import Usage
from gamekit.units import Gas, NonceSequence, Wei
from tests.core.rows import action, actions, lane, live, operation


def with_ready(*numbers: int) -> Lane:
    found = lane()
    found.ready.extend(actions(*numbers))
    return found


def test_a_lane_shows_its_state() -> None:
    found = with_ready(4, 5)
    found.open_slot(live(0, action(1)))
    assert repr(found) == "<Lane 9e9e9e9e ready 2, live [0]>"
    found.stopped = "session_revoked"
    assert repr(found) == "<Lane 9e9e9e9e ready 2, live [0], stopped: session_revoked>"


class TestMayOpen:
    def test_when_something_waits(self) -> None:
        assert with_ready(1).may_open
        assert not lane().may_open

    def test_not_while_an_operation_is_in_flight(self) -> None:
        found = with_ready(2)
        found.open_slot(live(0, action(1)))
        assert found.in_flight
        assert not found.may_open

    def test_again_once_it_is_included(self) -> None:
        found = with_ready(2)
        found.open_slot(live(0, action(1), state=CONSUMED))
        assert not found.in_flight
        assert found.may_open

    def test_not_when_stopped(self) -> None:
        found = with_ready(1)
        found.stopped = "session_revoked"
        assert not found.may_open

    def test_not_while_the_chains_figures_are_unknown(self) -> None:
        found = with_ready(1)
        found.usage_known = False
        assert not found.may_open


class TestSequence:
    def test_slots_take_the_next_one(self) -> None:
        found = lane(sequence=7)
        found.open_slot(live(7, action(1)))
        assert found.sequence == 8

    def test_a_final_slot_is_not_used_again(self) -> None:
        found = lane()
        found.open_slot(live(0, action(1), state=CONSUMED))
        found.close_slot(NonceSequence(0))
        assert (found.sequence, found.slots) == (1, {})

    def test_an_expired_slot_is_used_again(self) -> None:
        found = lane()
        slot = live(0, action(1))
        found.open_slot(slot)
        slot.slot = replace(slot.slot, state=EXPIRED)
        found.close_slot(NonceSequence(0))
        assert found.sequence == 0

    def test_a_gap_is_filled_before_anything_else(self) -> None:
        found = lane()
        first, second = live(0, action(1)), live(1, action(2))
        for each in (first, second):
            found.open_slot(each)
        first.slot = replace(first.slot, state=EXPIRED)
        found.close_slot(NonceSequence(0))
        assert found.sequence == 0
        found.open_slot(live(0, action(1)))
        assert found.sequence == 2

    def test_the_chains_own_next_one_unless_ours_stand_there(self) -> None:
        found = lane()
        found.start_at(4)
        assert found.sequence == 4
        found.open_slot(live(4, action(1)))
        found.open_slot(live(5, action(2)))
        found.start_at(4)
        assert found.sequence == 6


class TestLeft:
    def test_depth_counts_what_is_on_its_way_to_disk(self) -> None:
        found = with_ready(1, 2)
        found.accepting = 3
        assert found.depth == 5

    def test_uses(self) -> None:
        found = lane(Usage(uses=10), usage=UsageLimitPolicy(20))
        found.ready.append(action(1))
        found.accepting = 2
        found.open_slot(live(0, action(2), action(3)))
        found.open_slot(live(1, action(4), state=CONSUMED))
        assert found.uses_left() == 20 - 10 - 1 - 2 - 2

    def test_value(self) -> None:
        found = lane(Usage(value_spent_wei=Wei(10)), value=ValueLimitPolicy(Wei(50), Wei(100)))
        found.ready.append(action(1, value=Wei(1)))
        found.accepting_value = Wei(20)
        found.open_slot(live(0, action(2, value=Wei(3))))
        found.open_slot(live(1, action(3, value=Wei(7)), state=CONSUMED))
        assert found.value_left() == 100 - 10 - 1 - 20 - 3


class TestCharge:
    def test_adds_to_what_is_included(self) -> None:
        found = lane(Usage(uses=1, gas_spent_wei=Wei(5)))
        charged = found.charge(actions(1, 2), operation())
        assert isinstance(charged, Usage)
        assert (charged.uses, charged.gas_spent_wei) == (3, 5 + operation().max_cost)

    @pytest.mark.parametrize(("budget", "denied"), [(3_500_000, False), (3_499_999, True)])
    def test_names_the_policy_that_refuses(self, budget: int, denied: bool) -> None:
        found = lane(gas=GasPolicy(Wei(budget), Wei(budget)))
        charged = found.charge(actions(1), operation())
        assert isinstance(charged, Denied) is denied

    @pytest.mark.parametrize(("budget", "denied"), [(7_000_000, False), (6_999_999, True)])
    def test_counts_what_other_live_slots_may_still_cost(self, budget: int, denied: bool) -> None:
        """A reorg made the slot before it live again, and it was signed twice: its dearest variant counts."""
        found = lane(gas=GasPolicy(Wei(budget), Wei(budget)))
        first = live(0, action(1))
        cheaper = operation(7, max_fee_per_gas=Wei(9))
        first.variants = {each.user_op_hash: each for each in (cheaper, operation(8))}
        found.open_slot(first)
        second = operation(2, sequence=NonceSequence(1))
        assert isinstance(found.charge(actions(2), second), Denied) is denied
        assert isinstance(found.charge(actions(1), operation(9)), Usage)
        assert isinstance(found.charged(actions(2), second), Usage)

    def test_holds_only_what_is_live(self) -> None:
        found, slot = lane(), live(0, action(1))
        found.open_slot(slot)
        assert found.holds(slot)
        assert not found.holds(live(0, action(1)))
        slot.slot = replace(slot.slot, state=CONSUMED)
        assert not found.holds(slot)


class TestSponsored:
    """What the game pays at most for a session, beside the scope's own budget."""

    def found(self, limit: int, spent: int) -> Lane:
        found = lane(Usage(gas_spent_wei=Wei(spent)))
        found.session = replace(found.session, sponsored_by="voucher", sponsored_wei_max=limit)
        return found

    def test_exactly_at_the_limit(self) -> None:
        planned = operation()
        found = self.found(limit=1000 + planned.max_cost, spent=1000)
        assert isinstance(found.charge(actions(1), planned), Usage)

    def test_one_wei_over_it(self) -> None:
        planned = operation()
        found = self.found(limit=999 + planned.max_cost, spent=1000)
        denied = found.charge(actions(1), planned)
        assert isinstance(denied, Denied)
        asked = 1000 + planned.max_cost
        assert (denied.policy, denied.limit, denied.asked) == (SPONSOR_POLICY, asked - 1, asked)

    def test_the_paymasters_gas_counts(self) -> None:
        planned = operation(paymaster_verification_gas_limit=Gas(7))
        assert planned.max_cost == operation().max_cost + 70
        assert isinstance(self.found(operation().max_cost, 0).charge(actions(1), planned), Denied)

    def test_nothing_where_the_account_pays(self) -> None:
        assert isinstance(self.found(limit=0, spent=10**15).charge(actions(1), operation()), Usage)
