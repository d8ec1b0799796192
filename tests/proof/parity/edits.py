"""Damage to bytes, mostly where offsets, lengths, modes, selectors and addresses stand; and cuts.

The calldata is damaged before it is sealed: whoever holds the key signs what he likes.
"""

import random

from gamekit.core.policy import CALLS_MAX_LIMIT
from gamekit.units import UINT256_MAX
from tests.proof.parity.draft import BATCH_MODES, Draft, word

MODE, OFFSET, LENGTH, EXECUTION = 4, 36, 68, 100
ODD_WORDS = (
    0, 1, 2, 0x20, 0x40, 0x60, 0x80, 0xA0, 255, 1 << 16, 1 << 32, 1 << 64, 1 << 128, 1 << 160, 1 << 255,
    UINT256_MAX, UINT256_MAX - 31, UINT256_MAX - 63,
)  # fmt: skip
STEPS = (1, -1, 31, -31, 32, -32, 64, -64, 1 << 64, 1 << 160, 1 << 255)
ODD_MODES = (
    b"\xff" + bytes(31), b"\xfe" + bytes(31), b"\x00\x02" + bytes(30), b"\x01\x01" + bytes(29) + b"\x01",
    b"\x01\x00\x00\x00\x00\x00\x01" + bytes(25), b"\x00" * 6 + b"\x76\x9d\x1c\x2b" + bytes(22), b"\x02" + bytes(31),
)  # fmt: skip


def edit(rng: random.Random, draft: Draft) -> None:
    """Damage the calldata in one place, now and then in up to four."""
    data = bytearray(draft.call_data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind = rng.choice(("bit", "byte", "word", "word", "step", "step", "swap", "delete", "insert", "mode"))
        at = _place(rng, draft, data)
        _damage(rng, kind, data, at)
        draft.notes.append(f"{kind} at byte {at}")
    draft.call_data = bytes(data)
    _follow_count(rng, draft)


def resize(rng: random.Random, draft: Draft) -> None:
    """Cut the calldata off, or let something stand behind it."""
    data = draft.call_data
    if rng.randrange(2):
        size = rng.choice(
            (rng.randrange(len(data)), len(data) - rng.choice((1, 31, 32, 64)), rng.choice((0, 3, 99, 100)))
        )
        size = max(0, min(size, len(data)))
        if rng.randrange(3) == 0:  # a length that fits what is left
            data = data[:LENGTH] + word(size - EXECUTION) + data[EXECUTION:] if size >= EXECUTION else data
        draft.call_data = data[:size]
        draft.notes.append(f"cut to {size} bytes")
        return
    tail = rng.choice(
        (bytes(1), bytes(31), bytes(32), bytes(64), rng.randbytes(32), rng.randbytes(rng.randint(1, 200)))
    )
    if rng.randrange(3) == 0:  # inside the execution, so behind the last call
        length = int.from_bytes(data[LENGTH:EXECUTION], "big")
        tail = tail.ljust(-(-len(tail) // 32) * 32, b"\x00")
        data = data[:LENGTH] + word(length + len(tail)) + data[EXECUTION:]
    draft.call_data = data + tail
    draft.notes.append(f"{len(tail)} bytes more")


def _damage(rng: random.Random, kind: str, data: bytearray, at: int) -> None:
    if kind == "bit":
        data[min(at + rng.randrange(32), len(data) - 1)] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        data[min(at + rng.randrange(32), len(data) - 1)] = rng.choice((0, 1, 0x20, 0xFF, rng.randrange(256)))
    elif kind == "word":
        data[at : at + 32] = word(rng.choice(ODD_WORDS))
    elif kind == "step":
        data[at : at + 32] = word(int.from_bytes(data[at : at + 32], "big") + rng.choice(STEPS))
    elif kind == "swap":
        other = at + 32 * rng.randint(1, 5)
        data[at : at + 32], data[other : other + 32] = data[other : other + 32], data[at : at + 32]
    elif kind == "delete":
        del data[at : at + 32]
    elif kind == "insert":
        data[at:at] = word(rng.choice(ODD_WORDS))
    else:
        data[MODE:OFFSET] = rng.choice((*ODD_MODES, rng.randbytes(32)))


def _place(rng: random.Random, draft: Draft, data: bytearray) -> int:
    """Choose where: a word of the frame, a head, a word of a call, or anywhere."""
    kind = rng.randrange(4)
    if kind == 0 or len(data) < EXECUTION + 64:
        return rng.choice((0, MODE, OFFSET, LENGTH))
    if draft.mode not in BATCH_MODES:
        return EXECUTION + rng.choice((0, 20, 52, 56))
    if kind == 1:
        return EXECUTION + 32 * rng.randrange(2 + len(draft.calls))
    if kind == 2:
        place, at = rng.randrange(len(draft.calls)), EXECUTION + 64 + 32 * len(draft.calls)
        for call in draft.calls[:place]:
            at += 128 + -(-len(call.data) // 32) * 32
        return at + rng.choice((0, 0, 32, 64, 96, 96, 128, 128 + len(draft.calls[place].data) // 32 * 32))
    return MODE + 32 * rng.randrange((len(data) - MODE) // 32)


def _follow_count(rng: random.Random, draft: Draft) -> None:
    """Give as many hints as the damaged calldata says that it has calls, mostly; else the envelope shifts."""
    if draft.mode not in BATCH_MODES or rng.randrange(4) == 0:
        return
    count = int.from_bytes(draft.call_data[EXECUTION + 32 : EXECUTION + 64], "big")
    if 0 < count <= CALLS_MAX_LIMIT:
        draft.hints = draft.hints.ljust(count, b"\x00")[:count]
