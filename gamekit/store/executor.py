"""Where the journal's writing runs: on a thread, or inline."""

import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SWITCH_INTERVAL_S: Final = 0.0001
"""How long a thread waits for the interpreter lock before it insists, in seconds; Python's own default is 0.005.

An event loop under load lets go of the lock once a turn, for a microsecond, and has it back before a waiting thread is
awake. The thread insists only if nobody let go during a whole interval, so with turns shorter than the interval it can
starve: groups of 5,000 rows took up to 20 s beside a loop with turns of 0.2 to 2 ms, and 0.1 s with this value.
"""


class InlineExecutor(Executor):
    """Runs each call at once, in the caller's own thread: for virtual time, where a thread would break the replay."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` now. As with any executor, what it raises waits in the future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor is a supervisor; a simulated crash still passes through
            future.set_exception(error)
        return future


def let_threads_in() -> None:
    """Lower the process's switch interval to `SWITCH_INTERVAL_S`, unless it is lower already."""
    sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))


def writer_thread() -> ThreadPoolExecutor:
    """Make the single thread that a journal writes on."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="gamekit-journal")
