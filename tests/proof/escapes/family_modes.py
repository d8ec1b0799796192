"""How the account is told to execute: the mode word, and the function that is called on the account."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.demo import forgery
from gamekit.demo.escapes import EXECUTE_USER_OP, INSTALL_MODULE
from gamekit.demo.forgery import Attempt
from gamekit.eth.calldata import Call, Mode, execute_batch, execute_single
from gamekit.eth.interface import Function
from gamekit.units import Wei
from tests.proof.escapes.make import Pair, operation_row, refused, trial_row
from tests.proof.escapes.model import Expected, Operate, Row, Step, Trial
from tests.proof.escapes.sessions import (
    ATTACK,
    BUY,
    STUMBLE,
    TIGHT_USES,
    VALUE_PER_CALL_WEI,
    VALUE_TOTAL_WEI,
)
from tests.proof.escapes.world import World

EXECUTE: Final = bytes.fromhex("e9ae5c53")
MODE: Final = refused("ModeNotAllowed")
ANYTHING: Final = b"\xff" * 4
"""A selector that the bazaar answers in its fallback, which robs whoever delegates to it."""


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _delegatecalls()
    yield from _modes()
    yield from _try_mode()
    yield from _functions()
    yield from _user_op()


def word(*lead: int, tail: Mapping[int, int] | None = None) -> bytes:
    """Write a mode word: its first bytes, and others by their place."""
    written = bytearray(bytes(lead).ljust(32, b"\x00"))
    for place, value in (tail or {}).items():
        written[place] = value
    return bytes(written)


def _mode_row(case: str, slug: str, what: str, mode: bytes, honest: Callable[[World], Attempt], calls: int) -> Row:
    def pair(world: World) -> Pair:
        twin = honest(world)
        return replace(twin, call_data=forgery.with_mode(twin.call_data, mode)), twin

    return operation_row(
        case,
        slug,
        what,
        MODE,
        pair,
        session="trade",
        effect={"bazaar plays": calls},
        values=lambda _: {"mode": mode},
        off_chain="calldata",
    )


def _single(world: World) -> Attempt:
    return world.one(Call(world.strangers.bazaar, Wei(0), ANYTHING), "trade")


def _pair(world: World) -> Attempt:
    return world.many([Call(world.strangers.bazaar, Wei(0), ANYTHING)] * 2, "trade")


def _single_try(world: World) -> Attempt:
    call = Call(world.strangers.bazaar, Wei(0), ANYTHING)
    return replace(_single(world), call_data=execute_single(Mode.SINGLE_TRY, *call))


def _delegatecalls() -> Iterator[Row]:
    """C08: the account's own authority for foreign code, which here sends all gold to the thief."""
    yield _mode_row("C08", "delegatecall", "delegatecall", word(0xFF), _single, 1)
    yield _mode_row("C08", "delegatecall-try", "delegatecall in try mode", word(0xFF, 0x01), _single, 1)
    yield _mode_row("C08", "delegatecall-batch", "delegatecall with a batch behind it", word(0xFF), _pair, 2)
    yield _mode_row("C08", "delegatecall-payload", "delegatecall with a payload", word(0xFF, tail={31: 1}), _single, 1)


def _modes() -> Iterator[Row]:
    """C10: every other word, one row for each part of it."""
    single: tuple[tuple[str, str, bytes], ...] = (
        ("static", "static call", word(0xFE)),
        ("static-try", "static call in try mode", word(0xFE, 0x01)),
        ("call-type-2", "an unknown call type", word(0x02)),
        ("call-type-80", "a call type of one high bit", word(0x80)),
        ("exec-type-2", "an unknown execution type", word(0x00, 0x02)),
        ("exec-type-ff", "execution type 0xff", word(0x00, 0xFF)),
        ("unused-first", "the first unused byte", word(tail={2: 1})),
        ("unused-last", "the last unused byte", word(tail={5: 1})),
        ("selector-first", "the first byte of the mode's selector", word(tail={6: 1})),
        ("selector-last", "the last byte of the mode's selector", word(tail={9: 1})),
        ("opdata", "the mode's selector of ERC-7821", word(tail={6: 0x78, 7: 0x21, 8: 0x00, 9: 0x01})),
        ("payload-first", "the first byte of the payload", word(tail={10: 1})),
        ("payload-middle", "a byte in the middle of the payload", word(tail={20: 0x80})),
        ("payload-last", "the last byte of the payload", word(tail={31: 1})),
        ("all-ones", "all bits", b"\xff" * 32),
    )
    for slug, what, mode in single:
        yield _mode_row("C10", slug, what, mode, _single, 1)
    for slug, what, mode in (
        ("batch-exec-type-2", "a batch of an unknown execution type", word(0x01, 0x02)),
        ("batch-unused", "a batch with an unused byte", word(0x01, tail={3: 1})),
        ("batch-payload", "a batch with a payload", word(0x01, tail={31: 1})),
        ("batch-try-payload", "a batch in try mode with a payload", word(0x01, 0x01, tail={10: 1})),
    ):
        yield _mode_row("C10", slug, what, mode, _pair, 2)
    yield _mode_row(
        "C10", "try-payload", "a call in try mode with a payload", word(0x00, 0x01, tail={31: 1}), _single_try, 1
    )


def _try_batch(world: World, calls: list[Call], session: str) -> Attempt:
    attempt = world.many(calls, session)
    return replace(attempt, call_data=execute_batch(Mode.BATCH_TRY, calls))


def _try_mode() -> Iterator[Row]:
    """C09: a call that reverts by itself has been counted all the same."""

    def failing(world: World, count: int) -> Attempt:
        return _try_batch(world, [Call(world.contracts.arena, Wei(0), ATTACK.encode_call(0, 1))] * count, "tight")

    def moves(world: World, count: int) -> Attempt:
        return world.many([world.play(place + 1) for place in range(count)], "tight")

    left = TIGHT_USES - 4
    yield operation_row(
        "C09",
        "uses",
        "calls that reverted in try mode do not come back",
        refused("UsesExceeded"),
        lambda w: (moves(w, left + 1), moves(w, left)),
        session="tight",
        before=lambda w: (Operate(failing(w, 4), "tight"),),
        effect={"plays": left},
        values=lambda _: {"uses": TIGHT_USES + 1, "usesMax": TIGHT_USES},
        off_chain="UsageLimitPolicy",
    )
    yield operation_row(
        "C09",
        "uses-undone",
        "calls of a batch that was undone do not come back",
        refused("UsesExceeded"),
        lambda w: (moves(w, left + 1), moves(w, left)),
        session="tight",
        before=lambda w: (_undone(w),),
        effect={"plays": left},
        values=lambda _: {"uses": TIGHT_USES + 1, "usesMax": TIGHT_USES},
        off_chain="UsageLimitPolicy",
    )
    rest = VALUE_TOTAL_WEI - 2 * VALUE_PER_CALL_WEI

    def buy(world: World, value: int) -> Attempt:
        return world.one(Call(world.strangers.bazaar, Wei(value), BUY.encode_call(1, 1)), "trade")

    def lost(world: World) -> tuple[Step, ...]:
        call = Call(world.strangers.bazaar, Wei(VALUE_PER_CALL_WEI), STUMBLE.encode_call())
        return (Operate(_try_batch(world, [call, call], "trade"), "trade"),)

    yield operation_row(
        "C09",
        "value",
        "value of calls that reverted in try mode is counted",
        refused("CapExceeded"),
        lambda w: (buy(w, rest + 1), buy(w, rest)),
        session="trade",
        before=lost,
        effect={"bazaar plays": 1, "bought": 1, "purse": -rest, "purse:bazaar": rest},
        values=lambda _: {"total": VALUE_TOTAL_WEI + 1, "limit": VALUE_TOTAL_WEI},
        off_chain="ValueLimitPolicy",
    )


def _undone(world: World) -> Step:
    arena = world.contracts.arena
    calls = [world.play(1), world.play(2), world.play(3), Call(arena, Wei(0), ATTACK.encode_call(0, 1))]
    return Operate(world.many(calls, "tight"), "tight", ends="executed and reverted")


def _function_row(case: str, slug: str, what: str, data: Callable[[World], bytes]) -> Row:
    """Calldata for another function of the account."""
    return operation_row(
        case,
        slug,
        what,
        refused("SelectorNotExecute"),
        lambda w: (replace(w.honest(), call_data=data(w)), w.honest()),
        values=lambda w: {"selector": data(w)[:4], "allowed": EXECUTE},
        off_chain="calldata",
    )


def _functions() -> Iterator[Row]:
    """C13: another function of the account than execute(bytes32,bytes)."""
    mode, call = bytes(32), bytes(20)
    texts: tuple[tuple[str, str, tuple[object, ...]], ...] = (
        ("uninstall-module", "uninstallModule(uint256,address,bytes)", (1, call, b"")),
        ("execute-from-executor", "executeFromExecutor(bytes32,bytes)", (mode, bytes(52))),
        ("execute-one", "execute(address,uint256,bytes)", (call, 0, b"")),
        ("execute-batch", "executeBatch((address,uint256,bytes)[])", ((),)),
        ("upgrade", "upgradeToAndCall(address,bytes)", (call, b"")),
        ("multicall", "multicall(bytes[])", ((),)),
        ("transfer-ownership", "transferOwnership(address)", (call,)),
        ("exec-from-module", "execTransactionFromModule(address,uint256,bytes,uint8)", (call, 0, b"", 1)),
        ("invalidate-nonce", "invalidateNonce(uint32)", (5,)),
        ("validate", "isValidSignature(bytes32,bytes)", (mode, b"")),
    )

    yield _function_row(
        "C13", "install-module", "installModule on the account", lambda w: INSTALL_MODULE.encode_call(1, w.thief, b"")
    )
    for slug, text, arguments in texts:
        data = Function.parse(text).encode_call(*arguments).ljust(100, b"\x00")
        yield _function_row(
            "C13", slug, f"{text.partition('(')[0]} on the account", partial(lambda data, w: data, data)
        )
    yield _function_row(
        "C13",
        "near-execute",
        "a selector one bit away from execute",
        lambda w: b"\xe9\xae\x5c\x52" + w.honest().call_data[4:],
    )
    yield operation_row(
        "C13",
        "nothing",
        "no calldata at all",
        refused("CallDataNotCanonical"),
        lambda w: (replace(w.honest(), call_data=b""), w.honest()),
        values=lambda _: {"position": 0, "found": 0, "expected": 100},
        off_chain="calldata",
    )
    yield operation_row(
        "C13",
        "selector-only",
        "execute without arguments",
        refused("CallDataNotCanonical"),
        lambda w: (replace(w.honest(), call_data=EXECUTE), w.honest()),
        values=lambda _: {"position": 0, "found": 4, "expected": 100},
        off_chain="calldata",
    )


def _user_op() -> Iterator[Row]:
    """C14, C50: executeUserOp, which an EntryPoint calls with the whole operation."""
    yield _function_row(
        "C14", "in-front", "executeUserOp in front of the calldata", lambda w: EXECUTE_USER_OP + w.honest().call_data
    )
    yield _function_row(
        "C14", "instead", "executeUserOp instead of execute", lambda w: EXECUTE_USER_OP + w.honest().call_data[4:]
    )
    yield trial_row(
        "C50",
        "around-hooks",
        "an entry that hooks of the account do not see",
        Expected("refused"),
        lambda w: Trial(escape=Operate(w.honest()), twin=Operate(w.honest())),
        without={
            "*": "no way of its own: around a hook leads another function of the account (C13, C14), a fallback (C15) "
            "or an enable mode (C30), and those rows close each of them"
        },
    )
