"""The account's authority by other ways: executors, fallbacks, a malicious game in the middle, ERC-1271, a new delegate."""

from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from gamekit.demo.escapes import INSTALL_MODULE
from gamekit.demo.forgery import single
from gamekit.eth.calldata import Call, execute_single, Mode
from gamekit.eth.entry_point import WITHDRAW_TO, encode_handle_ops
from gamekit.eth.hashing import keccak256
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import GRANT_SESSION, REVOKE_ALL_SESSIONS
from gamekit.eth.user_operation import DELEGATION_FACTORY
from gamekit.units import Address, Gas, Hash32, Wei
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
from tests.proof.escapes.make import operation_row, refused, trial_row
from tests.proof.escapes.model import ANY, Ask, Do, Expected, Judge, Later, Operate, Row, Step, Transact, Trial
from tests.proof.escapes.refusals import refusal
from tests.proof.escapes.sessions import BOMB, BUY, LURE, MOVE, WHISPER, Asked, entry, secret_of
from tests.proof.escapes.world import World

ARM: Final = Function.parse("arm(address target,bytes data)")
SPRUNG: Final = Function.parse("sprung()", "bool", "view")
ANSWER: Final = Function.parse("answer()", "bytes", "view")
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
    yield from _traps()
    yield from _games()
    yield from _signatures()
    yield from _other_validators()
    yield from _codes()


def _strike(world: World) -> bytes:
    """What an executor would do: play for the account."""
    call = world.play()
    return call.target + call.value.to_bytes(32, "big") + call.data


def _executors() -> Iterator[Row]:
    """C15: whoever is not the EntryPoint cannot make the account execute."""

    def installed(world: World) -> Step:
        data = EXECUTOR_DATA[world.where.name]
        return Transact(world.account, world.account, INSTALL_MODULE.encode_call(2, world.strangers.yes, data))

    def struck(world: World) -> Step:
        return Transact(world.thief, world.strangers.yes, STRIKE.encode_call(world.account, bytes(32), _strike(world)))

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
        ("execute-from-executor", "the thief calls executeFromExecutor on the account", EXECUTE_FROM_EXECUTOR, NOT_EXECUTOR),
    ):
        yield trial_row(
            "C15",
            slug,
            what,
            Expected("reverted", "AccountUnauthorized" if function is EXECUTE else "ERC7579UninstalledModule"),
            lambda w, function=function: Trial(
                escape=Transact(w.thief, w.account, function.encode_call(bytes(32), _strike(w))),
                twin=Transact(w.where.entry_point, w.account, EXECUTE.encode_call(bytes(32), _strike(w))),
            ),
            at=at,
        )
    yield trial_row(
        "C15",
        "install",
        "the thief installs an executor",
        Expected("reverted", "AccountUnauthorized"),
        lambda w: Trial(
            escape=replace(installed(w), sender=w.thief),  # type: ignore[arg-type]
            twin=installed(w),
            effect={"executor:yes": 1},
        ),
        at=ONLY_ENTRY_POINT,
    )
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


def _lured(world: World) -> Operate:
    call = Call(world.strangers.bazaar, Wei(0), LURE.encode_call())
    # Enough to write down all that the trap answers.
    ample = lambda op: replace(op, call_gas_limit=Gas(2_000_000))  # noqa: E731
    return Operate(replace(world.one(call, "trade"), before_signing=ample), "trade")


async def _sprung(world: World) -> str:
    """What the game's trap came to."""
    bazaar = world.strangers.bazaar
    (sprung,) = SPRUNG.decode_result(await world.call(bazaar, SPRUNG.encode_call()))
    (answer,) = ANSWER.decode_result(await world.call(bazaar, ANSWER.encode_call()))
    assert isinstance(answer, bytes)
    return "and the trap went off" if sprung else f"and the trap {refusal(answer).text}".strip()


def _trap_row(
    case: str,
    slug: str,
    what: str,
    error: str,
    trap: Callable[[World], tuple[Address, bytes]],
    at: "dict[str, str] | None" = None,
) -> Row:
    """An allowed call to a game that calls back: the operation is executed, the trap comes to nothing."""

    def armed(target: Address, data: bytes) -> Callable[[World], Step]:
        return lambda w: Transact(w.thief, w.strangers.bazaar, ARM.encode_call(target, data))

    def build(world: World) -> Trial:
        return Trial(
            escape_before=(armed(*trap(world))(world),),
            # The same trap, set for something that anybody may do.
            twin_before=(armed(world.strangers.rival, BUY.encode_call(1, 1))(world),),
            escape=_lured(world),
            twin=_lured(world),
            effect={"bazaar plays": 1},
            spares=("bazaar plays",),
            after=_sprung,
        )

    def expected(error: str) -> Expected:
        return Expected("executed", f"and the trap reverted {error}".strip())

    others = {name: expected(each) for name, each in (at or {}).items()}
    return trial_row(case, slug, what, expected(error), build, at=others)


def _error_names(facts: "dict[str, Expected]") -> dict[str, str]:
    return {name: each.error for name, each in facts.items()}


def _traps() -> Iterator[Row]:
    """C18, C20: a malicious game calls back while the account is executing."""
    only = _error_names(ONLY_ENTRY_POINT)
    account_traps: tuple[tuple[str, str, Callable[[World], bytes], str, dict[str, str]], ...] = (
        ("execute", "execute", lambda w: EXECUTE.encode_call(bytes(32), _strike(w)), "AccountUnauthorized", only),
        (
            "executor",
            "executeFromExecutor",
            lambda w: EXECUTE_FROM_EXECUTOR.encode_call(bytes(32), _strike(w)),
            "ERC7579UninstalledModule",
            _error_names(NOT_EXECUTOR),
        ),
        (
            "install",
            "installModule",
            lambda w: INSTALL_MODULE.encode_call(2, w.strangers.yes, EXECUTOR_DATA[w.where.name]),
            "AccountUnauthorized",
            only,
        ),
    )
    for slug, what, data, error, at in account_traps:
        yield _trap_row(
            "C18", slug, f"the game calls {what} on the account", error, lambda w, data=data: (w.account, data(w)), at
        )
    yield _trap_row(
        "C18",
        "grant",
        "the game calls grantSession",
        "ModuleNotInstalled",
        lambda w: (w.module, GRANT_SESSION.encode_call(w.sessions["play"].packed, ())),
    )
    yield _trap_row(
        "C18",
        "revoke-all",
        "the game calls revokeAllSessions",
        "ModuleNotInstalled",
        lambda w: (w.module, REVOKE_ALL_SESSIONS.encode_call()),
    )
    yield _trap_row(
        "C18",
        "withdraw",
        "the game withdraws a deposit",
        "Error(Withdraw amount too large)",
        lambda w: (w.where.entry_point, WITHDRAW_TO.encode_call(w.thief, 1)),
    )
    yield trial_row(
        "C18",
        "handle-ops",
        "the game sends another operation of the account's",
        Expected("executed", "and the trap reverted ReentrancyGuardReentrantCall"),
        _nested,
    )
    hooks = (
        ("erc-721", "onERC721Received(address,address,uint256,bytes)", (bytes(20), bytes(20), 1, b"")),
        ("erc-1155", "onERC1155Received(address,address,uint256,uint256,bytes)", (bytes(20), bytes(20), 1, 1, b"")),
        ("erc-777", "tokensReceived(address,address,address,uint256,bytes,bytes)", (bytes(20),) * 3 + (1, b"", b"")),
    )
    for slug, text, arguments in hooks:
        function = Function.parse(text)
        yield trial_row(
            "C20",
            slug,
            f"the game calls the account's hook {text.partition('(')[0]}",
            Expected("executed", "and nothing came of it"),
            lambda w, function=function, arguments=arguments: Trial(
                escape_before=(Transact(w.thief, w.strangers.bazaar, ARM.encode_call(w.account, function.encode_call(*arguments))),),
                twin_before=(Transact(w.thief, w.strangers.bazaar, ARM.encode_call(w.strangers.rival, BUY.encode_call(1, 1))),),
                escape=_lured(w),
                twin=_lured(w),
                effect={"bazaar plays": 1},
                spares=("bazaar plays",),
                after=_nothing,
            ),
        )


async def _nothing(_: World) -> str:
    return "and nothing came of it"


def _nested(world: World) -> Trial:
    """The trap is a whole bundle with a good operation of another session."""

    async def armed(world: World) -> Step:
        operations = await world.bundle(world.honest(), "play")
        data = encode_handle_ops(operations, world.thief, world.where.version)
        return Transact(world.thief, world.strangers.bazaar, ARM.encode_call(world.where.entry_point, data))

    return Trial(
        escape_before=(Later(armed),),
        twin_before=(Transact(world.thief, world.strangers.bazaar, ARM.encode_call(world.strangers.rival, BUY.encode_call(1, 1))),),
        escape=_lured(world),
        twin=_lured(world),
        effect={"bazaar plays": 1},
        spares=("bazaar plays",),
        after=_sprung,
    )


def _games() -> Iterator[Row]:
    """C17, C52: a game with a trusted forwarder, a multicall, a bomb."""

    def whisper(world: World, behind: bytes) -> Operate:
        call = Call(world.strangers.bazaar, Wei(0), WHISPER.encode_call() + behind)
        return Operate(world.one(call, "trade"), "trade")

    yield trial_row(
        "C17",
        "forwarder",
        "another player's address behind the arguments, as a trusted forwarder writes it",
        Expected("executed", "and counted for the account itself"),
        lambda w: Trial(
            escape=whisper(w, w.neighbour),
            twin=whisper(w, b""),
            effect={"bazaar plays": 1},
            spares=("bazaar plays",),
            after=_own_play,
        ),
    )
    yield operation_row(
        "C17",
        "multicall",
        "a multicall of the game, with an allowed call inside",
        refused("CallNotAllowed"),
        lambda w: (
            w.one(Call(w.strangers.bazaar, Wei(0), Function.parse("multicall(bytes[])").encode_call((LURE.encode_call(),))), "trade"),
            w.one(Call(w.strangers.bazaar, Wei(0), LURE.encode_call()), "trade"),
        ),
        session="trade",
        effect={"bazaar plays": 1},
        off_chain="CallPolicy",
    )

    def bomb(world: World, size: int) -> Operate:
        return Operate(world.one(Call(world.strangers.bazaar, Wei(0), BOMB.encode_call(size)), "trade"), "trade")

    yield trial_row(
        "C52",
        "bomb",
        "a game that reverts with as much as its gas buys",
        Expected("executed", "and reverted, for no more than was charged"),
        lambda w: Trial(
            escape=bomb(w, 1_000_000),
            twin=Operate(w.one(Call(w.strangers.bazaar, Wei(0), BUY.encode_call(1, 1)), "trade"), "trade"),
            effect={"bazaar plays": 1, "bought": 1},
            after=_within_charge,
        ),
    )


async def _own_play(world: World) -> str:
    found = Function.parse("playsOf(address player)", "uint256", "view")
    plays = int.from_bytes(await world.call(world.strangers.bazaar, found.encode_call(world.account)), "big")
    return "and counted for the account itself" if plays else "and counted for somebody else"


async def _within_charge(world: World) -> str:
    from tests.proof.escapes.watch import look
    from tests.proof.escapes.world import DEPOSIT_WEI

    used, now = await world.used("trade"), await look(world)
    lost = world.deposit_wei - now["deposit"]
    assert DEPOSIT_WEI
    return ", for no more than was charged" if 0 < lost <= used.gas_spent_wei else f", for {lost} wei"


def _one_thing(slug: str) -> str:
    return slug


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
        ("envelope", "with a whole envelope", module, lambda w: _prefix(w, w.module) + bytes(12) + by_key(w) + b"\x00" + w.sessions["play"].packed),
        ("owners-prefix", "in the owner validator's name", module, lambda w: _prefix(w, w.contracts.owner_validator) + by_key(w)),
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
            lambda w, sender=sender, signature=signature: Trial(
                escape=asked(sender, signature)(w), twin=asked(module, by_owner)(w), effect={}
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
        ("yes-prefix", "in the name of another validator, which agrees", lambda w: _prefix(w, w.strangers.yes) + bytes(65)),
        ("yes-plain", "with what another validator agrees to", lambda w: bytes(65)),
        ("session-prefix", "in the session validator's name", lambda w: _prefix(w, w.module) + bytes(65)),
    ):
        yield trial_row(
            "C57",
            slug,
            f"a grant signed {what}",
            refused_grant("GrantSignatureInvalid"),
            lambda w, signature=signature: Trial(
                before=(installed(w),),
                escape=grant(lambda w: replace(honest(w), signature=signature(w))),
                twin=grant(honest),
                effect={},
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
            replace(w.honest(), before_signing=lambda op: replace(op, factory=w.strangers.bazaar, factory_data=bytes(4))),
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


__all__ = ["ANY", "DELEGATION_FACTORY", "Do", "Judge", "Mode", "execute_single", "rows", "single"]
