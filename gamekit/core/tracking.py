"""Operations and the slots they compete for: what is known, and when it may be given up.

::

    operation:  planned → signed → sent → included(k) → final          exits: dead, foreign
    slot:       live → consumed | expired            (consumed → live and included → sent by a reorg only)

A slot is one place (entry point, sender, nonce key, nonce sequence). The entry point lets at most one operation through
it, ever. Several variants of the same ordered set of actions may be signed for one slot, with other fees, claimed time
and deadline. Actions leave a slot only when it was consumed by something else, or when every variant's deadline has
passed in finalized chain time and the slot was not consumed by then: "not found" is never evidence.
"""

from msgspec import Struct
from msgspec.structs import replace

from gamekit.core.action import Action
from gamekit.core.journal import Row
from gamekit.units import (
    Address,
    BlockNumber,
    Gas,
    Hash32,
    NonceSequence,
    PermissionId,
    UnixSeconds,
    UserOpHash,
    Wei,
)

PLANNED = "planned"
SIGNED = "signed"
SENT = "sent"
"""In a transaction that may have left the process: included, pending or lost, we cannot tell."""
INCLUDED = "included"
FINAL = "final"
DEAD = "dead"
"""Its deadline passed in finalized chain time and its slot was not consumed."""
FOREIGN = "foreign"
"""Its slot was consumed by an operation that is none of ours."""
SUPERSEDED = "superseded"
"""Another variant of the same slot was included finally."""

RELEASED = frozenset({SIGNED, SENT})
"""States of an operation that may still land."""

LIVE = "live"
CONSUMED = "consumed"
EXPIRED = "expired"


MORE_GAS_PERCENT = 150
"""Share of the configured validation gas for an operation that was refused for want of it."""


class CallOutcome(Struct, frozen=True, gc=False):
    """What became of one call."""

    succeeded: bool
    error: str = ""
    """Decoded custom error of the game, or `out_of_gas`, `batch_reverted`, `unknown`."""
    inferred: bool = False
    """Whether this is one reading of several: the account does not say which of two equal calls failed."""


class Slot(Row, frozen=True):
    """One nonce of one lane, and the ordered actions that may pass through it."""

    TABLE = "slot"
    KEY = ("sender", "nonce_key", "sequence")
    INDEX = ("permission_id", "state")
    GUARDED = True

    sender: Address
    nonce_key: bytes
    sequence: NonceSequence
    entry_point: Address
    permission_id: PermissionId
    action_ids: tuple[int, ...]
    state: str = LIVE
    consumed_by: bytes = b""

    @property
    def is_given_up(self) -> bool:
        """Whether its actions are in no slot any more: it expired, or somebody else's operation consumed it."""
        return self.state == EXPIRED or (self.state == CONSUMED and not self.consumed_by)

    def admit(self, stored: "Slot | None") -> str:
        """Signing protection: another set of actions enters a slot only after the slot expired."""
        if stored is None:
            return ""
        if stored.entry_point != self.entry_point:
            return f"slot {self.sender.hex()}/{self.sequence} is one of {stored.entry_point.hex()}"
        if stored.action_ids == self.action_ids or stored.state == EXPIRED:
            return ""
        return (
            f"slot {self.sender.hex()}/{self.sequence} is {stored.state} with {len(stored.action_ids)} actions; "
            f"another set of {len(self.action_ids)} may not enter it"
        )


class Operation(Row, frozen=True):
    """One variant: a user operation that was planned for a slot."""

    TABLE = "operation"
    KEY = ("user_op_hash",)
    INDEX = ("permission_id", "state", "block_number")
    GUARDED = True

    user_op_hash: UserOpHash
    permission_id: PermissionId
    sender: Address
    nonce_key: bytes
    sequence: NonceSequence
    action_ids: tuple[int, ...]
    try_mode: bool
    places: bytes
    """Which entry of the scope allows each call, as `ScopeForm.places` writes it."""
    calldata_bytes: int
    """What it adds to a bundle's calldata. The calldata itself follows from the actions, the envelope from the session:
    neither is stored, both are written again when the operation is sent."""
    call_gas_limit: Gas
    verification_gas_limit: Gas
    pre_verification_gas: Gas
    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei
    claimed_at: UnixSeconds
    deadline: UnixSeconds
    state: str = PLANNED
    signature: bytes = b""
    """The session key's 65 bytes; empty until signed."""
    transaction_hash: Hash32 = Hash32(b"")
    block_hash: bytes = b""
    block_number: BlockNumber = BlockNumber(0)
    succeeded: bool = False
    actual_gas_cost: Wei = Wei(0)
    actual_gas_used: Gas = Gas(0)
    outcomes: tuple[CallOutcome, ...] = ()
    paymaster: Address = Address(b"")
    """Who pays; empty when the account does."""
    paymaster_verification_gas_limit: Gas = Gas(0)
    paymaster_data: bytes = b""
    rejected: str = ""
    """Why the entry point would not take it when it was last simulated: an AA code and the decoded error."""
    rewinds: int = 0
    """How often the chain replaced a block under it that it had called final."""

    def admit(self, stored: "Operation | None") -> str:
        """A released signature never changes, and only a reorg takes an inclusion back, to sent.

        Final never moves, unless the chain itself broke its word: that is declared, by one more rewind.
        """
        if stored is None:
            # Its row must be there before the key is used: nothing else proves what a signature that got out was for.
            return f"operation {self.user_op_hash.hex()} is signed, and was never planned" if self.signature else ""
        # What is dead may be signed anew: at the same fees the same actions have the same hash again.
        if stored.signature and self.signature != stored.signature and stored.state != DEAD:
            return f"operation {self.user_op_hash.hex()} is signed already, with other bytes"
        if stored.state == FINAL and self.state != FINAL and self.rewinds <= stored.rewinds:
            return f"operation {self.user_op_hash.hex()} is final and cannot become {self.state}"
        if stored.state == INCLUDED and self.state in (PLANNED, SIGNED):
            return f"operation {self.user_op_hash.hex()} is included and cannot become {self.state}"
        return ""

    @property
    def nonce(self) -> int:
        """The 256-bit nonce."""
        return int.from_bytes(self.nonce_key, "big") << 64 | self.sequence

    @property
    def max_cost(self) -> Wei:
        """Most that this operation can be charged, in wei; what validation takes from the session's budget."""
        gas = self.call_gas_limit + self.verification_gas_limit + self.pre_verification_gas
        return Wei((gas + self.paymaster_verification_gas_limit) * self.max_fee_per_gas)

    def moved(self, state: str, **changes: object) -> "Operation":
        """Give this operation in another state."""
        return replace(self, state=state, **changes)


class LiveSlot:
    """A slot in memory, with every variant that was planned for it.

    `variants` grows by `dispatch` and `resolve`; their states change in `settle` and `resolve`, nowhere else.
    """

    __slots__ = ("actions", "call_data", "foreign_at", "gas_percent", "settled", "slot", "variants", "wants_gas")

    def __init__(
        self, slot: Slot, actions: tuple[Action, ...], call_data: bytes, variants: dict[UserOpHash, Operation]
    ) -> None:
        self.slot = slot
        self.actions = actions
        """The rows of `slot.action_ids`, in their order."""
        self.call_data = call_data
        """What the account executes: the same in every variant."""
        self.variants = variants
        self.settled = False
        """Whether the callers were told an outcome that still stands."""
        self.foreign_at = 0
        """Height of the block in which something else consumed the slot; 0 when nothing did."""
        self.gas_percent = 100
        """Share of the configured validation gas that the next variant asks for."""
        self.wants_gas = False
        """Whether the latest variant was refused for want of validation gas, and none with more is signed yet."""

    def give_gas(self) -> None:
        """Ask for half as much validation gas again, once: what it costs may have changed with the chain's rules."""
        if self.gas_percent == 100:
            self.gas_percent = MORE_GAS_PERCENT
            self.wants_gas = True

    def included(self) -> Operation | None:
        """The variant that is in a canonical block, if any."""
        return next((op for op in self.variants.values() if op.state in (INCLUDED, FINAL)), None)

    def latest(self) -> Operation:
        """The variant with the latest deadline: the one to send."""
        return max(self.variants.values(), key=lambda op: (op.deadline, op.max_fee_per_gas))

    def dead_by(self) -> UnixSeconds:
        """The chain time after which none of the variants can land any more."""
        return UnixSeconds(max(op.deadline for op in self.variants.values()))


def taken_back(live: LiveSlot, operation: Operation) -> list[Operation]:
    """Give the variants as they are when the block of one of them is canonical no more: each may land again."""
    rewinds = operation.rewinds + (operation.state == FINAL)
    back = operation.moved(SENT, block_hash=b"", block_number=BlockNumber(0), outcomes=(), rewinds=rewinds)
    return [back, *(each.moved(SENT) for each in live.variants.values() if each.state == SUPERSEDED)]


def may_expire(live: LiveSlot, finalized_at: UnixSeconds) -> bool:
    """Whether finalized chain time proves that no variant can land: every deadline has passed, none is included.

    The deadline itself is still inside the entry point's range (`timestamp > validUntil` is out), hence strictly later.
    """
    return live.included() is None and finalized_at > live.dead_by()


def may_resign(live: LiveSlot, head_at: UnixSeconds, below_s: int) -> bool:
    """Whether the slot needs a fresh variant: nothing is included, and its deadline is near or its gas too low."""
    return live.included() is None and (live.wants_gas or live.latest().deadline - head_at < below_s)
