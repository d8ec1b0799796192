"""Random bytes that can be recognised again, in every form in which a key could leak."""

import base64
import hashlib
from collections.abc import Iterator

from gamekit.keys import Keystore, StoredKey
from gamekit.units import Address, Hash32

DIGEST = Hash32(hashlib.sha256(b"digest").digest())


class Canary:
    """Fills buffers with a known sequence, and remembers every 32-byte secret that it gave."""

    def __init__(self) -> None:
        self.count = 0
        self.secrets: list[bytes] = []

    def __call__(self, buffer: bytearray) -> None:
        self.count += 1
        buffer[:] = hashlib.shake_256(b"canary" + self.count.to_bytes(4, "big")).digest(len(buffer))
        if len(buffer) == 32:
            self.secrets.append(bytes(buffer))

    def forms(self) -> Iterator[bytes]:
        """Give every secret raw, in hexadecimal of both cases, base64, as a decimal number, and as Python writes it."""
        for secret in self.secrets:
            yield secret
            yield secret.hex().encode()
            yield secret.hex().upper().encode()
            yield base64.b64encode(secret)
            yield str(int.from_bytes(secret, "big")).encode()
            yield repr(secret)[2:-1].encode()

    def found_in(self, text: str | bytes) -> bool:
        """Whether any secret stands in this text in any form."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        return any(form in data for form in self.forms())


def bind(address: Address) -> bytes:
    """Bind as a session does: a name, a place, the address."""
    return b"gamekit/sk/v1" + bytes(92) + address


def make(keystore: Keystore) -> tuple[Address, StoredKey]:
    """Make a key and give it as a row would hold it."""
    address, sealed, binding = keystore.make(bind)
    return address, StoredKey(sealed, binding)
