"""Resolves what is uncertain: at start-up, and with every head. The only code that frees actions.

A slot is given up when the chain proves that none of its variants can land any more: something else consumed it in a
final block, or every deadline has passed in finalized time. Until then what is not included is sent again, or signed
again in the same slot with fresh fees and a fresh deadline.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from gamekit.accounts import stack
from gamekit.core import batch as batching
from gamekit.core import prepare
from gamekit.core.action import ACCEPTED, Action
from gamekit.core.checker import ScopeChecker
from gamekit.core.fees import Fees, bid, outbid
from gamekit.core.journal import FINAL_BLOCK, Meta, Row
from gamekit.core.lane import Lane
from gamekit.core.pausing import FINALITY
from gamekit.core.policy import Denied
from gamekit.core.restoring import RESTORED
from gamekit.core.scope import Scope
from gamekit.core.session import ENDED, GRANTING, LAPSED, OPEN, PROPOSED, REVOKED, REVOKING, Account, Session
from gamekit.core.session import EXPIRED as SESSION_EXPIRED
from gamekit.core.tracking import (
    CONSUMED,
    DEAD,
    EXPIRED,
    FOREIGN,
    INCLUDED,
    LIVE,
    PLANNED,
    RELEASED,
    SENT,
    SIGNED,
    SUPERSEDED,
    LiveSlot,
    Operation,
    Slot,
    may_expire,
    may_resign,
)
from gamekit.core.usage import Usage, stored_usage
from gamekit.errors import ChainError, ChainUnavailable, StoreError
from gamekit.eth.block import Head
from gamekit.eth.entry_point import decode_nonce, encode_get_nonce
from gamekit.eth.session_validator_abi import SESSION_OF, decode_session
from gamekit.ports import ChainReader, Store
from gamekit.runtime.answer import read_answer
from gamekit.runtime.bundle import Bundler
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.follow import Follower
from gamekit.runtime.known_blocks import known_blocks
from gamekit.runtime.notify import Notify
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.sponsor import Sponsor
from gamekit.runtime.state import State
from gamekit.units import UINT64_MAX, Address, NonceSequence, PermissionId, UnixSeconds, UserOpHash

log = logging.getLogger(__name__)

QUESTIONS_MAX = 32
"""Lanes that the chain is asked about at once when a server starts: one after the other, many would take minutes."""

TOLD_BELOW = "told_below"
"""Meta row: every action with a lower id has an outcome that is final. Only those above are read at start-up."""
SEQUENCE_MAX = (1 << 63) - 1
"""Highest that the journal can hold; no lane ever comes near."""
PAGE = 4096
"""Actions that are read at once when a server starts."""

STOPPED = {
    REVOKING: "session_revoked",
    REVOKED: "session_revoked",
    SESSION_EXPIRED: "session_expired",
    LAPSED: "session_expired",
}
"""States of a session in which nothing is signed any more, with the code that its waiting actions are told."""

REJECTED_EVERY = 8
"""What the chain would not take when it was last asked is tried again every so many blocks: a deposit may be filled."""

STUCK_DEADLINES = 2
"""How many deadlines long, beside the time to finality, nothing may land of a lane until an operator is told."""
STUCK_NAMED = 8
"""Lanes that such an alarm names."""


class Resolve(Follower):
    """The resolver."""

    def __init__(
        self,
        state: State,
        store: Store,
        chain: ChainReader,
        dispatch: Dispatch,
        bundler: Bundler,
        relayers: Relayers,
        sponsor: Sponsor,
        notify: Notify,
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._dispatch = dispatch
        self._bundler = bundler
        self._relayers = relayers
        self._sponsor = sponsor
        self._notify = notify
        self._told_below = 0

    def on_final(self, final: Head) -> Sequence[Row]:  # noqa: ARG002
        """Forget the keys of sessions that have ended; write below which id every action has its outcome.

        The bound of one final block before: an action that is between its slot and its refusal just now is in no place
        that is looked at, but it was in one then.
        """
        state = self._state
        for permission_id in state.recent.lanes():
            session = state.sessions.get(permission_id)
            if session is None or session.state in ENDED:
                state.recent.forget(permission_id)
        before, self._told_below = self._told_below, self._lowest_untold()
        bound = min(before, self._told_below)
        return (Meta(TOLD_BELOW, bound.to_bytes(8, "big")),)

    def _lowest_untold(self) -> int:
        """The lowest id of an action that may be without a lasting outcome, or is not given yet."""
        state = self._state
        ids = [live.actions[0].id for live in state.slots_by_operation.values() if live.actions]
        ids += [lane.ready[0].id for lane in state.lanes.values() if lane.ready]
        return min((*ids, *state.writing), default=state.next_action_id)

    async def on_head(self) -> None:
        """Look at every slot that is not included.

        In this order: free what is dead, ask the chain about lanes that are in doubt, sign and send again.
        """
        state = self._state
        final = state.final
        doubtful = FINALITY in state.pauses or RESTORED in state.pauses
        for live in self._in_flight():
            lane = state.lanes[live.slot.permission_id]
            if final is not None and not doubtful and lane.holds(live) and self._given_up(live, final):
                await self._free(lane, live)
        for live in self._in_flight():
            if self._is_due(state.lanes[live.slot.permission_id], live):
                # It was not taken in time: perhaps its sequence is not the lane's next one.
                state.lanes[live.slot.permission_id].usage_known = False
        await self._read_again([lane for lane in state.lanes.values() if not lane.usage_known])
        carried = self._relayers.carried()
        for live in self._in_flight():
            lane = state.lanes[live.slot.permission_id]
            if lane.slots.get(live.slot.sequence) is not live or await self._resign(lane, live):
                continue  # Dropped while another one was signed, or signed anew.
            if not carried.intersection(live.variants):
                latest = live.latest()
                again = not latest.rejected or state.head.number % REJECTED_EVERY == 0
                if again and latest.state in RELEASED and latest.deadline > state.head.timestamp:
                    self._bundler.add(latest)
        await self._watch()

    def _in_flight(self) -> list[LiveSlot]:
        """Every slot of which an operation may still land."""
        slots = {id(live): live for live in self._state.slots_by_operation.values()}
        return [live for live in slots.values() if live.slot.state == LIVE]

    async def _watch(self) -> None:
        """Tell an operator, once, of lanes on which something waits and nothing lands, though nothing stops them."""
        state = self._state
        head, final = state.head, state.final
        # What did not land is free only once its deadline is final, so that much is ordinary.
        limit_s = STUCK_DEADLINES * state.config.batch.deadline_s + (head.timestamp - (final or head).timestamp)
        stuck: list[Lane] = []
        for lane in state.lanes.values():
            function = lane.ready[0].function if lane.ready else ""
            if not (lane.ready or lane.in_flight) or state.pauses.find(lane.session.game, function):
                lane.waits_since = UnixSeconds(0)
            elif not lane.waits_since:
                lane.waits_since, lane.is_stuck = head.timestamp, False
            elif head.timestamp - lane.waits_since > limit_s and not lane.is_stuck:
                lane.is_stuck = True
                stuck.append(lane)
        if stuck:
            names = ", ".join(lane.session.permission_id.hex() for lane in stuck[:STUCK_NAMED])
            await self._notify.alarm(
                "lanes_stuck", f"{len(stuck)} lanes: nothing of theirs landed for {limit_s} s; the first are {names}"
            )

    def _given_up(self, live: LiveSlot, final: Head) -> bool:
        """Whether final blocks prove that none of the variants can land."""
        if live.foreign_at:
            return live.foreign_at <= final.number
        return may_expire(live, final.timestamp)

    async def _free(self, lane: Lane, live: LiveSlot) -> None:
        """Give the actions back to their lane, in their order; or refuse them when the lane has stopped."""
        exit_state = FOREIGN if live.foreign_at else DEAD
        slot = replace(live.slot, state=CONSUMED if live.foreign_at else EXPIRED)
        freed = self._store.commit((slot, *(op.moved(exit_state) for op in live.variants.values())))
        # In memory at once: else, before that is on disk, somebody writes of its operations as if they were in flight.
        live.slot = slot
        self._state.unindex(live)
        lane.close_slot(slot.sequence)
        batching.put_back(lane.ready, live.actions)
        self._state.accepted += len(live.actions)
        lane.usage_known = False  # Its sequence may not be the chain's: asked again before the next is planned.
        await freed
        why = live.latest().rejected or "the session stopped, and the operation can no longer land"
        await self._dispatch.refuse_stopped(lane, live.actions, why)
        self._dispatch.schedule(lane)

    def _is_due(self, lane: Lane, live: LiveSlot) -> bool:
        """Whether the same actions should be signed again in the same slot: the latest deadline is near."""
        state = self._state
        head = state.head
        if lane.stopped or live.foreign_at or not may_resign(live, head.timestamp, state.config.batch.resign_below_s):
            return False
        if batching.any_stale(live.actions, head.timestamp):
            return False
        if state.pauses and any(state.pauses.find(lane.session.game, each.function) for each in live.actions):
            return False
        return state.stops.find(lane.session, lane.scope.gas.paymaster, head.timestamp) is None

    async def _resign(self, lane: Lane, live: LiveSlot) -> bool:
        """Sign the same actions again in the same slot, when the latest deadline is near; whether that was done."""
        state = self._state
        head = state.head
        if not lane.usage_known or not self._is_due(lane, live):
            return False
        if not lane.chain_sequence <= live.slot.sequence <= lane.sequence:
            # The chain would not take it: something else went through this slot, or one before it was given up. That
            # frees nothing, since a node's answer proves nothing: it must die before anything goes on.
            return False
        times = prepare.times(head, lane.scope, state.config.batch)
        fresh = bid(head.base_fee_per_gas, state.tip, state.config.fees)
        if times is None or fresh is None:
            return False
        latest = live.latest()
        before = Fees(latest.max_fee_per_gas, latest.max_priority_fee_per_gas)
        fees = outbid(before, fresh, state.config.fees) or fresh
        operation = lane.codec.plan(
            live.actions, live.call_data, latest.try_mode, live.slot.sequence, times, fees, live.gas_percent
        )
        live.wants_gas = False
        if operation.user_op_hash in live.variants or isinstance(lane.charge(live.actions, operation), Denied):
            return False
        live.variants[operation.user_op_hash] = operation
        state.index(live)
        await self._dispatch.release([(lane, live, operation)])
        return True

    async def _read_again(self, lanes: Sequence[Lane]) -> None:
        """Take the chain's figures for lanes; those that it does not tell are asked about with the next head."""
        for start in range(0, len(lanes), QUESTIONS_MAX):
            asked = lanes[start : start + QUESTIONS_MAX]
            answers = await asyncio.gather(*map(self._refresh, asked), return_exceptions=True)
            for lane, answer in zip(asked, answers, strict=True):
                if isinstance(answer, ChainError):
                    log.warning("reading the usage of %s: %s", lane.session.permission_id.hex(), answer)
                elif answer is not None:
                    raise answer
                else:
                    self._dispatch.schedule(lane)

    async def chain_usage(self, session: Session, head: Head) -> Usage:
        """What the chain has charged a session, at one block."""
        data = SESSION_OF.encode_call(session.account, session.permission_id)
        record = read_answer(decode_session, await self._chain.call(session.validator, data, block=head.hash))
        return stored_usage(self._scope(session), record)

    async def chain_sequence(self, session: Session, head: Head) -> int:
        """The next nonce sequence of a session's lane, at one block.

        Raises: ChainUnavailable, too, for a sequence that blocks up to there have shown to be used.
        """
        data = encode_get_nonce(session.account, session.key)
        answer = await self._chain.call(session.entry_point, data, block=head.hash)
        sequence = read_answer(partial(decode_nonce, key=session.key), answer) & UINT64_MAX
        if sequence > SEQUENCE_MAX:
            raise ChainUnavailable(f"the node calls {sequence} the next sequence of a lane")
        slot = await self._store.get(Slot, session.account, session.nonce_key, sequence)
        if slot is not None and slot.state == CONSUMED:
            raise ChainUnavailable(f"the node calls sequence {sequence} unused, and its blocks do not")
        return sequence

    def make_lane(self, session: Session, usage: Usage, sequence: int) -> Lane:
        """Build a session's lane in memory."""
        scope = self._scope(session)
        checker = ScopeChecker(scope, session.account, (session.validator, session.entry_point))
        config = self._state.config
        payer = self._sponsor.payer(session, scope)
        codec = prepare.SessionCodec(session, scope, stack(session.stack), config.batch, config.sponsor, payer)
        lane = Lane(session, checker, codec, usage, sequence)
        lane.stopped = STOPPED.get(session.state, "")
        self._state.put_lane(lane)
        return lane

    async def load(self) -> None:
        """Build the state from the journal, before any block is read.

        Of sessions that have ended only those with something still to tell, and those whose revocation is not final.
        """
        for kind_state in (PROPOSED, GRANTING, OPEN, REVOKING):
            for session in await self._store.select(Session, state=kind_state):
                await self._load_session(session)
        final = await self._store.get(Meta, FINAL_BLOCK)
        final_number = int.from_bytes(final.value[:8], "big") if final is not None else 0
        for number in sorted(await known_blocks(self._store)):
            for session in await self._store.select(Session, revoked_at_block=number) if number > final_number else ():
                await self._load_session(session)
        operations = [
            operation
            for operation_state in (PLANNED, SIGNED, SENT, INCLUDED)
            for operation in await self._store.select(Operation, state=operation_state)
        ]
        by_slot: dict[tuple[Address, bytes, NonceSequence], dict[UserOpHash, Operation]] = {}
        for operation in operations:
            key = (operation.sender, operation.nonce_key, operation.sequence)
            by_slot.setdefault(key, {})[operation.user_op_hash] = operation
        for key, variants in by_slot.items():
            slot = await self._store.get(Slot, *key)
            if slot is not None and not slot.is_given_up:
                ours = {key: op for key, op in variants.items() if op.action_ids == slot.action_ids}
                await self._load_slot(slot, ours)
        self._state.unsettled = deque(sorted(self._state.unsettled, key=lambda each: each[0]))
        await self._load_waiting()

    async def load_final(self, operation: Operation) -> None:
        """Load the slot of an operation that was final, with all variants: the chain has replaced its block."""
        key = operation.sender, operation.nonce_key, operation.sequence
        slot = await self._store.get(Slot, *key)
        if slot is None or operation.user_op_hash in self._state.slots_by_operation:
            return
        others = await self._store.select(Operation, permission_id=operation.permission_id, state=SUPERSEDED)
        siblings = [each for each in others if (each.sender, each.nonce_key, each.sequence) == key]
        await self._load_slot(slot, {each.user_op_hash: each for each in (operation, *siblings)})
        lane = self._state.lanes[slot.permission_id]
        lane.slots = dict(sorted(lane.slots.items()))

    async def load_session(self, session: Session) -> None:
        """Take a session over that ended before this process began."""
        if session.permission_id not in self._state.sessions:
            await self._load_session(session)

    async def _load_session(self, session: Session) -> None:
        self._state.sessions[session.permission_id] = session
        account = await self._store.get(Account, session.account)
        if account is not None:
            self._state.accounts[account.address] = account

    async def _load_by_id(self, permission_id: PermissionId) -> Session:
        """The session of something that is still to tell, ended or not."""
        if permission_id not in self._state.sessions:
            session = await self._store.get(Session, permission_id)
            if session is None:
                raise StoreError(f"the journal has no session {permission_id.hex()}", session=permission_id)
            await self._load_session(session)
        return self._session(permission_id)

    async def _load_slot(self, slot: Slot, variants: dict[UserOpHash, Operation]) -> None:
        rows = [await self._store.get(Action, action_id) for action_id in slot.action_ids]
        actions = tuple(row for row in rows if row is not None)
        session = await self._load_by_id(slot.permission_id)
        lane = self._state.lanes.get(slot.permission_id) or self.make_lane(session, Usage(), slot.sequence)
        try_mode = next(iter(variants.values())).try_mode
        live = LiveSlot(slot, actions, lane.codec.call_data(actions, try_mode), dict(variants))
        live.settled = bool(actions) and actions[0].state != ACCEPTED
        lane.usage_known = False
        lane.open_slot(live)
        self._state.index(live)
        operation = live.included()
        if operation is not None and not live.settled:
            self._state.unsettled.append((operation.block_number, live))

    async def _load_waiting(self) -> None:
        """Actions that are accepted and in no slot go back to their lanes."""
        held = {action.id for live in self._state.slots_by_operation.values() for action in live.actions}
        row = await self._store.get(Meta, TOLD_BELOW)
        self._told_below = int.from_bytes(row.value, "big") if row is not None else 0
        after = self._told_below - 1
        while page := await self._store.select(Action, after=after, limit=PAGE):
            after = page[-1].id
            for action in page:
                if action.state == ACCEPTED and action.id not in held:
                    session = await self._load_by_id(action.permission_id)
                    lane = self._state.lanes.get(session.permission_id) or self.make_lane(session, Usage(), 0)
                    lane.usage_known = False
                    lane.ready.append(action)
                    self._state.accepted += 1

    async def resume(self) -> None:
        """After all blocks up to the head are read: take the chain's figures, sign what was only planned, go on."""
        lanes = list(self._state.lanes.values())
        await self._read_again(lanes)
        for lane in lanes:
            if RESTORED in self._state.pauses:
                continue  # Whatever waits may have been signed, and more, after the copy was made.
            if lane.stopped and lane.ready:
                why = "the session ended before it was signed"
                await self._dispatch.refuse(lane, tuple(lane.ready), lane.stopped, why)
            unsigned = [
                (lane, live, latest)
                for live in lane.slots.values()
                if live.slot.state == LIVE and (latest := live.latest()).state == PLANNED
            ]
            await self._dispatch.release(unsigned)
            self._dispatch.schedule(lane)

    async def lane_of(self, session: Session) -> Lane:
        """The lane of a session, built from the chain's figures when it is first needed."""
        lane = self._state.lanes.get(session.permission_id)
        if lane is not None:
            return lane
        head = self._state.head
        usage = await self.chain_usage(session, head)
        sequence = await self.chain_sequence(session, head)
        # Read again after the awaits: the session may have ended meanwhile.
        session = self._session(session.permission_id)
        return self._state.lanes.get(session.permission_id) or self.make_lane(session, usage, sequence)

    async def _refresh(self, lane: Lane) -> None:
        if lane.session.state == PROPOSED:
            return
        head = self._state.head
        lane.usage = await self.chain_usage(lane.session, head)
        lane.chain_sequence = NonceSequence(await self.chain_sequence(lane.session, head))
        lane.start_at(lane.chain_sequence)
        lane.usage_known = True

    def _scope(self, session: Session) -> Scope:
        return Scope.unpack(session.scope, self._state.signatures(session.game))

    def _session(self, permission_id: PermissionId) -> Session:
        return self._state.sessions[permission_id]
