import logging

import pytest

from gamekit.runtime.watchdog import Watchdog
from tests.runtime.world import HandClock


def test_a_stall_is_told_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    dog = Watchdog(HandClock())
    with caplog.at_level(logging.WARNING):
        for late_s in (-0.001, 0.2, 0.3):
            dog.look(late_s)
    assert caplog.messages == ["the event loop stood still for 300 ms"]
    assert dog.late.total == 3


async def test_it_measures_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    dog = Watchdog(clock)

    async def slow(seconds: float) -> None:
        clock.now += seconds + 1
        if dog.late.total == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("gamekit.runtime.watchdog.asyncio.sleep", slow)
    with pytest.raises(KeyboardInterrupt):
        await dog.run()
    assert dog.late.longest_s == pytest.approx(1)
