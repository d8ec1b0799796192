"""A token bucket: how much may pass at once, and how fast it refills. Pure: the time is given."""

from typing import Final

FOREVER: Final = float("inf")


class Bucket:
    """Holds up to `burst` tokens and gains `rate` of them per second."""

    __slots__ = ("_level", "_time", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        """Tokens per second."""
        self.burst = burst
        self._level = burst
        self._time = now

    def __repr__(self) -> str:
        return f"<Bucket {self._level:g} of {self.burst:g}, {self.rate:g}/s>"

    def level(self, now: float) -> float:
        """Tell how many tokens there are. A time before the last one counts as no time passed."""
        return min(self.burst, self._level + max(0.0, now - self._time) * self.rate)

    def wait(self, cost: float, now: float) -> float:
        """Tell in how many seconds `cost` tokens can be taken: 0 is now, infinity is never."""
        missing = cost - self.level(now)
        if missing <= 0:
            return 0.0
        return FOREVER if cost > self.burst or self.rate <= 0 else missing / self.rate

    def take(self, cost: float, now: float) -> None:
        """Take tokens that `wait` said are there."""
        self._level = self.level(now) - cost
        self._time = max(now, self._time)

    def is_full(self, now: float) -> bool:
        """Whether it has forgotten everything: a full bucket can be dropped and made anew."""
        return self.level(now) >= self.burst


def take_all(buckets: tuple[Bucket, ...], cost: float, now: float) -> float:
    """Take `cost` tokens from every bucket or from none.

    Returns: 0 when taken, else the seconds until it is worth asking again.
    """
    for bucket in buckets:
        wait = bucket.wait(cost, now)
        if wait:
            return max(other.wait(cost, now) for other in buckets)
    for bucket in buckets:
        bucket.take(cost, now)
    return 0.0
