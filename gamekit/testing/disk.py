"""A disk that fails when it is told to: an apsw VFS over real files, which remembers what no sync has made durable.

The journal that runs on it is the real one. A process that dies leaves what it has written; a power failure leaves
what was synced, and of the rest whatever the disk had got to. No call goes to the machine's own fsync: what "durable"
means is decided here.
"""

import asyncio
import random
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import apsw
from msgspec import Struct

from gamekit.store import InlineExecutor

P = ParamSpec("P")
T = TypeVar("T")

FAULTS: dict[str, type[apsw.Error]] = {"IOERR": apsw.IOError, "FULL": apsw.FullError}


class _Write(Struct):
    """One write that no sync has made durable, and how to take it back."""

    name: str
    offset: int
    data: bytes | None
    """None: the file was cut off at `offset`."""
    before: bytes
    size: int
    """Of the file before."""


class Disk:
    """What a faulty disk knows: how often it was written and synced, what is not durable, and which fault comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Where the files of the present life are."""
        self.operations = 0
        """Writes and syncs since the last `arm`."""
        self.faults = 0
        """How many faults came to pass."""
        self.counts = {"write": 0, "sync": 0}
        self.remembers = True
        """Whether what is not durable is written down: a power failure needs it, and it costs time."""
        self.dies: Callable[[str], bool] = lambda operation: False  # noqa: ARG005
        """Asked at each write and sync whether the process dies there; it has then died already."""
        self.slow_s = 0.0
        """Virtual seconds that a commit takes at most: what happens meanwhile meets a journal that does not know it."""
        self.chance = random.Random(0)
        """How long each takes."""
        self._deaths = 0
        self._fail_at = -1
        self._fail_for = 1
        self._fault = "IOERR"
        self._part = False
        self._loose: list[_Write] = []

    def arm(self, fail_at: int, fault: str, fail_for: int = 1, *, part: bool = False) -> None:
        """Fail the write or sync with this index, counted from now, and the next ones up to `fail_for`.

        Args:
            fail_at: index of the first that fails, from 0.
            fault: `IOERR` or `FULL`.
            fail_for: how many fail.
            part: whether a write that fails has written its first half.
        """
        self.operations = 0
        self._fail_at, self._fault, self._fail_for, self._part = fail_at, fault, fail_for, part

    def disarm(self) -> None:
        """Work again."""
        self._fail_at = -1

    def takes_s(self) -> float:
        """How long the next commit takes, in virtual seconds."""
        return self.chance.uniform(0, self.slow_s) if self.slow_s else 0.0

    @property
    def struck(self) -> bool:
        """Whether the armed fault came to pass."""
        return 0 <= self._fail_at < self.operations

    def happen(self, operation: str) -> apsw.Error | None:
        """Count a write or a sync; give the error if its turn to fail has come."""
        place, self.operations = self.operations, self.operations + 1
        self.counts[operation] += 1
        if 0 <= self._fail_at <= place < self._fail_at + self._fail_for:
            self.faults += 1
            return FAULTS[self._fault](f"planted {self._fault} at {operation} {place}")
        return None

    def is_of_the_dead(self, name: str) -> bool:
        """Whether a file belongs to a process that has died: nothing that happens to it matters."""
        return Path(name).parent != self.folder

    @property
    def writes_part(self) -> bool:
        """Whether a write that fails leaves its first half behind."""
        return self._part

    def loosen(self, write: _Write) -> None:
        """Remember a write that a power failure may undo."""
        self._loose.append(write)

    def fasten(self, name: str) -> None:
        """A sync: what was written to this file is durable."""
        self._loose = [each for each in self._loose if each.name != name]

    def crash(self) -> None:
        """Copy the file and its log as a dead process leaves them, into a folder that becomes the next life's.

        The files of the dead stay where they are, so that whatever it still does to them hurts nobody.
        """
        folder = self._next()
        for path in self._files(self.folder):
            shutil.copyfile(path, folder / path.name)
        self._take(folder)

    def power_off(self, chance: random.Random) -> None:
        """The same for a power failure: what no sync made durable is there, is not, or is torn, as chance has it."""
        contents = {path.name: bytearray(path.read_bytes()) for path in self._files(self.folder)}
        for write in reversed(self._loose):
            content = contents.get(Path(write.name).name)
            if content is not None:
                end = write.offset + len(write.before)
                content[write.offset : end] = write.before
                del content[write.size :]
        for write in self._loose:
            content = contents.get(Path(write.name).name)
            if content is None or write.data is None or chance.random() < 0.5:
                continue
            kept = write.data if chance.random() < 0.8 else write.data[: len(write.data) // 2]
            if len(content) < write.offset:
                content.extend(bytes(write.offset - len(content)))
            content[write.offset : write.offset + len(kept)] = kept
        folder = self._next()
        for each, content in contents.items():
            (folder / each).write_bytes(content)
        self._take(folder)

    def _next(self) -> Path:
        self._deaths += 1
        folder = self.folder.parent / str(self._deaths)
        folder.mkdir()
        # The life before the last one is buried by now: a world that dies for hours must not fill the memory.
        shutil.rmtree(self.folder.parent / str(self._deaths - 2), ignore_errors=True)
        return folder

    def _take(self, folder: Path) -> None:
        self.folder = folder
        self._loose.clear()

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        return [path for path in sorted(folder.iterdir()) if not path.name.endswith(("-lock", "-shm"))]


class DiskExecutor(InlineExecutor):
    """Where a journal on such a disk writes: one call after the other, each as long as the disk takes."""

    def __init__(self, disk: Disk, loop: asyncio.AbstractEventLoop) -> None:
        self._disk = disk
        self._loop = loop
        self._free_at = 0.0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` when the disk has done all that was asked of it before, and its own share of time is over."""
        now, takes_s = self._loop.time(), self._disk.takes_s()
        if not takes_s and self._free_at <= now:
            return super().submit(fn, *args, **kwargs)
        self._free_at = max(now, self._free_at) + takes_s
        later: Future[T] = Future()
        self._loop.call_at(self._free_at, self._run, later, partial(fn, *args, **kwargs))
        return later

    def _run(self, later: "Future[T]", work: Callable[[], T]) -> None:
        done = super().submit(work)
        error = done.exception()
        if error is None:
            later.set_result(done.result())
        else:
            later.set_exception(error)


class _File(apsw.VFSFile):
    """A file on a faulty disk."""

    def __init__(self, disk: Disk, filename: apsw.URIFilename | str, flags: list[int]) -> None:
        self._disk = disk
        self._name = filename if isinstance(filename, str) else filename.filename()
        super().__init__(BASE, filename, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        """Write, or fail."""
        if self._disk.is_of_the_dead(self._name):
            raise apsw.IOError("the process is dead")
        if self._disk.dies("write"):
            raise apsw.IOError("the process died while it wrote")
        failure = self._disk.happen("write")
        if failure is not None:
            if self._disk.writes_part:
                self._write(data[: len(data) // 2], offset)
            raise failure
        self._write(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802 - apsw's name
        """Cut off."""
        if not self._disk.remembers:
            super().xTruncate(size)
            return
        before = self.xFileSize()
        tail = self.xRead(before - size, size) if before > size else b""
        super().xTruncate(size)
        self._disk.loosen(_Write(self._name, size, None, tail, before))

    def xSync(self, flags: int) -> None:  # noqa: N802, ARG002 - apsw's name
        """Make durable, or fail; the machine's own fsync is not called."""
        if self._disk.is_of_the_dead(self._name) or self._disk.dies("sync"):
            raise apsw.IOError("the process is dead")
        failure = self._disk.happen("sync")
        if failure is not None:
            raise failure
        self._disk.fasten(self._name)

    def _write(self, data: bytes, offset: int) -> None:
        if not self._disk.remembers:
            super().xWrite(data, offset)
            return
        size = self.xFileSize()
        before = self.xRead(min(len(data), size - offset), offset) if offset < size else b""
        super().xWrite(data, offset)
        self._disk.loosen(_Write(self._name, offset, data, before, size))


BASE = "unix-excl"
"""The system's files, with the index of the write-ahead log in memory: one process has them, and no lock is asked of
the system."""


class DiskVfs(apsw.VFS):
    """Registers a faulty disk with SQLite under a name."""

    def __init__(self, name: str, disk: Disk) -> None:
        self.name = name
        self._disk = disk
        super().__init__(name, BASE)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        """Open a file on the disk."""
        if name is None:
            return apsw.VFSFile(BASE, name, flags)
        return _File(self._disk, name, flags)
