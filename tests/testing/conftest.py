"""One workshop for all worlds of this folder."""

from collections.abc import Iterator

import pytest

from gamekit.testing.simulation import Simulation, Workshop, workshop


@pytest.fixture(scope="session")
def shop() -> Iterator[Workshop]:
    with workshop() as lent:
        yield lent


@pytest.fixture
def world(shop: Workshop, request: pytest.FixtureRequest) -> Simulation:
    """A world whose seed is the test's name."""
    return Simulation(shop, request.node.nodeid)
