"""Arguments as people and JSON write them, and the places that they have in calldata.

JSON has neither bytes nor numbers beyond 2^53: addresses and bytes come as `0x` hexadecimal, large numbers as digits.
"""

from collections.abc import Iterator, Mapping, Sequence

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import AbiType, Parameter
from gamekit.eth.hashing import parse_address, parse_hex

DIGITS_MAX = 78
"""Digits of 2^256; more are refused before they are read."""


def read_argument(kind: AbiType, value: object) -> object:
    """Turn text into what the ABI codec takes, at any depth; what is not text stays as it is.

    Raises: EncodingInvalid for text that is no address, no hexadecimal or no number where one belongs.
    """
    if isinstance(value, str):
        return _read_text(kind, value)
    if isinstance(value, Mapping):
        types = {field.name: field.type for field in kind.components}
        return {name: read_argument(types[name], item) if name in types else item for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        if kind.element is not None:
            element = kind.element
            return [read_argument(element, item) for item in value]
        if len(kind.components) == len(value):
            return [read_argument(field.type, item) for field, item in zip(kind.components, value, strict=True)]
    return value


def static_words(parameters: Sequence[Parameter]) -> dict[str, tuple[int, AbiType]]:
    """Name the words of a function's head that hold a value: (which word, its type).

    Fields of static structs are named `order.amount`, elements of fixed arrays `dice[0]`, nameless ones by their
    place. Dynamic arguments are left out: their word is an offset, and a rule on it would check nothing.
    """
    words: dict[str, tuple[int, AbiType]] = {}
    at = 0
    for place, parameter in enumerate(parameters):
        for name, offset, kind in _leaves(parameter.name or str(place), parameter.type):
            words[name] = (at + offset, kind)
        at += parameter.type.head_size // 32
    return words


def _leaves(name: str, kind: AbiType) -> Iterator[tuple[str, int, AbiType]]:
    """Walk the words of one argument: name, offset in words, type."""
    if kind.dynamic:
        return
    if not kind.components and kind.element is None:
        yield name, 0, kind
        return
    offset = 0
    for part, inner in _parts(name, kind):
        for leaf, inside, leaf_kind in _leaves(part, inner):
            yield leaf, offset + inside, leaf_kind
        offset += inner.head_size // 32


def _parts(name: str, kind: AbiType) -> Iterator[tuple[str, AbiType]]:
    if kind.element is not None:
        for place in range(kind.head_size // kind.element.head_size):
            yield f"{name}[{place}]", kind.element
    for place, field in enumerate(kind.components):
        yield f"{name}.{field.name or place}", field.type


def _read_text(kind: AbiType, text: str) -> object:
    if kind.canonical == "address":
        return parse_address(text)
    if kind.canonical.startswith("bytes") and kind.element is None:
        return parse_hex(text)
    if kind.canonical.startswith(("uint", "int")) and kind.element is None:
        digits = text.removeprefix("-")
        if not digits.isascii() or not digits.isdigit() or len(digits) > DIGITS_MAX:
            raise EncodingInvalid(f"{kind.canonical} must be a number, got {text[:80]!r}", found=text[:80])
        return int(text)
    return text
