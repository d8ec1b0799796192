"""The transaction: few statements, and guards asked in order."""

from collections.abc import Iterator

import apsw
import pytest

from gamekit.errors import StoreConflict
from gamekit.store.schema import lay_out, tables_of
from gamekit.store.writer import Stored, Writer, admit
from tests.store.kinds import KINDS, Move, Slot, slot

TABLES = tables_of(KINDS)


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    lay_out(connection, TABLES.values(), bytes)
    yield connection
    connection.close()


def statements(connection: apsw.Connection, commits: list[list[Move | Slot]]) -> list[str]:
    """Write a group, and give the first word of each statement that ran."""
    ran: list[str] = []

    def trace(_cursor: apsw.Cursor, sql: str, _bindings: "apsw.Bindings | None") -> bool:
        ran.append(sql.split(maxsplit=1)[0].rstrip(";"))
        return True

    connection.exec_trace = trace
    assert Writer(lambda: connection, TABLES).write(list(commits)) == [None] * len(commits)
    return ran


@pytest.mark.parametrize(("count", "inserts"), [(1, 1), (1024, 1), (1025, 2), (3 * 1024 + 5, 5)])
def test_write_behavior_few_statements(connection: apsw.Connection, count: int, inserts: int) -> None:
    ran = statements(connection, [[Move(n, "ada")] for n in range(count)])
    assert ran == ["BEGIN", *["INSERT"] * inserts, "COMMIT"]


def test_write_behavior_guards_are_read_together(connection: apsw.Connection) -> None:
    ran = statements(connection, [[slot(1, n.to_bytes(4, "big")), Move(n, "ada")] for n in range(512)])
    assert ran == ["BEGIN", "SELECT", "INSERT", "INSERT", "COMMIT"]


def test_write_behavior_steady_key_twice(connection: apsw.Connection) -> None:
    statements(connection, [[Move(n, "ada", str(n))] for n in range(64)])
    assert statements(connection, [[Move(n, "ada", str(n), b"1")] for n in range(64)]).count("INSERT") == 1
    assert statements(connection, [[Move(n, "ada", str(n + 64))] for n in range(64)]).count("INSERT") == 2


def test_write_behavior_nothing_is_left_open(connection: apsw.Connection) -> None:
    writer = Writer(lambda: connection, TABLES)
    (refusal,) = writer.write([[Move(1, "ada", "x"), Move(2, "ada", "x")]])
    assert isinstance(refusal, StoreConflict)
    assert not connection.in_transaction


def test_write_error_defect_in_a_guard(connection: apsw.Connection) -> None:
    class Broken(Slot, frozen=True):
        def admit(self, stored: Slot | None) -> str:
            raise AttributeError("a defect")

    tables = TABLES | tables_of([Broken])
    with pytest.raises(AttributeError):
        Writer(lambda: connection, tables).write([[Broken(b"a", slot(1).nonce_key, 1)]])
    assert not connection.in_transaction


def test_admit_behavior_writes_what_is_stored_next() -> None:
    stored: Stored = {}
    assert admit(TABLES, [slot(1)], stored) is None
    assert admit(TABLES, [slot(2), slot(3)], stored) is None
    refusal = admit(TABLES, [slot(4), slot(4)], stored)
    assert refusal is not None
    assert refusal.compared["table"] == "slot"
    assert list(stored.values()) == [slot(3)]
