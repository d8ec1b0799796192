"""Calldata in which one thing stands for two, or two readers would find different calls.

The calls are good ones, and each layout is one that a Solidity decoder reads: only their place is another.
"""

import random
from collections.abc import Callable, Sequence

from gamekit.eth.calldata import EXECUTE_SELECTOR, Call, execute_batch, pack_element
from gamekit.units import UINT256_MAX, Wei
from tests.proof.parity.draft import BATCH_MODES, Draft, word

Alias = Callable[[random.Random, Draft], bytes]
HUGE = (1 << 32, 1 << 64, 1 << 128, (1 << 251) + 1, 1 << 255, UINT256_MAX, UINT256_MAX - 31)


def alias(rng: random.Random, draft: Draft) -> None:
    """Lay the operation's calls out in another way."""
    draft.mode = rng.choice(BATCH_MODES)
    name = rng.choice(NAMES)
    draft.call_data = ALIASES[name](rng, draft)
    draft.show()
    draft.notes.append(name)


def frame(draft: Draft, execution: bytes, offset: int = 0x40, filler: bytes = b"") -> bytes:
    """Write `execute` around execution data, which may stand elsewhere than it should."""
    padded = execution + bytes(-len(execution) % 32)
    return EXECUTE_SELECTOR + draft.mode.value + word(offset) + filler + word(len(execution)) + padded


def array(elements: Sequence[bytes], heads: Sequence[int] | None = None, count: int | None = None) -> bytes:
    """Write a batch; heads count from the first of them."""
    if heads is None:
        heads, at = [], 32 * len(elements)
        for element in elements:
            heads.append(at)
            at += len(element)
    return word(0x20) + word(len(heads) if count is None else count) + b"".join(map(word, heads)) + b"".join(elements)


def elements_of(draft: Draft) -> list[bytes]:
    """Give each call as it stands in a canonical batch."""
    return [pack_element(*call) for call in draft.calls]


def _head_moved(rng: random.Random, draft: Draft) -> bytes:
    """The offset of the execution data leads over a filler, which may look like data of its own."""
    filler = rng.choice((bytes(32), word(0x40), rng.randbytes(32), word(64) + word(0x20) + word(0)))
    return frame(draft, array(elements_of(draft)), 0x40 + len(filler), filler)


def _two_bodies(rng: random.Random, draft: Draft) -> bytes:
    """Two executions; the offset names the second, the first stands where it should, or the other way round."""
    decoy = array([pack_element(draft.calls[0].target, 0, rng.randbytes(4))])
    good = array(elements_of(draft))
    first, second = rng.choice(((decoy, good), (good, decoy)))
    body = word(len(first)) + first
    return frame(draft, second, rng.choice((0x40 + len(body), 0x40)), body)


def _array_moved(rng: random.Random, draft: Draft) -> bytes:
    """The list does not stand right behind its offset."""
    filler = rng.choice((bytes(32), word(1), rng.randbytes(64)))
    return frame(draft, word(0x20 + len(filler)) + filler + array(elements_of(draft))[32:])


def _one_element_twice(rng: random.Random, draft: Draft) -> bytes:
    """Two heads, one call."""
    elements = elements_of(draft)
    place = rng.randrange(len(draft.calls))
    heads, at = [], 32 * (len(elements) + 1)
    for element in elements:
        heads.append(at)
        at += len(element)
    draft.calls = [*draft.calls, draft.calls[place]]
    return frame(draft, array(elements, [*heads, heads[place]]))


def _shuffled(rng: random.Random, draft: Draft) -> bytes:
    """The calls stand in another order than their heads name them."""
    if len(draft.calls) == 1:
        draft.calls = draft.calls * 2
    elements = elements_of(draft)
    order = list(range(len(elements)))
    rng.shuffle(order)
    heads, at = [0] * len(elements), 32 * len(elements)
    for place in order:
        heads[place] = at
        at += len(elements[place])
    return frame(draft, array([elements[place] for place in order], heads))


def _gap(rng: random.Random, draft: Draft) -> bytes:
    """Something that no head names stands between calls."""
    elements = elements_of(draft)
    gap = rng.choice((bytes(32), rng.randbytes(32), bytes(1), elements[0]))
    before = rng.randrange(len(elements))
    heads, at = [], 32 * len(elements)
    for place, element in enumerate(elements):
        at += len(gap) if place == before else 0
        heads.append(at)
        at += len(element)
    elements[before] = gap + elements[before]
    return frame(draft, array(elements, heads))


def _overlap(rng: random.Random, draft: Draft) -> bytes:
    """A second call stands inside the data of the first."""
    first, inner = draft.calls[0], pack_element(*draft.calls[-1])
    lead = first.data + bytes(-len(first.data) % 32)
    outer = Call(first.target, first.value, lead + inner)
    element = pack_element(*outer)
    draft.calls = [outer, draft.calls[-1]]
    return frame(draft, array([element], [64, 64 + 128 + len(lead)]))


def _shared_tail(rng: random.Random, draft: Draft) -> bytes:
    """Two calls whose data offsets lead to the same bytes."""
    call = draft.calls[0]
    tail = word(len(call.data)) + call.data + bytes(-len(call.data) % 32)
    head = bytes(12) + call.target + word(call.value)
    first = head + word(0x60 + 96) + head + word(0x60) + tail
    draft.calls = [call, call]
    return frame(draft, array([first], [64, 64 + 96]))


def _data_moved(rng: random.Random, draft: Draft) -> bytes:
    """A call's data does not stand right behind its offset."""
    elements = elements_of(draft)
    place = rng.randrange(len(elements))
    filler = rng.choice((bytes(32), rng.randbytes(32), word(4)))
    found = elements[place]
    elements[place] = found[:64] + word(0x60 + len(filler)) + filler + found[96:]
    return frame(draft, array(elements))


def _dirty_padding(rng: random.Random, draft: Draft) -> bytes:
    """What fills up a word is not zero."""
    call = draft.calls[-1]
    draft.calls[-1] = Call(call.target, call.value, call.data + bytes(-(len(call.data)) % 32) + b"\x01")
    data = bytearray(frame(draft, array(elements_of(draft))))
    data[-rng.randint(1, 31)] = rng.randint(1, 255)
    return bytes(data)


def _unpadded(rng: random.Random, draft: Draft) -> bytes:
    """The last call's data ends the execution, without its padding."""
    call = draft.calls[-1]
    spare = -len(call.data) % 32
    execution = array(elements_of(draft))
    return frame(draft, execution[: len(execution) - spare] if spare else execution[:-1])


def _huge_count(rng: random.Random, draft: Draft) -> bytes:
    count = rng.choice((*HUGE, 0, len(draft.calls) + 1, max(0, len(draft.calls) - 1), 1 << 10))
    return frame(draft, array(elements_of(draft), count=count))


def _huge_length(rng: random.Random, draft: Draft) -> bytes:
    """A length, of a call or of the execution, that only a sum modulo 2^256 or 2^64 could bring back."""
    data = bytearray(frame(draft, array(elements_of(draft))))
    place = rng.choice((68, 164 + 32 * len(draft.calls) + 96))
    found = int.from_bytes(data[place : place + 32], "big")
    data[place : place + 32] = word(found + rng.choice(HUGE))
    return bytes(data)


def _backwards(rng: random.Random, draft: Draft) -> bytes:
    """A head that leads backwards, modulo 2^256."""
    elements = elements_of(draft)
    heads = [32 * len(elements)] * len(elements)
    heads[rng.randrange(len(heads))] = UINT256_MAX + 1 - rng.choice((32, 64, 96))
    return frame(draft, array(elements, heads))


def _upper_bits(rng: random.Random, draft: Draft) -> bytes:
    """A target with something in the 12 bytes before the address."""
    elements = elements_of(draft)
    place = rng.randrange(len(elements))
    dirty = bytearray(elements[place])
    dirty[rng.choice((0, 11, rng.randrange(12)))] = rng.choice((1, 0x80, 0xFF))
    elements[place] = bytes(dirty)
    return frame(draft, array(elements))


def _nested(rng: random.Random, draft: Draft) -> bytes:
    """A call whose data is itself calldata of `execute`; what it means inside is the game's business."""
    call = draft.calls[0]
    inner = execute_batch(draft.mode, [call])
    draft.calls[0] = Call(call.target, Wei(call.value), call.data + inner)
    return frame(draft, array(elements_of(draft)))


ALIASES: dict[str, Alias] = {
    "the execution moved": _head_moved,
    "two executions": _two_bodies,
    "the list moved": _array_moved,
    "one call named twice": _one_element_twice,
    "calls in another order": _shuffled,
    "a gap between calls": _gap,
    "a call inside another": _overlap,
    "data that two calls share": _shared_tail,
    "a call's data moved": _data_moved,
    "padding that is not zero": _dirty_padding,
    "no padding at the end": _unpadded,
    "another count": _huge_count,
    "another length": _huge_length,
    "a head that leads backwards": _backwards,
    "a target with upper bits": _upper_bits,
    "an operation inside a call": _nested,
}
NAMES = tuple(ALIASES)
