"""Copies of the journal: one instant of it while it is written, and put back as another journal."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from gamekit.core.journal import Event, Meta
from gamekit.core.restoring import ENDED, RESTORED, EndedEpochs
from gamekit.errors import ConfigInvalid, StoreError, StoreUnavailable
from gamekit.store import InlineExecutor, SqliteStore, writer_thread
from gamekit.store.backup import backup, restore
from gamekit.units import Cursor, PlayerId, UnixSeconds


def opened(path: Path) -> SqliteStore:
    return SqliteStore.open(path, kinds=[Meta, Event], executor=InlineExecutor())


def on_disk(path: Path) -> tuple[int, int]:
    """Size and mode of a file."""
    status = path.stat()
    return status.st_size, status.st_mode & 0o777


def lose(folder: Path) -> None:
    """Delete the journal."""
    for each in folder.glob("journal*"):
        each.unlink()


async def journal(path: Path, *names: str) -> bytes:
    """A closed journal with these rows; gives its epoch."""
    store = opened(path)
    await store.commit([Meta(name, b"1") for name in names])
    await store.close()
    return store.journal_epoch


async def names(path: Path) -> set[str]:
    store = opened(path)
    found = {row.name for row in await store.select(Meta)}
    await store.close()
    return found


async def test_backup_default(tmp_path: Path) -> None:
    epoch = await journal(tmp_path / "journal", "a")
    made = backup(tmp_path / "journal", tmp_path / "copy")
    assert (made.path, made.journal_epoch) == (str(tmp_path / "copy"), epoch)
    assert (made.size_bytes, 0o600) == on_disk(tmp_path / "copy")
    assert "a" in await names(tmp_path / "copy")


async def test_backup_behavior_one_instant_while_it_is_written(tmp_path: Path) -> None:
    """Pairs of rows are written without a pause; every copy holds whole pairs, and all that was on disk before it."""
    with writer_thread() as executor:
        store = SqliteStore.open(tmp_path / "journal", kinds=[Meta], executor=executor)
        written = [0]

        async def write() -> None:
            while True:
                number = written[0] + 1
                await store.commit([Meta(f"left{number}", b"1"), Meta(f"right{number}", bytes(2000))])
                written[0] = number

        writing = asyncio.create_task(write())
        for number in range(8):
            before = written[0]
            while written[0] == before:  # noqa: ASYNC110 - it counts commits
                await asyncio.sleep(0)
            sure = written[0]
            await asyncio.to_thread(backup, tmp_path / "journal", tmp_path / f"copy{number}")
            found = await names(tmp_path / f"copy{number}")
            left = {name.removeprefix("left") for name in found if name.startswith("left")}
            assert left == {name.removeprefix("right") for name in found if name.startswith("right")}
            assert {str(each) for each in range(1, sure + 1)} <= left
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await store.close()
    assert written[0] >= 8


async def test_backup_error_no_journal(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no journal"):
        backup(tmp_path / "journal", tmp_path / "copy")


async def test_backup_error_overwrites_nothing(tmp_path: Path) -> None:
    await journal(tmp_path / "journal")
    (tmp_path / "copy").write_text("dear")
    with pytest.raises(ConfigInvalid, match="overwrites nothing"):
        backup(tmp_path / "journal", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "dear"


async def test_backup_error_no_folder(tmp_path: Path) -> None:
    await journal(tmp_path / "journal")
    with pytest.raises(StoreUnavailable):
        backup(tmp_path / "journal", tmp_path / "nowhere" / "copy")


async def test_backup_behavior_after_one_that_was_cut_off(tmp_path: Path) -> None:
    await journal(tmp_path / "journal", "a")
    (tmp_path / "copy.draft").write_bytes(b"half")
    backup(tmp_path / "journal", tmp_path / "copy")
    assert "a" in await names(tmp_path / "copy")


async def test_restore_default(tmp_path: Path) -> None:
    epoch = await journal(tmp_path / "journal", "a")
    backup(tmp_path / "journal", tmp_path / "copy")
    await journal(tmp_path / "journal", "b")
    made = restore(tmp_path / "copy", tmp_path / "journal")
    store = opened(tmp_path / "journal")
    assert store.journal_epoch == made.journal_epoch != epoch
    assert await store.get(Meta, RESTORED) == Meta(RESTORED, epoch)
    await store.close()
    assert "b" not in await names(tmp_path / "journal")
    assert "b" in await names(tmp_path / "journal.before-restore.1")


async def play_until(path: Path, cursor: int) -> None:
    """Write events up to this one."""
    store = opened(path)
    last = await store.last(Event)
    for each in range(last.cursor if last else 0, cursor):
        await store.commit([Event(Cursor(each + 1), "settled", PlayerId("p"), UnixSeconds(0), b"")])
    await store.close()


async def ended(path: Path) -> EndedEpochs:
    store = opened(path)
    row = await store.get(Meta, ENDED)
    await store.close()
    return msgspec.msgpack.decode(row.value, type=EndedEpochs) if row else {}


async def test_restore_behavior_tells_where_each_epoch_ended(tmp_path: Path) -> None:
    """A client of any older epoch goes on at the last event that this journal has in common with what it read."""
    path, early, late = tmp_path / "journal", tmp_path / "early", tmp_path / "late"
    first = await journal(path)
    await play_until(path, 2)
    backup(path, early)
    await play_until(path, 7)
    second = restore(early, path).journal_epoch
    await play_until(path, 5)
    backup(path, late)
    await play_until(path, 9)
    third = restore(late, path).journal_epoch
    assert await ended(path) == {first: 2, second: 5}
    await play_until(path, 8)
    fourth = restore(early, path).journal_epoch  # which knows of none of the others
    assert await ended(path) == {first: 2, second: 2, third: 2}
    path.write_bytes(b"unreadable")
    restore(late, path)
    assert await ended(path) == {first: 2, second: 5}  # nothing tells of the third and the fourth
    lose(tmp_path)
    restore(early, path)
    assert await ended(path) == {first: 2}
    assert len({first, second, third, fourth}) == 4


async def test_restore_behavior_where_nothing_is_left(tmp_path: Path) -> None:
    await journal(tmp_path / "journal", "a")
    backup(tmp_path / "journal", tmp_path / "copy")
    lose(tmp_path)
    restore(tmp_path / "copy", tmp_path / "journal")
    assert {"a", RESTORED} <= await names(tmp_path / "journal")


async def test_restore_behavior_twice_keeps_both(tmp_path: Path) -> None:
    await journal(tmp_path / "journal", "a")
    backup(tmp_path / "journal", tmp_path / "copy")
    epochs = {restore(tmp_path / "copy", tmp_path / "journal").journal_epoch for _ in range(2)}
    assert len(epochs) == 2
    assert (tmp_path / "journal.before-restore.2").exists()


async def test_restore_error_in_use(tmp_path: Path) -> None:
    await journal(tmp_path / "journal", "a")
    backup(tmp_path / "journal", tmp_path / "copy")
    store = opened(tmp_path / "journal")
    with pytest.raises(StoreUnavailable, match="another process"):
        restore(tmp_path / "copy", tmp_path / "journal")
    await store.close()


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
async def test_restore_error_no_copy_of_a_journal(tmp_path: Path, content: bytes) -> None:
    epoch = await journal(tmp_path / "journal", "a")
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(StoreError):
        restore(tmp_path / "copy", tmp_path / "journal")
    store = opened(tmp_path / "journal")
    assert store.journal_epoch == epoch
    await store.close()


async def test_restore_error_damaged(tmp_path: Path) -> None:
    await journal(tmp_path / "journal", *map(str, range(2000)))
    backup(tmp_path / "journal", tmp_path / "copy")
    content = bytearray((tmp_path / "copy").read_bytes())
    content[8192:12288] = bytes(4096)
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        restore(tmp_path / "copy", tmp_path / "journal")


async def test_restore_error_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no backup"):
        restore(tmp_path / "copy", tmp_path / "journal")
