"""The one connection that writes: a group of commits becomes one transaction and one fsync.

The usual way is one INSERT of many rows for each kind. If that fails on a uniqueness rule, the group is halved, and the
halves halved, until the commit that does not fit stands alone: the others are written as if it had never come.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import groupby
from typing import Final

import apsw

from gamekit.core.journal import Row
from gamekit.errors import StoreConflict, StoreError, StoreUnavailable
from gamekit.store.group import Outcomes, Rows
from gamekit.store.schema import SqlValue, Table
from gamekit.store.schema.layout import leave_mark

WAL_PAGES_MAX: Final = 8_192
"""Pages of 4 KiB in the write-ahead log after which it is copied into the database file: 32 MiB."""

_KEYS_PER_READ: Final = 512
"""Keys of guarded rows read with one statement."""

Tables = Mapping[type[Row], Table[Row]]
Stored = dict[tuple[type[Row], tuple[SqlValue, ...]], Row]
"""Guarded rows as they stand at a place within the transaction."""

_Refused = dict[int, Exception]
"""By place in the group."""

_UNFIT: Final = (apsw.ConstraintError, TypeError, ValueError, OverflowError)
"""What a commit brings upon itself: a uniqueness rule, or a value that no column can hold."""


class Writer:
    """Writes groups. Every method runs in the executor, never two at once."""

    def __init__(self, connect: Callable[[], apsw.Connection], tables: Tables) -> None:
        """Open the journal for writing.

        Args:
            connect: opens and checks the file, lays out the tables and leaves a durable mark.
            tables: every kind of row.

        Raises:
            StoreError: the file cannot be opened, is damaged or was written by newer code.
        """
        self._connect = connect
        self._tables = tables
        self._guarded = frozenset(kind for kind in tables if kind.GUARDED)
        self._connection: apsw.Connection | None = connect()

    def write(self, commits: list[Rows]) -> Outcomes:
        """Write commits in order; give for each what refused it. What got None is on disk."""
        try:
            connection = self._connection or self._revive()
            return self._transaction(connection, commits)
        except (apsw.Error, StoreUnavailable) as error:
            refusals: Outcomes = []
            for _ in commits:
                refusal = StoreUnavailable(f"the journal cannot be written: {error}")
                refusal.__cause__ = error
                refusals.append(refusal)
            self._recover(error)
            return refusals

    def tend(self) -> None:
        """Copy the write-ahead log into the database file when it has grown long."""
        if self._connection is None or _pages_written(self._connection) < WAL_PAGES_MAX:
            return
        try:
            _pages_written(self._connection, reset=True)
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.FullError, apsw.BusyError):
            pass  # the log stays as it is and grows; nothing that was written depends on the copy
        except apsw.Error:
            self._bury()

    def close(self) -> None:
        """Close the connection; the last one to close copies the log into the database file."""
        if self._connection is not None:
            self._connection.close(True)
            self._connection = None

    def forsake(self) -> None:
        """Let the next `close` copy nothing: a process that is killed does not either."""
        if self._connection is not None:
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def _revive(self) -> apsw.Connection:
        connection = self._connection = self._connect()
        return connection

    def _recover(self, error: Exception) -> None:
        """Make sure that what was refused stays refused, as far as the disk still works."""
        if isinstance(error, apsw.BusyError):
            return  # nothing was written
        if isinstance(error, apsw.FullError) and self._connection is not None:
            with suppress(apsw.Error):  # full still: whatever is written next does as well
                leave_mark(self._connection)
            return
        if isinstance(error, apsw.Error):
            self._bury()

    def _bury(self) -> None:
        """Close a connection that failed, and open the next one at once, which leaves a mark; see `leave_mark`."""
        if self._connection is not None:
            self._connection.close(True)
            self._connection = None
        try:
            self._revive()
        except (apsw.Error, StoreError):
            self._connection = None  # the next group tries again

    def _transaction(self, connection: apsw.Connection, commits: list[Rows]) -> Outcomes:
        """Write a group, all of it that is not refused."""
        refused: _Refused = {}
        connection.execute("BEGIN IMMEDIATE")
        try:
            try:
                self._write_all(connection, commits, range(len(commits)), refused)
            except _UNFIT:
                refused.clear()
                connection.execute("ROLLBACK; BEGIN IMMEDIATE")
                self._write_halves(connection, commits, range(len(commits)), refused)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return [refused.get(place) for place in range(len(commits))]

    def _write_halves(self, connection: apsw.Connection, commits: list[Rows], places: range, refused: _Refused) -> None:
        """Write what can be written of these places."""
        found: _Refused = {}
        connection.execute("SAVEPOINT part")
        try:
            self._write_all(connection, commits, places, found)
        except _UNFIT as error:
            connection.execute("ROLLBACK TO part; RELEASE part")
            if len(places) == 1:
                refused[places[0]] = _unfit(error)
                return
            middle = len(places) // 2
            self._write_halves(connection, commits, places[:middle], refused)
            self._write_halves(connection, commits, places[middle:], refused)
        else:
            connection.execute("RELEASE part")
            refused.update(found)

    def _write_all(self, connection: apsw.Connection, commits: list[Rows], places: range, refused: _Refused) -> None:
        """Write these places; those that a guard refuses are left out and named in `refused`."""
        stored = self._read_guarded(connection, commits, places)
        kinds: dict[type[Row], list[Row]] = {}
        for place in places:
            rows = commits[place]
            if stored is not None and (refusal := admit(self._tables, rows, stored)) is not None:
                refused[place] = refusal
                continue
            for kind, run in groupby(rows, type):
                kinds.setdefault(kind, []).extend(run)
        for kind, written in kinds.items():
            if kind not in self._tables:
                raise TypeError(f"it was not opened for {kind.__name__}")
            self._upsert(connection, self._tables[kind], written)

    def _read_guarded(self, connection: apsw.Connection, commits: list[Rows], places: range) -> Stored | None:
        """Read what the guards of these places will be asked about; None if there is no guard."""
        keys: dict[type[Row], dict[tuple[SqlValue, ...], None]] = {}
        for place in places:
            if self._guarded.isdisjoint(map(type, commits[place])):
                continue
            for row in commits[place]:
                kind = type(row)
                if kind in self._guarded:
                    keys.setdefault(kind, {})[self._tables[kind].key_of(row)] = None
        if not keys:
            return None
        stored: Stored = {}
        for kind, wanted in keys.items():
            table = self._tables[kind]
            for row in _read_keys(connection, table, list(wanted)):
                stored[kind, table.key_of(row)] = row
        return stored

    def _upsert(self, connection: apsw.Connection, table: Table[Row], rows: list[Row]) -> None:
        """Write rows of one kind with as few statements as there are powers of two in their number."""
        values = table.values(rows)
        width = len(values) // len(rows)
        size = table.rows_per_statement
        start = 0
        while start < len(rows):
            while size > len(rows) - start:
                size >>= 1
            chunk = values[start * width : (start + size) * width]
            steady = bool(table.steady_columns)
            connection.execute(table.upsert(size, steady=steady), chunk)
            if steady and connection.changes() < size:
                connection.execute(table.upsert(size), chunk)
            start += size


def _pages_written(connection: apsw.Connection, *, reset: bool = False) -> int:
    """Count the pages that went into the log since the last reset."""
    return connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, reset)[0]


def admit(tables: Tables, rows: Rows, stored: Stored) -> StoreConflict | None:
    """Ask the guards of one commit; what it writes becomes what is stored for the next, unless a guard refuses.

    Args:
        tables: every kind of row.
        rows: the commit.
        stored: guarded rows as they stand before it; changed in place.
    """
    written: Stored = {}
    for row in rows:
        kind = type(row)
        if kind.GUARDED and kind in tables:
            key = kind, tables[kind].key_of(row)
            reason = row.admit(written.get(key) or stored.get(key))
            if reason:
                return StoreConflict(reason, table=kind.TABLE, key=key[1])
            written[key] = row
    stored.update(written)
    return None


def _read_keys(connection: apsw.Connection, table: Table[Row], keys: list[tuple[SqlValue, ...]]) -> Iterable[Row]:
    """Read rows by key, many with one statement."""
    for start in range(0, len(keys), _KEYS_PER_READ):
        chunk = keys[start : start + _KEYS_PER_READ]
        flat = [value for key in chunk for value in key]
        bodies = connection.execute(table.stored_statement(len(chunk)), flat).get
        for word in str(bodies or "").split():
            yield table.codec.decode(bytes.fromhex(word))


def _unfit(error: Exception) -> StoreError:
    """Say why a commit that stood alone could not be written."""
    unique = (apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY)
    if isinstance(error, apsw.ConstraintError) and getattr(error, "extendedresult", 0) in unique:
        refusal: StoreError = StoreConflict(f"another row stands there: {error}")
    else:
        refusal = StoreError(f"the journal cannot hold this row: {error}")
    refusal.__cause__ = error
    return refusal
