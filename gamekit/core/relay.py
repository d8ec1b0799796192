"""Relayer transactions: our own accounts that call handleOps, open sessions and send revocations.

::

    planned → sent → mined → final            exits: replaced (same nonce, higher fees), failed (mined, reverted)

A relayer's nonce is a slot like an operation's: at most one transaction passes. Every transaction that may have left
the process is durable, and is sent again, byte for byte, until its nonce is consumed.
"""

from collections.abc import Container, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gamekit.core.journal import Meta, Row
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
CANCEL = "cancel"
"""A transfer of nothing to ourselves: it only uses a nonce up, so that what stands behind it can go on."""

OPERATION_OVERHEAD = 40_000
"""Gas that the entry point itself spends on one operation: bookkeeping, events and the inner call."""
TRANSACTION_OVERHEAD = 30_000
REPLACEMENT_PERCENT = 10
"""What pools ask a replacement to raise both fees by, at least. Source: go-ethereum, `txpool.pricebump`."""
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


class RelayNonce(Row, frozen=True):
    """The transaction that was last released at one nonce of a relayer: the signing protection of relayers."""

    TABLE = "relay_nonce"
    KEY = ("relayer", "nonce")
    GUARDED = True

    relayer: Address
    nonce: int
    transaction_hash: Hash32
    attempt: int
    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei

    def admit(self, stored: "RelayNonce | None") -> str:
        """Another transaction at the same nonce only as the next attempt, with both fees raised as pools ask."""
        if stored is None or stored.transaction_hash == self.transaction_hash:
            return ""
        where = f"nonce {self.nonce} of relayer {self.relayer.hex()}"
        if self.attempt != stored.attempt + 1:
            return f"{where} has attempt {stored.attempt}; attempt {self.attempt} is no replacement of it"
        raised = (
            (self.max_fee_per_gas, stored.max_fee_per_gas),
            (self.max_priority_fee_per_gas, stored.max_priority_fee_per_gas),
        )
        if any(100 * now < (100 + REPLACEMENT_PERCENT) * before for now, before in raised):
            return (
                f"{where} was bid for with {raised[0][1]}/{raised[1][1]} wei; {raised[0][0]}/{raised[1][0]} is too low"
            )
        return ""


def nonce_of(row: RelayTransaction) -> RelayNonce:
    """What is written with a transaction before it is released."""
    return RelayNonce(
        row.relayer,
        row.nonce,
        row.transaction_hash,
        row.attempt,
        row.max_fee_per_gas,
        row.max_priority_fee_per_gas,
    )


def released(relayer: Address, next_nonce: int = 0) -> Meta:
    """Meta row: the first nonce of a relayer at which nothing was ever released, written with what is released."""
    return Meta(f"relayer/{relayer.hex()}", next_nonce.to_bytes(8, "big"))


class Relayer:
    """One relayer in memory: its next nonce, and what is not final. Changed by `runtime/relayers` only."""

    __slots__ = ("_unused", "address", "balance", "next_nonce", "quarantined_until", "unmined", "wanted")

    def __init__(self, address: Address, next_nonce: int, balance: Wei) -> None:
        self.address = address
        self.next_nonce = next_nonce
        self.balance = balance
        self.unmined: dict[int, list[RelayTransaction]] = {}
        """Nonce to attempts, the latest last."""
        self.wanted = Wei(0)
        """What a transaction could have cost that was not signed because the balance might not cover it."""
        self.quarantined_until = 0
        """Height until which others are preferred: something else uses this key."""
        self._unused: set[int] = set()
        """Nonces below the next one that were given back."""

    def plan(self, row: RelayTransaction) -> None:
        """Watch a transaction that is signed: the latest attempt at its nonce."""
        self.unmined.setdefault(row.nonce, []).append(row)
        self._unused.discard(row.nonce)
        self.next_nonce = max(self.next_nonce, row.nonce + 1)

    def drop(self, row: RelayTransaction) -> None:
        """Forget one that was never released. Without other attempts its nonce is free, unless a later one is taken."""
        attempts = self.unmined[row.nonce]
        attempts.remove(row)
        if not attempts:
            del self.unmined[row.nonce]
            self._unused.add(row.nonce)
            while self.next_nonce - 1 in self._unused:
                self.next_nonce -= 1
                self._unused.discard(self.next_nonce)

    def skip_to(self, nonce: int) -> None:
        """Take no nonce below this one any more."""
        self.next_nonce = max(self.next_nonce, nonce)
        self._unused = {each for each in self._unused if each >= nonce}

    def __repr__(self) -> str:
        return f"<Relayer {self.address.hex()[:8]} next {self.next_nonce}, unmined {sorted(self.unmined)}>"

    @property
    def spare(self) -> int:
        """What is left of the balance when all that is unmined costs its worst, in wei; may be below 0."""
        worst = (max(worst_cost(attempt) for attempt in attempts) for attempts in self.unmined.values())
        return self.balance - sum(worst)


def worst_cost(row: RelayTransaction) -> int:
    """Most that a transaction can take from its relayer, in wei."""
    return row.gas_limit * row.max_fee_per_gas + row.value


def choose(relayers: Iterable[Relayer], in_flight_max: int, balance_min: Wei, height: int = 0) -> Relayer | None:
    """Choose the relayer with the fewest unmined transactions; None when all are busy or poor.

    Args:
        height: of the head; a relayer whose key something else used lately comes last.
    """
    fit = [one for one in relayers if len(one.unmined) < in_flight_max and one.spare >= balance_min]
    return min(fit, key=lambda one: (one.quarantined_until > height, len(one.unmined), one.next_nonce), default=None)


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
