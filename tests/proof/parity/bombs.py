"""Small inputs that a careless decoder makes much of: nested lists whose heads all lead to one place."""

import random

from gamekit.eth.interface import Function
from tests.proof.parity.aliases import array, elements_of, frame
from tests.proof.parity.draft import BATCH_MODES, Draft, word

NESTED = tuple(
    Function.parse(f"play({types})")
    for types in (
        "uint256[][]",
        "uint8[][][]",
        "bytes[][]",
        "(uint256[],bytes)[]",
        "((bytes,bytes)[],uint256)[]",
        "string[][4]",
        "(uint8,uint8,bool)[]",
        "bytes32[4][]",
        "address[][][][]",
    )
)
"""Functions whose arguments nest; a game's own may."""


def bomb(rng: random.Random, draft: Draft) -> tuple[Function, bytes]:
    """Make the operation's calldata a bomb; gives a function and calldata that is one for the argument decoder."""
    draft.mode = rng.choice(BATCH_MODES)
    width = rng.choice((2, 20, 60, 300))
    element = elements_of(draft)[0]
    kind = rng.randrange(4)
    if kind == 0:  # many heads, one call
        draft.call_data = frame(draft, array([element], [32 * width] * width))
    elif kind == 1:  # calls without any data, as close as they can be
        draft.call_data = frame(draft, array([element[:96] + word(0)] * width))
    elif kind == 2:  # the same, and a count that names far fewer or far more
        count = rng.choice((1, 2, width * 4, 1 << 64))
        draft.call_data = frame(draft, array([element[:96] + word(0)] * width, count=count))
    else:  # heads that lead to each other
        draft.call_data = frame(draft, array([], [rng.randrange(0, 32 * width, 32) for _ in range(width)]))
    draft.hints = bytes(min(width, 64))
    draft.notes.append(f"width {width}, kind {kind}")
    function = rng.choice(NESTED)
    return function, function.selector + _arguments(rng)


def _arguments(rng: random.Random) -> bytes:
    """Nest lists whose heads all lead to the one list behind them; or let each word be small and random."""
    levels, width = rng.choice(((2, 30), (3, 20), (4, 10), (5, 6)))
    if rng.randrange(3) == 0:
        return b"".join(word(rng.choice((0, 1, 2, 32, 64, 96, 128))) for _ in range(rng.randint(1, 80)))
    parts = [word(32)]
    for level in range(levels):
        last = level == levels - 1
        parts.append(word(width))
        parts += [word(rng.choice((0, 1)) if last else 32 * width)] * width
    return b"".join(parts)
