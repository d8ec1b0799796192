"""A strict codec for the contract ABI: one value has one encoding, and nothing else decodes.

Decoding walks the bytes once, in order: each offset must point at the next unread byte, padding must be zero, and
nothing may be left over. So `encode(decode(x)) == x`, nothing is read twice, and the work is bounded by the input: no
more elements than words. What a contract accepts beyond that (aliased, gapped, trailing, dirty) is refused here.

Numbers are `int`, addresses and byte strings raw `bytes`, text `str`, tuples and arrays `tuple`. Types are compiled to
closures once, when they are parsed. Functions, events and errors stand in `interface.py`.

Source: Solidity ABI specification, formal specification of the encoding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from gamekit.errors import EncodingInvalid

AbiValue: TypeAlias = "int | bytes | str | tuple[AbiValue, ...]"
"""What decoding gives; `bool` is an `int`."""

Encoder: TypeAlias = Callable[[object], bytes]
Decoder: TypeAlias = Callable[[bytes, int], tuple[AbiValue, int]]
"""From the bytes and a position: the value and the number of bytes that it takes from there."""

WORD: Final = 32
DEPTH_MAX: Final = 16
"""Deepest nesting of tuples and arrays. Solidity's own structs stay far below; it bounds recursion."""


class AbiType(msgspec.Struct, frozen=True, eq=False):
    """One type, compiled."""

    canonical: str
    """As it stands in a signature: `(uint8,bytes)[]`."""
    dynamic: bool
    """Whether its head is an offset to its bytes."""
    head_size: int
    """Bytes that it takes in the head of what contains it: 32 if dynamic."""
    encode: Encoder
    """Encode one value without any offset to it. Raises EncodingInvalid."""
    decode: Decoder
    """Decode one value, given that its static head fits. Raises EncodingInvalid."""
    depth: int = 0
    components: "tuple[Parameter, ...]" = ()
    """Of a tuple: its fields."""
    element: "AbiType | None" = None
    """Of an array: what it holds."""


class Parameter(msgspec.Struct, frozen=True):
    """A named place for a value: an argument, a result, a field of a tuple."""

    name: str
    """May be empty."""
    type: AbiType
    indexed: bool = False
    """Of an event: whether it is a topic."""


def encode(types: Sequence[AbiType], values: Sequence[object]) -> bytes:
    """Encode values as the arguments of a call, without its selector.

    Raises:
        EncodingInvalid: another number of values, or a value that its type cannot hold.
    """
    if len(values) != len(types):
        raise EncodingInvalid(
            f"expected {len(types)} values, got {len(values)}", found=len(values), expected=len(types)
        )
    tail_at = sum(kind.head_size for kind in types)
    heads: list[bytes] = []
    tails: list[bytes] = []
    for kind, value in zip(types, values, strict=True):
        encoded = kind.encode(value)
        if kind.dynamic:
            heads.append(tail_at.to_bytes(WORD, "big"))
            tails.append(encoded)
            tail_at += len(encoded)
        else:
            heads.append(encoded)
    return b"".join(heads + tails)


def decode(types: Sequence[AbiType], data: bytes) -> tuple[AbiValue, ...]:
    """Decode exactly what `encode` would have given for these types.

    Raises:
        EncodingInvalid: any other bytes; it says at which byte, what was found and what was expected.
    """
    values, size = _decode_sequence(types, data, 0)
    if size != len(data):
        raise _refuse("bytes follow the last value", at=size, found=len(data), expected=size)
    return values


def decode_one(kind: AbiType, data: bytes) -> AbiValue:
    """Decode the encoding of a single value, strictly."""
    return decode((kind,), data)[0]


def _uint(bits: int) -> AbiType:
    maximum = (1 << bits) - 1
    name = f"uint{bits}"

    def encode_word(value: object) -> bytes:
        if value.__class__ is int and 0 <= value <= maximum:
            return value.to_bytes(32, "big")
        raise _unfit(name, f"a whole number from 0 to {maximum}", value)

    def decode_word(data: bytes, at: int) -> tuple[int, int]:
        value = int.from_bytes(data[at : at + 32], "big")
        if value > maximum:
            raise _refuse(f"{name} is out of range", at=at, found=value, expected=maximum)
        return value, 32

    return AbiType(name, dynamic=False, head_size=32, encode=encode_word, decode=decode_word)


def _int(bits: int) -> AbiType:
    limit = 1 << (bits - 1)
    name = f"int{bits}"

    def encode_word(value: object) -> bytes:
        if type(value) is int and -limit <= value < limit:
            return value.to_bytes(32, "big", signed=True)
        raise _unfit(name, f"a whole number from {-limit} to {limit - 1}", value)

    def decode_word(data: bytes, at: int) -> tuple[int, int]:
        value = int.from_bytes(data[at : at + 32], "big", signed=True)
        if not -limit <= value < limit:
            raise _refuse(f"{name} is out of range", at=at, found=value, expected=limit - 1)
        return value, 32

    return AbiType(name, dynamic=False, head_size=32, encode=encode_word, decode=decode_word)


def _fixed_bytes(name: str, size: int, left: int) -> AbiType:
    """Compile a type of `size` bytes with `left` bytes of zeros before it in its word."""
    before, after = bytes(left), bytes(32 - left - size)

    def encode_word(value: object) -> bytes:
        if isinstance(value, bytes) and len(value) == size:
            return before + value + after
        raise _unfit(name, f"{size} bytes", value)

    def decode_word(data: bytes, at: int) -> tuple[bytes, int]:
        word = data[at : at + 32]
        value = word[left : left + size]
        if before + value + after != word:
            raise _refuse(f"{name} has padding that is not zero", at=at, found=word, expected=before + value + after)
        return value, 32

    return AbiType(name, dynamic=False, head_size=32, encode=encode_word, decode=decode_word)


def _encode_bool(value: object) -> bytes:
    if value is True or value is False:
        return _TRUE if value else _FALSE
    raise _unfit("bool", "true or false", value)


def _decode_bool(data: bytes, at: int) -> tuple[bool, int]:
    word = data[at : at + 32]
    if word not in (_TRUE, _FALSE):
        raise _refuse("bool is neither 0 nor 1", at=at, found=word, expected=_TRUE)
    return word == _TRUE, 32


_FALSE: Final = bytes(32)
_TRUE: Final = bytes(31) + b"\x01"


def _encode_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return len(value).to_bytes(32, "big") + value + bytes(-len(value) % 32)
    raise _unfit("bytes", "bytes", value)


def _decode_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length = _read_length(data, at)
    start, padded = at + 32, -(-length // 32) * 32
    if start + padded > len(data):
        raise _refuse("bytes reach beyond the end", at=at, found=length, expected=len(data) - start)
    value, padding = data[start : start + length], data[start + length : start + padded]
    if padding.count(0) != len(padding):
        raise _refuse("padding is not zero", at=start + length, found=padding, expected=bytes(len(padding)))
    return value, 32 + padded


def _encode_string(value: object) -> bytes:
    try:
        if isinstance(value, str):
            return _encode_bytes(value.encode())
    except UnicodeEncodeError:
        pass
    raise _unfit("string", "text", value)


def _decode_string(data: bytes, at: int) -> tuple[str, int]:
    value, size = _decode_bytes(data, at)
    try:
        return value.decode(), size
    except UnicodeDecodeError as error:
        raise _refuse("string is not UTF-8", at=at + 32, found=value[error.start], expected=b"") from error


_ELEMENTARY: Final = {
    kind.canonical: kind
    for kind in (
        *(_uint(bits) for bits in range(8, 257, 8)),
        *(_int(bits) for bits in range(8, 257, 8)),
        *(_fixed_bytes(f"bytes{size}", size, left=0) for size in range(1, 33)),
        _fixed_bytes("address", 20, left=12),
        AbiType("bool", dynamic=False, head_size=32, encode=_encode_bool, decode=_decode_bool),
        AbiType("bytes", dynamic=True, head_size=32, encode=_encode_bytes, decode=_decode_bytes),
        AbiType("string", dynamic=True, head_size=32, encode=_encode_string, decode=_decode_string),
    )
}


def elementary(name: str) -> AbiType:
    """Look up a type without parts, by its canonical name.

    Raises:
        EncodingInvalid: not a type, an alias such as `uint`, or one that Solidity's contracts hardly use (`fixed`,
            `function`).
    """
    kind = _ELEMENTARY.get(name)
    if kind is None:
        raise EncodingInvalid(f"unknown ABI type {name[:80]!r}", found=name[:80])
    return kind


def tuple_of(components: Sequence[Parameter]) -> AbiType:
    """Compile a struct; its values are sequences, or mappings by field name.

    Raises:
        EncodingInvalid: no fields, or nested too deep.
    """
    types = tuple(component.type for component in components)
    if not types:
        raise EncodingInvalid("a tuple needs at least one field", found=0, expected=1)
    name = f"({','.join(kind.canonical for kind in types)})"
    dynamic = any(kind.dynamic for kind in types)

    def encode_tuple(value: object) -> bytes:
        return encode(types, arrange(components, value))

    def decode_tuple(data: bytes, at: int) -> tuple[AbiValue, int]:
        return _decode_sequence(types, data, at)

    return AbiType(
        name,
        dynamic=dynamic,
        head_size=32 if dynamic else sum(kind.head_size for kind in types),
        encode=encode_tuple,
        decode=decode_tuple,
        depth=_deeper(types),
        components=tuple(components),
    )


def array_of(element: AbiType, length: int | None = None) -> AbiType:
    """Compile an array: of any length, or of exactly `length`, which must be at least 1."""
    if length is not None:
        return _fixed_array(element, length)

    def encode_array(value: object) -> bytes:
        items = _items(f"{element.canonical}[]", value)
        return len(items).to_bytes(32, "big") + encode((element,) * len(items), items)

    def decode_array(data: bytes, at: int) -> tuple[AbiValue, int]:
        count = _read_length(data, at)
        # Each element has a head of at least a word, so this bounds the work by the size of the input.
        if count * element.head_size > len(data) - at - 32:
            raise _refuse("array reaches beyond the end", at=at, found=count, expected=(len(data) - at - 32) // WORD)
        values, size = _decode_sequence((element,) * count, data, at + 32)
        return values, 32 + size

    name = f"{element.canonical}[]"
    depth = _deeper((element,))
    return AbiType(
        name, dynamic=True, head_size=32, encode=encode_array, decode=decode_array, depth=depth, element=element
    )


def _fixed_array(element: AbiType, length: int) -> AbiType:
    name = f"{element.canonical}[{length}]"
    if not 0 < length <= 1 << 16:
        raise EncodingInvalid(f"array length must be 1 to 65536, got {length}", found=length)
    types = (element,) * length
    head_size = 32 if element.dynamic else length * element.head_size

    def encode_array(value: object) -> bytes:
        return encode(types, _items(name, value))

    def decode_array(data: bytes, at: int) -> tuple[AbiValue, int]:
        return _decode_sequence(types, data, at)

    depth = _deeper((element,))
    return AbiType(
        name,
        dynamic=element.dynamic,
        head_size=head_size,
        encode=encode_array,
        decode=decode_array,
        depth=depth,
        element=element,
    )


def arrange(parameters: Sequence[Parameter], values: object) -> Sequence[object]:
    """Put arguments in the order of their parameters, whether they were given by place or by name.

    Raises:
        EncodingInvalid: a name is missing or unknown, or `values` is neither a sequence nor a mapping.
    """
    if isinstance(values, Mapping):
        names = [parameter.name for parameter in parameters]
        if set(names) != set(values) or len(set(names)) != len(names):
            raise EncodingInvalid(
                f"expected the fields {names}, got {[str(name)[:80] for name in values]}", expected=names
            )
        return [values[name] for name in names]
    return _items("tuple", values)


def _decode_sequence(types: Sequence[AbiType], data: bytes, start: int) -> tuple[tuple[AbiValue, ...], int]:
    tail = sum([kind.head_size for kind in types])
    if start + tail > len(data):
        raise _refuse("values reach beyond the end", at=start, found=len(data) - start, expected=tail)
    values = []
    head = start
    for kind in types:
        if not kind.dynamic:
            value, size = kind.decode(data, head)
            head += size
        else:
            offset = int.from_bytes(data[head : head + 32], "big")
            if offset != tail:
                raise _refuse("offset does not point at the next unread byte", at=head, found=offset, expected=tail)
            value, size = kind.decode(data, start + tail)
            head += 32
            tail += size
        values.append(value)
    return tuple(values), tail


def _read_length(data: bytes, at: int) -> int:
    if at + 32 > len(data):
        raise _refuse("a length reaches beyond the end", at=at, found=len(data) - at, expected=32)
    return int.from_bytes(data[at : at + 32], "big")


def _items(name: str, value: object) -> Sequence[object]:
    if isinstance(value, Sequence) and not isinstance(value, bytes | str):
        return value
    raise _unfit(name, "a list", value)


def _deeper(parts: Sequence[AbiType]) -> int:
    depth = 1 + max(kind.depth for kind in parts)
    if depth > DEPTH_MAX:
        raise EncodingInvalid(f"types nest {depth} deep, at most {DEPTH_MAX}", found=depth, maximum=DEPTH_MAX)
    return depth


def _unfit(name: str, wanted: str, value: object) -> EncodingInvalid:
    return EncodingInvalid(f"{name} must be {wanted}, got {str(value)[:80]!r}", type=name, found=str(value)[:80])


def _refuse(what: str, *, at: int, found: int | bytes, expected: int | bytes) -> EncodingInvalid:
    shown = found.hex() if isinstance(found, bytes) else found
    wanted = expected.hex() if isinstance(expected, bytes) else expected
    return EncodingInvalid(f"{what}: byte {at} has {shown}, expected {wanted}", at=at, found=found, expected=expected)


ADDRESS: Final = elementary("address")
BYTES32: Final = elementary("bytes32")
UINT256: Final = elementary("uint256")
