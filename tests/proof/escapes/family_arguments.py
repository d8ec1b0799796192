"""Arguments of allowed calls: rules, pinned beneficiaries, dirty bits, missing words, sums."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from gamekit.core.policy import Condition
from gamekit.demo.forgery import Attempt
from gamekit.eth.calldata import Call
from gamekit.units import UINT256_MAX, Wei
from tests.proof.escapes.make import operation_row, refused
from tests.proof.escapes.model import Operate, Row
from tests.proof.escapes.sessions import (
    ACT,
    ACT_NUMBER,
    ACT_TAG,
    ATTACK,
    CLAIM_LOOT,
    CRAFT,
    CRAFT_TOTAL,
    STRENGTH_MAX,
)
from tests.proof.escapes.world import World

REFUSED: Final = refused("ArgumentRefused")
MISSING: Final = refused("ArgumentMissing")
CAP: Final = refused("CapExceeded")


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _beneficiaries()
    yield from _words()
    yield from _missing()
    yield from _sums()


def _claim(world: World, word: int) -> Attempt:
    """Claim loot, won just before, for whoever the word says."""
    fight = Call(world.contracts.arena, Wei(0), ATTACK.encode_call(1, 1))
    claim = Call(world.contracts.arena, Wei(0), CLAIM_LOOT.selector + word.to_bytes(32, "big"))
    return world.many([fight, claim])


def _number(address: bytes) -> int:
    return int.from_bytes(address, "big")


def _beneficiaries() -> Iterator[Row]:
    """C05, C25: what a player wins goes to the player's own account, the whole word."""
    words = (
        ("C05", "beneficiary", "loot for the thief", lambda w: _number(w.thief)),
        ("C05", "beneficiary-neighbour", "loot for another player", lambda w: _number(w.neighbour)),
        ("C05", "beneficiary-zero", "loot for address 0", lambda w: 0),
        ("C25", "address", "the account with a dirty upper bit", lambda w: _number(w.account) | 1 << 160),
        ("C25", "address-top", "the account with the top bit set", lambda w: _number(w.account) | 1 << 255),
        ("C25", "address-left", "the account in the upper bytes of the word", lambda w: _number(w.account) << 96),
    )
    for case, slug, what, word in words:
        yield operation_row(
            case,
            slug,
            what,
            REFUSED,
            partial(lambda word, w: (_claim(w, word(w)), _claim(w, _number(w.account))), word),
            effect={"plays": 2, "gold": 10**18},
            values=partial(
                lambda word, w: {
                    "call": 1,
                    "argument": 0,
                    "condition": int(Condition.PINNED_TO_ACCOUNT),
                    "found": word(w),
                },
                word,
            ),
            off_chain="CallPolicy",
        )


def _act(world: World, **words: int) -> Attempt:
    """Call `act`, whose four arguments all have rules, with some words changed."""
    written = {"number": ACT_NUMBER[0], "who": 1, "flag": 1, "tag": ACT_TAG} | words
    data = ACT.selector + b"".join(each.to_bytes(32, "big") for each in written.values())
    return world.one(Call(world.strangers.bazaar, Wei(0), data), "trade")


def _attack(world: World, strength: int) -> Attempt:
    data = ATTACK.selector + (1).to_bytes(32, "big") + strength.to_bytes(32, "big")
    return world.one(Call(world.contracts.arena, Wei(0), data))


def _act_row(
    case: str,
    slug: str,
    what: str,
    words: Mapping[str, int],
    argument: int,
    condition: Condition,
    twin: Mapping[str, int],
) -> Row:
    (found,) = words.values()
    return operation_row(
        case,
        slug,
        what,
        REFUSED,
        lambda w: (_act(w, **words), _act(w, **twin)),
        session="trade",
        effect={"bazaar plays": 1},
        values=lambda _: {"argument": argument, "condition": int(condition), "found": found},
        off_chain="CallPolicy",
    )


def _words() -> Iterator[Row]:
    """C25, C27: dirty words, and rules of which each must hold."""
    yield _act_row("C25", "bool", "a bool of 2", {"flag": 2}, 2, Condition.AT_MOST, {"flag": 0})
    yield _act_row("C25", "bool-high", "a bool with a high bit", {"flag": 1 << 8 | 1}, 2, Condition.AT_MOST, {})
    yield _act_row("C25", "bytes4", "a bytes4 with dirty lower bytes", {"tag": ACT_TAG | 1}, 3, Condition.EQUAL, {})
    low, high = ACT_NUMBER
    for slug, what, value in (
        ("between", "a number between two of a set", low + 1),
        ("below", "a number below the set", low - 1),
        ("above", "a number above the set", high + 1),
        ("dirty", "a number of the set with a high bit", low | 1 << 128),
    ):
        yield _act_row("C27", f"one-of-{slug}", what, {"number": value}, 0, Condition.ONE_OF, {"number": high})
    yield _act_row("C27", "not-equal", "the one number that is refused", {"who": 0}, 1, Condition.NOT_EQUAL, {"who": 2})
    yield _act_row("C27", "equal", "the last of four rules", {"tag": 0}, 3, Condition.EQUAL, {})
    for case, slug, what, value in (
        ("C27", "at-most", "one more than the most", STRENGTH_MAX + 1),
        ("C25", "uint16", "a uint16 with a dirty upper bit", 1 << 16 | 1),
        ("C25", "negative", "a number that is -1 to some", UINT256_MAX),
    ):
        yield operation_row(
            case,
            slug,
            what,
            REFUSED,
            partial(lambda value, w: (_attack(w, value), _attack(w, STRENGTH_MAX)), value),
            values=partial(
                lambda value, _: {
                    "call": 0,
                    "argument": 1,
                    "condition": int(Condition.AT_MOST),
                    "found": value,
                    "ruleValue": STRENGTH_MAX,
                },
                value,
            ),
            off_chain="CallPolicy",
        )


def _missing() -> Iterator[Row]:
    """C24: a rule's word must be there whole; a decoder would read zeros behind the end, or another's bytes."""
    for slug, what, length in (
        ("none", "no argument at all", 4),
        ("cut-word", "the argument of a rule cut off", 36),
        ("cut-byte", "the argument of a rule without its last byte", 67),
    ):
        data = ATTACK.encode_call(1, 1)
        yield operation_row(
            "C24",
            slug,
            what,
            MISSING,
            partial(
                lambda data, length, w: (
                    w.one(Call(w.contracts.arena, Wei(0), data[:length])),
                    w.one(Call(w.contracts.arena, Wei(0), data)),
                ),
                data,
                length,
            ),
            values=partial(lambda length, _: {"call": 0, "argument": 1, "dataLength": length}, length),
            off_chain="CallPolicy",
        )


def _craft(world: World, *amounts: int) -> Attempt:
    calls = [
        Call(world.contracts.arena, Wei(0), CRAFT.selector + (1).to_bytes(32, "big") + amount.to_bytes(32, "big"))
        for amount in amounts
    ]
    return world.one(calls[0]) if len(calls) == 1 else world.many(calls)


def _sums() -> Iterator[Row]:
    """C28: the sum of an argument, in one call, in a batch, over time."""
    most = CRAFT_TOTAL
    for slug, what, amounts, twin, total in (
        ("sum-one", "one more than the sum may be, at once", (most + 1,), (most,), most + 1),
        ("sum-batch", "one more than the sum may be, by a batch", (most, 1), (most - 1, 1), most + 1),
        ("sum-128-bits", "an amount of 2^128, which would not fit the sum", (1 << 128,), (1,), 1 << 128),
        ("sum-all-bits", "an amount that makes the sum wrap around", (2, UINT256_MAX), (2, 1), UINT256_MAX),
    ):
        yield operation_row(
            "C28",
            slug,
            what,
            CAP,
            partial(lambda amounts, twin, w: (_craft(w, *amounts), _craft(w, *twin)), amounts, twin),
            effect={"plays": len(twin)},
            values=partial(
                lambda total, calls, _: {
                    "call": calls - 1,
                    "lane": 1,
                    "total": total,
                    "limit": most,
                },
                total,
                len(amounts),
            ),
            off_chain="SpendingLimitPolicy",
        )
    yield operation_row(
        "C28",
        "sum-over-time",
        "one more than the sum may be, by a later operation",
        CAP,
        lambda w: (_craft(w, 3), _craft(w, 2)),
        before=lambda w: (Operate(_craft(w, most - 2)),),
        values=lambda _: {"total": most + 1, "limit": most},
        off_chain="SpendingLimitPolicy",
    )
