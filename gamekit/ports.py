"""All input and output that the runtime can do, on one screen.

Adapters implement these; `kit.py` alone picks them; `gamekit.testing` has a fake for each. Adapters translate what goes
wrong into `gamekit.errors` at this boundary.
"""

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from gamekit.core.journal import Row
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.transaction import SignedAuthorization
from gamekit.units import Address, BlockHash, BlockNumber, ChainId, Gas, Hash32, Wei

R = TypeVar("R", bound=Row)


class Clock(Protocol):
    """Time for timeouts only. What is late is decided by chain time, never by this."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class Store(Protocol):
    """The journal. What `commit` resolved for is on disk."""

    @property
    def journal_epoch(self) -> bytes:
        """16 random bytes: the birth of this journal, changed by a restore."""
        ...

    def commit(self, rows: Sequence[Row]) -> "Future[None]":
        """Write rows as upserts, all or none, in the order of the calls; durable when the future resolves.

        Raises (through the future): StoreConflict when a row's `admit` or a unique key refuses, StoreUnavailable when
        nothing was written. A refused commit does not affect others that share its transaction.
        """
        ...

    async def get(self, kind: type[R], *key: int | str | bytes) -> R | None:
        """Read one row by its primary key; sees every commit that has resolved."""
        ...

    async def select(
        self, kind: type[R], *, after: int | None = None, limit: int | None = None, **where: int | str | bytes
    ) -> list[R]:
        """Read rows by equality on KEY, INDEX or UNIQUE fields, in primary-key order.

        Args:
            after: only rows whose first primary-key field is greater; for integer keys.
            limit: most rows to give.
        """
        ...

    async def last(self, kind: type[R]) -> R | None:
        """Read the row with the greatest primary key; None when there is none."""
        ...

    async def close(self) -> None:
        """Finish what is queued, then close."""
        ...


class Signer(Protocol):
    """Holds session keys and relayer keys; gives signatures, never a key."""

    def sign(self, key: "SealedKey", digest: Hash32) -> bytes:
        """Sign with RFC 6979: the same digest gives the same 65 bytes (r, s, v in 27 or 28).

        Raises: SigningFailed when the key does not open (moved to another row, wrong master key).
        """
        ...

    def sign_many(self, keys: Sequence["SealedKey"], digests: Sequence[Hash32]) -> list[bytes]:
        """Sign each digest with its key, in one go."""
        ...


class KeyMaker(Protocol):
    """Makes session keys; the raw key never leaves it."""

    def make(self, bind: Callable[[Address], bytes]) -> tuple[Address, bytes, bytes]:
        """Make a random key and seal it.

        Args:
            bind: gives, for the key's address, the associated data that names the row it will belong to.

        Returns: the key's address, the sealed key (nonce, ciphertext, tag), and the associated data.
        """
        ...


class ChainReader(Protocol):
    """Reads one chain. Every call has a deadline; an answer that is no answer raises ChainUnavailable."""

    async def chain_id(self) -> ChainId:
        """The chain that the node serves."""
        ...

    async def head(self) -> Head:
        """The latest block's head."""
        ...

    async def block(self, number: BlockNumber) -> Head | None:
        """The canonical block at this height, None above the head."""
        ...

    async def finalized(self) -> Head:
        """The last block that is final, by the chain's own rule."""
        ...

    async def receipts(self, block: Head) -> tuple[TransactionReceipt, ...]:
        """All receipts of exactly this block (by hash); ChainUnavailable if the node no longer has it."""
        ...

    async def transaction_data(self, transaction_hash: Hash32) -> bytes:
        """The calldata of a mined transaction; ChainUnavailable if the node does not have it."""
        ...

    async def call(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address | None = None,
        gas: Gas | None = None,
        block: BlockHash | None = None,
    ) -> bytes:
        """Call without effect, at the head or at one block; raises CallReverted with the revert data."""
        ...

    async def logs(self, topics: Sequence[Sequence[Hash32]], first: BlockNumber, most: int) -> tuple[Log, ...]:
        """Logs of any contract from a block to the head, in order; the latest `most` of them.

        Args:
            topics: for each place what the topic there may be.
            first: where to begin.
            most: how many are given.
        """
        ...

    async def code(self, address: Address, *, block: BlockHash | None = None) -> bytes:
        """The code at an address, at the head or at one block."""
        ...

    async def storage(self, address: Address, slot: Hash32) -> Hash32:
        """One storage word, at the head."""
        ...

    async def balance(self, address: Address) -> Wei:
        """Native balance in wei, at the head."""
        ...

    async def transaction_count(
        self, address: Address, *, pending: bool = False, block: BlockHash | None = None
    ) -> int:
        """The next nonce of an externally owned account: at the head, with what is `pending`, or at one block."""
        ...

    async def estimate_gas(
        self, to: Address, data: bytes, *, sender: Address, authorizations: Sequence[SignedAuthorization] = ()
    ) -> Gas:
        """Gas that a transaction would need, and its authorizations; raises CallReverted with the revert data."""
        ...

    async def max_priority_fee_per_gas(self) -> Wei:
        """What the node suggests as a tip, in wei per gas."""
        ...


class TransactionSender(Protocol):
    """Hands signed transactions to the chain."""

    async def send_raw_transaction(self, raw: bytes) -> None:
        """Send; "already known" is success.

        Raises: FeeTooLow, SubmitError (nonce too low, refused) or SubmitterUnavailable when the answer is lost.
        """
        ...


class SealedKey(Protocol):
    """A private key at rest: ciphertext plus what it is bound to."""

    @property
    def sealed(self) -> bytes:
        """Nonce, ciphertext and tag."""
        ...

    @property
    def binding(self) -> bytes:
        """Associated data: names the row that this key belongs to."""
        ...
