"""Rows as bytes: MessagePack of the whole struct, with whole numbers of any size.

MessagePack ends at 64 bits, nonce keys have 192 and wei has 128: a number outside the format is written as decimal
text, which the decoder of an `int` field takes back.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, Generic, TypeVar, get_type_hints

import msgspec
from msgspec import msgpack, structs

from gamekit.core.journal import Row
from gamekit.units import UINT64_MAX, NonceKey

R = TypeVar("R", bound=Row)

_INT_MIN: Final = -(1 << 63)
_encode: Final = msgpack.Encoder().encode


class RowCodec(Generic[R]):
    """Encodes and decodes one kind of row."""

    def __init__(self, kind: type[R]) -> None:
        hints = hints_of(kind)
        self._wide = tuple(name for name in kind.__struct_fields__ if hints[name] is NonceKey)
        # Not strict: that is what lets a number be read from text.
        self.decode = msgpack.Decoder(kind, strict=False).decode

    def encode_all(self, rows: Iterable[R]) -> list[bytes]:
        """Encode rows, in order.

        Raises:
            TypeError: a field holds what MessagePack cannot carry.
        """
        if self._wide:
            return [self._encode_wide(row) for row in rows]
        rows = list(rows)
        try:
            return list(map(_encode, rows))
        except OverflowError:
            return [_encode_any(row) for row in rows]

    def _encode_wide(self, row: R) -> bytes:
        """Take the way that a nonce key always needs, without trying the other first."""
        try:
            return _encode(structs.replace(row, **{name: str(getattr(row, name)) for name in self._wide}))
        except OverflowError:
            return _encode_any(row)


@cache
def hints_of(kind: type[Row]) -> Mapping[str, object]:
    """Read the types of a kind's fields, once: opening a journal needs them often, and they cost more than the rest."""
    return get_type_hints(kind)


def _encode_any(row: Row) -> bytes:
    """Encode a row that has a number outside the format somewhere, at any depth."""
    try:
        return _encode(row)
    except OverflowError:
        return _encode(_narrow(msgspec.to_builtins(row, builtin_types=(bytes,))))


def _narrow(value: object) -> object:
    """Give plain data in which every number fits the format or is text."""
    if type(value) is int:
        return value if _INT_MIN <= value <= UINT64_MAX else str(value)
    if isinstance(value, dict):
        return {name: _narrow(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_narrow(item) for item in value]
    return value
