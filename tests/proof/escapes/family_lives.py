"""Grants and revocations as they are submitted: replayed, altered, overtaken, undone, reorganised out."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.demo.forgery import Attempt, sign
from gamekit.eth import session_validator
from gamekit.eth.calldata import Call
from gamekit.eth.interface import Function
from gamekit.eth.session_validator import revoke_digest
from gamekit.eth.session_validator_abi import (
    GRANT_SESSION,
    REVOKE_ALL_SESSIONS,
    REVOKE_ALL_SESSIONS_FOR,
    REVOKE_SESSION,
    REVOKE_SESSION_FOR,
    REVOKE_SESSION_WITH_SIGNATURE,
)
from gamekit.units import Address, ChainId, Wei
from tests.accounts.world import CHAIN_ID, Key
from tests.proof.escapes.family_bindings import NOT_LIVE
from tests.proof.escapes.family_grants import refused_grant
from tests.proof.escapes.grants import FRESH_KEY, Grant, fresh, fresh_scope, grant, grant_by_account
from tests.proof.escapes.make import refused, trial_row
from tests.proof.escapes.model import ANY, Do, Expected, Later, Operate, Row, Step, Transact, Trial
from tests.proof.escapes.sessions import MOVE, Asked, entry, secret_of
from tests.proof.escapes.world import World

STALE: Final = refused("EpochStale")
SIGNATURE: Final = refused_grant("GrantSignatureInvalid")
ALREADY: Final = refused_grant("SessionAlreadyGranted")
LIVE, REVOKED = 1, 2
ON_INSTALL: Final = Function.parse("onInstall(bytes data)")
ON_UNINSTALL: Final = Function.parse("onUninstall(bytes data)")
THIEF_KEY: Final = Key(0x7417EF)


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _meddled()
    yield from _replayed()
    yield from _revoked()
    yield from _revokers()
    yield from _installed()
    yield from _owner_validators()
    yield from _reorganised()


def _honest(world: World) -> Grant:
    return fresh(world, Asked((entry(world.contracts.arena, MOVE),)))


def _module(sender: Callable[[World], Address], data: Callable[[World], bytes]) -> Later:
    """A transaction from somebody to the module."""

    async def make(world: World) -> Step:
        return Transact(sender(world), world.module, data(world))

    return Later(make)


def _account(world: World) -> Address:
    return world.account


def _thief(world: World) -> Address:
    return world.thief


def _revoker(world: World) -> Address:
    return world.base.owner.address


def _by_session_key(world: World, made: Grant) -> Grant:
    return replace(made, signer=Key(int.from_bytes(secret_of(0).secret, "big")))


def _wider(world: World, made: Grant) -> Grant:
    wider = made.scope[:88] + b"\xff" * 4 + made.scope[92:]
    return replace(made, scope=wider, signed_scope=made.scope)


def _other_text(world: World, made: Grant) -> Grant:
    return replace(made, functions=("attack(uint256,uint16)",))


MEDDLED: Final[tuple[tuple[str, str, str, Callable[[World, Grant], Grant], Expected], ...]] = (
    ("C30", "by-thief", "signed by the thief", lambda w, g: replace(g, signer=THIEF_KEY), SIGNATURE),
    ("C43", "grant-by-key", "signed by the session key itself", _by_session_key, SIGNATURE),
    ("C30", "unsigned", "no signature", lambda w, g: replace(g, signature=b""), SIGNATURE),
    ("C30", "zeros", "a signature of zeros", lambda w, g: replace(g, signature=bytes(65)), SIGNATURE),
    ("C30", "scope", "another scope than was signed", _wider, SIGNATURE),
    ("C30", "deadline", "a later deadline than was signed", lambda w, g: replace(g, deadline_s=9999), SIGNATURE),
    (
        "C30",
        "late",
        "behind its deadline",
        lambda w, g: replace(g, signed_deadline_s=-5, deadline_s=-5),
        refused_grant("GrantExpired"),
    ),
    ("C30", "texts", "another function text than was signed", _other_text, refused_grant("FunctionMismatch")),
    (
        "C30",
        "fewer-texts",
        "fewer function texts than entries",
        lambda w, g: replace(g, functions=()),
        refused_grant("FunctionCountMismatch"),
    ),
    (
        "C31",
        "grant-account",
        "signed for another account of the same owner",
        lambda w, g: replace(g, signed_for=w.neighbour),
        SIGNATURE,
    ),
    ("C31", "grant-chain", "signed for another chain", lambda w, g: replace(g, signed_chain=ChainId(1)), SIGNATURE),
    (
        "C31",
        "grant-module",
        "signed for another session validator",
        lambda w, g: replace(g, signed_module=w.strangers.yes),
        SIGNATURE,
    ),
    ("C56", "grant-epoch", "signed in the epoch before", lambda w, g: replace(g, epochs_ago=1), SIGNATURE),
)
"""How a grant may be meddled with: case, slug, what, the change, and how it ends."""


def _meddled() -> Iterator[Row]:
    """C30, C31, C43: what the owner signed is what is granted, here, now, and by nobody else."""
    for case, slug, what, change, expected in MEDDLED:
        yield trial_row(
            case,
            slug,
            f"a grant: {what}",
            expected,
            partial(
                lambda change, w: Trial(escape=grant(lambda w: change(w, _honest(w))), twin=grant(_honest), effect={}),
                change,
            ),
        )
    yield trial_row(
        "C31",
        "grant-elsewhere",
        "a grant: submitted for an account without the module",
        refused_grant("ModuleNotInstalled"),
        lambda w: Trial(
            escape=grant(lambda w: replace(_honest(w), to=w.strangers.bazaar)), twin=grant(_honest), effect={}
        ),
    )
    yield trial_row(
        "C43",
        "grant-by-stranger",
        "a contract grants itself a session of the account's",
        refused_grant("ModuleNotInstalled"),
        lambda w: Trial(
            escape=Transact(w.thief, w.module, GRANT_SESSION.encode_call(_honest(w).scope, ())),
            twin=grant_by_account(lambda w: _honest(w).scope),
            effect={},
        ),
    )


def _fixed(world: World) -> tuple[Later, Later]:
    """Submit one and the same grant at any time; and revoke it by the account, granted or not."""
    made = _honest(world)
    permission = session_validator.permission_id(CHAIN_ID, world.module, world.account, made.scope)
    return grant(lambda _: made), _module(_account, lambda _: REVOKE_SESSION.encode_call(permission))


def _replayed() -> Iterator[Row]:
    """C28, C30: a permission is granted once, ever; being overtaken changes nothing."""
    states: tuple[tuple[str, str, Callable[[Later, Later], tuple[Step, ...]], int], ...] = (
        ("again", "a grant submitted again", lambda granted, revoked: (granted,), LIVE),
        ("again-revoked", "a grant submitted again behind its revocation", lambda *both: both, REVOKED),
        (
            "revoked-before",
            "a grant that was revoked before it was submitted",
            lambda granted, revoked: (revoked,),
            REVOKED,
        ),
    )

    def build(world: World, before: Callable[[Later, Later], tuple[Step, ...]], state: int) -> Trial:
        granted, revoked = _fixed(world)
        steps = before(granted, revoked)
        return Trial(escape_before=steps, escape=granted, twin=granted, values={"state": state}, effect={})

    for slug, what, before, state in states:
        yield trial_row(
            "C28", slug, what, ALREADY, partial(lambda before, state, w: build(w, before, state), before, state)
        )
    yield trial_row(
        "C28",
        "again-used",
        "a grant submitted again when the session has been used",
        ALREADY,
        lambda w: Trial(
            before=(Operate(w.honest()),),
            escape=grant(lambda w: Grant(w.sessions["play"].packed, w.sessions["play"].functions)),
            twin=grant(_honest),
            values={"state": LIVE},
            effect={},
        ),
    )

    def overtaken(world: World) -> Trial:
        made = _honest(world)
        first = grant(lambda w: replace(made, sender=w.strangers.rival))
        return Trial(escape_before=(first,), escape=grant(lambda _: made), twin=grant(lambda _: made), effect={})

    yield trial_row("C30", "overtaken", "a grant that somebody else has submitted first", ALREADY, overtaken)


def _revoke_row(slug: str, what: str, revocation: Step, expected: Expected, case: str = "C29") -> Row:
    """An operation behind a revocation, and the same operation without."""
    values: Mapping[str, object] = {"state": REVOKED} if expected is NOT_LIVE else {}
    return trial_row(
        case,
        slug,
        what,
        expected,
        lambda w: Trial(
            escape_before=(revocation,), escape=Operate(w.honest()), twin=Operate(w.honest()), values=values
        ),
    )


def _signed_revocation(world: World, session: str = "play", key: str = "play") -> bytes:
    found = world.sessions[session]
    digest = revoke_digest(CHAIN_ID, world.module, world.account, found.permission)
    signature = sign(world.sessions[key].loot.secret, digest)
    return REVOKE_SESSION_WITH_SIGNATURE.encode_call(world.account, found.packed, signature)


def _scope(function: Function, session: str = "play") -> Callable[[World], bytes]:
    return lambda w: function.encode_call(w.account, w.sessions[session].packed)


def _revoked() -> Iterator[Row]:
    """C29: what is revoked is over, whoever revoked it, in the same block on."""
    one = REVOKE_SESSION
    yield _revoke_row(
        "by-account",
        "an operation behind the account's revocation",
        _module(_account, lambda w: one.encode_call(w.sessions["play"].permission)),
        NOT_LIVE,
    )
    yield _revoke_row(
        "by-owner",
        "an operation behind a revocation by the owner's operation",
        Do(_owner_revokes),
        NOT_LIVE,
    )
    yield _revoke_row(
        "by-revoker",
        "an operation behind the revoker's plain transaction",
        _module(_revoker, _scope(REVOKE_SESSION_FOR)),
        NOT_LIVE,
    )
    yield _revoke_row(
        "by-key",
        "an operation behind the session key's own revocation, submitted by the thief",
        _module(_thief, _signed_revocation),
        NOT_LIVE,
    )
    yield _revoke_row(
        "all-by-account",
        "an operation behind the account's revocation of all sessions",
        _module(_account, lambda w: REVOKE_ALL_SESSIONS.encode_call()),
        STALE,
    )
    yield _revoke_row(
        "all-by-revoker",
        "an operation behind the revoker's revocation of all sessions",
        _module(_revoker, _scope(REVOKE_ALL_SESSIONS_FOR, "tight")),
        STALE,
    )
    yield trial_row(
        "C29",
        "bundled",
        "an operation signed before the revocation, in the block behind it",
        NOT_LIVE,
        lambda w: Trial(
            escape_before=(_module(_revoker, _scope(REVOKE_SESSION_FOR)),),
            escape=Operate(_earlier(w)),
            twin=Operate(_earlier(w)),
        ),
    )


def _earlier(world: World) -> Attempt:
    return replace(world.honest(), age_s=60)


async def _owner_revokes(world: World) -> None:
    await world.act_as_owner(Call(world.module, Wei(0), REVOKE_SESSION.encode_call(world.sessions["play"].permission)))


def _revokers() -> Iterator[Row]:
    """C29, C43: who may revoke; a revocation only takes away, but a lane that is closed is a loss as well."""
    mismatch, invalid = refused_grant("RevokerMismatch"), refused_grant("RevokeSignatureInvalid")
    cases: tuple[tuple[str, str, str, Expected, Step, Step], ...] = (
        (
            "C29",
            "revoker",
            "the thief revokes as the revoker",
            mismatch,
            _module(_thief, _scope(REVOKE_SESSION_FOR)),
            _module(_revoker, _scope(REVOKE_SESSION_FOR)),
        ),
        (
            "C43",
            "revoke-all",
            "the thief revokes all sessions as the revoker",
            mismatch,
            _module(_thief, _scope(REVOKE_ALL_SESSIONS_FOR)),
            _module(_revoker, _scope(REVOKE_ALL_SESSIONS_FOR)),
        ),
        (
            "C43",
            "revoke-other",
            "a session's key revokes another session",
            invalid,
            _module(_thief, lambda w: _signed_revocation(w, "trade", "play")),
            _module(_thief, lambda w: _signed_revocation(w, "trade", "trade")),
        ),
    )
    for case, slug, what, expected, escape, twin in cases:
        yield trial_row(
            case,
            slug,
            what,
            expected,
            partial(lambda escape, twin, w: Trial(escape=escape, twin=twin, effect={"module": ANY}), escape, twin),
        )
    yield trial_row(
        "C29",
        "revoker-of-dead",
        "the revoker of a dead session revokes all others",
        Expected("reverted", "SessionNotLive"),
        lambda w: Trial(
            escape_before=(_module(_revoker, _scope(REVOKE_SESSION_FOR)),),
            escape=_module(_revoker, _scope(REVOKE_ALL_SESSIONS_FOR)),
            twin=_module(_revoker, _scope(REVOKE_ALL_SESSIONS_FOR)),
            effect={"module": ANY},
        ),
    )


def uninstalled(world: World) -> Step:
    """The account tells the module that it is uninstalled."""
    return Transact(world.account, world.module, ON_UNINSTALL.encode_call(b""))


def installed(world: World, data: bytes | None = None) -> Step:
    """The account tells the module that it is installed, with its owner validator or other data."""
    named = world.stack.owner_signature(world.where.contracts.owner_validator, b"")
    written = named if data is None else data
    return Transact(world.account, world.module, ON_INSTALL.encode_call(written))


def _installed() -> Iterator[Row]:
    """C56: install and uninstall end all sessions."""
    for slug, what, before in (
        ("uninstalled", "an operation behind an uninstall", lambda w: (uninstalled(w),)),
        ("reinstalled", "an operation behind an uninstall and an install", lambda w: (uninstalled(w), installed(w))),
        ("installed-twice", "an operation behind a second install", lambda w: (installed(w),)),
    ):
        yield trial_row(
            "C56",
            slug,
            what,
            STALE,
            partial(
                lambda before, w: Trial(escape_before=before(w), escape=Operate(w.honest()), twin=Operate(w.honest())),
                before,
            ),
        )
    yield trial_row(
        "C56",
        "grant-uninstalled",
        "a grant behind an uninstall",
        refused_grant("ModuleNotInstalled"),
        lambda w: Trial(escape_before=(uninstalled(w),), escape=grant(_honest), twin=grant(_honest), effect={}),
    )

    def old_scope(world: World) -> Trial:
        granted, _ = _fixed(world)
        other = fresh(world, Asked((entry(world.contracts.arena, MOVE),)), FRESH_KEY + 1)
        before = (granted, uninstalled(world), installed(world))
        return Trial(before=before, escape=granted, twin=grant(lambda _: other), effect={})

    yield trial_row(
        "C56", "grant-old-scope", "a grant of a scope that was granted before the uninstall", ALREADY, old_scope
    )
    yield trial_row(
        "C56",
        "grant-old-signature",
        "a grant that was signed before all were revoked",
        SIGNATURE,
        lambda w: Trial(
            before=(_module(_account, lambda w: REVOKE_ALL_SESSIONS.encode_call()),),
            escape=grant(lambda w: replace(_honest(w), epochs_ago=1)),
            twin=grant(_honest),
            effect={},
        ),
    )


def _owner_validators() -> Iterator[Row]:
    """C57: whom the module takes for the owner's voice."""
    for slug, what, error, data in (
        (
            "own-owner",
            "the session validator as its own account's owner validator",
            "OwnerValidatorInvalid",
            lambda w: bytes(w.module),
        ),
        (
            "install-short",
            "an owner validator of 19 bytes",
            "InstallDataInvalid",
            lambda w: bytes(w.strangers.yes[:19]),
        ),
    ):
        yield trial_row(
            "C57",
            slug,
            f"installed with {what}",
            refused_grant(error),
            partial(
                lambda data, w: Trial(escape=installed(w, data(w)), twin=installed(w), effect={"module": ANY}), data
            ),
        )


async def _reorganise(world: World) -> None:
    await world.node.reorganise(1)


REORGANISED: Final = Do(_reorganise)


def _reorganised() -> Iterator[Row]:
    """C59: a grant that a reorganisation took back, and a revocation that has to be sent again."""

    def operated(world: World) -> Trial:
        scope = fresh_scope(world, Asked((entry(world.contracts.arena, MOVE),)))
        world.sessions["fresh"] = world.session_of("fresh", scope, key=FRESH_KEY)
        made = Grant(scope.pack(), [each.function for each in scope.calls.entries])
        operation = Operate(world.one(world.play(), "fresh"), "fresh")
        before = (grant(lambda _: made),)
        return Trial(before=before, escape_before=(REORGANISED,), escape=operation, twin=operation)

    yield trial_row("C59", "grant", "an operation of a session whose grant was reorganised out", NOT_LIVE, operated)
    revocation = _module(_revoker, _scope(REVOKE_SESSION_FOR))
    yield trial_row(
        "C59",
        "revoke",
        "an operation behind a revocation that was reorganised out and sent again",
        NOT_LIVE,
        lambda w: Trial(
            before=(revocation, REORGANISED),
            escape_before=(revocation,),
            escape=Operate(w.honest()),
            twin=Operate(w.honest()),
            values={"state": REVOKED},
        ),
    )

    def again(world: World) -> Trial:
        granted, _ = _fixed(world)
        return Trial(before=(granted, REORGANISED), escape_before=(granted,), escape=granted, twin=granted, effect={})

    yield trial_row("C59", "grant-again", "a grant sent again behind a reorganisation, twice", ALREADY, again)
