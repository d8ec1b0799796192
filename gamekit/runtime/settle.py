"""Follows the chain, block by block, and settles what it finds: included, settled, final, or taken back by a reorg.

Every canonical block is read by its hash, all its receipts. What they say is written in one transaction with the events
that tell it; after a crash the blocks since the last final one are read again, and say the same.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from gamekit.accounts import stack
from gamekit.accounts.replay import is_told
from gamekit.accounts.stack import CallOutcome
from gamekit.core import event as events
from gamekit.core.action import ACCEPTED, OK, REVERTED, Action
from gamekit.core.event import ActionResult, OperationEvent
from gamekit.core.history import Step, connect
from gamekit.core.journal import FINAL_BLOCK, Event, Meta, Row
from gamekit.core.lane import Lane
from gamekit.core.receipt import Inclusion, included, inclusions, told_outcomes
from gamekit.core.setup import ChainSetup
from gamekit.core.tracking import (
    CONSUMED,
    FINAL,
    INCLUDED,
    LIVE,
    SUPERSEDED,
    LiveSlot,
    Operation,
    taken_back,
)
from gamekit.core.usage import Usage
from gamekit.errors import ChainError, ChainMismatch, ChainUnavailable
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.ports import ChainReader, Clock, Store
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.follow import Follower
from gamekit.runtime.known_blocks import known_blocks, placeholder, row_of
from gamekit.runtime.notify import Notify
from gamekit.runtime.poison import WATCHED_OPERATIONS
from gamekit.runtime.replay import replayed
from gamekit.runtime.rewind import Rewind
from gamekit.runtime.state import State
from gamekit.units import BlockHash, BlockNumber, UnixSeconds

log = logging.getLogger(__name__)

WEI_PER_GWEI = 10**9

FINAL_EVERY = 16
"""Blocks after which what is final is written while many are read at once."""


class Settle:
    """The one reader of blocks."""

    def __init__(
        self,
        state: State,
        store: Store,
        chain: ChainReader,
        clock: Clock,
        setup: ChainSetup,
        dispatch: Dispatch,
        notify: Notify,
        followers: Sequence[Follower],
        rewind: Rewind,
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._clock = clock
        self._entry_points = setup.entry_points
        self._dispatch = dispatch
        self._notify = notify
        self._followers = followers
        """Others that a block concerns: relayers, grants, revocations, withdrawals."""
        self._rewind = rewind
        self._done: BlockHash | None = None
        """The head after which everything due was done."""
        self._unread: dict[BlockNumber, BlockHash] = {}
        """Blocks above the final one that an earlier process has read, and this one has not."""

    async def run(self) -> None:
        """Follow the chain until cancelled. A node that does not answer is asked again."""
        poll_s = self._state.config.chain.poll_ms / 1000
        while True:
            try:
                await self.step()
            except ChainMismatch:
                raise  # It is another chain: what stands in the journal protects nothing there.
            except ChainError as error:
                log.warning("reading the chain: %s", error)
            self.watch_head()
            await asyncio.sleep(poll_s)

    def watch_head(self) -> None:
        """Notice a chain that stands still; the next head ends it."""
        age_s = self._clock.monotonic() - self._state.head_seen_at
        if age_s > self._state.config.chain.head_age_s_max and not self._state.halted:
            self._state.halted = True
            log.warning("no new block for %d s: nothing is signed until there is one", age_s)

    async def catch_up(self) -> None:
        """Read on from the last final block, and take back what blocks said that are canonical no more: at start-up.

        Raises: ChainMismatch when journal and chain share no block; ChainUnavailable when the node is behind.
        """
        row = await self._store.get(Meta, FINAL_BLOCK)
        if row is None:
            await self._begin(await self._chain.finalized())
        else:
            number, block_hash = BlockNumber(int.from_bytes(row.value[:8], "big")), row.value[8:]
            start = await self._chain.block(number)
            if start is None:
                raise ChainUnavailable("the node is behind the last final block that the journal knows")
            if start.hash == block_hash:
                self._state.history.restart(start)
                known = await known_blocks(self._store)
                self._unread = {each: known[each] for each in known if each > number}
            else:
                await self._replaced(placeholder(number, BlockHash(block_hash)), await self._chain.finalized())
        await self.step()

    async def _begin(self, final: Head) -> None:
        """A new journal: nothing of ours is in any block up to the head, but a reorg may reach below it.

        So the final block is where a branch may begin; what lies between is read only if a reorg brings it in anew.
        """
        # Written, so that a crash before the first block of ours is final does not skip a block.
        await self._store.commit((_final_row(final),))
        self._state.history.restart(final)
        head = await self._chain.head()
        if head.number > final.number:
            self._state.history.apply(Step((), (head,)))

    async def _replaced(self, ours: Head, final: Head) -> None:
        """A final block of ours is another one now: go back to the last that stands, once the chain insists on it.

        Args:
            ours: our final block.
            final: what the node calls final.

        Raises: ChainUnavailable while the node calls nothing final at that height, or does not say it twice: it may be
            behind, or on a fork that never becomes final.
        """
        number = ours.number
        if final.number < number:
            raise ChainUnavailable(f"block {number} contradicts a final block, in a chain that is not final there")
        # Asked again, and what builds on it: one answer of one backend must not take back what was told to be final.
        again, above = await self._chain.block(number), await self._chain.block(BlockNumber(number + 1))
        if again is None or again.hash == ours.hash or (above is not None and above.parent_hash != again.hash):
            raise ChainUnavailable(f"the node does not say again that another block is final at {number}")
        shared, gone = await self._rewind.below(number)
        await self._orphan(gone)
        self._unread.clear()
        self._state.history.restart(shared)
        self._state.final = shared
        # Last: until it is written, another start goes the same way again.
        await self._store.commit((_final_row(shared),))

    async def _lost_since(self, head: Head) -> list[Head]:
        """The blocks of an earlier process that are canonical no more, now that this one is read; highest first.

        Looked for as blocks are read, not before: the chain may replace them at any moment in between.
        """
        if self._unread.get(head.number, head.hash) == head.hash:
            self._unread.pop(head.number, None)
            return []
        lost = sorted((each for each in self._unread.items() if each[0] >= head.number), reverse=True)
        for number, _ in lost:
            del self._unread[number]
        return [placeholder(number, block_hash) for number, block_hash in lost]

    async def step(self) -> bool:
        """Read what is new; whether there was a new head."""
        head = await self._chain.head()
        known = self._state.history.at(head.number)
        is_known = known is not None and known.hash == head.hash
        if is_known and (known is not self._state.history.head or head.hash == self._done):
            # Done already, or a node that lags behind what it showed before: neither says anything new.
            return False
        # Asked for before the blocks are read: the chain goes on meanwhile.
        final = await self._chain.finalized()
        if not is_known:
            await self._climb(head, final)
            step = await self._branch(head)
            if step is None:
                lowest = self._state.history.at(self._state.history.lowest)
                if lowest is None:
                    return False
                await self._replaced(lowest, final)
                return await self.step()
            await self._orphan(step.orphaned)
            self._state.history.apply(Step(step.orphaned, ()))
            for added in step.added:
                await self._take(added, final)
        await self._finalize(final)
        self._state.tip = await self._chain.max_priority_fee_per_gas()
        self._state.head_seen_at = self._clock.monotonic()
        self._state.halted = False
        for follower in self._followers:
            try:
                await follower.on_head()
            except ChainError as error:
                # One question that stays without an answer must not keep the others from acting.
                log.warning("%s at block %s: %s", type(follower).__name__, head.number, error)
        self._dispatch.on_head()
        self._done = head.hash
        return True

    async def _climb(self, head: Head, final: Head) -> None:
        """Read upwards while each block follows ours: what is read stays read, whatever is not answered next."""
        while (top := self._state.history.head) is not None and top.number + 1 < head.number:
            above = await self._chain.block(BlockNumber(top.number + 1))
            if above is None or above.parent_hash != top.hash:
                return
            await self._take(above, final)

    async def _take(self, head: Head, final: Head) -> None:
        """Read one canonical block's receipts, and take it in."""
        receipts = await self._chain.receipts(head)
        await self._orphan(await self._lost_since(head))
        await self._block(head, receipts)
        if head.number % FINAL_EVERY == 0 and head.number <= final.number:
            # Far behind: what is read is done with now and then, so that a start that dies has come further.
            await self._finalize(head)

    async def _branch(self, head: Head) -> Step | None:
        """Read heads downwards until they meet ours; None when they contradict the last final block that we know.

        Raises: ChainUnavailable for a head below that block: a node that is behind says nothing about it.
        """
        if head.number < self._state.history.lowest:
            raise ChainUnavailable(f"the node is at block {head.number}, below the last final one that we know")
        branch = [head]
        while (step := connect(self._state.history, branch)) is None:
            lowest = branch[0]
            if lowest.number <= self._state.history.lowest:
                return None
            parent = await self._chain.block(BlockNumber(lowest.number - 1))
            if parent is None or parent.hash != lowest.parent_hash:
                raise ChainUnavailable(f"the chain moved while block {lowest.number - 1} was read")
            branch.insert(0, parent)
        return step

    async def _block(self, head: Head, receipts: Sequence[TransactionReceipt]) -> None:
        """Take one canonical block in: one commit, then whoever listens."""
        rows: list[Row] = []
        consumed: list[LiveSlot] = []
        for found in inclusions(receipts, self._entry_points):
            live = self._include(found, rows, await self._replay(head, found))
            if live is not None:
                consumed.append(live)
        for follower in self._followers:
            rows.extend(follower.on_receipts(head, receipts))
        self._state.history.apply(Step((), (head,)))
        settled = self._settle(head, rows)
        rows.append(row_of(head))
        await self._write(rows)
        for live in settled:
            self._state.wake(live.actions)
        for live in consumed:
            lane = self._state.lanes.get(live.slot.permission_id)
            if lane is not None:
                self._dispatch.schedule(lane)

    async def _replay(self, head: Head, found: Inclusion) -> tuple[CallOutcome, ...]:
        """Find out what the account did not tell of an operation; nothing if it told all, or it is none of ours."""
        live = self._state.slots_by_operation.get(found.logs.event.user_op_hash)
        if live is None:
            return ()
        adapter = stack(self._state.sessions[live.slot.permission_id].stack)
        known = told_outcomes(live.variants[found.logs.event.user_op_hash], live.call_data, found, adapter)
        return () if is_told(known) else await replayed(self._chain, head, found, live.call_data, adapter, known)

    def _include(self, found: Inclusion, rows: list[Row], known: Sequence[CallOutcome]) -> LiveSlot | None:
        """Match one operation of the block with a slot of ours."""
        event = found.logs.event
        live = self._state.slots_by_operation.get(event.user_op_hash)
        if live is None:
            self._foreign(found)
            return None
        before = live.variants[event.user_op_hash]
        if before.state in (INCLUDED, FINAL) and before.block_hash == found.receipt.block_hash:
            return None
        session = self._state.sessions[live.slot.permission_id]
        game = self._state.games[session.game]
        operation = included(before, live.call_data, found, stack(session.stack), game, known)
        live.variants[operation.user_op_hash] = operation
        live.slot = replace(live.slot, state=CONSUMED, consumed_by=operation.user_op_hash)
        rows += (operation, live.slot)
        lane = self._state.lanes.get(live.slot.permission_id)
        if lane is not None:
            self._charge(lane, live, operation)
            lane.waits_since = UnixSeconds(0)
            if not operation.succeeded and operation.try_mode:
                lane.watched = WATCHED_OPERATIONS
        self._state.unsettled.append((operation.block_number, live))
        return live

    def _foreign(self, found: Inclusion) -> None:
        """An operation that is none of ours, perhaps on a lane of ours: somebody else has the key."""
        event = found.logs.event
        lane = self._state.lanes_by_key.get((event.sender, event.nonce >> 64))
        if lane is None:
            return
        log.warning("lane %s was used by operation %s, none of ours", lane, event.user_op_hash.hex())
        lane.usage_known = False
        lane.foreign_at.append(found.receipt.block_number)
        slot = self._state.slots_by_nonce.get((event.sender, event.nonce))
        if slot is not None and not slot.foreign_at:
            slot.foreign_at = found.receipt.block_number

    def _charge(self, lane: Lane, live: LiveSlot, operation: Operation) -> None:
        charged = lane.charged(live.actions, operation)
        if isinstance(charged, Usage):
            lane.usage = charged
        else:
            log.error("the chain allowed what our policy denies: %s %s", charged.policy, charged.reason)

    def _settle(self, head: Head, rows: list[Row]) -> list[LiveSlot]:
        """Decide the outcomes of blocks that are deep enough now."""
        settled: list[LiveSlot] = []
        deep = head.number - self._state.config.chain.included_depth + 1
        unsettled = self._state.unsettled
        while unsettled and unsettled[0][0] <= deep:
            _, live = unsettled.popleft()
            operation = live.included()
            if operation is None or live.settled:
                continue
            live.settled = True
            session = self._state.sessions[live.slot.permission_id]
            live.actions = tuple(_settled(action, operation, place) for place, action in enumerate(live.actions))
            rows.extend(live.actions)
            body = operation_event(session.game, operation, live.actions)
            rows.append(self._notify.event(events.SETTLED, session.player, body))
            settled.append(live)
        return settled

    async def _write(self, rows: Sequence[Row]) -> None:
        """Make a block's rows durable, then tell the events among them."""
        if rows:
            await self._store.commit(rows)
            self._notify.publish([row for row in rows if isinstance(row, Event)])

    async def _orphan(self, orphaned: Sequence[Head]) -> None:
        """Take back what blocks said that are canonical no more, highest first."""
        for head in orphaned:
            rows: list[Row] = []
            waiting = self._state.unsettled
            self._state.unsettled = deque(each for each in waiting if each[0] != head.number)
            for live in {id(live): live for live in self._state.slots_by_operation.values()}.values():
                if live.foreign_at == head.number:
                    live.foreign_at = 0
                operation = live.included()
                if operation is not None and operation.block_hash == head.hash:
                    self._take_back(live, operation, rows)
            for lane in self._state.lanes.values():
                if head.number in lane.foreign_at:
                    lane.foreign_at.remove(head.number)
                    lane.usage_known = False
            for follower in self._followers:
                rows.extend(follower.on_orphaned(head))
            await self._write(rows)

    def _take_back(self, live: LiveSlot, operation: Operation, rows: list[Row]) -> None:
        session = self._state.sessions[live.slot.permission_id]
        if live.settled:
            body = operation_event(session.game, operation, live.actions)
            rows.append(self._notify.event(events.REORGED, session.player, body))
            live.actions = tuple(
                replace(action, state=ACCEPTED, reason="", user_op_hash=b"") for action in live.actions
            )
            rows.extend(live.actions)
            live.settled = False
        back = taken_back(live, operation)
        live.variants |= {each.user_op_hash: each for each in back}
        live.slot = replace(live.slot, state=LIVE, consumed_by=b"")
        rows += (*back, live.slot)
        lane = self._state.lanes.get(live.slot.permission_id)
        if lane is not None:
            lane.usage_known = False

    async def _finalize(self, final: Head) -> None:
        """Close what is final now; it never moves again."""
        before = self._state.final
        if before is not None and final.number <= before.number:
            return
        read = self._state.history.at(final.number)
        if read is None or read.hash != final.hash:
            # Beyond our head, or of another fork: what stands below it is not read yet, so it proves nothing.
            return
        self._state.final = final
        told = self._state.head.number - self._state.config.chain.included_depth + 1
        anchor = self._state.history.at(min(final.number, told))
        rows: list[Row] = [] if anchor is None else [_final_row(anchor)]
        for live in {id(live): live for live in self._state.slots_by_operation.values()}.values():
            operation = live.included()
            if operation is not None and live.settled and operation.block_number <= final.number:
                self._close(live, operation, rows)
        for follower in self._followers:
            rows.extend(follower.on_final(final))
        await self._write(rows)
        self._state.history.forget(BlockNumber(min(final.number, told)))

    def _close(self, live: LiveSlot, operation: Operation, rows: list[Row]) -> None:
        session = self._state.sessions[live.slot.permission_id]
        rows.append(operation.moved(FINAL))
        rows.extend(op.moved(SUPERSEDED) for key, op in live.variants.items() if key != operation.user_op_hash)
        body = operation_event(session.game, operation, live.actions)
        rows.append(self._notify.event(events.FINAL, session.player, body))
        self._state.unindex(live)
        lane = self._state.lanes.get(live.slot.permission_id)
        if lane is not None:
            lane.close_slot(live.slot.sequence)


def _final_row(final: Head) -> Meta:
    return Meta(FINAL_BLOCK, final.number.to_bytes(8, "big") + final.hash)


def operation_event(game: str, operation: Operation, actions: Sequence[Action]) -> OperationEvent:
    """What is told about one operation."""
    results = tuple(
        ActionResult(action.id, action.key, action.function, outcome.succeeded, outcome.error, outcome.inferred)
        for action, outcome in zip(actions, operation.outcomes, strict=True)
    )
    return OperationEvent(
        operation.permission_id,
        game,
        operation.user_op_hash,
        operation.transaction_hash,
        operation.block_number,
        operation.block_hash,
        results,
        -(-operation.actual_gas_cost // WEI_PER_GWEI),
    )


def _settled(action: Action, operation: Operation, place: int) -> Action:
    outcome = operation.outcomes[place]
    state = OK if outcome.succeeded else REVERTED
    return replace(action, state=state, reason=outcome.error, user_op_hash=operation.user_op_hash)
