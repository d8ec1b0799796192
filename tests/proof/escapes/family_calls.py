"""Calls that the scope does not name: other targets, functions, value, no selector, the account's own authority."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from gamekit.demo import forgery
from gamekit.demo.escapes import (
    APPROVE,
    GIVE_LOOT,
    INSTALL_MODULE,
    SET_APPROVAL_FOR_ALL,
    TRANSFER,
    TRANSFER_FROM,
    WITHDRAW,
    WITHDRAW_TO,
)
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import INCREMENT_NONCE
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import GRANT_SESSION, REVOKE_ALL_SESSIONS, REVOKE_SESSION
from gamekit.units import UINT256_MAX, ZERO_ADDRESS, Address, Wei
from tests.proof.escapes.make import operation_row, refused
from tests.proof.escapes.model import Operate, Row, Step
from tests.proof.escapes.owner import owner_does
from tests.proof.escapes.sessions import BUY, MOVE, VALUE_PER_CALL_WEI, VALUE_TOTAL_WEI
from tests.proof.escapes.world import World

NOT_ALLOWED: Final = refused("CallNotAllowed")
FORBIDDEN: Final = refused("TargetForbidden")
SELL: Final = Function.parse("sell(uint256 points,address to)")
WITHDRAW_TO_ANYBODY: Final = Function.parse("withdrawTo(address to,uint256 amountWei)")
INCREASE_ALLOWANCE: Final = Function.parse("increaseAllowance(address spender,uint256 amount)")
SAFE_TRANSFER_FROM: Final = Function.parse("safeTransferFrom(address from,address to,uint256 id)")
ROB: Final = Function.parse("rob(address player,uint256 amount)")
Make = Callable[[World], Call]
PRECOMPILE: Final = Address((4).to_bytes(20, "big"))


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _targets()
    yield from _selectors()
    yield from _assets()
    yield from _approvals()
    yield from _values()
    yield from _without_selector()
    yield from _authority()
    yield from _own_powers()


def _call_row(case: str, slug: str, what: str, make: Make) -> Row:
    """One forbidden call in the place of an allowed one, on every account refused as CallNotAllowed."""

    def pair(world: World) -> tuple[forgery.Attempt, forgery.Attempt]:
        return world.one(make(world)), world.honest()

    def values(world: World) -> dict[str, object]:
        call: Call = make(world)
        return {"call": 0, "target": call.target, "selector": call.data[:4]}

    return operation_row(case, slug, what, NOT_ALLOWED, pair, values=values, off_chain="CallPolicy")


def _targets() -> Iterator[Row]:
    """C01: the allowed function, elsewhere."""
    move = MOVE.encode_call(1, 0)
    yield _call_row("C01", "token", "the allowed function on a token", lambda w: Call(w.contracts.gold, Wei(0), move))
    yield _call_row("C01", "thief", "the allowed function on the thief", lambda w: Call(w.thief, Wei(0), move))
    yield _call_row(
        "C01", "other-game", "the allowed function on another game", lambda w: Call(w.strangers.rival, Wei(0), move)
    )
    yield _call_row(
        "C01",
        "near-target",
        "a target that differs in its last bit",
        lambda w: Call(Address(w.contracts.arena[:19] + bytes((w.contracts.arena[19] ^ 1,))), Wei(0), move),
    )
    yield _call_row("C51", "precompile", "a precompile, which has no code", lambda w: Call(PRECOMPILE, Wei(0), move))
    yield _call_row("C51", "no-code", "an address without code", lambda w: Call(Address(b"\xe0" * 20), Wei(0), move))


def _selectors() -> Iterator[Row]:
    """C02, C05, C16: another function of the game, and a hint that points elsewhere."""
    for place in range(4):
        flipped = bytearray(MOVE.encode_call(1, 0))
        flipped[place] ^= 1
        data = bytes(flipped)
        yield _call_row(
            "C02",
            f"flip-{place}",
            f"a selector with a flipped bit in byte {place}",
            partial(lambda data, w: Call(w.contracts.arena, Wei(0), data), data),
        )
    takers = (
        ("C05", "give-loot", "give loot to the thief", lambda w: GIVE_LOOT.encode_call(w.thief, 1)),
        ("C05", "sell", "sell loot for the thief", lambda w: SELL.encode_call(1, w.thief)),
        ("C05", "withdraw", "withdraw value from the game", lambda w: WITHDRAW.encode_call(1)),
        ("C05", "withdraw-to", "withdraw value to the thief", lambda w: WITHDRAW_TO_ANYBODY.encode_call(w.thief, 1)),
    )
    for case, slug, what, data_of in takers:
        yield _call_row(
            case, slug, what, partial(lambda data_of, w: Call(w.contracts.arena, Wei(0), data_of(w)), data_of)
        )
    yield operation_row(
        "C02",
        "hint-other",
        "a hint at another entry",
        NOT_ALLOWED,
        lambda w: (_hinted(w, 0 if w.honest().hints[0] else 1), w.honest()),
        values=lambda w: {"call": 0, "selector": MOVE.selector},
    )
    yield operation_row(
        "C02",
        "hint-none",
        "a hint at no entry",
        refused("HintOutOfRange"),
        lambda w: (_hinted(w, 4), w.honest()),
        values=lambda w: {"call": 0, "hint": 4, "entryCount": 4},
    )
    yield operation_row(
        "C16",
        "selector-ffffffff",
        "a scope with the selector 0xffffffff does not allow any other",
        NOT_ALLOWED,
        lambda w: (
            _wild(w, b"\x12\x34\x56\x78"),
            _wild(w, b"\xff" * 4),
        ),
        session="trade",
        effect={"bazaar plays": 1},
        values=lambda w: {"selector": b"\x12\x34\x56\x78", "allowedSelector": b"\xff" * 4},
        off_chain="CallPolicy",
    )
    yield _call_row(
        "C16",
        "target-1",
        "address 1, somebody's wildcard",
        lambda w: Call(Address((1).to_bytes(20, "big")), Wei(0), MOVE.encode_call(1, 0)),
    )


def _hinted(world: World, hint: int) -> forgery.Attempt:
    return forgery.Attempt(call_data=forgery.single(world.play()), hints=bytes((hint,)))


def _wild(world: World, selector: bytes) -> forgery.Attempt:
    trade = world.sessions["trade"]
    hint = trade.hint(world.strangers.bazaar, b"\xff" * 4)
    call = Call(world.strangers.bazaar, Wei(0), selector + bytes(32))
    return forgery.Attempt(call_data=forgery.single(call), hints=bytes((hint,)))


def _assets() -> Iterator[Row]:
    """C03, C19 at use: what moves or approves an asset, called outright."""
    calls = (
        ("transfer", "transfer gold", lambda w: Call(w.contracts.gold, Wei(0), TRANSFER.encode_call(w.thief, 1))),
        (
            "approve",
            "approve gold",
            lambda w: Call(w.contracts.gold, Wei(0), APPROVE.encode_call(w.thief, UINT256_MAX)),
        ),
        (
            "increase-allowance",
            "raise an allowance",
            lambda w: Call(w.contracts.gold, Wei(0), INCREASE_ALLOWANCE.encode_call(w.thief, 1)),
        ),
        (
            "transfer-from",
            "transfer an item",
            lambda w: Call(w.contracts.item, Wei(0), TRANSFER_FROM.encode_call(w.account, w.thief, w.item_id)),
        ),
        (
            "safe-transfer-from",
            "transfer an item safely",
            lambda w: Call(w.contracts.item, Wei(0), SAFE_TRANSFER_FROM.encode_call(w.account, w.thief, w.item_id)),
        ),
        (
            "approve-all",
            "approve all items",
            lambda w: Call(w.contracts.item, Wei(0), SET_APPROVAL_FOR_ALL.encode_call(w.thief, True)),
        ),
        (
            "approve-one",
            "approve one item",
            lambda w: Call(w.contracts.item, Wei(0), APPROVE.encode_call(w.thief, w.item_id)),
        ),
    )
    for slug, what, make in calls:
        yield _call_row("C03", slug, what, make)


def _approvals() -> Iterator[Row]:
    """C19: approvals to the game, from a friend, and of earlier."""
    yield _call_row(
        "C19",
        "approve-game",
        "approve gold for the game itself",
        lambda w: Call(w.contracts.gold, Wei(0), APPROVE.encode_call(w.contracts.arena, 1)),
    )
    yield _call_row(
        "C19",
        "spend-allowance",
        "use what a friend allowed the account to spend",
        lambda w: Call(w.contracts.gold, Wei(0), TRANSFER_FROM.encode_call(w.neighbour, w.thief, 1)),
    )
    yield operation_row(
        "C19",
        "rob",
        "a function of the game that takes what the player approved earlier, and is not allowed",
        NOT_ALLOWED,
        lambda w: (
            w.one(Call(w.strangers.bazaar, Wei(0), ROB.encode_call(w.account, 1)), "trade"),
            w.one(Call(w.strangers.bazaar, Wei(0), BUY.encode_call(1, 1)), "trade"),
        ),
        session="trade",
        effect={"bazaar plays": 1, "bought": 1},
        before=_approved,
        off_chain="CallPolicy",
    )


def _approved(world: World) -> tuple[Step, ...]:
    """The owner once approved the bazaar."""
    call = Call(world.contracts.gold, Wei(0), APPROVE.encode_call(world.strangers.bazaar, 5))
    return (owner_does(call),)


def _buy(world: World, *values: int) -> forgery.Attempt:
    calls = [Call(world.strangers.bazaar, Wei(value), BUY.encode_call(1, 1)) for value in values]
    return world.one(calls[0], "trade") if len(calls) == 1 else world.many(calls, "trade")


def _values() -> Iterator[Row]:
    """C06: value beyond none, beyond the cap of a call, beyond the cap of the session."""
    yield operation_row(
        "C06",
        "one-wei",
        "one wei in a session without value",
        refused("ValuePerCallExceeded"),
        lambda w: (w.one(w.play()._replace(value=Wei(1))), w.honest()),
        values=lambda w: {"call": 0, "valueWei": 1, "valuePerCallWeiMax": 0},
        off_chain="ValueLimitPolicy",
    )
    most = VALUE_PER_CALL_WEI
    paid = {"bazaar plays": 1, "bought": 1, "purse": -most, "purse:bazaar": most}
    for slug, what, value in (
        ("per-call", "one wei more than a call may carry", most + 1),
        ("all-bits", "a value with all bits set", UINT256_MAX),
        ("over-128-bits", "a value that is small in its lower 128 bits", (1 << 128) + 1),
    ):
        yield operation_row(
            "C06",
            slug,
            what,
            refused("ValuePerCallExceeded"),
            partial(lambda value, w: (_buy(w, value), _buy(w, most)), value),
            session="trade",
            effect=paid,
            values=partial(lambda value, w: {"valueWei": value, "valuePerCallWeiMax": most}, value),
            off_chain="ValueLimitPolicy",
        )
    rest = VALUE_TOTAL_WEI - 2 * most
    three = {"bazaar plays": 3, "bought": 3, "purse": -VALUE_TOTAL_WEI, "purse:bazaar": VALUE_TOTAL_WEI}
    over = {"call": 2, "lane": 0, "total": VALUE_TOTAL_WEI + 1, "limit": VALUE_TOTAL_WEI}
    yield operation_row(
        "C06",
        "total-in-batch",
        "one wei more than the session may send, by a batch",
        refused("CapExceeded"),
        lambda w: (_buy(w, most, most, rest + 1), _buy(w, most, most, rest)),
        session="trade",
        effect=three,
        values=lambda w: over,
        off_chain="ValueLimitPolicy",
    )
    yield operation_row(
        "C06",
        "total-over-time",
        "one wei more than the session may send, by a later operation",
        refused("CapExceeded"),
        lambda w: (_buy(w, rest + 1), _buy(w, rest)),
        session="trade",
        before=lambda w: (Operate(_buy(w, most, most), "trade"),),
        effect={"bazaar plays": 1, "bought": 1, "purse": -rest, "purse:bazaar": rest},
        values=lambda w: {**over, "call": 0},
        off_chain="ValueLimitPolicy",
    )


def _without_selector() -> Iterator[Row]:
    """C07: a call that reaches receive() or fallback()."""
    for length in range(4):
        yield operation_row(
            "C07",
            f"bytes-{length}",
            f"a call of {length} bytes",
            refused("SelectorMissing"),
            partial(
                lambda length, w: (
                    w.one(Call(w.contracts.arena, Wei(0), MOVE.selector[:length])),
                    w.one(Call(w.contracts.arena, Wei(0), MOVE.encode_call(0, 0))),
                ),
                length,
            ),
            values=partial(lambda length, w: {"call": 0, "dataLength": length, "dataLengthMin": 4}, length),
            off_chain="CallPolicy",
        )
    yield operation_row(
        "C07",
        "in-batch",
        "a call without a selector behind a good one",
        refused("SelectorMissing"),
        lambda w: (w.many([w.play(), Call(w.contracts.arena, Wei(0), b"")]), w.honest(2)),
        effect={"plays": 2},
        values=lambda w: {"call": 1, "dataLength": 0},
        off_chain="CallPolicy",
    )
    yield operation_row(
        "C07",
        "value",
        "value alone, to receive()",
        refused("SelectorMissing"),
        lambda w: (w.one(Call(w.strangers.bazaar, Wei(1), b""), "trade"), _buy(w, 1)),
        session="trade",
        effect={"bazaar plays": 1, "bought": 1, "purse": -1, "purse:bazaar": 1},
        off_chain="CallPolicy",
    )


def _forbidden(case: str, slug: str, what: str, make: Make) -> Row:
    """A call to a target that no session may have, in the place of an allowed one."""
    return operation_row(
        case,
        slug,
        what,
        FORBIDDEN,
        lambda w: (w.one(make(w)), w.honest()),
        values=lambda w: {"target": make(w).target},
        off_chain="CallPolicy",
    )


def _authority() -> Iterator[Row]:
    """C12: calls that would act with the account's own authority."""
    install = INSTALL_MODULE.encode_call
    yield _forbidden(
        "C12", "account", "the account itself", lambda w: Call(w.account, Wei(0), install(1, w.thief, b""))
    )
    yield _forbidden(
        "C12", "module", "the session validator", lambda w: Call(w.module, Wei(0), REVOKE_ALL_SESSIONS.encode_call())
    )
    for version in EntryPointVersion:
        address = version.canonical_address
        yield _forbidden(
            "C12",
            f"entry-point-{version.value}",
            f"EntryPoint {version.value}: withdraw the deposit",
            partial(lambda address, w: Call(address, Wei(0), WITHDRAW_TO.encode_call(w.thief, 1)), address),
        )
    yield _forbidden(
        "C12",
        "nonce",
        "the account's EntryPoint: spend nonces",
        lambda w: Call(w.where.entry_point, Wei(0), INCREMENT_NONCE.encode_call(0)),
    )
    yield _call_row(
        "C12",
        "owner-validator",
        "the owner validator",
        lambda w: Call(w.contracts.owner_validator, Wei(0), Function.parse("onUninstall(bytes)").encode_call(b"")),
    )
    yield _call_row(
        "C12", "neighbour", "another player's account", lambda w: Call(w.neighbour, Wei(0), MOVE.encode_call(1, 0))
    )
    yield operation_row(
        "C12",
        "account-in-batch",
        "the account itself, behind a good call",
        FORBIDDEN,
        lambda w: (w.many([w.play(), Call(w.account, Wei(0), install(1, w.thief, b""))]), w.honest(2)),
        effect={"plays": 2},
        off_chain="CallPolicy",
    )


def _own_powers() -> Iterator[Row]:
    """C43, C55: the module's own functions, and address 0."""
    install = INSTALL_MODULE.encode_call
    yield _forbidden(
        "C43",
        "grant",
        "grant itself a session",
        lambda w: Call(w.module, Wei(0), GRANT_SESSION.encode_call(w.sessions["play"].packed, ())),
    )
    yield _forbidden(
        "C43",
        "revoke",
        "revoke another session",
        lambda w: Call(w.module, Wei(0), REVOKE_SESSION.encode_call(w.sessions["trade"].permission)),
    )
    yield _forbidden(
        "C55",
        "zero",
        "address 0, which some accounts read as themselves",
        lambda w: Call(ZERO_ADDRESS, Wei(0), install(1, w.thief, b"")),
    )
    yield operation_row(
        "C55",
        "zero-in-batch",
        "address 0, behind a good call",
        FORBIDDEN,
        lambda w: (w.many([w.play(), Call(ZERO_ADDRESS, Wei(0), install(1, w.thief, b""))]), w.honest(2)),
        effect={"plays": 2},
        off_chain="CallPolicy",
    )
