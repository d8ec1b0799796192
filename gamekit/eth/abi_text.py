"""ABI types and parameter lists as Solidity writes them, read into compiled types."""

import re
from typing import Final

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import DEPTH_MAX, AbiType, Parameter, array_of, elementary, tuple_of

_BRACKETS: Final = re.compile(r"(?:\[[0-9]{0,5}\])*\Z")


def parse_parameters(text: str) -> tuple[Parameter, ...]:
    """Read a parameter list as Solidity writes it: `address indexed account, (uint8 kind, bytes data)[] items`.

    Raises:
        EncodingInvalid: anything else.
    """
    text = text.strip()
    return tuple(_parse_parameter(part.strip()) for part in _split(text)) if text else ()


def parse_type(text: str) -> AbiType:
    """Read one type, such as `(address,uint256,bytes)[]`."""
    name, brackets = split_brackets(text.strip())
    is_tuple = name[:1] == "(" and name[-1:] == ")"
    return add_arrays(tuple_of(parse_parameters(name[1:-1])) if is_tuple else elementary(name), brackets)


def split_brackets(text: str) -> tuple[str, str]:
    """Split a type into what stands before its array brackets, and those."""
    at = _BRACKETS.search(text).start()  # type: ignore[union-attr]  # it matches the empty end of every text
    return text[:at], text[at:]


def add_arrays(kind: AbiType, brackets: str) -> AbiType:
    """Put a type into the arrays that brackets such as `[3][]` mean, the left one innermost."""
    for length in brackets[1:-1].split("][") if brackets else ():
        kind = array_of(kind, int(length) if length else None)
    return kind


def _parse_parameter(text: str) -> Parameter:
    end = text.rfind(")") + 1
    words = text[end:].split()
    if end and words and words[0].startswith("["):
        kind, words = text[:end] + words[0], words[1:]
    elif end:
        kind = text[:end]
    else:
        kind, words = words[0] if words else "", words[1:]
    indexed = words[:1] == ["indexed"]
    if len(words) - indexed > 1:
        raise EncodingInvalid(f"cannot read the parameter {text[:80]!r}", found=text[:80])
    return Parameter("".join(words[indexed:]), parse_type(kind), indexed=indexed)


def _split(text: str) -> list[str]:
    """Split at the commas that stand outside parentheses."""
    depth, start, parts = 0, 0, []
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth > DEPTH_MAX:
            raise EncodingInvalid(f"types nest more than {DEPTH_MAX} deep", found=depth, maximum=DEPTH_MAX)
        if character == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]
