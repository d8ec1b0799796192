"""The journal in an SQLite file.

apsw brings its own SQLite: the one in today's Pythons can corrupt a write-ahead log (3.7.0 to 3.51.2). WAL with
synchronous=FULL: a commit has been through fsync before anybody hears of it. One connection writes, and it alone copies
the log into the database file; a second one reads, and sees whatever has resolved.

Reads run on the event loop. A read by key takes 10 to 20 microseconds, less than handing it to a thread; a long select
gives the loop back after every `ROWS_PER_TURN` rows, about half a millisecond, and still sees one instant.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final, Self, TypeVar, cast

import apsw

from gamekit.core.journal import Meta, Row
from gamekit.errors import StoreError, StoreUnavailable
from gamekit.store.executor import InlineExecutor, let_threads_in
from gamekit.store.group import CLOSE_S_MAX, GroupCommit, Rows
from gamekit.store.schema import EPOCH, SqlValue, Table, lay_out, tables_of
from gamekit.store.schema.layout import leave_mark, read_meta
from gamekit.store.writer import Tables, Writer

R = TypeVar("R", bound=Row)

ROWS_PER_TURN: Final = 256
"""Rows that a select decodes before other tasks get their turn."""

_BUSY_TIMEOUT_MS: Final = 1_000
"""Longest wait for a lock held by another program, such as a backup."""

_CACHE_KIB: Final = 64 * 1024
"""Page cache of the writer: the upper levels and the warm leaves of its indexes."""


class SqliteStore:
    """Implements `gamekit.ports.Store`. Make it with `open`."""

    def __init__(self, writer: Writer, reader: apsw.Connection, tables: Tables, executor: Executor, lock: int) -> None:
        """Take what `open` has made."""
        self._writer = writer
        self._reader = reader
        self._tables = tables
        self._executor = executor
        self._lock: int | None = lock
        self._commits = GroupCommit(executor, writer.write, writer.tend)
        self._journal_epoch = read_meta(reader, EPOCH) or b""

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        kinds: Iterable[type[Row]],
        executor: Executor,
        entropy: Callable[[int], bytes] = os.urandom,
        vfs: str | None = None,
    ) -> Self:
        """Open the journal, made with mode 0600 if it is missing, and check the whole file.

        Blocks: a large file takes about a second per gigabyte to check. Lowers the process's switch interval unless
        `executor` is inline; see `gamekit.store.executor.SWITCH_INTERVAL_S`.

        Args:
            path: the database file; `-wal`, `-shm` and `-lock` files lie beside it.
            kinds: every row type that will be written or read; `Meta` is always among them.
            executor: where writing runs, one call at a time. It stays the caller's: shut it down after `close`.
            entropy: where the epoch of a new journal comes from.
            vfs: name of a registered apsw VFS, for faults; None is the system's.

        Raises:
            StoreUnavailable: another process has it open, or the disk refuses.
            StoreError: damaged, or written by newer code than this.
            ConfigInvalid: a row type has a searched field that is no int, str or bytes.
        """
        if not isinstance(executor, InlineExecutor):
            let_threads_in()
        tables = tables_of(kinds)
        lock = lock_journal(path)
        try:
            writer = Writer(lambda: _connect(path, vfs, tables, entropy), tables)
            reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs)
            reader.set_busy_timeout(_BUSY_TIMEOUT_MS)
            return cls(writer, reader, tables, executor, lock)
        except apsw.Error as error:
            os.close(lock)
            raise _translate(error) from error
        except StoreError:
            os.close(lock)
            raise

    @property
    def journal_epoch(self) -> bytes:
        """16 random bytes: the birth of this journal."""
        return self._journal_epoch

    def new_epoch(self, entropy: Callable[[int], bytes] = os.urandom) -> "asyncio.Future[None]":
        """Give the journal another birth: after a restore, no older ack or idempotency key is this journal's."""
        self._journal_epoch = entropy(16)
        return self.commit([Meta(name=EPOCH, value=self._journal_epoch)])

    def commit(self, rows: Rows) -> "asyncio.Future[None]":
        """Queue rows for the next group; see `gamekit.ports.Store.commit`.

        Raises:
            StoreUnavailable: at once, when closed or when too many rows wait already.
        """
        return self._commits.commit(rows)

    async def get(self, kind: type[R], *key: int | str | bytes) -> R | None:
        """Read one row by its primary key; see `gamekit.ports.Store.get`."""
        table = self._table(kind)
        try:
            body = self._reader.execute(table.get_statement, table.key_values(key)).get
        except apsw.Error as error:
            raise _translate(error) from error
        return table.codec.decode(body) if isinstance(body, bytes) else None

    async def select(
        self, kind: type[R], *, after: int | None = None, limit: int | None = None, **where: int | str | bytes
    ) -> list[R]:
        """Read rows by equality, in primary-key order; see `gamekit.ports.Store.select`.

        Raises:
            TypeError: a field that stands in none of KEY, INDEX and UNIQUE.
        """
        table = self._table(kind)
        table.require_columns(tuple(where))
        values: list[SqlValue] = [table.columns[name].to_sql(value) for name, value in where.items()]
        values += [table.columns[kind.KEY[0]].to_sql(after)] if after is not None else []
        values += [limit] if limit is not None else []
        statement = table.select_statement(tuple(where), after=after is not None, limit=limit is not None)
        rows: list[R] = []
        try:
            for (body,) in self._reader.execute(statement, values):
                rows.append(table.codec.decode(cast("bytes", body)))
                if len(rows) % ROWS_PER_TURN == 0:
                    await asyncio.sleep(0)
        except apsw.Error as error:
            raise _translate(error) from error
        return rows

    async def last(self, kind: type[R]) -> R | None:
        """Read the row with the greatest primary key; see `gamekit.ports.Store.last`."""
        table = self._table(kind)
        try:
            body = self._reader.execute(table.last_statement).get
        except apsw.Error as error:
            raise _translate(error) from error
        return table.codec.decode(body) if isinstance(body, bytes) else None

    async def close(self) -> None:
        """Write what is queued, then close both connections and give up the lock.

        Raises: StoreUnavailable when the disk does not answer; the next start finds what is in the `-wal` file.
        """
        await self._commits.close()
        self._reader.close(True)
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await asyncio.wrap_future(self._executor.submit(self._writer.close))
        except TimeoutError:
            raise StoreUnavailable(f"the journal's disk has not answered for {CLOSE_S_MAX:g} s") from None
        self._unlock()

    def abandon(self) -> None:
        """Let go without writing what is queued, as a killed process would: for tests of a restart."""
        self._commits.abandon()
        self._writer.forsake()
        self._reader.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._reader.close(True)
        self._writer.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _table(self, kind: type[R]) -> Table[R]:
        return cast("Table[R]", self._tables[kind])


def _connect(path: str | Path, vfs: str | None, tables: Tables, entropy: Callable[[int], bytes]) -> apsw.Connection:
    """Open the file for writing: checked, laid out, and durably marked."""
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.pragma("journal_mode", "WAL")
        connection.pragma("synchronous", "FULL")
        connection.pragma("cache_size", -_CACHE_KIB)
        connection.pragma("secure_delete", True)
        connection.wal_autocheckpoint(0)  # `Writer.tend` does it, after the futures have resolved
        require_sound(connection)
        lay_out(connection, tables.values(), entropy)
        leave_mark(connection)
    except (apsw.Error, StoreError):
        connection.close(True)
        raise
    return connection


def require_sound(connection: apsw.Connection) -> None:
    """Refuse a damaged file: what it still holds cannot be told from what it has lost."""
    findings = connection.pragma("quick_check")
    if findings != "ok":
        raise StoreError("the journal's file is damaged", findings=str(findings)[:500])


def lock_journal(path: str | Path) -> int:
    """Take the journal for this process, and make its file readable by nobody else.

    A file of its own: closing any descriptor of the database file would drop SQLite's locks on it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        lock = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"cannot open the journal {path}: {error}", path=str(path)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreUnavailable(f"another process has the journal {path} open", path=str(path)) from error
    return lock


def _translate(error: apsw.Error) -> StoreError:
    """Give an error of the driver as ours."""
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StoreError(f"the journal's file is damaged: {error}")
    return StoreUnavailable(f"the journal cannot be read: {error}")
