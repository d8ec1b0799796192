"""Byte strings on the wire: `0x` and hexadecimal digits in JSON frames, raw in MessagePack frames."""

from binascii import unhexlify
from typing import ClassVar, Self

from gamekit.errors import EncodingInvalid


class Octets(bytes):
    """Bytes of any length up to `LENGTH_MAX`; subclasses fix the length."""

    LENGTH: ClassVar[int] = 0
    """Exact length in bytes; 0 is any."""
    LENGTH_MAX: ClassVar[int] = 4096
    __slots__ = ()

    @classmethod
    def read(cls, value: object) -> Self:
        """Read the wire's form.

        Raises: EncodingInvalid for another type, other characters, an odd number of digits or another length.
        """
        if isinstance(value, bytes):
            data = value
        elif isinstance(value, str):
            data = _unhexlify(value)
        else:
            raise EncodingInvalid(f"expected bytes, got {type(value).__name__}")
        if (cls.LENGTH and len(data) != cls.LENGTH) or len(data) > cls.LENGTH_MAX:
            raise EncodingInvalid(f"expected {cls.LENGTH or f'at most {cls.LENGTH_MAX}'} bytes, got {len(data)}")
        return cls(data)


def _unhexlify(text: str) -> bytes:
    try:
        if text.startswith("0x"):
            return unhexlify(text[2:])
    except ValueError:
        pass
    raise EncodingInvalid("expected 0x and whole bytes in hexadecimal")


class Octets16(Octets):
    """16 bytes: a journal epoch."""

    LENGTH = 16
    __slots__ = ()


class Octets20(Octets):
    """20 bytes: an address. No checksum is asked for on the wire."""

    LENGTH = 20
    __slots__ = ()


class Octets32(Octets):
    """32 bytes: a permission id or a hash."""

    LENGTH = 32
    __slots__ = ()


class Octets65(Octets):
    """65 bytes: the signature of a key of its own; r, s and v, which is 27 or 28."""

    LENGTH = 65
    __slots__ = ()


class SignatureOctets(Octets):
    """A signature; those of contract accounts may be longer than 65 bytes."""

    LENGTH_MAX = 1024
    __slots__ = ()


def read_octets(kind: type, value: object) -> object:
    """Read one byte string: the decoders' hook."""
    if not issubclass(kind, Octets):
        raise TypeError(f"no frame holds a {kind.__name__}")
    try:
        return kind.read(value)
    except EncodingInvalid as error:
        raise ValueError(str(error)) from None  # the only kind of error that msgspec gives the place of


def hexadecimal_octets(value: object) -> str:
    """Write one byte string into JSON: the encoder's hook."""
    if isinstance(value, Octets):
        return "0x" + value.hex()
    raise EncodingInvalid(f"no frame holds a {type(value).__name__}")


def raw_octets(value: object) -> bytes:
    """Write one byte string into MessagePack: the encoder's hook."""
    if isinstance(value, Octets):
        return bytes(value)
    raise EncodingInvalid(f"no frame holds a {type(value).__name__}")
