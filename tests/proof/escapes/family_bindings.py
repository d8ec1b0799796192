"""The same key somewhere else: another account, chain, EntryPoint, module, lane, session; and who asks the module."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import coincurve
from msgspec.structs import replace

from gamekit.demo import forgery
from gamekit.demo.forgery import Attempt, Change
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Function
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation, pack
from gamekit.units import ZERO_ADDRESS, Address, ChainId
from tests.accounts.world import CHAIN_ID
from tests.proof.escapes.accounts import ACCOUNTS, LANE_BIT, LANES, ONLY_ENTRY_POINT
from tests.proof.escapes.make import SIGNATURE, operation_row, refused, trial_row
from tests.proof.escapes.model import Ask, Expected, Later, Operate, Row, Step, Transact, Trial
from tests.proof.escapes.sessions import secret_of
from tests.proof.escapes.world import World

NOT_LIVE: Final = refused("SessionNotLive")
HINTS: Final = 77
"""Where the hints begin in an envelope; the scope stands behind them."""
VALIDATE_USER_OP: Final = Function.parse(
    "validateUserOp((address sender,uint256 nonce,bytes init_code,bytes call_data,bytes32 account_gas_limits,"
    "uint256 pre_verification_gas,bytes32 gas_fees,bytes paymaster_and_data,bytes signature) op,bytes32 hash)",
    "uint256 data",
)
ACCOUNT_VALIDATE: Final = Function.parse(
    "validateUserOp((address sender,uint256 nonce,bytes init_code,bytes call_data,bytes32 account_gas_limits,"
    "uint256 pre_verification_gas,bytes32 gas_fees,bytes paymaster_and_data,bytes signature) op,bytes32 hash,"
    "uint256 missing)",
    "uint256 data",
)


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _scopes()
    yield from _replays()
    yield from _again()
    yield from _partial()
    yield from _lanes()
    yield from _two_sessions()
    yield from _askers()
    yield from _returns()


def _altered(change: Change) -> Callable[[World], tuple[Attempt, Attempt]]:
    return lambda w: (replace(w.honest(), after_signing=change), w.honest())


def _scopes() -> Iterator[Row]:
    """C26: the scope's bytes are all in the permission's name, and have one place in the signature."""
    usage, until, entries = 88, 26, 54

    def other(change: Callable[[bytes], bytes]) -> Callable[[World], tuple[Attempt, Attempt]]:
        return lambda w: (replace(w.honest(), scope=change(w.sessions["play"].packed)), w.honest())

    def write(at: int, written: bytes) -> Callable[[bytes], bytes]:
        return lambda scope: scope[:at] + written + scope[at + len(written) :]

    changes: tuple[tuple[str, str, Callable[[bytes], bytes]], ...] = (
        ("wider", "a scope of more calls", write(usage, b"\xff" * 4)),
        ("longer", "a scope that ends later", write(until, b"\xff" * 6)),
        ("richer", "a scope of more gas", write(96, b"\xff" * 32)),
        ("valuable", "a scope with value", write(128, b"\xff" * 32)),
        ("signer", "a scope with another signer", write(0, b"\x11" * 20)),
        ("revoker", "a scope with another revoker", write(32, b"\x11" * 20)),
        ("fewer-rules", "a scope without its rules", write(entries + 1, b"\x00")),
        ("target", "a scope with another target", write(192, b"\x11" * 20)),
        ("merkle", "a scope whose list would be a root", write(entries, b"\x00")),
        ("without-rule", "a scope without the bytes of its last rule", lambda scope: scope[:-64]),
        ("one-byte-more", "a scope and one byte", lambda scope: scope + b"\x00"),
    )
    for slug, what, change in changes:
        yield operation_row("C26", slug, what, NOT_LIVE, other(change), values=lambda _: {"state": 0})
    for slug, what, moved in (
        ("hint-more", "one hint more than there are calls", lambda op: _spliced(op, HINTS, 0, b"\x00")),
        ("hint-less", "one hint less than there are calls", lambda op: _spliced(op, HINTS, 1, b"")),
    ):
        yield operation_row("C26", slug, what, NOT_LIVE, _altered(moved), values=lambda _: {"state": 0})


def _spliced(op: UserOperation, at: int, cut: int, written: bytes) -> UserOperation:
    return replace(op, signature=op.signature[:at] + written + op.signature[at + cut :])


def _replays() -> Iterator[Row]:
    """C31: replay on another account, chain, EntryPoint or module, or twice."""

    def there(world: World) -> Change:
        return lambda op: replace(op, sender=world.neighbour)

    yield operation_row(
        "C31",
        "account-replayed",
        "replayed on another account of the same owner",
        NOT_LIVE,
        lambda w: (replace(w.honest(), after_signing=there(w)), w.honest()),
    )
    yield operation_row(
        "C31",
        "account-signed",
        "signed for another account of the same owner",
        NOT_LIVE,
        lambda w: (replace(w.honest(), before_signing=there(w)), w.honest()),
    )
    yield operation_row(
        "C31",
        "chain",
        "signed for another chain",
        SIGNATURE,
        lambda w: (replace(w.honest(), chain=ChainId(1)), w.honest()),
    )
    for version in EntryPointVersion:
        if version is EntryPointVersion.V06:
            continue
        yield operation_row(
            "C31",
            f"entry-point-{version.value}",
            f"signed for EntryPoint {version.value}",
            SIGNATURE,
            partial(lambda version, w: (replace(w.honest(), version=version), w.honest()), version),
            without={name: "it is this account's own EntryPoint" for name in ACCOUNTS if name.endswith(version.value)},
        )
    yield operation_row(
        "C31",
        "module",
        "signed for a module at another address",
        SIGNATURE,
        lambda w: (replace(w.honest(), module=w.strangers.yes), w.honest()),
    )


def _again() -> Iterator[Row]:
    """C31: the same operation twice, or out of order."""
    yield trial_row(
        "C31",
        "twice",
        "the same operation again",
        Expected("AA25"),
        lambda w: Trial(
            before=(Operate(w.honest()),),
            escape=Operate(replace(w.honest(), before_signing=lambda op: replace(op, nonce=op.nonce - 1))),
            twin=Operate(w.honest()),
        ),
    )
    yield trial_row(
        "C31",
        "out-of-order",
        "an operation before the one that comes first",
        Expected("AA25"),
        lambda w: Trial(
            escape=Operate(replace(w.honest(), before_signing=lambda op: replace(op, nonce=op.nonce + 1))),
            twin=Operate(w.honest()),
        ),
    )


def _partial() -> Iterator[Row]:
    """C32: one signature covers the whole operation, every call of it."""

    def batch_of(count: int) -> Callable[[World], bytes]:
        return lambda w: w.honest(count).call_data

    def swapped(world: World) -> bytes:
        return forgery.batch([world.play(2), world.play(1)])

    for slug, what, data, hints in (
        ("drop", "a call dropped from the batch after signing", lambda w: forgery.batch([w.play(1)]), 1),
        ("add", "a call added to the batch after signing", batch_of(3), 3),
        ("swap", "two calls swapped after signing", swapped, 2),
        ("replace", "another call in its place after signing", lambda w: forgery.batch([w.play(1), w.play(9)]), 2),
    ):

        def pair(world: World, data: Callable[[World], bytes] = data, hints: int = hints) -> tuple[Attempt, Attempt]:
            twin = world.honest(2)
            written = data(world)
            one = twin.hints[:1]
            change: Change = lambda op: _spliced(replace(op, call_data=written), HINTS, 2, one * hints)  # noqa: E731
            return replace(twin, after_signing=change), twin

        yield operation_row("C32", slug, what, SIGNATURE, pair, effect={"plays": 2})
    for slug, what, change in (
        ("sequence", "the nonce sequence raised after signing", lambda op: replace(op, nonce=op.nonce + 1)),
        ("call-gas", "the call gas raised after signing", lambda op: replace(op, call_gas_limit=op.call_gas_limit + 1)),
        ("call-gas-less", "the call gas lowered after signing", lambda op: replace(op, call_gas_limit=21_000)),
        (
            "verification-gas",
            "the verification gas raised after signing",
            lambda op: replace(op, verification_gas_limit=op.verification_gas_limit + 1),
        ),
        (
            "pre-verification-gas",
            "the pre-verification gas raised after signing",
            lambda op: replace(op, pre_verification_gas=op.pre_verification_gas + 1),
        ),
        ("fee", "the fee raised after signing", lambda op: replace(op, max_fee_per_gas=op.max_fee_per_gas + 1)),
        (
            "priority-fee",
            "the priority fee raised after signing",
            lambda op: replace(op, max_priority_fee_per_gas=op.max_priority_fee_per_gas + 1),
        ),
    ):
        # The EntryPoint looks at the nonce before it looks at what the account said of the signature.
        expected = Expected("AA25") if slug == "sequence" else SIGNATURE
        yield operation_row("C32", slug, what, expected, _altered(change))


def _lanes() -> Iterator[Row]:
    """C33: the nonce key is part of the scope, all 192 bits."""

    def keyed(change: Callable[[World, int], int]) -> Callable[[World], tuple[Attempt, Attempt]]:
        def pair(world: World) -> tuple[Attempt, Attempt]:
            key = world.sessions["play"].scope.nonce_key
            return replace(world.honest(), nonce_key=change(world, key)), world.honest()

        return pair

    mismatch = refused("NonceKeyMismatch")
    yield operation_row(
        "C33", "next-lane", "the lane beside it", mismatch, keyed(lambda w, key: key ^ 1 << LANE_BIT[w.where.name])
    )
    yield operation_row(
        "C33",
        "other-session",
        "the lane of another session",
        mismatch,
        keyed(lambda w, key: w.sessions["tight"].scope.nonce_key),
        values=lambda w: {
            "nonceKey": w.sessions["tight"].scope.nonce_key,
            "allowed": w.sessions["play"].scope.nonce_key,
        },
    )
    for slug, (case, what, change, expected, at, without) in LANES.items():
        yield operation_row(case, slug, what, expected, keyed(change), at=at, without=without)


def _two_sessions() -> Iterator[Row]:
    """C44: two sessions of one key and one lane do not add up: the permission is inside what the key signs."""

    def one(world: World, session: str) -> Attempt:
        return world.one(world.play(), session)

    yield trial_row(
        "C44",
        "wider",
        "signed for the narrow session, submitted with the wide one's scope",
        SIGNATURE,
        lambda w: Trial(
            escape=Operate(
                replace(
                    one(w, "narrow"),
                    after_signing=lambda op: _spliced(
                        op, HINTS, len(op.signature), w.honest().hints + w.sessions["play"].packed
                    ),
                ),
                "narrow",
            ),
            twin=Operate(one(w, "narrow"), "narrow"),
        ),
    )
    yield trial_row(
        "C44",
        "other-budget",
        "signed for the wide session, charged to the narrow one",
        SIGNATURE,
        lambda w: Trial(
            escape=Operate(
                replace(
                    one(w, "play"),
                    after_signing=lambda op: _spliced(
                        op, HINTS, len(op.signature), b"\x00" + w.sessions["narrow"].packed
                    ),
                )
            ),
            twin=Operate(one(w, "play")),
        ),
    )
    yield trial_row(
        "C44",
        "other-key",
        "signed with another session's key",
        SIGNATURE,
        lambda w: Trial(
            escape=Operate(replace(w.honest(), secret=w.sessions["trade"].loot.secret)), twin=Operate(w.honest())
        ),
    )


async def _signed(world: World, change: Change | None, secret: coincurve.PrivateKey | None) -> UserOperation:
    attempt = replace(world.honest(), after_signing=change, secret=secret)
    (op,) = await world.bundle(attempt, "play")
    return op


def _validation(
    sender: Callable[[World], Address],
    *,
    to_module: bool = False,
    asks: bool = False,
    change: Change | None = None,
    secret: coincurve.PrivateKey | None = None,
) -> Later:
    """Send one validation, or ask for its answer, to the module or to the account."""

    async def make(world: World) -> Step:
        op = await _signed(world, change, secret)
        name = user_op_hash(op, world.where.version, world.where.entry_point, CHAIN_ID)
        packed = pack(op, world.where.version)
        fields = tuple(getattr(packed, each) for each in packed.__struct_fields__)
        if to_module:
            to, data = world.module, VALIDATE_USER_OP.encode_call(fields, name)
        else:
            to, data = world.account, ACCOUNT_VALIDATE.encode_call(fields, name, 0)
        if not asks:
            return Transact(sender(world), to, data)
        return Ask(sender(world), to, data, _is_good, lambda answer: str(_aggregator(answer)))

    return Later(make)


def _aggregator(answer: bytes) -> int:
    """The lower 160 bits of validation data: 0 is good, 1 is a wrong signature, all else an aggregator."""
    return int.from_bytes(answer[12:32], "big")


def _is_good(answer: bytes) -> bool:
    """Whether validation succeeded, and for a time that ends."""
    return _aggregator(answer) == 0 and int.from_bytes(answer[6:12], "big") > 0


def _thief(world: World) -> Address:
    return world.thief


def _entry_point(world: World) -> Address:
    return world.where.entry_point


def _account(world: World) -> Address:
    return world.account


def _askers() -> Iterator[Row]:
    """C42: only the account asks the module, and only the EntryPoint asks the account."""
    for slug, what, sender, asks in (
        ("module", "anybody asks the module to charge a session", _thief, False),
        ("module-as-entry-point", "the EntryPoint asks the module itself", _entry_point, True),
    ):
        yield trial_row(
            "C42",
            slug,
            what,
            Expected("reverted", "SenderMismatch"),
            partial(
                lambda sender, asks, w: Trial(
                    escape=_validation(sender, to_module=True, asks=asks),
                    twin=_validation(_account, to_module=True, asks=asks),
                    effect={},
                    values={"sender": w.account, "account": sender(w)},
                ),
                sender,
                asks,
            ),
        )
    yield trial_row(
        "C42",
        "account",
        "anybody asks the account to validate",
        Expected("reverted", "AccountUnauthorized"),
        lambda w: Trial(escape=_validation(_thief), twin=_validation(_entry_point), effect={}),
        at=ONLY_ENTRY_POINT,
    )


def _returns() -> Iterator[Row]:
    """C41, C49: a wrong signature is 1 and no aggregator, a good one is 0 and a time range that ends."""
    wrong = secret_of(99)
    good = _validation(_entry_point, asks=True)
    yield trial_row(
        "C41",
        "returns",
        "a wrong signature validates as 0",
        Expected("answered", "1"),
        lambda w: Trial(escape=_validation(_entry_point, asks=True, secret=wrong), twin=good, effect={}),
    )
    yield trial_row(
        "C49",
        "named",
        "validation names an aggregator of the thief's choice, written where the signature stands",
        Expected("answered", "1"),
        lambda w: Trial(
            escape=_validation(
                _entry_point, asks=True, change=lambda op: _spliced(op, 12, 64, bytes(44) + w.strangers.blabber)
            ),
            twin=good,
            effect={},
        ),
    )
    yield trial_row(
        "C41",
        "spends-nothing",
        "a wrong signature uses the session up",
        Expected("executed", "and nothing was used"),
        lambda w: Trial(
            escape=_validation(_account, to_module=True, secret=wrong),
            twin=_validation(_account, to_module=True),
            effect={},
            after=_nothing_used,
        ),
    )
    yield trial_row(
        "C49",
        "aggregated",
        "sent in the name of an aggregator",
        SIGNATURE,
        lambda w: Trial(
            escape=Operate(w.honest(), aggregator=w.strangers.yes), twin=Operate(w.honest(), aggregator=ZERO_ADDRESS)
        ),
    )


async def _nothing_used(world: World) -> str:
    used = await world.used("play")
    return "and nothing was used" if used.uses == used.gas_spent_wei == 0 else f"and {used.uses} uses are gone"


__all__ = ["rows"]
