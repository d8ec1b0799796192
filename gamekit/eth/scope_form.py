"""The two forms of a scope's bytes: the one that is granted, and the one that rides in every signature.

::

    short list   both are  header 192 | entries 32 each | rules 64 each
    long list    granted   header 192 (no entries, no rules) | leaves: entry 32 | its rules, 64 each
                 signed    header 192 | Merkle root 32
                 witness   leaf | depth 1 | siblings, 32 each, from the leaf up

The tree hashes a level's neighbours in pairs, the smaller hash first; an odd one out goes up as it is. A leaf never has
the 64 bytes of a pair, so neither can be taken for the other.

Source: ScopeLib.sol, AllowlistLib.sol.
"""

from collections.abc import Sequence
from typing import Final

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.units import Hash32

HEADER_LENGTH: Final = 192
ENTRY_LENGTH: Final = 32
RULE_LENGTH: Final = 64
MERKLE_LENGTH: Final = HEADER_LENGTH + 32
"""Bytes of the signed form of a long list."""
ENTRIES_AT: Final = 54
"""Where the header counts entries; 0 for a long list."""
RULES_AT: Final = 55
COUNT_MAX: Final = 255
"""Most entries, and most rules, that the header of a short list counts."""
_RULE_COUNT_AT: Final = 25
"""Where an entry counts its rules."""
_PLACE_BYTES: Final = 2
"""A place in a long list, as `places` writes it."""


def is_long(scope: bytes) -> bool:
    """Whether a scope, in either form, has a long list. Raises EncodingInvalid for fewer bytes than a header has."""
    if len(scope) < HEADER_LENGTH:
        raise EncodingInvalid(f"a scope has at least {HEADER_LENGTH} bytes, got {len(scope)}", found=len(scope))
    return scope[ENTRIES_AT] == 0


def entries_of(granted: bytes) -> list[bytes]:
    """Give the entries of a granted form, 32 bytes each; those of a long list with their rules behind them.

    Raises: EncodingInvalid when the length is not what the counts, or the leaves, make it, or when a long list counts
        rules: its leaves do, and the contract refuses the grant.
    """
    if not is_long(granted):
        rules_at = HEADER_LENGTH + ENTRY_LENGTH * granted[ENTRIES_AT]
        _require_length(granted, rules_at + RULE_LENGTH * granted[RULES_AT])
        return [granted[at : at + ENTRY_LENGTH] for at in range(HEADER_LENGTH, rules_at, ENTRY_LENGTH)]
    if granted[RULES_AT]:
        raise EncodingInvalid(f"a long list counts no rules, got {granted[RULES_AT]}", found=granted[RULES_AT])
    leaves = []
    at = HEADER_LENGTH
    while at < len(granted):
        rules = granted[at + _RULE_COUNT_AT] if at + ENTRY_LENGTH <= len(granted) else 0
        end = at + ENTRY_LENGTH + RULE_LENGTH * rules
        leaves.append(granted[at:end])
        at = end
    _require_length(granted, at if leaves else MERKLE_LENGTH)
    return leaves


class ScopeForm:
    """The forms of one scope, and what an operation must show of a long list."""

    __slots__ = ("_leaves", "_levels", "granted", "signed")

    def __init__(self, granted: bytes) -> None:
        """Read a granted form. Raises EncodingInvalid as `entries_of` does."""
        leaves = entries_of(granted)
        self.granted: Final = granted
        self._leaves = leaves if is_long(granted) else []
        self._levels = _levels([keccak256(leaf) for leaf in self._leaves])
        self.signed: Final = granted[:HEADER_LENGTH] + self._levels[-1][0] if self._leaves else granted
        """What names the permission and stands in signatures."""

    def places(self, entries: Sequence[int]) -> bytes:
        """Write which entry each call uses: a byte each, or two each for a long list."""
        if not self._leaves:
            return bytes(entries)
        return b"".join([entry.to_bytes(_PLACE_BYTES, "big") for entry in entries])

    def show(self, places: bytes) -> tuple[bytes, bytes]:
        """Give an operation's hints and witnesses.

        Args:
            places: what `places` wrote for its calls.

        Raises: EncodingInvalid for a place that the list does not have.
        """
        if not self._leaves:
            return places, b""
        shown: dict[int, int] = {}
        hints = bytearray()
        for at in range(0, len(places), _PLACE_BYTES):
            hints.append(shown.setdefault(int.from_bytes(places[at : at + _PLACE_BYTES], "big"), len(shown)))
        return bytes(hints), b"".join(map(self.witness, shown))

    def witness(self, place: int) -> bytes:
        """Write the leaf at a place and its path to the root. Raises EncodingInvalid if the list has no such place."""
        if not 0 <= place < len(self._leaves):
            raise EncodingInvalid(f"the list has {len(self._leaves)} entries, asked for {place}", found=place)
        leaf, path = self._leaves[place], []
        for level in self._levels[:-1]:
            sibling = place ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            place >>= 1
        return b"".join((leaf, bytes((len(path),)), *path))

    def shown_bytes_max(self, calls: int) -> int:
        """Most bytes that the hints and witnesses of so many calls can have."""
        if not self._leaves:
            return calls
        used = sorted((len(leaf) for leaf in self._leaves), reverse=True)[:calls]
        return calls + sum(used) + len(used) * (1 + 32 * (len(self._levels) - 1))


def shown_scope(signed: bytes, witnesses: bytes) -> bytes:
    """Write the short list that an operation's witnesses make: all that it shows of a long list.

    Args:
        signed: the signed form; a short list is given back as it is.
        witnesses: what stands behind it in the envelope. Paths are passed over, not checked.

    Raises: EncodingInvalid when they end within a witness, or show more than a short list counts.
    """
    if not is_long(signed):
        return signed
    leaves = []
    at = 0
    while at < len(witnesses):
        rules = witnesses[at + _RULE_COUNT_AT] if at + ENTRY_LENGTH <= len(witnesses) else 0
        end = at + ENTRY_LENGTH + RULE_LENGTH * rules
        if end >= len(witnesses) or end + 1 + 32 * witnesses[end] > len(witnesses):
            raise EncodingInvalid(f"the witnesses end within the one at byte {at}", found=len(witnesses), position=at)
        leaves.append(witnesses[at:end])
        at = end + 1 + 32 * witnesses[end]
    entries: list[bytes] = []
    rules_of_all: list[bytes] = []
    rules = 0
    for leaf in sorted(leaves):
        count = leaf[_RULE_COUNT_AT]
        if len(entries) == COUNT_MAX or rules + count > COUNT_MAX:
            raise EncodingInvalid(f"the witnesses show more than {COUNT_MAX} entries or rules", maximum=COUNT_MAX)
        first = bytes((rules if count else 0,))
        entries.append(leaf[: _RULE_COUNT_AT - 1] + first + leaf[_RULE_COUNT_AT:ENTRY_LENGTH])
        rules_of_all.append(leaf[ENTRY_LENGTH:])
        rules += count
    counts = bytes((len(entries), rules))
    header = signed[:ENTRIES_AT] + counts + signed[ENTRIES_AT + 2 : HEADER_LENGTH]
    return header + b"".join(entries) + b"".join(rules_of_all)


def _levels(hashes: Sequence[Hash32]) -> list[list[Hash32]]:
    """Give the levels of the tree, from the leaves to the root."""
    levels = [list(hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [keccak256(b"".join(sorted(below[at : at + 2]))) for at in range(0, len(below) - 1, 2)]
        levels.append(above + below[len(above) * 2 :])
    return levels


def _require_length(granted: bytes, expected: int) -> None:
    if len(granted) != expected:
        raise EncodingInvalid(
            f"the scope has {len(granted)} bytes, its counts say {expected}", found=len(granted), expected=expected
        )
