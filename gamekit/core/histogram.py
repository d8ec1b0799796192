"""How long something took, counted in fixed steps: enough to see a median, a tail and what was never seen."""

from bisect import bisect_left
from typing import Final

BOUNDS_S: Final = (0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0, 3600.0)
"""Upper bounds of the steps, in seconds, each inclusive; beyond the last there is one more."""


class Histogram:
    """Counts durations."""

    __slots__ = ("counts", "longest_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.longest_s = 0.0

    def __repr__(self) -> str:
        return f"<Histogram of {self.total}, longest {self.longest_s:.3f} s>"

    @property
    def total(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.longest_s = max(self.longest_s, seconds)

    def plain(self) -> dict[str, object]:
        """Give it as plain data: how many took at most so many seconds, in all, and the longest."""
        steps = {f"{bound:g}": count for bound, count in zip((*BOUNDS_S, float("inf")), self.counts, strict=True)}
        return {"total": self.total, "longest_s": round(self.longest_s, 6), "at_most_s": steps}
