"""The contracts of the simulated chain: an EntryPoint, the session module, the opener, accounts that run game calls.

Honest where the runtime decides by it: handleOps is decoded and its operations are checked (nonce by key, signature,
times, session, charges, prefund) in the EntryPoint's own order and refused with the module's own errors, the events are
written as the contracts write them, a failing operation reverts the whole bundle. `tests/testing/test_twin_*.py` holds
it to the real contracts. Not modelled: gas used, the owner's signature over a grant, what a scope says of arguments.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from gamekit.accounts.reference import FAILED_CALL, TRY_EXECUTE_FAIL
from gamekit.core.policy import Denied
from gamekit.core.scope import Scope
from gamekit.core.usage import Usage, charge, time_range
from gamekit.errors import EncodingInvalid
from gamekit.eth.block import Log
from gamekit.eth.calldata import EXECUTE_SELECTOR, Call, decode_execute
from gamekit.eth.entry_point import (
    BEFORE_EXECUTION,
    FAILED_OP,
    FAILED_OP_WITH_REVERT,
    HANDLE_OPS,
    REVERT_REASON,
    USER_OPERATION_EVENT,
    decode_handle_ops,
)
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256
from gamekit.eth.scope_form import ScopeForm, is_long
from gamekit.eth.session_opener import OPEN
from gamekit.eth.session_validator import Envelope, decode_envelope, operation_digest, permission_id, revoke_digest
from gamekit.eth.session_validator_abi import (
    ACCOUNT_OF,
    ALL_SESSIONS_REVOKED,
    REVOKE_SESSION_WITH_SIGNATURE,
    SESSION_GRANTED,
    SESSION_OF,
    SESSION_REVOKED,
    SESSION_VALIDATOR,
)
from gamekit.eth.user_op_hash import hash_on_chain_form
from gamekit.eth.user_operation import PackedUserOperation
from gamekit.testing.wire import dynamic, event_log, max_cost, recovered, words
from gamekit.units import ZERO_ADDRESS, Address, ChainId, Hash32, UnixSeconds, UserOpHash, Wei

CHAIN_ID = ChainId(31337)
OWNERS_SIGNATURE = b"owner's signature"
"""Stands for whatever the owner's wallet signs."""
FIRST_EPOCH = 1
"""An account's, once the module is installed."""
_ERRORS = {error.name: error for error in SESSION_VALIDATOR.errors.values()}


class Executed(Struct, frozen=True):
    """One call that the chain ran: (operation, place in it) names it once and for all."""

    user_op_hash: UserOpHash
    place: int
    account: Address
    call: Call
    reverted: bool


class Session(Struct, frozen=True):
    """A session as the module keeps it."""

    account: Address
    scope: Scope
    epoch: int
    """The account's at the grant; the session counts only while it is still the account's."""
    functions: tuple[bytes, ...]
    """Target and selector of what it may call, in the scope's order."""
    usage: Usage = Usage()
    state: int = 1
    """1 granted, 2 revoked."""


class World(Struct):
    """The contracts' state after a block."""

    nonces: dict[tuple[Address, int], int]
    counts: dict[Address, int]
    sessions: dict[bytes, Session]
    delegates: dict[Address, Address]
    epochs: dict[Address, int] = {}
    """Of every account that has the module."""
    void: set[bytes] = set()
    """Permissions that were revoked before anybody granted them."""

    def copy(self) -> "World":
        """Give one that can change by itself."""
        return World(dict(self.nonces), dict(self.counts), dict(self.sessions), dict(self.delegates),
                     dict(self.epochs), set(self.void))  # fmt: skip

    def adopt(self, draft: "World") -> None:
        """Take over what a transaction changed, but for the senders' own nonces and delegations."""
        self.nonces, self.sessions, self.epochs, self.void = draft.nonces, draft.sessions, draft.epochs, draft.void

    def live(self, permission: bytes) -> Session:
        """Find a session that counts. Raises ModuleError."""
        session = self.sessions.get(permission)
        if session is None or session.state != 1:
            raise ModuleError("SessionNotLive", permission, self.state_of(permission))
        epoch = self.epochs[session.account]
        if session.epoch != epoch:
            raise ModuleError("EpochStale", session.epoch, epoch)
        return session

    def state_of(self, permission: bytes) -> int:
        """What became of a permission: 0 nothing, 1 granted, 2 revoked."""
        session = self.sessions.get(permission)
        return session.state if session is not None else 2 * (permission in self.void)


class Refusal(Exception):
    """An operation that validation refuses: its place, the reason, and what its account reverted with."""

    def __init__(self, place: int, reason: str, inner: bytes | None = None) -> None:
        super().__init__(place, reason)
        reverted = inner is not None
        self.data = FAILED_OP_WITH_REVERT.encode(place, reason, inner) if reverted else FAILED_OP.encode(place, reason)


class ModuleError(Refusal):
    """The session module reverts, with one of its own errors."""

    def __init__(self, name: str, *values: int | bytes) -> None:
        super().__init__(0, name)
        self.data = _ERRORS[name].encode(*values)


class Verdict(Struct, frozen=True):
    """What an account's validation gives, if it does not revert."""

    signed: bool
    window: tuple[int, int] = (0, 1 << 48)
    """First and last second in which the operation may run."""
    charged: tuple[bytes, Session] | None = None
    """The session as it is afterwards."""


class Contracts:
    """Everything deployed, over a `World` that is given; knows no blocks."""

    def __init__(self, entry_point: Address, module: Address, opener: Address, owner_validator: Address) -> None:
        self.entry_point, self.module, self.opener = entry_point, module, opener
        self.owner_validator = owner_validator
        self.reverts: Callable[[Call], bytes | None] = lambda call: None  # noqa: ARG005
        """What a game call reverts with; None lets it succeed."""
        self.burns: Callable[[Call], bool] = lambda call: False  # noqa: ARG005
        """Whether a game call leaves its batch no gas: all of it is undone, and whoever asks beforehand is told."""
        self.treacherous: set[Address] = set()
        """Accounts whose validation agrees when it is asked, and reverts when it is mined."""
        self.deposits: dict[Address, Wei] = {}
        """Accounts that can pay no more than this for one operation; the others can pay anything."""
        self.garble = False
        """Whether accounts report failures of calls that they never made."""
        self._mining = False

    @staticmethod
    def read_bundle(data: bytes) -> list[PackedUserOperation]:
        """The operations of a bundle's calldata; none of any other."""
        return list(_bundle(data)) if data[:4] == HANDLE_OPS.selector else []

    def hash_of(self, op: PackedUserOperation) -> UserOpHash:
        """What the EntryPoint calls an operation."""
        return hash_on_chain_form(op, EntryPointVersion.V07, self.entry_point, CHAIN_ID)

    def _execute(self, world: World, to: Address, data: bytes, at: UnixSeconds, executed: list[Executed]) -> list[Log]:
        if data[:4] == HANDLE_OPS.selector and to == self.entry_point:
            return self._handle_ops(world, data, at, executed)
        if data[:4] == OPEN.selector:
            return self._grant(world, data, at)
        if data[:4] == REVOKE_SESSION_WITH_SIGNATURE.selector:
            return self._revoke(world, data)
        if data.startswith(b"consume"):
            account, key = Address(data[7:27]), int.from_bytes(data[27:], "big")
            sequence = world.nonces.get((account, key), 0)
            world.nonces[account, key] = sequence + 1
            return [self._closing(UserOpHash(keccak256(data)), account, key << 64 | sequence, success=True)]
        if data.startswith(b"revoke!"):
            return self._revoke_by_owner(world, data[7:39], Address(data[39:]))
        if data.startswith(b"revoke*"):
            return self._bump_epoch(world, Address(data[7:]))
        return []

    def _handle_ops(self, world: World, data: bytes, at: UnixSeconds, executed: list[Executed]) -> list[Log]:
        operations = self.read_bundle(data)
        hashes = [self._validate(world, place, op, at) for place, op in enumerate(operations)]
        logs = [event_log(self.entry_point, BEFORE_EXECUTION.topic)]
        for op, hashed in zip(operations, hashes, strict=True):
            logs += self._run(op, hashed, executed)
        return logs

    def _validate(self, world: World, place: int, op: PackedUserOperation, at: UnixSeconds) -> UserOpHash:
        """In the EntryPoint's order: the account, its money, the nonce, and only then what the account returned."""
        key, sequence = op.nonce >> 64, op.nonce & (1 << 64) - 1
        hashed = self.hash_of(op)
        try:
            verdict = self._ask_account(world, op, key, hashed)
        except ModuleError as error:
            raise Refusal(place, "AA23 reverted", error.data) from error
        cost = max_cost(op)
        if cost > self.deposits.get(op.sender, cost):
            raise Refusal(place, "AA21 didn't pay prefund")
        if world.nonces.get((op.sender, key), 0) != sequence:
            raise Refusal(place, "AA25 invalid account nonce")
        if not verdict.signed:
            raise Refusal(place, "AA24 signature error")
        if not verdict.window[0] <= at <= verdict.window[1]:
            raise Refusal(place, "AA22 expired or not due")
        world.nonces[op.sender, key] = sequence + 1
        if verdict.charged is not None:
            permission, session = verdict.charged
            world.sessions[permission] = session
        return hashed

    def _ask_account(self, world: World, op: PackedUserOperation, key: int, hashed: UserOpHash) -> Verdict:
        if key >> 32 == int.from_bytes(self.owner_validator, "big"):
            return Verdict(op.signature == OWNERS_SIGNATURE)
        calls, envelope = _opened(op)
        permission = permission_id(CHAIN_ID, self.module, op.sender, envelope.scope)
        session = world.live(permission)
        if self._mining and op.sender in self.treacherous:
            raise ModuleError("SessionNotLive", permission, session.state)
        scope = session.scope
        if scope.nonce_key != key:
            raise ModuleError("NonceKeyMismatch", key, scope.nonce_key)
        paymaster = op.paymaster_and_data[:20] or ZERO_ADDRESS
        if paymaster != (scope.gas.paymaster or ZERO_ADDRESS):
            raise ModuleError("PaymasterMismatch", paymaster, scope.gas.paymaster or ZERO_ADDRESS)
        window = time_range(scope, envelope.claimed_at, envelope.deadline)
        if isinstance(window, Denied):
            raise ModuleError("TimeRangeEmpty", int(window.asked), int(window.limit))
        value, cost = Wei(sum(call.value for call in calls)), max_cost(op)
        charged = charge(scope, session.usage, envelope.claimed_at, len(calls), value, (0, 0), cost)
        if isinstance(charged, Denied):
            raise _denied(charged, scope, cost)
        _require_allowed(calls, envelope, session.functions)
        digest = operation_digest(hashed, permission, envelope.claimed_at, envelope.deadline)
        return Verdict(
            _signer(digest, envelope.signature) == scope.signer, window, (permission, replace(session, usage=charged))
        )

    def _run(self, op: PackedUserOperation, hashed: UserOpHash, executed: list[Executed]) -> list[Log]:
        mode, calls = decode_execute(op.call_data)
        paymaster = op.paymaster_and_data[:20]
        failures = {place: data for place, call in enumerate(calls) if (data := self.reverts(call)) is not None}
        reason = b"" if mode.is_try else self._reason(calls)
        undone = bool(reason) or (mode.is_try and any(map(self.burns, calls)))
        for place, call in enumerate(calls):
            executed.append(Executed(hashed, place, op.sender, call, undone or place in failures))
        if undone:
            topics = REVERT_REASON.topic, hashed, op.sender.rjust(32, b"\0")
            told = event_log(self.entry_point, *topics, data=words(op.nonce, 64) + dynamic(reason))
            closing = self._closing(hashed, op.sender, op.nonce, success=False, paymaster=paymaster)
            return [told, closing] if reason else [closing]
        logs = [
            event_log(op.sender, TRY_EXECUTE_FAIL.topic, data=words(place, 64) + dynamic(data))
            for place, data in ({len(calls) + 7: b""} if self.garble else failures).items()
        ]
        return [*logs, self._closing(hashed, op.sender, op.nonce, success=True, paymaster=paymaster)]

    def _reason(self, calls: Sequence[Call]) -> bytes:
        """What an account reverts with that executes all of these or none; empty if it does not."""
        for call in calls:
            failure = b"" if self.burns(call) else self.reverts(call)
            if failure is not None:
                return failure or FAILED_CALL
        return b""

    def _closing(
        self, hashed: UserOpHash, sender: Address, nonce: int, *, success: bool, paymaster: bytes = b""
    ) -> Log:
        topics = (USER_OPERATION_EVENT.topic, hashed, sender.rjust(32, b"\0"), paymaster.rjust(32, b"\0"))
        return event_log(self.entry_point, *topics, data=words(nonce, int(success), 10**14, 100_000))

    def _grant(self, world: World, data: bytes, at: UnixSeconds) -> list[Log]:
        account, _, _, _, module, grants = cast("tuple[Address, ...]", OPEN.decode_call(data))
        logs = [] if account in world.epochs else self._bump_epoch(world, account)
        for packed, texts, _, deadline, signature in cast(
            "tuple[tuple[bytes, tuple[str, ...], tuple[Address, ...], int, bytes], ...]", grants
        ):
            permission = permission_id(CHAIN_ID, module, account, ScopeForm(packed).signed)
            state = world.state_of(permission)
            if state == 1:
                continue  # The opener leaves what is there as it is.
            if at > deadline:
                raise ModuleError("GrantExpired", at, deadline)
            if signature == b"refused":
                raise ModuleError("GrantSignatureInvalid", account, self.owner_validator)
            scope = Scope.unpack(packed, texts)
            if at > scope.time.valid_until:
                raise ModuleError("TimeFrameOver", scope.time.valid_until, at)
            if state:
                raise ModuleError("SessionAlreadyGranted", permission, state)
            epoch = world.epochs[account]
            functions = tuple(entry.target + entry.selector for entry in scope.calls.entries)
            world.sessions[permission] = Session(account, scope, epoch, functions)
            times = scope.time.valid_after, scope.time.valid_until
            head = words(int.from_bytes(scope.revoker, "big"), *times, epoch, 160)
            topics = (SESSION_GRANTED.topic, account.rjust(32, b"\0"), permission, scope.signer.rjust(32, b"\0"))
            logs.append(event_log(self.module, *topics, data=head + dynamic(packed)))
        return logs

    def _bump_epoch(self, world: World, account: Address) -> list[Log]:
        """The module does so when it is installed, and when all sessions of an account are revoked."""
        world.epochs[account] = epoch = world.epochs.get(account, FIRST_EPOCH - 1) + 1
        return [event_log(self.module, ALL_SESSIONS_REVOKED.topic, account.rjust(32, b"\0"), data=words(epoch))]

    def _revoke(self, world: World, data: bytes) -> list[Log]:
        account, packed, signature = cast(
            "tuple[Address, bytes, bytes]", REVOKE_SESSION_WITH_SIGNATURE.decode_call(data)
        )
        permission = permission_id(CHAIN_ID, self.module, account, ScopeForm(packed).signed)
        session = world.live(permission)
        signer = _signer(revoke_digest(CHAIN_ID, self.module, account, permission), signature)
        if signer != session.scope.signer:
            raise ModuleError("RevokeSignatureInvalid", signer, session.scope.signer)
        world.sessions[permission] = replace(session, state=2)
        return [event_log(self.module, SESSION_REVOKED.topic, account.rjust(32, b"\0"), permission)]

    def _revoke_by_owner(self, world: World, permission: bytes, emitter: Address) -> list[Log]:
        session = world.sessions.get(permission)
        account = session.account if session is not None else ZERO_ADDRESS
        if emitter == self.module:
            if world.state_of(permission) == 2:
                return []
            if session is None:
                world.void.add(permission)
            else:
                world.sessions[permission] = replace(session, state=2)
        return [event_log(emitter, SESSION_REVOKED.topic, account.rjust(32, b"\0"), permission)]

    def _session_of(self, world: World, data: bytes) -> bytes:
        _, permission = cast("tuple[Address, bytes]", SESSION_OF.decode_call(data))
        session = world.sessions.get(permission)
        if session is None:
            return words(world.state_of(permission), 0, 0, 0, 0, 0, 0)
        usage = session.usage
        return words(
            session.state, session.epoch, usage.uses, usage.arrival_ms, usage.gas_spent_wei, usage.value_spent_wei, 0
        )

    def _account_of(self, world: World, data: bytes) -> bytes:
        (account,) = cast("tuple[Address]", ACCOUNT_OF.decode_call(data))
        epoch = world.epochs.get(account, 0)
        return words(int(bool(epoch)), epoch, int.from_bytes(self.owner_validator, "big") if epoch else 0, 0, 0)


def _opened(op: PackedUserOperation) -> tuple[tuple[Call, ...], Envelope]:
    if op.call_data[:4] != EXECUTE_SELECTOR:
        raise ModuleError("SelectorNotExecute", op.call_data[:4], EXECUTE_SELECTOR)
    try:
        calls = decode_execute(op.call_data).calls
    except EncodingInvalid as error:
        raise ModuleError("CallDataNotCanonical", 0, 0, 0) from error
    try:
        return calls, decode_envelope(op.signature, len(calls))
    except EncodingInvalid as error:
        # Whatever stands there in a scope's place, nobody granted it.
        raise ModuleError("SessionNotLive", keccak256(op.signature), 0) from error


def _require_allowed(calls: Sequence[Call], envelope: Envelope, functions: Sequence[bytes]) -> None:
    """Each call is the one that its hint names, or for a long list, whose proof is not looked at, any of the list."""
    listed = is_long(envelope.scope)
    for place, (call, hint) in enumerate(zip(calls, envelope.hints, strict=True)):
        asked = call.target + call.data[:4]
        if not listed and hint >= len(functions):
            raise ModuleError("HintOutOfRange", place, hint, len(functions))
        if asked not in functions if listed else asked != functions[hint]:
            named = bytes(24) if listed else functions[hint]
            raise ModuleError("CallNotAllowed", place, call.target, call.data[:4], named[:20], named[20:])


def _signer(digest: Hash32, signature: bytes) -> Address:
    """Who signed; nobody where it is no signature."""
    try:
        return recovered(digest, signature)
    except EncodingInvalid:
        return ZERO_ADDRESS


def _denied(denied: Denied, scope: Scope, cost: Wei) -> ModuleError:
    """What the module says where our own policy says no."""
    asked, limit = int(denied.asked), int(denied.limit)
    per_operation = cost > scope.gas.per_operation_wei_max
    name = {
        "CallPolicy": "CallsOutOfRange",
        "UsageLimitPolicy": "UsesExceeded",
        "RateLimitPolicy": "RateExceeded",
        "GasPolicy": "GasPerOperationExceeded" if per_operation else "GasBudgetExceeded",
    }.get(denied.policy)
    return ModuleError(name, asked, limit) if name else ModuleError("CapExceeded", 0, 0, asked, limit)


@lru_cache(maxsize=512)
def _bundle(data: bytes) -> tuple[PackedUserOperation, ...]:
    return tuple(cast("PackedUserOperation", op) for op in decode_handle_ops(data).operations)
