import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.core.action import body_digest
from gamekit.errors import EncodingInvalid
from gamekit.eth.calldata import Call
from gamekit.units import UINT64_MAX, UINT256_MAX, Wei
from tests.core.rows import action
from tests.core.scopes import ACCOUNT, GAME

BODY = (GAME, 0, b"\x01\x02\x03\x04", 0, "")


def test_an_action_is_the_call_that_it_becomes() -> None:
    one = action(1, value=Wei(5))
    assert one.call == Call(GAME, Wei(5), one.data)


def test_the_digest_has_16_bytes() -> None:
    assert len(body_digest(*BODY)) == 16


@pytest.mark.parametrize(
    "other",
    [
        (ACCOUNT, 0, b"\x01\x02\x03\x04", 0, ""),
        (GAME, 1, b"\x01\x02\x03\x04", 0, ""),
        (GAME, 0, b"\x01\x02\x03\x05", 0, ""),
        (GAME, 0, b"\x01\x02\x03\x04", 1, ""),
        (GAME, 0, b"\x01\x02\x03\x04", 0, "g"),
    ],
)
def test_everything_that_was_asked_for_changes_the_digest(other: tuple[bytes, int, bytes, int, str]) -> None:
    assert body_digest(*other) != body_digest(*BODY)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "not_after"), [(-1, 0), (UINT256_MAX + 1, 0), (0, -1), (0, UINT64_MAX + 1)])
def test_what_is_out_of_range_is_refused_with_both_values(value: int, not_after: int) -> None:
    with pytest.raises(EncodingInvalid) as refused:
        body_digest(GAME, value, b"", not_after, "")
    assert refused.value.compared == {"found": (value, not_after)}


def test_the_largest_values_fit() -> None:
    assert body_digest(GAME, UINT256_MAX, b"", UINT64_MAX, "")


calls = st.tuples(st.just(GAME), st.integers(0, 3), st.binary(max_size=6), st.integers(0, 3), st.text("ab", max_size=3))


@given(calls, calls)
def test_two_bodies_share_a_digest_only_if_they_are_one(
    one: tuple[bytes, int, bytes, int, str], other: tuple[bytes, int, bytes, int, str]
) -> None:
    assert (body_digest(*one) == body_digest(*other)) == (one == other)  # type: ignore[arg-type]
