"""Blocks and receipts as gamekit reads them: only the fields that decide something.

No input or output: `chain/reader.py` fills these from JSON-RPC.
"""

from msgspec import Struct

from gamekit.units import Address, BlockHash, BlockNumber, Gas, Hash32, UnixSeconds, Wei


class Head(Struct, frozen=True, gc=False):
    """One block's head."""

    number: BlockNumber
    hash: BlockHash
    parent_hash: BlockHash
    timestamp: UnixSeconds
    base_fee_per_gas: Wei
    gas_limit: Gas
    transaction_count: int | None = None
    """How many transactions, hence receipts, the block has; None when that was not read."""
    receipts_root: Hash32 = Hash32(b"")
    """What the block commits to as its receipts; empty when that was not read."""
    transactions_listed: Hash32 = Hash32(b"")
    """Hash of the list of its transactions' hashes, as the node gave it; empty when that was not read. The header
    commits to their bodies only."""


class Log(Struct, frozen=True, gc=False):
    """One log of a transaction."""

    address: Address
    topics: tuple[Hash32, ...]
    data: bytes
    index: int
    """Place of the log within its block, from 0."""


class TransactionReceipt(Struct, frozen=True, gc=False):
    """The receipt of a transaction (the receipt of a user operation is another thing)."""

    transaction_hash: Hash32
    block_hash: BlockHash
    block_number: BlockNumber
    sender: Address
    to: Address | None
    succeeded: bool
    gas_used: Gas
    effective_gas_price: Wei
    logs: tuple[Log, ...]
