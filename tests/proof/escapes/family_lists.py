"""Long lists: a signature shows the root and, for each entry that the operation uses, a leaf with its path."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.core.policy import Condition
from gamekit.demo.escapes import TRANSFER
from gamekit.demo.forgery import Attempt, Change
from gamekit.eth.calldata import Call
from gamekit.eth.hashing import selector
from gamekit.eth.scope_form import ENTRY_LENGTH, MERKLE_LENGTH, RULE_LENGTH, ScopeForm
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Wei
from tests.proof.escapes.family_bindings import HINTS, NOT_LIVE
from tests.proof.escapes.family_grants import refused_grant
from tests.proof.escapes.grants import Grant, fresh, grant
from tests.proof.escapes.make import operation_row, refused, trial_row
from tests.proof.escapes.model import Expected, Row, Trial
from tests.proof.escapes.sessions import BUY, STRENGTH_MAX, Asked, long_list
from tests.proof.escapes.world import World

NOT_ALLOWED: Final = refused("CallNotAllowed")
WITNESS: Final = refused("WitnessInvalid")
PLAYED: Final = {"bazaar plays": 1}
BOUGHT: Final = {"bazaar plays": 1, "bought": 1}
SCOPE: Final = HINTS + 1
"""Where the signed form begins in the envelope of an operation with one call."""
WITNESSES: Final = SCOPE + MERKLE_LENGTH


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _witnesses()
    yield from _ends()
    yield from _rules()
    yield from _batches()
    yield from _grants()


def _deed(world: World, number: int) -> Call:
    data = selector(f"deed{number}(uint256)") + bytes(32)
    return Call(world.strangers.bazaar, Wei(0), data)


def _buy(world: World, amount: int) -> Call:
    return Call(world.strangers.bazaar, Wei(0), BUY.encode_call(1, amount))


def _one(world: World, call: Call, change: Change | None = None) -> Attempt:
    return world.one(call, "long", after_signing=change)


def _form(world: World) -> ScopeForm:
    return ScopeForm(world.sessions["long"].packed)


def _place(world: World, call: Call) -> int:
    return world.sessions["long"].hint(call.target, call.data)


def _with_witness(change: Callable[[bytes], bytes]) -> Change:
    """Change what stands behind the scope; the key does not sign it."""
    return lambda op: replace(op, signature=op.signature[:WITNESSES] + change(op.signature[WITNESSES:]))


def _row(
    slug: str,
    what: str,
    expected: Expected,
    change: Callable[[World], Change],
    values: dict[str, object] | None = None,
) -> Row:
    """An operation whose witness was changed."""
    return operation_row(
        "C02",
        f"long-{slug}",
        f"a long list: {what}",
        expected,
        lambda w: (_one(w, _deed(w, 3), change(w)), _one(w, _deed(w, 3))),
        session="long",
        effect=PLAYED,
        values=lambda _: values or {},
    )


def _theft(world: World) -> Call:
    return Call(world.contracts.gold, Wei(0), TRANSFER.encode_call(world.thief, 1))


def _made_up(world: World) -> Change:
    leaf = world.contracts.gold + TRANSFER.selector + bytes(8)
    return _with_witness(lambda witness: leaf + witness[ENTRY_LENGTH:])


def _flipped(place: int) -> Callable[[World], Change]:
    def change(witness: bytes) -> bytes:
        at = place % len(witness)
        return witness[:at] + bytes((witness[at] ^ 1,)) + witness[at + 1 :]

    return lambda _: _with_witness(change)


def _shorter(witness: bytes) -> bytes:
    """A path without its last step."""
    depth = witness[ENTRY_LENGTH]
    return witness[:ENTRY_LENGTH] + bytes((depth - 1,)) + witness[ENTRY_LENGTH + 1 : -32]


def _longer(witness: bytes) -> bytes:
    """A path with one step more."""
    depth = witness[ENTRY_LENGTH]
    return witness[:ENTRY_LENGTH] + bytes((depth + 1,)) + witness[ENTRY_LENGTH + 1 :] + bytes(32)


def _witnesses() -> Iterator[Row]:
    """C02: a leaf that is none of the list's, or not the call's."""
    other: Callable[[World], Change] = lambda w: _with_witness(  # noqa: E731
        lambda _: _form(w).witness(_place(w, _deed(w, 4)))
    )
    yield _row("other-leaf", "the leaf of another function", NOT_ALLOWED, other, {"call": 0})
    yield operation_row(
        "C02",
        "long-made-up",
        "a long list: a transfer of gold, with a leaf that says so",
        WITNESS,
        lambda w: (_one(w, _theft(w), _made_up(w)), _one(w, _deed(w, 3))),
        session="long",
        effect=PLAYED,
        values=lambda _: {"call": 0},
        off_chain="CallPolicy",
    )
    yield _row("leaf-bit", "a flipped bit of the leaf's selector", WITNESS, _flipped(23))
    yield _row("sibling-bit", "a flipped bit of the last sibling", WITNESS, _flipped(-1))
    yield _row("path-short", "a path without its last step", WITNESS, lambda _: _with_witness(_shorter))
    yield _row("path-long", "a path with one step more", WITNESS, lambda _: _with_witness(_longer))
    yield _row(
        "root-only", "no path at all", WITNESS, lambda _: _with_witness(lambda each: each[:ENTRY_LENGTH] + b"\x00")
    )
    yield operation_row(
        "C02",
        "long-root",
        "a long list: another root",
        NOT_LIVE,
        lambda w: (_one(w, _deed(w, 3), _with_root), _one(w, _deed(w, 3))),
        session="long",
        effect=PLAYED,
        values=lambda _: {"state": 0},
    )
    yield operation_row(
        "C02",
        "long-stranger",
        "a long list: a function that is not on it, with the leaf of one that is",
        NOT_ALLOWED,
        lambda w: (_one(w, Call(w.strangers.bazaar, Wei(0), b"\x12\x34\x56\x78")), _one(w, _deed(w, 0))),
        session="long",
        effect=PLAYED,
        off_chain="CallPolicy",
    )


def _with_root(op: UserOperation) -> UserOperation:
    at = SCOPE + MERKLE_LENGTH - 32
    return replace(op, signature=op.signature[:at] + b"\x11" * 32 + op.signature[at + 32 :])


def _ends() -> Iterator[Row]:
    """C02, C36: nothing stands behind the last witness, and none is missing."""
    short, long = refused("SignatureTooShort"), refused("SignatureTooLong")
    yield _row("missing", "no witness", short, lambda _: _with_witness(lambda _: b""))
    yield _row("cut", "a witness without its last byte", short, lambda _: _with_witness(lambda each: each[:-1]))
    yield _row("cut-leaf", "half a leaf", short, lambda _: _with_witness(lambda each: each[:16]))
    yield _row(
        "behind", "a byte behind the witness", long, lambda _: _with_witness(lambda each: each + b"\x00"), {"excess": 1}
    )
    yield _row("twice", "the witness twice", long, lambda _: _with_witness(lambda each: each * 2))
    yield _row(
        "hint",
        "a hint at the second of one witness",
        refused("HintOutOfRange"),
        lambda _: lambda op: replace(op, signature=op.signature[:HINTS] + b"\x02" + op.signature[SCOPE:]),
        {"call": 0, "hint": 2, "entryCount": 0},
    )


def _without_rule(witness: bytes) -> bytes:
    """The leaf of `buy` without its rule."""
    return witness[:25] + b"\x00" + witness[26:ENTRY_LENGTH] + witness[ENTRY_LENGTH + RULE_LENGTH :]


def _wider_rule(witness: bytes) -> bytes:
    end = ENTRY_LENGTH + RULE_LENGTH
    return witness[: end - 32] + (1 << 255).to_bytes(32, "big") + witness[end:]


def _rules() -> Iterator[Row]:
    """C26, C27: a leaf's rules are part of it."""
    for slug, what, change in (
        ("rule-dropped", "a leaf without its rule", _without_rule),
        ("rule-wider", "a leaf with a wider rule", _wider_rule),
    ):
        yield operation_row(
            "C26",
            f"long-{slug}",
            f"a long list: {what}",
            WITNESS,
            partial(
                lambda change, w: (
                    _one(w, _buy(w, STRENGTH_MAX), _with_witness(change)),
                    _one(w, _buy(w, STRENGTH_MAX)),
                ),
                change,
            ),
            session="long",
            effect=BOUGHT | {"bought": STRENGTH_MAX},
        )
    yield operation_row(
        "C27",
        "long-rule",
        "a long list: one more than a leaf's rule admits",
        refused("ArgumentRefused"),
        lambda w: (_one(w, _buy(w, STRENGTH_MAX + 1)), _one(w, _buy(w, STRENGTH_MAX))),
        session="long",
        effect=BOUGHT | {"bought": STRENGTH_MAX},
        values=lambda _: {
            "argument": 1,
            "condition": int(Condition.AT_MOST),
            "found": STRENGTH_MAX + 1,
            "ruleValue": STRENGTH_MAX,
        },
        off_chain="CallPolicy",
    )


def _batches() -> Iterator[Row]:
    """C11: in a batch, each call needs the leaf of its own function."""

    def pair(world: World) -> tuple[Attempt, Attempt]:
        twin = world.many([_deed(world, 3), _deed(world, 5)], "long")
        form = _form(world)
        first = form.witness(_place(world, _deed(world, 3)))

        def change(op: UserOperation) -> UserOperation:
            scope_at = HINTS + 2
            scope = op.signature[scope_at : scope_at + MERKLE_LENGTH]
            return replace(op, signature=op.signature[:HINTS] + b"\x00\x00" + scope + first)

        return replace(twin, after_signing=change), twin

    yield operation_row(
        "C11",
        "long-shared-leaf",
        "a long list: two functions by one leaf",
        NOT_ALLOWED,
        pair,
        session="long",
        effect={"bazaar plays": 2},
        values=lambda _: {"call": 1},
    )


def _grants() -> Iterator[Row]:
    """C03, C27: a long list is granted whole, and every entry of it is looked at."""

    def honest(world: World) -> Grant:
        return fresh(world, Asked(long_list(world.strangers.bazaar)))

    def changed(world: World, change: Callable[[bytes], bytes]) -> Grant:
        made = honest(world)
        return replace(made, scope=made.scope[:192] + change(made.scope[192:]))

    def row(case: str, slug: str, what: str, error: str, escape: Callable[[World], Grant]) -> Row:
        return trial_row(
            case,
            f"grant-long-{slug}",
            f"granted: a long list {what}",
            refused_grant(error),
            lambda w: Trial(escape=grant(escape), twin=grant(honest), effect={}),
        )

    yield row("C27", "swapped", "that does not ascend", "EntriesNotAscending", lambda w: _swapped(honest(w)))
    yield row(
        "C26", "cut", "cut off within an entry", "ScopeLengthMismatch", lambda w: changed(w, lambda each: each[:-1])
    )
    yield row("C26", "root", "as a root, which nobody can look into", "ScopeLengthMismatch", _as_root)
    yield row(
        "C03",
        "denied",
        "with a function of the deny list among it",
        "SelectorDenied",
        lambda w: _with_denied(honest(w)),
    )


def _swapped(made: Grant) -> Grant:
    """The first two entries, neither of which has rules, in the other order."""
    one, other = made.scope[192:224], made.scope[224:256]
    functions = [made.functions[1], made.functions[0], *made.functions[2:]]
    return replace(made, scope=made.scope[:192] + other + one + made.scope[256:], functions=functions)


def _as_root(world: World) -> Grant:
    made = fresh(world, Asked(long_list(world.strangers.bazaar)))
    return replace(made, scope=ScopeForm(made.scope).signed, functions=())


def _with_denied(made: Grant) -> Grant:
    """The first entry's function is one whose selector stands before all others."""
    text = "addStake(uint32)"
    scope = made.scope[:212] + selector(text) + made.scope[216:]
    return replace(made, scope=scope, functions=[text, *made.functions[1:]])
