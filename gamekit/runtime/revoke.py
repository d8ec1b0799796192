"""Ends sessions: at once here, then on chain, signed by the session key itself; and notices who else ended them.

Order matters: the memory first, the row in the same step, so that no signature is made after the commit. What was
signed before dies by its deadline. The chain's own refusal follows, by a transaction that any relayer may send.
"""

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from gamekit.accounts.stack import IS_MODULE_INSTALLED, VALIDATOR_MODULE
from gamekit.core import event as events
from gamekit.core.event import SessionEvent
from gamekit.core.histogram import Histogram
from gamekit.core.journal import Event, Row
from gamekit.core.relay import REVOKE as REVOKE_TRANSACTION
from gamekit.core.revocation import Revocation, revocation
from gamekit.core.session import ENDED, EXPIRED, GRANTING, LAPSED, OPEN, PROPOSED, REVOKED, REVOKING, Session
from gamekit.errors import CallReverted, ChainError, SessionNotFound, StoreError, StoreUnavailable
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.session_validator_abi import (
    REVOKE_SESSION_WITH_SIGNATURE,
    SESSION_OF,
    AllSessionsRevoked,
    SessionRevoked,
    SessionState,
    decode_session,
    decode_session_log,
)
from gamekit.eth.session_validator_grant import revoke_typed_data
from gamekit.eth.typed_data import typed_data_digest
from gamekit.ports import ChainReader, Clock, Signer, Store
from gamekit.runtime.answer import read_answer
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import Notify
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.state import ENDED_SESSIONS, State
from gamekit.units import Address, Gas, PermissionId, UnixSeconds

log = logging.getLogger(__name__)

MEMORY = "memory"
"""Nothing more is signed."""
DURABLE = "durable"
"""Nor after a restart: the caller is told now."""
QUEUE_DEAD = "queue_dead"
"""What was signed before has landed or can no longer."""
ON_CHAIN = "included"
"""The account refuses the key."""
FINAL_TIER = "final"
"""For ever."""
TIERS = (MEMORY, DURABLE, QUEUE_DEAD, ON_CHAIN, FINAL_TIER)


class Revoke(Follower):
    """Revokes sessions and follows revocations, our own and others'."""

    def __init__(
        self,
        state: State,
        store: Store,
        chain: ChainReader,
        signer: Signer,
        module: Address,
        relayers: Relayers,
        dispatch: Dispatch,
        notify: Notify,
        clock: Clock,
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._signer = signer
        self._module = module
        self._relayers = relayers
        self._dispatch = dispatch
        self._notify = notify
        self._clock = clock
        self._warned: set[PermissionId] = set()
        self._suspected: set[PermissionId] = set()
        """Sessions that their account no longer knows, by one head's answer."""
        self._asked_at: dict[PermissionId, tuple[float, UnixSeconds]] = {}
        """Revocations on their way: monotonic seconds of the call, and chain time by which what was signed is dead."""
        self.times = {tier: Histogram() for tier in TIERS}
        """How long revocations took to take effect, by tier, since start-up."""

    async def revoke(self, permission_id: PermissionId, reason: str = "revoked") -> Revocation:
        """End a session; the answer says what may still land, and until when.

        Raises: SessionNotFound. Revoking again is harmless.
        """
        session = self._state.sessions.get(permission_id) or await self._store.get(Session, permission_id)
        if session is None:
            raise SessionNotFound(f"no session {permission_id.hex()}", session=permission_id)
        asked_at = self._clock.monotonic()
        lane = self._state.lanes.get(permission_id)
        now = self._state.head.timestamp
        answer = revocation(lane, now) if lane is not None else Revocation(permission_id, now, 0, (), now)
        if session.state == PROPOSED:
            # The chain knows nothing of it: without the grant that only we would send, there is nothing to revoke.
            await self._end(session.moved(LAPSED, ended_reason=reason), "session_revoked")
        elif session.state in (GRANTING, OPEN):
            self._asked_at.setdefault(permission_id, (asked_at, answer.dead_by))
            revoking = self._with_revocation(session.moved(REVOKING, ended_reason=reason))
            await self._end(revoking, "session_revoked")
            try:
                await self._send(revoking)
            except (ChainError, StoreUnavailable) as error:
                # It is durable, and only its transaction is not: no refusal, for the next head sends it.
                log.warning("revocation of %s waits: %s", permission_id.hex(), error)
        else:
            await self._store.commit(())  # Another call may be writing it.
            if self._state.sessions.get(permission_id, session).state not in (REVOKING, *ENDED):
                raise StoreUnavailable("the revocation was not written", session=permission_id)
        return answer

    def _with_revocation(self, session: Session) -> Session:
        """Give the session with its key's own signed end, which anybody may submit."""
        typed_data = revoke_typed_data(session.chain_id, session.validator, session.account, session.permission_id)
        signature = self._signer.sign(session, typed_data_digest(typed_data))
        data = REVOKE_SESSION_WITH_SIGNATURE.encode_call(session.account, session.scope, signature)
        return session.moved(session.state, revoke_data=data)

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> Sequence[Row]:
        """Notice revocations in a canonical block, whoever sent them."""
        rows: list[Row] = []
        for receipt in receipts:
            for entry in receipt.logs:
                for session in self._revoked_by(entry):
                    rows += self._revoked(session, head)
        return rows

    def on_orphaned(self, head: Head) -> Sequence[Row]:
        """A revocation that is in no canonical block: it is sent again, whoever sent it first."""
        rows: list[Row] = []
        for session in list(self._state.sessions.values()):
            if session.state == REVOKED and session.revoked_at_block == head.number:
                back = session.moved(REVOKING, revoked_at_block=0, is_final=False)
                back = back if back.revoke_data else self._with_revocation(back)
                self._state.put(back)
                rows += (back, self._event(events.SESSION_REORGED, back))
        return rows

    def on_final(self, final: Head) -> Sequence[Row]:
        """Tell that the chain refuses the key for ever: only now can no reorg bring it back."""
        rows: list[Row] = []
        for session in list(self._state.sessions.values()):
            if session.state == REVOKED and not session.is_final and 0 < session.revoked_at_block <= final.number:
                self._took(session.permission_id, FINAL_TIER)
                self._asked_at.pop(session.permission_id, None)
                done = session.moved(REVOKED, is_final=True)
                self._state.put(done)
                rows += (done, self._event(events.SESSION_REVOKED, done))
        self._forget(final)
        return rows

    def _forget(self, final: Head) -> None:
        """Let go of sessions that have ended for good: their lanes at once, their rows when there are many.

        The journal has them: it answers who still asks, and a reorg below the final block loads them again.
        """
        state = self._state
        for lane in list(state.lanes.values()):
            if _is_over(lane.session, final) and not (lane.ready or lane.slots or lane.accepting):
                state.drop_lane(lane)
        over = [each.permission_id for each in state.sessions.values() if _is_over(each, final)]
        for permission_id in over[:-ENDED_SESSIONS]:
            if permission_id not in state.lanes:
                del state.sessions[permission_id]
                self._warned.discard(permission_id)
                self._suspected.discard(permission_id)
                self._asked_at.pop(permission_id, None)

    async def on_head(self) -> None:
        """Send revocations that are on no way to the chain; end sessions whose time has passed.

        One that the node gives no answer about holds up none of the others.
        """
        carried: set[bytes] | None = None
        await self._look_at_doubted()
        self._look_at_dead()
        now = self._state.head.timestamp
        for session in list(self._state.sessions.values()):
            if session.state == REVOKING:
                carried = self._relayers.carried() if carried is None else carried
                if session.permission_id not in carried:
                    try:
                        await self._send(session)
                    except ChainError as error:
                        log.warning("revocation of %s waits: %s", session.permission_id.hex(), error)
            elif session.state == OPEN and now > session.valid_until:
                self._warned.discard(session.permission_id)
                await self._end(session.moved(EXPIRED, ended_reason="its time passed"), "session_expired")
            elif session.state == OPEN and now > session.valid_until - self._state.config.sessions.expiring_s:
                await self._warn(session)

    def stop(self, session: Session, code: str) -> None:
        """Stop a session's lane in memory: nothing is signed from this step on."""
        self._state.put(session)
        lane = self._state.lanes.get(session.permission_id)
        if lane is not None:
            lane.stopped = code

    def _took(self, permission_id: PermissionId, tier: str) -> None:
        """Count how long a revocation took to reach a tier."""
        if permission_id in self._asked_at:
            self.times[tier].add(self._clock.monotonic() - self._asked_at[permission_id][0])

    def _look_at_dead(self) -> None:
        """Notice revocations after which nothing that was signed before can land any more."""
        for permission_id, (asked_at, dead_by) in list(self._asked_at.items()):
            lane = self._state.lanes.get(permission_id)
            if dead_by and (lane is None or not lane.in_flight or self._state.head.timestamp > dead_by):
                self._took(permission_id, QUEUE_DEAD)
                self._asked_at[permission_id] = asked_at, UnixSeconds(0)

    async def _look_at_doubted(self) -> None:
        """End sessions that their account no longer knows, though no block said so: a module can be torn out."""
        doubted, self._state.doubted = self._state.doubted, set()
        for permission_id in doubted:
            session = self._state.sessions.get(permission_id)
            if session is None or session.state != OPEN:
                continue
            try:
                reason = await self._broken(session)
            except ChainError as error:
                log.warning("doubted session %s: %s", permission_id.hex(), error)
                self._state.doubted.add(permission_id)  # Asked about again with the next head.
                continue
            session = self._state.sessions[permission_id]
            if not reason:
                self._suspected.discard(permission_id)
            elif permission_id not in self._suspected:
                # One answer ends no session: the next head must say so, too.
                self._suspected.add(permission_id)
                self._state.doubted.add(permission_id)
            elif session.state == OPEN:
                self._suspected.discard(permission_id)
                # As if the head had said so: a reorg that gives the module back finds the session ended all the same.
                rows = self._revoked(replace(session, ended_reason=reason), self._state.head)
                await self._store.commit(rows)
                self._notify.publish([row for row in rows if isinstance(row, Event)])
                await self._notify.alarm("session_broken", f"session {permission_id.hex()}: {reason}")
                lane = self._state.lanes.get(permission_id)
                if lane is not None and lane.ready:
                    await self._dispatch.refuse(lane, tuple(lane.ready), "session_revoked", reason)

    async def _broken(self, session: Session) -> str:
        """Why the account would take no operation of the session any more; empty if it may."""
        head = self._state.head
        asked = SESSION_OF.encode_call(session.account, session.permission_id)
        record = read_answer(decode_session, await self._chain.call(session.validator, asked, block=head.hash))
        if record.state is not SessionState.LIVE:
            return f"the module holds the session as {record.state.name.lower()}"
        question = IS_MODULE_INSTALLED.encode_call(VALIDATOR_MODULE, session.validator, b"")
        try:
            answer = await self._chain.call(session.account, question, block=head.hash)
        except CallReverted:
            return ""
        has_none = len(answer) == 32 and not any(answer)
        return "the account no longer has the session module" if has_none else ""

    async def _end(self, session: Session, code: str) -> None:
        before = self._state.sessions[session.permission_id]
        lane = self._state.lanes.get(session.permission_id)
        stopped = lane.stopped if lane is not None else ""
        self.stop(session, code)
        self._took(session.permission_id, MEMORY)
        kind = events.SESSION_EXPIRED if session.state == EXPIRED else events.SESSION_REVOKED
        told = self._event(kind, session)
        try:
            await self._notify.write((session,), told)
        except StoreError:
            # Not on disk, so not ended: asked again, it is written.
            self._asked_at.pop(session.permission_id, None)
            if self._state.sessions.get(session.permission_id) is session:  # Else the chain has ended it meanwhile.
                self._state.put(before)
                if lane is not None:
                    lane.stopped = stopped
                    self._dispatch.schedule(lane)
            raise
        self._took(session.permission_id, DURABLE)
        lane = self._state.lanes.get(session.permission_id)
        if lane is None or not lane.ready:
            return
        try:
            await self._dispatch.refuse(lane, tuple(lane.ready), code, "the session ended before it was signed")
        except StoreUnavailable as error:
            # The session has ended, whoever asks. What waits is told by dispatch, or by the next start.
            log.warning("refusals of %s wait: %s", session.permission_id.hex(), error)
            self._dispatch.schedule(lane)

    async def _warn(self, session: Session) -> None:
        """Tell the player, once since start-up, that the session ends soon."""
        if session.permission_id not in self._warned:
            self._warned.add(session.permission_id)
            told = self._event(events.SESSION_EXPIRING, session)
            await self._store.commit((told,))
            self._notify.publish((told,))

    async def _send(self, session: Session) -> None:
        if not session.revoke_data:
            return
        sender = self._relayers.any_address()
        try:
            gas = await self._chain.estimate_gas(session.validator, session.revoke_data, sender=sender)
        except CallReverted as error:
            # Revoked already, and the block that says so is not read yet; or never granted.
            log.info("revocation of %s: %s", session.permission_id.hex(), error)
            final, found = self._state.final, self._state.sessions.get(session.permission_id)
            if found is None or found.state != REVOKING or found.granted_at_block:
                return
            if final is not None and final.timestamp > found.grant_deadline:
                never = found.moved(LAPSED, ended_reason=f"{found.ended_reason}; its grant never landed")
                self._state.put(never)
                await self._store.commit((never,))
            return
        found = self._state.sessions.get(session.permission_id)
        if found is None or found.state != REVOKING:
            return  # The chain has it, and was read while it was asked.
        limit = Gas(gas * 5 // 4)
        await self._relayers.relay(
            REVOKE_TRANSACTION, session.validator, session.revoke_data, limit, session.permission_id
        )

    def _revoked_by(self, entry: Log) -> list[Session]:
        """The sessions that a log of their own module ends."""
        if entry.address != self._module:
            return []
        told = decode_session_log(entry, self._module)
        if isinstance(told, SessionRevoked):
            session = self._state.sessions.get(told.permission_id)
            return [] if session is None else [session]
        if isinstance(told, AllSessionsRevoked):
            of_account = [each for each in self._state.sessions.values() if each.account == told.account]
            # A grant that was proposed and not opened yet names the old epoch: it can never be opened either.
            return [each for each in of_account if each.epoch < told.epoch]
        return []

    def _revoked(self, session: Session, head: Head) -> list[Row]:
        if session.state == REVOKED:
            return []
        reason = session.ended_reason or "revoked on chain by the owner or the revoker"
        revoked = session.moved(REVOKED, revoked_at_block=head.number, ended_reason=reason)
        self.stop(revoked, "session_revoked")
        self._took(session.permission_id, ON_CHAIN)
        if session.state == REVOKING:
            return [revoked]
        # Somebody else's doing, so it is news that nothing more is signed. That the chain has it is told when final.
        return [revoked, self._event(events.SESSION_REVOKED, session.moved(REVOKED, ended_reason=reason))]

    def _event(self, kind: str, session: Session) -> Event:
        body = SessionEvent(
            session.permission_id,
            session.game,
            session.unit,
            session.account,
            session.valid_until,
            session.ended_reason,
            session.revoked_at_block,
        )
        return self._notify.event(kind, session.player, body)


def _is_over(session: Session, final: Head) -> bool:
    """Whether a session has ended, and no reorg of blocks that are not final can change that."""
    if session.state == EXPIRED:
        return final.timestamp > session.valid_until
    return session.is_final if session.state == REVOKED else session.state == LAPSED
