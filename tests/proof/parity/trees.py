"""Long lists of functions: the granted and the signed form of their scope, and witnesses, written a second time.

::

    granted   header 192, entries 0, rules 0 | leaf*
    signed    header 192, entries 0, rules 0 | root 32
    leaf      entry 32, its first rule 0 | its rules, 64 each
    witness   leaf | depth 1 | siblings, 32 each, from the leaf up

Source: ScopeLib.sol and AllowlistLib.sol. Independent of the package, so that the two can be compared.
"""

from collections.abc import Sequence

from gamekit.eth.hashing import keccak256

HEADER = 192
_COUNTS_AT = 54


class Tree:
    """The leaves of one scope, and the paths from each to the root."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = tuple(leaves)
        self.levels: list[list[bytes]] = [[keccak256(leaf) for leaf in leaves]]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            pairs: list[bytes] = [_pair(first, second) for first, second in zip(below[::2], below[1::2], strict=False)]
            self.levels.append(pairs + below[len(pairs) * 2 :])

    @property
    def root(self) -> bytes:
        """What every witness leads to."""
        return self.levels[-1][0]

    def siblings(self, place: int) -> list[bytes]:
        """Give what a leaf is hashed with on its way up; nothing at a level where it is the odd one."""
        found = []
        for level in self.levels[:-1]:
            if place ^ 1 < len(level):
                found.append(level[place ^ 1])
            place //= 2
        return found

    def witness(self, place: int) -> bytes:
        """Write the witness of a leaf."""
        return write_witness(self.leaves[place], self.siblings(place))


def write_witness(leaf: bytes, siblings: Sequence[bytes]) -> bytes:
    """Write a witness, right or wrong."""
    return leaf + bytes((len(siblings),)) + b"".join(siblings)


def as_tree(packed: bytes) -> tuple[bytes, bytes, Tree]:
    """Give the granted and the signed form of a scope as a long list, and its tree; `packed` may be either."""
    entries, rules = packed[_COUNTS_AT], packed[_COUNTS_AT + 1]
    if entries == 0:
        tree = Tree(_leaves(packed))
        return packed, packed[:HEADER] + tree.root, tree
    rules_at = HEADER + 32 * entries
    header = packed[:_COUNTS_AT] + bytes(2) + packed[_COUNTS_AT + 2 : HEADER]
    leaves = []
    for at in range(HEADER, rules_at, 32):
        first, count = packed[at + 24], packed[at + 25]
        assert first + count <= rules
        own = packed[rules_at + 64 * first : rules_at + 64 * (first + count)]
        leaves.append(packed[at : at + 24] + bytes((0, count)) + packed[at + 26 : at + 32] + own)
    tree = Tree(leaves)
    return header + b"".join(leaves), header + tree.root, tree


def _leaves(granted: bytes) -> list[bytes]:
    leaves, at = [], HEADER
    while at < len(granted):
        end = at + 32 + 64 * granted[at + 25]
        leaves.append(granted[at:end])
        at = end
    return leaves


def show(tree: Tree, places: Sequence[int]) -> tuple[bytes, bytes]:
    """Give the hints and the witnesses of calls whose entries stand at these places: each shown when first used."""
    order = list(dict.fromkeys(places))
    return bytes(order.index(place) for place in places), b"".join(map(tree.witness, order))


def _pair(first: bytes, second: bytes) -> bytes:
    return keccak256(min(first, second) + max(first, second))
