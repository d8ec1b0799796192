import pytest

from gamekit.testing.scenery import Keys
from tests.runtime.world import World


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """One relayer in the pool of play, one apart."""
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def world(keys: Keys) -> World:
    """A started kit at its defaults."""
    world = World(keys)
    await world.start()
    return world
