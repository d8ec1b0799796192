"""Known bugs, each a small patch of a kit: what a campaign must find, or it proves nothing."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gamekit.core.tracking import DEAD, EXPIRED, SENT, LiveSlot, may_expire
from gamekit.eth.block import Head
from gamekit.kit import GameKit
from gamekit.store.group import GroupCommit

# ruff: noqa: SLF001 - a plant reaches into what it breaks


class Plant(Struct, frozen=True):
    """A bug, and the campaign that must find it."""

    sow: Callable[[GameKit], None]
    campaign: str = "crashes"


PLANTS: dict[str, Plant] = {}


def plant(campaign: str = "crashes") -> Callable[[Callable[[GameKit], None]], Callable[[GameKit], None]]:
    """Register a bug under its own name."""

    def register(sow: Callable[[GameKit], None]) -> Callable[[GameKit], None]:
        PLANTS[sow.__name__] = Plant(sow, campaign)
        return sow

    return register


@plant()
def wall_clock_deadline(kit: GameKit) -> None:
    """Actions leave a slot when the newest head has passed the deadline, not the last final block."""
    real = kit._resolve._given_up

    def given_up(live: LiveSlot, final: Head) -> bool:
        return real(live, final) if live.foreign_at else may_expire(live, kit.state.head.timestamp)

    kit._resolve._given_up = given_up  # type: ignore[method-assign]


@plant()
def free_on_not_found(kit: GameKit) -> None:
    """Actions leave a slot when no transaction in flight carries its operation."""

    def given_up(live: LiveSlot, final: Head) -> bool:  # noqa: ARG001
        return live.latest().state == SENT and not kit._relayers.carried().intersection(live.variants)

    kit._resolve._given_up = given_up  # type: ignore[method-assign]


@plant()
def ignore_reorg(kit: GameKit) -> None:
    """What stood in blocks that are canonical no more stays as it was."""

    async def nothing(orphaned: Sequence[Head]) -> None:  # noqa: ARG001
        return None

    kit._settle._orphan = nothing  # type: ignore[method-assign]


@plant()
def skip_other_variant_on_reorg(kit: GameKit) -> None:
    """Only the latest variant of a slot is looked for in blocks."""
    index = kit.state.index

    def latest_only(live: LiveSlot) -> None:
        for user_op_hash in live.variants:
            kit.state.slots_by_operation.pop(user_op_hash, None)
        latest, variants = live.latest(), live.variants
        live.variants = {latest.user_op_hash: latest}
        index(live)
        live.variants = variants

    kit.state.index = latest_only  # type: ignore[method-assign]


@plant()
def forget_reorg_while_down(kit: GameKit) -> None:
    """A start believes the blocks that the process before it has read."""

    async def none(final: Any) -> list[Head]:  # noqa: ANN401, ARG001
        return []

    kit._settle._lost_since = none  # type: ignore[method-assign]


@plant()
def ack_before_commit(kit: GameKit) -> None:
    """A commit is told to be on disk a moment before it is."""
    journal: Any = kit.store._journal  # type: ignore[attr-defined]
    commits: GroupCommit = journal._commits

    def drain() -> None:
        while commits._queue:
            rows, futures = commits._take()
            commits._post(commits._resolve, futures, [None] * len(rows), sum(map(len, rows)))
            asyncio.get_running_loop().call_later(0.05, commits._write, rows)

    commits._drain = drain  # type: ignore[method-assign]


@plant()
def resign_at_next_nonce(kit: GameKit) -> None:
    """An operation whose deadline is near is signed again in the next slot, instead of its own."""
    dispatch, state = kit._dispatch, kit.state

    async def resign(lane: Any, live: LiveSlot) -> bool:  # noqa: ANN401
        latest = live.latest()
        if live.included() is not None or latest.deadline - state.head.timestamp >= state.config.batch.resign_below_s:
            return False
        await kit.store.commit((replace(live.slot, state=EXPIRED), latest.moved(DEAD)))
        state.unindex(live)
        lane.close_slot(live.slot.sequence)
        lane.sequence = live.slot.sequence + 1
        lane.ready.extendleft(reversed(live.actions))
        state.accepted += len(live.actions)
        dispatch.schedule(lane)
        return True

    kit._resolve._resign = resign  # type: ignore[method-assign]
