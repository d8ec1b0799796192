"""The canonical heads since the last final block, and what a new head does to them."""

from msgspec import Struct

from gamekit.eth.block import Head
from gamekit.units import BlockNumber


class Step(Struct, frozen=True):
    """What a longer or another chain means for us."""

    orphaned: tuple[Head, ...]
    """Heads that are canonical no more, highest first."""
    added: tuple[Head, ...]
    """Heads to read, lowest first."""


class History:
    """Heads by height, lowest kept to highest. Bounded: `forget` drops what is final."""

    def __init__(self) -> None:
        self._heads: dict[BlockNumber, Head] = {}
        self._top = -1

    def __repr__(self) -> str:
        return f"<History {min(self._heads, default=None)}..{self._top}>"

    @property
    def head(self) -> Head | None:
        """The highest canonical head that we have read."""
        return self._heads.get(BlockNumber(self._top))

    def at(self, number: int) -> Head | None:
        """The canonical head at this height, if it is kept."""
        return self._heads.get(BlockNumber(number))

    @property
    def lowest(self) -> int:
        """The lowest height kept; above the top when nothing is."""
        return min(self._heads, default=self._top + 1)

    def apply(self, step: Step) -> None:
        """Take the step: forget what is orphaned, append what is added."""
        for head in step.orphaned:
            self._heads.pop(head.number, None)
        for head in step.added:
            self._heads[head.number] = head
        self._top = max(self._heads, default=self._top)

    def restart(self, head: Head) -> None:
        """Begin anew at one block: nothing else that was kept is known to be true."""
        self._heads = {head.number: head}
        self._top = head.number

    def forget(self, below: BlockNumber) -> None:
        """Drop heads below a height: they are final."""
        for number in [number for number in self._heads if number < below]:
            del self._heads[number]


def connect(history: History, branch: list[Head]) -> Step | None:
    """Decide the step from our history to a branch of the canonical chain.

    Args:
        branch: consecutive heads, lowest first, up to the new head.

    Returns: None when the branch does not reach down to a head that we know (read further down and ask again).
    """
    if history.head is None:
        return Step((), tuple(branch))
    lowest = branch[0]
    known, parent = history.at(lowest.number), history.at(lowest.number - 1)
    is_ours = known is not None and known.hash == lowest.hash
    if not is_ours and (parent is None or parent.hash != lowest.parent_hash):
        return None
    fresh = [head for head in branch if (known := history.at(head.number)) is None or known.hash != head.hash]
    from_number = fresh[0].number if fresh else branch[-1].number + 1
    top = history.head.number
    orphaned = tuple(head for number in range(top, from_number - 1, -1) if (head := history.at(number)) is not None)
    return Step(orphaned, tuple(fresh))
