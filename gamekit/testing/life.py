"""One life of a server process: its kit, its ports, and its death.

The kit and the journal are the real ones; only the ports know that a process can die. Once it is dead, each of them
raises, what it still waits for never comes, and its tasks are cancelled. The journal, the keys and the chain stay.
"""

import asyncio
import random
from asyncio import Future, Task
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, Protocol, TypeVar

from gamekit.config import Config
from gamekit.core.game import Game
from gamekit.core.journal import Row
from gamekit.errors import GamekitError, StoreConflict, StoreError
from gamekit.keys.keystore import StoredKey
from gamekit.keys.signer import LocalSigner
from gamekit.kit import KINDS, GameKit, Ports
from gamekit.ports import SealedKey
from gamekit.store import SqliteStore
from gamekit.testing.chain import FakeChain
from gamekit.testing.crash import Crash, Points, commit_kind
from gamekit.testing.disk import Disk, DiskExecutor
from gamekit.testing.network import Network, Sky
from gamekit.testing.scenery import Keys
from gamekit.testing.stops import unexcused
from gamekit.testing.witness import Witness
from gamekit.units import Hash32

R = TypeVar("R", bound=Row)
T = TypeVar("T")

LIFE: "ContextVar[Life]" = ContextVar("LIFE")
"""Whose task this is."""


class Gone(Exception):
    """The server went away before it answered: what was asked for may have happened, or not."""


class Stage(Protocol):
    """What outlives every process; `simulation.Simulation` satisfies it by its shape."""

    config: Config
    games: Sequence[Game]
    keys: Keys
    signer: LocalSigner
    """One for all lives: it holds nothing, and testing itself takes a millisecond."""
    chain: FakeChain
    sky: Sky
    disk: Disk
    points: Points
    witness: Witness
    chance: random.Random
    power_fails: float
    """How likely a death is one of the whole machine: what was not synced is lost."""
    vfs: str

    def plant(self, kit: GameKit) -> None:
        """Plant a bug, if one is to be planted."""
        ...


class Life:
    """A server process."""

    def __init__(self, stage: Stage) -> None:
        """Open the journal and build the kit. Raises StoreError when the disk refuses; Gone when it dies there."""
        self.stage = stage
        self.dead = False
        self.point = ""
        """Where it died."""
        self.serving = False
        self._buried = False
        self.loop = asyncio.get_running_loop()
        self.died: Future[str] = self.loop.create_future()
        self.tasks: dict[Task[Any], None] = {}
        """Every task of the process, in the order in which they began."""
        self._waiting: dict[Future[Any], None] = {}
        self._context: Context = copy_context()
        self._context.run(LIFE.set, self)
        stage.disk.remembers = stage.power_fails > 0
        stage.disk.dies = self._dies_at_the_disk
        path = stage.disk.folder / "journal.sqlite"
        try:
            self._journal = SqliteStore.open(
                path,
                kinds=KINDS,
                executor=DiskExecutor(stage.disk, self.loop),
                entropy=stage.chance.randbytes,
                vfs=stage.vfs,
            )
        except StoreError as error:
            if self.dead:
                raise Gone(self.point) from error
            raise
        self.store = MortalStore(self, self._journal)
        self.kit = GameKit(stage.config, stage.games, self._ports())
        self._disk_faults = stage.disk.faults
        self.kit.engine.when_failed(self._stopped)
        stage.plant(self.kit)

    def _ports(self) -> Ports:
        stage = self.stage
        network = Network(stage.chain, stage.sky, self.reach)
        sender = MortalSender(self, network)
        return Ports(
            store=self.store,
            chain=network,
            sender=sender,
            signer=MortalSigner(self, stage.signer),
            keys=stage.keys.keystore,
            relayers=stage.keys.pool,
            withdrawal_relayers=stage.keys.apart,
            clock=LoopClock(self.loop),
            close=_nothing,
            sponsors=stage.keys.apart,  # Any key does: the chain knows whose it is.
        )

    def reach(self, point: str) -> None:
        """Reach a point. Raises Crash if the process dies there, or is dead."""
        if self.dead:
            raise Crash(self.point)
        if point and self.stage.points.strikes(point):
            self.die(point)
            raise Crash(point)

    def die(self, point: str, *, crashed: bool = True) -> None:
        """End here: from now on nothing that it does has an effect.

        Args:
            point: where it was.
            crashed: False when it ended by itself, which every disk survives.
        """
        if self.dead:
            return
        stage = self.stage
        self.dead, self.point = True, point
        if crashed and stage.chance.random() < stage.power_fails:
            stage.disk.power_off(stage.chance)
        else:
            stage.disk.crash()
        stage.witness.on_death(point, crashed=crashed)
        if not self.died.done():
            self.died.set_result(point)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(Gone(point))
                waiting.exception()
        self._waiting.clear()

    def _stopped(self, reason: str) -> None:
        """The engine has stopped by itself."""
        disk, failed = self.stage.disk, self.kit.engine.failed
        if not self.dead and failed is not None:
            why = unexcused(failed, disk_failed=disk.faults > self._disk_faults, chain_failed=False)
            if why:
                self.stage.witness.fail("stopped", why)
        self.die(f"stopped: {reason}", crashed=False)

    def _dies_at_the_disk(self, operation: str) -> bool:
        if not self.dead and self.stage.points.strikes(f"disk {operation}"):
            self.die(f"disk {operation}")
        return self.dead

    def spawn(self, work: Coroutine[Any, Any, T]) -> "Task[T]":
        """Run something as the process's own."""
        return self.loop.create_task(work, context=self._context)

    def ask(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """The same for somebody outside, who gets an answer, or `Gone`."""
        answer: Future[T] = self.loop.create_future()
        if self.dead:
            work.close()
            answer.set_exception(Gone(self.point))
            return answer
        self._waiting[answer] = None
        self.spawn(work).add_done_callback(partial(self._answered, answer))
        return answer

    def _answered(self, answer: "Future[Any]", task: "Task[Any]") -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._waiting.pop(answer, None)
        if answer.done():
            return
        if error is None:
            answer.set_result(task.result())
        elif isinstance(error, Exception):
            answer.set_exception(error)
        else:
            answer.set_exception(Gone(self.point))

    async def inherit(self, before: "Life") -> None:
        """Find out which of the commits that are open after a death are on disk."""
        for rows in before.store.open.values():
            found = [await self._journal.get(type(row), *(getattr(row, name) for name in row.KEY)) for row in rows]
            # One row is enough, since a commit is all or none; another of its rows may have been written again since.
            if any(each == row for each, row in zip(found, rows, strict=True)):
                self.stage.witness.on_durable(rows)

    async def bury(self) -> None:
        """Cancel what is left of a dead process, and let go of its files; once."""
        if self._buried:
            return
        self._buried = True
        while tasks := [task for task in self.tasks if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in self.tasks:
            if not task.cancelled():
                task.exception()
        self.tasks.clear()
        self._journal.abandon()


class LoopClock:
    """The loop's own time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.monotonic: Callable[[], float] = loop.time


class MortalStore:
    """The journal, until the process dies. Implements `ports.Store`."""

    def __init__(self, life: Life, journal: SqliteStore) -> None:
        self._life = life
        self._journal = journal
        self.open: dict[Future[None], tuple[Row, ...]] = {}
        """Commits that nobody has been told of, or that the disk refused."""

    @property
    def journal_epoch(self) -> bytes:
        """See `ports.Store`."""
        return self._journal.journal_epoch

    def commit(self, rows: Sequence[Row]) -> "Future[None]":
        """See `ports.Store`."""
        life, kind = self._life, commit_kind(rows)
        life.reach(f"before commit {kind}")
        outer: Future[None] = life.loop.create_future()
        inner = self._journal.commit(rows)
        self.open[inner] = tuple(rows)
        inner.add_done_callback(partial(self._committed, kind, outer))
        return outer

    def _committed(self, kind: str, outer: "Future[None]", inner: "Future[None]") -> None:
        """It is on disk; nobody has been told."""
        life, error = self._life, inner.exception()
        if life.dead:
            return
        rows = self.open[inner]
        if error is None:
            del self.open[inner]  # What a failing disk refused may be found there all the same, after a restart.
            life.stage.witness.on_durable(rows)
            if life.stage.points.strikes(f"after commit {kind}"):
                life.die(f"after commit {kind}")
                return
        elif isinstance(error, StoreConflict):
            del self.open[inner]  # What the journal itself refused is not there.
            life.stage.witness.on_conflict(rows, error)
        if outer.done():
            return
        if error is None:
            outer.set_result(None)
        else:
            outer.set_exception(error)

    async def get(self, kind: type[R], *key: int | str | bytes) -> R | None:
        """See `ports.Store`."""
        self._life.reach("")
        return await self._journal.get(kind, *key)

    async def select(
        self, kind: type[R], *, after: int | None = None, limit: int | None = None, **where: int | str | bytes
    ) -> list[R]:
        """See `ports.Store`."""
        self._life.reach("")
        return await self._journal.select(kind, after=after, limit=limit, **where)

    async def last(self, kind: type[R]) -> R | None:
        """See `ports.Store`."""
        self._life.reach("")
        return await self._journal.last(kind)

    async def close(self) -> None:
        """See `ports.Store`."""
        await self._journal.close()


class MortalSigner:
    """The keys, until the process dies. Implements `ports.Signer`."""

    def __init__(self, life: Life, signer: LocalSigner) -> None:
        self._life = life
        self._signer = signer

    def sign(self, key: SealedKey, digest: Hash32) -> bytes:
        """See `ports.Signer`."""
        whose = "relayer" if isinstance(key, StoredKey) else "session"
        self._life.reach(f"before sign {whose}")
        signature = self._signer.sign(key, digest)
        if whose == "session":
            self._life.stage.witness.on_signatures((key,), (digest,))
        self._life.reach(f"after sign {whose}")
        return signature

    def sign_many(self, keys: Sequence[SealedKey], digests: Sequence[Hash32]) -> list[bytes]:
        """See `ports.Signer`."""
        self._life.reach("before sign session")
        signatures = self._signer.sign_many(keys, digests)
        self._life.stage.witness.on_signatures(keys, digests)
        self._life.reach("after sign session")
        return signatures


class MortalSender:
    """The way to the pool, watched. Implements `ports.TransactionSender`."""

    def __init__(self, life: Life, network: Network) -> None:
        self._life = life
        self._network = network

    async def send_raw_transaction(self, raw: bytes) -> None:
        """See `ports.TransactionSender`."""
        if not self._life.dead:
            self._life.stage.witness.on_send(raw)
        await self._network.send_raw_transaction(raw)


def owned(loop: asyncio.AbstractEventLoop, work: Any, **settings: Any) -> "Task[Any]":  # noqa: ANN401
    """Make a task, and write it down with the process that it belongs to: a task factory."""
    context: Context = settings.pop("context", None) or copy_context()
    task: Task[Any] = Task(work, loop=loop, context=context, **settings)
    life = context.get(LIFE)
    if life is not None:
        life.tasks[task] = None
        task.add_done_callback(partial(_forget, life))
    return task


def _forget(life: Life, task: "Task[Any]") -> None:
    if not life.dead:
        life.tasks.pop(task, None)


async def _nothing() -> None:
    return None


__all__ = ["LIFE", "GamekitError", "Gone", "Life", "Stage", "owned"]
