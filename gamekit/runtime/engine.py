"""Runs the tasks, and nothing else: recover, then follow the chain, dispatch and bundle until stopped.

The one place that creates tasks. If a task fails on something that it cannot handle, all stop: a server that no longer
knows what is true must not sign.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping

from gamekit.errors import ChainMismatch

log = logging.getLogger(__name__)

STOP_S = 1.0
"""How long the loops may take to stop, in seconds."""

Step = Callable[[], Coroutine[None, None, None]]


class Engine:
    """Starts and stops the verbs."""

    def __init__(self, recover: Step, loops: Mapping[str, Step], on_failure: Callable[[str], None]) -> None:
        """Take the steps.

        Args:
            recover: run before anything else.
            loops: run side by side until stopped, by name.
            on_failure: called with the reason when a loop fails and all stop.
        """
        self._recover = recover
        self._loops = loops
        self._on_failure = [on_failure]
        self._running: asyncio.Task[None] | None = None
        self.failed: BaseException | None = None
        """Why the engine stopped by itself; None while it runs or was stopped."""

    async def start(self) -> None:
        """Recover, then run. Raises what recovery raises: nothing runs then."""
        await self._recover()
        self._running = asyncio.create_task(self._run(), name="gamekit")

    async def stop(self) -> None:
        """Stop all loops. What is on disk is resumed by the next start."""
        if self._running is not None:
            self._running.cancel()
            # A loop that does not end is left behind: what it has not written is found again by the next start.
            await asyncio.wait({self._running}, timeout=STOP_S)
            self._running = None

    def when_failed(self, tell: Callable[[str], None]) -> None:
        """Call back with the reason when a loop fails: a server ends then, for its supervisor to start it again."""
        self._on_failure.append(tell)

    @property
    def running(self) -> bool:
        """Whether the loops run."""
        return self._running is not None and not self._running.done()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for name, loop in self._loops.items():
                    group.create_task(loop(), name=f"gamekit {name}")
        except* Exception as failures:
            self.failed = failures
            reason = "; ".join(f"{type(each).__name__}: {each}" for each in failures.exceptions)
            for tell in self._on_failure:
                tell(reason)
            log.critical("gamekit stopped signing: %s", failures.exceptions, exc_info=failures)


def require(what: str, expected: object, found: object) -> None:
    """Refuse to start on a chain that is not the configured one. Raises ChainMismatch naming both values."""
    if expected != found:
        raise ChainMismatch(f"{what} is {found}, configured is {expected}", expected=expected, found=found)
