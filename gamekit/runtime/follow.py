"""What a verb may do with a block that `settle` has read."""

from collections.abc import Sequence

from gamekit.core.journal import Row
from gamekit.eth.block import Head, TransactionReceipt


class Follower:
    """A verb that canonical blocks concern. It overrides what it needs.

    The methods that give rows only decide and remember; `settle` commits the rows with the block's own.
    """

    def on_receipts(self, head: Head, receipts: Sequence[TransactionReceipt]) -> Sequence[Row]:  # noqa: ARG002
        """A canonical block was read: give the rows to write with it."""
        return ()

    def on_orphaned(self, head: Head) -> Sequence[Row]:  # noqa: ARG002
        """A block is canonical no more: give the rows that take it back."""
        return ()

    def on_final(self, final: Head) -> Sequence[Row]:  # noqa: ARG002
        """Everything up to this block is final: give the rows to write."""
        return ()

    async def on_head(self) -> None:
        """All blocks up to the head are read and written: act on what is due."""
