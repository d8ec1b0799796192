"""What to bid for gas, and what a replacement must bid.

Source: EIP-1559 (the base fee moves by at most one eighth per block); ERC-7769 and the pools ask a replacement to raise
both fees by at least 10 %.
"""

from msgspec import Struct

from gamekit.config import FeeConfig
from gamekit.units import Wei


class Fees(Struct, frozen=True, gc=False):
    """One bid, in wei per gas."""

    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei


def bid(base_fee_per_gas: Wei, tip: Wei, limits: FeeConfig) -> Fees | None:
    """Bid so that the operation lands while the base fee rises; None when even the present base fee is over the cap.

    Args:
        base_fee_per_gas: of the latest head.
        tip: what the node suggests; raised to the configured minimum.
    """
    priority = max(tip, limits.priority_fee_min_wei)
    if base_fee_per_gas + limits.priority_fee_min_wei > limits.max_fee_per_gas_max_wei:
        return None
    wanted = base_fee_per_gas * (100 + limits.base_fee_headroom_percent) // 100 + priority
    most = min(wanted, limits.max_fee_per_gas_max_wei)
    return Fees(Wei(most), Wei(min(priority, most)))


def outbid(before: Fees, fresh: Fees, limits: FeeConfig, cap: int | None = None) -> Fees | None:
    """Raise both fees above `before` by what pools ask, or to `fresh` if that is more; None when the cap forbids it.

    Args:
        cap: another cap than the configured one of operations, in wei per gas.
    """
    most = max(fresh.max_fee_per_gas, _raised(before.max_fee_per_gas, limits.replace_percent))
    priority = max(fresh.max_priority_fee_per_gas, _raised(before.max_priority_fee_per_gas, limits.replace_percent))
    if most > (limits.max_fee_per_gas_max_wei if cap is None else cap):
        return None
    return Fees(Wei(most), Wei(min(priority, most)))


def _raised(fee: int, percent: int) -> int:
    """Raise by a percentage, rounded up: rounding down would miss the pool's rule by one wei."""
    return -(-fee * (100 + percent) // 100)
