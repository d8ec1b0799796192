"""Contracts are built from their ABI and what they say is read strictly."""

import pytest
from web3 import Web3

from gamekit.contracts import artifact
from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import AbiValue
from gamekit.eth.block import Log
from gamekit.eth.hashing import keccak256
from gamekit.eth.interface import ERROR, PANIC, CustomError, Event, Function, Interface
from gamekit.units import Address, Hash32

GAME = Address(b"\x0a" * 20)
PLAYER = b"\x0b" * 20
ABI: list[dict[str, object]] = [
    {
        "type": "function",
        "name": "attack",
        "stateMutability": "nonpayable",
        "inputs": [
            {"name": "target", "type": "uint256", "internalType": "uint256"},
            {
                "name": "blows",
                "type": "tuple[2][]",
                "components": [{"name": "kind", "type": "uint8"}, {"name": "note", "type": "string"}],
            },
        ],
        "outputs": [{"name": "", "type": "bool"}],
    },
    {"type": "function", "name": "rest", "inputs": [], "outputs": [], "stateMutability": "view"},
    {"type": "function", "name": "rest", "inputs": [{"name": "turns", "type": "uint8"}], "outputs": []},
    {
        "type": "event",
        "name": "Attacked",
        "inputs": [
            {"name": "player", "type": "address", "indexed": True},
            {"name": "note", "type": "string", "indexed": True},
            {"name": "damage", "type": "uint256", "indexed": False},
            {"name": "", "type": "bool", "indexed": False},
        ],
    },
    {"type": "event", "name": "Whisper", "anonymous": True, "inputs": [{"type": "uint8", "indexed": True}]},
    {"type": "error", "name": "TooTired", "inputs": [{"name": "need", "type": "uint8"}, {"name": "", "type": "uint8"}]},
    {"type": "constructor", "inputs": [{"name": "owner", "type": "address"}]},
    {"type": "receive", "stateMutability": "payable"},
]


@pytest.fixture
def game() -> Interface:
    return Interface.from_json(ABI)


def log(topics: tuple[bytes, ...], data: bytes) -> Log:
    return Log(address=GAME, topics=tuple(map(Hash32, topics)), data=data, index=0)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


ATTACKED = Event.parse("Attacked(address indexed player,string indexed note,uint256 damage,bool)")


def test_interface_default(game: Interface) -> None:
    attack = game.function("attack")
    assert attack.signature == "attack(uint256,(uint8,string)[2][])"
    assert attack.selector == keccak256(attack.signature.encode())[:4]
    assert attack.state_mutability == "nonpayable"
    assert [parameter.type.canonical for parameter in attack.outputs] == ["bool"]
    assert game.functions_by_selector[attack.selector] is attack
    assert set(game.functions) == {attack.signature, "rest()", "rest(uint8)"}
    assert [event.name for event in game.events.values()] == ["Attacked"]
    assert [error.name for error in game.errors.values()] == ["Error", "Panic", "TooTired"]


def test_function_args_overloaded(game: Interface) -> None:
    assert game.function("rest(uint8)").inputs[0].name == "turns"
    with pytest.raises(EncodingInvalid, match="2 functions named 'rest'"):
        game.function("rest")
    with pytest.raises(EncodingInvalid, match="0 functions named 'flee'"):
        game.function("flee")


@pytest.mark.parametrize(
    "abi",
    [{}, "abi", [1], [{"type": 1}], [{"type": "function", "name": "f", "inputs": [{"name": "a", "type": "fixed"}]}]],
)
def test_from_json_error_form(abi: object) -> None:
    with pytest.raises(EncodingInvalid):
        Interface.from_json(abi)


@pytest.mark.parametrize("name", ["EntryPoint06", "EntryPoint07", "EntryPoint08"])
def test_from_json_behavior_equals_web3(name: str) -> None:
    """Every function of a whole contract is found, with the selector that web3 gives it."""
    abi = artifact(name).abi
    found = Interface.from_json(abi)
    contract = Web3().eth.contract(abi=abi)
    assert len(found.functions) == sum(entry["type"] == "function" for entry in abi)
    for function in found.functions.values():
        assert contract.get_function_by_selector(function.selector).fn_name == function.name


def test_encode_call_default(game: Interface) -> None:
    attack = game.function("attack")
    blows = ((1, "a"), (2, "b"))
    calldata = attack.encode_call(7, (blows,))
    assert attack.decode_call(calldata) == (7, (blows,))
    named = ({"kind": 1, "note": "a"}, {"note": "b", "kind": 2})
    assert attack.encode_call(7, (named,)) == calldata


def test_decode_call_error_selector(game: Interface) -> None:
    with pytest.raises(EncodingInvalid, match="starts with"):
        game.function("rest()").decode_call(b"\x00\x00\x00\x00")


def test_decode_result_default(game: Interface) -> None:
    assert game.function("attack").decode_result(word(1)) == (True,)
    with pytest.raises(EncodingInvalid):
        game.function("attack").decode_result(b"")


def test_decode_revert_default(game: Interface) -> None:
    found = game.decode_revert(CustomError.parse("TooTired(uint8 need,uint8)").encode(9, 3))
    assert found.name == "TooTired"
    assert found.values == {"need": 9, "1": 3}


def test_decode_revert_args_solidity_errors(game: Interface) -> None:
    assert game.decode_revert(ERROR.encode("not your turn")).values == {"message": "not your turn"}
    assert game.decode_revert(PANIC.encode(0x11)).values == {"code": 0x11}
    assert ERROR.selector.hex() == "08c379a0"
    assert PANIC.selector.hex() == "4e487b71"


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xde\xad\xbe\xef" + bytes(32), ERROR.selector + word(0x20)])
def test_decode_revert_behavior_unknown(game: Interface, data: bytes) -> None:
    found = game.decode_revert(data)
    assert (found.name, found.values, found.data) == ("", {}, data)


def test_decode_error_selector() -> None:
    with pytest.raises(EncodingInvalid, match="starts with 08c379a0, got 00"):
        ERROR.decode(b"\x00")


def test_decode_log_default(game: Interface) -> None:
    note = keccak256(b"ouch")
    found = game.decode_log(log((ATTACKED.topic, bytes(12) + PLAYER, note), word(5) + word(1)))
    assert found is not None
    expected: dict[str, AbiValue] = {"player": PLAYER, "note": note, "damage": 5, "3": True}
    assert (found.name, found.address, found.values) == ("Attacked", GAME, expected)
    assert list(found.values) == ["player", "note", "damage", "3"]


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ((), b""),
        ((bytes(32),), b""),
        ((ATTACKED.topic,), word(5) + word(1)),
        ((ATTACKED.topic, bytes(12) + PLAYER, bytes(32), bytes(32)), word(5) + word(1)),
        ((ATTACKED.topic, bytes(12) + PLAYER, bytes(32)), word(5)),
        ((ATTACKED.topic, b"\x01" * 32, bytes(32)), word(5) + word(1)),
    ],
)
def test_decode_log_behavior_not_ours(game: Interface, topics: tuple[bytes, ...], data: bytes) -> None:
    assert game.decode_log(log(topics, data)) is None


def test_decode_event_args_anonymous() -> None:
    whisper = Event.build("Whisper", Event.parse("Whisper(uint8 indexed a)").inputs, anonymous=True)
    assert whisper.decode(log((word(3),), b"")).values == {"a": 3}
    with pytest.raises(EncodingInvalid, match="topics"):
        whisper.decode(log((), b""))


@pytest.mark.parametrize("text", ["attack", "attack(", "attack)", "(uint8)", "1a()", "attack(uint8", "attack(uint8))"])
def test_parse_error_form(text: str) -> None:
    with pytest.raises(EncodingInvalid):
        Function.parse(text)
