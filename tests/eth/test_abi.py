"""The codec equals eth-abi on everything well-formed, and refuses everything else."""

import pytest
from eth_abi.abi import decode as reference_decode
from eth_abi.abi import encode as reference_encode
from hypothesis import example, given
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import (
    ADDRESS,
    DEPTH_MAX,
    UINT256,
    AbiType,
    Parameter,
    array_of,
    decode,
    decode_one,
    elementary,
    encode,
    tuple_of,
)
from gamekit.eth.abi_text import parse_type

Typed = tuple[str, object]
"""A type and a value of it."""


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def elementary_values() -> st.SearchStrategy[Typed]:
    def unsigned(bits: int) -> st.SearchStrategy[Typed]:
        return st.integers(0, (1 << bits) - 1).map(lambda value: (f"uint{bits}", value))

    def signed(bits: int) -> st.SearchStrategy[Typed]:
        limit = 1 << (bits - 1)
        return st.integers(-limit, limit - 1).map(lambda value: (f"int{bits}", value))

    def fixed(size: int) -> st.SearchStrategy[Typed]:
        return st.binary(min_size=size, max_size=size).map(lambda value: (f"bytes{size}", value))

    bits = st.integers(1, 32).map(lambda size: size * 8)
    return st.one_of(
        bits.flatmap(unsigned),
        bits.flatmap(signed),
        st.integers(1, 32).flatmap(fixed),
        st.binary(min_size=20, max_size=20).map(lambda value: ("address", value)),
        st.booleans().map(lambda value: ("bool", value)),
        st.binary(max_size=70).map(lambda value: ("bytes", value)),
        st.text(max_size=30).map(lambda value: ("string", value)),
    )


def compound_values(parts: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    def struct(fields: list[Typed]) -> Typed:
        return f"({','.join(kind for kind, _ in fields)})", tuple(value for _, value in fields)

    def array(item: Typed, count: int, fixed: bool) -> Typed:
        kind, value = item
        length = str(count) if fixed and count else ""
        return f"{kind}[{length}]", (value,) * count

    arrays = st.builds(array, parts, st.integers(0, 4), st.booleans())
    return st.lists(parts, min_size=1, max_size=4).map(struct) | arrays


VALUES = st.lists(st.recursive(elementary_values(), compound_values, max_leaves=8), max_size=5)


def split(values: list[Typed]) -> tuple[list[str], list[AbiType], list[object]]:
    names = [kind for kind, _ in values]
    return names, [parse_type(name) for name in names], [value for _, value in values]


@given(VALUES)
def test_encode_behavior_equals_eth_abi(values: list[Typed]) -> None:
    names, types, plain = split(values)
    assert encode(types, plain) == reference_encode(names, plain)


@given(VALUES)
def test_decode_behavior_inverts_encode(values: list[Typed]) -> None:
    _, types, plain = split(values)
    assert decode(types, encode(types, plain)) == tuple(plain)


@given(VALUES.filter(bool), st.data())
def test_decode_behavior_refuses_or_is_canonical(values: list[Typed], data: st.DataObject) -> None:
    """Any single changed byte decodes to something that encodes to the same bytes, or is refused."""
    _, types, plain = split(values)
    encoded = bytearray(encode(types, plain))
    if encoded:
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(types, bytes(encoded))
    except EncodingInvalid:
        return
    assert encode(types, found) == bytes(encoded)


@given(VALUES.filter(bool), st.integers(1, 40))
def test_decode_error_length(values: list[Typed], count: int) -> None:
    _, types, plain = split(values)
    encoded = encode(types, plain)
    with pytest.raises(EncodingInvalid):
        decode(types, encoded + bytes(count))
    with pytest.raises(EncodingInvalid):
        decode(types, encoded[: max(0, len(encoded) - count)])


@given(st.binary(max_size=300))
@example(b"")
def test_decode_behavior_any_bytes(data: bytes) -> None:
    types = [parse_type("(uint8,string,bytes[])[]"), parse_type("int16[2]"), parse_type("bool")]
    try:
        found = decode(types, data)
    except EncodingInvalid:
        return
    assert encode(types, found) == data


CALLS = parse_type("(address,uint256,bytes)[]")


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("uint8", word(256), "uint8 is out of range: byte 0 has 256, expected 255"),
        ("int8", word(128), "int8 is out of range"),
        ("int8", word((1 << 256) - 129), "int8 is out of range"),
        ("bool", word(2), "bool is neither 0 nor 1"),
        ("address", b"\x01" + bytes(31), "address has padding that is not zero"),
        ("bytes4", bytes(31) + b"\x01", "bytes4 has padding that is not zero"),
        (
            "bytes",
            word(0x40) + word(0) * 2,
            "offset does not point at the next unread byte: byte 0 has 64, expected 32",
        ),
        ("bytes", word(0x20), "a length reaches beyond the end"),
        ("bytes", word(0x20) + word(33) + word(0), "bytes reach beyond the end"),
        ("bytes", word(0x20) + word(1 << 255), "bytes reach beyond the end"),
        ("bytes", word(0x20) + word(1) + b"ab" + bytes(30), "padding is not zero: byte 65"),
        ("string", word(0x20) + word(1) + b"\xff" + bytes(31), "string is not UTF-8: byte 64 has 255"),
        ("uint256[]", word(0x20) + word(1), "array reaches beyond the end"),
        ("uint256[]", word(0x20) + word(1 << 250), "array reaches beyond the end"),
        ("uint256[2]", word(1), "values reach beyond the end: byte 0 has 32, expected 64"),
        ("uint256", word(1) + b"\x00", "bytes follow the last value: byte 32"),
        ("(uint8,uint8)", word(1), "values reach beyond the end"),
    ],
)
def test_decode_error_form(kind: str, data: bytes, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message) as caught:
        decode_one(parse_type(kind), data)
    assert {"at", "found", "expected"} <= caught.value.compared.keys()


def test_decode_error_aliased_offset() -> None:
    """Two elements that share their bytes: what a contract would take, and a second reader would see differently."""
    call = word(1) + word(0) + word(0x60) + word(0)
    encoded = word(0x20) + word(2) + word(0x40) * 2 + call
    assert len(reference_decode(["(address,uint256,bytes)[]"], encoded, strict=False)[0]) == 2
    with pytest.raises(EncodingInvalid, match="offset does not point at the next unread byte"):
        decode_one(CALLS, encoded)


def test_decode_error_gap() -> None:
    encoded = word(0x40) + word(0) + word(1) + b"a" + bytes(31)
    assert reference_decode(["bytes"], encoded) == (b"a",)
    with pytest.raises(EncodingInvalid, match="offset"):
        decode_one(elementary("bytes"), encoded)


def test_decode_behavior_bounded_work() -> None:
    """Arrays of arrays cannot make a small input expensive: each element needs bytes of its own."""
    kind = parse_type("uint8[][][][][]")
    bomb = word(0x20) + word(4) + word(0x80) * 4 + word(4) + word(0x80) * 4
    with pytest.raises(EncodingInvalid):
        decode_one(kind, bomb)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("uint8", 256, "uint8 must be a whole number from 0 to 255, got '256'"),
        ("uint8", -1, "uint8 must be"),
        ("uint8", True, "uint8 must be"),
        ("uint8", "7", "uint8 must be"),
        ("uint8", 7.0, "uint8 must be"),
        ("int8", 128, "from -128 to 127"),
        ("int8", -129, "int8 must be"),
        ("int8", False, "int8 must be"),
        ("bool", 1, "bool must be true or false"),
        ("address", bytes(19), "address must be 20 bytes"),
        ("address", "0x" + "00" * 20, "address must be 20 bytes"),
        ("bytes4", b"abc", "bytes4 must be 4 bytes"),
        ("bytes", "0x", "bytes must be bytes"),
        ("string", b"a", "string must be text"),
        ("string", "\ud800", "string must be text"),
        ("uint8[]", 7, "must be a list"),
        ("uint8[]", b"abc", "must be a list"),
        ("string[]", "abc", "must be a list"),
        ("uint8[2]", (1,), "expected 2 values, got 1"),
        ("(uint8,uint8)", (1,), "expected 2 values, got 1"),
        ("(uint8,uint8)", 1, "must be a list"),
    ],
)
def test_encode_error_value(kind: str, value: object, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        encode((parse_type(kind),), (value,))


def test_encode_error_count() -> None:
    with pytest.raises(EncodingInvalid, match="expected 1 values, got 2"):
        encode((UINT256,), (1, 2))


PAIR = tuple_of((Parameter("owner", ADDRESS), Parameter("amount", UINT256)))


def test_encode_args_by_name() -> None:
    owner = b"\x07" * 20
    assert PAIR.encode({"amount": 5, "owner": owner}) == PAIR.encode((owner, 5)) == bytes(12) + owner + word(5)


@pytest.mark.parametrize("value", [{}, {"owner": bytes(20)}, {"owner": bytes(20), "amount": 1, "more": 1}])
def test_encode_error_names(value: dict[str, object]) -> None:
    with pytest.raises(EncodingInvalid, match="expected the fields"):
        PAIR.encode(value)


def test_encode_error_same_name_twice() -> None:
    twice = tuple_of((Parameter("a", UINT256), Parameter("a", UINT256)))
    assert twice.encode((1, 2)) == word(1) + word(2)
    with pytest.raises(EncodingInvalid, match="expected the fields"):
        twice.encode({"a": 1})


@pytest.mark.parametrize("name", ["uint", "uint7", "uint264", "bytes0", "bytes33", "fixed", "function", "", "tuple"])
def test_elementary_error_unknown(name: str) -> None:
    with pytest.raises(EncodingInvalid, match="unknown ABI type"):
        elementary(name)


def test_tuple_of_error_empty() -> None:
    with pytest.raises(EncodingInvalid, match="at least one field"):
        tuple_of(())


@pytest.mark.parametrize("length", [0, -1, 65537])
def test_array_of_error_length(length: int) -> None:
    with pytest.raises(EncodingInvalid, match="array length"):
        array_of(UINT256, length)


def test_array_of_error_depth() -> None:
    kind = UINT256
    for _ in range(DEPTH_MAX):
        kind = array_of(kind)
    assert kind.depth == DEPTH_MAX
    with pytest.raises(EncodingInvalid, match="nest 17 deep"):
        array_of(kind)
