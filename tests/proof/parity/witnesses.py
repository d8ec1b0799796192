"""Witnesses of long lists, shown otherwise than they should be: whoever signs can write what he likes there."""

import random
from collections.abc import Sequence

from gamekit.eth.hashing import keccak256
from tests.proof.parity.draft import Draft, places_of
from tests.proof.parity.scopes import Drawn
from tests.proof.parity.trees import Tree, show, write_witness

KINDS = (
    "as it should be", "a sibling's bit", "a leaf's bit", "another depth", "another entry's witness", "cut",
    "more behind them", "one shown twice", "one that no call uses", "another order", "a wider leaf", "a pair as a leaf",
    "a hint ahead",
)  # fmt: skip


def reshow(rng: random.Random, draft: Draft) -> None:
    """Change the witnesses of an operation of a long list, or the hints that count them."""
    drawn = draft.session.drawn
    tree = drawn.tree
    assert tree is not None
    kind = rng.choice(KINDS)
    draft.notes.append(kind)
    if kind in ("one shown twice", "one that no call uses", "another order", "another entry's witness", "a hint ahead"):
        _show_others(rng, kind, draft, tree)
    elif kind != "as it should be":
        draft.witnesses = _damaged(rng, kind, draft, drawn, tree)


def _damaged(rng: random.Random, kind: str, draft: Draft, drawn: Drawn, tree: Tree) -> bytes:
    """Damage the first witness, or what stands behind the last."""
    shown = draft.witnesses
    first = places_of(drawn, draft.calls)[0]
    leaf, siblings = tree.leaves[first], tree.siblings(first)
    rest = shown[len(tree.witness(first)) :]
    if kind == "more behind them":
        return shown + rng.choice((b"\x00", bytes(32), tree.witness(rng.randrange(len(tree.leaves)))))
    if kind == "cut":
        return shown[: rng.choice((0, len(shown) - 1, len(shown) - 32, rng.randrange(len(shown))))]
    if kind == "a sibling's bit" and siblings:
        place = rng.randrange(len(siblings))
        siblings[place] = _flipped(rng, siblings[place])
    elif kind == "a leaf's bit":
        leaf = _flipped(rng, leaf)
    elif kind == "another depth":
        siblings = rng.choice((siblings[:-1], [*siblings, rng.randbytes(32)], [*siblings, *[bytes(32)] * 40]))
    elif kind == "a wider leaf":  # the same function without its rules, or with one that always holds
        leaf = rng.choice((leaf[:25] + bytes(1) + leaf[26:32], leaf[:25] + b"\x01" + leaf[26:32] + bytes(64)))
    else:  # what is hashed one level up, as if it were a leaf
        pair = sorted((keccak256(leaf), siblings[0])) if siblings else [bytes(32), bytes(32)]
        leaf, siblings = b"".join(pair), siblings[1:]
    return write_witness(leaf, siblings) + rest


def _show_others(rng: random.Random, kind: str, draft: Draft, tree: Tree) -> None:
    """Show right witnesses, in other places or at other times."""
    places = places_of(draft.session.drawn, draft.calls)
    other = rng.randrange(len(tree.leaves))
    if kind == "one shown twice":  # each call has a witness of its own
        draft.hints, draft.witnesses = bytes(range(len(places))), b"".join(map(tree.witness, places))
    elif kind == "one that no call uses":
        _, draft.witnesses = show(tree, [other, *places])
    elif kind == "another order":
        _, draft.witnesses = show(tree, rng.sample(places, len(places)))
    elif kind == "another entry's witness":
        draft.hints, draft.witnesses = show(tree, _replaced(places, rng.randrange(len(places)), other))
    else:
        hints = bytearray(draft.hints)
        hints[rng.randrange(len(hints))] += rng.choice((1, 2, 64))
        draft.hints = bytes(hints)


def _replaced(places: Sequence[int], at: int, other: int) -> list[int]:
    return [*places[:at], other, *places[at + 1 :]]


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
