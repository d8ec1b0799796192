"""Time is made up, order is not, and a wait without end is said to be one."""

import asyncio
import time

import pytest

from gamekit.testing.loop import Stalled, VirtualLoop


def test_time_passes_at_once() -> None:
    loop = VirtualLoop()
    began = time.monotonic()
    loop.run(asyncio.sleep(86_400))
    assert loop.time() == pytest.approx(86_400)
    assert time.monotonic() - began < 5
    loop.close()


def test_timers_come_in_their_order() -> None:
    loop, seen = VirtualLoop(), []

    async def after(delay: float) -> None:
        await asyncio.sleep(delay)
        seen.append((delay, round(loop.time(), 6)))

    async def main() -> None:
        await asyncio.gather(*(after(delay) for delay in (3.0, 1.0, 2.0)))

    loop.run(main())
    assert seen == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    loop.close()


def test_a_wait_without_end_is_stalled() -> None:
    loop = VirtualLoop()
    with pytest.raises(Stalled, match="nothing will ever happen"):
        loop.run(asyncio.wait_for(loop.create_future(), None))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run(asyncio.sleep(0))
    loop.close()


def test_a_timeout_is_virtual_too() -> None:
    loop = VirtualLoop()

    async def main() -> None:
        async with asyncio.timeout(600):
            await loop.create_future()

    with pytest.raises(TimeoutError):
        loop.run(main())
    assert loop.time() == pytest.approx(600)
    loop.close()
