"""Disks that fail: apsw VFSs over the system's own, for the k-th write or sync, and for the power going off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

FAULTS = {"IOERR": apsw.IOError, "FULL": apsw.FullError}


class Disk:
    """What a faulty disk knows: how often it was written and synced, and what a sync has made durable."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        """`write` or `sync`, in order, since the last `arm`."""
        self.fail_at = -1
        self.fail_for = 1
        self.fault = "IOERR"
        self.durable: dict[str, bytes] = {}
        """Content of each file at its last sync."""

    def arm(self, fail_at: int, fault: str, fail_for: int = 1) -> None:
        """Fail the operation with this index, counted from now, and the next ones up to `fail_for`."""
        self.operations.clear()
        self.fail_at, self.fault, self.fail_for = fail_at, fault, fail_for

    def disarm(self) -> None:
        """Work again."""
        self.fail_at = -1

    def happen(self, operation: str) -> None:
        """Count an operation, and fail if its turn has come."""
        place = len(self.operations)
        self.operations.append(operation)
        if 0 <= self.fail_at <= place < self.fail_at + self.fail_for:
            raise FAULTS[self.fault](f"planted {self.fault} at {operation} {place}")

    @property
    def struck(self) -> bool:
        """Whether the fault came to pass."""
        return 0 <= self.fail_at < len(self.operations)

    def power_off(self, folder: Path) -> None:
        """Write what would be found after a power failure into another folder: nothing that was not synced."""
        folder.mkdir()
        for name, content in self.durable.items():
            if not name.endswith("-shm"):
                (folder / Path(name).name).write_bytes(content)


class FaultyFile(apsw.VFSFile):
    """A file on a faulty disk."""

    def __init__(self, disk: Disk, filename: apsw.URIFilename | str, flags: list[int]) -> None:
        self._disk = disk
        self._name = filename if isinstance(filename, str) else filename.filename()
        super().__init__("", filename, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        self._disk.happen("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        self._disk.happen("sync")
        super().xSync(flags)
        self._disk.durable[self._name] = Path(self._name).read_bytes()


class FaultyVfs(apsw.VFS):
    """The system's files, on a faulty disk."""

    def __init__(self, name: str, disk: Disk) -> None:
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        assert name is not None
        return FaultyFile(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name
        super().xDelete(filename, syncdir)
        self._disk.durable.pop(filename, None)


@contextmanager
def faulty_disk(name: str = "faulty") -> Iterator[Disk]:
    """Register a faulty disk under the name of a VFS."""
    disk = Disk()
    vfs = FaultyVfs(name, disk)
    yield disk
    vfs.unregister()
