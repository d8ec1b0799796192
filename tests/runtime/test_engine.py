import asyncio

import pytest

from gamekit.errors import ChainMismatch, ChainUnavailable
from gamekit.runtime.engine import Engine, require


async def nothing() -> None:
    return None


async def forever() -> None:
    await asyncio.Event().wait()


def fail(reason: str) -> None:
    raise AssertionError(reason)


async def test_it_recovers_before_it_runs() -> None:
    steps: list[str] = []

    async def recover() -> None:
        steps.append("recover")

    async def loop() -> None:
        steps.append("loop")
        await forever()

    engine = Engine(recover, {"loop": loop}, fail)
    await engine.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert steps == ["recover", "loop"]
    assert engine.running
    await engine.stop()
    assert not engine.running


async def test_nothing_runs_when_recovery_fails() -> None:
    async def recover() -> None:
        raise ChainUnavailable("no answer")

    engine = Engine(recover, {"loop": forever}, fail)
    with pytest.raises(ChainUnavailable):
        await engine.start()
    assert not engine.running


async def test_one_loop_that_fails_stops_all(caplog: pytest.LogCaptureFixture) -> None:
    stopped = asyncio.Event()
    reasons: list[str] = []

    async def breaks() -> None:
        raise RuntimeError("a defect")

    async def other() -> None:
        try:
            await forever()
        finally:
            stopped.set()

    engine = Engine(nothing, {"breaks": breaks, "other": other}, reasons.append)
    await engine.start()
    await stopped.wait()
    assert engine._running is not None
    await engine._running
    assert not engine.running
    assert reasons == ["RuntimeError: a defect"]
    assert isinstance(engine.failed, ExceptionGroup)
    assert "stopped signing" in caplog.text
    await engine.stop()


async def test_stopping_what_never_ran_is_harmless() -> None:
    await Engine(nothing, {}, fail).stop()


def test_require_names_both_values() -> None:
    require("the chain id", 1, 1)
    with pytest.raises(ChainMismatch) as mismatch:
        require("the chain id", 1, 2)
    assert mismatch.value.compared == {"expected": 1, "found": 2}
