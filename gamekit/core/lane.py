"""A lane: the ordered queue of one session's actions, bound to one nonce key.

Accepted actions wait in `ready` until they enter a slot. At most one slot is open (signed, not included) when a new one
is planned, so the chain sees the actions in the order in which they were accepted, whatever bundlers do.

The lane is state and decision; it starts nothing and waits for nothing.
"""

from collections import deque
from collections.abc import Sequence

from gamekit.core.action import Action
from gamekit.core.checker import ScopeChecker
from gamekit.core.policy import Denied
from gamekit.core.prepare import SessionCodec
from gamekit.core.scope import Scope
from gamekit.core.session import Session
from gamekit.core.sponsoring import SPONSOR_POLICY
from gamekit.core.tracking import CONSUMED, LIVE, LiveSlot, Operation
from gamekit.core.usage import Usage, charge
from gamekit.units import Address, NonceSequence, UnixSeconds, Wei


class Lane:
    """One session's queue and slots.

    `intake` appends to `ready` (once on disk) and changes the `accepting_*` figures; `dispatch` takes from `ready` and
    opens slots; `settle` and `resolve` close slots and give actions back; `revoke` stops the lane.
    """

    __slots__ = (
        "accepting",
        "accepting_value",
        "chain_sequence",
        "checker",
        "codec",
        "foreign_at",
        "is_stuck",
        "poisons",
        "ready",
        "scheduled",
        "scope",
        "sequence",
        "session",
        "slots",
        "stopped",
        "usage",
        "usage_known",
        "waits_since",
        "watched",
    )

    def __init__(
        self, session: Session, checker: ScopeChecker, codec: SessionCodec, usage: Usage, sequence: int
    ) -> None:
        self.session = session
        self.scope: Scope = checker.scope
        self.checker = checker
        self.codec = codec
        self.usage = usage
        """What the chain has charged this session, the included variants of every slot counted."""
        self.usage_known = True
        """Whether `usage` and `chain_sequence` are the chain's: in doubt after a reorg, a foreign operation or a
        refusal for the nonce, and when a deadline is near, until `resolve` reads them; nothing is planned meanwhile."""
        self.sequence = NonceSequence(sequence)
        """The lowest nonce sequence that no slot of ours occupies and that the chain has not consumed."""
        self.slots: dict[NonceSequence, LiveSlot] = {}
        """Slots that are not final: live ones, and consumed ones that a reorg could bring back. Lowest first."""
        self.ready: deque[Action] = deque()
        self.accepting = 0
        """Actions on their way to disk."""
        self.accepting_value = Wei(0)
        self.scheduled = False
        """Whether dispatch has the lane on its list already."""
        self.chain_sequence = NonceSequence(sequence)
        """The next sequence of the lane on chain, when it was last asked."""
        self.foreign_at: list[int] = []
        """Heights of blocks in which operations that are none of ours used this lane."""
        self.poisons: dict[tuple[Address, bytes], str] = {}
        """Calls that failed when they were alone, by target and calldata, with the reason: alone they go on."""
        self.watched = 0
        """How many more operations are asked about before they are signed: one of them failed as a whole."""
        self.waits_since = UnixSeconds(0)
        """Chain time since when something waits or flies and nothing has landed; 0 while that is not so."""
        self.is_stuck = False
        """Whether an operator was told so."""
        self.stopped = ""
        """Why nothing more is signed: the code of an error, empty while the lane runs."""

    def __repr__(self) -> str:
        live = [sequence for sequence, slot in self.slots.items() if slot.slot.state == LIVE]
        stop = f", stopped: {self.stopped}" if self.stopped else ""
        return f"<Lane {self.session.permission_id.hex()[:8]} ready {len(self.ready)}, live {live}{stop}>"

    @property
    def depth(self) -> int:
        """Actions accepted or being accepted that are in no slot yet."""
        return len(self.ready) + self.accepting

    @property
    def may_open(self) -> bool:
        """Whether a new slot may be opened now: something waits, nothing is in flight, nothing stopped the lane."""
        return bool(self.ready) and not self.stopped and self.usage_known and not self.in_flight

    def holds(self, live: LiveSlot) -> bool:
        """Whether a slot is still one of this lane's, and may be signed for: it may have been given up in an await."""
        return self.slots.get(live.slot.sequence) is live and live.slot.state == LIVE

    @property
    def in_flight(self) -> bool:
        """Whether an operation of this lane may still land."""
        return any(slot.slot.state == LIVE for slot in self.slots.values())

    def in_slots(self) -> int:
        """Calls in slots whose operation is not included: charged on chain when it lands."""
        return sum(len(slot.actions) for slot in self.slots.values() if slot.slot.state == LIVE)

    def uses_left(self) -> int:
        """How many more actions may be accepted before the session's uses run out on chain."""
        return self.scope.usage.uses_max - self.usage.uses - self.depth - self.in_slots()

    def value_left(self) -> Wei:
        """How much more value may be accepted before the session's total runs out on chain, in wei."""
        waiting = sum(action.value for action in self.ready) + self.accepting_value
        flying = sum(a.value for slot in self.slots.values() if slot.slot.state == LIVE for a in slot.actions)
        return Wei(self.scope.value.total_wei_max - self.usage.value_spent_wei - waiting - flying)

    def charge(self, actions: Sequence[Action], operation: Operation) -> Usage | Denied:
        """What validation would charge for an operation that is to be signed, or which policy refuses it.

        What other slots may still be charged for gas counts as spent: a reorg can make several live again.
        """
        beside = sum(
            max(variant.max_cost for variant in live.variants.values())
            for sequence, live in self.slots.items()
            if live.slot.state == LIVE and sequence != operation.sequence
        )
        return self._charged(self.usage.with_gas(Wei(beside)) if beside else self.usage, actions, operation)

    def charged(self, actions: Sequence[Action], operation: Operation) -> Usage | Denied:
        """What validation has charged for an operation that is included, on top of what was before."""
        return self._charged(self.usage, actions, operation)

    def _charged(self, usage: Usage, actions: Sequence[Action], operation: Operation) -> Usage | Denied:
        amounts = (sum(a.lane_amounts[0] for a in actions), sum(a.lane_amounts[1] for a in actions))
        value = Wei(sum(action.value for action in actions))
        claimed_at, cost = operation.claimed_at, operation.max_cost
        after = charge(self.scope, usage, claimed_at, len(actions), value, amounts, cost)
        limit = self.session.sponsored_wei_max
        if limit and isinstance(after, Usage) and after.gas_spent_wei > limit:
            return Denied(SPONSOR_POLICY, limit, after.gas_spent_wei, f"the game pays for {limit} wei of gas in all")
        return after

    def start_at(self, sequence: int) -> None:
        """Go on from the chain's next sequence: the lowest from there on that no slot of ours occupies."""
        while sequence in self.slots:
            sequence += 1
        self.sequence = NonceSequence(sequence)

    def open_slot(self, live: LiveSlot) -> None:
        """Put actions into the next slot."""
        self.slots[live.slot.sequence] = live
        while self.sequence in self.slots:
            self.sequence = NonceSequence(self.sequence + 1)

    def close_slot(self, sequence: NonceSequence) -> None:
        """Forget a slot: it is final, or expired and its actions are free. An expired sequence is used again."""
        closed = self.slots.pop(sequence)
        if closed.slot.state != CONSUMED:
            self.sequence = min(self.sequence, sequence)
