"""Every error that gamekit raises on purpose.

::

    GamekitError                          code, outcome
    ├── ConfigInvalid                     a setting, a manifest or a scope that cannot be used            FINAL
    ├── EncodingInvalid                   bytes that do not mean what they should                         FINAL
    ├── ClientError                       may be told to the peer
    │   ├── ProtocolViolation             a frame outside the protocol                                    FINAL
    │   ├── AuthenticationFailed          login refused                                                   FINAL
    │   ├── SessionNotFound               no such session for this player                                 FINAL
    │   ├── SessionNotOpen                granted, but not yet deep enough in the chain                   RETRY
    │   ├── SessionExpired                past its valid_until                                            FINAL
    │   ├── SessionRevoked                revoked, or its key revoked itself                              FINAL
    │   ├── AuthorizationInvalid          the owner's address was not authorized to delegate as it must   FINAL
    │   │   └── AuthorizationSpent        its nonce was consumed by something else: sign a new one        FINAL
    │   ├── ActionInvalid                 unknown function or arguments that do not fit the ABI           FINAL
    │   ├── ActionExpired                 past the action's own not_after                                 FINAL
    │   ├── ActionCancelled               taken back before it was signed                                 FINAL
    │   ├── ActionLost                    accepted before a restore, and never executed                   FINAL
    │   ├── ActionRefused                 the game's own server said no                                   FINAL
    │   ├── ScopeDenied                   a policy of the session refused                                 FINAL
    │   ├── IdempotencyConflict           same key, another body                                          FINAL
    │   ├── Paused                        an operator, or gamekit itself, stopped signing                 RETRY
    │   ├── SponsorshipExhausted          the game pays no more for this session, for now                 RETRY
    │   └── Overloaded                    a bounded queue is full                                         RETRY
    ├── SigningFailed                     the key cannot be opened, or must not sign                      FINAL
    ├── SubmitError
    │   ├── OperationRejected             the entry point refused it: an AAxx code                        FINAL
    │   │   └── PaymasterRejected         its paymaster would not pay: a cap, a voucher, its deposit      RETRY
    │   ├── FeeTooLow                     below what the pool takes, or a replacement too cheap           RETRY
    │   └── SubmitterUnavailable          no answer: it may be in, or not                                 UNKNOWN
    ├── OutcomeUnknown                    may have happened; resolves itself from the chain               UNKNOWN
    ├── ChainError
    │   ├── CallReverted                  a read-only call reverted                                       FINAL
    │   ├── ChainUnavailable              no answer, or one that is no answer                             RETRY
    │   └── ChainMismatch                 another chain, or other code, than configured                   FINAL
    └── StoreError
        ├── StoreConflict                 a guard inside the transaction refused the write                FINAL
        └── StoreUnavailable              disk full, locked or broken: nothing was accepted               RETRY

`code` is a stable word that clients may switch on. `outcome` answers "may I try again?". The values that were compared
are attributes; the message is one sentence built from them. Secrets never appear in either.
"""

from enum import Enum
from typing import ClassVar


class Outcome(Enum):
    """What an error says about the thing that was asked for."""

    FINAL = "final"
    """It did not happen, and asking again in the same way gives the same answer."""
    RETRY = "retry"
    """It did not happen; asking again later may succeed."""
    UNKNOWN = "unknown"
    """It may have happened: ask the chain, never send anew under another name."""


class GamekitError(Exception):
    """The root. Catch this to catch everything that gamekit raises on purpose.

    Keyword arguments become attributes: they are the values compared.
    """

    code: ClassVar[str] = "error"
    outcome: ClassVar[Outcome] = Outcome.FINAL

    def __init__(self, message: str, **compared: object) -> None:
        super().__init__(message)
        self.compared = compared

    def to_dict(self) -> dict[str, object]:
        """Give the error as plain data, fit for a client or a log: code, outcome, message, compared values."""
        compared = {name: value.hex() if isinstance(value, bytes) else value for name, value in self.compared.items()}
        return {"code": self.code, "outcome": self.outcome.value, "message": str(self), "compared": compared}


class ConfigInvalid(GamekitError):
    """A setting, a manifest or a scope that cannot be used; the message names the setting and both values."""

    code = "config_invalid"


class EncodingInvalid(GamekitError):
    """Bytes, hexadecimal text or an ABI value that do not mean what they should."""

    code = "encoding_invalid"


class ClientError(GamekitError):
    """Anything that may be told to the peer that caused it."""

    code = "client_error"


class ProtocolViolation(ClientError):
    """A frame outside the protocol; the connection is closed after it."""

    code = "protocol_violation"


class AuthenticationFailed(ClientError):
    """Login refused. Deliberately the same for every reason that would help a guesser."""

    code = "authentication_failed"


class SessionNotFound(ClientError):
    """This player has no such session."""

    code = "session_not_found"


class SessionNotOpen(ClientError):
    """The session's grant is not yet deep enough in the chain."""

    code = "session_not_open"
    outcome = Outcome.RETRY


class SessionExpired(ClientError):
    """The session's time frame has passed, or ends too soon for another operation."""

    code = "session_expired"


class SessionRevoked(ClientError):
    """The session was revoked."""

    code = "session_revoked"


class AuthorizationInvalid(ClientError):
    """The account is the owner's own address, and there is no authorization by which it delegates as it must.

    Missing, for another chain or contract, or signed by another key; `compared` holds `asked` and `found`.
    """

    code = "authorization_invalid"


class AuthorizationSpent(AuthorizationInvalid):
    """The authorization's nonce is not the address's next one: something else has consumed it. Sign a new one.

    `compared` holds `nonce`, the authorization's, and `found`, the address's.
    """

    code = "authorization_spent"


class ActionInvalid(ClientError):
    """The function is not play, or the arguments do not fit its ABI."""

    code = "action_invalid"


class ActionExpired(ClientError):
    """The action's own `not_after` passed before it was signed."""

    code = "action_expired"


class ActionCancelled(ClientError):
    """The action was taken back before it was signed."""

    code = "action_cancelled"


class ActionLost(ClientError):
    """The action was accepted before the journal was restored, and the chain proves that it was never executed.

    Nor will it be: the lost part may have refused it already. Asked again under another key and the present journal
    epoch, it is a new action.
    """

    code = "action_lost"


class ActionRefused(ClientError):
    """The game's own server refused the action in `before_action`."""

    code = "action_refused"


class ScopeDenied(ClientError):
    """A policy of the session refused; `compared` holds `policy`, `limit` and `asked`."""

    code = "scope_denied"


class IdempotencyConflict(ClientError):
    """The idempotency key was used before, with another body."""

    code = "idempotency_conflict"


class Paused(ClientError):
    """Signing is stopped for this game, chain or function; nothing was accepted."""

    code = "paused"
    outcome = Outcome.RETRY


class SponsorshipExhausted(ClientError):
    """The game pays for no more operations of this session: its limit, a cap of the day, the deposit, or its voucher.

    `compared` holds `reason` (the paymaster's own error, or its AA code), `limit` and `asked`, in wei. Nothing was
    accepted, and what was refused never ran.
    """

    code = "sponsorship_exhausted"
    outcome = Outcome.RETRY


class Overloaded(ClientError):
    """A bounded queue is full; `compared` holds `queue`, `depth` and `depth_max`. Nothing was accepted."""

    code = "overloaded"
    outcome = Outcome.RETRY


class SigningFailed(GamekitError):
    """The key cannot be opened, or the signing protection forbids the signature."""

    code = "signing_failed"


class SubmitError(GamekitError):
    """Handing an operation or a relayer transaction to the chain failed."""

    code = "submit_error"


class OperationRejected(SubmitError):
    """The entry point refused the operation in validation; `compared` holds `aa_code` and `reason`."""

    code = "operation_rejected"


class PaymasterRejected(OperationRejected):
    """The operation's paymaster would not pay for it now.

    `compared` holds `aa_code`, `reason` (the paymaster's own error by name; empty if it has none), and `asked` and
    `limit` in wei where the error compares two amounts.
    """

    code = "paymaster_rejected"
    outcome = Outcome.RETRY


class FeeTooLow(SubmitError):
    """The fee is below what the pool takes, or a replacement raises it too little."""

    code = "fee_too_low"
    outcome = Outcome.RETRY


class SubmitterUnavailable(SubmitError):
    """No answer that can be trusted: the operation may be in, or not."""

    code = "submitter_unavailable"
    outcome = Outcome.UNKNOWN


class OutcomeUnknown(GamekitError):
    """The action may have happened. It resolves itself from the chain: ask again with the same key.

    `compared` holds `resolved_by`, what will tell, and `by`, the chain time by which it does, where that is known.
    """

    code = "outcome_unknown"
    outcome = Outcome.UNKNOWN


class ChainError(GamekitError):
    """Reading the chain failed."""

    code = "chain_error"


class CallReverted(ChainError):
    """A read-only call reverted; `data` is what it reverted with."""

    code = "call_reverted"

    def __init__(self, message: str, data: bytes = b"", **compared: object) -> None:
        super().__init__(message, data=data, **compared)
        self.data = data


class ChainUnavailable(ChainError):
    """No answer in time, or one that is no answer: too large, not JSON, another id."""

    code = "chain_unavailable"
    outcome = Outcome.RETRY


class ChainMismatch(ChainError):
    """The node serves another chain, or other contract code, than configured: nothing is signed."""

    code = "chain_mismatch"


class StoreError(GamekitError):
    """The journal refused or failed."""

    code = "store_error"


class StoreConflict(StoreError):
    """A guard inside the transaction refused the write: signing protection, a fence or a uniqueness rule."""

    code = "store_conflict"


class StoreUnavailable(StoreError):
    """Disk full, locked or broken. Nothing of the write is accepted."""

    code = "store_unavailable"
    outcome = Outcome.RETRY
