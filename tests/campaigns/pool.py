"""What anvil's transaction pool does not do and real pools do. No input or output.

A replacement must raise both fees by a tenth (geth's `txpool.pricebump`), and what a reorganisation took out of the
chain goes back into the pool. anvil takes any higher fee, and forgets what it took out.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

BUMP_PERCENT: Final = 10
"""Source: go-ethereum, core/txpool/legacypool, `PriceBump`."""
UNDERPRICED: Final = "replacement transaction underpriced"
KEPT_MAX: Final = 4096
"""Transactions that are remembered, the latest first: more than any reorganisation here takes out."""


class Bid(NamedTuple):
    """What a raw transaction says that its pool looks at."""

    sender: str
    nonce: int
    max_fee: int
    max_priority_fee: int
    hash: str


def read(raw: str) -> Bid:
    """Read a raw typed transaction, 0x-hexadecimal. Raises ValueError for another."""
    data = HexBytes(raw)
    fields: Mapping[str, Any] = TypedTransaction.from_bytes(data).as_dict()
    sender = str(Account.recover_transaction(raw)).lower()
    return Bid(
        sender,
        int(fields["nonce"]),
        int(fields["maxFeePerGas"]),
        int(fields["maxPriorityFeePerGas"]),
        "0x" + keccak(bytes(data)).hex(),
    )


class Pool:
    """Replacement rule and memory."""

    def __init__(self) -> None:
        self._bids: dict[tuple[str, int], Bid] = {}
        self._raw: dict[str, str] = {}
        self.refused = 0
        """Replacements that raised a fee by less than a tenth."""

    def admit(self, raw: str) -> str:
        """Decide on a transaction before the node sees it; gives why it is refused, empty when it may go on."""
        bid = read(raw)
        before = self._bids.get((bid.sender, bid.nonce))
        if before is not None and before.hash != bid.hash:
            least = 100 + BUMP_PERCENT
            low = bid.max_fee * 100 < before.max_fee * least
            if low or bid.max_priority_fee * 100 < before.max_priority_fee * least:
                self.refused += 1
                return UNDERPRICED
        return ""

    def entered(self, raw: str) -> None:
        """Remember what the node took."""
        bid = read(raw)
        self._bids[bid.sender, bid.nonce] = bid
        self._raw[bid.hash] = raw
        while len(self._raw) > KEPT_MAX:
            del self._raw[next(iter(self._raw))]

    def again(self, hashes: list[str]) -> list[str]:
        """The raw transactions among these that a reorganisation took out, in the order in which they came."""
        gone = {each.lower() for each in hashes}
        return [raw for known, raw in self._raw.items() if known in gone]
