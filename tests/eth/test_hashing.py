"""Hashes, selectors and addresses equal published values."""

import pytest
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import (
    EMPTY_HASH,
    checksum_address,
    create2_address,
    create_address,
    event_topic,
    keccak256,
    parse_address,
    parse_hex,
    selector,
    to_hex,
)
from gamekit.units import Address

# Source: ERC-55, test cases.
CHECKSUMMED = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)


@given(st.binary(max_size=600))
def test_keccak256_default(data: bytes) -> None:
    assert keccak256(data) == keccak(data)
    assert keccak256(memoryview(data)) == keccak(data)


def test_empty_hash_default() -> None:
    assert EMPTY_HASH.hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_selector_default() -> None:
    # Source: ERC-20.
    assert selector("transfer(address,uint256)").hex() == "a9059cbb"
    assert selector("approve(address,uint256)").hex() == "095ea7b3"


def test_event_topic_default() -> None:
    # Source: ERC-20.
    topic = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert event_topic("Transfer(address,address,uint256)").hex() == topic


@pytest.mark.parametrize("text", CHECKSUMMED)
def test_checksum_address_default(text: str) -> None:
    assert checksum_address(bytes.fromhex(text[2:])) == text
    assert parse_address(text) == bytes.fromhex(text[2:])


@given(st.binary(min_size=20, max_size=20))
def test_checksum_address_behavior_equals_eth_utils(address: bytes) -> None:
    text = checksum_address(address)
    assert text == to_checksum_address(address)
    assert parse_address(text) == address


@pytest.mark.parametrize("text", CHECKSUMMED)
def test_parse_address_args_one_case(text: str) -> None:
    assert parse_address(text.lower()) == parse_address("0x" + text[2:].upper()) == bytes.fromhex(text[2:])


def test_parse_address_error_checksum() -> None:
    wrong = CHECKSUMMED[4].replace("F3E", "f3E")
    with pytest.raises(EncodingInvalid, match="checksum") as caught:
        parse_address(wrong)
    assert caught.value.compared == {"found": wrong, "expected": CHECKSUMMED[4]}


@pytest.mark.parametrize("text", ["", "0x", "0x" + "ab" * 19, "0x" + "ab" * 21, "ab" * 20, "0X" + "ab" * 20])
def test_parse_address_error_form(text: str) -> None:
    with pytest.raises(EncodingInvalid):
        parse_address(text)


@given(st.binary(max_size=80))
def test_parse_hex_behavior_reads_to_hex(data: bytes) -> None:
    assert parse_hex(to_hex(data)) == data
    assert parse_hex("0x" + data.hex().upper(), len(data)) == data


@pytest.mark.parametrize("text", ["", "0", "ab", "0xa", "0xzz", "0x ab", "0xab ", "0xab\n", "0x\u0661\u0661", "0x0xab"])
def test_parse_hex_error_form(text: str) -> None:
    with pytest.raises(EncodingInvalid, match="expected 0x"):
        parse_hex(text)


def test_parse_hex_error_length() -> None:
    with pytest.raises(EncodingInvalid, match="expected 3 bytes, got 2"):
        parse_hex("0xabcd", 3)


# Source: EIP-1014, examples.
@pytest.mark.parametrize(
    ("deployer", "salt", "init_code", "expected"),
    [
        ("00" * 20, "00" * 32, "00", "0x4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38"),
        ("deadbeef" + "00" * 16, "00" * 32, "00", "0xB928f69Bb1D91Cd65274e3c79d8986362984fDA3"),
        (
            "deadbeef" + "00" * 16,
            "00" * 12 + "feed" + "00" * 18,
            "00",
            "0xD04116cDd17beBE565EB2422F2497E06cC1C9833",
        ),
        ("00" * 20, "00" * 32, "deadbeef", "0x70f2b2914A2a4b783FaEFb75f459A580616Fcb5e"),
        ("00" * 20, "00" * 32, "", "0xE33C0C7F7df4809055C3ebA6c09CFe4BaF1BD9e0"),
    ],
)
def test_create2_address_default(deployer: str, salt: str, init_code: str, expected: str) -> None:
    found = create2_address(Address(bytes.fromhex(deployer)), bytes.fromhex(salt), bytes.fromhex(init_code))
    assert checksum_address(found) == expected


def test_create2_address_error_salt() -> None:
    with pytest.raises(EncodingInvalid, match="a salt is 32 bytes, got 31"):
        create2_address(Address(bytes(20)), bytes(31), b"")


# Source: go-ethereum, crypto_test.go, TestNewContractAddress.
@pytest.mark.parametrize(
    ("nonce", "expected"),
    [
        (0, "0x333c3310824b7c685133f2bedb2ca4b8b4df633d"),
        (1, "0x8bda78331c916a08481428e4b07c96d3e916d165"),
        (2, "0xc9ddedf451bc62ce88bf9292afb13df35b670699"),
    ],
)
def test_create_address_default(nonce: int, expected: str) -> None:
    deployer = parse_address("0x970E8128AB834E8EAC17Ab8E3812F010678CF791")
    assert to_hex(create_address(deployer, nonce)) == expected
