"""The pytest plugin: a world for a test, and the seed of one that failed.

::

    def test_the_chain_reorgs_while_the_boss_dies(simulation):
        async def story():
            hero = await simulation.join("ada")
            blow = await hero.ask(hero.attack())
            await simulation.blocks(1)
            simulation.chain.reorg(1)
            await simulation.rest()
            assert [each.kind for each in blow.told] == ["settled", "reorged", "settled", "final"]

        simulation.play(story())

Each run draws a seed and prints it when a test fails; `--gamekit-seed` replays it exactly.
"""

import random
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gamekit.testing.simulation import Simulation, Workshop

SEED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--gamekit-seed`."""
    group = parser.getgroup("gamekit")
    text = "where all chance of gamekit's simulated worlds comes from; a failed test prints it"
    group.addoption("--gamekit-seed", type=int, default=None, metavar="N", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of this run, unless it is given."""
    given = config.getoption("--gamekit-seed")
    config.stash[SEED] = random.SystemRandom().randrange(1 << 32) if given is None else given


@pytest.fixture(scope="session")
def gamekit_workshop() -> "Iterator[Workshop]":
    """What simulated worlds share to be quick: a loop, a folder, keys."""
    from gamekit.testing.simulation import workshop

    with workshop() as shop:
        yield shop


@pytest.fixture
def gamekit_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run."""
    return request.config.stash[SEED]


@pytest.fixture
def simulation(request: pytest.FixtureRequest, gamekit_workshop: "Workshop", gamekit_seed: int) -> "Simulation":
    """A world in virtual time, around the real kit and the real journal, for this test."""
    from gamekit.testing.simulation import Simulation

    return Simulation(gamekit_workshop, f"{gamekit_seed}/{request.node.nodeid}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say the seed of a simulated world whose test failed."""
    report = yield
    if report.failed and call.when == "call" and "simulation" in getattr(item, "fixturenames", ()):
        seed = item.config.stash[SEED]
        report.sections.append(("gamekit", f"replay exactly: pytest --gamekit-seed={seed} '{item.nodeid}'"))
    return report
