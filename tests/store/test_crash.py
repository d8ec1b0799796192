"""A process that is killed while it commits: what it acked is there, whole, and in order."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from gamekit.store import InlineExecutor, SqliteStore, writer_thread
from gamekit.store import sqlite as sqlite_module
from tests.store.kinds import KINDS, Move, Slot, slot
from tests.store.planted import AckBeforeCommit

ROWS = 3
"""Rows of one commit, beside its slot."""
TASKS = 8
CRASHES = 20
ACK_BYTES = 4


def rows_of(number: int) -> list[Move | Slot]:
    """Give the rows of a commit; enough bytes that a group is many pages."""
    moves = [Move(number * ROWS + n, f"p{number % 5}", str(number * ROWS + n), bytes(900)) for n in range(ROWS)]
    return [*moves, slot(1, number.to_bytes(4, "big"))]


async def commit_until_killed(path: Path, acks: int) -> None:
    """Commit for ever, and tell each ack to the pipe as soon as it is known."""
    store = SqliteStore.open(path, kinds=KINDS, executor=writer_thread())
    numbers = iter(range(1 << 31))

    async def commit() -> None:
        for number in numbers:
            await store.commit(rows_of(number))
            os.write(acks, number.to_bytes(ACK_BYTES, "big"))

    await asyncio.gather(*(commit() for _ in range(TASKS)))


def crash(path: Path, ack_count: int) -> set[int]:
    """Kill a committing process once it has told so many acks; give all that it has told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            asyncio.run(commit_until_killed(path, writer))
        finally:
            os._exit(1)
    os.close(writer)
    told = b""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while len(told) < ack_count * ACK_BYTES:
            told += pipe.read(4096) or pytest.fail("the process ended by itself")
        os.kill(child, signal.SIGKILL)
        while more := pipe.read(1 << 16):
            told += more
    os.waitpid(child, 0)
    whole = len(told) - len(told) % ACK_BYTES
    return {int.from_bytes(told[at : at + ACK_BYTES], "big") for at in range(0, whole, ACK_BYTES)}


async def written(path: Path) -> set[int]:
    """Read which commits a journal holds; none is there in part, and none is missing before another."""
    store = SqliteStore.open(path, kinds=KINDS, executor=InlineExecutor())
    moves = [move.move_id for move in await store.select(Move)]
    numbers = {int.from_bytes(row.sender, "big") for row in await store.select(Slot)}
    await store.close()
    assert moves == list(range(len(numbers) * ROWS)), "torn"
    assert numbers == set(range(len(numbers))), "out of order"
    return numbers


@pytest.mark.slow
def test_crash_loses_nothing(tmp_path: Path) -> None:
    dice = random.Random(20)
    for number in range(CRASHES):
        path = tmp_path / f"{number}.sqlite"
        acked = crash(path, dice.randrange(1, 200))
        assert acked <= asyncio.run(written(path)), f"lost after crash {number}"


@pytest.mark.slow
def test_crash_finds_what_is_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "GroupCommit", AckBeforeCommit)
    dice = random.Random(20)
    lost: set[int] = set()
    for number in range(CRASHES):
        path = tmp_path / f"{number}.sqlite"
        lost |= crash(path, dice.randrange(1, 200)) - asyncio.run(written(path))
    assert lost
