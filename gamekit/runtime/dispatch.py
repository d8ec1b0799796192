"""Turns what waits on the lanes into signed operations: batch, plan, journal, sign, journal, hand on.

An operation is durable before it is signed, and its signature is durable before anything is sent. Signing happens in
one synchronous step after the lane was looked at, so a revocation that is written stops it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec.structs import replace

from gamekit.core import batch as batching
from gamekit.core import prepare
from gamekit.core.action import REFUSED, Action
from gamekit.core.event import REFUSED as REFUSED_EVENT
from gamekit.core.event import ActionResult, RefusedEvent
from gamekit.core.fees import Fees, bid
from gamekit.core.lane import Lane
from gamekit.core.policy import CALLS_MAX_LIMIT, Denied
from gamekit.core.restoring import RESTORED
from gamekit.core.sponsoring import SPONSOR_POLICY
from gamekit.core.tracking import DEAD, EXPIRED, SIGNED, LiveSlot, Operation, Slot
from gamekit.core.usage import admissible_calls
from gamekit.errors import SigningFailed, SponsorshipExhausted, StoreError
from gamekit.ports import Signer, Store
from gamekit.runtime.bundle import Bundler
from gamekit.runtime.notify import Notify
from gamekit.runtime.poison import Poison
from gamekit.runtime.state import State
from gamekit.units import Hash32, UnixSeconds

Planned: TypeAlias = tuple[Lane, LiveSlot, Operation]

LANES_AT_ONCE = 8
"""Lanes whose operations are planned, journaled and signed together."""


class Dispatch:
    """Plans and signs operations."""

    def __init__(
        self,
        state: State,
        store: Store,
        signer: Signer,
        bundler: Bundler,
        notify: Notify,
        poison: Poison | None = None,
    ) -> None:
        self._state = state
        self._store = store
        self._signer = signer
        self._bundler = bundler
        self._notify = notify
        self._poison = poison
        self._due: list[Lane] = []
        self._held: dict[bytes, Lane] = {}
        """Lanes with work that nothing may be signed for now: rate, fees, a pause. Looked at again with each head."""
        self._wake = asyncio.Event()

    def schedule(self, lane: Lane) -> None:
        """Look at a lane soon: something waits on it and nothing is in flight, or the lane has stopped."""
        if (lane.may_open or (lane.stopped and lane.ready)) and not lane.scheduled:
            lane.scheduled = True
            self._due.append(lane)
            self._wake.set()

    def on_head(self) -> None:
        """A new head: what was held may go now."""
        held, self._held = self._held, {}
        for lane in held.values():
            self.schedule(lane)

    async def run(self) -> None:
        """Sign for the lanes that are due, until cancelled.

        A few lanes at a time, each few in a task of their own: while some wait for the disk, others are planned. Two
        tasks may look at one lane; its slot is opened in the step that finds none in flight, so only one of them does.
        """
        age_s = self._state.config.batch.batch_age_ms_max / 1000
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                if not any(lane.depth >= lane.scope.calls_max for lane in self._due):
                    await asyncio.sleep(age_s)
                self._wake.clear()
                due, self._due = self._due, []
                for place in range(0, len(due), LANES_AT_ONCE):
                    group.create_task(self._sign_due(due[place : place + LANES_AT_ONCE]))

    async def _sign_due(self, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            lane.scheduled = False
        await self.sign(lanes)

    async def sign(self, lanes: Iterable[Lane]) -> None:
        """Open a slot on each lane that may have one; the operations go to the bundler."""
        planned = []
        for lane in lanes:
            if RESTORED in self._state.pauses:
                self._held[lane.session.permission_id] = lane
            elif lane.stopped and lane.ready:
                await self.refuse(lane, tuple(lane.ready), lane.stopped, "the session ended before it was signed")
            elif lane.may_open and (plan := await self._plan(lane)) is not None:
                planned.append(plan)
        await self.release(await self._looked_at(planned))

    async def release(self, planned: Sequence[Planned]) -> None:
        """Journal planned operations, sign them, journal the signatures, and hand them to the bundler."""
        if not planned:
            return
        commits = [self._store.commit((live.slot, operation)) for _, live, operation in planned]
        await asyncio.gather(*commits)
        # Looked at again, in the step that signs: a revocation or a pause may have been written meanwhile.
        signed = self._sign([each for each in planned if not self._is_barred(each[0], each[1])])
        released = {operation.user_op_hash for _, operation in signed}
        dropped = [each for each in planned if each[2].user_op_hash not in released]
        await asyncio.gather(*[self._store.commit((operation,)) for _, operation in signed])
        for live, operation in signed:
            # Only now: what is not marked signed, nobody sends.
            live.variants[operation.user_op_hash] = operation
            self._bundler.add(operation)
        for lane, live, operation in dropped:
            await self._drop(lane, live, operation)
            if lane.stopped == SigningFailed.code:
                await self._notify.alarm("key_does_not_open", f"session {lane.session.permission_id.hex()} cannot sign")

    async def refuse(self, lane: Lane, actions: Sequence[Action], code: str, message: str) -> None:
        """Tell terminally that actions which are in no slot will never be executed.

        Not while a restored journal is behind the chain: what waits in it may have run already, so it goes on waiting.
        """
        if RESTORED in self._state.pauses:
            return
        gone = {action.id for action in actions}
        kept = [action for action in lane.ready if action.id not in gone]
        self._state.accepted -= len(lane.ready) - len(kept)
        lane.ready.clear()
        lane.ready.extend(kept)
        rows = [replace(action, state=REFUSED, reason=code) for action in actions]
        results = tuple(ActionResult(a.id, a.key, a.function, ok=False, error=code) for a in actions)
        session = lane.session
        body = RefusedEvent(session.permission_id, session.game, code, message, results)
        event = self._notify.event(REFUSED_EVENT, session.player, body)
        try:
            await self._notify.write(rows, event)
        except StoreError:
            # Not refused, then: they wait again.
            batching.put_back(lane.ready, tuple(actions))
            self._state.accepted += len(actions)
            raise
        self._state.wake(rows)

    async def refuse_stopped(self, lane: Lane, actions: Sequence[Action], message: str) -> None:
        """If the lane has stopped, refuse those of these actions that still wait: who stopped it may have done it."""
        waiting = {action.id for action in lane.ready}
        left = [action for action in actions if action.id in waiting]
        if lane.stopped and left:
            await self.refuse(lane, left, lane.stopped, message)

    async def _looked_at(self, planned: Sequence[Planned]) -> list[Planned]:
        """Ask about the operations of lanes that are watched; those that would fail as a whole are halved."""
        poison = self._poison
        if poison is None or not any(poison.is_due(lane) for lane, _, _ in planned):
            return list(planned)
        return [each for each in await asyncio.gather(*[self._halved(poison, *each) for each in planned]) if each]

    async def _halved(self, poison: Poison, lane: Lane, live: LiveSlot, operation: Operation) -> Planned | None:
        found: Planned | None = (lane, live, operation)
        while found is not None and poison.is_due(lane):
            _, live, _ = found
            is_harmless = await poison.is_harmless(*found)
            if not lane.holds(live):  # Somebody else used its nonce up meanwhile, and its actions wait again.
                found = None
                break
            if is_harmless:
                break
            # Nothing of it is on disk: it is as if it had never been planned.
            self._state.unindex(live)
            lane.close_slot(live.slot.sequence)
            batching.put_back(lane.ready, live.actions)
            self._state.accepted += len(live.actions)
            found = None if lane.stopped else await self._plan(lane, len(live.actions) // 2)
        if found is None:
            self.schedule(lane)  # It stopped meanwhile, and what waits on it is refused.
        return found

    async def _plan(self, lane: Lane, most: int = CALLS_MAX_LIMIT) -> Planned | None:
        """Take the lane's next batch and plan its operation; hold the lane, or refuse, where that cannot be.

        Args:
            lane: with nothing in flight.
            most: calls that it may have at most.
        """
        state = self._state
        limits = state.config.batch
        late = batching.stale(lane.ready, state.head.timestamp)
        if late:
            state.accepted -= len(late)
            await self.refuse(lane, late, "action_expired", f"not_after passed: chain time is {state.head.timestamp}")
            if not lane.may_open:  # Another task has opened a slot meanwhile, or the lane stopped.
                self.schedule(lane)
                return None
        head = state.head
        stop = state.stops.find(lane.session, lane.scope.gas.paymaster, head.timestamp)
        if stop is not None:
            error = stop.error()
            await self.refuse(lane, tuple(lane.ready), error.code, str(error))
            return None
        times = prepare.times(head, lane.scope, limits)
        if times is None:
            lane.stopped = "session_expired"
            await self.refuse(lane, tuple(lane.ready), "session_expired", "the session ended before it was signed")
            return None
        fees = bid(head.base_fee_per_gas, state.tip, state.config.fees)
        if fees is None or state.halted or state.pauses.find(lane.session.game) is not None:
            self._held[lane.session.permission_id] = lane
            return None
        calls_max = min(limits.calls_max, lane.scope.calls_max)
        admitted = min(admissible_calls(lane.scope, lane.usage, times[0]), self._unpaused(lane), most)
        taken = batching.take(lane.ready, min(calls_max, admitted), lane.poisons)
        if taken is None:
            if lane.ready:
                await self._hold(lane, calls_max)
            return None
        state.accepted -= len(taken.actions)
        return await self._open(lane, taken, times, fees)

    def _unpaused(self, lane: Lane) -> int:
        """How many of the first waiting actions no pause stops; those behind a paused one keep their order and wait."""
        pauses, game = self._state.pauses, lane.session.game
        if not pauses:
            return len(lane.ready)
        return next((at for at, each in enumerate(lane.ready) if pauses.find(game, each.function)), len(lane.ready))

    async def _hold(self, lane: Lane, calls_max: int) -> None:
        """Nothing fits now: a group that never can is refused, everything else waits for the next head."""
        first = lane.ready[0]
        group = [action for action in lane.ready if first.group and action.group == first.group]
        if len(group) > calls_max:
            text = f"a group of {len(group)} actions does not fit into an operation of {calls_max} calls"
            await self.refuse(lane, group, "scope_denied", text)
            self.schedule(lane)
            return
        self._held[lane.session.permission_id] = lane

    async def _open(
        self, lane: Lane, taken: batching.Batch, times: tuple[UnixSeconds, UnixSeconds], fees: Fees
    ) -> Planned | None:
        call_data = lane.codec.call_data(taken.actions, taken.try_mode)
        operation = lane.codec.plan(taken.actions, call_data, taken.try_mode, lane.sequence, times, fees)
        charged = lane.charge(taken.actions, operation)
        if isinstance(charged, Denied):
            batching.put_back(lane.ready, taken.actions)
            self._state.accepted += len(taken.actions)
            if len(taken.actions) > 1 and taken.try_mode:
                half = batching.take(lane.ready, len(taken.actions) // 2)
                if half is not None:
                    self._state.accepted -= len(half.actions)
                    return await self._open(lane, half, times, fees)
            if self._too_dear(lane, operation):
                self._held[lane.session.permission_id] = lane
                return None
            code = SponsorshipExhausted.code if charged.policy == SPONSOR_POLICY else "scope_denied"
            await self.refuse(lane, taken.actions, code, f"{charged.policy}: {charged.reason}")
            self.schedule(lane)
            return None
        session = lane.session
        slot = Slot(
            session.account,
            session.nonce_key,
            lane.sequence,
            session.entry_point,
            session.permission_id,
            operation.action_ids,
        )
        live = LiveSlot(slot, taken.actions, call_data, {operation.user_op_hash: operation})
        lane.open_slot(live)
        self._state.index(live)
        return lane, live, operation

    def _too_dear(self, lane: Lane, operation: Operation) -> bool:
        """Whether only the present price of gas puts an operation over its limit: it waits for a cheaper block."""
        most = lane.scope.gas.per_operation_wei_max
        gas = operation.max_cost // operation.max_fee_per_gas
        return operation.max_cost > most >= gas * self._state.config.fees.priority_fee_min_wei

    def _is_barred(self, lane: Lane, live: LiveSlot) -> bool:
        """Whether these actions must not be signed now: given up, the lane stopped, a pause, or their `not_after`."""
        pauses, game = self._state.pauses, lane.session.game
        if not lane.holds(live) or lane.stopped or batching.any_stale(live.actions, self._state.head.timestamp):
            return True
        return bool(pauses) and any(pauses.find(game, action.function) for action in live.actions)

    def _sign(self, planned: Sequence[Planned]) -> list[tuple[LiveSlot, Operation]]:
        """Sign in one step: no await between the look at the lane and the signature."""
        sessions = [lane.session for lane, _, _ in planned]
        digests = [lane.codec.digest(operation) for lane, _, operation in planned]
        try:
            signatures = self._signer.sign_many(sessions, digests)
        except SigningFailed:
            signatures = [self._sign_alone(lane, digest) for (lane, _, _), digest in zip(planned, digests, strict=True)]
            if all(signatures):  # no key is to blame, so the machine is
                raise
        return [
            (live, operation.moved(SIGNED, signature=signature))
            for (_, live, operation), signature in zip(planned, signatures, strict=True)
            if signature
        ]

    def _sign_alone(self, lane: Lane, digest: Hash32) -> bytes:
        """Sign for one lane, and stop it if its key does not open: a broken row must not stop the others."""
        try:
            return self._signer.sign(lane.session, digest)
        except SigningFailed as error:
            lane.stopped = error.code
            return b""

    async def _drop(self, lane: Lane, live: LiveSlot, operation: Operation) -> None:
        """Nothing of this variant was released: without others, its actions are free, and wait again or are refused."""
        if lane.slots.get(live.slot.sequence) is not live:
            return  # It was given up while the plan was written, and its actions with it.
        others = {key: op for key, op in live.variants.items() if key != operation.user_op_hash}
        self._state.slots_by_operation.pop(operation.user_op_hash, None)
        live.variants = others
        if others:
            await self._store.commit((operation.moved(DEAD),))
            return
        self._state.slots_by_nonce.pop((operation.sender, operation.nonce), None)
        lane.close_slot(live.slot.sequence)
        # In the step that frees the lane: what was accepted later must not overtake them.
        batching.put_back(lane.ready, live.actions)
        self._state.accepted += len(live.actions)
        self._held[lane.session.permission_id] = lane
        await self._store.commit((operation.moved(DEAD), replace(live.slot, state=EXPIRED)))
        await self.refuse_stopped(lane, live.actions, "the session stopped before the action was signed")
