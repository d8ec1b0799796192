"""Rows that only these tests know: one of each shape that the journal's own rows have."""

from typing import Self

from gamekit.core.journal import Row
from gamekit.units import NonceKey, Wei


class Move(Row, frozen=True):
    """An integer key, an index, a unique pair."""

    TABLE = "move"
    KEY = ("move_id",)
    INDEX = ("player",)
    UNIQUE = (("player", "name"),)

    move_id: int
    player: str
    name: str | None = None
    body: bytes = b""


class Slot(Row, frozen=True):
    """A composite key with a number wider than SQLite's, and a guard that lets a sequence only grow."""

    TABLE = "slot"
    KEY = ("sender", "nonce_key")
    GUARDED = True

    sender: bytes
    nonce_key: NonceKey
    sequence: int
    fee_wei: Wei = Wei(0)
    history: tuple[int, ...] = ()

    def admit(self, stored: Self | None) -> str:
        """Refuse to stand still or to go back."""
        if stored is not None and self.sequence <= stored.sequence:
            return f"sequence {self.sequence} is not above {stored.sequence}"
        return ""


KINDS = (Move, Slot)
WIDE_KEY = NonceKey((1 << 191) + 5)


def slot(sequence: int, sender: bytes = b"a") -> Slot:
    """Make a slot on the wide lane."""
    return Slot(sender=sender, nonce_key=WIDE_KEY, sequence=sequence)
