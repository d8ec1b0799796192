"""What others do with a block that `settle` has read.

The methods that give rows only decide and remember; `settle` commits the rows with the block's own.
"""

from collections.abc import Sequence
from typing import Protocol

from gamekit.core.journal import Row
from gamekit.eth.block import Head, TransactionReceipt


class OnBlock(Protocol):
    """A verb that a canonical block concerns."""

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> Sequence[Row]:
        """A canonical block was read: rows to write with it."""
        ...

    def on_orphaned(self, head: Head) -> Sequence[Row]:
        """A block is canonical no more: rows to write that take it back."""
        ...

    def on_final(self, final: Head) -> Sequence[Row]:
        """Everything up to this block is final: rows to write."""
        ...

    async def on_head(self) -> None:
        """All blocks up to the head are read and written: act on what is due."""
        ...
