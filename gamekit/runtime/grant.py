"""Opens sessions: propose, let the wallet sign, deploy and grant in one relayed transaction, follow it to final.

::

    propose → (the wallet signs) → open → SessionGranted, `included_depth` deep → the session plays

Each step is durable and can be asked for again. A grant that a reorg takes out is sent again, the same bytes.
"""

import logging
from collections.abc import Sequence

from msgspec import Struct

from gamekit.core.event import SESSION_OPENED, SessionEvent
from gamekit.core.journal import Event, Row
from gamekit.core.relay import OPEN as OPEN_TRANSACTION
from gamekit.core.session import GRANTING, LAPSED, OPEN, PROPOSED, Account, Session
from gamekit.core.unit import Unit
from gamekit.errors import CallReverted, ConfigInvalid, SessionExpired, SessionNotFound
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.session_validator import decode_session_granted
from gamekit.eth.typed_data import TypedData
from gamekit.ports import ChainReader, Store
from gamekit.runtime.accounts import Accounts
from gamekit.runtime.notify import Notify
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.state import State
from gamekit.units import Address, BlockNumber, Gas, PermissionId, PlayerId, UnixSeconds

log = logging.getLogger(__name__)


class GrantRequest(Struct, frozen=True):
    """What the player's wallet is asked to sign, and what it means."""

    permission_id: PermissionId
    account: Address
    owner: Address
    typed_data: TypedData
    readable: bool
    """Whether the wallet shows the fields; where it shows only a hash, `explanation` must be shown beside it."""
    explanation: str
    """Plain English: what the key can do before it ends, and the most that can be lost."""
    deadline: UnixSeconds
    """The signature can be used until then."""


class Grant:
    """Opens sessions and follows their grants."""

    def __init__(
        self,
        state: State,
        store: Store,
        chain: ChainReader,
        relayers: Relayers,
        accounts: Accounts,
        notify: Notify,
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._relayers = relayers
        self._accounts = accounts
        self._notify = notify
        self._seen: dict[PermissionId, BlockNumber] = {}
        """Grants in a canonical block that is not deep enough yet."""

    async def propose(self, player: PlayerId, unit: Unit, owner: Address, stack: str, salt: int = 0) -> GrantRequest:
        """Make a session key and its scope for a player, and say what the wallet must sign.

        Nothing can be done with the key until the owner has signed and the chain has taken the grant.

        Raises: ConfigInvalid for an account stack that is not configured; ChainError when the chain cannot be read.
        """
        account = await self._accounts.account(player, owner, stack, salt)
        session, request = await self._accounts.prepare(account, unit)
        self._state.sessions[session.permission_id] = session
        self._state.accounts[account.address] = self._accounts.with_lane(account)
        await self._store.commit((self._state.accounts[account.address], session))
        return request

    async def open(self, permission_id: PermissionId, signature: bytes) -> Session:
        """Take the wallet's signature and send the grant; the session opens when the chain has it.

        Asking again with the same signature is harmless and gives the session as it is now.

        Raises: SessionNotFound; SessionExpired when the grant's deadline has passed; ConfigInvalid when the account
            would refuse the signature.
        """
        session = self._state.sessions.get(permission_id)
        if session is None:
            raise SessionNotFound(f"no session {permission_id.hex()} was proposed", session=permission_id)
        if session.state != PROPOSED:
            return session
        if self._state.head.timestamp > session.grant_deadline:
            text = f"the grant had to be signed by {session.grant_deadline}, chain time is {self._state.head.timestamp}"
            raise SessionExpired(text, deadline=session.grant_deadline, now=self._state.head.timestamp)
        data = self._accounts.opening(session, signature)
        try:
            gas = await self._chain.estimate_gas(
                self._accounts.opener, data, sender=self._relayers.any_address()
            )
        except CallReverted as error:
            reason = self._accounts.explain_revert(error.data)
            raise ConfigInvalid(f"the account refuses the grant: {reason}", reason=reason) from error
        granting = session.moved(GRANTING, grant_data=data)
        self._state.sessions[permission_id] = granting
        await self._store.commit((granting,))
        await self._send(granting, gas)
        return granting

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> Sequence[Row]:
        """Notice grants."""
        for receipt in receipts:
            for entry in receipt.logs:
                granted = decode_session_granted(entry)
                session = self._state.sessions.get(granted.permission_id) if granted else None
                if session is not None and entry.address == session.validator and session.state in (GRANTING, PROPOSED):
                    self._seen[session.permission_id] = head.number
        return self._open_deep(head)

    def on_orphaned(self, head: Head) -> Sequence[Row]:
        """A grant that is in no canonical block: the session is closed until it is in one again."""
        self._seen = {key: number for key, number in self._seen.items() if number != head.number}
        rows: list[Row] = []
        for session in list(self._state.sessions.values()):
            if session.state == OPEN and session.granted_at_block == head.number:
                back = session.moved(GRANTING, granted_at_block=0)
                self._put(back)
                rows.append(back)
        return rows

    def on_final(self, final: Head) -> Sequence[Row]:
        """Nothing: a final grant is only one that no reorg takes back."""
        return ()

    async def on_head(self) -> None:
        """Send grants again that are on no way to the chain; give up those whose deadline has passed."""
        carried: set[bytes] | None = None
        for session in list(self._state.sessions.values()):
            if session.state == GRANTING and session.permission_id not in self._seen:
                carried = self._relayers.carried() if carried is None else carried
                if self._state.final is not None and self._state.final.timestamp > session.grant_deadline:
                    lapsed = session.moved(LAPSED, ended_reason="the grant's deadline passed")
                    self._put(lapsed)
                    await self._store.commit((lapsed,))
                elif session.permission_id not in carried:
                    await self._send(session, None)

    async def _send(self, session: Session, gas: Gas | None) -> None:
        opener = self._accounts.opener
        if gas is None:
            try:
                gas = await self._chain.estimate_gas(opener, session.grant_data, sender=self._relayers.any_address())
            except CallReverted as error:
                # Granted already, and the block that says so is not read yet; or refused until the deadline passes.
                log.info("grant of %s: %s", session.permission_id.hex(), self._accounts.explain_revert(error.data))
                return
        limit = Gas(gas * 5 // 4)
        await self._relayers.relay(OPEN_TRANSACTION, opener, session.grant_data, limit, session.permission_id)

    def _open_deep(self, head: Head) -> Sequence[Row]:
        rows: list[Row] = []
        deep = head.number - self._state.config.chain.included_depth + 1
        for permission_id, number in list(self._seen.items()):
            if number <= deep:
                del self._seen[permission_id]
                session = self._state.sessions[permission_id].moved(OPEN, granted_at_block=number)
                self._put(session)
                rows += (session, self._event(session, number))
        return rows

    def _event(self, session: Session, block: int) -> Event:
        body = SessionEvent(
            session.permission_id, session.game, session.unit, session.account, session.valid_until, at_block=block
        )
        return self._notify.event(SESSION_OPENED, session.player, body)

    def _put(self, session: Session) -> None:
        self._state.sessions[session.permission_id] = session
        lane = self._state.lanes.get(session.permission_id)
        if lane is not None:
            lane.session = session


def unit_of(state: State, game: str, unit: str) -> Unit:
    """Find a unit of delegation. Raises ConfigInvalid naming what is known."""
    found = state.games.get(game)
    if found is None:
        raise ConfigInvalid(f"no game {game!r} is configured", game=game, known=sorted(state.games))
    return found.unit(unit)
