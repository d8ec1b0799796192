"""Self-bundling: signed operations into handleOps transactions of our own relayers.

A transaction is durable, and its operations are marked sent, before it leaves the process. What a node answers is a
hint: only a receipt in a canonical block says what happened. So a lost answer is treated as sent, and every unmined
transaction is sent again, byte for byte or with both fees raised, until its nonce is consumed.
"""

import asyncio
from collections.abc import Iterable, Sequence

from gamekit.core import relay
from gamekit.core.journal import Row
from gamekit.core.relay import HANDLE_OPS, Bundle
from gamekit.core.sponsoring import rejection
from gamekit.core.tracking import RELEASED, SENT, Operation
from gamekit.errors import CallReverted, ChainUnavailable, EncodingInvalid, PaymasterRejected
from gamekit.eth.block import Head, TransactionReceipt
from gamekit.eth.entry_point import FailedOp, decode_failed_op, encode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.user_operation import UserOperation
from gamekit.ports import ChainReader, Store
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import Notify
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.state import State
from gamekit.units import Address, Gas, UserOpHash

SUSPECT_BLOCKS = 64
"""How long the accounts of a bundle that was reverted on chain travel alone."""


def wants_gas(failed: FailedOp) -> bool:
    """Whether validation may have failed for want of gas: the entry point says so, or a revert that says nothing."""
    code = failed.reason[:4]
    return code in ("AA26", "AA36", "AA40", "AA41") or (code in ("AA23", "AA33") and not failed.inner)


class Bundler(Follower):
    """Collects signed operations and sends them in bundles."""

    def __init__(self, state: State, store: Store, chain: ChainReader, relayers: Relayers, notify: Notify) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._relayers = relayers
        self._notify = notify
        self._queue: dict[bytes, Operation] = {}
        """Operations to bundle, by hash, in the order in which they were signed."""
        self._sending: set[bytes] = set()
        """Operations between the queue and a transaction: being simulated or written."""
        self._suspects: dict[Address, int] = {}
        """Accounts in a bundle that the chain reverted after its simulation, and the height until which each travels
        alone: one account can make a bundle fail, and must not do it to the others again."""
        self._wake = asyncio.Event()

    def add(self, operation: Operation) -> None:
        """Bundle a signed operation soon; one that is on its way already is not queued twice."""
        if operation.user_op_hash not in self._sending:
            self._queue[operation.user_op_hash] = operation
            self._wake.set()

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> Sequence[Row]:
        """Suspect every account of a bundle that was reverted."""
        rows: list[Row] = []
        for receipt in receipts:
            hashes = () if receipt.succeeded else self._relayers.subjects(receipt.transaction_hash)
            for user_op_hash in hashes:
                live = self._state.slots_by_operation.get(UserOpHash(user_op_hash))
                if live is None or live.included():
                    continue
                self._suspects[live.slot.sender] = head.number + SUSPECT_BLOCKS
                if len(hashes) == 1:
                    # It was alone: asked about again now and then only, since each answer costs a transaction.
                    operation = live.variants[UserOpHash(user_op_hash)]
                    rejected = operation.moved(operation.state, rejected="reverted on chain, alone in its bundle")
                    self._remember([rejected])
                    rows.append(rejected)
        return rows

    async def on_head(self) -> None:
        """A new head: relayers may be free again."""
        number = self._state.head.number
        self._suspects = {account: until for account, until in self._suspects.items() if until >= number}
        if self._queue:
            self._wake.set()

    async def run(self) -> None:
        """Send bundles until cancelled."""
        age_s = self._state.config.relay.bundle_age_ms_max / 1000
        while True:
            await self._wake.wait()
            await asyncio.sleep(age_s)
            self._wake.clear()
            await self.send_queued()

    async def send_queued(self) -> None:
        """Split what is queued into bundles and send each by a free relayer; what finds none stays queued."""
        config = self._state.config
        queued, self._queue = self._queue, {}
        by_entry_point: dict[Address, list[Operation]] = {}
        for operation in self._unsettled(queued.values()):
            entry_point = self._state.slots_by_operation[operation.user_op_hash].slot.entry_point
            by_entry_point.setdefault(entry_point, []).append(operation)
        ready = [
            bundle
            for entry_point, operations in by_entry_point.items()
            for bundle in relay.bundles(
                entry_point,
                operations,
                config.chain.transaction_gas_max,
                config.relay.operations_max,
                self._suspects,
            )
        ]
        free = self._relayers.free_slots()
        for bundle in ready[free:]:
            self._queue.update((operation.user_op_hash, operation) for operation in bundle.operations)
        await asyncio.gather(*[self._send(bundle) for bundle in ready[:free]])

    async def _send(self, bundle: Bundle) -> None:
        hashes = {operation.user_op_hash for operation in bundle.operations}
        self._sending |= hashes
        try:
            await self._simulate_and_send(bundle)
        finally:
            self._sending -= hashes

    async def _simulate_and_send(self, bundle: Bundle) -> None:
        operations = bundle.operations
        if self._state.config.relay.simulate:
            operations = self._unsettled(await self._without_failing(bundle))
        if not operations:
            return
        version = self._version(operations[0])
        relayer = self._relayers.take()
        if relayer is None:
            self._queue.update((operation.user_op_hash, operation) for operation in operations)
            return
        calldata = encode_handle_ops(self._submissions(operations), relayer.address, version)
        gas = min(relay.bundle_gas(operations), self._state.config.chain.transaction_gas_max)
        transaction = self._relayers.sign(
            relayer, HANDLE_OPS, bundle.entry_point, calldata, Gas(gas), [op.user_op_hash for op in operations]
        )
        if transaction is None:
            self._queue.update((operation.user_op_hash, operation) for operation in operations)
            return
        sent = [op.moved(SENT, transaction_hash=transaction.transaction_hash, rejected="") for op in operations]
        self._remember(sent)
        await self._relayers.send(transaction, sent)

    async def _without_failing(self, bundle: Bundle) -> tuple[Operation, ...]:
        """Ask the chain what it would say; take out, one by one, the operations that it names.

        Validation is all that can make handleOps revert; an operation whose calls revert is included all the same.
        """
        operations = bundle.operations
        while operations := self._unsettled(operations):
            version = self._version(operations[0])
            sender = self._relayers.any_address()
            calldata = encode_handle_ops(self._submissions(operations), sender, version)
            try:
                gas = relay.bundle_gas(operations)
                await self._chain.call(bundle.entry_point, calldata, sender=sender, gas=gas)
            except CallReverted as error:
                failed = decode_failed_op(error.data)
                if failed is None or failed.operation_index >= len(operations):
                    if len(operations) > 1:
                        # It names nobody: look for it in halves, so that the others are not held up.
                        rest = operations[len(operations) // 2 :]
                        self._queue.update((operation.user_op_hash, operation) for operation in rest)
                        self._wake.set()
                        operations = operations[: len(operations) // 2]
                        continue
                    failed = FailedOp(0, "the bundle reverted and named no operation", None, error.data)
                await self._reject(operations[failed.operation_index], failed)
                operations = (*operations[: failed.operation_index], *operations[failed.operation_index + 1 :])
            except ChainUnavailable:
                self._queue.update((operation.user_op_hash, operation) for operation in operations)
                return ()
            else:
                return operations
        return ()

    async def _reject(self, operation: Operation, failed: FailedOp) -> None:
        """The chain would not take it now. It stays in its slot: only its deadline, in finalized time, frees it."""
        now = self._unsettled((operation,))
        if not now:
            return  # Included while the chain was asked: that is why it would not take it again.
        if failed.reason.startswith("AA22") and operation.claimed_at >= self._state.head.timestamp:
            # Signed on a later block than the one that a reorg has left: due with the next.
            self._queue[operation.user_op_hash] = now[0]
            return
        error = rejection(failed)
        live = self._state.slots_by_operation[operation.user_op_hash]
        is_news = not any(each.rejected for each in live.variants.values())
        rejected = now[0].moved(now[0].state, rejected=str(error)[:512])
        self._remember([rejected])
        if failed.reason.startswith("AA25"):
            # Its block is not read yet; or the lane's sequence is not the chain's, and must be asked for again.
            self._state.lanes[operation.permission_id].usage_known = False
        if wants_gas(failed) and live.gas_percent == 100:
            live.give_gas()
        elif failed.reason.startswith(("AA23", "AA24")):
            self._state.doubted.add(operation.permission_id)
        await self._store.commit((rejected,))
        if isinstance(error, PaymasterRejected) and await self._stop(rejected, error):
            return
        if is_news and "AA25" not in failed.reason:
            await self._notify.alarm("operation_rejected", f"{operation.user_op_hash.hex()}: {rejected.rejected}")

    async def _stop(self, operation: Operation, error: PaymasterRejected) -> bool:
        """The paymaster met a limit: nothing more is accepted for whom it concerns. Whether it says so by itself."""
        state = self._state
        session, now = state.sessions.get(operation.permission_id), state.head.timestamp
        if session is None:
            return False  # It ended for good while the rejection was written.
        known = state.stops.find(session, operation.paymaster, now)
        stop = state.stops.note(session, operation.paymaster, operation.max_cost, error, now)
        if stop is not None and known is None:
            concerned = "/".join(part if isinstance(part, str) else part.hex() for part in stop.subject)
            await self._notify.alarm("sponsorship_stopped", f"{concerned}: {error}")
        return stop is not None

    def _submissions(self, operations: Sequence[Operation]) -> list[UserOperation]:
        """The operations as they are submitted."""
        state = self._state
        return [
            state.lanes[operation.permission_id].codec.submission(
                operation, state.slots_by_operation[operation.user_op_hash].call_data
            )
            for operation in operations
        ]

    def _unsettled(self, operations: Iterable[Operation]) -> tuple[Operation, ...]:
        """Those that may still land, as they are now.

        Blocks are read while the chain is asked about a bundle: what was included, by whomever, or superseded or given
        up meanwhile must not be marked sent.
        """
        slots = self._state.slots_by_operation
        found = [(slots.get(operation.user_op_hash), operation.user_op_hash) for operation in operations]
        now = [live.variants[user_op_hash] for live, user_op_hash in found if live is not None and not live.included()]
        return tuple(operation for operation in now if operation.state in RELEASED)

    def _remember(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            live = self._state.slots_by_operation.get(operation.user_op_hash)
            if live is not None:
                live.variants[operation.user_op_hash] = operation

    def _version(self, operation: Operation) -> EntryPointVersion:
        session = self._state.sessions.get(operation.permission_id)
        if session is None:
            raise EncodingInvalid(f"no session for operation {operation.user_op_hash.hex()}")
        return EntryPointVersion(session.entry_point_version)
