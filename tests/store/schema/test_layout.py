"""The layout follows the row types, without losing a row."""

from collections.abc import Iterator
from typing import ClassVar

import apsw
import pytest

from gamekit.core.journal import Row
from gamekit.errors import StoreError
from gamekit.store.schema import EPOCH, Table, lay_out, tables_of
from gamekit.store.schema.layout import MARK, leave_mark, read_meta, write_meta


class Old(Row, frozen=True):
    TABLE = "thing"
    KEY = ("thing_id",)
    INDEX: ClassVar[tuple[str, ...]] = ("colour",)

    thing_id: int
    colour: str
    weight: int


class New(Row, frozen=True):
    TABLE = "thing"
    KEY = ("thing_id",)
    INDEX: ClassVar[tuple[str, ...]] = ("weight",)
    UNIQUE = (("colour", "weight"),)

    thing_id: int
    colour: str
    weight: int
    added: str = "later"


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    yield connection
    connection.close()


def names(connection: apsw.Connection) -> set[object]:
    found = connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'thing%'").fetchall()
    return {name for (name,) in found}


def put(connection: apsw.Connection, row: Row) -> None:
    table = Table(type(row))
    connection.execute(table.upsert(1), table.values([row]))


def test_lay_out_behavior_twice(connection: apsw.Connection) -> None:
    lay_out(connection, tables_of([Old]).values(), lambda count: b"\x01" * count)
    lay_out(connection, tables_of([Old]).values(), lambda count: b"\x02" * count)
    assert read_meta(connection, EPOCH) == b"\x01" * 16
    assert names(connection) == {"thing", "thing_colour"}


def test_lay_out_behavior_other_searched_fields(connection: apsw.Connection) -> None:
    lay_out(connection, tables_of([Old]).values(), bytes)
    for n in range(2_500):
        put(connection, Old(n, "red", n))
    lay_out(connection, tables_of([New]).values(), bytes)
    assert names(connection) == {"thing", "thing_weight", "thing_colour_weight"}
    table = Table(New)
    bodies = connection.execute(table.select_statement((), after=False, limit=False)).fetchall()
    rows = [table.codec.decode(body) for (body,) in bodies if isinstance(body, bytes)]
    assert rows == [New(n, "red", n) for n in range(2_500)]


def test_lay_out_error_leaves_the_old_layout(connection: apsw.Connection) -> None:
    lay_out(connection, tables_of([Old]).values(), bytes)
    for n in range(2):
        put(connection, Old(n, "red", 7))
    with pytest.raises(apsw.ConstraintError):
        lay_out(connection, tables_of([New]).values(), bytes)
    assert names(connection) == {"thing", "thing_colour"}
    assert connection.execute("SELECT count(*) FROM thing").get == 2


def test_lay_out_error_newer(connection: apsw.Connection) -> None:
    lay_out(connection, tables_of([Old]).values(), bytes)
    write_meta(connection, "schema_version", b"99")
    with pytest.raises(StoreError, match="99"):
        lay_out(connection, tables_of([Old]).values(), bytes)


def test_leave_mark_default(connection: apsw.Connection) -> None:
    lay_out(connection, tables_of([]).values(), bytes)
    leave_mark(connection)
    first = read_meta(connection, MARK)
    leave_mark(connection)
    assert read_meta(connection, MARK) != first
