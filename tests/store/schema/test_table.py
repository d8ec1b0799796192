"""Tables derived from row types."""

import enum

import pytest

from gamekit.core.journal import Event, Meta, Row
from gamekit.errors import ConfigInvalid
from gamekit.store.schema import Table, tables_of
from gamekit.units import NonceKey
from tests.store.kinds import Move, Slot


class Colour(enum.IntEnum):
    RED = 1


class Wide(Row, frozen=True):
    TABLE = "wide"
    KEY = ("name", "colour")
    INDEX = ("lane",)

    name: str
    colour: Colour
    lane: NonceKey | None
    rest: float = 0.0


def test_statements_integer_key() -> None:
    assert Table(Move).statements == {
        "move": 'CREATE TABLE "move"("move_id" INTEGER NOT NULL, "player" TEXT NOT NULL, "name" TEXT, '
        'body BLOB NOT NULL, PRIMARY KEY("move_id")) STRICT',
        "move_player": 'CREATE INDEX "move_player" ON "move"("player")',
        "move_player_name": 'CREATE UNIQUE INDEX "move_player_name" ON "move"("player", "name")',
    }


def test_statements_composite_key() -> None:
    assert Table(Slot).statements["slot"].endswith('PRIMARY KEY("sender", "nonce_key")) STRICT')


def test_columns_types() -> None:
    declared = [column.declaration for column in Table(Wide).columns.values()]
    assert declared == ['"name" TEXT NOT NULL', '"colour" INTEGER NOT NULL', '"lane" BLOB']


def test_columns_error_type() -> None:
    class Rate(Row, frozen=True):
        TABLE = "rate"
        KEY = ("value",)
        value: float

    with pytest.raises(ConfigInvalid, match=r"Rate\.value is <class 'float'>"):
        Table(Rate)


def test_values_default() -> None:
    table = Table(Wide)
    values = table.values([Wide("a", Colour.RED, NonceKey(258)), Wide("b", Colour.RED, None)])
    assert values[:3] == ["a", Colour.RED, bytes(22) + b"\x01\x02"]
    assert values[4:7] == ["b", Colour.RED, None]
    assert [table.codec.decode(body).name for body in (values[3], values[7]) if isinstance(body, bytes)] == ["a", "b"]


def test_key_of_default() -> None:
    assert Table(Slot).key_of(Slot(b"a", NonceKey(1), 5)) == (b"a", bytes(23) + b"\x01")
    assert Table(Slot).key_values((b"a", 1)) == (b"a", bytes(23) + b"\x01")


def test_rows_per_statement_bounded_by_its_text() -> None:
    for kind in (Meta, Event, Move, Slot, Wide):
        table = Table(kind)
        assert len(table.upsert(table.rows_per_statement)) < 16_384


def test_tables_of_behavior_meta_is_always_there() -> None:
    assert list(tables_of([Move, Move])) == [Meta, Move]
