"""What refuses an action before anything is written: the session's state, bounded queues, and groups that cannot go.

Each function gives the refusal as a value, None (or nothing) when there is none.
"""

from collections.abc import Sequence

from msgspec import Struct

from gamekit.config import LaneConfig
from gamekit.core.action import ActionRequest
from gamekit.core.lane import Lane
from gamekit.core.pausing import Pauses
from gamekit.core.session import OPEN
from gamekit.core.sponsoring import Stops
from gamekit.errors import (
    ActionInvalid,
    ClientError,
    GamekitError,
    Overloaded,
    Paused,
    ScopeDenied,
    SessionExpired,
    SessionNotOpen,
    SessionRevoked,
)
from gamekit.units import UnixSeconds

KEY_LENGTH_MAX = 128
"""Most characters of an idempotency key."""


class Queues(Struct, frozen=True):
    """How full the queues are, and how full they may be."""

    limits: LaneConfig
    accepting: int
    """Actions on their way to disk, over all lanes."""
    accepted: int
    """Actions on disk that are in no slot yet, over all lanes."""


def closed(lane: Lane, now: UnixSeconds) -> ClientError | None:
    """Say why this session takes no action now.

    Args:
        now: chain time of the latest head, in unix seconds.
    """
    session = lane.session
    if lane.stopped == SessionRevoked.code:
        return SessionRevoked("the session is revoked", session=session.permission_id)
    if lane.stopped == SessionExpired.code or now >= session.valid_until:
        text = f"the session ended at {session.valid_until}, chain time is {now}"
        return SessionExpired(text, valid_until=session.valid_until, now=now)
    if session.state != OPEN:
        return SessionNotOpen(f"the session is {session.state}", state=session.state)
    return None


def unpaid(lane: Lane, stops: Stops, now: UnixSeconds) -> ClientError | None:
    """Say why the game pays for no more operations of this session."""
    stop = stops.find(lane.session, lane.scope.gas.paymaster, now)
    return None if stop is None else stop.error()


def room(lane: Lane, queues: Queues) -> int:
    """How many more actions fit into the bounded queues and the session's uses; below 1 none does."""
    limits = queues.limits
    return min(
        limits.depth_max - lane.depth,
        limits.journal_queue_max - queues.accepting,
        limits.accepted_max - queues.accepted,
        lane.uses_left(),
    )


def full(lane: Lane, queues: Queues) -> ClientError:
    """Say which bound leaves no room: the session's uses, or the fullest of the queues."""
    limits = queues.limits
    found = (
        ("lane", lane.depth, limits.depth_max),
        ("journal", queues.accepting, limits.journal_queue_max),
        ("server", queues.accepted, limits.accepted_max),
    )
    queue, depth, most = min(found, key=lambda each: each[2] - each[1])
    if lane.uses_left() <= most - depth:
        uses = lane.scope.usage.uses_max
        return ScopeDenied(f"all {uses} uses are taken", policy="UsageLimitPolicy", limit=uses, asked=uses + 1)
    text = f"the {queue} queue holds {depth} actions, at most {most}"
    return Overloaded(text, queue=queue, depth=depth, depth_max=most)


def refusal(lane: Lane, request: ActionRequest, left: int, queues: Queues, pauses: Pauses) -> ClientError | None:
    """Say what the uncommon reason is: a bad key, a pause, a full queue, or uses or value that run out.

    Args:
        left: how many more actions there is room for, those of this frame counted.
    """
    key = request.key
    if not 1 <= len(key) <= KEY_LENGTH_MAX:
        text = f"an idempotency key has 1 to {KEY_LENGTH_MAX} characters, this one {len(key)}"
        return ActionInvalid(text, length=len(key), length_max=KEY_LENGTH_MAX)
    pause = pauses.find(lane.session.game, request.function)
    if pause is not None:
        return Paused(f"{pause.subject} is paused: {pause.reason}", subject=pause.subject, reason=pause.reason)
    if left < 1:
        return full(lane, queues)
    value_left = lane.value_left() if request.value else 0
    if request.value > value_left:
        text = f"{value_left} wei of value are left"
        return ScopeDenied(text, policy="ValueLimitPolicy", limit=value_left, asked=request.value)
    return None


def bad_groups(requests: Sequence[ActionRequest], calls_max: int) -> dict[str, GamekitError]:
    """Give the atomic groups of one frame that can never be one operation, each with why.

    Members must stand together: what stands between them would have to run before and after them.

    Args:
        calls_max: most calls of one operation of this session.
    """
    named = [request.group for request in requests]
    if not any(named):
        return {}
    bad: dict[str, GamekitError] = {}
    sizes: dict[str, int] = {}
    before = ""
    for group in named:
        if group and group in sizes and group != before:
            bad[group] = ActionInvalid(f"the members of group {group!r} do not stand together", group=group)
        sizes[group] = sizes.get(group, 0) + 1
        before = group
    for group, size in sizes.items():
        if group and size > calls_max and group not in bad:
            text = f"group {group!r} has {size} actions, an operation of this session at most {calls_max} calls"
            bad[group] = ActionInvalid(text, group=group, size=size, calls_max=calls_max)
    return bad
