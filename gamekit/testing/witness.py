"""Watches a world from outside its server: what became durable, what was signed and sent, what was told and executed.

It checks the invariants at the moment at which they could break. What it knows of the journal is what a commit has
made durable, and of the server only what crosses a port: so a server cannot talk it into anything.

| invariant | checked |
|---|---|
| I1 at most one effect, exactly one or a refusal | with each block; at the end by `audit` |
| I2 acked means durable, the same key gives the same answer | with each answer and each event |
| I3 an action sits in one live slot | with each signature that may leave |
| I4 no signature without its row, one set of actions in a slot | with each signature, and each that may leave |
| I5 no relayer transaction without its row, both fees raised by what pools ask, none over the cap | with each sending |
| I5 no gap in a relayer's nonces is older than `GAP_S` | with each block |
| I6 nobody else can have the journal while a process has it | with each block |
| I7 accepted, settled, final in this order; only a reorg goes back, from final only one below it | with each event |
| I8 what may still be charged and what is charged stay within the budget | with each signature that may leave |
| I9 no signature after a revocation is durable, nothing lands after its deadline | with each signature and block |
| I10 queues, tasks and rows that wait are bounded | with each block |
| I11 what is signed, the session's own policies on chain let through | with each signature that may leave |
| I12 no key in the journal | at the end |
"""

import asyncio
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from gamekit.config import FeeConfig
from gamekit.core.action import Action
from gamekit.core.event import FINAL, REFUSED, REORGED, SETTLED, OperationEvent, RefusedEvent
from gamekit.core.journal import Event, Row
from gamekit.core.policy import Denied
from gamekit.core.relay import RelayNonce, RelayTransaction
from gamekit.core.scope import Scope
from gamekit.core.session import ENDED, REVOKING, Session
from gamekit.core.tracking import Operation, Slot
from gamekit.core.usage import charge
from gamekit.eth.session_validator import operation_digest
from gamekit.ports import SealedKey
from gamekit.testing.chain import FakeChain
from gamekit.testing.contracts import Session as OnChain
from gamekit.testing.ledger import Ledger
from gamekit.testing.wire import DecodedTransaction
from gamekit.units import UINT64_MAX, Address, BlockHash, Hash32, PermissionId, Wei

GAP_S = 240
"""Chain time, in seconds, after which a relayer's nonces have no gap any more, whatever happened meanwhile."""
REPLACE_PERCENT = 10
"""What pools ask of a replacement."""


class Break(Struct, frozen=True):
    """An invariant that does not hold."""

    invariant: str
    what: str


class Signed(Struct, frozen=True):
    """An operation that a session key has signed."""

    operation: Operation
    place: tuple[bytes, int]
    """Sender and nonce: the slot."""


class Witness:
    """Sees everything that crosses the server's ports."""

    def __init__(self, chain: FakeChain, ledger: Ledger, deadline_s: int) -> None:
        """Watch a chain and the players' books.

        Args:
            chain: the simulated one.
            ledger: what players were told.
            deadline_s: how long an operation may live, by the server's configuration.
        """
        self._deadline_s = deadline_s
        self.fees: FeeConfig | None = None
        """The server's caps; unlimited when nobody says."""
        self._gaps: dict[bytes, int] = {}
        """Since when a relayer's nonces have a gap, in chain time."""
        self.oldest_gap_s = 0
        self._latest = 0
        """The highest timestamp that any block ever had."""
        self.chain = chain
        self.ledger = ledger
        self.breaks: list[Break] = []
        self.scope_of: Callable[[Session], Scope] | None = None
        self.deaths: list[tuple[str, bool]] = []
        """Where processes died, and whether an operation was in flight then."""
        self.revoked: dict[PermissionId, int] = {}
        """Sessions whose revocation is durable, with the chain time after which nothing of theirs may land."""
        self._promised: dict[PermissionId, int] = {}
        """The same as callers were told."""
        self._wanted: list[tuple[Callable[[Row], bool], Future[Row]]] = []
        self._actions: dict[tuple[PermissionId, str], Action] = {}
        self._sessions: dict[PermissionId, Session] = {}
        self._events: set[int] = set()
        self._planned: dict[Hash32, Operation] = {}
        """By the digest that the key must sign."""
        self.was_planned: set[tuple[PermissionId, int]] = set()
        """Actions that were in a slot."""
        self._signed: dict[tuple[bytes, int], dict[bytes, Operation]] = {}
        """Operations whose signature may leave, by slot."""
        self._slots_of: dict[tuple[PermissionId, int], dict[tuple[bytes, int], None]] = {}
        """The slots in which an action was ever signed."""
        self._transactions: dict[Hash32, RelayTransaction] = {}
        self._bids: dict[tuple[bytes, int], list[DecodedTransaction]] = {}
        self._read: bytes | None = None
        """The block that was looked at last."""
        self._ran: dict[bytes, bytes] = {}
        """In which operation each call ran, on the canonical chain."""

    def fail(self, invariant: str, what: str) -> None:
        """Write down that an invariant does not hold."""
        self.breaks.append(Break(invariant, what))

    def next_row(self, wanted: Callable[[Row], bool]) -> "Future[Row]":
        """Wait for a row to become durable: whoever waits goes on before the server hears of its commit."""
        found: Future[Row] = asyncio.get_running_loop().create_future()
        self._wanted.append((wanted, found))
        return found

    # What the server does.

    def on_durable(self, rows: Sequence[Row]) -> None:
        """A commit is on disk."""
        if self._wanted:
            self._give(rows)
        for row in rows:
            if isinstance(row, Action):
                self._actions[row.permission_id, row.key] = row
            elif isinstance(row, Operation):
                digest = operation_digest(row.user_op_hash, row.permission_id, row.claimed_at, row.deadline)
                self._planned[digest] = row
                self.was_planned.update((row.permission_id, action_id) for action_id in row.action_ids)
                if row.signature and row.user_op_hash not in self._signed.get((row.sender, row.nonce), ()):
                    self._on_release(row)
            elif isinstance(row, Session):
                self._sessions[row.permission_id] = row
                if row.state in (REVOKING, *ENDED) and row.permission_id not in self.revoked:
                    self.revoked[row.permission_id] = self._latest + self._deadline_s
            elif isinstance(row, RelayTransaction):
                self._transactions[row.transaction_hash] = row
            elif isinstance(row, Event):
                self._events.add(row.cursor)

    def _give(self, rows: Sequence[Row]) -> None:
        """Give rows to those who wait for them."""
        for wanted, found in self._wanted:
            row = next(filter(wanted, rows), None)
            if row is not None and not found.done():
                found.set_result(row)
        self._wanted = [each for each in self._wanted if not each[1].done()]

    def on_conflict(self, rows: Sequence[Row], error: Exception) -> None:
        """The journal has refused a commit: only two requests with one key may ever come to that."""
        if any(isinstance(row, RelayNonce | RelayTransaction) for row in rows):
            self.fail("I5", f"the journal refused: {error}")
        elif any(isinstance(row, Slot | Operation) for row in rows):
            self.fail("I4", f"the journal refused: {error}")

    def on_signatures(self, keys: Sequence[SealedKey], digests: Sequence[Hash32]) -> None:
        """A session key has signed."""
        for key, digest in zip(keys, digests, strict=True):
            operation = self._planned.get(digest)
            if operation is None:
                if not isinstance(key, Session) or key.state not in (REVOKING, *ENDED):
                    self.fail("I4", f"digest {digest.hex()} was signed without a durable row")
                continue
            if operation.permission_id in self.revoked:
                what = f"operation {operation.user_op_hash.hex()} was signed after its session's end was durable"
                self.fail("I9", what)

    def _on_release(self, operation: Operation) -> None:
        """A signature is durable, and may leave: one that is not never does."""
        place = (operation.sender, operation.nonce)
        variants = self._signed.setdefault(place, {})
        for other in variants.values():
            if other.action_ids != operation.action_ids and self._may_land(place, other):
                self.fail("I4", f"slot {place[1] & UINT64_MAX} was signed for {other.action_ids} and now for "
                          f"{operation.action_ids}")  # fmt: skip
        variants[operation.user_op_hash] = operation
        for action_id in operation.action_ids:
            slots = self._slots_of.setdefault((operation.permission_id, action_id), {})
            for slot in slots:
                if slot != place and any(
                    action_id in each.action_ids and self._may_land(slot, each) for each in self._signed[slot].values()
                ):
                    self.fail("I3", f"action {action_id} is in slots {slot[1] & UINT64_MAX} and "
                              f"{place[1] & UINT64_MAX}, and both may land")  # fmt: skip
            slots[place] = None
        self._check_budget(operation)

    def on_send(self, raw: bytes) -> None:
        """A transaction is about to leave."""
        transaction = DecodedTransaction.read(raw)
        if transaction.hash not in self._transactions:
            self.fail("I5", f"transaction {transaction.hash.hex()} left without a durable row")
        if self.fees is not None:
            most = self.fees.max_fee_per_gas_max_wei if transaction.data else self.fees.cancel_fee_per_gas_max_wei
            if transaction.max_fee > most:
                self.fail("I5", f"nonce {transaction.nonce} bids {transaction.max_fee} wei, at most {most} are allowed")
        bids = self._bids.setdefault((transaction.sender, transaction.nonce), [])
        if any(each.hash == transaction.hash for each in bids):
            return
        for before in bids:
            if (transaction.max_fee * 100 < before.max_fee * (100 + REPLACE_PERCENT)
                    or transaction.tip * 100 < before.tip * (100 + REPLACE_PERCENT)):  # fmt: skip
                self.fail("I5", f"nonce {transaction.nonce}: {transaction.max_fee}/{transaction.tip} does not outbid "
                          f"{before.max_fee}/{before.tip}")  # fmt: skip
        bids.append(transaction)

    def on_death(self, point: str, *, crashed: bool) -> None:
        """A process ended."""
        if crashed:
            self.deaths.append((point, self.in_flight()))

    # What others see.

    def on_answer(self, session: PermissionId, key: str, action_id: int) -> None:
        """A caller was told that an action is accepted."""
        row = self._actions.get((session, key))
        if row is None or row.id != action_id:
            self.fail("I2", f"{key} was acked as action {action_id}, and the journal has {row and row.id}")

    def on_revocation(self, session: PermissionId, dead_by: int) -> None:
        """A caller was told until when something of a session may still land."""
        self._promised[session] = min(dead_by, self._promised.get(session, dead_by))

    def on_told(self, events: Sequence[Event]) -> None:
        """A listener was told events."""
        for event in events:
            if event.cursor not in self._events:
                self.fail("I2", f"event {event.cursor} ({event.kind}) was told before it was durable")
            if event.kind in (SETTLED, REORGED, FINAL):
                body = msgspec.msgpack.decode(event.body, type=OperationEvent)
                if body.user_op_hash not in self.chain.ever.get(BlockHash(body.block_hash), ()):
                    where = f"{body.user_op_hash.hex()} in block {body.block_hash.hex()}"
                    self.fail("I7", f"{event.kind} was told of {where}, where it never was")
                for action in body.actions:
                    self._tell(action.key, event.kind, body.user_op_hash.hex(), action.ok)
            elif event.kind == REFUSED:
                for action in msgspec.msgpack.decode(event.body, type=RefusedEvent).actions:
                    self._tell(action.key, event.kind, "", ok=False)

    def _tell(self, key: str, kind: str, user_op_hash: str, ok: bool) -> None:
        entry = self.ledger.entries[key]
        before = entry.told[-1].kind if entry.told else ""
        allowed: dict[str, tuple[str, ...]] = {
            "": (SETTLED, REFUSED),
            SETTLED: (REORGED, FINAL),
            REORGED: (SETTLED, REFUSED),
        }
        if self.chain.is_finality_broken:
            allowed[FINAL] = (REORGED,)
        if kind not in allowed.get(before, ()):
            self.fail("I7", f"{key} was told {kind} after {before or 'nothing'}")
        entry.tell(kind, user_op_hash, ok=ok)

    def on_block(self) -> None:
        """The chain has moved: look at what it executed."""
        blocks = self.chain.blocks
        self._latest = max(self._latest, blocks[-1].head.timestamp)
        if self._read is not None and blocks[-1].head.parent_hash == self._read:
            fresh = blocks[-1:]
        else:  # A reorg: what counts is what the chain says now.
            self._ran.clear()
            fresh = blocks
        self._read = blocks[-1].head.hash
        for each in (each for block in fresh for each in block.executed):
            before = self._ran.setdefault(each.call.data, each.user_op_hash)
            if before != each.user_op_hash:
                self.fail("I1", f"{each.call.data.hex()} ran in {before.hex()} and {each.user_op_hash.hex()}")
        self._look_for_gaps()
        top = blocks[-1]
        for each in top.executed:
            for variants in self._signed.values():
                operation = variants.get(each.user_op_hash)
                if operation is None:
                    continue
                permission = operation.permission_id
                for deadlines in (self.revoked, self._promised):
                    if top.head.timestamp > deadlines.get(permission, 1 << 62):
                        self.fail("I9", f"{each.user_op_hash.hex()} landed after the revocation's deadline")

    def _look_for_gaps(self) -> None:
        """A transaction that waits behind a nonce that nothing uses is stuck until somebody fills it."""
        top, lowest = self.chain.top, dict[bytes, int]()
        for tx in self.chain.pending:
            if tx.raw:
                lowest[tx.sender] = min(tx.nonce, lowest.get(tx.sender, tx.nonce))
        gaps = [sender for sender, nonce in lowest.items() if nonce > top.world.counts.get(Address(sender), 0)]
        self._gaps = {sender: self._gaps.get(sender, top.head.timestamp) for sender in gaps}
        for sender, since in self._gaps.items():
            age = top.head.timestamp - since
            self.oldest_gap_s = max(self.oldest_gap_s, age)
            if age > GAP_S:
                self.fail("I5", f"relayer {sender.hex()} has had a gap in its nonces for {age} s")

    # What follows from it.

    def in_flight(self) -> bool:
        """Whether an operation that a session key signed may still land, and is in no final block."""
        return any(
            self._may_land(place, each) for place, variants in self._signed.items() for each in variants.values()
        )

    def lanes(self) -> list[tuple[Address, int]]:
        """Accounts, with the nonce keys that sessions of theirs have signed on."""
        return list(dict.fromkeys((Address(sender), nonce >> 64) for sender, nonce in self._signed))

    def actions(self) -> list[Action]:
        """The durable row of every action, as it was written last."""
        return list(self._actions.values())

    def action(self, session: PermissionId, key: str) -> Action | None:
        """The durable row of an action, as it was written last."""
        return self._actions.get((session, key))

    def _may_land(self, place: tuple[bytes, int], operation: Operation) -> bool:
        """Whether an operation can be in a block that comes, by what is final now."""
        final = self.chain.blocks[max(0, len(self.chain.blocks) - 1 - self.chain.finality)]
        _, nonce = place
        consumed = final.world.nonces.get((operation.sender, nonce >> 64), 0) > nonce & UINT64_MAX
        return not consumed and operation.deadline >= final.head.timestamp

    def _check_budget(self, operation: Operation) -> None:
        session = self._sessions.get(operation.permission_id)
        record = self.chain.top.world.sessions.get(operation.permission_id)
        if session is None or record is None:
            return
        top = self.chain.top.world.nonces
        reserved = sum(
            max(each.max_cost for each in variants.values())
            for (_, nonce), variants in self._signed.items()
            if next(iter(variants.values())).permission_id == operation.permission_id
            and top.get((operation.sender, nonce >> 64), 0) <= nonce & UINT64_MAX
            and any(self._may_land((operation.sender, nonce), each) for each in variants.values())
        )
        self._check_policies(operation, record, top)
        budget = record.scope.gas.budget_wei
        if record.usage.gas_spent_wei + reserved > budget:
            self.fail("I8", f"{record.usage.gas_spent_wei} spent and {reserved} reserved pass the budget of {budget}")

    def _check_policies(self, operation: Operation, record: OnChain, nonces: Mapping[tuple[Address, int], int]) -> None:
        """What validation would charge, by the chain's own books: game calls of simulated worlds carry no value."""
        is_next = nonces.get((operation.sender, operation.nonce >> 64), 0) == operation.sequence
        if record.state != 1 or not is_next:
            return
        if (operation.paymaster or None) != record.scope.gas.paymaster:
            self.fail("I11", f"{operation.user_op_hash.hex()} is signed for another paymaster than the session's")
        calls, cost = len(operation.action_ids), operation.max_cost
        charged = charge(record.scope, record.usage, operation.claimed_at, calls, Wei(0), (0, 0), cost)
        if isinstance(charged, Denied):
            self.fail("I11", f"{operation.user_op_hash.hex()} is signed, and {charged.policy} refuses it")

    def check_spent(self) -> None:
        """At the end: no session was charged more gas than it may spend."""
        for permission, session in self.chain.top.world.sessions.items():
            spent, budget = session.usage.gas_spent_wei, session.scope.gas.budget_wei
            if spent > budget:
                self.fail("I8", f"session {permission.hex()} was charged {spent} wei of gas for a budget of {budget}")
