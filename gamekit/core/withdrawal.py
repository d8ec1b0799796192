"""A withdrawal: an operation prepared here and signed by the owner's wallet only.

::

    prepared ──owner's signature──▶ signed ──▶ included ──▶ final        exits: failed (executed and reverted), lapsed

Another world (D10): no type, key, queue, lane or relayer is shared with play.
"""

from msgspec.structs import replace

from gamekit.core.journal import Row
from gamekit.units import Address, Gas, PlayerId, UnixSeconds, UserOpHash, Wei

PREPARED = "prepared"
SIGNED = "signed"
INCLUDED = "included"
FINAL = "final"
LAPSED = "lapsed"


class Withdrawal(Row, frozen=True):
    """One operation of the owner."""

    TABLE = "withdrawal"
    KEY = ("user_op_hash",)
    INDEX = ("player", "state")

    user_op_hash: UserOpHash
    player: PlayerId
    account: Address
    owner: Address
    stack: str
    entry_point_version: str
    entry_point: Address
    nonce: int
    call_data: bytes
    call_gas_limit: Gas
    verification_gas_limit: Gas
    pre_verification_gas: Gas
    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei
    prepared_at: UnixSeconds
    meaning: str
    """What it does, in words: target, value, function."""
    signature: bytes = b""
    state: str = PREPARED
    transaction_hash: bytes = b""
    block_number: int = 0
    block_hash: bytes = b""
    succeeded: bool = False

    def moved(self, state: str, **changes: object) -> "Withdrawal":
        """Give this withdrawal in another state."""
        return replace(self, state=state, **changes)
