"""The keys that seal session keys: one for each epoch, themselves wrapped by the master key.

The master key's file holds 32 bytes in hexadecimal and never changes. Beside it, `<file>.epochs` has a line for each
epoch: number (4 bytes), begin (8 bytes, unix seconds), and the wrapped key (nonce 12, ciphertext 32, tag 16), in
hexadecimal. Taking a line out makes every session key sealed in that epoch unreadable for ever, backups of the journal
included.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from gamekit.errors import ConfigInvalid
from gamekit.keys.buffers import (
    Fill,
    private_file,
    read_hexadecimal,
    secret_buffer,
    write_hexadecimal,
    write_private_file,
)

KEY_LENGTH: Final = 32
NONCE_LENGTH: Final = 12
SEALED_LENGTH: Final = NONCE_LENGTH + KEY_LENGTH + 16
"""Nonce, ciphertext and tag of a 32-byte key."""

EPOCH_AGE_S_MAX: Final = 30 * 24 * 3600
"""An epoch ends after 30 days: the longest that a session can live."""

EPOCH_SEALS_MAX: Final = 1 << 20
"""An epoch ends after so many keys were sealed in one process; far below what random nonces allow.

Source: NIST SP 800-38D, section 8.3, which ends at 2^32.
"""

_NUMBER_LENGTH: Final = 4
_LINE_LENGTH: Final = _NUMBER_LENGTH + 8 + SEALED_LENGTH
_WRAPPING: Final = b"gamekit/dek/v1"


class Epoch(Struct, frozen=True):
    """One epoch's key, open."""

    number: bytes
    """4 bytes, big-endian, from 1: the first bytes of each key that was sealed in it."""
    begun_at: int
    """Unix seconds, of the machine's clock: only rotation depends on it."""
    cipher: AESGCM


class Epochs:
    """All epochs of one master key."""

    def __init__(self, master: AESGCM, path: Path, fill: Fill, now: Callable[[], float]) -> None:
        """Take an open master key; use `open`."""
        self._master = master
        self._path = path
        self._fill = fill
        self._now = now
        self._lines: list[bytes] = []
        self.all: list[Epoch] = []

    @classmethod
    def open(cls, path: Path, fill: Fill, now: Callable[[], float]) -> "Epochs":
        """Read the master key and unwrap every epoch's key; what is missing is made.

        Raises:
            ConfigInvalid: a file is readable by others or malformed, or the master key is another one.
        """
        epochs_path = path.with_name(f"{path.name}.epochs")
        if not path.exists():
            if epochs_path.exists():
                raise ConfigInvalid(f"the master key {path} is gone, but {epochs_path} needs it", path=str(path))
            _make_master(path, fill)
        with private_file(path) as text, secret_buffer(KEY_LENGTH) as secret:
            while text[-1:].isspace():
                text.pop()
            if not read_hexadecimal(text, secret):
                raise ConfigInvalid(f"{path} must hold 32 bytes in hexadecimal", path=str(path))
            epochs = cls(AESGCM(secret), epochs_path, fill, now)
        epochs._read()
        return epochs

    @property
    def current(self) -> Epoch:
        """The epoch in which keys are sealed now; a new one once the last has grown old."""
        if not self.all or self._now() - self.all[-1].begun_at > EPOCH_AGE_S_MAX:
            self.begin()
        return self.all[-1]

    def begin(self) -> Epoch:
        """Begin an epoch; its wrapped key is on disk when this returns."""
        number = (int.from_bytes(self.all[-1].number, "big") if self.all else 0) + 1
        head = number.to_bytes(_NUMBER_LENGTH, "big") + int(self._now()).to_bytes(8, "big")
        with secret_buffer(KEY_LENGTH) as secret:
            self._fill(secret)
            line = head + seal(self._master, secret, _WRAPPING + head, self._fill)
            epoch = Epoch(head[:_NUMBER_LENGTH], int.from_bytes(head[_NUMBER_LENGTH:], "big"), AESGCM(secret))
        lines = [*self._lines, line]
        write_private_file(self._path, b"".join(each.hex().encode() + b"\n" for each in lines))
        self._lines = lines
        self.all.append(epoch)
        return epoch

    def _read(self) -> None:
        if not self._path.exists():
            return
        with private_file(self._path) as text:
            lines = bytes(text).split()
        for number, digits in enumerate(lines, 1):
            line = bytearray(_LINE_LENGTH)
            if not read_hexadecimal(bytearray(digits), line):
                raise ConfigInvalid(f"{self._path}, line {number}: expected {_LINE_LENGTH} bytes in hexadecimal")
            self._lines.append(bytes(line))
            self.all.append(self._unwrap(bytes(line)))

    def _unwrap(self, line: bytes) -> Epoch:
        head, wrapped = line[:-SEALED_LENGTH], line[-SEALED_LENGTH:]
        with secret_buffer(KEY_LENGTH) as secret:
            try:
                self._master.decrypt_into(wrapped[:NONCE_LENGTH], wrapped[NONCE_LENGTH:], _WRAPPING + head, secret)
            except InvalidTag as error:
                raise ConfigInvalid(f"the master key does not open {self._path}: it is another one") from error
            return Epoch(head[:_NUMBER_LENGTH], int.from_bytes(head[_NUMBER_LENGTH:], "big"), AESGCM(secret))


def seal(cipher: AESGCM, secret: bytearray, binding: bytes, fill: Fill) -> bytes:
    """Seal a 32-byte key: a random nonce, ciphertext and tag."""
    sealed = bytearray(SEALED_LENGTH)
    nonce = bytearray(NONCE_LENGTH)
    fill(nonce)
    sealed[:NONCE_LENGTH] = nonce
    cipher.encrypt_into(nonce, secret, binding, memoryview(sealed)[NONCE_LENGTH:])
    return bytes(sealed)


def _make_master(path: Path, fill: Fill) -> None:
    with secret_buffer(KEY_LENGTH) as secret, secret_buffer(2 * KEY_LENGTH + 1) as text:
        fill(secret)
        write_hexadecimal(secret, text)
        text[-1:] = b"\n"
        write_private_file(path, text)
