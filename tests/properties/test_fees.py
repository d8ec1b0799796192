from hypothesis import given
from hypothesis import strategies as st

from gamekit.config import FeeConfig
from gamekit.core.fees import Fees, bid, outbid
from gamekit.units import Wei

wei = st.integers(0, 10**13).map(Wei)
configs = st.builds(
    FeeConfig,
    max_fee_per_gas_max_wei=st.integers(1, 10**13),
    priority_fee_min_wei=st.integers(0, 10**10),
    base_fee_headroom_percent=st.integers(0, 1000),
    replace_percent=st.integers(10, 100),
)


@st.composite
def fees(draw: st.DrawFn) -> Fees:
    most = draw(st.integers(1, 10**13))
    return Fees(Wei(most), Wei(draw(st.integers(0, most))))


@given(wei, wei, configs)
def test_a_bid_pays_the_present_base_fee_and_stays_under_the_cap(base: Wei, tip: Wei, limits: FeeConfig) -> None:
    made = bid(base, tip, limits)
    if made is None:
        assert base + limits.priority_fee_min_wei > limits.max_fee_per_gas_max_wei
        return
    assert base + limits.priority_fee_min_wei <= made.max_fee_per_gas <= limits.max_fee_per_gas_max_wei
    assert limits.priority_fee_min_wei <= made.max_priority_fee_per_gas <= made.max_fee_per_gas


@given(fees(), fees(), configs)
def test_a_replacement_raises_both_fees_by_ten_percent(before: Fees, fresh: Fees, limits: FeeConfig) -> None:
    raised = outbid(before, fresh, limits)
    if raised is None:
        return
    assert 10 * raised.max_fee_per_gas >= 11 * before.max_fee_per_gas
    assert 10 * raised.max_priority_fee_per_gas >= 11 * before.max_priority_fee_per_gas
    assert raised.max_priority_fee_per_gas <= raised.max_fee_per_gas <= limits.max_fee_per_gas_max_wei
    assert raised.max_fee_per_gas >= fresh.max_fee_per_gas
    assert raised.max_priority_fee_per_gas >= fresh.max_priority_fee_per_gas
