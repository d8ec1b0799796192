"""From a batch to an operation: calldata, nonce, gas limits, fees, claimed time and deadline.

The gas limits are what the session's budget pays in validation, whatever is used: so they follow from the manifest's
ceilings and not from a wish for safety.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from gamekit.accounts.stack import AccountStack
from gamekit.config import BatchConfig, SponsorConfig
from gamekit.core.action import Action
from gamekit.core.fees import Fees
from gamekit.core.scope import Scope
from gamekit.core.session import Session
from gamekit.core.tracking import Operation
from gamekit.eth import session_validator
from gamekit.eth.block import Head
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.scope_form import ScopeForm
from gamekit.eth.session_paymaster import session_data
from gamekit.eth.user_op_hash import UserOpHasher
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, Gas, Hash32, NonceSequence, PermissionId, UnixSeconds

_NO_SPONSOR: Final = SponsorConfig()


def call_gas(ceilings: int, calls: int, limits: BatchConfig) -> Gas:
    """Gas limit of the execution: the calls' own ceilings, and the account's overhead for each."""
    return Gas(limits.execution_gas + ceilings + calls * limits.execution_gas_per_call)


def verification_gas(calls: int, limits: BatchConfig) -> Gas:
    """Gas limit of the validation: it reads every call."""
    return Gas(limits.verification_gas + calls * limits.verification_gas_per_call)


def pre_verification_gas(calls: int, limits: BatchConfig) -> Gas:
    """What the bundler is paid for calldata and the transaction's share."""
    return Gas(limits.pre_verification_gas + calls * limits.pre_verification_gas_per_call)


def times(head: Head, scope: Scope, limits: BatchConfig) -> tuple[UnixSeconds, UnixSeconds] | None:
    """Choose the claimed time and the deadline; None when the session ends too soon for either.

    The claimed time is one second before the latest canonical head's: the entry points differ on whether the first
    second of the range is inside it, and a block may share its parent's timestamp.
    """
    claimed_at = max(head.timestamp - 1, scope.time.valid_after)
    deadline = min(claimed_at + limits.deadline_s, scope.time.valid_until)
    if deadline <= head.timestamp:
        return None
    return UnixSeconds(claimed_at), UnixSeconds(deadline)


_OPERATION_BYTES = 700
"""Bytes of an operation in handleOps beside calldata, hints and scope: its words, the envelope's head, padding."""


_PAYMASTER_BYTES = 84
"""Bytes of the paymaster's fields in handleOps beside its data: address, two gas limits, padding."""


class Payer(Protocol):
    """Gives the paymaster's part of a session's operations."""

    def data(self, op: UserOperation, times: tuple[UnixSeconds, UnixSeconds]) -> bytes:
        """Write the paymaster's data.

        Args:
            op: complete but for this data and the session key's signature.
            times: claimed time and deadline.
        """
        ...


class VoucherPayer:
    """For a session that its game vouched for: names the session, and the time that it claims."""

    def __init__(self, permission_id: PermissionId) -> None:
        self._permission_id = permission_id

    def data(self, op: UserOperation, times: tuple[UnixSeconds, UnixSeconds]) -> bytes:  # noqa: ARG002
        """Nothing of the operation is needed: the paymaster asks the module what it was charged."""
        return session_data(times[0], self._permission_id)


class SessionCodec:
    """Writes the operations of one session: what they share is computed once."""

    __slots__ = ("_form", "_hasher", "_limits", "_payer", "_paymaster", "_scope", "_session", "_sponsor", "_stack")

    def __init__(
        self,
        session: Session,
        scope: Scope,
        stack: AccountStack,
        limits: BatchConfig,
        sponsor: SponsorConfig = _NO_SPONSOR,
        payer: Payer | None = None,
    ) -> None:
        """Prepare what all operations share.

        Args:
            session: whose operations.
            scope: the session's.
            stack: the account's.
            limits: the configuration's.
            sponsor: the configuration's; used where the scope names a paymaster.
            payer: writes the paymaster's data; a voucher's is the default.
        """
        self._session = session
        self._scope = scope
        self._stack = stack
        self._limits = limits
        self._form = ScopeForm(session.scope)
        self._sponsor = sponsor
        self._paymaster = scope.gas.paymaster
        self._payer = payer or VoucherPayer(session.permission_id)
        version = EntryPointVersion(session.entry_point_version)
        self._hasher = UserOpHasher(version, session.entry_point, session.chain_id, session.account)

    def call_data(self, actions: Sequence[Action], try_mode: bool) -> bytes:
        """Write what the account executes for 1 to 64 actions, in lane order.

        Args:
            actions: in lane order.
            try_mode: whether each may revert by itself.
        """
        return self._stack.execute([action.call for action in actions], try_mode)

    def plan(
        self,
        actions: Sequence[Action],
        call_data: bytes,
        try_mode: bool,
        sequence: NonceSequence,
        times: tuple[UnixSeconds, UnixSeconds],
        fees: Fees,
        gas_percent: int = 100,
    ) -> Operation:
        """Make an operation of these actions; it has no signature yet.

        Args:
            actions: 1 to 64, in lane order.
            call_data: theirs, as `call_data` wrote it.
            try_mode: as `call_data` was written.
            sequence: the slot's place on the lane.
            times: claimed time and deadline.
            fees: the bid.
            gas_percent: share of the configured validation gas, the account's and the paymaster's.
        """
        calls = len(actions)
        ceilings = sum([action.gas for action in actions])
        session, limits = self._session, self._limits
        nonce = session.key << 64 | sequence
        validation = Gas(verification_gas(calls, limits) * gas_percent // 100)
        gas = call_gas(ceilings, calls, limits), validation, pre_verification_gas(calls, limits)
        unsigned = UserOperation(
            sender=session.account,
            nonce=nonce,
            call_data=call_data,
            call_gas_limit=gas[0],
            verification_gas_limit=gas[1],
            pre_verification_gas=gas[2],
            max_fee_per_gas=fees.max_fee_per_gas,
            max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
        )
        if self._paymaster is not None:
            unsigned = self._sponsored(unsigned, times, gas_percent)
        return Operation(
            self._hasher.hash(unsigned),
            session.permission_id,
            session.account,
            session.nonce_key,
            sequence,
            tuple([action.id for action in actions]),
            try_mode,
            self._form.places([action.hint for action in actions]),
            self._calldata_bytes(unsigned, calls),
            unsigned.call_gas_limit,
            unsigned.verification_gas_limit,
            unsigned.pre_verification_gas,
            fees.max_fee_per_gas,
            fees.max_priority_fee_per_gas,
            times[0],
            times[1],
            paymaster=unsigned.paymaster or Address(b""),
            paymaster_verification_gas_limit=unsigned.paymaster_verification_gas_limit,
            paymaster_data=unsigned.paymaster_data,
        )

    def _sponsored(
        self, unsigned: UserOperation, times: tuple[UnixSeconds, UnixSeconds], gas_percent: int
    ) -> UserOperation:
        """Add the paymaster that the scope names."""
        op = replace(
            unsigned,
            pre_verification_gas=Gas(unsigned.pre_verification_gas + self._sponsor.pre_verification_gas),
            paymaster=self._paymaster,
            paymaster_verification_gas_limit=Gas(self._sponsor.verification_gas * gas_percent // 100),
        )
        return replace(op, paymaster_data=self._payer.data(op, times))

    def _calldata_bytes(self, op: UserOperation, calls: int) -> int:
        paymaster = _PAYMASTER_BYTES + len(op.paymaster_data) if op.paymaster is not None else 0
        shown = len(self._form.signed) + self._form.shown_bytes_max(calls)
        return len(op.call_data) + shown + _OPERATION_BYTES + paymaster

    def digest(self, operation: Operation) -> Hash32:
        """What the session key signs: the operation, the permission, the claimed time and the deadline."""
        return session_validator.operation_digest(
            operation.user_op_hash, self._session.permission_id, operation.claimed_at, operation.deadline
        )

    def submission(self, operation: Operation, call_data: bytes) -> UserOperation:
        """Give a signed operation as it is submitted: its calldata, and the envelope as the account wants it."""
        hints, witnesses = self._form.show(operation.places)
        envelope = session_validator.envelope(
            operation.claimed_at, operation.deadline, operation.signature, hints, self._form.signed, witnesses
        )
        return UserOperation(
            sender=operation.sender,
            nonce=operation.nonce,
            call_data=call_data,
            call_gas_limit=operation.call_gas_limit,
            verification_gas_limit=operation.verification_gas_limit,
            pre_verification_gas=operation.pre_verification_gas,
            max_fee_per_gas=operation.max_fee_per_gas,
            max_priority_fee_per_gas=operation.max_priority_fee_per_gas,
            paymaster=operation.paymaster or None,
            paymaster_verification_gas_limit=operation.paymaster_verification_gas_limit,
            paymaster_data=operation.paymaster_data,
            signature=self._stack.signature(envelope),
        )
