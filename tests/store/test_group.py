"""The queue of commits, without a store behind it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from gamekit.errors import OutcomeUnknown, StoreConflict, StoreUnavailable
from gamekit.store import InlineExecutor, writer_thread
from gamekit.store import group as group_module
from gamekit.store.group import GroupCommit, Outcomes, Rows
from tests.store.kinds import Move


class Recorder:
    """Writes nothing, and remembers the groups."""

    def __init__(self, refuse: Callable[[Rows], Exception | None] = lambda _: None) -> None:
        self.groups: list[list[Rows]] = []
        self.tended = 0
        self._refuse = refuse

    def write(self, commits: list[Rows]) -> Outcomes:
        self.groups.append(commits)
        return [self._refuse(rows) for rows in commits]

    def tend(self) -> None:
        self.tended += 1


def moves(count: int) -> Rows:
    return [Move(n, "ada") for n in range(count)]


async def test_commit_behavior_one_turn_one_group() -> None:
    recorder = Recorder()
    queue = GroupCommit(InlineExecutor(), recorder.write, recorder.tend)
    await asyncio.gather(*(queue.commit(moves(n)) for n in range(5)))
    assert [len(group) for group in recorder.groups] == [5]
    assert recorder.tended == 1


async def test_commit_behavior_refusals_find_their_futures() -> None:
    recorder = Recorder(lambda rows: StoreConflict("odd") if len(rows) % 2 else None)
    queue = GroupCommit(InlineExecutor(), recorder.write)
    results = await asyncio.gather(*(queue.commit(moves(n)) for n in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), StoreConflict, type(None), StoreConflict]


async def test_commit_behavior_starts_again_on_a_thread() -> None:
    recorder = Recorder()
    with writer_thread() as executor:
        queue = GroupCommit(executor, recorder.write)
        for n in range(200):
            await queue.commit(moves(n % 3))
        await queue.close()
    assert sum(map(len, recorder.groups)) == 200


async def test_commit_behavior_while_a_group_is_written() -> None:
    queue: GroupCommit
    later: list[asyncio.Future[None]] = []

    def write(commits: list[Rows]) -> Outcomes:
        if not later:
            later.append(queue.commit(moves(2)))  # as the loop does while a thread writes
        return [None for _ in commits]

    queue = GroupCommit(InlineExecutor(), write)
    await queue.commit(moves(1))
    await later[0]


async def test_commit_error_defect_fails_everything_and_closes() -> None:
    def write(_: list[Rows]) -> Outcomes:
        raise AttributeError("a defect of ours")

    queue = GroupCommit(InlineExecutor(), write)
    futures = [queue.commit(moves(1)) for _ in range(3)]
    for future in futures:
        with pytest.raises(StoreUnavailable, match="a defect of ours"):
            await future
    with pytest.raises(StoreUnavailable, match="closed"):
        queue.commit(moves(1))
    await queue.close()


class Hanging(InlineExecutor):
    """A disk that never answers."""

    def submit(self, *_: Any, **__: Any) -> Any:
        return Future()


async def test_commit_error_a_disk_that_hangs() -> None:
    """Nobody knows what is on it: that is said, and nothing more is taken."""
    queue = GroupCommit(Hanging(), Recorder().write, answer_s_max=0.0)
    with pytest.raises(OutcomeUnknown, match="has not answered"):
        await queue.commit(moves(1))
    with pytest.raises(StoreUnavailable, match="closed"):
        queue.commit(moves(1))


async def test_close_error_a_disk_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_module, "CLOSE_S_MAX", 0.0)
    queue = GroupCommit(Hanging(), Recorder().write)
    queue.commit(moves(1))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="has not answered"):
        await queue.close()


async def test_close_behavior_idle() -> None:
    await GroupCommit(InlineExecutor(), Recorder().write).close()


async def test_close_behavior_twice_at_once() -> None:
    recorder = Recorder()
    queue = GroupCommit(InlineExecutor(), recorder.write)
    queue.commit(moves(1))
    await asyncio.gather(queue.close(), queue.close())
    assert len(recorder.groups) == 1


async def test_abandon_behavior_writes_nothing() -> None:
    recorder = Recorder()
    queue = GroupCommit(InlineExecutor(), recorder.write)
    future = queue.commit(moves(1))
    queue.abandon()
    await asyncio.sleep(0)
    assert recorder.groups == []
    assert not future.done()
