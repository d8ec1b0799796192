# ruff: noqa: S608 - names in these texts are constants of the row types; every value is bound
"""One kind of row as an SQLite table: a column for each field that is searched, and the whole row beside them.

No connection here: texts and values only. The columns repeat what stands in `body`, and can be made anew from it.
"""

import types
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Final, Generic, TypeVar, Union, get_args, get_origin

from msgspec import Struct

from gamekit.core.journal import Meta, Row
from gamekit.errors import ConfigInvalid
from gamekit.store.codec import RowCodec, hints_of
from gamekit.units import NonceKey, Wei

R = TypeVar("R", bound=Row)

SqlValue = int | str | bytes | None
"""What a column holds."""

ROWS_PER_STATEMENT_MAX: Final = 1024
"""Most rows in one INSERT. Every statement gives up the interpreter lock and, beside a busy event loop, gets it back
only after a switch interval (5 ms). Row by row that makes 500 rows per second, so rows travel by the thousand."""

_STATEMENT_LENGTH_MAX: Final = 16_000
"""Longest INSERT, in characters; apsw keeps no longer one prepared."""

_WIDE: Final[Mapping[object, int]] = {NonceKey: 24, Wei: 32}
"""Numbers too wide for an SQLite integer, kept as big-endian bytes of this width, so that their order stays."""

_SQL_TYPES: Final = ((int, "INTEGER"), (str, "TEXT"), (bytes, "BLOB"))


class Column(Struct, frozen=True):
    """A searched field."""

    name: str
    sql_type: str
    nullable: bool
    width: int
    """Bytes of a number kept as a BLOB; 0 for every other column."""

    @property
    def declaration(self) -> str:
        """What stands for it in CREATE TABLE."""
        return f'"{self.name}" {self.sql_type}' + ("" if self.nullable else " NOT NULL")

    def to_sql(self, value: SqlValue) -> SqlValue:
        """Give a field's value as the column holds it."""
        return value.to_bytes(self.width, "big") if self.width and isinstance(value, int) else value


class Table(Generic[R]):
    """The texts of one table's statements, and its rows as their values."""

    def __init__(self, kind: type[R]) -> None:
        hints = hints_of(kind)
        names = dict.fromkeys((*kind.KEY, *kind.INDEX, *(name for group in kind.UNIQUE for name in group)))
        self.kind = kind
        self.name = kind.TABLE
        self.columns = {name: _column(kind, name, hints[name]) for name in names}
        self.codec = RowCodec(kind)
        self._getters = [(attrgetter(name), column) for name, column in self.columns.items()]
        self._upserts: dict[tuple[int, bool], str] = {}
        searched = {*kind.KEY, *kind.INDEX}
        self.steady_columns = tuple(name for name in self.columns if name not in searched)
        """Fields that only make rows unique. They hardly ever change, but SQLite would always write their index."""
        width = 2 * len(self.columns) + 4  # the characters of one row's "(?,?),"
        self.rows_per_statement = _power_of_two_below(min(ROWS_PER_STATEMENT_MAX, _STATEMENT_LENGTH_MAX // width))

    @property
    def statements(self) -> dict[str, str]:
        """The name of the table and of each index, with the statement that makes it, exactly as SQLite keeps it."""
        columns = ", ".join([*(column.declaration for column in self.columns.values()), "body BLOB NOT NULL"])
        # Never WITHOUT ROWID: rows of some hundred bytes under a random key took twice as long that way, because their
        # neighbours in time then lie on pages far apart.
        made = {self.name: f'CREATE TABLE "{self.name}"({columns}, PRIMARY KEY({_names(self.kind.KEY)})) STRICT'}
        for prefix, fields in self._indexes():
            index = f"{self.name}_{'_'.join(fields)}"
            made[index] = f'CREATE {prefix} "{index}" ON "{self.name}"({_names(fields)})'
        return made

    def _indexes(self) -> list[tuple[str, Sequence[str]]]:
        return [("INDEX", (name,)) for name in self.kind.INDEX] + [
            ("UNIQUE INDEX", group) for group in self.kind.UNIQUE
        ]

    def upsert(self, count: int, *, steady: bool = False) -> str:
        """Give the statement that writes `count` rows; its values are those of `values`.

        FAIL leaves a failed statement half done: the transaction around it is rolled back anyway, and SQLite is spared
        the copy of each page that undoing one statement would need.

        Args:
            count: a power of two, at most `rows_per_statement`.
            steady: leave the fields of `steady_columns` and their index alone, and pass over the rows in which one of
                them changes.
        """
        if (count, steady) not in self._upserts:
            names = [*self.columns, "body"]
            kept = {*self.kind.KEY, *(self.steady_columns if steady else ())}
            row = f"({','.join('?' * len(names))})"
            update = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in kept)
            same = " AND ".join(f'"{name}" IS excluded."{name}"' for name in self.steady_columns)
            self._upserts[count, steady] = (
                f'INSERT OR FAIL INTO "{self.name}"({_names(names)}) VALUES {",".join([row] * count)} '
                f"ON CONFLICT({_names(self.kind.KEY)}) DO UPDATE SET {update}" + (f" WHERE {same}" if steady else "")
            )
        return self._upserts[count, steady]

    def values(self, rows: Sequence[R]) -> list[SqlValue]:
        """Give the values of rows, one row after the other, column by column as `upsert` wants them.

        Raises:
            TypeError, OverflowError: a field that no column or body can hold.
        """
        width = len(self._getters) + 1
        values: list[SqlValue] = [None] * (len(rows) * width)
        for place, (getter, column) in enumerate(self._getters):
            fields = map(getter, rows)
            values[place::width] = list(map(column.to_sql, fields)) if column.width else list(fields)
        values[width - 1 :: width] = self.codec.encode_all(rows)
        return values

    def key_of(self, row: R) -> tuple[SqlValue, ...]:
        """Give a row's primary key as the columns hold it."""
        return tuple(self.columns[name].to_sql(getattr(row, name)) for name in self.kind.KEY)

    def key_values(self, key: Sequence[int | str | bytes]) -> tuple[SqlValue, ...]:
        """Give a primary key as the columns hold it.

        Raises:
            TypeError: another number of values than the key has fields.
        """
        if len(key) != len(self.kind.KEY):
            raise TypeError(f"the key of {self.name} has {len(self.kind.KEY)} fields, got {len(key)}")
        return tuple(self.columns[name].to_sql(value) for name, value in zip(self.kind.KEY, key, strict=True))

    def require_columns(self, names: Sequence[str]) -> None:
        """Check that fields can be searched.

        Raises:
            TypeError: a field that stands in none of KEY, INDEX and UNIQUE.
        """
        for name in names:
            if name not in self.columns:
                raise TypeError(f"{self.name} cannot be searched by {name!r}, only by {', '.join(self.columns)}")

    @property
    def get_statement(self) -> str:
        """The statement that reads one body by its key."""
        return f'SELECT body FROM "{self.name}" WHERE ' + " AND ".join(f'"{name}" = ?' for name in self.kind.KEY)

    @property
    def last_statement(self) -> str:
        """The statement that reads the body with the greatest key."""
        order = ", ".join(f'"{name}" DESC' for name in self.kind.KEY)
        return f'SELECT body FROM "{self.name}" ORDER BY {order} LIMIT 1'

    def stored_statement(self, count: int) -> str:
        """Give the statement that reads the bodies of `count` keys, as one text of hexadecimal words.

        One result row means one return to the interpreter, whatever the number of bodies.
        """
        fields = self.kind.KEY
        if len(fields) == 1:
            among = f"({','.join('?' * count)})"
        else:
            among = f"(VALUES {','.join(['(' + ','.join('?' * len(fields)) + ')'] * count)})"
        return f"SELECT group_concat(hex(body), ' ') FROM \"{self.name}\" WHERE ({_names(fields)}) IN {among}"

    def select_statement(self, where: Sequence[str], *, after: bool, limit: bool) -> str:
        """Give the statement that reads bodies by equality, in the order of the key."""
        conditions = [f'"{name}" = ?' for name in where] + ([f'"{self.kind.KEY[0]}" > ?'] if after else [])
        return (
            f'SELECT body FROM "{self.name}"'
            + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
            + f" ORDER BY {_names(self.kind.KEY)}"
            + (" LIMIT ?" if limit else "")
        )


def tables_of(kinds: Iterable[type[Row]]) -> dict[type[Row], Table[Row]]:
    """Give a table for each kind of row, `Meta` always among them.

    Raises:
        ConfigInvalid: a searched field is no int, str or bytes.
    """
    unique: dict[type[Row], None] = dict.fromkeys([Meta, *kinds])
    return {kind: table_of(kind) for kind in unique}


@cache
def table_of(kind: type[R]) -> Table[R]:
    """Give the table of one kind of row: made once, since it only holds texts. Raises as `tables_of`."""
    return Table(kind)


def _column(kind: type[Row], name: str, hint: object) -> Column:
    """Derive a column from the annotation of a field."""
    nullable = False
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        nullable = len(options) < len(get_args(hint))
        hint = options[0] if len(options) == 1 else hint
    if hint in _WIDE:
        return Column(name=name, sql_type="BLOB", nullable=nullable, width=_WIDE[hint])
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    for base, sql_type in _SQL_TYPES:
        if isinstance(hint, type) and issubclass(hint, base):
            return Column(name=name, sql_type=sql_type, nullable=nullable, width=0)
    raise ConfigInvalid(f"{kind.__name__}.{name} is {hint}, but only int, str and bytes can be searched", field=name)


def _names(fields: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in fields)


def _power_of_two_below(limit: int) -> int:
    """Give the largest power of two that is not above `limit`, 1 at least."""
    return 1 << (max(limit, 1).bit_length() - 1)
