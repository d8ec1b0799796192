"""After a restore: what the chain did meanwhile, and which of the journal's own actions that were.

A journal from an older copy does not know what was accepted, signed and sent after the copy was made. Nothing is signed
until every such operation has landed in a final block or is dead by its deadline. What landed on our lanes is read from
the transactions themselves: its calls are matched with the actions that wait, and tell their outcomes; an action that
matches none is over. A call that matches none was accepted later, and answers the retries that come under the older
epoch.
"""

from collections.abc import Sequence

from gamekit.core.action import Action
from gamekit.core.journal import Row
from gamekit.units import ActionId, Address, BlockNumber, Cursor, Hash32, PermissionId, UnixSeconds, UserOpHash, Wei

RESTORED = "restored"
"""Meta row that `gamekit restore` writes: the epoch before. Empty once the chain has told what happened meanwhile. Also
the subject of the pause that lasts until then."""

LOST = bytes(16)
"""What that row holds in a new journal where there was one before it: all of that is lost, its epoch too."""

ENDED = "ended_epochs"
"""Meta row that `gamekit restore` writes: an `EndedEpochs` in MessagePack."""

EndedEpochs = dict[bytes, Cursor]
"""The epochs before a restore, each with the last event that the journal has in common with the one of that time, or
one before it: where its clients go on reading."""


def ended_by_restore(
    copied: tuple[bytes, EndedEpochs], newest: Cursor, replaced: tuple[bytes, EndedEpochs] | None
) -> EndedEpochs:
    """Say what a restore ends.

    Args:
        copied: the epoch of the copy, and those that it knows.
        newest: the last event of the copy.
        replaced: the same of the journal that was in its place, which need not come after the copy: it may itself have
            been restored from it. None if it is lost.
    """
    epoch, known = copied
    ended = {**known, epoch: newest}
    if replaced is not None:
        present, before = replaced
        # What the journal in its place has in common with the copy; nothing at all unless one comes from the other.
        common = newest if present == epoch else before.get(epoch, known.get(present))
        if common is not None:
            ended = {name: min(cursor, common) for name, cursor in before.items()} | {present: common} | ended
    return {name: min(cursor, newest) for name, cursor in ended.items()}


class Stranger(Row, frozen=True):
    """An operation in a canonical block, on a lane of ours, that the journal does not know."""

    TABLE = "stranger"
    KEY = ("user_op_hash",)
    INDEX = ("permission_id",)

    user_op_hash: UserOpHash
    permission_id: PermissionId
    block_number: BlockNumber
    """Where it was seen last."""
    place: int
    """Its place among the operations of its block."""
    is_done: bool = False
    """Whether a reconciliation has told what it did."""


class LostCall(Row, frozen=True):
    """A call that an operation made which the journal does not know; at most one action stands for it."""

    TABLE = "lost_call"
    KEY = ("user_op_hash", "place")
    INDEX = ("permission_id",)
    GUARDED = True

    user_op_hash: UserOpHash
    place: int
    permission_id: PermissionId
    target: Address
    data: bytes
    value: Wei
    succeeded: bool
    error: str
    inferred: bool
    transaction_hash: Hash32
    block_number: BlockNumber
    block_hash: bytes
    action_id: int = 0
    """The action that it was; 0 while nobody has asked for it."""

    def admit(self, stored: "LostCall | None") -> str:
        """One call is one action, for ever."""
        if stored is not None and stored.action_id not in (0, self.action_id):
            return f"call {self.place} of operation {self.user_op_hash.hex()} is action {stored.action_id} already"
        return ""


def matched(pending: Sequence[Action], calls: Sequence[LostCall]) -> dict[ActionId, LostCall]:
    """Find, for as many actions as possible, the call that each became.

    Equal calls cannot be told apart, so each takes the first that is free: an action that might have run never runs
    again, even if the call was another's.

    Args:
        pending: what waits, in the order in which it was accepted.
        calls: what ran, in the chain's order; those that are taken already are passed over.
    """
    free: dict[tuple[Address, int, bytes], list[LostCall]] = {}
    for call in reversed(calls):
        if not call.action_id:
            free.setdefault((call.target, call.value, call.data), []).append(call)
    found: dict[ActionId, LostCall] = {}
    for action in pending:
        same = free.get((action.target, action.value, action.data))
        if same:
            found[action.id] = same.pop()
    return found


def resolves_at(head_at: UnixSeconds, deadline_s: int) -> UnixSeconds:
    """Finalized chain time after which nothing that the lost part of the journal signed can land any more."""
    return UnixSeconds(head_at + deadline_s)
