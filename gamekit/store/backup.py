"""Copies of the journal: taken while a server writes, and put back in its place.

A copy is one instant of the journal: SQLite reads it within one transaction, while the writer goes on. What a restore
puts back has another epoch, so that no ack and no key of before counts for it, and a mark, so that nothing is signed
until the chain has told what the copy does not know; see `gamekit.core.restoring`.
"""

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from gamekit.core.restoring import ENDED, RESTORED, EndedEpochs, ended_by_restore
from gamekit.errors import ConfigInvalid, StoreError, StoreUnavailable
from gamekit.store.schema import EPOCH
from gamekit.store.schema.layout import read_meta, write_meta
from gamekit.store.sqlite import lock_journal, require_sound
from gamekit.units import Cursor

_BUSY_TIMEOUT_MS: Final = 5_000
_SUFFIXES: Final = ("", "-wal", "-shm")


class Copied(Struct, frozen=True):
    """What was copied."""

    path: str
    size_bytes: int
    journal_epoch: bytes
    """That of the journal as it is in the copy; after a restore, the new one."""


def backup(journal: Path, copy: Path) -> Copied:
    """Copy a journal as it is at one instant, whether or not a server has it open; the copy is on disk then.

    The master key's file is not part of it, and without that file no session key in the copy opens.

    Raises: ConfigInvalid when there is no journal, or something stands where the copy should be; StoreError when the
        journal is damaged; StoreUnavailable when the disk fails.
    """
    if not journal.is_file():
        raise ConfigInvalid(f"there is no journal at {journal}", path=str(journal))
    if copy.exists():
        raise ConfigInvalid(f"{copy} exists; a backup overwrites nothing", path=str(copy))
    draft = copy.with_name(f"{copy.name}.draft")
    try:
        epoch = _copy(journal, draft)
        draft.replace(copy)
        _sync_folder(copy)
    except apsw.Error as error:
        raise StoreUnavailable(f"cannot back up {journal}: {error}", path=str(journal)) from error
    except OSError as error:
        raise StoreUnavailable(f"cannot write the backup {copy}: {error}", path=str(copy)) from error
    return Copied(str(copy), copy.stat().st_size, epoch)


def restore(copy: Path, journal: Path, entropy: Callable[[int], bytes] = os.urandom) -> Copied:
    """Put a copy in the journal's place; what was there is kept beside it, under `.before-restore` and a number.

    Raises: ConfigInvalid when there is no copy; StoreUnavailable when a server has the journal open, or the disk fails;
        StoreError when the copy is damaged, or no journal.
    """
    if not copy.is_file():
        raise ConfigInvalid(f"there is no backup at {copy}", path=str(copy))
    existed = journal.exists()
    lock = lock_journal(journal)
    draft = journal.with_name(f"{journal.name}.draft")
    try:
        _copy(copy, draft)
        epoch = entropy(16)
        _mark_restored(draft, epoch, journal)
        if existed:
            _put_aside(journal)
        draft.replace(journal)
        _sync_folder(journal)
    except apsw.Error as error:
        raise StoreUnavailable(f"cannot restore {copy}: {error}", path=str(copy)) from error
    except OSError as error:
        raise StoreUnavailable(f"cannot write the journal {journal}: {error}", path=str(journal)) from error
    finally:
        os.close(lock)
    return Copied(str(journal), journal.stat().st_size, epoch)


def _copy(source: Path, draft: Path) -> bytes:
    """Copy into a new file and check it. Gives its epoch."""
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            Path(f"{draft}{suffix}").unlink()  # of an attempt that was cut off
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    reading = _reader(source)
    writing = apsw.Connection(str(draft))
    try:
        reading.set_busy_timeout(_BUSY_TIMEOUT_MS)
        with writing.backup("main", reading, "main") as copying:
            copying.step(-1)  # all pages within one read transaction: what is written meanwhile is not in it
        require_sound(writing)
        epoch, _ = _history(writing)
        writing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.NotADBError as error:
        raise StoreError(f"{source} is no journal: {error}", path=str(source)) from error
    finally:
        reading.close(True)
        writing.close(True)
    _sync(draft)
    return epoch


def _mark_restored(draft: Path, epoch: bytes, journal: Path) -> None:
    """Give a copy another epoch, the mark of a restore, and what both end; `journal` is what it will replace."""
    replaced = None
    # What cannot be read is what people restore. Its clients then begin at the newest event.
    with suppress(apsw.Error, StoreError), closing(_reader(journal)) as reading:
        replaced = _history(reading)
    with closing(apsw.Connection(str(draft))) as writing:
        with writing:
            copied = _history(writing)
            newest = writing.execute("SELECT coalesce(max(cursor), 0) FROM event").get
            write_meta(writing, EPOCH, epoch)
            write_meta(writing, RESTORED, copied[0])
            write_meta(writing, ENDED, msgspec.msgpack.encode(ended_by_restore(copied, Cursor(newest), replaced)))
        writing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    _sync(draft)


def _reader(journal: Path) -> apsw.Connection:
    return apsw.Connection(str(journal), flags=apsw.SQLITE_OPEN_READONLY)


def _history(connection: apsw.Connection) -> tuple[bytes, EndedEpochs]:
    """Read a journal's epoch, and those that it knows of before it."""
    try:
        epoch, ended = read_meta(connection, EPOCH), read_meta(connection, ENDED)
    except apsw.SQLError as error:
        raise StoreError(f"this file is no journal: {error}") from error
    if epoch is None:
        raise StoreError("this file is no journal: it has no epoch")
    return epoch, msgspec.msgpack.decode(ended, type=EndedEpochs) if ended else {}


def _sync(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _put_aside(journal: Path) -> None:
    number = 1
    while (aside := journal.with_name(f"{journal.name}.before-restore.{number}")).exists():
        number += 1
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            Path(f"{journal}{suffix}").replace(f"{aside}{suffix}")


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
