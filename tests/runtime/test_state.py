import pytest

from gamekit.errors import ChainUnavailable
from gamekit.runtime.state import State
from gamekit.testing.scenery import config
from tests.runtime.world import World, targets


def test_there_is_no_head_before_one_was_read() -> None:
    with pytest.raises(ChainUnavailable, match="no block"):
        _ = State(config(), {}).head


class TestHalted:
    """A chain that stands still: what is signed would only burn its deadline."""

    async def test_nothing_is_signed_until_there_is_a_new_head(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        world.clock.now += 61
        world.kit._settle.watch_head()
        assert world.kit.state.halted
        await world.sign()
        assert await world.operations() == []
        await world.quiet()
        assert world.ran() == targets("a")

    async def test_a_head_in_time_is_none(self, world: World) -> None:
        world.clock.now += 60
        world.kit._settle.watch_head()
        assert not world.kit.state.halted

    async def test_it_is_said_once(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(3):
            world.clock.now += 61
            world.kit._settle.watch_head()
        assert caplog.text.count("no new block for") == 1

    async def test_actions_are_accepted_meanwhile(self, world: World) -> None:
        session = await world.open()
        world.clock.now += 61
        world.kit._settle.watch_head()
        await world.accepted(session, "a")
        await world.quiet()
        await world.check()
