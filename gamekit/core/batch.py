"""Which of a lane's actions travel together in one operation.

A batch is either a try batch of independent actions or one atomic group (D17). Its size is bounded by the
configuration, by the scope, and by what the session's rate and uses admit at the claimed time.
"""

from collections import deque
from collections.abc import Collection

from msgspec import Struct

from gamekit.core.action import Action
from gamekit.units import Address, UnixSeconds


class Batch(Struct, frozen=True):
    """Actions of one operation, in lane order."""

    actions: tuple[Action, ...]
    try_mode: bool
    """Independent actions: one that reverts leaves the others standing."""


def stale(ready: deque[Action], now: UnixSeconds) -> list[Action]:
    """Take out, and give, the actions whose own `not_after` has passed; an atomic group goes as a whole.

    Args:
        now: chain time of the latest head, in unix seconds.
    """
    late = {action.id for action in ready if action.not_after and now > action.not_after}
    if not late:
        return []
    groups = {action.group for action in ready if action.id in late and action.group}
    gone = [action for action in ready if action.id in late or action.group in groups]
    kept = [action for action in ready if not (action.id in late or action.group in groups)]
    ready.clear()
    ready.extend(kept)
    return gone


def any_stale(actions: tuple[Action, ...], now: UnixSeconds) -> bool:
    """Whether one of these has passed its `not_after`: the set must not be signed again."""
    return any(action.not_after and now > action.not_after for action in actions)


def take(ready: deque[Action], calls_max: int, alone: Collection[tuple[Address, bytes]] = frozenset()) -> Batch | None:
    """Take the next batch from the head of the queue; None when nothing fits.

    Args:
        calls_max: most calls that may travel now, by configuration, scope, rate and uses; 0 takes nothing.
        alone: targets and calldata of calls that travel with no other.
    """
    if not ready or calls_max < 1:
        return None
    group = ready[0].group
    if group:
        members = [action for action in ready if action.group == group]
        if len(members) > calls_max:
            return None
        kept = [action for action in ready if action.group != group]
        ready.clear()
        ready.extend(kept)
        return Batch(tuple(members), try_mode=False)
    taken: list[Action] = []
    while ready and len(taken) < calls_max and not ready[0].group:
        if alone and (ready[0].target, ready[0].data) in alone:
            return Batch(tuple(taken) or (ready.popleft(),), try_mode=True)
        taken.append(ready.popleft())
    return Batch(tuple(taken), try_mode=True)


def put_back(ready: deque[Action], actions: tuple[Action, ...]) -> None:
    """Return freed actions to their places: the lane keeps the order in which it accepted."""
    merged = sorted((*ready, *actions), key=lambda action: action.id)
    ready.clear()
    ready.extend(merged)
