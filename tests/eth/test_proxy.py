import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.eth.proxy import (
    BEACON_SLOT,
    IMPLEMENTATION,
    IMPLEMENTATION_SLOT,
    clone_target,
    runs_others,
    told_address,
    word_address,
)

INSIDE = bytes(range(1, 21))
CLONE = bytes.fromhex("363d3d373d3d3d363d73") + INSIDE + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")


def test_slots_are_those_of_the_standard() -> None:
    """Source: ERC-1967, which spells both out."""
    assert IMPLEMENTATION_SLOT.hex() == "360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
    assert BEACON_SLOT.hex() == "a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50"
    assert IMPLEMENTATION.selector.hex() == "5c60da1b"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("", False),
        ("00", False),
        ("f4", True),
        ("f2", True),
        ("f1fa", False),
        ("60f4", False),
        ("60f400", False),
        ("60f4f4", True),
        ("6000f2", True),
        ("5ff4", True),
        ("7f" + "f4" * 32, False),
        ("7f" + "f4" * 33, True),
        ("7ff4f4", False),
        ("80f4", True),
        ("00fef4", True),
        ("61f4f2" + "00" * 5, False),
        ("61f4f2f4", True),
    ],
)
def test_runs_others_reads_instructions_and_not_their_data(code: str, found: bool) -> None:
    assert runs_others(bytes.fromhex(code)) is found


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(min_size=32, max_size=32)), max_size=40))
def test_runs_others_property_it_is_what_an_assembler_put_there(instructions: list[tuple[int, bytes]]) -> None:
    code = b"".join(bytes([op]) + data[: op - 0x5F] if 0x60 <= op <= 0x7F else bytes([op]) for op, data in instructions)
    assert runs_others(code) is any(op in (0xF2, 0xF4) for op, _ in instructions)


def test_clone_target() -> None:
    assert clone_target(CLONE) == INSIDE
    assert clone_target(CLONE + b"immutable arguments") == INSIDE


@pytest.mark.parametrize("place", [0, 9, 30, 44])
def test_clone_target_behavior_other_code(place: int) -> None:
    other = bytearray(CLONE)
    other[place] ^= 1
    assert clone_target(bytes(other)) is None


def test_clone_target_behavior_cut_short_or_of_nothing() -> None:
    assert clone_target(CLONE[:-1]) is None
    assert clone_target(CLONE.replace(INSIDE, bytes(20))) is None


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (bytes(12) + INSIDE, INSIDE),
        (bytes(12) + INSIDE + b"more", INSIDE),
        (bytes(11) + b"\x01" + INSIDE, None),
        (bytes(32), None),
        (b"", None),
        ((bytes(12) + INSIDE)[:31], None),
    ],
)
def test_told_address(answer: bytes, found: bytes | None) -> None:
    assert told_address(answer) == found


def test_word_address() -> None:
    assert word_address(bytes(12) + INSIDE) == INSIDE
    assert word_address(b"\x01" + bytes(11) + INSIDE) is None
    assert word_address(bytes(32)) is None
