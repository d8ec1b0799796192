"""A chain in memory, deterministic: it mines when told to, and can be made to reorganise, to forget and to keep silent.

Honest where the runtime decides by it: EIP-1559 transactions are decoded and their senders recovered, the pool asks a
replacement for 10 % on both fees and refuses what is over the gas cap of one transaction, what a reorg orphans is
pending again. What its contracts do stands in `contracts.py`. `tests/testing/test_twin_nodes.py` holds it to anvil.
"""

from collections.abc import Sequence
from itertools import count
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from gamekit.accounts.reference import ACCOUNT_ADDRESS
from gamekit.errors import CallReverted, ChainUnavailable, FeeTooLow, SubmitError, SubmitterUnavailable
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.calldata import EXECUTE_SELECTOR, decode_execute
from gamekit.eth.entry_point import GET_NONCE, HANDLE_OPS
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256
from gamekit.eth.session_validator_abi import ACCOUNT_OF, SESSION_OF
from gamekit.eth.transaction import SignedAuthorization
from gamekit.eth.user_operation import PackedUserOperation, UserOperation, pack
from gamekit.testing.contracts import CHAIN_ID, Contracts, Executed, Refusal, World
from gamekit.testing.wire import DecodedTransaction, words
from gamekit.units import Address, BlockHash, BlockNumber, ChainId, Gas, Hash32, UnixSeconds, UserOpHash, Wei

GENESIS_AT = 1_800_000_000
BLOCK_S = 2
TRANSACTION_GAS_MAX = 16_777_216
"""The cap of EIP-7825."""
STRANGER = Address(b"\xbb" * 20)
"""A bundler that is none of ours."""


class Block(Struct):
    """One block, with the contracts' state behind it."""

    head: Head
    world: World
    transactions: list[DecodedTransaction]
    receipts: tuple[TransactionReceipt, ...]
    executed: list[Executed]


class FakeChain(Contracts):
    """Implements `ports.ChainReader` and `ports.TransactionSender`."""

    def __init__(self, entry_point: Address, module: Address, opener: Address, owner_validator: Address) -> None:
        super().__init__(entry_point, module, opener, owner_validator)
        self.finality = 2
        """Blocks between the head and the last final one."""
        self.is_finality_broken = False
        """Whether a reorg ever took a final block back."""
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
        self.lag = 0
        """How many blocks the node that answers is behind."""
        self.sent: list[bytes] = []
        self.seen: dict[tuple[Address, int], list[DecodedTransaction]] = {}
        """Every transaction that the pool ever took, by sender and nonce: a reorg may bring any of them."""
        self._salt = 0
        genesis = Head(BlockNumber(0), BlockHash(keccak256(b"genesis")), BlockHash(bytes(32)),
                       UnixSeconds(GENESIS_AT), self.base_fee, Gas(30_000_000))  # fmt: skip
        self.blocks = [Block(genesis, World({}, {}, {}, {}, {}, set()), [], (), [])]
        self._by_hash = {genesis.hash: self.blocks[0]}
        self.ever: dict[BlockHash, frozenset[UserOpHash]] = {genesis.hash: frozenset()}
        """Every block that any of its nodes ever had, with the operations that ran in it."""

    # What happens to it.

    def mine(self, count: int = 1, *, seconds: int = BLOCK_S, empty: bool = False) -> None:
        """Mine blocks; the first takes all that is pending, unless `empty`."""
        for _ in range(count):
            self._mine([] if empty else self._ready(), seconds)

    def reorg(self, depth: int, *, forget: bool = False, length: int | None = None, sideways: bool = False) -> None:
        """Replace the highest blocks by empty ones; what was in them is pending again unless it is forgotten.

        Args:
            depth: how many blocks go.
            forget: whether the nodes drop what was in them; some do not put it back.
            length: how many come instead; as many by default.
            sideways: the first block that comes takes, of each relayer's nonce, another attempt than the one that was
                mined, if there is one.
        """
        self.is_finality_broken |= depth > self.finality
        orphaned = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        for block in orphaned:
            del self._by_hash[block.head.hash]
        self._salt += 1
        back = [tx for block in orphaned for tx in block.transactions]
        if sideways:
            back = [next((each for each in self.seen.get((tx.sender, tx.nonce), ()) if each.hash != tx.hash), tx)
                    for tx in back]  # fmt: skip
        if not forget:
            taken = {(tx.sender, tx.nonce) for tx in back}
            self.pending = back + [tx for tx in self.pending if (tx.sender, tx.nonce) not in taken]
        for place in range(depth if length is None else length):
            self._mine(self._ready() if sideways and not place else [], BLOCK_S)

    def run(self, operations: Sequence[PackedUserOperation], sender: Address = STRANGER) -> None:
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

    def forge_receipts(self, block: Head) -> tuple[TransactionReceipt, ...]:
        """What a lying node says of the bundles that are only pending: that this block has them."""
        waiting = [tx for tx in self.pending if self.operations_of(tx)]
        receipts = tuple(self._transact(self.top.world.copy(), tx, block, []) for tx in waiting)
        return tuple(receipt for receipt in receipts if receipt.succeeded)

    def drop(self) -> None:
        """Forget everything pending."""
        self.pending.clear()

    def operations(self) -> list[PackedUserOperation]:
        """The operations of pending bundles, in order."""
        return [op for tx in self.pending for op in self.operations_of(tx)]

    def operations_of(self, tx: DecodedTransaction) -> list[PackedUserOperation]:
        """The operations of a transaction; none if it is no bundle."""
        return self.read_bundle(tx.data)

    @property
    def executed(self) -> list[Executed]:
        """What ran on the canonical chain, in order."""
        return [each for block in self.blocks for each in block.executed]

    @property
    def top(self) -> Block:
        """The highest block."""
        return self.blocks[-1]

    @property
    def shown(self) -> Block:
        """The highest block that the node which answers has."""
        return self.blocks[max(0, len(self.blocks) - 1 - self.lag)]

    # ports.ChainReader

    async def chain_id(self) -> ChainId:
        """Always the same."""
        return CHAIN_ID

    async def head(self) -> Head:
        """The highest block that the node shows."""
        self._answer()
        return self.shown.head

    async def block(self, number: BlockNumber) -> Head | None:
        """The canonical block at a height."""
        self._answer()
        return self.blocks[number].head if number <= self.shown.head.number else None

    async def finalized(self) -> Head:
        """`finality` blocks below the head."""
        self._answer()
        return self.blocks[max(0, self.shown.head.number - self.finality)].head

    async def receipts(self, block: Head) -> tuple[TransactionReceipt, ...]:
        """All receipts of exactly this block."""
        self._answer()
        return self._at(block.hash).receipts

    async def transaction_data(self, transaction_hash: Hash32) -> bytes:
        """The calldata of a mined transaction; ChainUnavailable for one that the node does not have."""
        self._answer()
        mined = (tx.data for block in self.blocks for tx in block.transactions if tx.hash == transaction_hash)
        data = next(mined, None)
        if data is None:
            raise ChainUnavailable("the node does not have this transaction")
        return data

    async def call(self, to: Address, data: bytes, *, sender: Address | None = None,  # noqa: ARG002
                   gas: Gas | None = None,  # noqa: ARG002
                   block: BlockHash | None = None) -> bytes:  # fmt: skip
        """Ask a contract; raises CallReverted with the revert data."""
        self._answer()
        if (to, data) in self.answers:
            return self.answers[to, data]
        asked = self.shown if block is None else self._at(block)
        world = asked.world
        if data[:4] == ACCOUNT_ADDRESS.selector:
            return keccak256(b"account" + data)[12:].rjust(32, b"\0")
        if data[:4] == ACCOUNT_OF.selector:
            return self._account_of(world, data)
        if data[:4] == SESSION_OF.selector:
            return self._session_of(world, data)
        if data[:4] == GET_NONCE.selector:
            account, key = cast("tuple[Address, int]", GET_NONCE.decode_call(data))
            return words(key << 64 | world.nonces.get((account, key), 0))
        if data[:4] == EXECUTE_SELECTOR:
            return self._try_execution(data)
        try:
            # As nodes do it: with the time of the block that is asked, though what is sent lands in a later one.
            self._execute(world.copy(), to, data, asked.head.timestamp, [])
        except Refusal as refusal:
            raise CallReverted(f"execution reverted: {refusal}", refusal.data) from refusal
        return b""

    async def logs(self, topics: Sequence[Sequence[Hash32]], first: BlockNumber, most: int) -> tuple[Log, ...]:  # noqa: ARG002
        """Logs of contracts that are not modelled."""
        self._answer()
        asked = [log for log in self.strange_logs if all(log.topics[at] in each for at, each in enumerate(topics))]
        return tuple(asked[-most:])

    async def code(self, address: Address, *, block: BlockHash | None = None) -> bytes:
        """Some code everywhere, unless said otherwise."""
        self._answer()
        self._world(block)
        return self.codes.get(address, b"\x60")

    async def storage(self, address: Address, slot: Hash32) -> Hash32:
        """Zero wherever nothing is said."""
        self._answer()
        return self.words.get((address, slot), Hash32(bytes(32)))

    async def balance(self, address: Address) -> Wei:
        """An ether, unless said otherwise."""
        self._answer()
        return self.balances.get(address, Wei(10**18))

    async def transaction_count(
        self, address: Address, *, pending: bool = False, block: BlockHash | None = None
    ) -> int:
        """The next nonce of a sender."""
        self._answer()
        return self._pending_count(address) if pending else self._world(block).counts.get(address, 0)

    async def estimate_gas(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address,
        authorizations: Sequence[SignedAuthorization] = (),  # noqa: ARG002
    ) -> Gas:
        """A constant; raises CallReverted."""
        await self.call(to, data, sender=sender)
        return Gas(100_000)

    async def max_priority_fee_per_gas(self) -> Wei:
        """A constant."""
        self._answer()
        return Wei(10**8)

    # ports.TransactionSender

    async def send_raw_transaction(self, raw: bytes) -> None:
        """Put a transaction into the pool, or fail as the faults say."""
        self.sent.append(raw)
        if self.deaf:
            self.deaf -= 1
            return
        self.take(raw)
        if self.silent_after:
            self.silent_after -= 1
            raise SubmitterUnavailable("the reply was lost")

    def take(self, raw: bytes) -> None:
        """Take a signed transaction into the pool; one that is there already is no error. Raises SubmitError."""
        self._pool(DecodedTransaction.read(raw))

    # The rest is the chain itself.

    def _answer(self) -> None:
        if self.down:
            self.down -= 1
            raise ChainUnavailable("the node does not answer")

    def _try_execution(self, data: bytes) -> bytes:
        """What an account answers when it is asked to execute: only what is not tried call by call reverts."""
        mode, calls = decode_execute(data)
        reason = b"" if mode.is_try else self._reason(calls)
        if reason:
            raise CallReverted("execution reverted", reason)
        if mode.is_try and any(map(self.burns, calls)):
            raise CallReverted("out of gas", b"")
        return b""

    def _at(self, block: BlockHash) -> Block:
        found = self._by_hash.get(block)
        if found is None or found.head.number > self.shown.head.number:
            raise ChainUnavailable("the node no longer has this block")
        return found

    def _world(self, block: BlockHash | None) -> World:
        return (self.shown if block is None else self._at(block)).world

    def _pool(self, transaction: DecodedTransaction) -> None:
        if transaction.nonce < self.top.world.counts.get(transaction.sender, 0):
            raise SubmitError("nonce too low")
        if transaction.gas > TRANSACTION_GAS_MAX:
            raise SubmitError(f"a transaction of {transaction.gas} gas is over the cap of {TRANSACTION_GAS_MAX}")
        same = [tx for tx in self.pending if (tx.sender, tx.nonce) == (transaction.sender, transaction.nonce)]
        for tx in same:
            if tx.hash == transaction.hash:
                return
            if 10 * transaction.max_fee < 11 * tx.max_fee or 10 * transaction.tip < 11 * tx.tip:
                raise FeeTooLow("replacement transaction underpriced")
            self.pending.remove(tx)
        self.pending.append(transaction)
        attempts = self.seen.setdefault((transaction.sender, transaction.nonce), [])
        if all(each.hash != transaction.hash for each in attempts):
            attempts.append(transaction)

    def _pending_count(self, sender: Address) -> int:
        nonces = {tx.nonce for tx in self.pending if tx.sender == sender}
        following = self.top.world.counts.get(sender, 0)
        while following in nonces:
            following += 1
        return following

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
        head = Head(number, block_hash, parent.head.hash, at, self.base_fee, Gas(30_000_000), len(transactions))
        world = parent.world.copy()
        executed: list[Executed] = []
        receipts = _numbered([self._transact(world, tx, head, executed) for tx in transactions])
        block = self._by_hash[head.hash] = Block(head, world, transactions, receipts, executed)
        self.blocks.append(block)
        self.ever[head.hash] = frozenset(each.user_op_hash for each in executed)
        mined = {(tx.sender, tx.nonce) for tx in transactions}
        self.pending = [tx for tx in self.pending if (tx.sender, tx.nonce) not in mined]

    def _transact(
        self, world: World, tx: DecodedTransaction, head: Head, executed: list[Executed]
    ) -> TransactionReceipt:
        world.counts[tx.sender] = tx.nonce + 1
        ran: list[Executed] = []
        draft = world.copy()
        self._mining = True
        try:
            logs = self._execute(draft, tx.to, tx.data, head.timestamp, ran)
        except Refusal:
            logs, succeeded = [], False
        else:
            succeeded = True
            executed.extend(ran)
            world.adopt(draft)
        finally:
            self._mining = False
        return TransactionReceipt(tx.hash, head.hash, head.number, tx.sender, tx.to, succeeded, Gas(100_000),
                                  Wei(10**9), tuple(logs))  # fmt: skip


def _numbered(receipts: Sequence[TransactionReceipt]) -> tuple[TransactionReceipt, ...]:
    """Give each log its place in the block."""
    places = count()
    return tuple(replace(each, logs=tuple(replace(log, index=next(places)) for log in each.logs)) for each in receipts)
