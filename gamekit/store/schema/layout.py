"""The journal's bookkeeping: which tables exist, which layout they have, and when the journal was born."""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import apsw

from gamekit.core.journal import Meta, Row
from gamekit.errors import StoreError
from gamekit.store.schema.table import Table, table_of

R = TypeVar("R", bound=Row)

SCHEMA_VERSION: Final = 1
"""Grows whenever older code could no longer read what this code writes."""

VERSION: Final = "schema_version"
"""Name of the meta row that holds the version, in decimal."""

EPOCH: Final = "journal_epoch"
"""Name of the meta row that holds 16 random bytes: the journal's birth."""

MARK: Final = "mark"
"""Name of the meta row that `leave_mark` changes."""


def lay_out(connection: apsw.Connection, tables: Iterable[Table[Row]], entropy: Callable[[int], bytes]) -> None:
    """Make what is missing, in one transaction, so that a crash leaves the old layout or the new one.

    A table whose row type has gained or lost a searched field is made anew from the bodies of its rows.

    Args:
        connection: the writer's.
        tables: every kind of row, `Meta` among them.
        entropy: gives as many random bytes as asked for, for a new journal's epoch.

    Raises:
        StoreError: written by newer code than this.
        apsw.Error: the disk failed.
    """
    with connection:
        found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
        existing = {str(name): str(sql) for name, sql in found}
        if Meta.TABLE in existing:
            _require_readable(connection)
        for table in tables:
            if table.name not in existing:
                _make(connection, table)
            elif any(existing.get(name) != sql for name, sql in table.statements.items()):
                _rebuild(connection, table, existing)
        write_meta(connection, VERSION, str(SCHEMA_VERSION).encode())
        if read_meta(connection, EPOCH) is None:
            write_meta(connection, EPOCH, entropy(16))


def read_meta(connection: apsw.Connection, name: str) -> bytes | None:
    """Read the value of a meta row."""
    meta = table_of(Meta)
    body = connection.execute(meta.get_statement, (name,)).get
    return meta.codec.decode(body).value if isinstance(body, bytes) else None


def _require_readable(connection: apsw.Connection) -> None:
    """Refuse a journal of newer code."""
    found = int(read_meta(connection, VERSION) or b"0")
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"this journal has schema version {found}, and this gamekit reads up to {SCHEMA_VERSION}",
            found=found,
            supported=SCHEMA_VERSION,
        )


def _make(connection: apsw.Connection, table: Table[Row]) -> None:
    for statement in table.statements.values():
        connection.execute(statement)


def _rebuild(connection: apsw.Connection, table: Table[Row], existing: dict[str, str]) -> None:
    """Make a table anew from its bodies."""
    for name, statement in existing.items():
        if statement.startswith("CREATE") and f' ON "{table.name}"(' in statement:
            connection.execute(f'DROP INDEX "{name}"')
    old = f"{table.name}_old"
    connection.execute(f'ALTER TABLE "{table.name}" RENAME TO "{old}"')
    _make(connection, table)
    bodies = connection.execute(f'SELECT body FROM "{old}"')  # noqa: S608 - a table's name is a constant of the code
    for (body,) in bodies:
        _write(connection, table, table.codec.decode(body))
    connection.execute(f'DROP TABLE "{old}"')


def leave_mark(connection: apsw.Connection) -> None:
    """Make a durable write that means nothing.

    After a failed fsync the log may hold a whole group that everybody was told is refused. The next write lies on top
    of it, so that no later recovery can find it: a refused commit stays refused.
    """
    count = int.from_bytes(read_meta(connection, MARK) or b"", "big")
    write_meta(connection, MARK, (count + 1).to_bytes(8, "big"))


def write_meta(connection: apsw.Connection, name: str, value: bytes) -> None:
    """Write a meta row."""
    _write(connection, table_of(Meta), Meta(name=name, value=value))


def _write(connection: apsw.Connection, table: Table[R], row: R) -> None:
    connection.execute(table.upsert(1), table.values([row]))
