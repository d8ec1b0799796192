"""Secrets in buffers: filled, read from files and wiped without an immutable copy."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gamekit.errors import ConfigInvalid

Fill = Callable[[bytearray], object]
"""Fills a buffer with random bytes."""

_DIGITS: Final = b"0123456789abcdef"
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)} | {
    digit: value for value, digit in enumerate(_DIGITS.upper())
}
_PRIVATE_MODE: Final = 0o600


def fill_random(buffer: bytearray) -> None:
    """Fill a buffer from the system's generator; `os.urandom` would leave a copy that cannot be wiped."""
    with Path("/dev/urandom").open("rb", buffering=0) as source:
        if source.readinto(buffer) != len(buffer):
            raise OSError("the system's random generator gave too few bytes")


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros, in place."""
    buffer[:] = bytes(len(buffer))


@contextmanager
def secret_buffer(length: int) -> Iterator[bytearray]:
    """Lend a buffer that is wiped afterwards, whatever happens."""
    buffer = bytearray(length)
    try:
        yield buffer
    finally:
        wipe(buffer)


def read_hexadecimal(text: bytearray, into: bytearray) -> bool:
    """Read digits in any case, with or without `0x`, as exactly the length of `into`; say whether they fitted."""
    start = 2 if text[:2].lower() == b"0x" else 0
    if len(text) - start != 2 * len(into):
        return False
    for place in range(len(into)):
        high = _VALUES.get(text[start + 2 * place])
        low = _VALUES.get(text[start + 2 * place + 1])
        if high is None or low is None:
            return False
        into[place] = high << 4 | low
    return True


def write_hexadecimal(secret: bytearray, into: bytearray) -> None:
    """Write a buffer as digits into another, twice as long."""
    for place, byte in enumerate(secret):
        into[2 * place] = _DIGITS[byte >> 4]
        into[2 * place + 1] = _DIGITS[byte & 15]


@contextmanager
def private_file(path: Path) -> Iterator[bytearray]:
    """Lend the content of a file that nobody else may read.

    Raises:
        ConfigInvalid: it cannot be read, is no plain file, is somebody else's, or has another mode than 0600 or 0400.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise ConfigInvalid(f"cannot read the key file {path}: {error.strerror}", path=str(path)) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode) or mode & ~_PRIVATE_MODE or status.st_uid != os.geteuid():
            raise ConfigInvalid(
                f"the key file {path} must be a plain file of this user with mode 0600, it has mode {mode:04o}",
                path=str(path),
                mode=f"{mode:04o}",
            )
        with secret_buffer(status.st_size) as content:
            if file.readinto(content) != len(content):
                raise ConfigInvalid(f"the key file {path} changed while it was read", path=str(path))
            yield content


def write_private_file(path: Path, content: bytearray | bytes) -> None:
    """Write a file that nobody else may read, whole or not at all, and durable when this returns.

    Raises:
        ConfigInvalid: the directory refuses.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE_MODE)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            os.fchmod(descriptor, _PRIVATE_MODE)
            file.write(content)
            os.fsync(descriptor)
        beside.rename(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise ConfigInvalid(f"cannot write the key file {path}: {error.strerror}", path=str(path)) from error
