"""A lane under anything that may happen to it: accepting, planning, blocks, reorgs, deadlines, refusals, revocation."""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from gamekit.core.batch import put_back, stale, take
from gamekit.core.tracking import CONSUMED, EXPIRED, INCLUDED, LIVE, SENT, LiveSlot, may_expire
from gamekit.units import NonceSequence, UnixSeconds
from tests.core.rows import action, lane, live, operation
from tests.core.scopes import START

DEPTH_MAX = 12
CALLS_MAX = 4


class LaneMachine(RuleBasedStateMachine):
    """Moves actions as the runtime does, with a book of its own: where each accepted action is."""

    def __init__(self) -> None:
        super().__init__()
        self.lane = lane()
        self.now = START
        self.final = START
        self.next_id = 1
        self.place: dict[int, str] = {}
        """ready, slot, done or refused, by action id."""
        self.ran: list[int] = []
        """Ids in the order in which the chain has them now."""
        self.group_of: dict[int, int] = {}

    def slots(self, state: str) -> list[LiveSlot]:
        return [slot for slot in self.lane.slots.values() if slot.slot.state == state]

    @rule(count=st.integers(1, 5), together=st.booleans(), patience=st.none() | st.integers(0, 100))
    def accept(self, count: int, together: bool, patience: int | None) -> None:
        if self.lane.depth + count > DEPTH_MAX:
            return
        group = self.next_id if together else 0
        not_after = UnixSeconds(0 if patience is None else self.now + patience)
        for _ in range(count):
            self.lane.ready.append(action(self.next_id, group=group, not_after=not_after))
            self.place[self.next_id] = "ready"
            self.group_of[self.next_id] = group
            self.next_id += 1

    @rule()
    def refuse_what_is_late(self) -> None:
        for gone in stale(self.lane.ready, self.now):
            self.place[gone.id] = "refused"

    @precondition(lambda self: self.lane.may_open)
    @rule(calls_max=st.integers(0, CALLS_MAX))
    def open_slot(self, calls_max: int) -> None:
        batch = take(self.lane.ready, calls_max)
        if batch is None:
            return
        sequence = self.lane.sequence
        assert sequence not in self.lane.slots
        variant = operation(
            self.next_id * 1000 + sequence,
            sequence=sequence,
            action_ids=tuple(each.id for each in batch.actions),
            deadline=UnixSeconds(self.now + 90),
            state=SENT,
        )
        self.lane.open_slot(live(sequence, *batch.actions, variants=(variant,)))
        for each in batch.actions:
            assert self.place[each.id] == "ready"
            self.place[each.id] = "slot"

    @precondition(lambda self: self.slots(LIVE))
    @rule()
    def include(self) -> None:
        """The chain takes the lowest live slot, if nothing stands before it."""
        slot = min(self.slots(LIVE), key=lambda each: each.slot.sequence)
        if self.lane.sequence < slot.slot.sequence or self.now > slot.dead_by():
            return
        (key, variant) = next(iter(slot.variants.items()))
        slot.variants[key] = variant.moved(INCLUDED)
        slot.slot = replace(slot.slot, state=CONSUMED)
        self.ran += [each.id for each in slot.actions]

    @precondition(lambda self: self.slots(CONSUMED))
    @rule()
    def reorg(self) -> None:
        """The highest included slot is taken back."""
        slot = max(self.slots(CONSUMED), key=lambda each: each.slot.sequence)
        (key, variant) = next(iter(slot.variants.items()))
        slot.variants[key] = variant.moved(SENT)
        slot.slot = replace(slot.slot, state=LIVE)
        del self.ran[-len(slot.actions) :]

    @rule(seconds=st.integers(1, 120))
    def time_passes(self, seconds: int) -> None:
        self.final, self.now = self.now, UnixSeconds(self.now + seconds)

    @precondition(lambda self: self.slots(LIVE))
    @rule()
    def expire(self) -> None:
        for slot in self.slots(LIVE):
            if may_expire(slot, self.final):
                slot.slot = replace(slot.slot, state=EXPIRED)
                self.lane.close_slot(slot.slot.sequence)
                put_back(self.lane.ready, slot.actions)
                for each in slot.actions:
                    self.place[each.id] = "ready"

    @precondition(lambda self: self.slots(CONSUMED))
    @rule()
    def finalize(self) -> None:
        slot = min(self.slots(CONSUMED), key=lambda each: each.slot.sequence)
        self.lane.close_slot(slot.slot.sequence)
        for each in slot.actions:
            self.place[each.id] = "done"

    @precondition(lambda self: self.lane.ready)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(list(self.lane.ready)))
        gone = [
            each for each in self.lane.ready if each.id == chosen.id or (chosen.group and each.group == chosen.group)
        ]
        kept = [each for each in self.lane.ready if each not in gone]
        self.lane.ready = deque(kept)
        for each in gone:
            self.place[each.id] = "refused"

    @invariant()
    def order_and_bounds(self) -> None:
        ready = [each.id for each in self.lane.ready]
        assert ready == sorted(ready)
        assert len(set(ready)) == len(ready)

    @invariant()
    def nothing_is_lost_and_nothing_is_twice(self) -> None:
        ready = {each.id for each in self.lane.ready}
        inside = [each.id for slot in self.lane.slots.values() for each in slot.actions]
        assert len(set(inside)) == len(inside), "an action sits in at most one slot"
        for number, place in self.place.items():
            assert (number in ready, number in inside) == (place == "ready", place == "slot"), (number, place)

    @invariant()
    def the_chain_runs_them_once_and_in_order(self) -> None:
        assert self.ran == sorted(set(self.ran))

    @invariant()
    def a_group_is_never_torn_apart(self) -> None:
        for slot in self.lane.slots.values():
            for each in slot.actions:
                if self.group_of[each.id]:
                    members = [number for number, group in self.group_of.items() if group == self.group_of[each.id]]
                    assert [one.id for one in slot.actions] == members

    @invariant()
    def the_next_sequence_is_free(self) -> None:
        assert self.lane.sequence not in self.lane.slots
        assert all(NonceSequence(number) in self.lane.slots for number in self._between())

    def _between(self) -> range:
        """The sequences below the next one that are not final."""
        return range(min(self.lane.slots, default=self.lane.sequence), self.lane.sequence)


TestLane = LaneMachine.TestCase
TestLane.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
