"""Withdrawals: prepare an operation for the owner's wallet, submit it, follow it to final.

No session key, no lane and no relayer of play is involved: the pool here is another one, and the nonce key is the owner
validator's.
"""

import logging
from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from gamekit.accounts import stack
from gamekit.core.event import WITHDRAWAL_REORGED, WITHDRAWAL_SETTLED, WithdrawalEvent
from gamekit.core.fees import bid
from gamekit.core.journal import Event, Row
from gamekit.core.receipt import inclusions
from gamekit.core.relay import WITHDRAW
from gamekit.core.session import Account
from gamekit.core.setup import ChainSetup
from gamekit.core.withdrawal import FINAL, INCLUDED, LAPSED, PREPARED, SIGNED, Withdrawal
from gamekit.errors import (
    CallReverted,
    ChainError,
    ChainUnavailable,
    OperationRejected,
    SessionNotFound,
    StoreUnavailable,
)
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import decode_failed_op, decode_nonce, encode_get_nonce, encode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.ports import ChainReader, Store
from gamekit.runtime.answer import read_answer
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import Notify
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.state import State
from gamekit.units import Address, BlockNumber, Gas, UserOpHash, Wei

log = logging.getLogger(__name__)

VERIFICATION_GAS = Gas(200_000)
CALL_GAS = Gas(300_000)
PRE_VERIFICATION_GAS = Gas(60_000)


class WithdrawalRequest(Struct, frozen=True):
    """What the owner's wallet is asked to sign, and what it does."""

    user_op_hash: UserOpHash
    """What the wallet signs, by `personal_sign`: it shows a hash, so `meaning` must be shown beside it."""
    owner: Address
    meaning: str


class Withdraw(Follower):
    """Prepares, submits and follows withdrawals."""

    def __init__(
        self,
        state: State,
        store: Store,
        chain: ChainReader,
        setup: ChainSetup,
        relayers: Relayers,
        notify: Notify,
    ) -> None:
        self._setup = setup
        self._state = state
        self._store = store
        self._chain = chain
        self._relayers = relayers
        self._notify = notify
        self._open: dict[UserOpHash, Withdrawal] = {}
        self._writing: set[UserOpHash] = set()
        """Those whose signature is on its way to disk."""
        self._spent_at: dict[UserOpHash, BlockNumber] = {}
        """Heights at which the nonce of one that is in no block was first seen spent."""

    async def recover(self) -> None:
        """Watch again what was signed and is not final."""
        for state in (SIGNED, INCLUDED):
            for row in await self._store.select(Withdrawal, state=state):
                self._open[row.user_op_hash] = row

    async def load_final(self, shared: Head) -> None:
        """Watch again what was final above a block: the chain has replaced everything that came after it."""
        for row in await self._store.select(Withdrawal, state=FINAL):
            if row.block_number > shared.number:
                self._open.setdefault(row.user_op_hash, row.moved(INCLUDED))

    async def prepare(self, account: Account, call: Call, meaning: str = "") -> WithdrawalRequest:
        """Make the operation that carries one call of the account, for its owner to sign."""
        self._relayers.require("withdrawals")
        setup = self._setup.stack(account.stack, account.entry_point_version)
        adapter = stack(account.stack)
        nonce_key = adapter.owner_nonce_key(setup.contracts.owner_validator)
        answer = await self._chain.call(setup.entry_point, encode_get_nonce(account.address, nonce_key))
        head = self._state.head
        fees = bid(head.base_fee_per_gas, self._state.tip, self._state.config.fees)
        if fees is None:
            raise ChainUnavailable(f"gas costs {head.base_fee_per_gas} wei, more than the configured cap")
        operation = UserOperation(
            sender=account.address,
            nonce=read_answer(partial(decode_nonce, key=nonce_key), answer),
            call_data=adapter.execute([call], False),
            call_gas_limit=CALL_GAS,
            verification_gas_limit=VERIFICATION_GAS,
            pre_verification_gas=PRE_VERIFICATION_GAS,
            max_fee_per_gas=fees.max_fee_per_gas,
            max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
        )
        hashed = user_op_hash(operation, setup.version, setup.entry_point, account.chain_id)
        row = Withdrawal(
            hashed,
            account.player,
            account.address,
            account.owner,
            account.stack,
            account.entry_point_version,
            setup.entry_point,
            operation.nonce,
            operation.call_data,
            operation.call_gas_limit,
            operation.verification_gas_limit,
            operation.pre_verification_gas,
            operation.max_fee_per_gas,
            operation.max_priority_fee_per_gas,
            head.timestamp,
            meaning or _meaning(call),
        )
        await self._store.commit((row,))
        return WithdrawalRequest(hashed, account.owner, row.meaning)

    async def submit(self, hashed: UserOpHash, signature: bytes) -> Withdrawal:
        """Take the owner's signature and send the operation; asking again is harmless.

        Raises: SessionNotFound when nothing was prepared under this hash; OperationRejected with the entry point's
            code when the chain would not take it.
        """
        row = await self._row(hashed)
        if row.state != PREPARED:
            return row
        signed = row.moved(SIGNED, signature=stack(row.stack).owner_operation_signature(signature))
        await self._simulate(signed)
        row = await self._row(hashed)
        if row.state != PREPARED:
            return row  # Submitted twice; it may even be included by now.
        # Watched only once it is on disk, so that nothing is sent before.
        self._writing.add(hashed)
        try:
            await self._store.commit((signed,))
        finally:
            self._writing.discard(hashed)
        self._open[hashed] = signed
        try:
            await self._send(signed)
        except StoreUnavailable as error:
            # The signature is durable and its transaction is not: no refusal, for the next head sends it.
            log.warning("withdrawal %s waits: %s", hashed.hex(), error)
        return signed

    async def _row(self, hashed: UserOpHash) -> Withdrawal:
        """What is on disk of a withdrawal. Raises SessionNotFound."""
        row = await self._store.get(Withdrawal, hashed)
        if row is None:
            raise SessionNotFound(f"no withdrawal {hashed.hex()} was prepared", user_op_hash=hashed)
        while hashed in self._writing:
            await self._store.commit(())
        return self._open.get(hashed, row)

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> Sequence[Row]:
        """Notice withdrawals in a canonical block."""
        if not self._open:
            return ()
        rows: list[Row] = []
        for found in inclusions(receipts, frozenset(row.entry_point for row in self._open.values())):
            row = self._open.get(found.logs.event.user_op_hash)
            if row is not None and row.state == SIGNED:
                included = row.moved(
                    INCLUDED,
                    transaction_hash=found.receipt.transaction_hash,
                    block_number=head.number,
                    block_hash=head.hash,
                    succeeded=found.logs.event.success,
                )
                self._open[row.user_op_hash] = included
                rows += (included, self._event(WITHDRAWAL_SETTLED, included))
        return rows

    def on_orphaned(self, head: Head) -> Sequence[Row]:
        """Take back what was included in a block that is canonical no more; it is sent again."""
        rows: list[Row] = []
        for row in list(self._open.values()):
            if row.state == INCLUDED and row.block_hash == head.hash:
                self._open[row.user_op_hash] = row.moved(SIGNED, block_number=0, block_hash=b"")
                rows += (self._open[row.user_op_hash], self._event(WITHDRAWAL_REORGED, row))
        return rows

    def on_final(self, final: Head) -> Sequence[Row]:
        """Close what is final."""
        done = [row for row in self._open.values() if row.state == INCLUDED and row.block_number <= final.number]
        for row in done:
            del self._open[row.user_op_hash]
        return [row.moved(FINAL) for row in done]

    async def on_head(self) -> None:
        """Send again what no transaction carries and the chain would take; give up what it never can."""
        waiting = [row for row in self._open.values() if row.state == SIGNED]
        carried = self._relayers.carried() if waiting else set()
        for row in waiting:
            if row.user_op_hash in carried:
                continue
            try:
                await self._simulate(row)
            except OperationRejected as error:
                await self._rejected(row, str(error.compared["aa_code"]))
            except ChainError as error:
                log.info("withdrawal %s waits: %s", row.user_op_hash.hex(), error)
            else:
                self._spent_at.pop(row.user_op_hash, None)
                await self._send(row)

    async def _rejected(self, row: Withdrawal, reason: str) -> None:
        """Wait, without burning gas; once its nonce is spent in a final block, it can never land."""
        log.info("withdrawal %s waits: %s", row.user_op_hash.hex(), reason)
        if not reason.startswith("AA25"):
            return
        spent_at = self._spent_at.setdefault(row.user_op_hash, self._state.head.number)
        if self._state.final is not None and spent_at <= self._state.final.number:
            del self._open[row.user_op_hash], self._spent_at[row.user_op_hash]
            lapsed = row.moved(LAPSED)
            told = self._event(WITHDRAWAL_SETTLED, lapsed)
            await self._store.commit((lapsed, told))
            self._notify.publish((told,))

    async def _simulate(self, row: Withdrawal) -> None:
        sender = self._relayers.any_address()
        try:
            await self._chain.call(row.entry_point, _bundle(row, sender), sender=sender, gas=Gas(2_000_000))
        except CallReverted as error:
            failed = decode_failed_op(error.data)
            reason = failed.reason if failed is not None else error.data.hex()
            raise OperationRejected(f"the entry point refuses the withdrawal: {reason}", aa_code=reason) from error

    async def _send(self, row: Withdrawal) -> None:
        relayer = self._relayers.take()
        if relayer is None:
            return
        calldata = _bundle(row, relayer.address)
        gas = Gas(row.call_gas_limit + row.verification_gas_limit + row.pre_verification_gas + 150_000)
        transaction = self._relayers.sign(relayer, WITHDRAW, row.entry_point, calldata, gas, (row.user_op_hash,))
        if transaction is not None:
            await self._relayers.send(transaction)

    def _event(self, kind: str, row: Withdrawal) -> Event:
        body = WithdrawalEvent(row.user_op_hash, row.transaction_hash, row.block_number, row.succeeded, row.meaning)
        return self._notify.event(kind, row.player, body)


def _bundle(row: Withdrawal, beneficiary: Address) -> bytes:
    operation = UserOperation(
        sender=row.account,
        nonce=row.nonce,
        call_data=row.call_data,
        call_gas_limit=row.call_gas_limit,
        verification_gas_limit=row.verification_gas_limit,
        pre_verification_gas=row.pre_verification_gas,
        max_fee_per_gas=row.max_fee_per_gas,
        max_priority_fee_per_gas=row.max_priority_fee_per_gas,
        signature=row.signature,
    )
    return encode_handle_ops([operation], beneficiary, EntryPointVersion(row.entry_point_version))


def _meaning(call: Call) -> str:
    what = f"call {call.data[:4].hex()} of" if call.data else "send to"
    return f"{what} {checksum_address(call.target)} with {Wei(call.value)} wei"
