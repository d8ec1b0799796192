"""What the journal remembers of the blocks that were read: their heights and hashes, the latest ones."""

from gamekit.core.journal import Meta
from gamekit.eth.block import Head
from gamekit.ports import Store
from gamekit.units import BlockHash, BlockNumber, Gas, UnixSeconds, Wei

BLOCK_ROWS = 65_536
"""Meta rows that name the latest blocks that were read, by their number modulo this: how far back a rewind reaches."""


def row_of(head: Head) -> Meta:
    """The row that remembers a block."""
    return Meta(_name(head.number), head.number.to_bytes(8, "big") + head.hash)


async def known_blocks(store: Store) -> dict[BlockNumber, BlockHash]:
    """The latest blocks that the journal has read, by height."""
    rows = [row.value for row in await store.select(Meta) if row.name.startswith("block/")]
    return {BlockNumber(int.from_bytes(value[:8], "big")): BlockHash(value[8:]) for value in rows}


async def known_hash(store: Store, number: BlockNumber) -> BlockHash | None:
    """The hash of the block that was read last at a height; None when it is too long ago."""
    row = await store.get(Meta, _name(number))
    is_it = row is not None and int.from_bytes(row.value[:8], "big") == number
    return BlockHash(row.value[8:]) if row is not None and is_it else None


def placeholder(number: BlockNumber, block_hash: BlockHash) -> Head:
    """A block of which only height and hash are known."""
    return Head(number, block_hash, BlockHash(b""), UnixSeconds(0), Wei(0), Gas(0))


def _name(number: BlockNumber) -> str:
    return f"block/{number % BLOCK_ROWS}"
