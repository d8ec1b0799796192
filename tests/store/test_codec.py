"""Rows as bytes: whole numbers of any size, whatever the depth."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.core.journal import Row
from gamekit.store.codec import RowCodec
from gamekit.units import NonceKey, Wei
from tests.store.kinds import Move, Slot


class Part(msgspec.Struct, frozen=True):
    amount: Wei
    note: str | None = None


class Deep(Row, frozen=True):
    TABLE = "deep"
    KEY = ("name",)

    name: str
    parts: tuple[Part, ...] = ()
    amounts: dict[str, int] = msgspec.field(default_factory=dict)
    flag: bool = False


numbers = st.integers(min_value=-(1 << 256), max_value=1 << 256)


@given(st.binary(), st.integers(0, (1 << 192) - 1), numbers, numbers, st.lists(numbers))
def test_round_trip_slot(sender: bytes, key: int, sequence: int, fee: int, history: list[int]) -> None:
    row = Slot(sender, NonceKey(key), sequence, Wei(fee), tuple(history))
    codec = RowCodec(Slot)
    assert codec.decode(codec.encode_all([row])[0]) == row


@given(st.text(), st.lists(st.builds(Part, numbers.map(Wei), st.none() | st.text())), st.booleans())
def test_round_trip_deep(name: str, parts: list[Part], flag: bool) -> None:
    row = Deep(name, tuple(parts), {str(n): part.amount for n, part in enumerate(parts)}, flag)
    codec = RowCodec(Deep)
    assert codec.decode(codec.encode_all([row])[0]) == row


def test_encode_all_behavior_order() -> None:
    rows = [Deep(str(n), (Part(Wei(1 << (n * 40))),)) for n in range(5)]
    codec = RowCodec(Deep)
    assert [codec.decode(body) for body in codec.encode_all(rows)] == rows


def test_encode_all_behavior_bytes_stay_raw() -> None:
    assert b"\x00\xff" * 4 in RowCodec(Move).encode_all([Move(1 << 70, "ada", body=b"\x00\xff" * 4)])[0]


def test_encode_all_error_field() -> None:
    with pytest.raises(TypeError):
        RowCodec(Move).encode_all([Move(1, object())])  # type: ignore[arg-type]
