from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gamekit.core.relay import bundle_gas, bundles
from gamekit.core.tracking import Operation
from gamekit.units import Gas
from tests.core.rows import ENTRY_POINT, operation

sizes = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 20_000)), max_size=30)


def operations(found: list[tuple[int, int, int]]) -> list[Operation]:
    return [
        operation(number, call_gas_limit=Gas(call), verification_gas_limit=Gas(verification), calldata_bytes=size)
        for number, (call, verification, size) in enumerate(found)
    ]


@given(sizes, st.integers(1, 10**7), st.integers(1, 8))
def test_bundles_keep_order_and_stay_below_both_bounds(
    found: list[tuple[int, int, int]], gas_max: int, operations_max: int
) -> None:
    queue = operations(found)
    split = bundles(ENTRY_POINT, queue, gas_max, operations_max)
    assert [each for bundle in split for each in bundle.operations] == queue
    for bundle in split:
        assert 1 <= len(bundle.operations) <= operations_max
        assert len(bundle.operations) == 1 or bundle_gas(bundle.operations) <= gas_max


@given(sizes, st.integers(1, 10**7), st.integers(1, 8))
def test_no_bundle_could_have_taken_the_next_operation(
    found: list[tuple[int, int, int]], gas_max: int, operations_max: int
) -> None:
    split = bundles(ENTRY_POINT, operations(found), gas_max, operations_max)
    for bundle, following in pairwise(split):
        more = (*bundle.operations, following.operations[0])
        assert len(more) > operations_max or bundle_gas(more) > gas_max
