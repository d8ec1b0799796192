from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from gamekit.core.action import Action
from gamekit.core.batch import any_stale, put_back, stale, take
from gamekit.units import UnixSeconds
from tests.core.rows import action
from tests.core.scopes import START


@st.composite
def queues(draw: st.DrawFn) -> list[Action]:
    """Actions as a lane accepts them: groups stand together."""
    ready: list[Action] = []
    for size in draw(st.lists(st.integers(0, 4), max_size=8)):
        group = len(ready) + 1 if size else 0
        for _ in range(max(size, 1)):
            not_after = draw(st.just(0) | st.integers(START, START + 3))
            ready.append(action(len(ready) + 1, group=group, not_after=UnixSeconds(not_after)))
    return ready


limits = st.integers(0, 6)


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(limits, min_size=1, max_size=20))
def test_groups_in_any_disorder_lose_nothing_and_double_nothing(groups: list[int], calls: list[int]) -> None:
    queue = [action(number, group=group) for number, group in enumerate(groups, 1)]
    ready = deque(queue)
    taken: list[Action] = []
    for calls_max in calls:
        batch = take(ready, calls_max)
        if batch is not None:
            company = [each for each in queue if each.group == batch.actions[0].group]
            assert batch.try_mode or list(batch.actions) == company
            taken += batch.actions
    assert sorted((*taken, *ready), key=lambda each: each.id) == queue
    assert list(ready) == [each for each in queue if each not in taken]


@given(queues(), st.lists(limits, min_size=1, max_size=20))
def test_taking_keeps_the_order_and_loses_nothing(queue: list[Action], calls: list[int]) -> None:
    ready = deque(queue)
    taken: list[Action] = []
    for calls_max in calls:
        batch = take(ready, calls_max)
        if batch is not None:
            assert 1 <= len(batch.actions) <= calls_max
            taken += batch.actions
    assert [*taken, *ready] == queue


@given(queues(), limits)
def test_a_batch_is_independent_actions_or_one_whole_group(queue: list[Action], calls_max: int) -> None:
    batch = take(deque(queue), calls_max)
    if batch is None:
        return
    groups = {each.group for each in batch.actions}
    assert batch.try_mode is (groups == {0})
    if not batch.try_mode:
        (group,) = groups
        assert list(batch.actions) == [each for each in queue if each.group == group]


@given(queues(), limits)
def test_what_is_put_back_is_as_if_never_taken(queue: list[Action], calls_max: int) -> None:
    ready = deque(queue)
    batch = take(ready, calls_max)
    put_back(ready, batch.actions if batch else ())
    assert list(ready) == queue


@given(queues(), st.integers(START - 1, START + 4).map(UnixSeconds))
def test_what_is_late_goes_with_its_group_and_nothing_else_does(queue: list[Action], now: UnixSeconds) -> None:
    ready = deque(queue)
    gone = stale(ready, now)
    assert not any_stale(tuple(ready), now)
    assert sorted((*gone, *ready), key=lambda each: each.id) == queue
    for each in gone:
        company = [one for one in queue if one is each or (each.group and one.group == each.group)]
        assert any_stale(tuple(company), now)
    assert not {each.group for each in gone if each.group} & {each.group for each in ready}
