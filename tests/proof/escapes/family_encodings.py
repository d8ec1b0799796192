"""Calldata that two decoders could read differently, and what a batch may hold."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.demo import forgery
from gamekit.demo.escapes import TRANSFER
from gamekit.demo.forgery import Attempt, with_word
from gamekit.eth.calldata import Call
from gamekit.units import UINT256_MAX, Wei
from tests.proof.escapes.make import Pair, operation_row, refused
from tests.proof.escapes.model import Expected, Row
from tests.proof.escapes.sessions import CALLS_MAX
from tests.proof.escapes.world import World

CANONICAL: Final = refused("CallDataNotCanonical")
CALLS: Final = refused("CallsOutOfRange")

# Where the words of `execute` with a batch of two calls of `move` stand.
HEAD, LENGTH, EXECUTION = 36, 68, 100
COUNT, HEADS, FIRST = 132, 164, 228
ELEMENT = 224
SECOND = FIRST + ELEMENT
SIZE = SECOND + ELEMENT


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _bad_calls()
    yield from _head_aliases()
    yield from _batch_words()
    yield from _batch_bytes()
    yield from _lengths()


def _bad_calls() -> Iterator[Row]:
    """C11: one bad call at each place, too many calls, none."""

    def with_theft(world: World, place: int) -> Attempt:
        calls = [world.play(each + 1) for each in range(5)]
        calls[place] = Call(world.contracts.gold, Wei(0), TRANSFER.encode_call(world.thief, 1))
        return world.many(calls)

    for place in range(5):
        yield operation_row(
            "C11",
            f"bad-{place}",
            f"a theft as call {place} of five",
            refused("CallNotAllowed"),
            partial(lambda place, w: (with_theft(w, place), w.honest(5)), place),
            effect={"plays": 5},
            values=partial(
                lambda place, w: {"call": place, "target": w.contracts.gold, "selector": TRANSFER.selector}, place
            ),
            off_chain="CallPolicy",
        )
    yield operation_row(
        "C11",
        "empty",
        "an empty batch",
        CALLS,
        lambda w: (_empty(w), w.many([w.play()])),
        values=lambda _: {"calls": 0},
        off_chain="calldata",
    )
    yield operation_row(
        "C11",
        "one-too-many",
        "one call more than an operation may have",
        CALLS,
        lambda w: (w.honest(CALLS_MAX + 1), w.honest(CALLS_MAX)),
        effect={"plays": CALLS_MAX},
        values=lambda _: {"calls": CALLS_MAX + 1, "callsMax": CALLS_MAX},
        off_chain="CallPolicy",
    )
    yield operation_row(
        "C11",
        "sixty-five",
        "65 calls, in a session that has the most there can be",
        CALLS,
        lambda w: (_full(w, 65), _full(w, 64)),
        session="full",
        effect={"plays": 64},
        values=lambda _: {"calls": 65, "callsMax": 64},
        off_chain="CallPolicy",
    )
    for slug, what, count in (
        ("count-huge", "a count of 2^255", 1 << 255),
        ("count-over-words", "a count of one more than there are words", (SIZE - EXECUTION) // 32 + 1),
    ):
        yield _word_row(
            "C11", slug, what, {COUNT: count}, {"calls": count, "callsMax": (SIZE - EXECUTION) // 32}, CALLS
        )


def _full(world: World, count: int) -> Attempt:
    return world.many([world.play(each + 1) for each in range(count)], "full")


def _empty(world: World) -> Attempt:
    data = forgery.batch([world.play()])[:COUNT] + bytes(32)
    return Attempt(call_data=with_word(data, LENGTH, 64), hints=b"")


def _theft(world: World) -> Call:
    return Call(world.contracts.gold, Wei(0), TRANSFER.encode_call(world.thief, 1))


def _alias_row(
    slug: str,
    what: str,
    make: Callable[[World], tuple[bytes, bytes]],
    found: Callable[[World], int] | int,
    calls: int = 1,
) -> Row:
    """A head that points elsewhere: `make` gives the calldata of escape and twin, `found` is the offset."""

    def pair(world: World) -> Pair:
        escape, twin = make(world)
        hints = world.honest().hints * calls
        return Attempt(call_data=escape, hints=hints), Attempt(call_data=twin, hints=hints)

    return operation_row(
        "C22",
        slug,
        what,
        CANONICAL,
        pair,
        effect={"plays": calls},
        values=lambda w: {
            "position": HEAD,
            "found": found if isinstance(found, int) else found(w),
            "expected": 0x40,
        },
        off_chain="calldata",
    )


def _head_aliases() -> Iterator[Row]:
    """C22: the head's offset points elsewhere than at the one place where the execution may stand."""
    single, batch = forgery.single, forgery.batch

    def behind(world: World) -> tuple[bytes, bytes]:
        honest = single(world.play())
        return forgery.with_aliased_head(honest, single(_theft(world))), honest

    yield _alias_row(
        "behind", "a second execution behind the first, a theft", behind, lambda w: len(single(w.play())) - 4
    )

    def batch_behind(world: World) -> tuple[bytes, bytes]:
        honest = batch([world.play(), world.play()])
        return forgery.with_aliased_head(honest, batch([_theft(world)])), honest

    yield _alias_row("batch-behind", "a second batch behind the first, a theft", batch_behind, SIZE - 4, 2)
    yield _alias_row("inside", "a theft inside an allowed call's own data", lambda w: _inside(w, is_batch=False), 244)
    yield _alias_row(
        "batch-inside",
        "a batch with a theft inside an allowed call's own data",
        lambda w: _inside(w, is_batch=True),
        0x40 + 32 + 64 + 32 + 128 + 96,
    )
    for slug, what, offset in (
        ("itself", "the offset is where the length is read", 0x20),
        ("zero", "the offset is 0: the mode is the length", 0),
        ("gap", "the offset is one word further", 0x60),
        ("unaligned", "the offset is one byte further", 0x41),
        ("over-64-bits", "an offset that is 0x40 in its lower 64 bits", 0x40 + (1 << 64)),
        ("over-32-bits", "an offset that is 0x40 in its lower 32 bits", 0x40 + (1 << 32)),
        ("top-bit", "an offset with the top bit set", 0x40 + (1 << 255)),
        ("wrap", "an offset that wraps around", UINT256_MAX - 0x1F),
    ):
        yield _alias_row(
            slug,
            what,
            partial(lambda offset, w: (with_word(single(w.play()), HEAD, offset), single(w.play())), offset),
            offset,
        )


def _inside(world: World, *, is_batch: bool) -> tuple[bytes, bytes]:
    """Hide an execution in the data of an allowed call, and let the offset point at it.

    A call's data may be longer than its function's arguments: the module does not know them, and the game ignores it.
    """
    write = forgery.batch if is_batch else (lambda calls: forgery.single(calls[0]))
    hidden = write([_theft(world)])[LENGTH:]
    padding = bytes(28)
    call = world.play()._replace(data=world.play().data + padding + hidden)
    honest = write([call])
    offset = honest.index(hidden, LENGTH + 32) - 4
    return with_word(honest, HEAD, offset), honest


def _word_row(
    case: str,
    slug: str,
    what: str,
    words: Mapping[int, int],
    values: Mapping[str, object],
    expected: Expected = CANONICAL,
    hints: int = 2,
) -> Row:
    """A batch of two with some words changed."""

    def pair(world: World) -> Pair:
        twin = world.honest(2)
        data = twin.call_data
        for at, value in words.items():
            data = with_word(data, at, value)
        return Attempt(call_data=data, hints=twin.hints[:1] * hints), twin

    return operation_row(
        case,
        slug,
        what,
        expected,
        pair,
        effect={"plays": 2},
        values=lambda _: values,
        off_chain="calldata",
    )


def _at(position: int, found: int, expected: int) -> dict[str, object]:
    """What the error says: where, and what stands for what."""
    return {"position": position, "found": found, "expected": expected}


def _batch_words() -> Iterator[Row]:
    """C23: heads and elements of a batch."""
    at, second = _at, 64 + ELEMENT
    for slug, what, words, values in (
        ("array-offset", "the list's offset is one word further", {EXECUTION: 0x40}, at(EXECUTION, 0x40, 0x20)),
        (
            "array-offset-wrap",
            "the list's offset wraps around",
            {EXECUTION: UINT256_MAX - 31},
            at(EXECUTION, UINT256_MAX - 31, 0x20),
        ),
        ("same-element", "the second element is the first again", {HEADS + 32: 64}, at(HEADS + 32, 64, second)),
        ("swapped", "the two elements are swapped", {HEADS: second, HEADS + 32: 64}, at(HEADS, second, 64)),
        ("overlapping", "the second element begins inside the first", {HEADS + 32: 96}, at(HEADS + 32, 96, second)),
        ("element-in-heads", "an element begins among the heads", {HEADS: 0}, at(HEADS, 0, 64)),
        ("element-beyond", "an element is beyond the end", {HEADS + 32: 1 << 255}, at(HEADS + 32, 1 << 255, second)),
        (
            "element-over-64-bits",
            "an offset that is right in its lower 64 bits",
            {HEADS + 32: second + (1 << 64)},
            at(HEADS + 32, second + (1 << 64), second),
        ),
        ("data-offset", "an element's data is one word further", {FIRST + 64: 0x80}, at(FIRST + 64, 0x80, 0x60)),
        ("data-offset-back", "an element's data is its own value", {FIRST + 64: 0x20}, at(FIRST + 64, 0x20, 0x60)),
        (
            "data-length-huge",
            "an element's data is longer than everything",
            {FIRST + 96: 1 << 255},
            at(FIRST + 128, 1 << 255, SIZE - FIRST - 128),
        ),
        (
            "data-length-wrap",
            "an element's length wraps around when rounded up",
            {FIRST + 96: UINT256_MAX},
            at(FIRST + 128, UINT256_MAX, SIZE - FIRST - 128),
        ),
    ):
        yield _word_row("C23", slug, what, words, values)
    yield _word_row("C23", "count-more", "a count of one more", {COUNT: 3}, at(HEADS, 64, 96), hints=3)
    yield _word_row("C23", "count-less", "a count of one less", {COUNT: 1}, at(HEADS, 64, 32), hints=1)


def _batch_bytes() -> Iterator[Row]:
    """C23: bytes of elements, and between them."""
    at, second = _at, 64 + ELEMENT
    yield _changed_row(
        "target-dirty",
        "the upper bits of a target in a batch",
        lambda data: data[: FIRST + 11] + b"\x01" + data[FIRST + 12 :],
        lambda w: {"position": FIRST, "expected": int.from_bytes(w.contracts.arena, "big")},
    )
    yield _changed_row(
        "padding-of-element",
        "the padding of an element is not zero",
        lambda data: data[: FIRST + 128 + 95] + b"\x01" + data[FIRST + 128 + 96 :],
        lambda _: at(FIRST + 128 + 68, 1, 0),
    )
    yield _changed_row(
        "data-over-next",
        "an element's data reaches into the next",
        lambda data: with_word(data[: FIRST + 96], FIRST + 64, 0x60) + (128).to_bytes(32, "big") + data[FIRST + 128 :],
        lambda _: at(HEADS + 32, second, second + 32),
    )
    yield _changed_row(
        "gap",
        "a gap between two elements",
        lambda data: with_word(
            with_word(data[:SECOND] + bytes(32) + data[SECOND:], HEADS + 32, second + 32), LENGTH, SIZE - EXECUTION + 32
        ),
        lambda _: at(HEADS + 32, second + 32, second),
    )


def _changed_row(
    slug: str, what: str, change: Callable[[bytes], bytes], values: Callable[[World], Mapping[str, object]]
) -> Row:
    """A batch of two with its bytes changed."""
    return operation_row(
        "C23",
        slug,
        what,
        CANONICAL,
        lambda w: (replace(w.honest(2), call_data=change(w.honest(2).call_data)), w.honest(2)),
        effect={"plays": 2},
        values=values,
        off_chain="calldata",
    )


def _lengths() -> Iterator[Row]:
    """C23: the length of the execution, and what stands behind it."""
    body = SIZE - EXECUTION

    def at(position: int, found: int, expected: int) -> Callable[[World], Mapping[str, object]]:
        return lambda _: {"position": position, "found": found, "expected": expected}

    yield _changed_row(
        "behind-word", "a word behind the execution", lambda data: data + bytes(32), at(LENGTH, SIZE, SIZE + 32)
    )
    yield _changed_row(
        "behind-byte", "a byte behind the execution", lambda data: data + b"\x00", at(LENGTH, SIZE, SIZE + 1)
    )
    yield _changed_row("cut-word", "the last word is cut off", lambda data: data[:-32], at(LENGTH, body, body - 32))
    yield _changed_row("cut-byte", "the last byte is cut off", lambda data: data[:-1], at(LENGTH, body, body - 1))
    for slug, what, length, values in (
        ("length-short-word", "a length of one word less", body - 32, at(LENGTH, SIZE - 32, SIZE)),
        ("length-short-byte", "a length of one byte less", body - 1, at(SECOND + 128, 96, 95)),
        ("length-long-byte", "a length of one byte more", body + 1, at(LENGTH, body + 1, body)),
        ("length-64-bits", "a length of 2^64", 1 << 64, at(LENGTH, 1 << 64, body)),
        ("length-wrap", "a length that wraps around when rounded up", UINT256_MAX, at(LENGTH, UINT256_MAX, body)),
    ):
        yield _changed_row(slug, what, partial(lambda length, data: with_word(data, LENGTH, length), length), values)
    yield _changed_row(
        "inside-word",
        "a word behind the last element, inside the execution",
        lambda data: with_word(data, LENGTH, body + 32) + bytes(32),
        at(SIZE, SIZE, SIZE + 32),
    )
    yield _changed_row(
        "inside-byte",
        "a byte behind the last element, inside the execution",
        lambda data: with_word(data, LENGTH, body + 1) + bytes(32),
        at(SIZE, SIZE, SIZE + 1),
    )
    yield operation_row(
        "C23",
        "padding",
        "the padding of the execution is not zero",
        CANONICAL,
        lambda w: (replace(w.honest(), call_data=w.honest().call_data[:-1] + b"\x01"), w.honest()),
        values=lambda _: {"position": 220, "found": 1, "expected": 0},
        off_chain="calldata",
    )
    yield operation_row(
        "C23",
        "single-short",
        "a single call without its value",
        CANONICAL,
        lambda w: (replace(w.honest(), call_data=_short(w)), w.honest()),
        values=lambda _: {"position": EXECUTION, "found": 52, "expected": 51},
        off_chain="calldata",
    )


def _short(world: World) -> bytes:
    """A single call of 51 bytes: its target, and all but one byte of its value."""
    return with_word(world.honest().call_data[: EXECUTION + 51] + bytes(13), LENGTH, 51)
