"""A disk that fails, a process that dies on it, the power going off: the real journal on it."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gamekit.core.journal import Meta
from gamekit.errors import StoreError, StoreUnavailable
from gamekit.store import InlineExecutor, SqliteStore
from gamekit.testing.disk import Disk, DiskExecutor, DiskVfs
from gamekit.testing.loop import VirtualLoop

VFS = "gamekit-test-disk"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "0").mkdir()
    disk = Disk(tmp_path / "0")
    vfs = DiskVfs(VFS, disk)
    yield disk
    vfs.unregister()


def open_store(disk: Disk) -> SqliteStore:
    return SqliteStore.open(disk.folder / "j", kinds=(), executor=InlineExecutor(), vfs=VFS)


async def values(disk: Disk) -> list[str]:
    store = open_store(disk)
    names = [row.name for row in await store.select(Meta) if row.name.startswith("k")]
    store.abandon()
    return names


async def test_a_crash_loses_nothing_that_was_written(disk: Disk) -> None:
    store = open_store(disk)
    await store.commit([Meta("k1", b"1")])
    disk.crash()
    store.abandon()
    assert await values(disk) == ["k1"]


async def test_what_the_dead_still_do_hurts_nobody(disk: Disk) -> None:
    store = open_store(disk)
    disk.crash()
    with pytest.raises(StoreUnavailable):
        await store.commit([Meta("k1", b"1")])
    store.abandon()
    assert await values(disk) == []


@pytest.mark.parametrize("seed", range(8))
async def test_a_power_failure_loses_nothing_that_was_acked(disk: Disk, seed: int) -> None:
    store = open_store(disk)
    for number in range(4):
        await store.commit([Meta(f"k{number}", bytes(3000))])
    disk.power_off(random.Random(seed))
    store.abandon()
    assert await values(disk) == ["k0", "k1", "k2", "k3"]


async def lost_without_sync(disk: Disk, seed: int) -> bool:
    """Whether acked rows, or the whole journal, are gone when nothing was synced."""
    store = open_store(disk)
    connection = store._writer._connection
    assert connection is not None
    connection.pragma("synchronous", "OFF")
    for number in range(4):
        await store.commit([Meta(f"k{number}", bytes(3000))])
    disk.power_off(random.Random(seed))
    store.abandon()
    try:
        return await values(disk) != ["k0", "k1", "k2", "k3"]
    except StoreError:
        return True


async def test_a_power_failure_finds_a_journal_that_does_not_sync(disk: Disk) -> None:
    assert await lost_without_sync(disk, 1)


@pytest.mark.parametrize("fault", ["IOERR", "FULL"])
@pytest.mark.parametrize("part", [False, True])
async def test_a_write_that_fails_is_refused(disk: Disk, fault: str, part: bool) -> None:
    store = open_store(disk)
    disk.arm(0, fault, part=part)
    with pytest.raises(StoreUnavailable, match=f"planted {fault}"):
        await store.commit([Meta("k1", b"1")])
    assert disk.struck
    assert disk.faults == 1
    disk.disarm()
    await store.commit([Meta("k2", b"2")])
    disk.crash()
    store.abandon()
    assert await values(disk) == ["k2"]


async def test_a_process_may_die_in_the_middle_of_a_write(disk: Disk) -> None:
    store = open_store(disk)
    await store.commit([Meta("k1", b"1")])
    asked: list[str] = []

    def dies(operation: str) -> bool:
        asked.append(operation)
        if len(asked) == 3:
            disk.crash()
        return len(asked) >= 3

    disk.dies = dies
    with pytest.raises(StoreUnavailable):
        await store.commit([Meta("k2", b"2")])
    store.abandon()
    disk.dies = lambda operation: False
    assert await values(disk) == ["k1"]
    assert asked[:3] == ["write"] * 3


def test_a_slow_disk_writes_in_order_each_in_its_time(disk: Disk) -> None:
    """In virtual time: whoever waits for the disk sees the world go on meanwhile."""
    disk.slow_s = 0.4
    disk.chance = random.Random(1)
    loop = VirtualLoop()
    ended: list[tuple[int, float]] = []

    async def write() -> None:
        executor = DiskExecutor(disk, asyncio.get_running_loop())
        store = SqliteStore.open(disk.folder / "j", kinds=(), executor=executor, vfs=VFS)
        for number in range(3):
            await store.commit([Meta(f"k{number}", b"")])
            ended.append((number, loop.time()))
        store.abandon()

    began = loop.time()
    loop.run(write())
    loop.close()
    takes = random.Random(1)
    expected = began
    for number, at in ended:
        expected += takes.uniform(0, 0.4)
        assert at == pytest.approx(expected), number
    assert asyncio.run(values(disk)) == ["k0", "k1", "k2"]


def test_a_slow_disk_that_fails_says_so(disk: Disk) -> None:
    disk.slow_s = 0.1
    loop = VirtualLoop()

    async def write() -> None:
        executor = DiskExecutor(disk, asyncio.get_running_loop())
        store = SqliteStore.open(disk.folder / "j", kinds=(), executor=executor, vfs=VFS)
        disk.arm(0, "FULL")
        with pytest.raises(StoreUnavailable):
            await store.commit([Meta("k", b"")])
        store.abandon()

    loop.run(write())
    loop.close()
