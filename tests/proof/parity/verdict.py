"""Python's side: everything that gamekit's pure code says about an operation before it would sign or send it.

Composed of the package's own functions and nothing else; each stands in `Parts`, so that a plant can replace one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from gamekit.core.checker import ScopeChecker
from gamekit.core.policy import Allowed, Denied
from gamekit.core.scope import Scope
from gamekit.core.usage import Usage, charge, max_cost, paymaster_denial, stored_usage, time_range
from gamekit.errors import EncodingInvalid
from gamekit.eth import session_validator
from gamekit.eth.calldata import Call, Execution, decode_execute
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.scope_form import ScopeForm, is_long
from gamekit.eth.session_validator import decode_envelope
from gamekit.eth.session_validator_abi import SessionRecord, SessionState
from gamekit.eth.signature import recover_address
from gamekit.eth.user_op_hash import hash_on_chain_form
from gamekit.eth.user_operation import PackedUserOperation, split_nonce, unpack
from gamekit.units import PermissionId, UserOpHash, Wei
from tests.proof.parity.ground import Ground

OTHER_FORM = "ScopeForm"


class Accepted(Struct, frozen=True):
    """Python would let it through."""

    valid_after: int
    valid_until: int
    usage: Usage
    """What the session has used up afterwards."""


class Refused(Struct, frozen=True):
    """Python would not."""

    reason: str
    """A policy's name, or what else was wrong in one word."""
    detail: str


class Known(Struct, frozen=True):
    """A session as the package knows it: what was granted, and what the chain remembers of it."""

    scope: Scope | None
    """None when `Scope.unpack` does not read what was granted."""
    form: ScopeForm | None
    """What hints and witnesses are written from; None as for `scope`."""
    permission: PermissionId
    record: SessionRecord


def add_up(allowed: Sequence[Allowed]) -> tuple[Wei, tuple[int, int]]:
    """Sum what the calls of an operation carry and count."""
    lanes = sum(each.lane_amounts[0] for each in allowed), sum(each.lane_amounts[1] for each in allowed)
    return Wei(sum(each.value_wei for each in allowed)), lanes


@dataclass(frozen=True)
class Parts:
    """The package's functions that the verdict is made of."""

    decode: Callable[[bytes], Execution] = decode_execute
    checker: Callable[[Scope, Ground], ScopeChecker] = lambda scope, ground: ScopeChecker(
        scope, ground.account, (ground.module, *ground.entry_points.values())
    )
    check: Callable[[ScopeChecker, Call], Allowed | Denied] = ScopeChecker.check_call
    add_up: Callable[[Sequence[Allowed]], tuple[Wei, tuple[int, int]]] = add_up
    charge: Callable[..., Usage | Denied] = charge
    recover: Callable[[bytes, bytes], bytes] = recover_address
    looks_at_the_epoch: bool = True
    looks_at_witnesses: bool = True


class PythonSide:
    """Judges the operations of one batch of inputs."""

    def __init__(self, ground: Ground, known: dict[bytes, Known], epoch: int, parts: Parts) -> None:
        """Prepare.

        Args:
            ground: where.
            known: the account's sessions, by the bytes of their scopes.
            epoch: the account's.
            parts: what the verdict is made of.
        """
        self._ground = ground
        self._known = known
        self._epoch = epoch
        self._parts = parts
        self._checkers = {
            packed: parts.checker(each.scope, ground) for packed, each in known.items() if each.scope is not None
        }

    def judge(self, packed: PackedUserOperation, version: EntryPointVersion) -> Accepted | Refused:
        """Say whether gamekit would let this operation through."""
        try:
            op = unpack(packed, version)
            calls = self._parts.decode(op.call_data).calls
            envelope = decode_envelope(op.signature, len(calls))
            name = hash_on_chain_form(packed, version, self._ground.entry_points[version], self._ground.chain_id)
        except EncodingInvalid as error:
            return Refused("Encoding", str(error))
        known = self._known.get(envelope.scope)
        if known is None:
            return Refused("Session", "no session has this scope")
        if op.sender != self._ground.account or op.factory is not None:
            return Refused("Account", "it is another account's, or creates one")
        dead = self._dead(known)
        if dead:
            return Refused("Session", dead)
        if known.scope is None or known.form is None:
            return Refused(OTHER_FORM, "the scope is in a form that the package does not read")
        if split_nonce(op.nonce)[0] != known.scope.nonce_key:
            return Refused("NonceKey", "it stands on another nonce key")
        denied = paymaster_denial(known.scope, op.paymaster)
        cost = max_cost(op)
        for found in (denied, cost):
            if isinstance(found, Denied):
                return _refused(found)
        assert isinstance(cost, int)
        return self._judge_calls(known, known.scope, known.form, calls, envelope, cost, name)

    def _dead(self, known: Known) -> str:
        if known.record.state is not SessionState.LIVE:
            return f"the session is {known.record.state.name}"
        if self._parts.looks_at_the_epoch and known.record.epoch != self._epoch:
            return "all sessions of its epoch are revoked"
        return ""

    def _judge_calls(
        self,
        known: Known,
        scope: Scope,
        form: ScopeForm,
        calls: Sequence[Call],
        envelope: session_validator.Envelope,
        cost: Wei,
        name: UserOpHash,
    ) -> Accepted | Refused:
        checker, allowed = self._checkers[envelope.scope], []
        for call in calls:
            verdict = self._parts.check(checker, call)
            if isinstance(verdict, Denied):
                return _refused(verdict)
            allowed.append(verdict)
        own = form.show(form.places([each.hint for each in allowed]))
        if self._parts.looks_at_witnesses and (envelope.hints, envelope.witnesses) != own:
            reason = "Witnesses" if is_long(form.granted) else "Hints"
            return Refused(reason, "other hints or witnesses than the calls' own")
        window = time_range(scope, envelope.claimed_at, envelope.deadline)
        if isinstance(window, Denied):
            return _refused(window)
        before = stored_usage(scope, known.record)
        usage = self._parts.charge(scope, before, envelope.claimed_at, len(calls), *self._parts.add_up(allowed), cost)
        if isinstance(usage, Denied):
            return _refused(usage)
        digest = session_validator.operation_digest(name, known.permission, envelope.claimed_at, envelope.deadline)
        try:
            signer = self._parts.recover(digest, envelope.signature)
        except EncodingInvalid as error:
            return Refused("Signature", str(error))
        if signer != scope.signer:
            return Refused("Signature", "another key signed it")
        return Accepted(*window, usage)


def _refused(denied: Denied) -> Refused:
    return Refused(denied.policy, denied.reason)
