import pytest

from gamekit.core.history import History, Step, connect
from gamekit.eth.block import Head
from gamekit.units import BlockNumber
from tests.core.rows import block_hash, head


def history(*heads: Head) -> History:
    found = History()
    found.apply(Step((), heads))
    return found


FIVE = [head(number) for number in range(1, 6)]


def test_an_empty_history() -> None:
    empty = History()
    assert empty.head is None
    assert empty.lowest == 0
    assert empty.at(0) is None
    assert repr(empty) == "<History None..-1>"


def test_it_shows_what_it_holds() -> None:
    assert repr(history(*FIVE)) == "<History 1..5>"


def test_forgetting_what_is_final_keeps_the_head() -> None:
    kept = history(*FIVE)
    kept.forget(BlockNumber(4))
    assert (kept.lowest, kept.head, kept.at(3)) == (4, FIVE[4], None)


def test_orphaning_everything_leaves_nothing() -> None:
    kept = history(FIVE[0])
    kept.apply(Step((FIVE[0],), ()))
    assert kept.head is None


class TestConnect:
    def test_the_lowest_that_is_kept(self) -> None:
        kept = history(*FIVE)
        kept.forget(BlockNumber(5))
        assert connect(kept, [FIVE[4]]) == Step((), ())

    def test_anything_to_nothing(self) -> None:
        assert connect(History(), [FIVE[2]]) == Step((), (FIVE[2],))

    def test_a_child(self) -> None:
        assert connect(history(*FIVE), [head(6)]) == Step((), (head(6),))

    def test_several(self) -> None:
        assert connect(history(*FIVE), [head(6), head(7)]) == Step((), (head(6), head(7)))

    def test_a_gap_asks_for_more(self) -> None:
        assert connect(history(*FIVE), [head(7)]) is None

    def test_another_parent_asks_for_more(self) -> None:
        assert connect(history(*FIVE), [head(6, fork=1)]) is None

    def test_a_fork_of_equal_height(self) -> None:
        other = head(5, fork=1, parent=block_hash(4))
        assert connect(history(*FIVE), [other]) == Step((FIVE[4],), (other,))

    @pytest.mark.parametrize("depth", [1, 2, 4])
    def test_a_longer_fork(self, depth: int) -> None:
        first = 6 - depth
        fork = [head(first, fork=1, parent=block_hash(first - 1)), *(head(n, fork=1) for n in range(first + 1, 8))]
        assert connect(history(*FIVE), fork) == Step(tuple(reversed(FIVE[first - 1 :])), tuple(fork))

    def test_a_lower_fork(self) -> None:
        other = head(3, fork=1, parent=block_hash(2))
        assert connect(history(*FIVE), [other]) == Step((FIVE[4], FIVE[3], FIVE[2]), (other,))

    def test_what_is_known_already_is_not_read_again(self) -> None:
        assert connect(history(*FIVE), [FIVE[3], FIVE[4], head(6)]) == Step((), (head(6),))

    def test_a_chain_that_has_become_shorter(self) -> None:
        assert connect(history(*FIVE), [FIVE[2], FIVE[3]]) == Step((FIVE[4],), ())

    def test_below_what_is_kept(self) -> None:
        kept = history(*FIVE)
        kept.forget(BlockNumber(3))
        assert connect(kept, [head(3, fork=1, parent=block_hash(2))]) is None
