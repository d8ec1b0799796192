"""A chain in memory, deterministic: it mines when told to, and can be made to reorganise, to forget and to keep silent.
Honest where the runtime decides by it: EIP-1559 transactions are decoded and their senders recovered, pools ask a
replacement for 10 % on both fees, handleOps is decoded and its operations are checked (nonce by key, signature, times,
session, charges), the EntryPoint's events are written as it writes them, a failing operation reverts the whole bundle.
Not modelled: gas used, balances of accounts, the owner's signature over a grant, calldata rules of a scope.
"""

from collections.abc import Callable, Sequence
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from gamekit.accounts.reference import ACCOUNT_ADDRESS, TRY_EXECUTE_FAIL
from gamekit.core.policy import Denied
from gamekit.core.scope import Scope
from gamekit.core.usage import Usage, charge, time_range
from gamekit.errors import CallReverted, ChainUnavailable, FeeTooLow, SubmitError, SubmitterUnavailable
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.calldata import Call, decode_execute
from gamekit.eth.entry_point import (
    BEFORE_EXECUTION,
    FAILED_OP,
    GET_NONCE,
    HANDLE_OPS,
    REVERT_REASON,
    USER_OPERATION_EVENT,
    decode_handle_ops,
)
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256
from gamekit.eth.rlp import rlp_encode
from gamekit.eth.scope_form import ScopeForm
from gamekit.eth.session_opener import OPEN
from gamekit.eth.session_validator import decode_envelope, operation_digest, permission_id, revoke_digest
from gamekit.eth.session_validator_abi import (
    ACCOUNT_OF,
    ALL_SESSIONS_REVOKED,
    REVOKE_SESSION_WITH_SIGNATURE,
    SESSION_GRANTED,
    SESSION_OF,
    SESSION_REVOKED,
)
from gamekit.eth.signature import recover_address
from gamekit.eth.user_op_hash import hash_on_chain_form
from gamekit.eth.user_operation import PackedUserOperation, UserOperation, pack
from gamekit.units import Address, BlockHash, BlockNumber, ChainId, Gas, Hash32, UnixSeconds, UserOpHash, Wei
from tests.runtime.wire import DecodedTransaction, dynamic, event_log, max_cost, rlp_decode, words

CHAIN_ID = ChainId(31337)
GENESIS_AT = 1_800_000_000
BLOCK_S = 2


class Executed(Struct, frozen=True):
    """One call that the chain ran: (operation, place in it) names it once and for all."""

    user_op_hash: UserOpHash
    place: int
    account: Address
    call: Call
    reverted: bool


class Session(Struct, frozen=True):
    scope: Scope
    usage: Usage = Usage()
    state: int = 1


class World(Struct):
    """State after a block."""

    nonces: dict[tuple[Address, int], int]
    counts: dict[Address, int]
    sessions: dict[bytes, Session]
    delegates: dict[Address, Address]

    def copy(self) -> "World":
        return World(dict(self.nonces), dict(self.counts), dict(self.sessions), dict(self.delegates))


class Block(Struct):
    head: Head
    world: World
    transactions: list[DecodedTransaction]
    receipts: tuple[TransactionReceipt, ...]
    executed: list[Executed]


class Refusal(Exception):
    """An operation that validation refuses: its place, the reason."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(place, reason)
        self.data = FAILED_OP.encode(place, reason)


class FakeChain:
    """Implements `ports.ChainReader` and `ports.TransactionSender`."""

    def __init__(self, entry_point: Address, module: Address, opener: Address, owner_validator: Address) -> None:
        self.entry_point, self.module, self.opener = entry_point, module, opener
        self.owner_validator = owner_validator
        self.reverts: Callable[[Call], bytes | None] = lambda call: None
        """What a game call reverts with; None lets it succeed."""
        self.treacherous: set[Address] = set()
        """Accounts whose validation agrees when it is asked, and reverts when it is mined."""
        self._mining = False
        self.garble = False
        """Whether accounts report failures of calls that they never made."""
        self.finality = 2
        """Blocks between the head and the last final one."""
        self.base_fee = Wei(10**9)
        self.codes: dict[Address, bytes] = {}
        self.words: dict[tuple[Address, Hash32], Hash32] = {}
        """Storage of contracts; zero wherever nothing is said."""
        self.strange_logs: list[Log] = []
        """Of contracts that are not modelled."""
        self.answers: dict[tuple[Address, bytes], bytes] = {}
        """What contracts answer to calls, by (contract, calldata)."""
        self.balances: dict[Address, Wei] = {}
        self.pending: list[DecodedTransaction] = []
        self.silent_after = 0
        """So many sends are taken, and their replies lost."""
        self.deaf = 0
        """So many sends are said to be taken, and forgotten."""
        self.down = 0
        """So many reads are not answered."""
        self.sent: list[bytes] = []
        self._salt = 0
        genesis = Head(BlockNumber(0), BlockHash(keccak256(b"genesis")), BlockHash(bytes(32)),
                       UnixSeconds(GENESIS_AT), self.base_fee, Gas(30_000_000))  # fmt: skip
        self.blocks = [Block(genesis, World({}, {}, {}, {}), [], (), [])]

    # What tests do to it.

    def mine(self, count: int = 1, *, seconds: int = BLOCK_S, empty: bool = False) -> None:
        """Mine blocks; the first takes all that is pending, unless `empty`."""
        for _ in range(count):
            self._mine([] if empty else self._ready(), seconds)

    def reorg(self, depth: int, *, forget: bool = False, length: int | None = None) -> None:
        """Replace the highest blocks by empty ones; what was in them is pending again unless it is forgotten."""
        orphaned = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        self._salt += 1
        for _ in range(depth if length is None else length):
            self._mine([], BLOCK_S)
        if not forget:
            self.pending = [tx for block in orphaned for tx in block.transactions] + self.pending

    def run(self, operations: Sequence[PackedUserOperation], sender: Address = Address(b"\xbb" * 20)) -> None:
        """Let somebody else bundle operations, in the next block."""
        rows = [tuple(getattr(op, name) for name in op.__struct_fields__) for op in operations]
        self.push(sender, self.entry_point, HANDLE_OPS.encode_call(rows, sender))

    def run_unpacked(self, operations: Sequence[UserOperation]) -> None:
        """The same for operations in the standard's own form."""
        self.run([cast("PackedUserOperation", pack(operation, EntryPointVersion.V07)) for operation in operations])

    def push(self, sender: Address, to: Address, data: bytes) -> None:
        """Put a transaction of anybody into the pool."""
        nonce = self._pending_count(sender)
        digest = keccak256(sender + to + data + nonce.to_bytes(8, "big"))
        self.pending.append(DecodedTransaction(digest, sender, nonce, to, data, 10**12, 10**12, b""))

    def consume(self, account: Address, key: int) -> None:
        """Let an operation that is none of ours use up the account's next sequence on a key, in the next block."""
        self.push(Address(b"\xcc" * 20), self.entry_point, b"consume" + account + key.to_bytes(24, "big"))

    def revoke(self, permission: bytes, emitter: bytes | None = None) -> None:
        """Let the owner revoke a session on chain, in the next block."""
        self.push(Address(b"\xdd" * 20), self.module, b"revoke!" + permission + (emitter or self.module))

    def revoke_all(self, account: Address) -> None:
        """Let the owner revoke all sessions of an account, in the next block."""
        self.push(Address(b"\xdd" * 20), self.module, b"revoke*" + account)

    def drop(self) -> None:
        """Forget everything pending."""
        self.pending.clear()

    def operations(self) -> list[PackedUserOperation]:
        """The operations of pending bundles, in order."""
        return [op for tx in self.pending for op in self.operations_of(tx)]

    def operations_of(self, tx: DecodedTransaction) -> list[PackedUserOperation]:
        """The operations of a transaction; none if it is no bundle."""
        return self.read_bundle(tx.data)

    @staticmethod
    def read_bundle(data: bytes) -> list[PackedUserOperation]:
        """The operations of a bundle's calldata; none of any other."""
        if data[:4] != HANDLE_OPS.selector:
            return []
        return [cast("PackedUserOperation", op) for op in decode_handle_ops(data).operations]

    def hash_of(self, op: PackedUserOperation) -> UserOpHash:
        """What the EntryPoint calls an operation."""
        return hash_on_chain_form(op, EntryPointVersion.V07, self.entry_point, CHAIN_ID)

    @property
    def executed(self) -> list[Executed]:
        """What ran on the canonical chain, in order."""
        return [each for block in self.blocks for each in block.executed]

    @property
    def top(self) -> Block:
        return self.blocks[-1]

    # ports.ChainReader

    async def chain_id(self) -> ChainId:
        return CHAIN_ID

    async def head(self) -> Head:
        self._answer()
        return self.top.head

    async def block(self, number: BlockNumber) -> Head | None:
        self._answer()
        return self.blocks[number].head if number < len(self.blocks) else None

    async def finalized(self) -> Head:
        self._answer()
        return self.blocks[max(0, len(self.blocks) - 1 - self.finality)].head

    async def receipts(self, block: Head) -> tuple[TransactionReceipt, ...]:
        self._answer()
        return self._at(block.hash).receipts

    async def transaction_data(self, transaction_hash: Hash32) -> bytes:
        return next(tx.data for block in self.blocks for tx in block.transactions if tx.hash == transaction_hash)

    async def call(self, to: Address, data: bytes, *, sender: Address | None = None, gas: Gas | None = None,
                   block: BlockHash | None = None) -> bytes:  # fmt: skip
        self._answer()
        if (to, data) in self.answers:
            return self.answers[to, data]
        world = self._world(block)
        if data[:4] == ACCOUNT_ADDRESS.selector:
            return keccak256(b"account" + data)[12:].rjust(32, b"\0")
        if data[:4] == ACCOUNT_OF.selector:
            return words(0, 0, 0, 0, 0)
        if data[:4] == SESSION_OF.selector:
            return self._session_of(world, data)
        if data[:4] == GET_NONCE.selector:
            account, key = cast("tuple[Address, int]", GET_NONCE.decode_call(data))
            return words(key << 64 | world.nonces.get((account, key), 0))
        try:
            self._execute(world.copy(), to, data, UnixSeconds(self.top.head.timestamp + BLOCK_S), [])
        except Refusal as refusal:
            raise CallReverted(f"execution reverted: {refusal}", refusal.data) from refusal
        return b""

    async def logs(self, topics: Sequence[Sequence[Hash32]], first: BlockNumber, most: int) -> tuple[Log, ...]:
        self._answer()
        asked = [log for log in self.strange_logs if all(log.topics[at] in each for at, each in enumerate(topics))]
        return tuple(asked[-most:])

    async def code(self, address: Address, *, block: BlockHash | None = None) -> bytes:
        self._answer()
        return self.codes.get(address, b"\x60")

    async def storage(self, address: Address, slot: Hash32) -> Hash32:
        self._answer()
        return self.words.get((address, slot), Hash32(bytes(32)))

    async def balance(self, address: Address) -> Wei:
        self._answer()
        return self.balances.get(address, Wei(10**18))

    async def transaction_count(
        self, address: Address, *, pending: bool = False, block: BlockHash | None = None
    ) -> int:
        self._answer()
        return self._pending_count(address) if pending else self._world(block).counts.get(address, 0)

    async def estimate_gas(self, to: Address, data: bytes, *, sender: Address, authorizations: object = ()) -> Gas:
        await self.call(to, data, sender=sender)
        return Gas(100_000)

    async def max_priority_fee_per_gas(self) -> Wei:
        self._answer()
        return Wei(10**8)

    async def send_raw_transaction(self, raw: bytes) -> None:
        self.sent.append(raw)
        transaction = DecodedTransaction.read(raw)
        if self.deaf:
            self.deaf -= 1
            return
        self._pool(transaction)
        if self.silent_after:
            self.silent_after -= 1
            raise SubmitterUnavailable("the reply was lost")

    def _answer(self) -> None:
        if self.down:
            self.down -= 1
            raise ChainUnavailable("the node does not answer")

    def _at(self, block: BlockHash) -> Block:
        found = next((each for each in self.blocks if each.head.hash == block), None)
        if found is None:
            raise ChainUnavailable("the node no longer has this block")
        return found

    def _world(self, block: BlockHash | None) -> World:
        return (self.top if block is None else self._at(block)).world

    def _pool(self, transaction: DecodedTransaction) -> None:
        if transaction.nonce < self.top.world.counts.get(transaction.sender, 0):
            raise SubmitError("nonce too low")
        same = [tx for tx in self.pending if (tx.sender, tx.nonce) == (transaction.sender, transaction.nonce)]
        for tx in same:
            if tx.hash == transaction.hash:
                return
            if 10 * transaction.max_fee < 11 * tx.max_fee or 10 * transaction.tip < 11 * tx.tip:
                raise FeeTooLow("replacement transaction underpriced")
            self.pending.remove(tx)
        self.pending.append(transaction)

    def _pending_count(self, sender: Address) -> int:
        nonces = [tx.nonce + 1 for tx in self.pending if tx.sender == sender]
        return max([self.top.world.counts.get(sender, 0), *nonces])

    def _ready(self) -> list[DecodedTransaction]:
        """What the next block can take: each sender's nonces without a gap, fees above the base fee."""
        counts = dict(self.top.world.counts)
        ready = []
        for tx in sorted(self.pending, key=lambda tx: tx.nonce):
            if tx.nonce == counts.get(tx.sender, 0) and tx.max_fee >= self.base_fee:
                counts[tx.sender] = tx.nonce + 1
                ready.append(tx)
        order = {tx.hash: place for place, tx in enumerate(self.pending)}
        return sorted(ready, key=lambda tx: (tx.nonce, order[tx.hash]))

    def _mine(self, transactions: list[DecodedTransaction], seconds: int) -> None:
        parent = self.top
        number = BlockNumber(parent.head.number + 1)
        at = UnixSeconds(parent.head.timestamp + seconds)
        seed = parent.head.hash + number.to_bytes(8, "big") + self._salt.to_bytes(8, "big") + at.to_bytes(8, "big")
        block_hash = BlockHash(keccak256(seed + b"".join(tx.hash for tx in transactions)))
        head = Head(number, block_hash, parent.head.hash, at, self.base_fee, Gas(30_000_000))
        world = parent.world.copy()
        executed: list[Executed] = []
        receipts = tuple(self._transact(world, tx, head, executed) for tx in transactions)
        self.blocks.append(Block(head, world, transactions, receipts, executed))
        mined = {(tx.sender, tx.nonce) for tx in transactions}
        self.pending = [tx for tx in self.pending if (tx.sender, tx.nonce) not in mined]

    def _transact(
        self, world: World, tx: DecodedTransaction, head: Head, executed: list[Executed]
    ) -> TransactionReceipt:
        world.counts[tx.sender] = tx.nonce + 1
        draft, ran = world.copy(), []  # type: ignore[var-annotated]
        self._mining = True
        try:
            logs = self._execute(draft, tx.to, tx.data, head.timestamp, ran)
        except Refusal:
            logs, succeeded = [], False
        else:
            succeeded = True
            executed.extend(ran)
            world.nonces, world.sessions = draft.nonces, draft.sessions
        finally:
            self._mining = False
        numbered = tuple(replace(log, index=index) for index, log in enumerate(logs))
        return TransactionReceipt(tx.hash, head.hash, head.number, tx.sender, tx.to, succeeded, Gas(100_000),
                                  Wei(10**9), numbered)  # fmt: skip

    def _execute(self, world: World, to: Address, data: bytes, at: UnixSeconds, executed: list[Executed]) -> list[Log]:
        if data[:4] == HANDLE_OPS.selector and to == self.entry_point:
            return self._handle_ops(world, data, at, executed)
        if data[:4] == OPEN.selector:
            return self._grant(world, data)
        if data[:4] == REVOKE_SESSION_WITH_SIGNATURE.selector:
            return self._revoke(world, data)
        if data.startswith(b"consume"):
            account, key = Address(data[7:27]), int.from_bytes(data[27:], "big")
            sequence = world.nonces.get((account, key), 0)
            world.nonces[account, key] = sequence + 1
            return [self._closing(UserOpHash(keccak256(data)), account, key << 64 | sequence, True)]
        if data.startswith(b"revoke!"):
            permission, emitter = data[7:39], Address(data[39:])
            session = world.sessions.get(permission)
            if session is not None and emitter == self.module:
                world.sessions[permission] = replace(session, state=2)
            return [event_log(emitter, SESSION_REVOKED.topic, bytes(32), permission)]
        if data.startswith(b"revoke*"):
            world.sessions = {key: replace(each, state=2) for key, each in world.sessions.items()}
            return [event_log(self.module, ALL_SESSIONS_REVOKED.topic, data[7:].rjust(32, b"\0"), data=words(2))]
        return []

    def _handle_ops(self, world: World, data: bytes, at: UnixSeconds, executed: list[Executed]) -> list[Log]:
        operations = self.read_bundle(data)
        hashes = [self._validate(world, place, op, at) for place, op in enumerate(operations)]
        logs = [event_log(self.entry_point, BEFORE_EXECUTION.topic)]
        for op, hashed in zip(operations, hashes, strict=True):
            logs += self._run(op, hashed, executed)
        return logs

    def _validate(self, world: World, place: int, op: PackedUserOperation, at: UnixSeconds) -> UserOpHash:
        key, sequence = op.nonce >> 64, op.nonce & (1 << 64) - 1
        if world.nonces.get((op.sender, key), 0) != sequence:
            raise Refusal(place, "AA25 invalid account nonce")
        hashed = self.hash_of(op)
        if key >> 32 == int.from_bytes(self.owner_validator, "big"):
            if op.signature != b"owner's signature":
                raise Refusal(place, "AA24 signature error")
            world.nonces[op.sender, key] = sequence + 1
            return hashed
        if self._mining and op.sender in self.treacherous:
            raise Refusal(place, "AA23 reverted")
        calls = decode_execute(op.call_data).calls
        envelope = decode_envelope(op.signature, len(calls))
        permission = permission_id(CHAIN_ID, self.module, op.sender, envelope.scope)
        session = world.sessions.get(permission)
        if session is None or session.state != 1:
            raise Refusal(place, "AA23 reverted")
        scope = session.scope
        digest = operation_digest(hashed, permission, envelope.claimed_at, envelope.deadline)
        if recover_address(digest, envelope.signature) != scope.signer or scope.nonce_key != key:
            raise Refusal(place, "AA24 signature error")
        if (op.paymaster_and_data[:20] or None) != scope.gas.paymaster:
            raise Refusal(place, "AA23 reverted")
        cost = max_cost(op)
        value = Wei(sum(call.value for call in calls))
        charged = charge(scope, session.usage, envelope.claimed_at, len(calls), value, (0, 0), cost)
        if isinstance(charged, Denied):
            raise Refusal(place, "AA23 reverted")
        window = time_range(scope, envelope.claimed_at, envelope.deadline)
        if isinstance(window, Denied) or not window[0] <= at <= window[1]:
            raise Refusal(place, "AA22 expired or not due")
        world.nonces[op.sender, key] = sequence + 1
        world.sessions[permission] = replace(session, usage=charged)
        return hashed

    def _run(self, op: PackedUserOperation, hashed: UserOpHash, executed: list[Executed]) -> list[Log]:
        mode, calls = decode_execute(op.call_data)
        failures = {place: data for place, call in enumerate(calls) if (data := self.reverts(call)) is not None}
        undone = bool(failures) and not mode.is_try
        for place, call in enumerate(calls):
            executed.append(Executed(hashed, place, op.sender, call, undone or place in failures))
        if undone:
            reason = REVERT_REASON.topic, hashed, op.sender.rjust(32, b"\0")
            told = words(op.nonce, 64) + dynamic(next(iter(failures.values())))
            return [event_log(self.entry_point, *reason, data=told), self._closing(hashed, op.sender, op.nonce, False)]
        logs = [
            event_log(op.sender, TRY_EXECUTE_FAIL.topic, data=words(place, 64) + dynamic(data))
            for place, data in ({len(calls) + 7: b""} if self.garble else failures).items()
        ]
        return [*logs, self._closing(hashed, op.sender, op.nonce, True)]

    def _closing(self, hashed: UserOpHash, sender: Address, nonce: int, success: bool) -> Log:
        topics = (USER_OPERATION_EVENT.topic, hashed, sender.rjust(32, b"\0"), bytes(32))
        return event_log(self.entry_point, *topics, data=words(nonce, int(success), 10**14, 100_000))

    def _grant(self, world: World, data: bytes) -> list[Log]:
        account, _, _, _, module, grants = cast("tuple[Address, ...]", OPEN.decode_call(data))
        logs = []
        for packed, functions, _, _, signature in cast(
            "tuple[tuple[bytes, tuple[str, ...], tuple[Address, ...], int, bytes], ...]", grants
        ):
            permission = permission_id(CHAIN_ID, module, account, ScopeForm(packed).signed)
            if permission in world.sessions or signature == b"refused":
                raise Refusal(0, "the grant is refused")
            scope = Scope.unpack(packed, functions)
            world.sessions[permission] = Session(scope)
            head = words(int.from_bytes(scope.revoker, "big"), scope.time.valid_after, scope.time.valid_until, 1, 160)
            topics = (SESSION_GRANTED.topic, account.rjust(32, b"\0"), permission, scope.signer.rjust(32, b"\0"))
            logs.append(event_log(self.module, *topics, data=head + dynamic(packed)))
        return logs

    def _revoke(self, world: World, data: bytes) -> list[Log]:
        account, packed, signature = cast(
            "tuple[Address, bytes, bytes]", REVOKE_SESSION_WITH_SIGNATURE.decode_call(data)
        )
        permission = permission_id(CHAIN_ID, self.module, account, ScopeForm(packed).signed)
        session = world.sessions.get(permission)
        signer = recover_address(revoke_digest(CHAIN_ID, self.module, account, permission), signature)
        if session is None or session.state != 1 or signer != session.scope.signer:
            raise Refusal(0, "the revocation is refused")
        world.sessions[permission] = replace(session, state=2)
        return [event_log(self.module, SESSION_REVOKED.topic, account.rjust(32, b"\0"), permission)]

    def _session_of(self, world: World, data: bytes) -> bytes:
        _, permission = cast("tuple[Address, bytes]", SESSION_OF.decode_call(data))
        session = world.sessions.get(permission)
        if session is None:
            return words(0, 0, 0, 0, 0, 0, 0)
        usage = session.usage
        return words(session.state, 1, usage.uses, usage.arrival_ms, usage.gas_spent_wei, usage.value_spent_wei, 0)


__all__ = ["BLOCK_S", "CHAIN_ID", "Executed", "FakeChain", "Refusal", "rlp_decode", "rlp_encode"]
