"""Group commit: what arrives while the disk is busy shares the next transaction.

Two sides. The event loop appends to a queue and resolves futures; the executor takes everything that is queued,
writes it as one group and hands the outcomes back in one call. Only the queue itself is touched by both, and a deque's
ends are atomic; every other field belongs to the loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Final

from gamekit.core.journal import Row
from gamekit.errors import GamekitError, OutcomeUnknown, StoreUnavailable

ROWS_QUEUED_MAX: Final = 250_000
"""Most rows waiting to be written. The runtime's own bound lies far below; this one keeps a stalled disk from eating
the memory: about 150 MB."""

GROUP_ROWS_MAX: Final = 8_192
"""Rows after which a group takes no further commit: a transaction then lasts about 50 ms, and no ack waits longer for
strangers."""

ANSWER_S_MAX: Final = 15.0
"""Longest that the disk may take for one group and its housekeeping, in seconds; a full group takes 0.05. A disk that
hangs longer has taken the group or not, and nobody can know which."""

CLOSE_S_MAX: Final = 1.4
"""Longest that closing waits for what is queued, and once more for the file, in seconds: a server ends within 10 s,
whatever its disk does."""

Rows = Sequence[Row]
Outcomes = list[Exception | None]
"""For each commit of a group, what refused it."""


class GroupCommit:
    """The queue of commits and the futures that wait for them."""

    def __init__(
        self,
        executor: Executor,
        write: Callable[[list[Rows]], Outcomes],
        tend: Callable[[], None] | None = None,
        answer_s_max: float = ANSWER_S_MAX,
    ) -> None:
        """Set up an empty queue.

        Args:
            executor: where `write` runs; one call at a time is enough, and all that is ever asked for.
            write: makes a group durable and says which commits were refused.
            tend: housekeeping that may take its time, after the group's futures have resolved.
            answer_s_max: how long the executor may be silent, in seconds; then everything that waits fails with
                OutcomeUnknown, and nothing more is taken: the next start reads what is on disk.
        """
        self._executor = executor
        self._write = write
        self._tend = tend
        self._queue: deque[tuple[Rows, asyncio.Future[None]]] = deque()
        self._taken: list[asyncio.Future[None]] = []
        self._rows_waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writing = False
        self._closed = False
        self._idle: asyncio.Future[None] | None = None
        self._answer_s_max = answer_s_max
        self._patience: asyncio.TimerHandle | None = None

    def commit(self, rows: Rows) -> asyncio.Future[None]:
        """Queue rows; see `gamekit.ports.Store.commit`.

        Raises:
            StoreUnavailable: closed, or `ROWS_QUEUED_MAX` rows are waiting.
        """
        waiting = self._rows_waiting + len(rows)
        if self._closed or waiting > ROWS_QUEUED_MAX:
            if self._closed:
                raise StoreUnavailable("the journal is closed")
            raise StoreUnavailable(
                f"the journal's disk is behind: {waiting} rows would wait", waiting=waiting, maximum=ROWS_QUEUED_MAX
            )
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        self._rows_waiting = waiting
        future: asyncio.Future[None] = loop.create_future()
        self._queue.append((rows, future))
        if not self._writing:
            self._writing = True
            # At the end of this turn of the loop, so that commits of the same turn share a transaction.
            loop.call_soon(self._start)
        return future

    async def close(self) -> None:
        """Refuse new commits and wait until the queued ones are written.

        Raises:
            StoreUnavailable: the disk does not answer; the executor is still at it.
        """
        self._closed = True
        if self._writing:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(CLOSE_S_MAX):
                    await asyncio.shield(self._idle)  # whoever waits beside us must not be cancelled with us
            except TimeoutError:
                raise StoreUnavailable(f"the journal's disk has not answered for {CLOSE_S_MAX:g} s") from None

    def abandon(self) -> None:
        """Drop what is queued; its futures never resolve."""
        self._closed = True
        self._queue.clear()

    def _start(self) -> None:
        self._wait_for_answer()
        self._executor.submit(self._drain).add_done_callback(self._drained)

    def _drain(self) -> None:
        """Write group after group until nothing is queued. Runs in the executor."""
        while self._queue:
            commits, futures = self._take()
            outcomes = self._write(commits)
            self._post(self._resolve, futures, outcomes, sum(map(len, commits)))
            if self._tend is not None:
                self._tend()

    def _take(self) -> tuple[list[Rows], list[asyncio.Future[None]]]:
        """Take the next group off the queue."""
        commits: list[Rows] = []
        futures = self._taken = []
        count = 0
        while self._queue and count < GROUP_ROWS_MAX:
            rows, future = self._queue.popleft()
            commits.append(rows)
            futures.append(future)
            count += len(rows)
        return commits, futures

    def _drained(self, done: Future[None]) -> None:
        """Tell the loop that the executor is free, and why if it fell over."""
        self._post(self._rest, done.exception())

    def _post(self, callback: Callable[..., None], *values: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *values)

    def _resolve(self, futures: list[asyncio.Future[None]], outcomes: Outcomes, row_count: int) -> None:
        """Resolve the futures of a group."""
        self._wait_for_answer()
        self._rows_waiting -= row_count
        for future, refusal in zip(futures, outcomes, strict=True):
            if future.done():
                continue  # the waiter was cancelled; what it waited for happened all the same
            if refusal is None:
                future.set_result(None)
            else:
                future.set_exception(refusal)

    def _rest(self, failure: BaseException | None) -> None:
        """Start again for what was queued meanwhile, or say that the queue is empty."""
        if failure is not None:
            self._fail(failure)
        elif self._queue:
            self._start()
            return
        self._writing = False
        if self._patience is not None:
            self._patience.cancel()
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _wait_for_answer(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if self._loop is not None:
            self._patience = self._loop.call_later(self._answer_s_max, self._lose_patience)

    def _lose_patience(self) -> None:
        text = f"the journal's disk has not answered for {self._answer_s_max:g} s: the next start reads what it has"
        self._give_up(lambda: OutcomeUnknown(text, resolved_by="the journal, at the next start"))

    def _fail(self, failure: BaseException) -> None:
        """Fail everything after a defect of our own in the writer: silence would be worse."""

        def error() -> StoreUnavailable:
            made = StoreUnavailable(f"the journal's writer failed: {failure!r}")
            made.__cause__ = failure
            return made

        self._give_up(error)

    def _give_up(self, error: Callable[[], GamekitError]) -> None:
        """Fail everything that waits, and take nothing more."""
        self._closed = True
        waiting = self._taken + [future for _, future in self._queue]
        self._queue.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(error())
