"""The account's authority by other ways: executors, fallbacks, ERC-1271, other modules, code that changes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.demo.escapes import INSTALL_MODULE
from gamekit.eth.hashing import keccak256
from gamekit.eth.interface import Function
from gamekit.units import Address, Hash32
from tests.accounts.world import IS_VALID_SIGNATURE, Key
from tests.proof.escapes.accounts import (
    EXECUTOR_DATA,
    FALLBACK_REFUSED,
    NOT_EXECUTOR,
    ONLY_ENTRY_POINT,
    SIGNATURE_ANSWERS,
    VALIDATOR_DATA,
)
from tests.proof.escapes.family_grants import refused_grant
from tests.proof.escapes.grants import Grant, fresh, grant
from tests.proof.escapes.make import operation_row, trial_row
from tests.proof.escapes.model import Ask, Expected, Later, Row, Step, Transact, Trial
from tests.proof.escapes.sessions import MOVE, Asked, entry, secret_of
from tests.proof.escapes.world import World

STRIKE: Final = Function.parse("strike(address account,bytes32 mode,bytes execution)")
EXECUTE: Final = Function.parse("execute(bytes32 mode,bytes execution)")
EXECUTE_FROM_EXECUTOR: Final = Function.parse("executeFromExecutor(bytes32 mode,bytes execution)")
HATCH: Final = Function.parse("hatch(address shown)")
HATCH_AND_END: Final = Function.parse("hatchAndEnd(address shown)")
HATCHED: Final = Function.parse("hatched()", "address", "view")
END: Final = Function.parse("end()")
LOGIN: Final = Hash32(keccak256(b"log in to another game"))


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _executors()
    yield from _fallbacks()
    yield from _signatures()
    yield from _other_validators()
    yield from _codes()


def strike(world: World) -> bytes:
    """What an executor would do: play for the account."""
    call = world.play()
    return call.target + call.value.to_bytes(32, "big") + call.data


def _executors() -> Iterator[Row]:
    """C15: whoever is not the EntryPoint cannot make the account execute."""

    def installed(world: World) -> Step:
        data = EXECUTOR_DATA[world.where.name]
        return Transact(world.account, world.account, INSTALL_MODULE.encode_call(2, world.strangers.yes, data))

    def struck(world: World) -> Step:
        return Transact(world.thief, world.strangers.yes, STRIKE.encode_call(world.account, bytes(32), strike(world)))

    yield trial_row(
        "C15",
        "executor",
        "a contract that is no executor of the account's",
        Expected("reverted", "ERC7579UninstalledModule"),
        lambda w: Trial(twin_before=(installed(w),), escape=struck(w), twin=struck(w)),
        at=NOT_EXECUTOR,
    )
    for slug, what, function, at in (
        ("execute", "the thief calls execute on the account", EXECUTE, ONLY_ENTRY_POINT),
        (
            "execute-from-executor",
            "the thief calls executeFromExecutor on the account",
            EXECUTE_FROM_EXECUTOR,
            NOT_EXECUTOR,
        ),
    ):
        yield trial_row(
            "C15",
            slug,
            what,
            Expected("reverted", "AccountUnauthorized" if function is EXECUTE else "ERC7579UninstalledModule"),
            partial(
                lambda function, w: Trial(
                    escape=Transact(w.thief, w.account, function.encode_call(bytes(32), strike(w))),
                    twin=Transact(w.where.entry_point, w.account, EXECUTE.encode_call(bytes(32), strike(w))),
                ),
                function,
            ),
            at=at,
        )
    yield trial_row(
        "C15",
        "install",
        "the thief installs an executor",
        Expected("reverted", "AccountUnauthorized"),
        lambda w: Trial(
            escape=replace(installed(w), sender=w.thief),
            twin=installed(w),
            effect={"executor:yes": 1},
        ),
        at=ONLY_ENTRY_POINT,
    )


def _fallbacks() -> Iterator[Row]:
    """C15: functions that the account does not have."""
    yield trial_row(
        "C15",
        "fallback",
        "the thief calls a function that the account does not have",
        Expected("reverted", "ERC7579MissingFallbackHandler"),
        lambda w: Trial(
            escape=Transact(w.thief, w.account, b"\xde\xad\xbe\xef" + bytes(32)),
            twin=Transact(w.thief, w.strangers.bazaar, b"\xde\xad\xbe\xef" + bytes(32)),
            effect={},
        ),
        at=FALLBACK_REFUSED,
    )


def _signatures() -> Iterator[Row]:
    """C21: nothing that a session key signs is the account's signature, whoever asks and however it is wrapped."""

    def asked(sender: Callable[[World], Address], signature: Callable[[World], bytes]) -> Callable[[World], Ask]:
        def make(world: World) -> Ask:
            data = IS_VALID_SIGNATURE.encode_call(LOGIN, signature(world))
            return Ask(sender(world), world.account, data, lambda answer: answer[:4] == IS_VALID_SIGNATURE.selector)

        return make

    def module(world: World) -> Address:
        return world.module

    def stranger(world: World) -> Address:
        return world.strangers.bazaar

    def by_key(world: World) -> bytes:
        return Key(int.from_bytes(secret_of(0).secret, "big")).sign(world.base.asked(LOGIN))

    def by_owner(world: World) -> bytes:
        validator = world.where.contracts.owner_validator
        return world.stack.owner_signature(validator, world.base.owner.sign(world.base.asked(LOGIN)))

    escapes: tuple[tuple[str, str, Callable[[World], Address], Callable[[World], bytes]], ...] = (
        ("module", "asked by the session validator", module, lambda w: _prefix(w, w.module) + by_key(w)),
        ("stranger", "asked by a marketplace", stranger, lambda w: _prefix(w, w.module) + by_key(w)),
        (
            "envelope",
            "with a whole envelope",
            module,
            lambda w: _prefix(w, w.module) + bytes(12) + by_key(w) + b"\x00" + w.sessions["play"].packed,
        ),
        (
            "owners-prefix",
            "in the owner validator's name",
            module,
            lambda w: _prefix(w, w.contracts.owner_validator) + by_key(w),
        ),
        ("plain", "without a name", module, by_key),
        ("plain-stranger", "without a name, asked by a marketplace", stranger, by_key),
        ("empty", "with no signature at all", module, lambda w: _prefix(w, w.module)),
    )
    for slug, what, sender, signature in escapes:
        yield trial_row(
            "C21",
            slug,
            f"the session key signs in to another game, {what}",
            Expected("answered", "0xffffffff"),
            partial(
                lambda sender, signature, w: Trial(
                    escape=asked(sender, signature)(w), twin=asked(module, by_owner)(w), effect={}
                ),
                sender,
                signature,
            ),
            at=SIGNATURE_ANSWERS.get(slug, {}),
        )


def _prefix(world: World, validator: Address) -> bytes:
    """How the account's signatures name a validator."""
    if world.stack.own_key_is_owner:
        return validator
    return world.stack.owner_signature(validator, b"")


def _other_validators() -> Iterator[Row]:
    """C57: a module that says yes to everything speaks for nobody in a grant."""

    def installed(world: World) -> Step:
        data = VALIDATOR_DATA[world.where.name]
        return Transact(world.account, world.account, INSTALL_MODULE.encode_call(1, world.strangers.yes, data))

    def honest(world: World) -> Grant:
        return fresh(world, Asked((entry(world.contracts.arena, MOVE),)))

    for slug, what, signature in (
        (
            "yes-prefix",
            "in the name of another validator, which agrees",
            lambda w: _prefix(w, w.strangers.yes) + bytes(65),
        ),
        ("yes-plain", "with what another validator agrees to", lambda w: bytes(65)),
        ("session-prefix", "in the session validator's name", lambda w: _prefix(w, w.module) + bytes(65)),
    ):
        yield trial_row(
            "C57",
            slug,
            f"a grant signed {what}",
            refused_grant("GrantSignatureInvalid"),
            partial(
                lambda signature, w: Trial(
                    before=(installed(w),),
                    escape=grant(lambda w: replace(honest(w), signature=signature(w))),
                    twin=grant(honest),
                    effect={},
                ),
                signature,
            ),
        )


def _codes() -> Iterator[Row]:
    """C37, C46, C47: code that changes, the account's and the game's."""
    yield operation_row(
        "C37",
        "factory",
        "the account created anew",
        Expected("AA10"),
        lambda w: (
            replace(
                w.honest(), before_signing=lambda op: replace(op, factory=w.strangers.bazaar, factory_data=bytes(4))
            ),
            w.honest(),
        ),
    )
    yield trial_row(
        "C46",
        "other-code",
        "other code at the game's address, behind its end",
        refused_grant("AddressTaken"),
        lambda w: Trial(
            escape_before=(Transact(w.thief, w.strangers.nest, HATCH.encode_call(w.strangers.mortal)), _ended()),
            escape=Transact(w.thief, w.strangers.nest, HATCH.encode_call(w.strangers.bazaar)),
            twin=Transact(w.thief, w.strangers.nest, HATCH.encode_call(w.strangers.bazaar)),
            effect={},
        ),
    )
    yield trial_row(
        "C46",
        "grant-gone",
        "granted: a game whose code was gone in the same transaction",
        refused_grant("TargetWithoutCode"),
        lambda w: Trial(
            escape_before=(Transact(w.thief, w.strangers.nest, HATCH_AND_END.encode_call(w.strangers.mortal)),),
            twin_before=(Transact(w.thief, w.strangers.nest, HATCH.encode_call(w.strangers.mortal)),),
            escape=Later(_grant_hatched),
            twin=Later(_grant_hatched),
            effect={},
        ),
    )


async def _hatched(world: World) -> Address:
    return Address((await world.call(world.strangers.nest, HATCHED.encode_call()))[-20:])


def _ended() -> Later:
    async def make(world: World) -> Step:
        return Transact(world.thief, await _hatched(world), END.encode_call())

    return Later(make)


async def _grant_hatched(world: World) -> Step:
    hatched = await _hatched(world)
    return grant(lambda w: fresh(w, Asked((entry(hatched, "play(uint256)"),))))
