"""A start asks again when the node does not answer; a server that runs does not, for it has another head soon."""

import pytest

from gamekit.errors import ChainUnavailable
from gamekit.runtime import patience
from gamekit.runtime.patience import STARTING
from gamekit.testing.scenery import Keys
from tests.runtime.world import World


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_S", 0)


async def test_a_start_asks_again(keys: Keys) -> None:
    world = World(keys)
    world.chain.down = STARTING - 1
    await world.kit.start()
    assert world.kit.state.head.hash == world.chain.top.head.hash
    await world.kit.close()


async def test_a_node_that_is_down_ends_the_start(keys: Keys) -> None:
    world = World(keys)
    world.chain.down = STARTING
    with pytest.raises(ChainUnavailable):
        await world.kit.start()
    assert world.chain.down == 0
    await world.kit.close()


async def test_a_server_that_runs_does_not_ask_again(keys: Keys) -> None:
    world = World(keys)
    await world.kit.start()
    await world.kit.engine.stop()
    world.chain.down = 2
    with pytest.raises(ChainUnavailable):
        await world.step()
    assert world.chain.down == 1
    await world.kit.close()
