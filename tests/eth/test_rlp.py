"""RLP equals the reference library."""

import pytest
import rlp  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.eth.rlp import RlpItem, rlp_encode

LEAVES = st.binary(max_size=80) | st.integers(min_value=0, max_value=1 << 256)
ITEMS: st.SearchStrategy[RlpItem] = st.recursive(LEAVES, lambda items: st.lists(items, max_size=6), max_leaves=12)


@given(ITEMS)
def test_rlp_encode_behavior_equals_reference(item: RlpItem) -> None:
    assert rlp_encode(item) == rlp.encode(item)


# Source: Ethereum tests, RLPTests/rlptest.json.
@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (b"", "80"),
        (b"\x00", "00"),
        (b"\x7f", "7f"),
        (b"dog", "83646f67"),
        (0, "80"),
        (15, "0f"),
        (1024, "820400"),
        ([], "c0"),
        ([b"cat", b"dog"], "c88363617483646f67"),
        ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
    ],
)
def test_rlp_encode_default(item: RlpItem, expected: str) -> None:
    assert rlp_encode(item).hex() == expected


@pytest.mark.parametrize("length", [55, 56, 255, 256, 65535, 65536])
def test_rlp_encode_args_length(length: int) -> None:
    assert rlp_encode(bytes(length)) == rlp.encode(bytes(length))


def test_rlp_encode_error_negative() -> None:
    with pytest.raises(EncodingInvalid, match="no negative number, got -1"):
        rlp_encode(-1)
