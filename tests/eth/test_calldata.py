"""Calldata packed by hand equals eth-abi's, and only that is read back."""

import pytest
from eth_abi.abi import encode as reference_encode
from hypothesis import given
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.eth.calldata import (
    BATCH_TEMPLATES,
    EXECUTE_SELECTOR,
    BatchTemplate,
    Call,
    CallSlot,
    CallTemplate,
    Execution,
    Mode,
    decode_execute,
    execute_batch,
    execute_single,
    pack_element,
)
from gamekit.eth.hashing import selector
from gamekit.eth.interface import Function
from gamekit.units import UINT256_MAX, Address, Wei

ARENA = Address(b"\xa7" * 20)
ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
CALLS = st.builds(Call, ADDRESSES, st.integers(0, UINT256_MAX).map(Wei), st.binary(max_size=100))
BATCH_MODES = st.sampled_from([Mode.BATCH, Mode.BATCH_TRY])
SINGLE_MODES = st.sampled_from([Mode.SINGLE, Mode.SINGLE_TRY])


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def reference(mode: Mode, execution: bytes) -> bytes:
    return selector("execute(bytes32,bytes)") + reference_encode(["bytes32", "bytes"], [mode.value, execution])


def reference_batch(mode: Mode, calls: list[Call]) -> bytes:
    return reference(mode, reference_encode(["(address,uint256,bytes)[]"], [calls]))


def test_mode_default() -> None:
    # Source: ERC-7579, execution modes.
    assert [mode.value[:2].hex() for mode in Mode] == ["0000", "0001", "0100", "0101"]
    assert all(len(mode.value) == 32 and mode.value[2:] == bytes(30) for mode in Mode)
    assert [mode.is_batch for mode in Mode] == [False, False, True, True]
    assert [mode.is_try for mode in Mode] == [False, True, False, True]
    assert selector("execute(bytes32,bytes)") == EXECUTE_SELECTOR


TEMPLATES = [
    ("rest()", [], ()),
    ("move(uint8 x)", ["uint8"], (7,)),
    ("attack(uint256 target,uint16 blow)", ["uint256", "uint16"], (1 << 200, 3)),
    ("craft(address to,bytes4 kind,bool fast)", ["address", "bytes4", "bool"], (bytes(20), b"iron", True)),
    ("four(int8 a,int8 b,int8 c,int8 d)", ["int8"] * 4, (-1, 2, -3, 4)),
    ("pair((uint8,uint8) at,uint8[2] to)", ["(uint8,uint8)", "uint8[2]"], ((1, 2), (3, 4))),
    ("say(string text,uint8 volume)", ["string", "uint8"], ("hello", 2)),
]


@pytest.mark.parametrize(("text", "types", "values"), TEMPLATES)
def test_call_template_default(text: str, types: list[str], values: tuple[object, ...]) -> None:
    function = Function.parse(text)
    template = CallTemplate(function)
    expected = function.selector + reference_encode(types, values)
    assert template.encode(values) == template.encode(list(values)) == expected
    assert template.encode({p.name: value for p, value in zip(function.inputs, values, strict=True)}) == expected
    assert template.decode(expected) == values


@pytest.mark.parametrize("text", [text for text, _, _ in TEMPLATES])
def test_call_template_error_count(text: str) -> None:
    template = CallTemplate(Function.parse(text))
    with pytest.raises(EncodingInvalid, match=r"takes \d arguments, got 5"):
        template.encode((1, 2, 3, 4, 5))


@pytest.mark.parametrize("arguments", [{"target": 1}, {"target": 1, "blow": 2, "more": 3}, (1, 1 << 16), (-1, 2), "ab"])
def test_call_template_error_arguments(arguments: dict[str, object] | tuple[object, ...]) -> None:
    template = CallTemplate(Function.parse("attack(uint256 target,uint16 blow)"))
    with pytest.raises(EncodingInvalid):
        template.encode(arguments)


def test_call_template_error_not_arguments() -> None:
    with pytest.raises(EncodingInvalid):
        CallTemplate(Function.parse("rest()")).encode(range(3))


@given(BATCH_MODES, st.lists(CALLS, min_size=1, max_size=8))
def test_execute_batch_behavior_equals_eth_abi(mode: Mode, calls: list[Call]) -> None:
    calldata = execute_batch(mode, calls)
    assert calldata == reference_batch(mode, calls)
    assert decode_execute(calldata) == Execution(mode, tuple(calls))


@given(SINGLE_MODES, CALLS)
def test_execute_single_behavior_equals_eth_abi(mode: Mode, call: Call) -> None:
    calldata = execute_single(mode, *call)
    assert calldata == reference(mode, call.target + word(call.value) + call.data)
    assert decode_execute(calldata) == Execution(mode, (call,))


def test_batch_template_behavior_remembers_shapes() -> None:
    template = BatchTemplate(Mode.BATCH_TRY)
    for data in (bytes(68), b"\x01" * 68, bytes(36)):
        calls = [Call(ARENA, Wei(0), data)] * 32
        elements = [pack_element(*call) for call in calls]
        assert template.encode(elements) == reference_batch(Mode.BATCH_TRY, calls)


def test_batch_template_behavior_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gamekit.eth.calldata._SHAPES_MAX", 2)
    template, slot = BatchTemplate(Mode.BATCH), CallSlot(ARENA)
    for length in (4, 36, 68, 100, 4):
        calls = [Call(ARENA, Wei(0), bytes(length))]
        assert template.encode([slot.element(bytes(length))]) == reference_batch(Mode.BATCH, calls)
    assert len(template._prefixes) == len(slot._heads) == 2


@given(st.binary(max_size=100), st.integers(0, UINT256_MAX))
def test_call_slot_default(data: bytes, value: int) -> None:
    slot = CallSlot(ARENA, Wei(value))
    assert slot.element(data) == slot.element(data) == pack_element(ARENA, value, data)


def test_batch_template_error_mode() -> None:
    with pytest.raises(EncodingInvalid, match="SINGLE_TRY holds one call"):
        BatchTemplate(Mode.SINGLE_TRY)
    with pytest.raises(EncodingInvalid, match="SINGLE holds one call"):
        execute_batch(Mode.SINGLE, [])
    with pytest.raises(EncodingInvalid, match="BATCH holds a batch"):
        execute_single(Mode.BATCH, ARENA, 0, b"")
    assert set(BATCH_TEMPLATES) == {Mode.BATCH, Mode.BATCH_TRY}


def test_execute_batch_error_empty() -> None:
    with pytest.raises(EncodingInvalid, match="at least one call"):
        execute_batch(Mode.BATCH, [])
    with pytest.raises(EncodingInvalid, match="at least one call"):
        decode_execute(reference_batch(Mode.BATCH, []))


@pytest.mark.parametrize(("target", "value"), [(bytes(19), 0), (ARENA, -1), (ARENA, 1 << 256)])
def test_pack_error_call(target: bytes, value: int) -> None:
    with pytest.raises(EncodingInvalid, match="20-byte target"):
        pack_element(Address(target), value, b"")
    with pytest.raises(EncodingInvalid, match="20-byte target"):
        execute_single(Mode.SINGLE, Address(target), value, b"")


BATCH = execute_batch(Mode.BATCH, [Call(ARENA, Wei(0), b"\x01" * 36), Call(ARENA, Wei(0), b"\x02" * 68)])
SINGLE = execute_single(Mode.SINGLE, ARENA, 0, b"\x01" * 36)


def with_word(calldata: bytes, at: int, value: bytes) -> bytes:
    return calldata[:at] + value + calldata[at + len(value) :]


@pytest.mark.parametrize(
    ("calldata", "message"),
    [
        (b"", "selector"),
        (with_word(BATCH, 0, b"\x00"), "selector"),
        (with_word(BATCH, 4, b"\xff"), "none of the four"),
        (with_word(BATCH, 4 + 31, b"\x01"), "none of the four"),
        (with_word(SINGLE, 36, word(0x60)), "offset of the execution data"),
        (SINGLE[:68], "offset|says"),
        (SINGLE + bytes(32), "says"),
        (SINGLE[:-1], "says"),
        (with_word(SINGLE, 68, word(1 << 255)), "says"),
        (SINGLE[:-1] + b"\x01", "padding"),
        (reference(Mode.SINGLE, bytes(51)), "at least 52 bytes, got 51"),
        (with_word(BATCH, 100, word(0x40)), "offset"),
        (with_word(BATCH, 132, word(3)), "offset|reach"),
        (with_word(BATCH, 164, word(0x60)), "offset"),
        (with_word(BATCH, 196, word(0x40)), "offset"),
        (with_word(BATCH, 228, b"\x01"), "address has padding"),
        (with_word(BATCH, 292, word(0x80)), "offset"),
        (with_word(BATCH, 324, word(35)), "padding"),
        (with_word(BATCH, 324 + 32 + 36, b"\x01"), "padding"),
        (reference(Mode.BATCH, BATCH[100:] + bytes(32)), "follow the last value"),
        (reference(Mode.BATCH, BATCH[100:] + bytes(3)), "follow the last value"),
        (with_word(BATCH, 68, word(len(BATCH) - 101)), "reach beyond"),
        (reference(Mode.BATCH, b""), "reach beyond"),
        (reference(Mode.BATCH, word(0x20) + word(1)), "array reaches beyond"),
        (with_word(BATCH, 324, word(1 << 255)), "reach beyond"),
        (with_word(BATCH, 324, word(UINT256_MAX)), "reach beyond"),
        (with_word(BATCH, len(BATCH) - 128, word(UINT256_MAX)), "reach beyond"),
    ],
)
def test_decode_execute_error_form(calldata: bytes, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        decode_execute(calldata)


@given(st.sampled_from([BATCH, SINGLE]), st.data())
def test_decode_execute_behavior_refuses_or_is_canonical(calldata: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(calldata) - 1))
    changed = with_word(calldata, place, bytes((calldata[place] ^ data.draw(st.integers(1, 255)),)))
    try:
        mode, calls = decode_execute(changed)
    except EncodingInvalid:
        return
    again = execute_batch(mode, calls) if mode.is_batch else execute_single(mode, *calls[0])
    assert again == changed
