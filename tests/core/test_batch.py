from collections import deque

import pytest

from gamekit.core.action import Action
from gamekit.core.batch import any_stale, put_back, stale, take
from gamekit.units import UnixSeconds
from tests.core.rows import action, actions
from tests.core.scopes import START

NOW = UnixSeconds(START)


def ids(found: object) -> list[int]:
    return [each.id for each in found]  # type: ignore[attr-defined]


class TestTake:
    def test_nothing_from_an_empty_lane(self) -> None:
        assert take(deque(), 8) is None

    @pytest.mark.parametrize("calls_max", [0, -1])
    def test_nothing_when_no_call_is_admitted(self, calls_max: int) -> None:
        ready = deque(actions(1))
        assert take(ready, calls_max) is None
        assert ids(ready) == [1]

    def test_independent_actions_up_to_the_most(self) -> None:
        ready = deque(actions(1, 2, 3))
        batch = take(ready, 2)
        assert batch is not None
        assert (ids(batch.actions), batch.try_mode, ids(ready)) == ([1, 2], True, [3])

    def test_a_group_alone_and_atomic(self) -> None:
        ready = deque((*actions(1, 2, group=1), action(3)))
        batch = take(ready, 8)
        assert batch is not None
        assert (ids(batch.actions), batch.try_mode, ids(ready)) == ([1, 2], False, [3])

    def test_independent_ones_stop_before_a_group(self) -> None:
        ready = deque((action(1), *actions(2, 3, group=2), action(4)))
        batch = take(ready, 8)
        assert batch is not None
        assert (ids(batch.actions), ids(ready)) == ([1], [2, 3, 4])

    def test_members_apart_are_taken_and_nothing_else_is(self) -> None:
        ready = deque((action(1, group=1), action(2), action(3, group=1), action(4)))
        batch = take(ready, 8)
        assert batch is not None
        assert (ids(batch.actions), ids(ready)) == ([1, 3], [2, 4])

    def test_a_group_that_does_not_fit_waits_whole(self) -> None:
        ready = deque(actions(1, 2, 3, group=1))
        assert take(ready, 2) is None
        assert ids(ready) == [1, 2, 3]


class TestStale:
    def test_none(self) -> None:
        ready = deque(actions(1, 2))
        assert stale(ready, NOW) == []
        assert ids(ready) == [1, 2]

    def test_the_time_itself_is_not_late(self) -> None:
        ready = deque([action(1, not_after=NOW)])
        assert stale(ready, NOW) == []
        assert ids(stale(ready, UnixSeconds(NOW + 1))) == [1]

    def test_only_what_is_late_goes(self) -> None:
        ready = deque((action(1), action(2, not_after=UnixSeconds(NOW - 1)), action(3)))
        assert ids(stale(ready, NOW)) == [2]
        assert ids(ready) == [1, 3]

    def test_a_late_member_takes_its_group_along(self) -> None:
        group = (action(1, group=1), action(2, group=1, not_after=UnixSeconds(NOW - 1)))
        ready = deque((*group, action(3), *actions(4, 5, group=4)))
        assert ids(stale(ready, NOW)) == [1, 2]
        assert ids(ready) == [3, 4, 5]

    def test_any(self) -> None:
        late = action(2, not_after=UnixSeconds(NOW - 1))
        assert any_stale((action(1), late), NOW)
        assert not any_stale((action(1), action(2, not_after=NOW)), NOW)


class TestPutBack:
    def test_at_their_places(self) -> None:
        ready: deque[Action] = deque(actions(3, 6))
        put_back(ready, actions(1, 4, 5))
        assert ids(ready) == [1, 3, 4, 5, 6]
