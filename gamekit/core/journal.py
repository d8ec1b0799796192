"""What is durable: the row types of the journal and the guards that hold inside its transaction.

A row is a frozen struct. `commit` writes rows as upserts by primary key, all or none; a row's `admit` is asked, inside
the same transaction, whether it may take the place of what is stored. Store adapters know nothing else: no adapter
decides anything.

The nouns themselves live in their own files (session, action, tracking, relay …) and derive from `Row`.
"""

from typing import ClassVar, Self

from msgspec import Struct

from gamekit.units import Cursor, PlayerId, UnixSeconds


class Row(Struct, frozen=True, gc=False):
    """One durable row. Subclasses name their table, primary key and the columns that are searched."""

    TABLE: ClassVar[str]
    """Name of the table; never changes once released."""
    KEY: ClassVar[tuple[str, ...]]
    """Fields of the primary key: `int`, `str` or `bytes`."""
    INDEX: ClassVar[tuple[str, ...]] = ()
    """Fields that `select` may search by, each with an index of its own: `int`, `str` or `bytes`."""
    UNIQUE: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of fields that are unique together. Every field stands in KEY or INDEX or is stored beside them."""
    GUARDED: ClassVar[bool] = False
    """Whether `admit` must be asked: costs a read inside the transaction."""

    def admit(self, stored: Self | None) -> str:  # noqa: ARG002
        """Say why this row may not take the place of `stored` (None: no such row yet); empty text if it may."""
        return ""


FINAL_BLOCK = "final_block"
"""Meta row: number and hash of the last final block of which everything is told; reading resumes after it."""


CHAIN_ID = "chain_id"
"""Meta row: the chain whose slots and nonces stand in this journal, in decimal."""


class Meta(Row, frozen=True):
    """A named fact about the journal itself: its birth, the last block that was read, the schema."""

    TABLE = "meta"
    KEY = ("name",)

    name: str
    value: bytes


class Event(Row, frozen=True):
    """One entry of the durable event stream, written in the transaction of the transition that it reports."""

    TABLE = "event"
    KEY = ("cursor",)
    INDEX = ("player",)

    cursor: Cursor
    """Grows by one, or by more where the disk refused an event; never reused."""
    kind: str
    """Past tense: accepted, settled, reorged, final, refused, granted, revoked, expiring, paused, resumed …"""
    player: PlayerId
    """Whom it concerns; empty when it concerns no single player."""
    at: UnixSeconds
    """Chain time of the latest head when it was written."""
    body: bytes
    """MessagePack of the event's own fields."""
