"""What may not be granted: assets, tokens, accounts, wildcards, proxies without the owner's word."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.core.asset_selectors import ASSET_FUNCTIONS
from gamekit.devnet.deployment import DEPLOYER
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import selector
from gamekit.eth.interface import Function
from gamekit.units import ZERO_ADDRESS, Address, Wei
from tests.proof.escapes.grants import (
    FRESH_KEY,
    Grant,
    fault_of,
    fresh,
    fresh_scope,
    grant,
    grant_by_account,
    overwritten,
)
from tests.proof.escapes.make import trial_row
from tests.proof.escapes.model import Do, Expected, Later, Operate, Row, Step, Transact, Trial
from tests.proof.escapes.sessions import ATTACK, BUY, MOVE, Asked, entry, sorted_entries
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
    yield from _tokens()
    yield from _own_side()
    yield from _without_code()


def refused_grant(error: str) -> Expected:
    """Refused by the session validator, as a transaction."""
    return Expected("reverted", error)


def honest(world: World) -> Grant:
    """A grant that may be."""
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
            partial(lambda texts, w: Asked((entry(w.contracts.arena, texts[0]),)), texts),
            values=partial(lambda texts, w: {"target": w.contracts.arena, "selector": selector(texts[0])}, texts),
            also=partial(lambda texts, w: [Asked((entry(w.contracts.arena, text),)) for text in texts[1:]], texts),
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
            twin=grant_by_account(lambda w: honest(w).scope),
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


def _tokens() -> Iterator[Row]:
    """C04, C52: tokens, and what answers everything."""
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
            partial(lambda address, w: _target(w, address(w)), address),
            values=partial(lambda address, w: {"target": address(w)}, address),
            off_chain="",
        )


def _own_side() -> Iterator[Row]:
    """C12, C55: the account's own side, other accounts, and address 0."""
    own: tuple[tuple[str, str, str, Callable[[World], Address]], ...] = (
        ("C12", "account", "the account itself", lambda w: w.account),
        ("C12", "module", "the session validator", lambda w: w.module),
        *(
            (
                "C12",
                f"entry-point-{each.value}",
                f"EntryPoint {each.value}",
                partial(lambda each, w: each.canonical_address, each),
            )
            for each in EntryPointVersion
        ),
    )
    for case, slug, what, address in own:
        yield _asked_row(
            case,
            f"grant-{slug}",
            f"granted: {what}",
            "TargetForbidden",
            partial(lambda address, w: _target(w, address(w)), address),
            values=partial(lambda address, w: {"target": address(w)}, address),
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


def _without_code() -> Iterator[Row]:
    """C16, C51: addresses without code, and one whose code is another's."""
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
            partial(lambda target, w: _target(w, target), target),
            values=partial(lambda target, _: {"target": target}, target),
            off_chain="",
        )
    yield _asked_row(
        "C51",
        "grant-thief",
        "granted: the thief's own address",
        "TargetWithoutCode",
        lambda w: _target(w, w.thief),
        off_chain="",
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
    good = honest(world)
    return Trial(
        escape=grant(lambda w: overwritten(honest(w), 192, ZERO_ADDRESS)),
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
        ("proxy", "a proxy, nothing accepted", mismatch, _behind),
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
            partial(
                lambda make, w: Trial(
                    escape=grant(make), twin=grant(lambda w: _behind(w, w.strangers.bazaar)), effect={}
                ),
                make,
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
