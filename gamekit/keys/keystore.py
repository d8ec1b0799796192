"""Makes keys, seals them, and opens them for the signer.

A sealed key is epoch 4 | nonce 12 | ciphertext 32 | tag 16. Its binding is authenticated with it: put beside another
binding, in another row or for another account, it does not open. The last 20 bytes of a binding are the key's own
address, so that a signature can be checked against it.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from gamekit.errors import ConfigInvalid, SigningFailed
from gamekit.keys.buffers import Fill, fill_random, private_file, read_hexadecimal, secret_buffer, wipe
from gamekit.keys.epochs import EPOCH_SEALS_MAX, KEY_LENGTH, Epochs, seal
from gamekit.keys.secp256k1 import SECRET_LENGTH, address_of, is_valid_secret
from gamekit.ports import SealedKey
from gamekit.units import Address

PROCESS_EPOCH: Final = bytes(4)
"""Stands for the key that seals relayer keys in memory: made at start, gone with the process."""

Unseal = Callable[[bytes, bytes, bytes, bytearray], int]
"""Decrypts (nonce, ciphertext and tag, binding) into a buffer."""


class StoredKey(Struct, frozen=True):
    """A sealed key that belongs to no row: a relayer's."""

    sealed: bytes
    binding: bytes


class Keystore:
    """Implements `gamekit.ports.KeyMaker`. Holds the sealing keys; no session key is ever kept open."""

    def __init__(self, epochs: Epochs, fill: Fill) -> None:
        """Take open epochs; use `open`."""
        self._epochs = epochs
        self._fill = fill
        self._seals = 0
        with secret_buffer(KEY_LENGTH) as secret:
            fill(secret)
            self._process_cipher = AESGCM(secret)
        self.unseals: dict[bytes, Unseal] = {PROCESS_EPOCH: self._process_cipher.decrypt_into}
        """By the first 4 bytes of a sealed key; the signer reads it for every signature."""
        self.unseals |= {epoch.number: epoch.cipher.decrypt_into for epoch in epochs.all}

    @classmethod
    def open(cls, path: str | Path, *, fill: Fill = fill_random, now: Callable[[], float] = time.time) -> Self:
        """Open the master key's file, made with mode 0600 if it is missing.

        Args:
            path: 32 bytes in hexadecimal; `<path>.epochs` lies beside it and belongs to the same backup.
            fill: where randomness comes from.
            now: the machine's clock, in unix seconds; only decides when a new epoch begins.

        Raises:
            ConfigInvalid: a file is readable by others or malformed, or the master key is another one.
        """
        return cls(Epochs.open(Path(path), fill, now), fill)

    @property
    def has_sealed(self) -> bool:
        """Whether a session key was ever sealed under this master key, by this process or an earlier one."""
        return bool(self._epochs.all)

    def make(self, bind: Callable[[Address], bytes]) -> tuple[Address, bytes, bytes]:
        """Make a random key and seal it; see `gamekit.ports.KeyMaker.make`.

        Raises:
            SigningFailed: the binding does not end with the key's address.
        """
        with secret_buffer(SECRET_LENGTH) as secret:
            self._fill(secret)
            while not is_valid_secret(secret):  # zero, or above the group order: once in 2^128
                self._fill(secret)
            address = address_of(secret)
            binding = bind(address)
            if not binding.endswith(address):
                raise SigningFailed("a binding must end with the address of the key that it binds")
            return address, self._seal(secret, binding), binding

    def relayers(self, path: str | Path) -> Mapping[Address, StoredKey]:
        """Read relayer keys from a file, and keep them sealed under a key of this process.

        Args:
            path: one key a line, in hexadecimal; empty lines and lines that start with `#` count for nothing.

        Raises:
            ConfigInvalid: the file is readable by others, or a line holds no key. The message names the line only.
        """
        keys: dict[Address, StoredKey] = {}
        with private_file(Path(path)) as text:
            for number, line in enumerate(text.splitlines(), 1):
                digits = line.strip()
                wipe(line)
                if digits and not digits.startswith(b"#"):
                    address, key = self._relayer(digits, f"{path}, line {number}")
                    keys[address] = key
                wipe(digits)
        return keys

    def unseal_into(self, key: SealedKey, buffer: bytearray) -> None:
        """Open a key into a buffer of 32 bytes, which the caller must wipe.

        Raises:
            SigningFailed: moved to another row, sealed under another master key, or its epoch is gone.
        """
        sealed = key.sealed
        unseal = self.unseals.get(sealed[:4])
        if unseal is None:
            raise SigningFailed("the epoch that sealed this key is gone")
        try:
            unseal(sealed[4:16], sealed[16:], key.binding, buffer)
        except (InvalidTag, ValueError) as error:
            wipe(buffer)
            raise SigningFailed("the key does not open: not sealed for this row, or under another key") from error

    def _seal(self, secret: bytearray, binding: bytes) -> bytes:
        epoch = self._epochs.begin() if self._seals >= EPOCH_SEALS_MAX else self._epochs.current
        if epoch.number not in self.unseals:
            self.unseals[epoch.number] = epoch.cipher.decrypt_into
            self._seals = 0
        self._seals += 1
        return epoch.number + seal(epoch.cipher, secret, binding, self._fill)

    def _relayer(self, digits: bytearray, where: str) -> tuple[Address, StoredKey]:
        with secret_buffer(SECRET_LENGTH) as secret:
            if not read_hexadecimal(digits, secret) or not is_valid_secret(secret):
                raise ConfigInvalid(f"{where}: expected a private key of 32 bytes in hexadecimal", where=where)
            address = address_of(secret)
            binding = b"gamekit/relayer/v1" + address
            return address, StoredKey(PROCESS_EPOCH + seal(self._process_cipher, secret, binding, self._fill), binding)
