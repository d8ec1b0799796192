import pytest

from gamekit.config import FeeConfig
from gamekit.core.fees import Fees, bid, outbid
from gamekit.units import Wei

GWEI = 10**9
LIMITS = FeeConfig(max_fee_per_gas_max_wei=100 * GWEI, priority_fee_min_wei=GWEI, base_fee_headroom_percent=100)


def fees(most: int, tip: int) -> Fees:
    return Fees(Wei(most), Wei(tip))


class TestBid:
    def test_default(self) -> None:
        assert bid(Wei(10 * GWEI), Wei(2 * GWEI), LIMITS) == fees(22 * GWEI, 2 * GWEI)

    def test_the_tip_is_at_least_the_configured_one(self) -> None:
        assert bid(Wei(10 * GWEI), Wei(0), LIMITS) == fees(21 * GWEI, GWEI)

    def test_the_cap_bounds_the_headroom(self) -> None:
        assert bid(Wei(60 * GWEI), Wei(GWEI), LIMITS) == fees(100 * GWEI, GWEI)

    def test_the_cap_bounds_the_tip(self) -> None:
        assert bid(Wei(GWEI), Wei(1000 * GWEI), LIMITS) == fees(100 * GWEI, 100 * GWEI)

    def test_none_when_the_base_fee_and_the_smallest_tip_pass_the_cap(self) -> None:
        assert bid(Wei(99 * GWEI), Wei(GWEI), LIMITS) == fees(100 * GWEI, GWEI)
        assert bid(Wei(99 * GWEI + 1), Wei(GWEI), LIMITS) is None


class TestOutbid:
    def test_both_fees_rise(self) -> None:
        assert outbid(fees(100, 100), fees(1, 1), LIMITS) == fees(113, 113)

    def test_what_is_dearer_now_is_bid(self) -> None:
        assert outbid(fees(100, 100), fees(500, 400), LIMITS) == fees(500, 400)

    def test_rounded_up(self) -> None:
        assert outbid(fees(1, 1), fees(1, 1), LIMITS) == fees(2, 2)

    @pytest.mark.parametrize(("before", "possible"), [(88, True), (89, False)])
    def test_none_over_the_cap(self, before: int, possible: bool) -> None:
        raised = outbid(fees(before * GWEI, GWEI), fees(GWEI, GWEI), LIMITS)
        assert (raised is not None) is possible
