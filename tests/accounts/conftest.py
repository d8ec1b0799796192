"""The same examples in every run, and no verdict that depends on how busy the machine is."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from gamekit.devnet import Anvil, AnvilSettings, DevnetNode

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def uncapped_anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """A node that takes contracts of any size, as npm's Kernel needs it."""
    node = Anvil.start(Path(tmp_path_factory.mktemp("uncapped_anvil")), AnvilSettings(code_size_capped=False))
    yield node
    node.stop()


@pytest.fixture
async def uncapped_node(uncapped_anvil: Anvil) -> AsyncIterator[DevnetNode]:
    """Its client; the chain is afterwards what it was before."""
    async with DevnetNode(uncapped_anvil.url, timeout_ms=60_000) as node:
        before = await node.snapshot()
        yield node
        await node.restore(before)
