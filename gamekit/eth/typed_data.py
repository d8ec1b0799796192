"""Typed structured data: what a wallet shows to a person before it signs, and the digest that it signs.

The input is the JSON object of `eth_signTypedData_v4`: `types`, `primaryType`, `domain`, `message`. Numbers may be
integers or text, addresses and bytes are `bytes` or hexadecimal text. What is not in the types is refused, since a
wallet would show something else than it signs.

Source: EIP-712.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import elementary
from gamekit.eth.abi_text import split_brackets
from gamekit.eth.hashing import keccak256, parse_address, parse_hex
from gamekit.units import Hash32

_DOMAIN: Final = "EIP712Domain"
DEPTH_MAX: Final = 16
"""Deepest nesting of structs and arrays."""


class Field(msgspec.Struct, frozen=True):
    """One field of a struct type."""

    name: str
    type: str


class TypedData(msgspec.Struct, frozen=True, rename="camel"):
    """The object that a wallet is asked to sign."""

    types: dict[str, list[Field]]
    primary_type: str
    domain: dict[str, object]
    message: dict[str, object]


def typed_data_digest(typed_data: object) -> Hash32:
    """Give the 32 bytes that a wallet signs for a typed-data object.

    Raises:
        EncodingInvalid: the object has another form, or a value does not fit its type.
    """
    data = _convert(typed_data)
    head = b"\x19\x01" + hash_struct(data.types, _DOMAIN, data.domain)
    return keccak256(head + hash_struct(data.types, data.primary_type, data.message))


def domain_separator(typed_data: object) -> Hash32:
    """Hash the domain of a typed-data object alone."""
    data = _convert(typed_data)
    return hash_struct(data.types, _DOMAIN, data.domain)


def encode_type(types: Mapping[str, Sequence[Field]], name: str) -> str:
    """Write a struct type with all that it refers to, in the standard's order.

    Raises:
        EncodingInvalid: a type is not defined.
    """
    found: set[str] = set()
    _collect(types, name, found)
    return "".join(_write_type(types, each) for each in (name, *sorted(found - {name})))


def hash_struct(
    types: Mapping[str, Sequence[Field]], name: str, values: Mapping[str, object], depth: int = 0
) -> Hash32:
    """Hash one struct value.

    Raises:
        EncodingInvalid: a field is missing or unknown, a value does not fit, or the value nests too deep.
    """
    head = keccak256(encode_type(types, name).encode())
    wanted = [field.name for field in types[name]]
    if set(values) != set(wanted):
        raise EncodingInvalid(f"{name} has the fields {wanted}, got {sorted(values)}", expected=wanted)
    words = [_encode_value(types, field.type, values[field.name], depth) for field in types[name]]
    return keccak256(head + b"".join(words))


def _encode_value(types: Mapping[str, Sequence[Field]], kind: str, value: object, depth: int) -> bytes:
    """Give the word that stands for a value in the hash of its struct."""
    if depth > DEPTH_MAX:
        raise EncodingInvalid(f"typed data nests deeper than {DEPTH_MAX}", maximum=DEPTH_MAX)
    if kind.endswith("]"):
        element, length = _split_array(kind)
        items = value if isinstance(value, list | tuple) else None
        if items is None or (length is not None and len(items) != length):
            raise _misfit(kind, value)
        return keccak256(b"".join([_encode_value(types, element, item, depth + 1) for item in items]))
    if kind in types:
        if not isinstance(value, Mapping):
            raise _misfit(kind, value)
        return hash_struct(types, kind, value, depth + 1)
    if kind in {"string", "bytes"}:
        encoded = elementary(kind).encode(_native(kind, value))
        length = int.from_bytes(encoded[:32], "big")
        return keccak256(encoded[32 : 32 + length])
    return elementary(kind).encode(_native(kind, value))


def _native(kind: str, value: object) -> object:
    """Turn what JSON writes as text into what the type holds; anything else is left to the type to refuse."""
    if not isinstance(value, str) or kind in ("string", "bool"):
        return value
    if kind == "address":
        return parse_address(value)
    if kind.startswith("bytes"):
        return parse_hex(value)
    try:
        return int(value, 0)
    except ValueError as error:
        raise _misfit(kind, value) from error


def _split_array(kind: str) -> tuple[str, int | None]:
    """Split the last bracket off: what the array holds, and its length if that is fixed."""
    element, _, length = kind[:-1].rpartition("[")
    if length and not (length.isascii() and length.isdigit()):
        raise EncodingInvalid(f"unknown array type {kind[:80]!r}", found=kind[:80])
    return element, int(length) if length else None


def _collect(types: Mapping[str, Sequence[Field]], name: str, found: set[str]) -> None:
    if name not in types:
        raise EncodingInvalid(f"typed data does not define {name[:80]!r}", found=name[:80])
    found.add(name)
    for field in types[name]:
        kind, _ = split_brackets(field.type)
        if kind in types and kind not in found:
            _collect(types, kind, found)


def _write_type(types: Mapping[str, Sequence[Field]], name: str) -> str:
    return f"{name}({','.join(f'{field.type} {field.name}' for field in types[name])})"


def _misfit(kind: str, value: object) -> EncodingInvalid:
    return EncodingInvalid(f"{kind} cannot be {str(value)[:80]!r}", type=kind, found=str(value)[:80])


def _convert(typed_data: object) -> TypedData:
    try:
        return msgspec.convert(typed_data, TypedData)
    except msgspec.ValidationError as error:
        raise EncodingInvalid(f"this is not typed data: {error}") from error
