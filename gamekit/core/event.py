"""The bodies of durable events: what the game's own database follows to keep step.

Kinds, past tense: `settled`, `reorged` (undo what was settled), `final`, `refused`, `session_opened`,
`session_lapsed`, `session_revoked`, `session_expired`, `session_expiring`, `session_reorged`, `paused`, `resumed`,
`withdrawal_settled`, `withdrawal_reorged`, `alarm`.
"""

from msgspec import Struct

SETTLED = "settled"
REORGED = "reorged"
FINAL = "final"
REFUSED = "refused"
SESSION_OPENED = "session_opened"
SESSION_LAPSED = "session_lapsed"
"""A grant that was handed in did not come into the chain and no longer can; `code` says why."""
SESSION_EXPIRING = "session_expiring"
SESSION_EXPIRED = "session_expired"
SESSION_REVOKED = "session_revoked"
"""First at once, with `at_block` 0 (no more signatures), then again when the chain's refusal of the key is final."""
SESSION_REORGED = "session_reorged"
"""A reorg took back a grant (the session is closed until it is in a block again) or a revocation (it is sent again)."""
PAUSED = "paused"
RESUMED = "resumed"
WITHDRAWAL_SETTLED = "withdrawal_settled"
WITHDRAWAL_REORGED = "withdrawal_reorged"
"""A reorg took a withdrawal back; it is sent again."""
ALARM = "alarm"
"""Something that an operator must look at: a relayer is out of funds, an operation was refused that should not be."""


class ActionResult(Struct, frozen=True, omit_defaults=True):
    """One action's part of an event."""

    id: int
    key: str
    function: str
    ok: bool = True
    error: str = ""
    """The game's custom error, decoded, or why it was refused; empty when ok."""
    inferred: bool = False
    """Whether the account left open which of several equal calls reverted, and this is one reading."""


class OperationEvent(Struct, frozen=True, omit_defaults=True):
    """Body of settled, reorged and final: one operation and its actions."""

    permission_id: bytes
    game: str
    user_op_hash: bytes
    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    actions: tuple[ActionResult, ...]
    gas_cost_gwei: int = 0
    """What the account, or its paymaster, paid for gas, rounded up: wei would not fit the 64 bits of MessagePack."""


class RefusedEvent(Struct, frozen=True, omit_defaults=True):
    """Body of refused: actions that will never reach the chain."""

    permission_id: bytes
    game: str
    code: str
    message: str
    actions: tuple[ActionResult, ...]


class SessionEvent(Struct, frozen=True, omit_defaults=True):
    """Body of the session events."""

    permission_id: bytes
    game: str
    unit: str
    account: bytes
    valid_until: int
    reason: str = ""
    at_block: int = 0
    code: str = ""
    """Of session_lapsed: the error's."""


class PauseEvent(Struct, frozen=True, omit_defaults=True):
    """Body of paused and resumed."""

    subject: str
    reason: str
    by: str


class AlarmEvent(Struct, frozen=True, omit_defaults=True):
    """Body of an alarm."""

    what: str
    detail: str


class WithdrawalEvent(Struct, frozen=True, omit_defaults=True):
    """Body of withdrawal_settled: an operation that the owner signed."""

    user_op_hash: bytes
    transaction_hash: bytes
    block_number: int
    ok: bool
    meaning: str
