"""What may not be granted: assets, tokens, accounts, wildcards, scopes that are not well-formed, endless sessions."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from gamekit.core.asset_selectors import ASSET_FUNCTIONS
from gamekit.core.policy import (
    CALLS_MAX_LIMIT,
    DURATION_S_MAX,
    ArgumentRule,
    Condition,
    RateLimitPolicy,
    SpendingLimitPolicy,
)
from gamekit.devnet.deployment import DEPLOYER
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import selector
from gamekit.eth.interface import Function
from gamekit.units import ZERO_ADDRESS, Address, Wei
from tests.proof.escapes.grants import FRESH_KEY, Grant, fault_of, fresh, fresh_scope, grant, grant_by_account
from tests.proof.escapes.make import trial_row
from tests.proof.escapes.model import Do, Expected, Later, Operate, Row, Step, Transact, Trial
from tests.proof.escapes.sessions import ATTACK, BUY, CRAFT, MOVE, Asked, entry, sorted_entries
from tests.proof.escapes.strangers import ERC721, ERC1155, ERC6909
from tests.proof.escapes.world import World

PLAY: Final = "play(uint256)"
CHANGE: Final = Function.parse("change(address implementation)")
PRECOMPILE: Final = Address((4).to_bytes(20, "big"))
NOWHERE: Final = Address(b"\xe0" * 20)


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _proxies()
    yield from _assets()
    yield from _targets()
    yield from _times()
    yield from _signers()
    yield from _limits()
    yield from _bytes()
    yield from _rules()


def refused_grant(error: str) -> Expected:
    """Refused by the session validator, as a transaction."""
    return Expected("reverted", error)


def _honest(world: World) -> Grant:
    return fresh(world, Asked((entry(world.contracts.arena, MOVE),)))


def _asked_row(
    case: str,
    slug: str,
    what: str,
    error: str,
    escape: Callable[[World], Asked],
    *,
    twin: Callable[[World], Asked] | None = None,
    values: Callable[[World], Mapping[str, object]] = lambda _: {},
    off_chain: str = "grant_fault",
    before: Callable[[World], tuple[Step, ...]] = lambda _: (),
    also: Callable[[World], list[Asked]] = lambda _: [],
    without: Mapping[str, str] | None = None,
) -> Row:
    """A grant of a scope that gamekit itself would write, beside one that may be granted."""
    good = twin or (lambda w: Asked((entry(w.contracts.arena, MOVE),)))

    def build(world: World) -> Trial:
        return Trial(
            before=before(world),
            escape=grant(lambda w: fresh(w, escape(w)), lambda w: [fresh(w, each) for each in also(w)]),
            twin=grant(lambda w: fresh(w, good(w))),
            values=values(world),
            effect={},
            off_chain=(
                lambda: fault_of(world, fresh_scope(world, escape(world))),
                lambda: fault_of(world, fresh_scope(world, good(world))),
            ),
        )

    return trial_row(case, slug, what, refused_grant(error), build, off_chain=off_chain, without=without)


def _assets() -> Iterator[Row]:
    """C03: functions that move assets, rights or code, or call through; a row for each family, all of its functions."""
    for family, texts in ASSET_FUNCTIONS.items():
        slug = family.split(",")[0].lower().replace(" ", "-")
        yield _asked_row(
            "C03",
            f"grant-{slug}",
            f"granted on a game: {family} ({len(texts)} functions)",
            "SelectorDenied",
            lambda w, texts=texts: Asked((entry(w.contracts.arena, texts[0]),)),
            values=lambda w, texts=texts: {"target": w.contracts.arena, "selector": selector(texts[0])},
            also=lambda w, texts=texts: [Asked((entry(w.contracts.arena, text),)) for text in texts[1:]],
        )
    yield trial_row(
        "C03",
        "grant-by-account",
        "granted by the account itself: a transfer",
        refused_grant("SelectorDenied"),
        lambda w: Trial(
            escape=grant_by_account(
                lambda w: fresh(w, Asked((entry(w.contracts.arena, "transfer(address,uint256)"),))).scope
            ),
            twin=grant_by_account(lambda w: _honest(w).scope),
            effect={},
        ),
    )
    yield _asked_row(
        "C03",
        "grant-among-good",
        "granted behind functions that may be",
        "SelectorDenied",
        lambda w: Asked(
            sorted_entries(
                *(entry(w.contracts.arena, each) for each in (MOVE, ATTACK)),
                entry(w.contracts.arena, "approve(address,uint256)"),
            )
        ),
    )


def _target(world: World, address: Address, function: str = PLAY) -> Asked:
    return Asked((entry(address, function),))


def _targets() -> Iterator[Row]:
    """C04, C12, C16, C51, C52, C55: tokens, the account's own side, and addresses without code."""
    tokens: tuple[tuple[str, str, str, Callable[[World], Address]], ...] = (
        ("C04", "gold", "the game's ERC-20", lambda w: w.contracts.gold),
        ("C04", "item", "the game's ERC-721", lambda w: w.contracts.item),
        ("C04", "erc-20", "a game that is an ERC-20", lambda w: w.strangers.coin),
        ("C04", "erc-721", "a game that is an ERC-721", lambda w: w.strangers.collections[ERC721]),
        ("C04", "erc-1155", "a game that is an ERC-1155", lambda w: w.strangers.collections[ERC1155]),
        ("C04", "erc-6909", "a game that is an ERC-6909", lambda w: w.strangers.collections[ERC6909]),
        ("C04", "balance", "a game that answers to balanceOf alone", lambda w: w.strangers.purse),
        ("C04", "erc-777", "a game that is an ERC-777", lambda w: w.strangers.granule),
        ("C52", "megabyte", "a target that answers with a megabyte", lambda w: w.strangers.blabber),
    )
    for case, slug, what, address in tokens:
        yield _asked_row(
            case,
            f"grant-{slug}",
            f"granted: {what}",
            "TargetIsToken",
            lambda w, address=address: _target(w, address(w)),
            values=lambda w, address=address: {"target": address(w)},
            off_chain="",
        )
    own: tuple[tuple[str, str, str, Callable[[World], Address]], ...] = (
        ("C12", "account", "the account itself", lambda w: w.account),
        ("C12", "module", "the session validator", lambda w: w.module),
        *(
            ("C12", f"entry-point-{each.value}", f"EntryPoint {each.value}", lambda w, each=each: each.canonical_address)
            for each in EntryPointVersion
        ),
    )
    for case, slug, what, address in own:
        yield _asked_row(
            case,
            f"grant-{slug}",
            f"granted: {what}",
            "TargetForbidden",
            lambda w, address=address: _target(w, address(w)),
            values=lambda w, address=address: {"target": address(w)},
        )
    yield _asked_row(
        "C12",
        "grant-owner-validator",
        "granted: an installed module, the owner validator",
        "TargetIsModule",
        lambda w: _target(w, w.contracts.owner_validator),
        values=lambda w: {"target": w.contracts.owner_validator, "moduleTypeId": 1},
        off_chain="",
        without={"reference_7702": "the account's own key is the owner: no other module is installed"},
    )
    yield _asked_row(
        "C12",
        "grant-neighbour",
        "granted: another player's account",
        "TargetIsAccount",
        lambda w: _target(w, w.neighbour),
        values=lambda w: {"target": w.neighbour},
        off_chain="",
        without={"reference_7702": "such an account is a person's address that delegates: a row of its own"},
    )
    yield trial_row("C55", "grant-zero", "granted: address 0", refused_grant("TargetForbidden"), _grant_zero)
    for case, slug, what, target in (
        ("C51", "precompile", "a precompile", PRECOMPILE),
        ("C51", "no-code", "an address without code", NOWHERE),
        ("C16", "target-1", "address 1, somebody's wildcard", Address((1).to_bytes(20, "big"))),
    ):
        yield _asked_row(
            case,
            f"grant-{slug}",
            f"granted: {what}",
            "TargetWithoutCode",
            lambda w, target=target: _target(w, target),
            values=lambda _, target=target: {"target": target},
            off_chain="",
        )
    yield _asked_row(
        "C51", "grant-thief", "granted: the thief's own address", "TargetWithoutCode", lambda w: _target(w, w.thief), off_chain=""
    )
    yield _asked_row(
        "C12",
        "grant-delegated",
        "granted: a person's address that delegates to a game",
        "TargetDelegated",
        lambda w: _target(w, NOWHERE),
        before=lambda w: (_delegating(NOWHERE),),
        off_chain="",
    )


def _delegating(address: Address) -> Do:
    async def act(world: World) -> None:
        await world.node.set_code(address, b"\xef\x01\x00" + world.strangers.bazaar)

    return Do(act)


def _grant_zero(world: World) -> Trial:
    """gamekit's own scope cannot say address 0; the bytes can."""
    good = _honest(world)
    return Trial(
        escape=grant(lambda w: _written(_honest(w), 192, ZERO_ADDRESS)),
        twin=grant(lambda w: good),
        values={"target": ZERO_ADDRESS},
        effect={},
    )


def _behind(world: World, *accepted: Address, signed: tuple[Address, ...] | None = None) -> Grant:
    """A grant on a proxy, with what the owner accepts behind it."""
    made = fresh(world, _target(world, world.strangers.facade, BUY.signature))
    return replace(made, implementations=accepted, signed_implementations=signed)


def _proxies() -> Iterator[Row]:
    """C45: a target that runs code of others is granted only with what the owner accepts there."""
    mismatch = "ImplementationNotAccepted"
    proxies: tuple[tuple[str, str, str, Callable[[World], Grant]], ...] = (
        ("proxy", "a proxy, nothing accepted", mismatch, lambda w: _behind(w)),
        ("proxy-no-code", "a proxy, an address without code accepted", mismatch, lambda w: _behind(w, NOWHERE)),
        ("proxy-meddled", "a proxy, another implementation than was signed", "GrantSignatureInvalid", _meddled),
        ("proxy-more", "a proxy, more accepted than there is", "ImplementationsUnused", _too_much),
    )
    for slug, what, error, make in proxies:
        yield trial_row(
            "C45",
            f"grant-{slug}",
            f"granted: {what}",
            refused_grant(error),
            lambda w, make=make: Trial(
                escape=grant(make), twin=grant(lambda w: _behind(w, w.strangers.bazaar)), effect={}
            ),
        )

    def cloned(world: World, accepted: Callable[[World], Address]) -> Later:
        made: Callable[[World], Grant] = lambda w: replace(  # noqa: E731
            fresh(w, _target(w, NOWHERE, BUY.signature)), implementations=(accepted(w),)
        )
        return grant(made)

    yield trial_row(
        "C45",
        "grant-clone",
        "granted: a minimal proxy, another implementation accepted than it has",
        refused_grant(mismatch),
        lambda w: Trial(
            before=(_clone(NOWHERE),),
            escape=cloned(w, lambda w: w.strangers.rival),
            twin=cloned(w, lambda w: w.strangers.bazaar),
            values={"target": NOWHERE, "implementation": w.strangers.bazaar, "accepted": w.strangers.rival},
            effect={},
        ),
    )
    yield trial_row("C45", "upgraded", "a proxy that is changed behind the grant", SPARED, _upgraded)


SPARED: Final = Expected("executed", "and nothing came of it")


def _meddled(world: World) -> Grant:
    return _behind(world, world.strangers.robber, signed=(world.strangers.bazaar,))


def _too_much(world: World) -> Grant:
    return _behind(world, world.strangers.bazaar, world.strangers.rival)


def _clone(address: Address) -> Do:
    """Put a minimal proxy of the bazaar somewhere. Source: ERC-1167."""

    async def act(world: World) -> None:
        head, tail = bytes.fromhex("363d3d373d3d3d363d73"), bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
        await world.node.set_code(address, head + world.strangers.bazaar + tail)

    return Do(act)


def _upgraded(world: World) -> Trial:
    """The session stays: the new code may lie inside the game, and reaches nothing of the account's."""
    scope = fresh_scope(world, _target(world, world.strangers.facade, BUY.signature))
    world.sessions["fresh"] = world.session_of("fresh", scope, key=FRESH_KEY)
    made = replace(Grant(scope.pack(), [BUY.signature]), implementations=(world.strangers.bazaar,))
    call = Call(world.strangers.facade, Wei(0), BUY.encode_call(1, 1))
    operation = Operate(world.one(call, "fresh"), "fresh")
    change = Transact(DEPLOYER, world.strangers.facade, CHANGE.encode_call(world.strangers.robber))
    return Trial(
        before=(grant(lambda _: made),),
        escape_before=(change,),
        escape=operation,
        twin=operation,
        effect={},
        after=_nothing,
    )


async def _nothing(_: World) -> str:
    return "and nothing came of it"


def _written(made: Grant, at: int, written: bytes) -> Grant:
    """Overwrite a part of a scope's bytes, before they are signed."""
    return replace(made, scope=made.scope[:at] + written + made.scope[at + len(written) :])


def _bytes_row(
    case: str,
    slug: str,
    what: str,
    error: str,
    change: Callable[[World, Grant], Grant],
    *,
    twin: Callable[[World, Grant], Grant] = lambda _, made: made,
    honest: Callable[[World], Grant] = _honest,
    values: Mapping[str, object] | None = None,
) -> Row:
    """A grant of bytes that gamekit itself would not write."""
    return trial_row(
        case,
        slug,
        what,
        refused_grant(error),
        lambda w: Trial(
            escape=grant(lambda w: change(w, honest(w))),
            twin=grant(lambda w: twin(w, honest(w))),
            values=values or {},
            effect={},
        ),
    )


def _times() -> Iterator[Row]:
    """C38: a session ends, soon enough, and begins before."""

    def frame(begin: Callable[[World], int], end: Callable[[World], int]) -> Callable[[World, Grant], Grant]:
        return lambda w, made: _written(made, 20, begin(w).to_bytes(6, "big") + end(w).to_bytes(6, "big"))

    now: Callable[[World], int] = lambda w: w.now  # noqa: E731
    rows: tuple[tuple[str, str, str, Callable[[World], int], Callable[[World], int]], ...] = (
        ("end-zero", "an end of 0, which an EntryPoint reads as for ever", "TimeFrameEmpty", lambda w: 0, lambda w: 0),
        ("end-zero-begun", "an end of 0, behind a beginning", "TimeFrameEmpty", now, lambda w: 0),
        ("end-at-begin", "an end at its beginning", "TimeFrameEmpty", now, now),
        ("end-before-begin", "an end before its beginning", "TimeFrameEmpty", now, lambda w: w.now - 1),
        ("over", "a session that is over", "TimeFrameOver", lambda w: w.now - 50, lambda w: w.now - 1),
        ("long", "a session of 30 days and a second", "TimeFrameTooLong", now, lambda w: w.now + DURATION_S_MAX + 2),
        ("far", "a session far in the future", "TimeFrameTooLong", lambda w: (1 << 48) - 9, lambda w: (1 << 48) - 1),
    )
    for slug, what, error, begin, end in rows:
        yield _bytes_row(
            "C38",
            f"grant-{slug}",
            f"granted: {what}",
            error,
            frame(begin, end),
            # The next block is a second later than the head.
            twin=frame(now, lambda w: w.now + DURATION_S_MAX + 1),
        )


def _signers() -> Iterator[Row]:
    """C39, C44: a session key that nobody has, or that is not a key."""
    signers: tuple[tuple[str, str, Callable[[World], bytes]], ...] = (
        ("zero", "address 0, which a malformed signature recovers to", lambda w: ZERO_ADDRESS),
        ("account", "the account itself", lambda w: w.account),
        ("module", "the session validator", lambda w: w.module),
    )
    for slug, what, address in signers:
        yield _bytes_row(
            "C39",
            f"grant-{slug}",
            f"granted: a session key that is {what}",
            "SignerInvalid",
            lambda w, made, address=address: _written(made, 0, address(w)),
        )


def _move(world: World, **changes: object) -> Asked:
    return Asked((entry(world.contracts.arena, MOVE),), **changes)  # type: ignore[arg-type]


def _limits() -> Iterator[Row]:
    """C06, C11, C28, C34: limits that would limit nothing, or nothing that could be checked."""
    u16, u32 = (1 << 16) - 1, (1 << 32) - 1
    rows: tuple[tuple[str, str, str, str, int, bytes, Mapping[str, object]], ...] = (
        ("C11", "calls-zero", "no call in an operation", "CallsMaxInvalid", 53, b"\x00", {"callsMax": 0}),
        ("C11", "calls-65", "65 calls in an operation", "CallsMaxInvalid", 53, b"\x41", {"callsMax": 65, "callsMaxLimit": CALLS_MAX_LIMIT}),
        ("C28", "uses-zero", "no call in all", "UsesMaxInvalid", 88, bytes(4), {"usesMax": 0}),
        ("C34", "gas-zero", "operations that cost nothing", "GasLimitInvalid", 112, bytes(16), {"gasPerOperationWeiMax": 0}),
        ("C34", "gas-over-budget", "operations that cost more than the budget", "GasLimitInvalid", 112, b"\xff" * 16, {}),
        ("C06", "value-over-total", "value per call over the total", "ValueLimitInvalid", 128, (5).to_bytes(16, "big") + (6).to_bytes(16, "big"), {"valuePerCallWeiMax": 6, "valueTotalWeiMax": 5}),
        ("C06", "value-without-call", "a total without a limit per call", "ValueLimitInvalid", 128, (5).to_bytes(16, "big") + bytes(16), {}),
        ("C28", "burst", "a burst below the largest batch", "BurstTooSmall", 56, b"\x00\x07", {"burst": 7, "callsMax": 8}),
        ("C28", "slow", "a pace whose clock would not fit", "RateTooSlow", 56, u16.to_bytes(2, "big"), {}),
    )
    for case, slug, what, error, at, written, values in rows:
        paced = slug in ("burst", "slow")
        interval = u32 if slug == "slow" else 1000
        rate = RateLimitPolicy(interval_ms=interval, burst=8) if paced else None
        yield _bytes_row(
            case,
            f"grant-{slug}",
            f"granted: {what}",
            error,
            lambda w, made, at=at, written=written: _written(made, at, written),
            honest=lambda w, rate=rate: fresh(w, _move(w, rate=rate)),
            values=values,
        )


def _bytes() -> Iterator[Row]:
    """C26, C27: bytes that two readers could take for two scopes."""
    for slug, what, at in (
        ("header", "a reserved byte of the header", 63),
        ("header-last", "the last reserved byte of the header", 191),
        ("entry", "a reserved byte of an entry", 223),
    ):
        yield _bytes_row(
            "C27",
            f"grant-reserved-{slug}",
            f"granted: {what} is not zero",
            "ScopeReservedNotZero",
            lambda _, made, at=at: _written(made, at, b"\x01"),
            values={"word": 1},
        )
    for version in (0, 2):
        yield _bytes_row(
            "C27",
            f"grant-version-{version}",
            f"granted: version {version}",
            "ScopeVersionUnknown",
            lambda _, made, version=version: _written(made, 52, bytes((version,))),
            values={"version": version, "known": 1},
        )
    for slug, what, change in (
        ("longer", "a word behind the scope", lambda made: replace(made, scope=made.scope + bytes(32))),
        ("longer-byte", "a byte behind the scope", lambda made: replace(made, scope=made.scope + b"\x00")),
        ("shorter", "a scope without its entry", lambda made: replace(made, scope=made.scope[:192])),
        ("short-header", "less than a header", lambda made: replace(made, scope=made.scope[:191])),
        ("empty", "nothing at all", lambda made: replace(made, scope=b"")),
    ):
        yield _bytes_row(
            "C26", f"grant-{slug}", f"granted: {what}", "ScopeLengthMismatch", lambda _, made, change=change: change(made)
        )


def _two(world: World) -> Grant:
    """A grant of two entries."""
    return fresh(world, Asked(sorted_entries(*(entry(world.contracts.arena, each) for each in (MOVE, ATTACK)))))


def _ruled(world: World, **changes: object) -> Grant:
    """A grant of one entry with two rules: the second counts in lane 0."""
    rules = (ArgumentRule(0, Condition.AT_MOST, 5), SpendingLimitPolicy(1, 100, 0))
    return fresh(world, Asked((entry(world.contracts.arena, CRAFT, *rules),), **changes))  # type: ignore[arg-type]


def _rules() -> Iterator[Row]:
    """C27: entries and rules that would be merged, or read as something else."""
    first, second = 192, 224

    def doubled(_: World, made: Grant) -> Grant:
        return replace(_written(made, second, made.scope[first:second]), functions=(made.functions[0],) * 2)

    def swapped(_: World, made: Grant) -> Grant:
        one, other = made.scope[first:second], made.scope[second : second + 32]
        return replace(_written(made, first, other + one), functions=made.functions[::-1])

    for slug, what, change in (
        ("twice", "the same function twice", doubled),
        ("unsorted", "entries that do not ascend", swapped),
    ):
        yield _bytes_row("C27", f"grant-{slug}", f"granted: {what}", "EntriesNotAscending", change, honest=_two)
    count, rule, counting = 192 + 25, 224, 288
    changes: tuple[tuple[str, str, str, int, bytes], ...] = (
        ("rules-beyond", "an entry whose rules end behind the last", "RulesOutOfRange", count, b"\x03"),
        ("condition", "a condition that does not exist", "RuleInvalid", rule + 1, b"\x07"),
        ("pinned-value", "a pinned argument with a value", "RuleInvalid", rule + 1, b"\x05"),
        ("lane-unused", "a lane on a rule that counts nothing", "RuleInvalid", rule + 2, b"\x01"),
        ("lane-2", "a lane that does not exist", "RuleInvalid", counting + 2, b"\x02"),
        ("sum-129-bits", "a sum of 2^128", "RuleInvalid", counting + 32, (1 << 128).to_bytes(32, "big")),
        ("rule-reserved", "a reserved byte of a rule is not zero", "ScopeReservedNotZero", rule + 3, b"\x01"),
    )
    for slug, what, error, at, written in changes:
        yield _bytes_row(
            "C27",
            f"grant-{slug}",
            f"granted: {what}",
            error,
            lambda _, made, at=at, written=written: _written(made, at, written),
            honest=_ruled,
        )
    value = (5).to_bytes(16, "big") * 2
    yield _bytes_row(
        "C27",
        "grant-lane-of-value",
        "granted: an argument counted where value is",
        "RuleInvalid",
        lambda _, made: _written(made, 128, value),
        twin=lambda _, made: _written(_written(made, 128, value), counting + 2, b"\x01"),
        honest=_ruled,
    )
    yield _bytes_row(
        "C27",
        "grant-lane-limits",
        "granted: two limits for one sum",
        "LaneLimitsDiffer",
        lambda _, made: _written(made, rule, b"\x00\x06\x00" + bytes(29) + (99).to_bytes(32, "big")),
        twin=lambda _, made: _written(made, rule, b"\x00\x06\x00" + bytes(29) + (100).to_bytes(32, "big")),
        honest=_ruled,
        values={"lane": 0, "limit": 100, "otherLimit": 99},
    )
