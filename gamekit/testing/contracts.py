"""The contracts of the simulated chain: an EntryPoint, the session module, the opener, accounts that run game calls.

Honest where the runtime decides by it: handleOps is decoded and its operations are checked (nonce by key, signature,
times, session, charges, prefund), the EntryPoint's events are written as it writes them, a failing operation reverts
the whole bundle. Not modelled: gas used, the owner's signature over a grant, calldata rules of a scope.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from gamekit.accounts.reference import TRY_EXECUTE_FAIL
from gamekit.core.policy import Denied
from gamekit.core.scope import Scope
from gamekit.core.usage import Usage, charge, time_range
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call, decode_execute
from gamekit.eth.entry_point import (
    BEFORE_EXECUTION,
    FAILED_OP,
    HANDLE_OPS,
    REVERT_REASON,
    USER_OPERATION_EVENT,
    decode_handle_ops,
)
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256
from gamekit.eth.scope_form import ScopeForm
from gamekit.eth.session_opener import OPEN
from gamekit.eth.session_validator import decode_envelope, operation_digest, permission_id, revoke_digest
from gamekit.eth.session_validator_abi import (
    ALL_SESSIONS_REVOKED,
    REVOKE_SESSION_WITH_SIGNATURE,
    SESSION_GRANTED,
    SESSION_OF,
    SESSION_REVOKED,
)
from gamekit.eth.user_op_hash import hash_on_chain_form
from gamekit.eth.user_operation import PackedUserOperation
from gamekit.testing.wire import dynamic, event_log, max_cost, recovered, words
from gamekit.units import Address, ChainId, UnixSeconds, UserOpHash, Wei

CHAIN_ID = ChainId(31337)
OWNERS_SIGNATURE = b"owner's signature"
"""Stands for whatever the owner's wallet signs."""


class Executed(Struct, frozen=True):
    """One call that the chain ran: (operation, place in it) names it once and for all."""

    user_op_hash: UserOpHash
    place: int
    account: Address
    call: Call
    reverted: bool


class Session(Struct, frozen=True):
    """A session as the module keeps it."""

    scope: Scope
    usage: Usage = Usage()
    state: int = 1
    """1 granted, 2 revoked."""


class World(Struct):
    """The contracts' state after a block."""

    nonces: dict[tuple[Address, int], int]
    counts: dict[Address, int]
    sessions: dict[bytes, Session]
    delegates: dict[Address, Address]

    def copy(self) -> "World":
        """Give one that can change by itself."""
        return World(dict(self.nonces), dict(self.counts), dict(self.sessions), dict(self.delegates))


class Refusal(Exception):
    """An operation that validation refuses: its place, the reason."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(place, reason)
        self.data = FAILED_OP.encode(place, reason)


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
            return self._grant(world, data)
        if data[:4] == REVOKE_SESSION_WITH_SIGNATURE.selector:
            return self._revoke(world, data)
        if data.startswith(b"consume"):
            account, key = Address(data[7:27]), int.from_bytes(data[27:], "big")
            sequence = world.nonces.get((account, key), 0)
            world.nonces[account, key] = sequence + 1
            return [self._closing(UserOpHash(keccak256(data)), account, key << 64 | sequence, success=True)]
        if data.startswith(b"revoke!"):
            permission, emitter = data[7:39], Address(data[39:])
            session = world.sessions.get(permission)
            if session is not None and emitter == self.module:
                world.sessions[permission] = replace(session, state=2)
            return [event_log(emitter, SESSION_REVOKED.topic, bytes(32), permission)]
        if data.startswith(b"revoke*"):
            world.sessions = {key: replace(each, state=2) for key, each in world.sessions.items()}
            return [event_log(self.module, ALL_SESSIONS_REVOKED.topic, data[7:].rjust(32, b"\0"), data=words(2))]
        return []

    def _handle_ops(self, world: World, data: bytes, at: UnixSeconds, executed: list[Executed]) -> list[Log]:
        operations = self.read_bundle(data)
        hashes = [self._validate(world, place, op, at) for place, op in enumerate(operations)]
        logs = [event_log(self.entry_point, BEFORE_EXECUTION.topic)]
        for op, hashed in zip(operations, hashes, strict=True):
            logs += self._run(op, hashed, executed)
        return logs

    def _validate(self, world: World, place: int, op: PackedUserOperation, at: UnixSeconds) -> UserOpHash:
        key, sequence = op.nonce >> 64, op.nonce & (1 << 64) - 1
        if world.nonces.get((op.sender, key), 0) != sequence:
            raise Refusal(place, "AA25 invalid account nonce")
        hashed = self.hash_of(op)
        if key >> 32 == int.from_bytes(self.owner_validator, "big"):
            if op.signature != OWNERS_SIGNATURE:
                raise Refusal(place, "AA24 signature error")
            world.nonces[op.sender, key] = sequence + 1
            return hashed
        if self._mining and op.sender in self.treacherous:
            raise Refusal(place, "AA23 reverted")
        calls = decode_execute(op.call_data).calls
        envelope = decode_envelope(op.signature, len(calls))
        permission = permission_id(CHAIN_ID, self.module, op.sender, envelope.scope)
        session = world.sessions.get(permission)
        if session is None or session.state != 1:
            raise Refusal(place, "AA23 reverted")
        scope = session.scope
        digest = operation_digest(hashed, permission, envelope.claimed_at, envelope.deadline)
        if recovered(digest, envelope.signature) != scope.signer or scope.nonce_key != key:
            raise Refusal(place, "AA24 signature error")
        if (op.paymaster_and_data[:20] or None) != scope.gas.paymaster:
            raise Refusal(place, "AA23 reverted")
        cost = max_cost(op)
        value = Wei(sum(call.value for call in calls))
        charged = charge(scope, session.usage, envelope.claimed_at, len(calls), value, (0, 0), cost)
        if isinstance(charged, Denied):
            raise Refusal(place, "AA23 reverted")
        window = time_range(scope, envelope.claimed_at, envelope.deadline)
        if isinstance(window, Denied) or not window[0] <= at <= window[1]:
            raise Refusal(place, "AA22 expired or not due")
        if cost > self.deposits.get(op.sender, cost):
            raise Refusal(place, "AA21 didn't pay prefund")
        world.nonces[op.sender, key] = sequence + 1
        world.sessions[permission] = replace(session, usage=charged)
        return hashed

    def _run(self, op: PackedUserOperation, hashed: UserOpHash, executed: list[Executed]) -> list[Log]:
        mode, calls = decode_execute(op.call_data)
        failures = {place: data for place, call in enumerate(calls) if (data := self.reverts(call)) is not None}
        burnt = any(map(self.burns, calls))
        undone = burnt or (bool(failures) and not mode.is_try)
        for place, call in enumerate(calls):
            executed.append(Executed(hashed, place, op.sender, call, undone or place in failures))
        if burnt:
            return [self._closing(hashed, op.sender, op.nonce, success=False)]
        if undone:
            reason = REVERT_REASON.topic, hashed, op.sender.rjust(32, b"\0")
            told = words(op.nonce, 64) + dynamic(next(iter(failures.values())))
            return [
                event_log(self.entry_point, *reason, data=told),
                self._closing(hashed, op.sender, op.nonce, success=False),
            ]
        logs = [
            event_log(op.sender, TRY_EXECUTE_FAIL.topic, data=words(place, 64) + dynamic(data))
            for place, data in ({len(calls) + 7: b""} if self.garble else failures).items()
        ]
        return [*logs, self._closing(hashed, op.sender, op.nonce, success=True)]

    def _closing(self, hashed: UserOpHash, sender: Address, nonce: int, *, success: bool) -> Log:
        topics = (USER_OPERATION_EVENT.topic, hashed, sender.rjust(32, b"\0"), bytes(32))
        return event_log(self.entry_point, *topics, data=words(nonce, int(success), 10**14, 100_000))

    def _grant(self, world: World, data: bytes) -> list[Log]:
        account, _, _, _, module, grants = cast("tuple[Address, ...]", OPEN.decode_call(data))
        logs = []
        for packed, functions, _, _, signature in cast(
            "tuple[tuple[bytes, tuple[str, ...], tuple[Address, ...], int, bytes], ...]", grants
        ):
            permission = permission_id(CHAIN_ID, module, account, ScopeForm(packed).signed)
            if permission in world.sessions or signature == b"refused":
                raise Refusal(0, "the grant is refused")
            scope = Scope.unpack(packed, functions)
            world.sessions[permission] = Session(scope)
            head = words(int.from_bytes(scope.revoker, "big"), scope.time.valid_after, scope.time.valid_until, 1, 160)
            topics = (SESSION_GRANTED.topic, account.rjust(32, b"\0"), permission, scope.signer.rjust(32, b"\0"))
            logs.append(event_log(self.module, *topics, data=head + dynamic(packed)))
        return logs

    def _revoke(self, world: World, data: bytes) -> list[Log]:
        account, packed, signature = cast(
            "tuple[Address, bytes, bytes]", REVOKE_SESSION_WITH_SIGNATURE.decode_call(data)
        )
        permission = permission_id(CHAIN_ID, self.module, account, ScopeForm(packed).signed)
        session = world.sessions.get(permission)
        signer = recovered(revoke_digest(CHAIN_ID, self.module, account, permission), signature)
        if session is None or session.state != 1 or signer != session.scope.signer:
            raise Refusal(0, "the revocation is refused")
        world.sessions[permission] = replace(session, state=2)
        return [event_log(self.module, SESSION_REVOKED.topic, account.rjust(32, b"\0"), permission)]

    def _session_of(self, world: World, data: bytes) -> bytes:
        _, permission = cast("tuple[Address, bytes]", SESSION_OF.decode_call(data))
        session = world.sessions.get(permission)
        if session is None:
            return words(0, 0, 0, 0, 0, 0, 0)
        usage = session.usage
        return words(session.state, 1, usage.uses, usage.arrival_ms, usage.gas_spent_wei, usage.value_spent_wei, 0)


@lru_cache(maxsize=512)
def _bundle(data: bytes) -> tuple[PackedUserOperation, ...]:
    return tuple(cast("PackedUserOperation", op) for op in decode_handle_ops(data).operations)
