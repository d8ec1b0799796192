"""Token buckets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.protocol.bucket import FOREVER, Bucket, take_all


def test_burst_passes_at_once_then_refills() -> None:
    bucket = Bucket(rate=10, burst=5)
    for _ in range(5):
        assert bucket.wait(1, now=0.0) == 0
        bucket.take(1, now=0.0)
    assert bucket.wait(1, now=0.0) == pytest.approx(0.1)
    assert bucket.wait(5, now=0.0) == pytest.approx(0.5)
    assert bucket.wait(1, now=0.1) == 0
    assert not bucket.is_full(0.49)
    assert bucket.is_full(0.5)


def test_more_than_the_burst_never_passes() -> None:
    assert Bucket(rate=10, burst=5).wait(6, now=0.0) == FOREVER


def test_time_going_back_gives_nothing() -> None:
    bucket = Bucket(rate=1, burst=1)
    bucket.take(1, now=10.0)
    assert bucket.wait(1, now=5.0) == pytest.approx(6.0)


def test_repr_says_its_size() -> None:
    assert repr(Bucket(20, 40)) == "<Bucket of 40, 20/s>"


def test_all_or_none() -> None:
    roomy, tight = Bucket(1, 10), Bucket(1, 2)
    assert take_all((roomy, tight), 3, now=0.0) == math.inf
    assert take_all((roomy, tight), 2, now=0.0) == 0
    assert take_all((roomy, tight), 1, now=0.0) == pytest.approx(1)
    assert roomy.wait(8, now=0.0) == 0, "a refusal takes nothing from the others"


@given(
    st.floats(0.1, 1000),
    st.integers(1, 100),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 20)), max_size=60),
)
def test_never_more_than_burst_and_rate(rate: float, burst: int, steps: list[tuple[float, int]]) -> None:
    bucket = Bucket(rate, burst)
    now, taken = 0.0, 0
    for passed, cost in steps:
        now += passed
        if not bucket.wait(cost, now):
            bucket.take(cost, now)
            taken += cost
        assert taken <= burst + rate * now + 1e-3
