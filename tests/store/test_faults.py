"""A disk that fails at each place, and the power going off: nothing acked is lost, and nothing refused comes back."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from gamekit.errors import StoreError, StoreUnavailable
from gamekit.store import InlineExecutor, SqliteStore
from gamekit.store import sqlite as sqlite_module
from tests.store.faults import Disk, faulty_disk
from tests.store.kinds import KINDS, Move, Slot, slot
from tests.store.planted import AckBeforeCommit

COMMITS = 6


@pytest.fixture
def disk() -> Iterator[Disk]:
    with faulty_disk() as disk:
        yield disk


def open_store(path: Path, vfs: str | None = None) -> SqliteStore:
    return SqliteStore.open(path, kinds=KINDS, executor=InlineExecutor(), vfs=vfs)


async def work(store: SqliteStore, numbers: range) -> tuple[set[int], set[int]]:
    """Commit two rows for each number; give which were acked and which refused."""
    acked: set[int] = set()
    refused: set[int] = set()
    for n in numbers:
        try:
            await store.commit([Move(n, "ada", str(n)), slot(n + 1)])
            acked.add(n)
        except StoreUnavailable:
            refused.add(n)
    return acked, refused


async def found(path: Path) -> set[int]:
    """Read which numbers a journal holds, none of them torn."""
    store = open_store(path)
    numbers = {move.move_id for move in await store.select(Move)}
    last = await store.select(Slot)
    await store.close()
    assert (last[0].sequence - 1 if last else -1) == max(numbers, default=-1), "torn"
    return numbers


def make_folders(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir()


def crashed(folder: Path, copy: str) -> Path:
    """Copy a journal as a crash would leave it now."""
    for name in ("journal.sqlite", "journal.sqlite-wal"):
        shutil.copy(folder / name, folder / copy / name)
    return folder / copy / "journal.sqlite"


async def fail_at(disk: Disk, folder: Path, place: int, fault: str, fail_for: int) -> bool:
    """Let one operation of a small workload fail, then crash; say whether there was such an operation."""
    make_folders(folder, folder / "at once", folder / "later")
    store = open_store(folder / "journal.sqlite", "faulty")
    try:
        disk.arm(place, fault, fail_for)
        acked, refused = await work(store, range(COMMITS))
        struck = disk.struck
        disk.disarm()
        if fail_for == 1:
            # Refused for good: the mark lies on what a failed sync has left in the file.
            assert await found(crashed(folder, "at once")) == acked
        more, _ = await work(store, range(COMMITS, COMMITS + 2))
        assert more == {COMMITS, COMMITS + 1}, "a disk that works again is used again"
        assert await found(crashed(folder, "later")) == acked | more
    finally:
        store.abandon()
    assert bool(refused) or not struck
    shutil.rmtree(folder)
    return struck


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "fail_for"), [("IOERR", 1), ("FULL", 1), ("IOERR", 30), ("FULL", 30)])
async def test_each_operation_fails(disk: Disk, tmp_path: Path, fault: str, fail_for: int) -> None:
    place = 0
    while await fail_at(disk, tmp_path / str(place), place, fault, fail_for):
        place += 1
    assert place > 9 * COMMITS - 10


async def test_each_operation_fails_finds_what_is_planted(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "GroupCommit", AckBeforeCommit)
    with pytest.raises(AssertionError):
        await fail_at(disk, tmp_path / "0", 0, "IOERR", 1)


async def survive_power_off(disk: Disk, tmp_path: Path) -> None:
    """Turn the power off after each ack."""
    store = open_store(tmp_path / "journal.sqlite", "faulty")
    try:
        for n in range(COMMITS):
            await work(store, range(n, n + 1))
            disk.power_off(tmp_path / str(n))
            assert await found(tmp_path / str(n) / "journal.sqlite") == set(range(n + 1))
    finally:
        await store.close()


async def test_power_off_loses_nothing(disk: Disk, tmp_path: Path) -> None:
    await survive_power_off(disk, tmp_path)


async def test_power_off_finds_what_is_planted(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect: Callable[..., apsw.Connection] = sqlite_module._connect

    def loose(*args: object) -> apsw.Connection:
        connection = connect(*args)
        connection.pragma("synchronous", "NORMAL")
        return connection

    monkeypatch.setattr(sqlite_module, "_connect", loose)
    with pytest.raises(AssertionError):
        await survive_power_off(disk, tmp_path)


async def test_broken_disk_refuses_until_it_works(disk: Disk, tmp_path: Path) -> None:
    store = open_store(tmp_path / "journal.sqlite", "faulty")
    disk.arm(0, "IOERR", fail_for=1_000)
    _, refused = await work(store, range(5))
    assert refused == set(range(5))
    disk.disarm()
    acked, _ = await work(store, range(5, 7))
    assert acked == {5, 6}
    assert {move.move_id for move in await store.select(Move)} == {5, 6}
    await store.close()


async def test_full_disk_refuses_and_says_so(disk: Disk, tmp_path: Path) -> None:
    store = open_store(tmp_path / "journal.sqlite", "faulty")
    disk.arm(0, "FULL")
    with pytest.raises(StoreUnavailable, match="planted FULL"):
        await store.commit([Move(1, "ada")])
    await store.close()


async def test_open_error_disk(disk: Disk, tmp_path: Path) -> None:
    disk.arm(0, "IOERR", fail_for=1_000)
    with pytest.raises(StoreError, match="IOERR"):
        open_store(tmp_path / "journal.sqlite", "faulty")
    disk.disarm()
    await open_store(tmp_path / "journal.sqlite", "faulty").close()


async def test_checkpoint_failure_loses_nothing(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gamekit.store.writer.WAL_PAGES_MAX", 1)
    for place in range(12):
        path = tmp_path / f"{place}.sqlite"
        store = open_store(path, "faulty")
        disk.arm(place, "IOERR")
        acked, refused = await work(store, range(COMMITS))
        disk.disarm()
        store.abandon()
        assert acked | refused == set(range(COMMITS))
        assert await found(path) == acked
