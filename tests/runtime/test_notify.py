import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from gamekit.core.journal import Event
from gamekit.errors import StoreUnavailable
from gamekit.runtime.notify import ALL
from gamekit.units import Address, Cursor, PlayerId
from tests.runtime.world import ALICE, World

BOB = PlayerId("bob")


async def test_cursors_follow_the_order_of_the_journal_without_a_gap(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.quiet()
    cursors = [event.cursor for event in await world.events()]
    assert cursors == list(range(1, len(cursors) + 1))
    assert world.kit.cursor == cursors[-1]


async def test_cursors_go_on_after_a_restart(world: World) -> None:
    await world.open()
    before = world.kit.cursor
    await world.restart()
    await world.open()
    assert [event.cursor for event in await world.events() if event.cursor > before] == [before + 1]


async def test_an_event_is_on_disk_before_a_listener_hears_of_it(world: World) -> None:
    heard: list[bool] = []

    def listen(events: Sequence[Event]) -> None:
        rows = world.store._rows[Event]
        heard.extend((event.cursor,) in rows for event in events)

    world.kit.subscribe(ALL, listen)
    session = await world.open()
    await world.accepted(session, "a")
    await world.quiet()
    assert heard
    assert all(heard)


async def test_a_player_hears_of_its_own_events_only(world: World) -> None:
    heard: list[str] = []
    stop = world.kit.subscribe(BOB, lambda events: heard.extend(event.player for event in events))
    await world.open()
    assert heard == []
    await world.open(BOB, Address(b"\xbb" * 20))
    assert heard == [BOB]
    stop()
    await world.open(BOB, Address(b"\xbb" * 20))
    assert heard == [BOB]
    assert world.kit._notify._listeners.keys() == {ALL}


async def test_one_of_several_listeners_may_stop(world: World) -> None:
    heard: list[int] = []
    stops = [world.kit.subscribe(ALICE, lambda _, number=number: heard.append(number)) for number in range(2)]  # type: ignore[misc]
    stops[0]()
    await world.open()
    assert heard == [1]


async def test_pages_of_one_players_events(world: World) -> None:
    for _ in range(3):
        await world.open()
    await world.open(BOB, Address(b"\xbb" * 20))
    page = await world.kit.events_since(Cursor(0), 2, ALICE)
    rest = await world.kit.events_since(page[-1].cursor, 5, ALICE)
    assert [len(page), len(rest)] == [2, 1]
    assert {event.player for event in (*page, *rest)} == {ALICE}


async def test_following_the_stream_gives_what_is_there_and_then_what_happens(world: World) -> None:
    await world.open()
    stream = world.kit.events(Cursor(0))
    first = await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not waiting.done()
    await world.open()
    second = await waiting
    assert (first.cursor, second.cursor) == (1, 2)
    await stream.aclose()  # type: ignore[attr-defined]
    assert world.kit._notify._listeners.keys() == {ALL}


async def test_a_listener_that_raises_stops_nobody_else(world: World) -> None:
    session = await world.open()
    heard: list[str] = []

    def broken(_: object) -> None:
        raise ValueError("the embedder's own bug")

    world.kit.subscribe(ALICE, broken)
    world.kit.subscribe(ALICE, lambda events: heard.extend(event.kind for event in events))
    await world.accepted(session, "a")
    await world.quiet()
    assert "settled" in heard
    await world.check()


@pytest.mark.parametrize("call", ["revoke", "cancel", "pause"])
async def test_what_the_disk_refuses_leaves_no_gap(world: World, call: str) -> None:
    session = await world.open()
    await world.accepted(session, "a", "b")
    before = world.kit.cursor
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "revoke": lambda: world.kit.revoke(session),
        "cancel": lambda: world.kit.cancel(session, "a"),
        "pause": lambda: world.kit.pause("chain", "a look", "ops"),
    }
    world.refuse(lambda rows: any(isinstance(row, Event) for row in rows))
    with pytest.raises(StoreUnavailable):
        await calls[call]()
    assert world.kit.cursor == before
    await calls[call]()
    cursors = [event.cursor for event in await world.events()]
    assert cursors == list(range(1, len(cursors) + 1))
