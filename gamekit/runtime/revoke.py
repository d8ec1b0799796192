"""Ends sessions: at once here, then on chain, signed by the session key itself; and notices who else ended them.

Order matters: the memory first, the row in the same step, so that no signature is made after the commit. What was
signed before dies by its deadline. The chain's own refusal follows, by a transaction that any relayer may send.
"""

import logging
from collections.abc import Sequence

from gamekit.core import event as events
from gamekit.core.event import SessionEvent
from gamekit.core.journal import Event, Row
from gamekit.core.relay import REVOKE as REVOKE_TRANSACTION
from gamekit.core.revocation import Revocation, revocation
from gamekit.core.session import EXPIRED, GRANTING, LAPSED, OPEN, PROPOSED, REVOKED, REVOKING, Session
from gamekit.errors import CallReverted, SessionNotFound
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.session_validator_abi import (
    REVOKE_SESSION_WITH_SIGNATURE,
    AllSessionsRevoked,
    SessionRevoked,
    decode_session_log,
)
from gamekit.eth.session_validator_grant import revoke_typed_data
from gamekit.eth.typed_data import typed_data_digest
from gamekit.ports import ChainReader, Signer, Store
from gamekit.runtime.dispatch import Dispatch
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import Notify
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.state import State
from gamekit.units import Address, Gas, PermissionId

log = logging.getLogger(__name__)


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
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._signer = signer
        self._module = module
        self._relayers = relayers
        self._dispatch = dispatch
        self._notify = notify
        self._warned: set[PermissionId] = set()

    async def revoke(self, permission_id: PermissionId, reason: str = "revoked") -> Revocation:
        """End a session; the answer says what may still land, and until when.

        Raises: SessionNotFound. Revoking again is harmless.
        """
        session = self._state.sessions.get(permission_id)
        if session is None:
            raise SessionNotFound(f"no session {permission_id.hex()}", session=permission_id)
        lane = self._state.lanes.get(permission_id)
        now = self._state.head.timestamp
        answer = revocation(lane, now) if lane is not None else Revocation(permission_id, now, 0, (), now)
        if session.state == PROPOSED:
            # The chain knows nothing of it: without the grant that only we would send, there is nothing to revoke.
            await self._end(session.moved(LAPSED, ended_reason=reason), "session_revoked")
        elif session.state in (GRANTING, OPEN):
            revoking = self._with_revocation(session.moved(REVOKING, ended_reason=reason))
            await self._end(revoking, "session_revoked")
            await self._send(revoking)
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
                done = session.moved(REVOKED, is_final=True)
                self._state.put(done)
                rows += (done, self._event(events.SESSION_REVOKED, done))
        return rows

    async def on_head(self) -> None:
        """Send revocations that are on no way to the chain; end sessions whose time has passed."""
        carried: set[bytes] | None = None
        now = self._state.head.timestamp
        for session in list(self._state.sessions.values()):
            if session.state == REVOKING:
                carried = self._relayers.carried() if carried is None else carried
                if session.permission_id not in carried:
                    await self._send(session)
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

    async def _end(self, session: Session, code: str) -> None:
        self.stop(session, code)
        kind = events.SESSION_EXPIRED if session.state == EXPIRED else events.SESSION_REVOKED
        told = self._event(kind, session)
        await self._store.commit((session, told))
        self._notify.publish((told,))
        lane = self._state.lanes.get(session.permission_id)
        if lane is not None and lane.ready:
            await self._dispatch.refuse(lane, tuple(lane.ready), code, "the session ended before it was signed")

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
            final = self._state.final
            if not session.granted_at_block and final is not None and final.timestamp > session.grant_deadline:
                never = session.moved(LAPSED, ended_reason=f"{session.ended_reason}; its grant never landed")
                self._state.put(never)
                await self._store.commit((never,))
            return
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
