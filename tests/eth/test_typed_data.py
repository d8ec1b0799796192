"""Typed data hashes equal eth-account's and those of the standard's own example."""

import copy

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.eth.typed_data import DEPTH_MAX, Field, domain_separator, encode_type, hash_struct, typed_data_digest

# Source: EIP-712, example (Mail).
MAIL: dict[str, dict[str, object]] = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"},
        ],
    },
    "domain": {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
    },
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!",
    },
}
MAIL_DATA: dict[str, object] = {**MAIL, "primaryType": "Mail"}

WIDE: dict[str, object] = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}],
        "Item": [{"name": "kind", "type": "uint8"}, {"name": "tags", "type": "bytes4[2]"}],
        "Wide": [
            {"name": "number", "type": "uint256"},
            {"name": "signed", "type": "int64"},
            {"name": "flag", "type": "bool"},
            {"name": "data", "type": "bytes"},
            {"name": "word", "type": "bytes32"},
            {"name": "names", "type": "string[]"},
            {"name": "items", "type": "Item[][]"},
        ],
    },
    "primaryType": "Wide",
    "domain": {"name": "gamekit"},
    "message": {
        "number": 5,
        "signed": -5,
        "flag": True,
        "data": "0xabcdef",
        "word": "0x" + "11" * 32,
        "names": ["a", ""],
        "items": [[{"kind": 1, "tags": ["0x01020304", "0x05060708"]}], []],
    },
}


def reference(typed_data: dict[str, object]) -> bytes:
    message = encode_typed_data(full_message=typed_data)
    return keccak256(b"\x19\x01" + message.header + message.body)


def test_typed_data_digest_default() -> None:
    assert typed_data_digest(MAIL_DATA).hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    domain = "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    assert domain_separator(MAIL_DATA).hex() == domain


def test_encode_type_default() -> None:
    types = {
        name: [Field(field["name"], field["type"]) for field in fields]
        for name, fields in {
            "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
            "Mail": [{"name": "from", "type": "Person"}, {"name": "to", "type": "Person[]"}],
        }.items()
    }
    assert encode_type(types, "Mail") == "Mail(Person from,Person[] to)Person(string name,address wallet)"
    assert encode_type(types, "Person") == "Person(string name,address wallet)"


@pytest.mark.parametrize("data", [MAIL_DATA, WIDE])
def test_typed_data_digest_behavior_equals_eth_account(data: dict[str, object]) -> None:
    assert typed_data_digest(data) == reference(data)


@settings(max_examples=50)
@given(
    number=st.integers(0, (1 << 256) - 1),
    signed=st.integers(-(1 << 63), (1 << 63) - 1),
    data=st.binary(max_size=70),
    names=st.lists(st.text(max_size=10), max_size=4),
    kinds=st.lists(st.lists(st.integers(0, 255), max_size=3), max_size=3),
)
def test_typed_data_digest_behavior_equals_eth_account_at_random(
    number: int, signed: int, data: bytes, names: list[str], kinds: list[list[int]]
) -> None:
    items = [[{"kind": kind, "tags": [b"abcd", b"efgh"]} for kind in row] for row in kinds]
    message = {"number": number, "signed": signed, "flag": False, "data": data, "word": bytes(32), "names": names}
    assert typed_data_digest(WIDE | {"message": message | {"items": items}}) == reference(
        WIDE | {"message": message | {"items": items}}
    )


def test_typed_data_digest_args_numbers_as_text() -> None:
    message = dict(copy.deepcopy(WIDE["message"]))  # type: ignore[call-overload]
    for number, signed in (("5", "-5"), ("0x5", "-0x5")):
        assert typed_data_digest(WIDE | {"message": message | {"number": number, "signed": signed}}) == reference(WIDE)


def test_typed_data_digest_behavior_recovers() -> None:
    key = keccak256(b"an owner")
    signed = Account.sign_typed_data(key, full_message=MAIL_DATA)
    assert bytes(signed.message_hash) == typed_data_digest(MAIL_DATA)


def changed(path: tuple[str, ...], value: object) -> dict[str, object]:
    data = copy.deepcopy(WIDE)
    place: object = data
    for name in path[:-1]:
        assert isinstance(place, dict)
        place = place[name]
    assert isinstance(place, dict)
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "not typed data"),
        ("0x", "not typed data"),
        (changed(("types", "EIP712Domain"), None), "does not define 'EIP712Domain'"),
        (changed(("primaryType",), "Missing"), "does not define 'Missing'"),
        (changed(("message", "number"), None), "Wide has the fields"),
        (changed(("message", "more"), 1), "Wide has the fields"),
        (changed(("domain", "version"), "1"), "EIP712Domain has the fields"),
        (changed(("message", "number"), -1), "uint256 must be"),
        (changed(("message", "number"), "five"), "uint256 cannot be 'five'"),
        (changed(("message", "flag"), "true"), "bool must be"),
        (changed(("message", "flag"), 1), "bool must be"),
        (changed(("message", "word"), "0x11"), "bytes32 must be 32 bytes"),
        (changed(("message", "data"), "abcd"), "expected 0x"),
        (changed(("message", "data"), 5), "bytes must be bytes"),
        (changed(("message", "names"), "a"), r"string\[\] cannot be 'a'"),
        (changed(("message", "names"), [5]), "string must be text"),
        (changed(("message", "items"), [[{"kind": 1, "tags": ["0x01020304"]}]]), r"bytes4\[2\] cannot be"),
        (changed(("message", "items"), [[5]]), "Item cannot be '5'"),
        (changed(("types", "Item"), [{"name": "kind", "type": "uint"}]), "fields|unknown ABI type"),
        (changed(("types", "EIP712Domain"), [{"name": "name", "type": "strung"}]), "unknown ABI type 'strung'"),
        (changed(("types", "EIP712Domain"), [{"name": "name", "type": "string[x]"}]), "unknown array type"),
    ],
)
def test_typed_data_digest_error_form(data: object, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        typed_data_digest(data)


def test_hash_struct_error_depth() -> None:
    types = {"Node": [Field("next", "Node[]")]}
    value: dict[str, object] = {"next": []}
    for _ in range(DEPTH_MAX):
        value = {"next": [value]}
    with pytest.raises(EncodingInvalid, match="deeper than"):
        hash_struct(types, "Node", value)
