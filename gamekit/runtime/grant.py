"""Opens sessions: propose, let the wallet sign, deploy and grant in one relayed transaction, follow it to final.

::

    propose → (the wallet signs) → open → SessionGranted, `included_depth` deep → the session plays

Each step is durable and can be asked for again. A grant that a reorg takes out is sent again, the same bytes.
"""

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from gamekit.accounts import stack
from gamekit.core.consent import GrantRequest, consent
from gamekit.core.event import SESSION_LAPSED, SESSION_OPENED, SESSION_REORGED, SessionEvent
from gamekit.core.journal import Event, Row
from gamekit.core.relay import OPEN as OPEN_TRANSACTION
from gamekit.core.scope import Scope, grant_fault
from gamekit.core.session import GRANTING, LAPSED, OPEN, PROPOSED, REVOKING, Account, Session, key_binding
from gamekit.core.setup import ChainSetup, StackSetup
from gamekit.core.sponsoring import VOUCHER, revert_text
from gamekit.core.unit import Unit
from gamekit.errors import (
    CallReverted,
    ChainError,
    ChainUnavailable,
    ConfigInvalid,
    Overloaded,
    SessionExpired,
    SessionNotFound,
    StoreError,
    StoreUnavailable,
)
from gamekit.eth import session_validator
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.proxy import told_address
from gamekit.eth.scope_form import ScopeForm
from gamekit.eth.session_opener import encode_open
from gamekit.eth.session_paymaster import SESSION_PAYMASTER
from gamekit.eth.session_validator_abi import (
    ACCOUNT_OF,
    SESSION_VALIDATOR,
    SessionGranted,
    decode_account,
    decode_session_log,
)
from gamekit.eth.transaction import SignedAuthorization
from gamekit.ports import ChainReader, KeyMaker, Store
from gamekit.runtime.answer import read_answer
from gamekit.runtime.approvals import find_approvals
from gamekit.runtime.delegations import Delegations
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import Notify
from gamekit.runtime.proxies import accepted
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.sponsor import Sponsor
from gamekit.runtime.state import State
from gamekit.units import Address, BlockNumber, Gas, PermissionId, PlayerId, UnixSeconds

log = logging.getLogger(__name__)

NOBODY = PlayerId("")
"""The player of an account whose owner has not signed anything yet."""

FIRST_EPOCH = 1
"""The account's epoch once the module is installed for the first time: installing bumps it."""


class Grant(Follower):
    """Opens sessions and follows their grants."""

    def __init__(
        self,
        state: State,
        store: Store,
        chain: ChainReader,
        keys: KeyMaker,
        setup: ChainSetup,
        relayers: Relayers,
        sponsor: Sponsor,
        notify: Notify,
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._keys = keys
        self._setup = setup
        self._relayers = relayers
        self._sponsor = sponsor
        self._notify = notify
        self._delegations = Delegations(state, chain, setup)
        self._seen: dict[PermissionId, BlockNumber] = {}
        """Grants in a canonical block that is not deep enough yet."""

    async def account(self, owner: Address, where: StackSetup, salt: int = 0) -> Account:
        """Find or make the account of an owner on a stack: its address is known before it is deployed.

        It is nobody's until its owner signs: anybody may name anybody's wallet.
        """
        plan = stack(where.name).deployment(owner, salt, where.contracts)
        address = plan.address or told_address(await self._chain.call(plan.factory, plan.address_query))
        if address is None:
            raise ChainUnavailable(f"the factory {plan.factory.hex()} names no address for an account")
        known = self._state.accounts.get(address) or await self._store.get(Account, address)
        if known is None:
            known = Account(
                address,
                NOBODY,
                self._setup.chain_id,
                where.name,
                where.version.value,
                owner,
                plan.factory,
                plan.factory_data,
            )
        return self._state.accounts.setdefault(address, known)

    async def propose(
        self, player: PlayerId, unit: Unit, owner: Address, where: StackSetup, *, minutes: int | None = None
    ) -> GrantRequest:
        """Make a session key and its scope, and say what the owner's wallet must sign.

        Nothing can be done with the key until the owner has signed and the chain has taken the grant.

        Raises: Overloaded when the player has too many proposals that nobody signed; ConfigInvalid for a unit that the
            account could not be granted, or a target that runs what is no contract; ChainUnavailable.
        """
        self._relayers.require("sessions")
        self._require_room(player)
        account = await self.account(owner, where)
        delegation = await self._delegations.wanted(owner, where)
        epoch = await self._epoch(account)
        targets = [entry.target for entry in unit.policies.calls.entries]
        proxies = await accepted(self._chain, targets, self._setup.session_validator)
        number = self._state.head.number
        approvals = await find_approvals(self._chain, account.address, targets, unit.game.tokens, number)
        head = self._state.head
        # Read again after the awaits: the lane number must be taken and written in one step.
        account = self._state.accounts[account.address]
        nonce_key = stack(where.name).nonce_key(self._setup.session_validator, account.lanes)
        self._state.accounts[account.address] = replace(account, lanes=account.lanes + 1)
        scopes: list[Scope] = []

        def bind(signer: Address) -> bytes:
            scope = unit.bind(
                account=account.address,
                signer=signer,
                revoker=owner,
                nonce_key=nonce_key,
                # EntryPoint 0.8 leaves out the first second of a range.
                valid_after=UnixSeconds(head.timestamp - 1),
                minutes=minutes,
                paymaster=where.paymaster,
            )
            self._sponsor.require(unit, scope.gas.paymaster)
            fault = grant_fault(scope, account.address, self._setup.session_validator, head.timestamp)
            if fault:
                raise ConfigInvalid(f"unit {unit.name} cannot be granted: {fault}", unit=unit.name)
            scopes.append(scope)
            return key_binding(account, self._setup.session_validator, where.entry_point, signer)

        signer, sealed, binding = self._keys.make(bind)
        session = self._session(player, account, unit, where, scopes[0], signer, sealed, binding)
        session = replace(
            session,
            epoch=epoch,
            implementations=tuple(each.implementation for each in proxies),
            grant_deadline=UnixSeconds(head.timestamp + self._state.config.sessions.grant_deadline_s),
        )
        self._state.sessions[session.permission_id] = session
        try:
            await self._store.commit((self._state.accounts[account.address], session))
        except StoreError:
            # Nobody was told of it; its lane number is passed over.
            self._state.sessions.pop(session.permission_id, None)
            raise
        return consent(session, scopes[0], unit.game, owner, proxies, approvals, delegation)

    async def open(
        self, permission_id: PermissionId, signature: bytes, authorization: SignedAuthorization | None = None
    ) -> Session:
        """Take what the wallet signed and send the grant; the session opens when the chain has it.

        Asking again is harmless and gives the session as it is now.

        Raises: SessionNotFound; SessionExpired when the grant's deadline has passed; ConfigInvalid when the account
            would refuse the signature; AuthorizationInvalid, AuthorizationSpent where the owner's own address is the
            account and would not delegate.
        """
        session = self._session_now(permission_id)
        if session.state != PROPOSED:
            return await self._as_written(permission_id)
        now = self._state.head.timestamp
        if now > session.grant_deadline:
            text = f"the grant had to be signed by {session.grant_deadline}, chain time is {now}"
            raise SessionExpired(text, deadline=session.grant_deadline, now=now)
        owner = self._state.accounts[session.account].owner
        authorization = await self._delegations.accept(session, owner, authorization)
        data = await self._opening(session, signature)
        try:
            gas = await self._estimate(data, authorization)
        except CallReverted as error:
            if SESSION_PAYMASTER.decode_revert(error.data).name:
                reason = revert_text(SESSION_PAYMASTER.decode_revert(error.data))
                raise ConfigInvalid(f"the paymaster refuses the voucher: {reason}", reason=reason) from error
            reason = revert_text(SESSION_VALIDATOR.decode_revert(error.data))
            raise ConfigInvalid(f"the account refuses the grant: {reason}", reason=reason) from error
        session = self._session_now(permission_id)
        if session.state != PROPOSED:
            return await self._as_written(permission_id)  # Opened or revoked while the chain was asked.
        granting = session.moved(GRANTING, grant_data=data, authorization=authorization)
        # The owner's signature over this player's session says whose account it is.
        account = replace(self._state.accounts[session.account], player=session.player)
        self._state.sessions[permission_id] = granting
        self._state.accounts[account.address] = account
        try:
            await self._store.commit((granting, account))
        except StoreError:
            # Not on disk, so not sent: asked again, it is written.
            if self._state.sessions.get(permission_id) is granting:
                self._state.sessions[permission_id] = session
            raise
        try:
            await self._send(granting, gas)
        except StoreUnavailable as error:
            # The grant is durable and its transaction is not: no refusal, for the next head sends it.
            log.warning("grant of %s waits: %s", permission_id.hex(), error)
        return self._session_now(permission_id)

    async def _as_written(self, permission_id: PermissionId) -> Session:
        """A session that another call is opening or has opened, once the journal says so too.

        Raises: StoreUnavailable when the journal refused it.
        """
        await self._store.commit(())
        session = self._session_now(permission_id)
        if session.state == PROPOSED:
            raise StoreUnavailable("the grant was not written", session=permission_id)
        return session

    def _session_now(self, permission_id: PermissionId) -> Session:
        """A session as it is. Raises SessionNotFound, for one that ended long ago too."""
        session = self._state.sessions.get(permission_id)
        if session is None:
            raise SessionNotFound(f"no session {permission_id.hex()} was proposed", session=permission_id)
        return session

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> Sequence[Row]:
        """Notice grants."""
        for receipt in receipts:
            for entry in receipt.logs:
                granted = decode_session_log(entry, self._setup.session_validator)
                session = (
                    self._state.sessions.get(granted.permission_id) if isinstance(granted, SessionGranted) else None
                )
                if session is not None and session.state in (GRANTING, PROPOSED):
                    self._seen[session.permission_id] = head.number
        return self._open_deep(head)

    def on_orphaned(self, head: Head) -> Sequence[Row]:
        """A grant that is in no canonical block: the session is closed until it is in one again."""
        self._seen = {key: number for key, number in self._seen.items() if number != head.number}
        self._delegations.on_orphaned(head)
        rows: list[Row] = []
        for session in list(self._state.sessions.values()):
            if session.state == OPEN and session.granted_at_block == head.number:
                back = session.moved(GRANTING, granted_at_block=0)
                self._state.put(back)
                rows += (back, self._event(SESSION_REORGED, back, head.number))
        return rows

    async def on_head(self) -> None:
        """Send grants again that are on no way to the chain; give up those whose deadline has passed.

        One that the node gives no answer about holds up none of the others.
        """
        waiting = [session for session in self._state.sessions.values() if session.state in (PROPOSED, GRANTING)]
        carried = self._relayers.carried() if waiting else set()
        for session in waiting:
            if session.permission_id not in self._seen:
                try:
                    await self._move_on(session.permission_id, carried)
                except ChainError as error:
                    log.warning("grant of %s waits: %s", session.permission_id.hex(), error)

    async def _move_on(self, permission_id: PermissionId, carried: set[bytes]) -> None:
        spent = await self._delegations.spent(self._state.sessions[permission_id])
        session = self._state.sessions[permission_id]
        if session.state not in (PROPOSED, GRANTING):
            return  # Revoked while the chain was asked.
        if spent is not None:
            await self._lapse(session, spent.code, str(spent))
        elif self._state.final is not None and self._state.final.timestamp > session.grant_deadline:
            await self._lapse(session, SessionExpired.code, "the grant's deadline passed")
        elif session.state == GRANTING and permission_id not in carried:
            await self._send(session, None)

    async def _lapse(self, session: Session, code: str, reason: str) -> None:
        lapsed = session.moved(LAPSED, ended_reason=reason, ended_code=code)
        self._state.put(lapsed)
        lane = self._state.lanes.get(session.permission_id)
        if lane is not None:
            # It had opened once, and a reorg took its grant for good.
            lane.stopped = lane.stopped or "session_expired"
        # Who never handed in a signature waits for nothing.
        told = (self._event(SESSION_LAPSED, lapsed, 0),) if session.state == GRANTING else ()
        await self._store.commit((lapsed, *told))
        self._notify.publish(told)

    def _require_room(self, player: PlayerId) -> None:
        most = self._state.config.sessions.proposals_max
        sessions = self._state.sessions.values()
        open_ = sum(1 for session in sessions if session.player == player and session.state == PROPOSED)
        if open_ >= most:
            text = f"{open_} proposed sessions wait for the wallet's signature, at most {most}"
            raise Overloaded(text, queue="proposals", depth=open_, depth_max=most)

    def _session(
        self,
        player: PlayerId,
        account: Account,
        unit: Unit,
        where: StackSetup,
        scope: Scope,
        signer: Address,
        sealed: bytes,
        binding: bytes,
    ) -> Session:
        packed = scope.pack()
        module = self._setup.session_validator
        sponsoring = unit.sponsoring
        return Session(
            session_validator.permission_id(self._setup.chain_id, module, account.address, ScopeForm(packed).signed),
            player,
            account.address,
            self._setup.chain_id,
            where.name,
            where.version.value,
            where.entry_point,
            module,
            unit.game.name,
            unit.name,
            signer,
            sealed,
            binding,
            packed,
            scope.nonce_key.to_bytes(24, "big"),
            scope.time.valid_after,
            scope.time.valid_until,
            sponsored_by=sponsoring.by if sponsoring is not None else "",
            sponsored_wei_max=sponsoring.limit_wei if sponsoring is not None else 0,
        )

    async def _epoch(self, account: Account) -> int:
        """The epoch that the grant must name: the account's own, or the first if it is not deployed yet."""
        data = ACCOUNT_OF.encode_call(account.address)
        record = read_answer(decode_account, await self._chain.call(self._setup.session_validator, data))
        return record.epoch if record.installed else FIRST_EPOCH

    async def _opening(self, session: Session, signature: bytes) -> bytes:
        account, scope = self._state.accounts[session.account], self._scope(session)
        paymaster = voucher = None
        if session.sponsored_by == VOUCHER:
            paymaster, voucher = await self._sponsor.voucher(session, scope)
        return encode_open(
            account=session.account,
            factory=account.factory,
            factory_data=account.factory_data,
            validator=session.validator,
            scope=session.scope,
            functions=[entry.function for entry in scope.calls.entries],
            deadline=session.grant_deadline,
            signature=signature,
            implementations=session.implementations,
            paymaster=paymaster,
            voucher=voucher,
        )

    def _scope(self, session: Session) -> Scope:
        return Scope.unpack(session.scope, self._state.signatures(session.game))

    async def _estimate(self, data: bytes, authorization: SignedAuthorization | None) -> Gas:
        """Gas that the grant needs. Raises CallReverted."""
        return await self._chain.estimate_gas(
            self._setup.opener, data, sender=self._relayers.any_address(), authorizations=_together(authorization)
        )

    async def _send(self, session: Session, gas: Gas | None) -> None:
        if gas is None:
            try:
                gas = await self._estimate(session.grant_data, session.authorization)
            except CallReverted as error:
                # Refused until the deadline passes. What is granted already, the opener leaves as it is.
                reason = SESSION_VALIDATOR.decode_revert(error.data)
                log.info("grant of %s: %s", session.permission_id.hex(), reason)
                return
            if self._state.sessions[session.permission_id].state != GRANTING:
                return  # Opened or revoked while the chain was asked.
        await self._relayers.relay(
            OPEN_TRANSACTION,
            self._setup.opener,
            session.grant_data,
            Gas(gas * 5 // 4),
            session.permission_id,
            # Also where the address delegates by now: one that does not fit is no error, and a reorg may undo that.
            authorizations=_together(session.authorization),
        )

    def _open_deep(self, head: Head) -> Sequence[Row]:
        rows: list[Row] = []
        deep = head.number - self._state.config.chain.included_depth + 1
        for permission_id, number in list(self._seen.items()):
            if number <= deep:
                session = self._state.sessions.get(permission_id)
                if session is not None and session.state == REVOKING:
                    continue  # It never opens, unless the disk refuses the revocation.
                del self._seen[permission_id]
                if session is None or session.state not in (GRANTING, PROPOSED):
                    continue
                opened = session.moved(OPEN, granted_at_block=number)
                self._state.put(opened)
                rows += (opened, self._event(SESSION_OPENED, opened, number))
        return rows

    def _event(self, kind: str, session: Session, block: int) -> Event:
        body = SessionEvent(
            session.permission_id,
            session.game,
            session.unit,
            session.account,
            session.valid_until,
            session.ended_reason,
            at_block=block,
            code=session.ended_code,
        )
        return self._notify.event(kind, session.player, body)


def _together(authorization: SignedAuthorization | None) -> tuple[SignedAuthorization, ...]:
    return () if authorization is None else (authorization,)
