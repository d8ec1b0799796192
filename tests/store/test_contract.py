"""What every store promises, over all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

import pytest

from gamekit.core.journal import Meta, Row
from gamekit.errors import StoreConflict, StoreError, StoreUnavailable
from gamekit.ports import Store
from gamekit.store import InlineExecutor, MemoryStore, SqliteStore, writer_thread
from gamekit.store import group as group_module
from gamekit.units import NonceKey, Wei
from tests.store.kinds import KINDS, Move, Slot, slot


class StoreWithBirth(Store, Protocol):
    """What the port leaves to whoever restores a backup."""

    def new_epoch(self, entropy: Callable[[int], bytes] = ...) -> "asyncio.Future[None]": ...


@pytest.fixture(params=["memory", "sqlite inline", "sqlite thread"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreWithBirth]:
    if request.param == "memory":
        memory = MemoryStore(KINDS)
        yield memory
        await memory.close()
        return
    executor: Executor = writer_thread() if request.param == "sqlite thread" else InlineExecutor()
    sqlite = SqliteStore.open(tmp_path / "journal.sqlite", kinds=KINDS, executor=executor)
    yield sqlite
    await sqlite.close()
    executor.shutdown()


async def moves(store: Store) -> list[int]:
    return [move.move_id for move in await store.select(Move)]


async def test_get_default(store: Store) -> None:
    move = Move(move_id=1, player="ada", name="first", body=b"\x00\xff")
    await store.commit([move])
    assert await store.get(Move, 1) == move


async def test_get_behavior_missing(store: Store) -> None:
    assert await store.get(Move, 1) is None


async def test_get_error_key_of_other_width(store: Store) -> None:
    with pytest.raises(TypeError, match="2 fields, got 1"):
        await store.get(Slot, b"a")


async def test_commit_behavior_upsert(store: Store) -> None:
    await store.commit([Move(move_id=1, player="ada", name="first")])
    changed = Move(move_id=1, player="bob", name=None)
    await store.commit([changed])
    assert await store.select(Move) == [changed]
    assert await store.select(Move, player="ada") == []


async def test_commit_behavior_empty(store: Store) -> None:
    await store.commit([])


async def test_commit_behavior_same_key_twice(store: Store) -> None:
    last = Move(move_id=1, player="ada", body=b"2")
    await store.commit([Move(move_id=1, player="ada", body=b"1"), last])
    assert await store.get(Move, 1) == last


async def test_commit_behavior_order_within_a_group(store: Store) -> None:
    futures = [store.commit([Move(move_id=1, player="ada", body=bytes([n]))]) for n in range(50)]
    await asyncio.gather(*futures)
    found = await store.get(Move, 1)
    assert found is not None
    assert found.body == bytes([49])


async def test_commit_behavior_futures_resolve_in_order(store: Store) -> None:
    resolved: list[int] = []
    for n in range(20):
        store.commit([Move(move_id=n, player="ada")]).add_done_callback(lambda _, n=n: resolved.append(n))  # type: ignore[misc]
    await store.commit([])
    await asyncio.sleep(0)
    assert resolved == list(range(20))


async def test_commit_behavior_wide_numbers(store: Store) -> None:
    row = Slot(b"a", NonceKey((1 << 192) - 1), 3, fee_wei=Wei((1 << 128) - 1), history=(1 << 255, -(1 << 70), 5))
    await store.commit([row])
    assert await store.get(Slot, b"a", (1 << 192) - 1) == row


async def test_commit_behavior_cancelled_waiter(store: Store) -> None:
    store.commit([Move(move_id=1, player="ada")]).cancel()
    await store.commit([])
    assert await moves(store) == [1]


async def test_commit_error_guard(store: Store) -> None:
    await store.commit([slot(5)])
    with pytest.raises(StoreConflict, match="sequence 5 is not above 5"):
        await store.commit([Move(move_id=1, player="ada"), slot(5)])
    assert await moves(store) == []


async def test_commit_error_guard_leaves_the_group(store: Store) -> None:
    first = store.commit([slot(1), Move(move_id=1, player="ada")])
    refused = store.commit([slot(1), Move(move_id=2, player="ada")])
    last = store.commit([slot(2), Move(move_id=3, player="ada")])
    await asyncio.gather(first, last)
    with pytest.raises(StoreConflict):
        await refused
    assert await moves(store) == [1, 3]
    assert await store.select(Slot) == [slot(2)]


async def test_commit_error_guard_within_a_commit(store: Store) -> None:
    await store.commit([slot(1), slot(2)])
    with pytest.raises(StoreConflict):
        await store.commit([slot(3), slot(4, b"b"), slot(3)])
    assert await store.select(Slot) == [slot(2)]


async def test_commit_error_unique(store: Store) -> None:
    await store.commit([Move(move_id=1, player="ada", name="first")])
    with pytest.raises(StoreConflict) as caught:
        await store.commit([Move(move_id=2, player="ada"), Move(move_id=3, player="ada", name="first")])
    assert caught.value.code == "store_conflict"
    assert await moves(store) == [1]


async def test_commit_error_unique_leaves_the_group(store: Store) -> None:
    futures = [store.commit([Move(move_id=n, player="ada", name=str(n % 40)), slot(n + 1)]) for n in range(60)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [n for n, result in enumerate(results) if isinstance(result, StoreConflict)] == list(range(40, 60))
    assert await moves(store) == list(range(40))
    assert await store.select(Slot) == [slot(40)]


async def test_commit_error_unique_within_a_commit(store: Store) -> None:
    with pytest.raises(StoreConflict):
        await store.commit([Move(move_id=n, player="ada", name="same") for n in range(2)])
    assert await moves(store) == []


async def test_commit_error_refused_change_leaves_the_old_row(store: Store) -> None:
    before = [Move(move_id=1, player="ada", name="a"), Move(move_id=2, player="ada", name="b")]
    await store.commit(before)
    with pytest.raises(StoreConflict):
        await store.commit([Move(move_id=1, player="ada", name="c"), Move(move_id=2, player="ada", name="c")])
    assert await store.select(Move) == before
    assert await store.select(Move, name="c") == []


async def test_commit_behavior_unique_is_free_again(store: Store) -> None:
    await store.commit([Move(move_id=1, player="ada", name="first")])
    await store.commit([Move(move_id=1, player="ada", name="other")])
    await store.commit([Move(move_id=2, player="ada", name="first")])
    assert await moves(store) == [1, 2]


async def test_commit_behavior_unique_ignores_none(store: Store) -> None:
    await store.commit([Move(move_id=n, player="ada") for n in range(3)])
    assert await moves(store) == [0, 1, 2]


async def test_commit_error_unknown_kind(store: Store) -> None:
    class Stranger(Row, frozen=True):
        TABLE = "stranger"
        KEY = ("name",)
        name: str

    alone = store.commit([Stranger(name="x"), Move(move_id=1, player="ada")])
    await store.commit([Move(move_id=2, player="ada")])
    with pytest.raises(StoreError, match="Stranger"):
        await alone
    assert await moves(store) == [2]


async def test_select_args_where(store: Store) -> None:
    rows = [Move(move_id=n, player="ada" if n % 2 else "bob", name=str(n)) for n in range(6)]
    await store.commit(rows)
    assert await store.select(Move, player="ada") == rows[1::2]
    assert await store.select(Move, player="bob", name="4") == [rows[4]]


async def test_select_args_after_and_limit(store: Store) -> None:
    await store.commit([Move(move_id=n, player="ada") for n in (5, 3, 9, 1, 7)])
    assert [move.move_id for move in await store.select(Move, after=3)] == [5, 7, 9]
    assert [move.move_id for move in await store.select(Move, after=1, limit=2, player="ada")] == [3, 5]


async def test_select_behavior_order_of_wide_keys(store: Store) -> None:
    keys = [NonceKey(n) for n in (1 << 191, 255, 256, 0)]
    await store.commit([Slot(b"a", key, 1) for key in keys])
    assert [row.nonce_key for row in await store.select(Slot, sender=b"a")] == sorted(keys)
    assert await store.select(Slot, nonce_key=256) == [Slot(b"a", NonceKey(256), 1)]


async def test_select_behavior_more_than_one_turn(store: Store) -> None:
    await store.commit([Move(move_id=n, player="ada") for n in range(2_000)])
    assert await moves(store) == list(range(2_000))


async def test_select_error_unsearched_field(store: Store) -> None:
    with pytest.raises(TypeError, match="cannot be searched by 'body'"):
        await store.select(Move, body=b"")


async def test_journal_epoch_default(store: StoreWithBirth) -> None:
    meta = await store.get(Meta, "journal_epoch")
    assert meta is not None
    assert meta.value == store.journal_epoch
    assert len(store.journal_epoch) == 16


async def test_new_epoch_default(store: StoreWithBirth) -> None:
    await store.new_epoch(lambda count: b"\x07" * count)
    assert store.journal_epoch == b"\x07" * 16
    assert await store.get(Meta, "journal_epoch") == Meta(name="journal_epoch", value=b"\x07" * 16)


async def test_close_behavior_writes_what_is_queued(store: Store) -> None:
    futures = [store.commit([Move(move_id=n, player="ada")]) for n in range(10)]
    await store.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(StoreUnavailable, match="closed"):
        store.commit([])


async def test_commit_error_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_module, "ROWS_QUEUED_MAX", 3)
    queued = store.commit([Move(move_id=n, player="ada") for n in range(3)])
    with pytest.raises(StoreUnavailable) as caught:
        store.commit([Move(move_id=3, player="ada")])
    assert caught.value.compared == {"waiting": 4, "maximum": 3}
    await queued
    await store.commit([Move(move_id=3, player="ada")])


async def test_commit_behavior_groups_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_module, "GROUP_ROWS_MAX", 4)
    await asyncio.gather(*(store.commit([Move(move_id=n, player="ada")]) for n in range(30)))
    assert await moves(store) == list(range(30))
