"""The events of a client."""

import asyncio

import pytest

from gamekit.client import stream as stream_module
from gamekit.client.stream import EventStream
from gamekit.errors import OutcomeUnknown, Overloaded
from gamekit.protocol.events import Reorged
from gamekit.protocol.octets import Octets32

EVENTS = [Reorged(Octets32(bytes(32)), Octets32(bytes(32)), [], cursor=cursor) for cursor in range(5)]


async def test_events_wait_for_the_reader_and_the_reader_for_events() -> None:
    events = EventStream()
    events.put(EVENTS[0])
    assert repr(events) == "<EventStream 1 waiting>"
    assert await anext(events) is EVENTS[0]
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    events.put(EVENTS[1])
    assert await waiting is EVENTS[1]


async def test_the_end_comes_after_what_was_before() -> None:
    events = EventStream()
    events.put(EVENTS[0])
    events.fail(OutcomeUnknown("over"))
    events.put(EVENTS[1])
    assert await anext(events) is EVENTS[0]
    with pytest.raises(OutcomeUnknown, match="over"):
        await anext(events)


async def test_a_reader_that_falls_behind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "EVENTS_MAX", 3)
    events = EventStream()
    for event in EVENTS:
        events.put(event)
    assert [await anext(events) for _ in range(3)] == EVENTS[:3]
    with pytest.raises(Overloaded):
        await anext(events)
