"""What only a file has: a lock, a mode, damage, a crash."""

import asyncio
import stat
from pathlib import Path

import apsw
import pytest

from gamekit.core.journal import Meta
from gamekit.errors import StoreConflict, StoreError, StoreUnavailable
from gamekit.store import InlineExecutor, SqliteStore
from gamekit.store import sqlite as sqlite_module
from tests.store.kinds import KINDS, Move, slot


def open_store(path: Path) -> SqliteStore:
    return SqliteStore.open(path, kinds=KINDS, executor=InlineExecutor())


def damage(path: Path) -> None:
    """Flip bits in several pages."""
    data = bytearray(path.read_bytes())
    for at in range(5 * 4096, 12 * 4096, 64):
        data[at] ^= 0xFF
    path.write_bytes(data)


def log_bytes(path: Path) -> int:
    """Length of the write-ahead log."""
    return Path(f"{path}-wal").stat().st_size


def content(path: Path) -> bytes:
    """The database file."""
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


async def test_open_behavior_survives(path: Path) -> None:
    store = open_store(path)
    epoch = store.journal_epoch
    await store.commit([Move(1, "ada")])
    await store.close()
    again = open_store(path)
    assert await again.get(Move, 1) == Move(1, "ada")
    assert again.journal_epoch == epoch
    await again.close()


async def test_open_behavior_durable_settings(path: Path) -> None:
    store = open_store(path)
    connection = store._writer._connection
    assert connection is not None
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("secure_delete") == 1
    await store.close()


async def test_open_behavior_files_are_private(path: Path) -> None:
    store = open_store(path)
    await store.commit([Move(1, "ada")])
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    await store.close()


async def test_open_error_locked(path: Path) -> None:
    store = open_store(path)
    with pytest.raises(StoreUnavailable, match="another process"):
        open_store(path)
    await store.close()
    await open_store(path).close()


def test_open_error_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot open"):
        open_store(tmp_path / "missing" / "journal.sqlite")


async def test_open_error_damaged(path: Path) -> None:
    store = open_store(path)
    await store.commit([Move(n, "ada", str(n), bytes(500)) for n in range(200)])
    await store.close()
    damage(path)
    with pytest.raises(StoreError, match="damaged"):
        open_store(path)


def test_open_error_no_database(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="damaged"):
        open_store(path)


async def test_abandon_behavior_loses_only_what_was_queued(path: Path) -> None:
    store = open_store(path)
    await store.commit([Move(1, "ada")])
    store.commit([Move(2, "ada")])
    store.abandon()
    again = open_store(path)
    assert await again.select(Move) == [Move(1, "ada")]
    await again.close()


async def test_commit_error_value_leaves_the_group(path: Path) -> None:
    store = open_store(path)
    futures = [store.commit([Move(n, "ada")]) for n in (1, 1 << 63, 2)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), StoreError, type(None)]
    assert [move.move_id for move in await store.select(Move)] == [1, 2]
    await store.close()


async def test_commit_behavior_many_rows_many_conflicts(path: Path) -> None:
    store = open_store(path)
    await store.commit([Move(n, "ada", str(n)) for n in range(3_001)])
    commits = [[Move(5_000 + n, "ada", str(n) if n % 7 == 0 else None), slot(n + 1)] for n in range(500)]
    results = await asyncio.gather(*map(store.commit, commits), return_exceptions=True)
    conflicts = [n for n, result in enumerate(results) if isinstance(result, StoreConflict)]
    assert conflicts == list(range(0, 500, 7))
    assert len(await store.select(Move)) == 3_001 + 500 - len(conflicts)
    await store.close()


async def test_get_behavior_sees_what_has_resolved_only(path: Path) -> None:
    store = open_store(path)
    future = store.commit([Move(1, "ada")])
    assert await store.get(Move, 1) is None
    await future
    assert await store.get(Move, 1) is not None
    await store.close()


async def test_select_behavior_one_instant(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "ROWS_PER_TURN", 10)
    store = open_store(path)
    await store.commit([Move(n, "ada") for n in range(100)])
    reading = asyncio.create_task(store.select(Move))
    await asyncio.sleep(0)
    await store.commit([Move(n, "bob") for n in range(200)])
    assert not reading.done()
    assert await reading == [Move(n, "ada") for n in range(100)]
    await store.close()


async def test_get_error_closed(path: Path) -> None:
    store = open_store(path)
    await store.close()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await store.get(Move, 1)


async def test_tend_behavior_log_stays_short(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gamekit.store.writer.WAL_PAGES_MAX", 50)
    store = open_store(path)
    for n in range(100):
        await store.commit([Move(n, "ada", str(n), bytes(3_000))])
    assert log_bytes(path) < 120 * 4_120
    assert len(await store.select(Move)) == 100
    await store.close()


async def test_journal_epoch_args_entropy(path: Path) -> None:
    store = SqliteStore.open(path, kinds=KINDS, executor=InlineExecutor(), entropy=lambda count: b"\x05" * count)
    assert store.journal_epoch == b"\x05" * 16
    await store.close()


async def test_new_epoch_behavior_survives(path: Path) -> None:
    store = open_store(path)
    before = store.journal_epoch
    await store.new_epoch()
    after = store.journal_epoch
    await store.close()
    again = open_store(path)
    assert again.journal_epoch == after != before
    await again.close()


async def test_open_error_newer_schema(path: Path) -> None:
    store = open_store(path)
    await store.commit([Meta(name="schema_version", value=b"2")])
    await store.close()
    before = content(path)
    with pytest.raises(StoreError, match="schema version 2") as caught:
        open_store(path)
    assert caught.value.compared == {"found": 2, "supported": 1}
    assert content(path) == before


def test_apsw_brings_a_sound_sqlite() -> None:
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)


async def test_commit_error_locked_by_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that holds the lock makes a commit wait so long, and then it is refused; the next one is taken."""
    monkeypatch.setattr("gamekit.store.sqlite._BUSY_TIMEOUT_MS", 20)
    store = SqliteStore.open(path, kinds=[Meta], executor=InlineExecutor())
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await store.commit([Meta("a", b"1")])
    other.execute("ROLLBACK")
    await store.commit([Meta("b", b"1")])
    assert await store.get(Meta, "a") is None
    assert await store.get(Meta, "b") == Meta("b", b"1")
    other.close()
    await store.close()
