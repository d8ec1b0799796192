"""The journal in memory, for tests: the same promises, except that nothing outlives the process."""

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from gamekit.core.journal import Meta, Row
from gamekit.errors import StoreConflict, StoreError
from gamekit.store.executor import InlineExecutor
from gamekit.store.group import GroupCommit, Outcomes, Rows
from gamekit.store.schema import EPOCH, SCHEMA_VERSION, SqlValue, tables_of
from gamekit.store.schema.layout import VERSION
from gamekit.store.writer import Stored, admit

R = TypeVar("R", bound=Row)
_Key = tuple[SqlValue, ...]


class MemoryStore:
    """Implements `gamekit.ports.Store`."""

    def __init__(self, kinds: Iterable[type[Row]], entropy: Callable[[int], bytes] = os.urandom) -> None:
        """Make an empty journal of these kinds of rows, `Meta` always among them."""
        self._tables = tables_of(kinds)
        self._rows: dict[type[Row], dict[_Key, Row]] = {kind: {} for kind in self._tables}
        self._unique: dict[tuple[type[Row], tuple[str, ...], _Key], _Key] = {}
        self._commits = GroupCommit(InlineExecutor(), self._write)
        self._journal_epoch = entropy(16)
        self._put(Meta(name=EPOCH, value=self._journal_epoch))
        self._put(Meta(name=VERSION, value=str(SCHEMA_VERSION).encode()))

    @property
    def journal_epoch(self) -> bytes:
        """16 random bytes: the birth of this journal."""
        return self._journal_epoch

    def new_epoch(self, entropy: Callable[[int], bytes] = os.urandom) -> "asyncio.Future[None]":
        """Give the journal another birth, as after a restore."""
        self._journal_epoch = entropy(16)
        return self.commit([Meta(name=EPOCH, value=self._journal_epoch)])

    def commit(self, rows: Rows) -> "asyncio.Future[None]":
        """Queue rows for the end of this turn of the loop; see `gamekit.ports.Store.commit`."""
        return self._commits.commit(rows)

    async def get(self, kind: type[R], *key: int | str | bytes) -> R | None:
        """Read one row by its primary key; see `gamekit.ports.Store.get`."""
        return cast("R | None", self._rows[kind].get(self._tables[kind].key_values(key)))

    async def select(
        self, kind: type[R], *, after: int | None = None, limit: int | None = None, **where: int | str | bytes
    ) -> list[R]:
        """Read rows by equality, in primary-key order; see `gamekit.ports.Store.select`."""
        self._tables[kind].require_columns(tuple(where))
        found = [
            row
            for _, row in sorted(self._rows[kind].items())
            if all(getattr(row, name) == value for name, value in where.items())
            and (after is None or getattr(row, kind.KEY[0]) > after)
        ]
        return cast("list[R]", found[:limit])

    async def last(self, kind: type[R]) -> R | None:
        """Read the row with the greatest primary key; see `gamekit.ports.Store.last`."""
        rows = self._rows[kind]
        return cast("R", rows[max(rows)]) if rows else None

    async def close(self) -> None:
        """Take what is queued, then refuse."""
        await self._commits.close()

    def _write(self, commits: list[Rows]) -> Outcomes:
        return [self._write_one(rows) for rows in commits]

    def _write_one(self, rows: Rows) -> StoreError | None:
        """Apply a commit, all or none."""
        if unknown := [type(row).__name__ for row in rows if type(row) not in self._tables]:
            return StoreError(f"the journal cannot hold this row: it was not opened for {unknown[0]}")
        stored: Stored = {}
        for row in rows:
            key = self._tables[type(row)].key_of(row)
            if row.GUARDED and key in self._rows[type(row)]:
                stored[type(row), key] = self._rows[type(row)][key]
        refusal: StoreError | None = admit(self._tables, rows, stored)
        replaced: list[tuple[Row, Row | None]] = []
        for row in rows if refusal is None else ():
            taken = self._taken_by(row)
            if taken is not None:
                refusal = StoreConflict(f"another row stands there: {type(row).TABLE} {taken}", table=type(row).TABLE)
                break
            replaced.append((row, self._put(row)))
        if refusal is not None:
            for row, before in reversed(replaced):
                self._take(row)
                if before is not None:
                    self._put(before)
        return refusal

    def _claims(self, row: Row) -> Iterable[tuple[type[Row], tuple[str, ...], _Key]]:
        """Give what a row claims for itself; a group with a None in it claims nothing."""
        for group in row.UNIQUE:
            values = tuple(getattr(row, name) for name in group)
            if None not in values:
                yield type(row), group, values

    def _taken_by(self, row: Row) -> tuple[str, ...] | None:
        """Say which unique group of this row belongs to another one already."""
        key = self._tables[type(row)].key_of(row)
        return next((claim[1] for claim in self._claims(row) if self._unique.get(claim, key) != key), None)

    def _put(self, row: Row) -> Row | None:
        """Write a row, and give the one that it replaced."""
        key = self._tables[type(row)].key_of(row)
        before = self._rows[type(row)].get(key)
        if before is not None:
            self._take(before)
        self._rows[type(row)][key] = row
        self._unique.update(dict.fromkeys(self._claims(row), key))
        return before

    def _take(self, row: Row) -> None:
        """Remove a row."""
        del self._rows[type(row)][self._tables[type(row)].key_of(row)]
        for claim in self._claims(row):
            del self._unique[claim]
