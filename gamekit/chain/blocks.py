"""Blocks and receipts as JSON-RPC gives them, and the check that they prove themselves.

A block's hash is that of its header, and the header commits to the receipts: a node that invents one, leaves one out or
bends an outcome cannot do so under a hash that other blocks build on. Only which transaction a receipt is of stands in
no header: that the block's own list must say, which is the node's word as well.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gamekit.chain.rpc import from_data, from_quantity
from gamekit.errors import ChainUnavailable
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.hashing import keccak256
from gamekit.eth.rlp import RlpItem, rlp_encode
from gamekit.eth.trie import encode_receipt, ordered_root
from gamekit.units import Address, BlockHash, BlockNumber, Gas, Hash32, UnixSeconds, Wei

HEADER = (
    *("parent_hash", "sha3_uncles", "miner", "state_root", "transactions_root", "receipts_root", "logs_bloom"),
    *("difficulty", "number", "gas_limit", "gas_used", "timestamp", "extra_data", "mix_hash", "nonce"),
    *("base_fee_per_gas", "withdrawals_root", "blob_gas_used", "excess_blob_gas", "parent_beacon_block_root"),
    "requests_hash",
)
"""The header's fields in the order in which they are hashed; those that a fork added are left out where a chain has not
got them. Source: EIP-1559, 4895, 4844, 4788, 7685."""
QUANTITIES = frozenset(
    (
        *("difficulty", "number", "gas_limit", "gas_used", "timestamp", "base_fee_per_gas"),
        *("blob_gas_used", "excess_blob_gas"),
    )
)
"""Numbers; the other fields are bytes."""


class RpcBlock(msgspec.Struct, rename="camel"):
    """A block without its transactions' bodies."""

    number: str
    hash: str
    parent_hash: str
    timestamp: str
    gas_limit: str
    base_fee_per_gas: str | None = None
    transactions: list[str] | None = None
    sha3_uncles: str | None = None
    miner: str | None = None
    state_root: str | None = None
    transactions_root: str | None = None
    receipts_root: str | None = None
    logs_bloom: str | None = None
    difficulty: str | None = None
    gas_used: str | None = None
    extra_data: str | None = None
    mix_hash: str | None = None
    nonce: str | None = None
    withdrawals_root: str | None = None
    blob_gas_used: str | None = None
    excess_blob_gas: str | None = None
    parent_beacon_block_root: str | None = None
    requests_hash: str | None = None


class RpcLog(msgspec.Struct, rename="camel"):
    """A log."""

    address: str
    topics: list[str]
    data: str
    log_index: str


class RpcReceipt(msgspec.Struct, rename="camel"):
    """A transaction's receipt."""

    transaction_hash: str
    block_hash: str
    block_number: str
    gas_used: str
    logs: list[RpcLog]
    status: str = "0x1"
    to: str | None = None
    effective_gas_price: str = "0x0"
    # `from` is a keyword
    sender: str = msgspec.field(name="from", default="0x" + "00" * 20)
    type: str = "0x0"
    cumulative_gas_used: str = "0x0"
    logs_bloom: str = "0x"
    deposit_nonce: str | None = None
    deposit_receipt_version: str | None = None


class RpcTransaction(msgspec.Struct):
    """What is asked of a mined transaction."""

    hash: str
    input: str


def read_head(block: RpcBlock) -> Head:
    """Read a block's head. Raises ChainUnavailable for a field that is no number or hash."""
    root = block.receipts_root
    listed = None if block.transactions is None else [Hash32(from_data(each, 32)) for each in block.transactions]
    return Head(
        BlockNumber(from_quantity(block.number)),
        BlockHash(from_data(block.hash, 32)),
        BlockHash(from_data(block.parent_hash, 32)),
        UnixSeconds(from_quantity(block.timestamp)),
        Wei(from_quantity(block.base_fee_per_gas or "0x0")),
        Gas(from_quantity(block.gas_limit)),
        None if listed is None else len(listed),
        Hash32(b"") if root is None else Hash32(from_data(root, 32)),
        Hash32(b"") if listed is None else list_hash(listed),
    )


def list_hash(transactions: Iterable[Hash32]) -> Hash32:
    """Hash a list of transactions' hashes, so that two can be compared."""
    return Hash32(keccak256(b"".join(transactions)))


def read_log(log: RpcLog) -> Log:
    """Read a log. Raises ChainUnavailable."""
    return Log(
        Address(from_data(log.address, 20)),
        tuple(Hash32(from_data(topic, 32)) for topic in log.topics),
        from_data(log.data),
        from_quantity(log.log_index),
    )


def read_receipt(receipt: RpcReceipt) -> TransactionReceipt:
    """Read a receipt. Raises ChainUnavailable."""
    return TransactionReceipt(
        Hash32(from_data(receipt.transaction_hash, 32)),
        BlockHash(from_data(receipt.block_hash, 32)),
        BlockNumber(from_quantity(receipt.block_number)),
        Address(from_data(receipt.sender, 20)),
        None if receipt.to is None else Address(from_data(receipt.to, 20)),
        from_quantity(receipt.status) == 1,
        Gas(from_quantity(receipt.gas_used)),
        Wei(from_quantity(receipt.effective_gas_price)),
        tuple(map(read_log, receipt.logs)),
    )


def check_block(block: RpcBlock) -> None:
    """Make sure that a block's hash is that of its header. Raises ChainUnavailable: such a block is no answer."""
    fields: list[RlpItem] = []
    for name in HEADER:
        text: str | None = getattr(block, name)
        if text is not None:
            fields.append(from_quantity(text) if name in QUANTITIES else from_data(text))
    found, said = keccak256(rlp_encode(fields)), from_data(block.hash, 32)
    if found != said:
        text = f"block {block.number} says that its hash is {said.hex()}, and its header's is {found.hex()}"
        raise ChainUnavailable(text, asked=said, got=found)


def check_receipts(head: Head, receipts: Sequence[RpcReceipt], read: Sequence[TransactionReceipt]) -> None:
    """Make sure that receipts are those that the block's header commits to.

    Raises: ChainUnavailable: receipts that are invented, left out or changed are no answer.
    """
    encoded = [_encoded(receipt, each) for receipt, each in zip(receipts, read, strict=True)]
    found = ordered_root(encoded)
    if found != head.receipts_root:
        text = f"the receipts that came for block {head.number} are not those of its header"
        raise ChainUnavailable(text, asked=head.receipts_root, got=found)


def _encoded(receipt: RpcReceipt, read: TransactionReceipt) -> bytes:
    more = [each for each in (receipt.deposit_nonce, receipt.deposit_receipt_version) if each is not None]
    return encode_receipt(
        from_quantity(receipt.type),
        Gas(from_quantity(receipt.cumulative_gas_used)),
        from_data(receipt.logs_bloom),
        read.logs,
        succeeded=read.succeeded,
        more=[from_quantity(each) for each in more],
    )
