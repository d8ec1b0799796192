"""Rows for tests of what moves on a lane: actions, operations, slots, sessions, heads."""

from typing import Any

from gamekit.accounts import stack
from gamekit.config import BatchConfig
from gamekit.core.action import Action
from gamekit.core.checker import ScopeChecker
from gamekit.core.lane import Lane
from gamekit.core.prepare import SessionCodec
from gamekit.core.scope import Scope
from gamekit.core.session import OPEN, Session
from gamekit.core.tracking import LiveSlot, Operation, Slot
from gamekit.core.usage import Usage
from gamekit.eth.block import Head
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.units import (
    ActionId,
    Address,
    BlockHash,
    BlockNumber,
    ChainId,
    Gas,
    NonceSequence,
    PermissionId,
    PlayerId,
    UnixSeconds,
    UserOpHash,
    Wei,
)
from tests.core.scopes import ACCOUNT, GAME, SIGNER, START, scope_of

PERMISSION = PermissionId(b"\x9e" * 32)
ENTRY_POINT = EntryPointVersion.V07.canonical_address
MODULE = Address(b"\x5e" * 20)
NONCE_KEY = (7).to_bytes(24, "big")


def action(number: int, **changes: Any) -> Action:
    """The action with this id; its key is its number."""
    fields: dict[str, Any] = {
        "id": ActionId(number),
        "permission_id": PERMISSION,
        "key": str(number),
        "digest": bytes(16),
        "function": "move",
        "target": GAME,
        "data": b"\x01\x02\x03\x04" + number.to_bytes(32, "big"),
        "gas": Gas(50_000),
    }
    return Action(**fields | changes)


def actions(*numbers: int, **changes: Any) -> tuple[Action, ...]:
    return tuple(action(number, **changes) for number in numbers)


def operation(number: int = 1, **changes: Any) -> Operation:
    """The operation whose hash ends with this number."""
    fields: dict[str, Any] = {
        "user_op_hash": UserOpHash(number.to_bytes(32, "big")),
        "permission_id": PERMISSION,
        "sender": ACCOUNT,
        "nonce_key": NONCE_KEY,
        "sequence": NonceSequence(0),
        "action_ids": (1,),
        "try_mode": True,
        "places": b"\0",
        "calldata_bytes": 1000,
        "call_gas_limit": Gas(100_000),
        "verification_gas_limit": Gas(200_000),
        "pre_verification_gas": Gas(50_000),
        "max_fee_per_gas": Wei(10),
        "max_priority_fee_per_gas": Wei(2),
        "claimed_at": START,
        "deadline": UnixSeconds(START + 90),
    }
    return Operation(**fields | changes)


def slot(sequence: int = 0, **changes: Any) -> Slot:
    fields: dict[str, Any] = {
        "sender": ACCOUNT,
        "nonce_key": NONCE_KEY,
        "sequence": NonceSequence(sequence),
        "entry_point": ENTRY_POINT,
        "permission_id": PERMISSION,
        "action_ids": (1,),
    }
    return Slot(**fields | changes)


def live(sequence: int, *inside: Action, variants: tuple[Operation, ...] = (), **changes: Any) -> LiveSlot:
    """A slot in memory; one variant unless others are given."""
    ids = tuple(each.id for each in inside)
    row = slot(sequence, action_ids=ids, **changes)
    found = variants or (operation(1000 + sequence, sequence=NonceSequence(sequence), action_ids=ids),)
    return LiveSlot(row, tuple(inside), b"", {each.user_op_hash: each for each in found})


def session(**changes: Any) -> Session:
    fields: dict[str, Any] = {
        "permission_id": PERMISSION,
        "player": PlayerId("alice"),
        "account": ACCOUNT,
        "chain_id": ChainId(31337),
        "stack": "reference",
        "entry_point_version": "0.7",
        "entry_point": ENTRY_POINT,
        "validator": MODULE,
        "game": "arena",
        "unit": "play",
        "signer": SIGNER,
        "sealed": b"sealed",
        "binding": b"binding",
        "scope": scope_of().pack(),
        "nonce_key": NONCE_KEY,
        "valid_after": START,
        "valid_until": UnixSeconds(START + 1800),
        "state": OPEN,
    }
    return Session(**fields | changes)


def codec(scope: Scope, limits: BatchConfig = BatchConfig()) -> SessionCodec:  # noqa: B008 - frozen
    return SessionCodec(session(scope=scope.pack()), scope, stack("reference"), limits)


def lane(used: Usage = Usage(), sequence: int = 0, **scope: Any) -> Lane:  # noqa: B008 - frozen
    """The lane of `session`; `scope` changes the plain scope."""
    found = scope_of(**scope)
    checker = ScopeChecker(found, ACCOUNT)
    return Lane(session(), checker, codec(found), used, sequence)


def head(number: int, fork: int = 0, parent: BlockHash | None = None, timestamp: int | None = None) -> Head:
    """The block at a height of a fork, whose parent is that fork's unless given."""
    return Head(
        BlockNumber(number),
        block_hash(number, fork),
        block_hash(number - 1, fork) if parent is None else parent,
        UnixSeconds(START + 2 * number if timestamp is None else timestamp),
        Wei(10**9),
        Gas(30_000_000),
    )


def block_hash(number: int, fork: int = 0) -> BlockHash:
    return BlockHash(fork.to_bytes(16, "big") + (number + 1).to_bytes(16, "big"))
