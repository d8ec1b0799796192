"""Relayer transactions: our own accounts that call handleOps, open sessions and send revocations.

::

    planned → sent → mined → final            exits: replaced (same nonce, higher fees), failed (mined, reverted)

A relayer's nonce is a slot like an operation's: at most one transaction passes. Every transaction that may have left
the process is durable, and is sent again, byte for byte, until its nonce is consumed.
"""

from collections.abc import Container, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gamekit.core.journal import Row
from gamekit.core.tracking import Operation
from gamekit.eth.transaction import SignedAuthorization
from gamekit.units import Address, BlockNumber, Gas, Hash32, Wei

PLANNED = "planned"
SENT = "sent"
MINED = "mined"
FINAL = "final"
REPLACED = "replaced"

HANDLE_OPS = "handle_ops"
OPEN = "open"
REVOKE = "revoke"
WITHDRAW = "withdraw"
SPONSOR = "sponsor"

OPERATION_OVERHEAD = 40_000
"""Gas that the entry point itself spends on one operation: bookkeeping, events and the inner call."""
TRANSACTION_OVERHEAD = 30_000
CALLDATA_GAS = 16
"""Gas per byte of calldata, counted as if none were zero; the floor of 40 per byte is never reached by handleOps."""


class RelayTransaction(Row, frozen=True):
    """One signed transaction of a relayer; several with one nonce are replacements of each other."""

    TABLE = "relay_transaction"
    KEY = ("transaction_hash",)
    INDEX = ("relayer", "state")
    UNIQUE = (("relayer", "nonce", "attempt"),)

    transaction_hash: Hash32
    relayer: Address
    nonce: int
    attempt: int
    """0 for the first, one more for each replacement."""
    kind: str
    to: Address
    data: bytes
    value: Wei
    gas_limit: Gas
    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei
    raw: bytes
    """What goes to the node."""
    subjects: tuple[bytes, ...]
    """The user operation hashes, or the permission ids, that it carries."""
    state: str = PLANNED
    sent_at_block: BlockNumber = BlockNumber(0)
    mined_at_block: BlockNumber = BlockNumber(0)
    succeeded: bool = True
    authorizations: tuple[SignedAuthorization, ...] = ()
    """What other people's addresses delegate by, for replacing it; with any it is of type 4."""

    def moved(self, state: str, **changes: object) -> "RelayTransaction":
        """Give this transaction in another state."""
        return replace(self, state=state, **changes)


class Relayer:
    """One relayer in memory: its next nonce, and what is not final. Changed by `runtime/bundle` only."""

    __slots__ = ("address", "balance", "next_nonce", "unmined")

    def __init__(self, address: Address, next_nonce: int, balance: Wei) -> None:
        self.address = address
        self.next_nonce = next_nonce
        self.balance = balance
        self.unmined: dict[int, list[RelayTransaction]] = {}
        """Nonce to attempts, the latest last."""

    def __repr__(self) -> str:
        return f"<Relayer {self.address.hex()[:8]} next {self.next_nonce}, unmined {sorted(self.unmined)}>"


def choose(relayers: Iterable[Relayer], in_flight_max: int, balance_min: Wei) -> Relayer | None:
    """Choose the relayer with the fewest unmined transactions; None when all are busy or poor."""
    fit = [one for one in relayers if len(one.unmined) < in_flight_max and one.balance >= balance_min]
    return min(fit, key=lambda one: (len(one.unmined), one.next_nonce), default=None)


def operation_gas(operation: Operation) -> Gas:
    """Most gas that one operation takes out of its bundle: its limits, and the entry point's own work on it.

    The entry point wants 64/63 of the inner call's gas to be there before it enters it (else AA95).
    """
    inner = (operation.call_gas_limit + 10_000) * 64 // 63
    calldata = operation.calldata_bytes * CALLDATA_GAS
    validation = operation.verification_gas_limit + operation.paymaster_verification_gas_limit
    return Gas(inner + validation + calldata + OPERATION_OVERHEAD)


def bundle_gas(operations: Iterable[Operation]) -> Gas:
    """Gas limit of a handleOps that carries these operations."""
    return Gas(TRANSACTION_OVERHEAD + sum(operation_gas(operation) for operation in operations))


class Bundle(Struct, frozen=True):
    """Operations of one handleOps, in order."""

    entry_point: Address
    operations: tuple[Operation, ...]


def bundles(
    entry_point: Address,
    operations: Sequence[Operation],
    gas_max: int,
    operations_max: int,
    suspects: Container[Address] = frozenset(),
) -> list[Bundle]:
    """Split operations into bundles that stay under the chain's cap on one transaction's gas (EIP-7825).

    An operation that is over the cap by itself still gets its bundle: the node will refuse it by name. Operations of
    suspect accounts travel alone, behind the others.
    """
    apart = [Bundle(entry_point, (operation,)) for operation in operations if operation.sender in suspects]
    operations = [operation for operation in operations if operation.sender not in suspects]
    split: list[Bundle] = []
    current: list[Operation] = []
    for operation in operations:
        if current and (len(current) >= operations_max or bundle_gas((*current, operation)) > gas_max):
            split.append(Bundle(entry_point, tuple(current)))
            current = []
        current.append(operation)
    if current:
        split.append(Bundle(entry_point, tuple(current)))
    return split + apart
