"""A malicious game in the middle of an allowed operation: traps, hooks, forwarders, bombs."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.demo.escapes import INSTALL_MODULE
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import WITHDRAW_TO, encode_handle_ops
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import GRANT_SESSION, REVOKE_ALL_SESSIONS
from gamekit.units import Address, Gas, Wei
from tests.proof.escapes.accounts import EXECUTOR_DATA, NOT_EXECUTOR, ONLY_ENTRY_POINT
from tests.proof.escapes.family_authority import EXECUTE, EXECUTE_FROM_EXECUTOR, strike
from tests.proof.escapes.make import operation_row, refused, trial_row
from tests.proof.escapes.model import Expected, Later, Operate, Row, Step, Transact, Trial
from tests.proof.escapes.refusals import refusal
from tests.proof.escapes.sessions import BOMB, BUY, LURE, WHISPER
from tests.proof.escapes.watch import look
from tests.proof.escapes.world import World

ARM: Final = Function.parse("arm(address target,bytes data)")
SPRUNG: Final = Function.parse("sprung()", "bool", "view")
ANSWER: Final = Function.parse("answer()", "bytes", "view")


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _traps()
    yield from _module_traps()
    yield from _hooks()
    yield from _games()


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
    """C18: a malicious game calls the account while it is executing."""
    only = _error_names(ONLY_ENTRY_POINT)
    account_traps: tuple[tuple[str, str, Callable[[World], bytes], str, dict[str, str]], ...] = (
        ("execute", "execute", lambda w: EXECUTE.encode_call(bytes(32), strike(w)), "AccountUnauthorized", only),
        (
            "executor",
            "executeFromExecutor",
            lambda w: EXECUTE_FROM_EXECUTOR.encode_call(bytes(32), strike(w)),
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
            "C18",
            slug,
            f"the game calls {what} on the account",
            error,
            partial(lambda data, w: (w.account, data(w)), data),
            at,
        )


def _module_traps() -> Iterator[Row]:
    """C18: a malicious game calls the module and the EntryPoint."""
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


def _hooks() -> Iterator[Row]:
    """C20: a malicious game calls the account's hooks."""
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
            partial(
                lambda function, arguments, w: Trial(
                    escape_before=(
                        Transact(
                            w.thief, w.strangers.bazaar, ARM.encode_call(w.account, function.encode_call(*arguments))
                        ),
                    ),
                    twin_before=(
                        Transact(
                            w.thief, w.strangers.bazaar, ARM.encode_call(w.strangers.rival, BUY.encode_call(1, 1))
                        ),
                    ),
                    escape=_lured(w),
                    twin=_lured(w),
                    effect={"bazaar plays": 1},
                    spares=("bazaar plays",),
                    after=_nothing,
                ),
                function,
                arguments,
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
        twin_before=(
            Transact(
                world.thief, world.strangers.bazaar, ARM.encode_call(world.strangers.rival, BUY.encode_call(1, 1))
            ),
        ),
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
            w.one(
                Call(
                    w.strangers.bazaar, Wei(0), Function.parse("multicall(bytes[])").encode_call((LURE.encode_call(),))
                ),
                "trade",
            ),
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
    used, now = await world.used("trade"), await look(world)
    lost = world.deposit_wei - now["deposit"]
    return ", for no more than was charged" if 0 < lost <= used.gas_spent_wei else f", for {lost} wei"
