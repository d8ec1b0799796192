"""One workshop for all worlds of this folder, one anvil for all twins."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gamekit.devnet import Anvil, AnvilSettings
from gamekit.testing.scenery import Keys
from gamekit.testing.simulation import Simulation, Workshop, workshop
from tests.testing.twin_play import Play
from tests.testing.twins import Node, Simulated, Twin, on_anvil


@pytest.fixture(scope="session")
def shop() -> Iterator[Workshop]:
    with workshop() as lent:
        yield lent


@pytest.fixture
def world(shop: Workshop, request: pytest.FixtureRequest) -> Simulation:
    """A world whose seed is the test's name."""
    return Simulation(shop, request.node.nodeid)


@pytest.fixture(scope="session")
def capped_anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """A node with mainnet's cap on a transaction's gas."""
    anvil = Anvil.start(Path(tmp_path_factory.mktemp("capped_anvil")), AnvilSettings(transaction_gas_capped=True))
    yield anvil
    anvil.stop()


@pytest.fixture(params=["simulated", "anvil", "anvil with a pool"])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[Node]:
    """A chain without players, of each kind."""
    if request.param == "simulated":
        yield Simulated()
        return
    async with on_anvil(request.getfixturevalue("capped_anvil"), pool=request.param != "anvil") as node:
        yield node


@pytest.fixture(params=["simulated", "anvil"])
async def twin(request: pytest.FixtureRequest) -> AsyncIterator[Twin]:
    """A chain with the contracts, of each kind."""
    if request.param == "simulated":
        yield Simulated()
        return
    async with on_anvil(request.getfixturevalue("capped_anvil")) as twin:
        yield twin


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """One relayer in the pool of play, one apart."""
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def play(twin: Twin, keys: Keys) -> Play:
    """A started kit on it."""
    play = Play(twin, keys)
    await play.start()
    return play
