"""Reading heads on any tree of forks, compared with a model that only keeps the whole chain."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gamekit.core.history import History, Step, connect
from gamekit.eth.block import Head
from gamekit.units import BlockNumber
from tests.core.rows import head

DEPTH_MAX = 64


class HistoryMachine(RuleBasedStateMachine):
    """A node with a canonical chain that grows, forks and shrinks; a follower that reads it as `settle` does."""

    def __init__(self) -> None:
        super().__init__()
        self.chain: list[Head] = [head(0)]
        self.forks = 0
        self.history = History()
        self.history.apply(Step((), (self.chain[0],)))
        self.read: list[Head] = [self.chain[0]]
        """The model: what the follower must hold."""

    def extend(self, count: int) -> None:
        for _ in range(count):
            self.chain.append(head(len(self.chain), self.forks, parent=self.chain[-1].hash))

    @rule(count=st.integers(1, 70))
    def grow(self, count: int) -> None:
        self.extend(count)

    @rule(depth=st.integers(1, DEPTH_MAX), length=st.integers(0, 70))
    def fork(self, depth: int, length: int) -> None:
        """The chain is replaced from so deep by another, shorter, as long, or longer."""
        lowest = self.history.lowest + 1
        del self.chain[max(lowest, len(self.chain) - depth) :]
        self.forks += 1
        self.extend(length)

    @rule()
    def follow(self) -> None:
        """Read heads downwards from the top until they meet ours."""
        top = self.chain[-1]
        branch = [top]
        while (step := connect(self.history, branch)) is None:
            assert branch[0].number > self.history.lowest, "the chain connects above what is final"
            branch.insert(0, self.chain[branch[0].number - 1])
        common = 0
        while common < min(len(self.read), len(self.chain)) and self.read[common] == self.chain[common]:
            common += 1
        assert list(step.orphaned) == self.read[common:][::-1]
        assert list(step.added) == self.chain[common:]
        self.history.apply(step)
        self.read = list(self.chain)

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        top = self.history.head
        assert top is not None
        common = min(top.number, len(self.chain) - 1)
        while self.read[common] != self.chain[common]:
            common -= 1
        if common >= self.history.lowest:
            self.history.forget(BlockNumber(data.draw(st.integers(self.history.lowest, common))))

    @invariant()
    def it_holds_the_chain_that_was_read(self) -> None:
        assert self.history.head == self.read[-1]
        for number in range(len(self.read) + 3):
            expected = self.read[number] if self.history.lowest <= number < len(self.read) else None
            assert self.history.at(number) == expected


TestHistory = HistoryMachine.TestCase
TestHistory.settings = settings(max_examples=60, stateful_step_count=25, deadline=None, derandomize=True)
