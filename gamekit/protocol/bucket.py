"""A token bucket: how much may pass at once, and how fast it refills. Pure: the time is given.

Kept as the moment at which the bucket would be full again, so that a decision is one addition and one comparison: the
generic cell rate algorithm, as the session validator runs it on chain.
"""

from typing import Final

FOREVER: Final = float("inf")


class Bucket:
    """Holds up to `burst` tokens and gains `rate` of them per second."""

    __slots__ = ("_full_at", "_s_each", "_s_full", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        """Start full. Both numbers are above 0."""
        self.rate = rate
        """Tokens per second."""
        self.burst = burst
        self._s_each = 1 / rate
        self._s_full = burst / rate
        self._full_at = float("-inf")

    def __repr__(self) -> str:
        return f"<Bucket of {self.burst:g}, {self.rate:g}/s>"

    def wait(self, cost: float, now: float) -> float:
        """Tell in how many seconds `cost` tokens can be taken: 0 is now, infinity is never."""
        full_at = max(now, self._full_at)
        excess = full_at + cost * self._s_each - now - self._s_full
        if excess <= 1e-9:  # what rounding leaves behind is no token
            return 0.0
        return FOREVER if cost > self.burst else excess

    def take(self, cost: float, now: float) -> None:
        """Take tokens that `wait` said are there."""
        self._full_at = (max(now, self._full_at)) + cost * self._s_each

    def is_full(self, now: float) -> bool:
        """Whether it has forgotten everything: a full bucket can be dropped and made anew."""
        return self._full_at <= now


def take_all(buckets: tuple[Bucket, ...], cost: float, now: float) -> float:
    """Take `cost` tokens from every bucket or from none.

    Returns: 0 when taken, else the seconds until it is worth asking again.
    """
    wait = 0.0
    for bucket in buckets:
        wait = max(wait, bucket.wait(cost, now))
    if not wait:
        for bucket in buckets:
            bucket.take(cost, now)
    return wait
