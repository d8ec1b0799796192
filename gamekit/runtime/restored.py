"""Brings a restored journal up to date with the chain before anything is signed, and answers older retries.

::

    restored ──head read: T──▶ blocks since the copy are read ──finalized time past T + longest deadline──▶ reconciled

Until then every signature waits and nothing is accepted. Then each action that waited in the copy is told what the
chain made of it, or that it did not run: none of them is executed. It survives restarts: what was found is written with
the block in which it stands.
"""

import logging
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from gamekit.accounts import stack
from gamekit.core import event as events
from gamekit.core.action import OK, REFUSED, REVERTED, Action, ActionRequest, body_digest
from gamekit.core.event import ActionResult, OperationEvent, RefusedEvent
from gamekit.core.journal import Event, Meta, Row
from gamekit.core.lane import Lane
from gamekit.core.pausing import Pause
from gamekit.core.policy import SLACK_S
from gamekit.core.receipt import Inclusion, inclusions, named, read_outcomes
from gamekit.core.restoring import ENDED, LOST, RESTORED, EndedEpochs, LostCall, Stranger, matched, resolves_at
from gamekit.core.session import Session
from gamekit.core.setup import ChainSetup
from gamekit.core.tracking import CONSUMED, DEAD, EXPIRED, FOREIGN, LIVE, LiveSlot
from gamekit.errors import (
    ActionInvalid,
    ActionLost,
    ChainUnavailable,
    EncodingInvalid,
    GamekitError,
    IdempotencyConflict,
    OutcomeUnknown,
    StoreConflict,
)
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.calldata import decode_execute
from gamekit.eth.entry_point import decode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.user_op_hash import hash_on_chain_form
from gamekit.ports import ChainReader, Store
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.follow import Follower
from gamekit.runtime.intake import Accepted, Answer
from gamekit.runtime.known_blocks import known_hash
from gamekit.runtime.notify import Notify
from gamekit.runtime.observe import BY_ITSELF
from gamekit.runtime.state import State
from gamekit.units import Address, PermissionId, PlayerId, UnixSeconds

log = logging.getLogger(__name__)

DID_NOT_RUN = "the journal was restored, and the chain shows that it did not run: ask again under another key"
UNREADABLE = "it may have run in an operation of the lost part that cannot be read"


class Restored(Follower):
    """What is due after a restore; does nothing at all when there was none."""

    def __init__(
        self, state: State, store: Store, chain: ChainReader, setup: ChainSetup, dispatch: Dispatch, notify: Notify
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._setup = setup
        self._dispatch = dispatch
        self._notify = notify
        self.active = False
        """Whether the chain has not told yet what happened after the copy was made."""
        self.until = UnixSeconds(0)
        """Finalized chain time at which it will have; 0 while no block was read."""
        self._lanes: dict[tuple[Address, int], PermissionId] = {}

    async def at_birth(self, has_sealed: bool, relayers: Iterable[Address]) -> Sequence[Row]:
        """What a new journal begins with: the mark of a restore if there was one before it, which is lost.

        Args:
            has_sealed: whether session keys were sealed before this start.
            relayers: every account that sends for us; one that has sent was given its nonces by another journal.
        """
        counts = [await self._chain.transaction_count(relayer, pending=True) for relayer in relayers]
        return (Meta(RESTORED, LOST),) if has_sealed or any(counts) else ()

    async def recover(self) -> None:
        """Stop signing if this journal was restored; after the sessions are loaded, before blocks are read."""
        ended = await self._store.get(Meta, ENDED)
        self._state.ended_epochs = msgspec.msgpack.decode(ended.value, type=EndedEpochs) if ended else {}
        row = await self._store.get(Meta, RESTORED)
        self.active = row is not None and bool(row.value)
        if self.active:
            what = "is new, and the one before it is lost" if row is not None and row.value == LOST else "was restored"
            text = f"the journal {what}: what was signed before lands or dies first, and is read from the chain"
            self._state.pauses.put(Pause(RESTORED, text, BY_ITSELF, UnixSeconds(0)))
            sessions = await self._store.select(Session)  # those that have ended since the copy, too
            self._lanes = {(each.account, each.key): each.permission_id for each in sessions}
            log.warning(text)

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> Sequence[Row]:
        """Note what stands on our lanes and is unknown."""
        rows: list[Row] = []
        for place, found in enumerate(self._inclusions(receipts)):
            told = found.logs.event
            permission_id = self._lanes.get((told.sender, told.nonce >> 64))
            if permission_id is not None and told.user_op_hash not in self._state.slots_by_operation:
                rows.append(Stranger(told.user_op_hash, permission_id, head.number, place))
        return rows

    async def on_head(self) -> None:
        """Reconcile when finalized time proves that nothing unknown can land any more."""
        if not self.active:
            return
        if not self.until:
            # Deadlines of older configurations too: none is longer than the module's own slack.
            longest = max(SLACK_S, self._state.config.batch.deadline_s)
            self.until = resolves_at(self._state.head.timestamp, longest)
        final = self._state.final
        if final is not None and final.timestamp > self.until:
            await self._reconcile()

    async def recall(self, session: Session, requests: Sequence[ActionRequest]) -> list[Answer]:
        """Answer retries of what was asked of the journal before it was restored: nothing is ever executed for them.

        What was accepted is found in the journal, or among the calls that the chain has made of the lost part. Before
        the chain has told everything the answer is OutcomeUnknown; afterwards what is found nowhere is ActionLost.
        """
        return [await self._recall(session, request) for request in requests]

    async def _recall(self, session: Session, request: ActionRequest) -> Answer:
        try:
            call = self._state.games[session.game].encode(request.function, request.arguments, request.value)
            digest = body_digest(call.target, call.value, call.data, request.not_after, request.group)
        except EncodingInvalid as error:
            return ActionInvalid(str(error), function=request.function)
        rows = await self._store.select(Action, permission_id=session.permission_id, key=request.key)
        if rows:
            if rows[0].digest != digest:
                return IdempotencyConflict(f"key {request.key!r} was used before, with another body", key=request.key)
            return Accepted(request.key, rows[0].id, duplicate=True)
        if self.active:
            text = (
                f"the journal was restored; the chain tells what became of it, by chain time {self.until} at the latest"
            )
            return OutcomeUnknown(text, key=request.key, by=self.until, resolved_by="finalized chain time")
        calls = await self._store.select(LostCall, permission_id=session.permission_id)
        wanted = (call.target, call.value, call.data)
        action = Action(
            self._state.new_action_id(), session.permission_id, request.key, digest, request.function,
            call.target, call.data, call.value, not_after=request.not_after,
        )  # fmt: skip
        for ran in calls:
            if not ran.action_id and (ran.target, ran.value, ran.data) == wanted:
                try:
                    await self._tell(session, [(action, ran)])
                except StoreConflict:
                    # Another retry took this call, or this very key, meanwhile.
                    return await self._recall(session, request)
                return Accepted(request.key, action.id, duplicate=True)
        return ActionLost("it was accepted by a journal that was lost, and the chain never ran it", key=request.key)

    def _inclusions(self, receipts: Sequence[TransactionReceipt]) -> Sequence[Inclusion]:
        return inclusions(receipts, self._setup.entry_points) if self.active else ()

    async def _reconcile(self) -> None:
        """Settle what ran, end what did not, sign again."""
        strangers: dict[PermissionId, list[Stranger]] = {}
        for row in await self._store.select(Stranger):
            if row.is_done:
                continue  # of an earlier restore
            strangers.setdefault(row.permission_id, []).append(row)
        for permission_id in strangers.keys() | self._state.lanes.keys():
            session = self._state.sessions.get(permission_id) or await self._store.get(Session, permission_id)
            if session is None:
                continue
            known = strangers.get(permission_id, [])
            calls, is_readable = await self._calls(session, known)
            done = [replace(each, is_done=True) for each in known]
            await self._reconcile_lane(session, calls, is_readable, done)
        self.active = False
        told = self._notify.event(events.RESUMED, PlayerId(""), events.PauseEvent(RESTORED, "reconciled", BY_ITSELF))
        await self._store.commit((Meta(RESTORED, b""), told))
        self._state.pauses.put(Pause(RESTORED, "", BY_ITSELF, UnixSeconds(0), active=False))
        self._notify.publish((told,))
        for lane in self._state.lanes.values():
            lane.usage_known = False  # What strangers were charged is read before the next operation is planned.
        self._dispatch.on_head()

    async def _calls(self, session: Session, strangers: Sequence[Stranger]) -> tuple[list[LostCall], bool]:
        """The calls of unknown operations in the chain's order, and whether all of them could be read."""
        calls: list[LostCall] = []
        is_readable = True
        # Blocks that an earlier reconciliation has told are read again where the copy is of a moment soon after it.
        told = {each.user_op_hash for each in await self._store.select(LostCall, permission_id=session.permission_id)}
        for stranger in sorted(strangers, key=lambda each: (each.block_number, each.place)):
            if stranger.user_op_hash in told:
                continue
            found = await self._find(stranger)
            if found is None:
                continue  # Taken back by a reorg; where it stands now it was noted again, under the same name.
            try:
                calls += await self._calls_of(session, found)
            except EncodingInvalid as error:
                log.warning("operation %s cannot be read: %s", stranger.user_op_hash.hex(), error)
                is_readable = False
        return calls, is_readable

    async def _find(self, stranger: Stranger) -> Inclusion | None:
        number = stranger.block_number
        head, known = await self._chain.block(number), await known_hash(self._store, number)
        if head is None or (known is not None and head.hash != known):
            # Whatever another fork's block says: it would make what ran look as if a reorg had taken it back.
            raise ChainUnavailable(f"the node does not have block {number} as it was read")
        for found in self._inclusions(await self._chain.receipts(head)):
            if found.logs.event.user_op_hash == stranger.user_op_hash:
                return found
        return None

    async def _calls_of(self, session: Session, found: Inclusion) -> list[LostCall]:
        told, receipt = found.logs.event, found.receipt
        data = await self._chain.transaction_data(receipt.transaction_hash)
        version = EntryPointVersion(session.entry_point_version)
        for op in decode_handle_ops(data).operations:
            if hash_on_chain_form(op, version, found.entry_point, session.chain_id) == told.user_op_hash:
                break
        else:
            raise EncodingInvalid(f"transaction {receipt.transaction_hash.hex()} does not carry it in the open")
        known = read_outcomes(stack(session.stack), session.account, op.call_data, found)
        outcomes = named(op.call_data, known, self._state.games[session.game])
        return [
            LostCall(
                told.user_op_hash, place, session.permission_id, call.target, call.data, call.value,
                outcomes[place].succeeded, outcomes[place].error, outcomes[place].inferred,
                receipt.transaction_hash, receipt.block_number, receipt.block_hash,
            )
            for place, call in enumerate(decode_execute(op.call_data).calls)
        ]  # fmt: skip

    async def _reconcile_lane(
        self, session: Session, calls: list[LostCall], is_readable: bool, done: Sequence[Row]
    ) -> None:
        """Close every slot that is not included: each of its variants has landed, or is dead."""
        lane = self._state.lanes.get(session.permission_id)
        slots = [live for live in lane.slots.values() if live.slot.state == LIVE] if lane is not None else []
        in_slots = [action for live in slots for action in live.actions]
        waiting = sorted((*in_slots, *(lane.ready if lane is not None else ())), key=lambda action: action.id)
        found = matched(waiting, calls)
        closed: list[Row] = list(done)
        for live in slots:
            strange = bool(live.foreign_at)
            closed.append(replace(live.slot, state=CONSUMED if strange else EXPIRED))
            closed += [operation.moved(FOREIGN if strange else DEAD) for operation in live.variants.values()]
        told = {call.user_op_hash + bytes([call.place]) for call in found.values()}
        closed += [call for call in calls if call.user_op_hash + bytes([call.place]) not in told]
        ran = [(action, found[action.id]) for action in waiting if action.id in found]
        # What did not run never will: a cancelled action, or one of a session that was ended, may have been told
        # `refused` by the lost part, of which the chain knows nothing. Who still wants it asks again.
        over = [action for action in waiting if action.id not in found]
        await self._tell(session, ran, closed, over, is_readable=is_readable)
        if lane is not None:
            self._empty(lane, slots)

    def _empty(self, lane: Lane, slots: Sequence[LiveSlot]) -> None:
        """Forget what waited; after the commit that says what became of it."""
        for live in slots:
            self._state.unindex(live)
            del lane.slots[live.slot.sequence]
        self._state.accepted -= len(lane.ready)
        lane.ready.clear()
        lane.usage_known = False

    async def _tell(
        self,
        session: Session,
        ran: Sequence[tuple[Action, LostCall]],
        beside: Sequence[Row] = (),
        over: Sequence[Action] = (),
        *,
        is_readable: bool = True,
    ) -> None:
        """Write what actions became, and tell it as for any other: settled, and final at once."""
        rows: list[Row] = list(beside)
        settled: list[Action] = []
        told: list[Event] = []
        for action, call in ran:
            state = OK if call.succeeded else REVERTED
            settled.append(replace(action, state=state, reason=call.error, user_op_hash=call.user_op_hash))
            rows.append(replace(call, action_id=action.id))
            result = ActionResult(action.id, action.key, action.function, call.succeeded, call.error, call.inferred)
            body = OperationEvent(
                session.permission_id, session.game, call.user_op_hash, call.transaction_hash,
                call.block_number, call.block_hash, (result,),
            )  # fmt: skip
            told += [self._notify.event(kind, session.player, body) for kind in (events.SETTLED, events.FINAL)]
        if over:
            code, text = (ActionLost.code, DID_NOT_RUN) if is_readable else (OutcomeUnknown.code, UNREADABLE)
            settled += [replace(action, state=REFUSED, reason=code) for action in over]
            results = tuple(ActionResult(each.id, each.key, each.function, ok=False, error=code) for each in over)
            refused = RefusedEvent(session.permission_id, session.game, code, text, results)
            told.append(self._notify.event(events.REFUSED, session.player, refused))
        if rows or settled:
            await self._store.commit((*rows, *settled, *told))
            self._notify.publish(told)
            self._state.wake(settled)


def unknown_session(permission_id: PermissionId) -> GamekitError:
    """What is told of a session that the restored journal does not know: its key went with the lost part."""
    text = "this session was opened after the copy that the journal was restored from: only the chain knows what it did"
    return OutcomeUnknown(text, session=permission_id)
