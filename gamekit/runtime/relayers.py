"""Our relayer accounts: durable nonces, signing, sending, sending again, replacing.

One pool serves bundles, grants and revocations; withdrawals have a pool of their own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence

from gamekit.core.fees import Fees, bid, outbid
from gamekit.core.journal import Meta, Row
from gamekit.core.relay import (
    CANCEL,
    FINAL,
    MINED,
    PLANNED,
    REPLACED,
    SENT,
    Relayer,
    RelayTransaction,
    choose,
    nonce_of,
    released,
)
from gamekit.core.restoring import RESTORED
from gamekit.errors import CallReverted, ChainError, ChainUnavailable, ConfigInvalid, FeeTooLow, StoreError, SubmitError
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.transaction import SignedAuthorization, Transaction, signing_hash, with_signature
from gamekit.ports import ChainReader, SealedKey, Signer, Store, TransactionSender
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import Notify
from gamekit.runtime.patience import STARTING
from gamekit.runtime.state import State
from gamekit.units import UINT64_MAX, ZERO_ADDRESS, Address, BlockNumber, ChainId, Gas, Hash32, Wei

log = logging.getLogger(__name__)

QUARANTINE_BLOCKS = 64
"""How long others are preferred to a relayer whose key something else has used."""
TRANSFER_GAS = Gas(21_000)


class Relayers(Follower):
    """A pool of relayer accounts on one chain."""

    def __init__(
        self,
        state: State,
        store: Store,
        reader: ChainReader,
        sender: TransactionSender,
        signer: Signer,
        keys: Mapping[Address, SealedKey],
        notify: Notify,
    ) -> None:
        self._state = state
        self._store = store
        self._reader = reader
        self._sender = sender
        self._signer = signer
        self._keys = keys
        self._notify = notify
        self._relayers: dict[Address, Relayer] = {}
        self._by_hash: dict[Hash32, RelayTransaction] = {}
        """Every attempt at every nonce that is not final."""
        self._spent_before: dict[Address, int] = {}
        self._taken: set[Hash32] = set()
        """Attempts that the node said it has."""
        self._offered: set[Hash32] = set()
        """Attempts that were given to the node since start-up, or since a reorg took them back."""
        self._alarmed: set[tuple[str, Address, int]] = set()
        """What an operator was told and still holds: told again only after it ended."""

    async def recover(self) -> None:
        """Read nonces from the journal and the chain; what is not final is watched again."""
        for address in self._keys:
            row = await self._store.get(Meta, released(address).name)
            known = int.from_bytes(row.value, "big") if row is not None else 0
            relayer = Relayer(address, known, await self._reader.balance(address))
            self._relayers[address] = relayer
            lowest = UINT64_MAX
            for state in (SENT, MINED):
                for live in await self._store.select(RelayTransaction, relayer=address, state=state):
                    lowest = min(lowest, live.nonce)
                    relayer.skip_to(live.nonce + 1)
            spent = await self._spent(relayer)
            relayer.skip_to(spent)
            await self._load(relayer, min(lowest, spent))

    async def _spent(self, relayer: Relayer) -> int:
        """The chain's count at a start; where it says more than the journal, or that is new, what was said twice.

        Raises: ChainUnavailable: one wrong number would be believed for ever, and leave a gap as wide as it is wrong.
        """
        said: set[int] = set()
        for _ in range(STARTING):
            spent = await self._reader.transaction_count(relayer.address)
            if spent in said or 0 < relayer.next_nonce >= spent:
                return spent
            said.add(spent)
        raise ChainUnavailable(f"the node counts {sorted(said)} transactions of relayer {relayer.address.hex()}")

    async def load_final(self, shared: Head) -> None:
        """Watch again what was final above a block: the chain has replaced everything that came after it.

        What was mined there is sent again, byte for byte, in the order of its nonces, and those that it stood for are
        watched beside it.
        """
        for relayer in self._relayers.values():
            await self._load(relayer, 0, shared.number)

    async def _load(self, relayer: Relayer, lowest: int, final: int = UINT64_MAX) -> None:
        """Watch every attempt at the relayer's nonces, from the last one down, whatever became of it.

        Down to the lowest, or to one that is final in a block up to `final`: all nonces below are used up for ever.
        """
        for nonce in range(relayer.next_nonce - 1, lowest - 1, -1):
            attempts = await self._store.select(RelayTransaction, relayer=relayer.address, nonce=nonce)
            if any(row.state == FINAL and row.mined_at_block <= final for row in attempts):
                break
            if any(row.transaction_hash in self._by_hash for row in attempts):
                continue
            states = {row.state for row in attempts}
            if SENT in states and not states & {MINED, FINAL}:
                self._bring_back(attempts)
                continue
            # Mined; or given up, for something else has used the nonce: until the chain says that it has not.
            for row in attempts:
                self._by_hash[row.transaction_hash] = row.moved(MINED) if row.state == FINAL else row

    def free_slots(self) -> int:
        """How many transactions may be sent now, over all relayers."""
        most = self._state.config.relay.in_flight_max
        least = self._state.config.relay.balance_min_wei
        return sum(max(0, most - len(one.unmined)) for one in self._relayers.values() if one.spare >= least)

    def any_address(self) -> Address:
        """A relayer's address, for simulating; address 0 in a pool without keys, which sends nothing."""
        return next(iter(self._relayers), ZERO_ADDRESS)

    def require(self, purpose: str) -> None:
        """Raise ConfigInvalid when the pool has no keys: nothing of this purpose would ever be sent."""
        if not self._relayers:
            raise ConfigInvalid(f"no relayer key is configured for {purpose}", purpose=purpose)

    def take(self) -> Relayer | None:
        """The least busy relayer that may send; None when there is none."""
        relay = self._state.config.relay
        head = self._state.history.head
        height = head.number if head is not None else 0
        return choose(self._relayers.values(), relay.in_flight_max, Wei(relay.balance_min_wei), height)

    def subjects(self, transaction_hash: Hash32) -> tuple[bytes, ...]:
        """What a transaction of ours that is not final carries; nothing if it is none of ours."""
        row = self._by_hash.get(transaction_hash)
        return () if row is None else row.subjects

    def carried(self) -> set[bytes]:
        """Everything that unmined transactions carry."""
        return {
            subject
            for one in self._relayers.values()
            for attempts in one.unmined.values()
            for subject in attempts[-1].subjects
        }

    def sign(
        self,
        relayer: Relayer,
        kind: str,
        to: Address,
        data: bytes,
        gas: Gas,
        subjects: Sequence[bytes],
        value: int = 0,
        authorizations: tuple[SignedAuthorization, ...] = (),
    ) -> RelayTransaction | None:
        """Take the relayer's next nonce and sign a transaction for it.

        None when gas costs more than the cap, when the transaction might cost more than the relayer has to spare, and
        while a restored journal is behind the chain: it may not know what was signed at this nonce.

        The nonce is taken in memory here and on disk by `send`; both happen before anything leaves the process.
        """
        fees = bid(self._state.head.base_fee_per_gas, self._state.tip, self._state.config.fees)
        if fees is None or RESTORED in self._state.pauses:
            return None
        worst = gas * fees.max_fee_per_gas + value
        if worst > relayer.spare:
            relayer.wanted = Wei(max(relayer.wanted, worst))
            return None
        return self._signed(
            relayer, relayer.next_nonce, 0, kind, to, data, Wei(value), gas, tuple(subjects), fees, authorizations
        )

    async def send(self, row: RelayTransaction, beside: Sequence[Row] = ()) -> None:
        """Make a signed transaction durable as sent, together with the rows that depend on it, then send it.

        Its nonce is written in the same transaction of the journal, which refuses two that do not replace each other.
        Until that is written it counts as planned, and no head sends it.

        Raises: StoreError when it was not written: then it is as if it had never been signed.
        """
        sent = row.moved(SENT, sent_at_block=self._state.head.number)
        relayer = self._relayers[row.relayer]
        try:
            await self._store.commit((nonce_of(sent), sent, released(row.relayer, relayer.next_nonce), *beside))
        except StoreError:
            if self._by_hash.get(row.transaction_hash) is row:
                del self._by_hash[row.transaction_hash]
                relayer.drop(row)
            raise
        if self._by_hash.get(row.transaction_hash) is row:  # Else its nonce was used up meanwhile.
            self._remember(sent)
            await self._hand_over(sent)

    async def relay(
        self,
        kind: str,
        to: Address,
        data: bytes,
        gas: Gas,
        subject: bytes,
        value: int = 0,
        authorizations: tuple[SignedAuthorization, ...] = (),
    ) -> RelayTransaction | None:
        """Send one call by a free relayer; None when all are busy: ask again with the next head."""
        relayer = self.take()
        if relayer is None:
            return None
        row = self.sign(relayer, kind, to, data, gas, (subject,), value, authorizations)
        if row is not None:
            await self.send(row)
        return row

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> list[Row]:  # noqa: ARG002
        """A canonical block: mark what was mined. Gives the rows to commit with the block."""
        rows: list[Row] = []
        for receipt in receipts:
            row = self._by_hash.get(receipt.transaction_hash)
            if row is not None:
                mined = row.moved(MINED, mined_at_block=receipt.block_number, succeeded=receipt.succeeded)
                self._remember(mined)
                rows.append(mined)
                relayer = self._relayers[row.relayer]
                for other in relayer.unmined.pop(row.nonce, ()):
                    if other.transaction_hash != row.transaction_hash:
                        self._by_hash[other.transaction_hash] = other.moved(REPLACED, mined_at_block=BlockNumber(0))
                        rows.append(self._by_hash[other.transaction_hash])
        return rows

    def on_orphaned(self, head: Head) -> list[Row]:
        """A block that is canonical no more: what was mined in it, and what that stood for, may land again."""
        rows: list[Row] = []
        for row in [row for row in self._by_hash.values() if row.mined_at_block == head.number]:
            place = row.relayer, row.nonce
            rows += self._bring_back(each for each in self._by_hash.values() if (each.relayer, each.nonce) == place)
        return rows

    def on_final(self, final: Head) -> list[Row]:
        """Forget what was mined at or below a final block, and what can no longer land for that."""
        done = [row for row in self._by_hash.values() if row.state == MINED and row.mined_at_block <= final.number]
        highest: dict[Address, int] = {}
        for row in done:
            highest[row.relayer] = max(row.nonce, highest.get(row.relayer, 0))
        rows: list[Row] = []
        for row in list(self._by_hash.values()):
            if row.nonce <= highest.get(row.relayer, -1) and row.state in (MINED, REPLACED):
                del self._by_hash[row.transaction_hash]
                self._taken.discard(row.transaction_hash)
                self._offered.discard(row.transaction_hash)
                if row.state == MINED:
                    rows.append(row.moved(FINAL))
        return rows

    async def on_head(self) -> None:
        """With each head: send again what is not mined, outbid what waits too long; watch nonces and balances."""
        await _all_ended([self._resync(relayer) for relayer in self._relayers.values()])
        waiting = [
            (relayer, attempts[-1])
            for relayer in self._relayers.values()
            for _, attempts in sorted(relayer.unmined.items())
            if attempts[-1].state != PLANNED
        ]
        await _all_ended([self._push(relayer, latest) for relayer, latest in waiting])

    async def _push(self, relayer: Relayer, latest: RelayTransaction) -> None:
        """Move one unmined transaction on: outbid it when it has waited too long, else give it to the node again.

        What the node said it has, it gets one head later: it may have dropped it, but mostly the next block has it.
        What a start or a reorg has found is first given to it as it is, whatever its age.
        """
        age = self._state.head.number - latest.sent_at_block
        is_new = latest.transaction_hash not in self._offered
        is_late = age >= self._state.config.relay.replace_after_blocks and RESTORED not in self._state.pauses
        if is_late and not is_new:
            await self._replace(relayer, latest)
        elif is_new or age >= (2 if latest.transaction_hash in self._taken else 1):
            await self._hand_over(latest)

    async def _resync(self, relayer: Relayer) -> None:
        """Compare with the chain: nonces that something else consumed, and the balance."""
        if not relayer.unmined and not relayer.wanted and self._state.head.number % 16:
            return
        try:
            spent = await self._reader.transaction_count(relayer.address)
            relayer.balance = await self._reader.balance(relayer.address)
        except ChainError:
            return
        await self._give_up(relayer, spent)
        await self._fill_gap(relayer, spent)
        wanted = max(relayer.wanted, self._state.config.relay.balance_min_wei)
        if relayer.spare >= wanted:
            relayer.wanted = Wei(0)
            self._alarmed.discard(("relayer_poor", relayer.address, 0))
        else:
            text = f"has {relayer.balance} wei, {relayer.spare} to spare, wanted are {wanted}"
            await self._alarm("relayer_poor", relayer.address, 0, text)

    async def _give_up(self, relayer: Relayer, spent: int) -> None:
        """A nonce that is consumed, by no transaction of ours in any block read so far: none of its attempts can land.

        The block that consumed it may still be unread, so it must have been consumed at the head before, too. What the
        attempts carried is free to travel in another transaction: the entry point lets each operation through once.
        """
        # Twice the same, before it is believed: one wrong answer must not leave a gap, nor give a transaction up.
        sure = min(spent, self._spent_before.get(relayer.address, 0))
        lost = [nonce for nonce in relayer.unmined if nonce < sure]
        relayer.skip_to(sure)
        for nonce in lost:
            rows = [row.moved(MINED if row.mined_at_block else REPLACED) for row in relayer.unmined.pop(nonce)]
            for row in rows:
                self._by_hash[row.transaction_hash] = row
            await self._store.commit(rows)
            if any(row.state == MINED for row in rows):
                continue  # It was ours, as its receipt said: the node that doubted it was behind.
            relayer.quarantined_until = self._state.head.number + QUARANTINE_BLOCKS
            await self._alarm("relayer_nonce_taken", relayer.address, nonce, "was used by another sender")

    async def _fill_gap(self, relayer: Relayer, spent: int) -> None:
        """Use the chain's next nonce up when nothing of ours stands there, but behind it: else all of that is stuck."""
        before, self._spent_before[relayer.address] = self._spent_before.get(relayer.address), spent
        if RESTORED in self._state.pauses or before != spent or spent >= relayer.next_nonce or spent in relayer.unmined:
            return
        rows = await self._store.select(RelayTransaction, relayer=relayer.address, nonce=spent)
        if any(row.state in (MINED, FINAL) for row in rows):
            # Either the node is behind, or the receipt was another transaction's: no header commits to its hash. The
            # same bytes hurt nobody. Not written: the journal keeps what it was told until a block says otherwise.
            self._bring_back(rows, sent_at_block=self._state.head.number)
            return
        if rows:
            # Given up, for something else had used the nonce, and a reorg took that back: what was ours goes on.
            await self._store.commit(self._bring_back(rows))
            return
        fees = bid(self._state.head.base_fee_per_gas, self._state.tip, self._state.config.fees)
        if fees is not None:
            await self._alarm("relayer_gap", relayer.address, spent, "was never used, and others wait behind it")
            await self._transfer(relayer, spent, 0, fees)

    async def _replace(self, relayer: Relayer, latest: RelayTransaction) -> None:
        limits = self._state.config.fees
        head = self._state.head
        fresh = bid(head.base_fee_per_gas, self._state.tip, limits)
        before = Fees(latest.max_fee_per_gas, latest.max_priority_fee_per_gas)
        fees = outbid(before, fresh, limits) if fresh is not None else None
        if fees is None or latest.attempt >= self._state.config.relay.replacements_max or latest.kind == CANCEL:
            await self._alarm("relayer_stuck", relayer.address, latest.nonce, "is at the cap of fees or replacements")
            # While gas costs more than the cap a free nonce is of no use: what waits may land when the price falls.
            cancelling = outbid(before, fresh, limits, limits.cancel_fee_per_gas_max_wei) if fresh is not None else None
            if cancelling is not None:
                await self._transfer(relayer, latest.nonce, latest.attempt + 1, cancelling)
            else:
                await self._hand_over(latest)
            return
        row = self._signed(
            relayer,
            latest.nonce,
            latest.attempt + 1,
            latest.kind,
            latest.to,
            latest.data,
            latest.value,
            latest.gas_limit,
            latest.subjects,
            fees,
            latest.authorizations,
        )
        await self.send(row)

    async def _transfer(self, relayer: Relayer, nonce: int, attempt: int, fees: Fees) -> None:
        """Use a nonce up by a transfer of nothing to ourselves; whatever else was sent there may still land instead."""
        try:
            gas = await self._reader.estimate_gas(relayer.address, b"", sender=relayer.address)
        except CallReverted:
            gas = TRANSFER_GAS
        attempts = relayer.unmined.get(nonce)
        if attempt != (attempts[-1].attempt + 1 if attempts else 0):
            return  # Mined, outbid, or given back and taken meanwhile.
        row = self._signed(relayer, nonce, attempt, CANCEL, relayer.address, b"", Wei(0), gas, (), fees, ())
        await self.send(row)

    def _bring_back(self, attempts: Iterable[RelayTransaction], **doubted: BlockNumber) -> list[RelayTransaction]:
        """Every attempt at one nonce may land again: give them in order, the latest to be sent as it is.

        Of one that is only `doubted` the block stays, in which it was said to be mined.
        """
        changes = doubted or {"mined_at_block": BlockNumber(0)}
        back = sorted((row.moved(SENT, **changes) for row in attempts), key=lambda row: row.attempt)
        self._relayers[back[0].relayer].unmined[back[0].nonce] = back
        for row in back:
            self._by_hash[row.transaction_hash] = row
            self._taken.discard(row.transaction_hash)
            self._offered.discard(row.transaction_hash)
        return list(back)

    async def _hand_over(self, row: RelayTransaction) -> None:
        """Give the transaction to the node; whatever it answers, the transaction stays watched."""
        self._offered.add(row.transaction_hash)
        try:
            await self._sender.send_raw_transaction(row.raw)
            self._taken.add(row.transaction_hash)
        except FeeTooLow:
            if self._by_hash.get(row.transaction_hash) is row:  # Else a block was read meanwhile.
                # Outbid with the next head: `sent_at_block` makes it look as old as it must be.
                self._remember(row.moved(SENT, sent_at_block=BlockNumber(0)))
        except SubmitError as error:
            # Refused, consumed or unanswered: only a receipt, or the relayer's nonce at the next heads, says which.
            log.info("%s of %s: %s", row.kind, row.transaction_hash.hex(), error)

    async def _alarm(self, what: str, relayer: Address, nonce: int, detail: str) -> None:
        """Tell an operator when something begins, not with every head."""
        if (what, relayer, nonce) in self._alarmed:
            return
        self._alarmed.add((what, relayer, nonce))
        await self._notify.alarm(what, f"{relayer.hex()} nonce {nonce} {detail}")

    def _remember(self, row: RelayTransaction) -> None:
        self._by_hash[row.transaction_hash] = row
        attempts = self._relayers[row.relayer].unmined.get(row.nonce)
        if attempts is not None:
            for place, attempt in enumerate(attempts):
                if attempt.transaction_hash == row.transaction_hash:
                    attempts[place] = row

    def _signed(
        self,
        relayer: Relayer,
        nonce: int,
        attempt: int,
        kind: str,
        to: Address,
        data: bytes,
        value: Wei,
        gas: Gas,
        subjects: tuple[bytes, ...],
        fees: Fees,
        authorizations: tuple[SignedAuthorization, ...],
    ) -> RelayTransaction:
        unsigned = Transaction(
            chain_id=ChainId(self._state.config.chain.chain_id),
            nonce=nonce,
            max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
            max_fee_per_gas=fees.max_fee_per_gas,
            gas_limit=gas,
            to=to,
            value=value,
            data=data,
            authorizations=authorizations,
        )
        signature = self._signer.sign(self._keys[relayer.address], signing_hash(unsigned))
        raw, transaction_hash = with_signature(unsigned, signature)
        row = RelayTransaction(
            transaction_hash,
            relayer.address,
            nonce,
            attempt,
            kind,
            to,
            data,
            value,
            gas,
            fees.max_fee_per_gas,
            fees.max_priority_fee_per_gas,
            raw,
            subjects,
            authorizations=authorizations,
        )
        relayer.plan(row)
        self._by_hash[row.transaction_hash] = row
        return row


async def _all_ended(steps: Iterable[Awaitable[None]]) -> None:
    """Let every one end, whatever becomes of the others: what ran on beside the next head would sign beside it."""
    for error in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(error, ChainError):
            log.warning("asked again with the next head: %s", error)
        elif error is not None:
            raise error
