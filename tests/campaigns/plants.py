"""Bugs that a campaign must find: each is put into the running server before it starts, and lives only here."""

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from gamekit.chain import reader
from gamekit.core.lane import Lane
from gamekit.core.tracking import DEAD, EXPIRED, LIVE
from gamekit.errors import StoreUnavailable
from gamekit.runtime.resolve import Resolve
from gamekit.store.group import GroupCommit

LATE_S: Final = 0.15
"""How long after the acknowledgement the planted journal writes: what a lazy flush does."""


class Plant(NamedTuple):
    """One bug."""

    campaign: str
    """Which must find it."""
    what: str
    apply: Callable[[], None]
    breaks: tuple[str, ...]
    """Figures of which the campaign must count at least one: anything else is no verdict."""


def _ack_before_commit() -> None:
    def drain(self: GroupCommit) -> None:
        while self._queue:
            commits, futures = self._take()
            self._post(self._resolve, futures, [None] * len(commits), sum(map(len, commits)))
            time.sleep(LATE_S)
            self._write(commits)

    _put(GroupCommit, "_drain", drain)


def _not_found_is_evidence() -> None:
    """What is in no block when the server starts is taken for dead, and its actions get another operation."""
    resume = Resolve.resume

    async def resumed(self: Resolve) -> None:
        state = self._state
        live = {id(each): each for each in state.slots_by_operation.values() if each.slot.state == LIVE}
        for each in live.values():
            lane = state.lanes[each.slot.permission_id]
            each.slot = replace(each.slot, state=EXPIRED)
            await self._store.commit((each.slot, *(op.moved(DEAD) for op in each.variants.values())))
            state.unindex(each)
            lane.close_slot(each.slot.sequence)
            lane.ready.extendleft(reversed(each.actions))
            state.accepted += len(each.actions)
        await resume(self)

    _put(Resolve, "resume", resumed)


def _resign_at_next_nonce() -> None:
    """What may still land when the server starts is signed again, behind the slot that it may still land in."""
    resume, refresh = Resolve.resume, Resolve._refresh
    behind: dict[bytes, int] = {}

    async def resumed(self: Resolve) -> None:
        state = self._state
        live = {id(each): each for each in state.slots_by_operation.values() if each.slot.state == LIVE}
        for each in live.values():
            lane = state.lanes[each.slot.permission_id]
            state.unindex(each)
            lane.close_slot(each.slot.sequence)
            behind[each.slot.permission_id] = each.slot.sequence + 1
            lane.ready.extendleft(reversed(each.actions))
            state.accepted += len(each.actions)
        await resume(self)

    async def refreshed(self: Resolve, lane: Lane) -> None:
        await refresh(self, lane)
        lane.start_at(max(lane.chain_sequence, behind.get(lane.session.permission_id, 0)))

    _put(Resolve, "resume", resumed)
    _put(Resolve, "_refresh", refreshed)


def _failure_is_success() -> None:
    """A group that the disk refused is told to have been written."""
    resolve = GroupCommit._resolve

    def resolved(self: GroupCommit, futures: Any, outcomes: Any, row_count: int) -> None:
        told = [None if isinstance(outcome, StoreUnavailable) else outcome for outcome in outcomes]
        resolve(self, futures, told, row_count)

    _put(GroupCommit, "_resolve", resolved)


def _trust_receipt() -> None:
    """What a node says about receipts is believed."""
    _put(reader, "check_receipts", lambda *_: None)


def _lost_action() -> None:
    """Actions that wait in no slot are forgotten by a restart."""

    async def nothing(self: Resolve) -> None:
        del self

    _put(Resolve, "_load_waiting", nothing)


def _put(where: Any, name: str, value: object) -> None:
    if not hasattr(where, name):
        raise AttributeError(f"{where} has no {name}: the plant must follow the code")
    setattr(where, name, value)


PLANTS: Final = {
    "ack_before_commit": Plant(
        "kills",
        "the first acknowledgement leaves before the row is on disk",
        _ack_before_commit,
        ("lost", "told_nothing", "misreported"),
    ),
    "not_found_is_evidence": Plant(
        "kills",
        "what is in no block at a start is taken for dead, and signed anew",
        _not_found_is_evidence,
        ("duplicated",),
    ),
    "resign_at_next_nonce": Plant(
        "kills",
        "what may still land when the server starts is signed again at the next nonce",
        _resign_at_next_nonce,
        # Both may land; or neither, where what was signed first never comes and the next waits behind it.
        ("duplicated", "lost"),
    ),
    "lost_action": Plant(
        "kills",
        "accepted actions that are in no slot are forgotten by a restart",
        _lost_action,
        ("lost", "told_nothing"),
    ),
    "lost_in_demo": Plant(
        "demo",
        "accepted actions that are in no slot are forgotten by a restart",
        _lost_action,
        ("lost", "told_nothing"),
    ),
    "failure_is_success": Plant(
        "full_disk",
        "a group that the disk refused is acknowledged all the same",
        _failure_is_success,
        ("lost", "told_nothing", "misreported"),
    ),
    "trust_receipt": Plant(
        "byzantine",
        "a block's receipts are believed unchecked",
        _trust_receipt,
        ("unfounded", "misreported", "duplicated"),
    ),
}
"""By name."""


def of(campaign: str) -> dict[str, tuple[str, ...]]:
    """The bugs that a campaign must find, with the figures that they break."""
    return {name: plant.breaks for name, plant in PLANTS.items() if plant.campaign == campaign}
