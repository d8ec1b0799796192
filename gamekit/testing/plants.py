"""Known bugs, each a small patch of a kit: what a campaign must find, or it proves nothing."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gamekit.core.fees import Fees
from gamekit.core.history import Step
from gamekit.core.journal import Event, Row
from gamekit.core.lane import Lane
from gamekit.core.policy import CALLS_MAX_LIMIT
from gamekit.core.relay import RelayNonce
from gamekit.core.tracking import DEAD, EXPIRED, SENT, LiveSlot, may_expire
from gamekit.eth.block import Head
from gamekit.kit import GameKit
from gamekit.store.group import GroupCommit
from gamekit.testing import limit_plants
from gamekit.testing.planting import PLANTS, plant, put
from gamekit.units import BlockNumber, UnixSeconds

# ruff: noqa: SLF001 - a plant reaches into what it breaks


@plant("I3", "I4", within=600)
def wall_clock_deadline(kit: GameKit) -> None:
    """Actions leave a slot when the machine's own clock has passed the deadline."""
    real = kit._resolve._given_up

    def given_up(live: LiveSlot, final: Head) -> bool:
        return real(live, final) if live.foreign_at else may_expire(live, UnixSeconds(int(time.time())))

    put(kit._resolve, "_given_up", given_up)


@plant("I3", "I4", within=1500)
def head_clock_deadline(kit: GameKit) -> None:
    """Actions leave a slot when the newest head has passed the deadline, not the last final block."""
    real = kit._resolve._given_up

    def given_up(live: LiveSlot, final: Head) -> bool:
        return real(live, final) if live.foreign_at else may_expire(live, kit.state.head.timestamp)

    put(kit._resolve, "_given_up", given_up)


@plant("I3", "I4", "I1", "lost", within=600)
def free_on_not_found(kit: GameKit) -> None:
    """Actions leave a slot when no transaction in flight carries its operation."""

    def given_up(live: LiveSlot, final: Head) -> bool:  # noqa: ARG001
        return live.latest().state == SENT and not kit._relayers.carried().intersection(live.variants)

    put(kit._resolve, "_given_up", given_up)


@plant("lost", "I7", "untrue", campaign="reorgs", within=64)
def ignore_reorg(kit: GameKit) -> None:
    """What stood in blocks that are canonical no more stays as it was."""

    async def nothing(orphaned: Sequence[Head]) -> None:  # noqa: ARG001
        return None

    put(kit._settle, "_orphan", nothing)


@plant("lost", "I1", "I7", "untrue", campaign="reorgs", within=48)
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

    put(kit.state, "index", latest_only)


@plant("lost", "I7", campaign="reorgs", within=64)
def forget_reorg_while_down(kit: GameKit) -> None:
    """A start believes the blocks that the process before it has read."""

    async def none(head: Any) -> list[Head]:  # noqa: ANN401, ARG001
        return []

    put(kit._settle, "_lost_since", none)


@plant("I2", "I4", "I7", "lost", within=100)
def ack_before_commit(kit: GameKit) -> None:
    """A commit is told to be on disk a moment before it is."""
    journal: Any = kit.store._journal  # type: ignore[attr-defined]
    commits: GroupCommit = journal._commits

    def drain() -> None:
        while commits._queue:
            rows, futures = commits._take()
            commits._post(commits._resolve, futures, [None] * len(rows), sum(map(len, rows)))
            asyncio.get_running_loop().call_later(0.05, commits._write, rows)

    put(commits, "_drain", drain)


@plant("I3", "I4", within=1000)
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

    put(kit._resolve, "_resign", resign)


@plant("I7", "lost", within=300)
def two_commits_instead_of_one(kit: GameKit) -> None:
    """What a block says is written first, and the events that tell it in a commit of their own."""

    async def write(rows: Sequence[Row]) -> None:
        events = [row for row in rows if isinstance(row, Event)]
        await kit.store.commit([row for row in rows if not isinstance(row, Event)])
        if events:
            await kit.store.commit(events)
            kit._notify.publish(events)

    put(kit._settle, "_write", write)


@plant("I1", "I7", "untrue", "lost", within=700)
def trust_receipt(kit: GameKit) -> None:
    """A block need not prove its receipts: what a node says is believed."""
    put(kit._ports.chain, "checked", False)


@plant("I7", "lost", within=300)
def final_too_early(kit: GameKit) -> None:
    """The head counts as final."""
    put(kit._chain, "finalized", kit._chain.head)


@plant("I5", within=300)
def bump_only_tip(kit: GameKit) -> None:
    """A replacement raises the tip, and not the highest fee. The journal would refuse that, so it is not asked."""
    real: Any = kit._relayers._signed
    put(kit._relayers, "_store", _NonceUnguarded(kit.store))

    def signed(relayer: Any, nonce: int, attempt: int, *rest: Any) -> Any:  # noqa: ANN401
        if not attempt:
            return real(relayer, nonce, attempt, *rest)
        before = relayer.unmined[nonce][-1]
        return real(relayer, nonce, attempt, *(_same_most(before, each) for each in rest))

    put(kit._relayers, "_signed", signed)


class _NonceUnguarded:
    """A journal that hears of no relayer's nonce."""

    def __init__(self, store: Any) -> None:  # noqa: ANN401
        self._store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._store, name)

    def commit(self, rows: Sequence[Row]) -> Any:  # noqa: ANN401
        return self._store.commit([row for row in rows if not isinstance(row, RelayNonce)])


def _same_most(before: Any, value: Any) -> Any:  # noqa: ANN401
    """A bid with the highest fee of the attempt before; anything else as it is."""
    if not isinstance(value, Fees):
        return value
    return Fees(before.max_fee_per_gas, min(value.max_priority_fee_per_gas, before.max_fee_per_gas))


@plant("I5", within=200)
def forget_sent_on_restart(kit: GameKit) -> None:
    """A start takes the relayer's next nonce from the chain, and forgets what was sent and is not mined."""
    real = kit._relayers.recover

    async def recover() -> None:
        await real()
        for relayer in kit._relayers._relayers.values():
            relayer.unmined.clear()
            relayer.next_nonce = await kit._chain.transaction_count(relayer.address)

    put(kit._relayers, "recover", recover)


@plant("lost", "I5", campaign="gas", within=80)
def sent_once(kit: GameKit) -> None:
    """What the node was given once is never given to it again, nor outbid."""
    relayers = kit._relayers
    real = relayers._push

    async def push(relayer: Any, latest: Any) -> None:  # noqa: ANN401
        if latest.transaction_hash not in relayers._offered:
            await real(relayer, latest)

    put(relayers, "_push", push)


@plant("I7", "lost", within=100)
def reuse_last_cursor(kit: GameKit) -> None:
    """A start goes on with the cursor of the last event, which is written over."""
    real = kit._resolve.load

    async def load() -> None:
        put(kit._notify, "next_cursor", max(1, kit._notify.next_cursor - 1))
        await real()

    put(kit._resolve, "load", load)


@plant("I1", "lost", "I3", within=300)
def jump_over_blocks(kit: GameKit) -> None:
    """When several blocks have come at once, only the newest is read."""
    state = kit.state

    async def climb(head: Head, final: Head) -> None:  # noqa: ARG001
        while (top := state.history.head) is not None and top.number + 1 < head.number:
            above = await kit._settle._chain.block(BlockNumber(top.number + 1))
            if above is None or above.parent_hash != top.hash:
                return
            state.history.apply(Step((), (above,)))

    put(kit._settle, "_climb", climb)


@plant("I9", campaign="revoke", within=4)
def sign_after_revoke(kit: GameKit) -> None:
    """A revocation is written, and the lane goes on."""
    put(kit._revoke, "stop", lambda session, code: kit.state.put(session))  # noqa: ARG005


@plant("I2", "I4", "lost", within=800)
def no_sync(kit: GameKit) -> None:
    """The journal does not wait for the disk."""
    kit.store._journal._writer._connection.pragma("synchronous", "OFF")  # type: ignore[attr-defined]


@plant("I1", campaign="poison", within=2)
def blame_nobody(kit: GameKit) -> None:
    """A bundle that was reverted on chain makes nobody suspect: its operations travel together again."""
    put(kit._bundler, "on_receipts", lambda head, receipts: ())  # noqa: ARG005


@plant("I1", campaign="poison", within=2)
def look_away(kit: GameKit) -> None:
    """What would fail as a whole is signed all the same."""

    async def harmless(*_: Any) -> bool:  # noqa: ANN401
        return True

    put(kit._dispatch._poison, "is_harmless", harmless)


@plant("I1", campaign="poison", within=2)
def one_by_one(kit: GameKit) -> None:
    """A batch that would fail is not halved: its calls travel one by one."""
    real = kit._dispatch._plan

    async def plan(lane: Lane, most: int = CALLS_MAX_LIMIT) -> Any:  # noqa: ANN401
        lane.watched += most < CALLS_MAX_LIMIT
        return await real(lane, 1 if lane.watched else most)

    put(kit._dispatch, "_plan", plan)


@plant("I2", "lost", campaign="disk", within=10)
def ack_despite_error(kit: GameKit) -> None:
    """A commit that the disk refused is told to be on disk."""
    journal: Any = kit.store._journal  # type: ignore[attr-defined]
    write = journal._commits._write

    def hopeful(commits: Any) -> list[None]:  # noqa: ANN401
        write(commits)
        return [None] * len(commits)

    put(journal._commits, "_write", hopeful)


__all__ = ["PLANTS", "limit_plants"]
