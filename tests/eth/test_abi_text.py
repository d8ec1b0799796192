"""Types and parameter lists as Solidity writes them."""

import pytest

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi_text import parse_parameters, parse_type, split_brackets


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("uint256", "uint256"),
        (" address ", "address"),
        ("uint8[]", "uint8[]"),
        ("uint8[3][]", "uint8[3][]"),
        ("(uint8,bytes)", "(uint8,bytes)"),
        ("( uint8 kind , bytes data )[2]", "(uint8,bytes)[2]"),
        ("((uint8,bool)[],string)", "((uint8,bool)[],string)"),
    ],
)
def test_parse_type_default(text: str, canonical: str) -> None:
    assert parse_type(text).canonical == canonical


def test_parse_type_args_arrays_nest_outwards() -> None:
    kind = parse_type("uint8[3][]")
    assert kind.dynamic
    assert kind.element is not None
    assert kind.element.head_size == 3 * 32


@pytest.mark.parametrize(
    "text",
    [
        *("", "uint", "uint256[", "uint256]", "uint256[]x", "uint8[0]", "uint8[-1]", "uint8[999999]", "uint8[\u0663]"),
        *(
            "[]",
            "()",
            "(uint8",
            "uint8)",
            "(uint8,)",
            "(uint8)(uint8)",
            "(" * 40 + "uint8" + ")" * 40,
            "bool" + "[]" * 40,
        ),
    ],
)
def test_parse_type_error_form(text: str) -> None:
    with pytest.raises(EncodingInvalid):
        parse_type(text)


def test_parse_parameters_default() -> None:
    found = parse_parameters("address indexed account, (uint8 kind, bytes data)[] items, uint8")
    assert [parameter.name for parameter in found] == ["account", "items", ""]
    assert [parameter.indexed for parameter in found] == [True, False, False]
    assert [parameter.type.canonical for parameter in found] == ["address", "(uint8,bytes)[]", "uint8"]
    element = found[1].type.element
    assert element is not None
    assert [component.name for component in element.components] == ["kind", "data"]


def test_parse_parameters_args_empty() -> None:
    assert parse_parameters(" ") == ()


@pytest.mark.parametrize("text", [",", "uint8 a b", "uint8 indexed a b", "(uint8) [] a b", "uint8,", "indexed a"])
def test_parse_parameters_error_form(text: str) -> None:
    with pytest.raises(EncodingInvalid):
        parse_parameters(text)


def test_split_brackets_default() -> None:
    assert split_brackets("tuple[3][]") == ("tuple", "[3][]")
    assert split_brackets("tuple") == ("tuple", "")
