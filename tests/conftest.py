"""Fixtures that several folders share. What one folder needs stands in its own conftest."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gamekit.devnet import Anvil, DevnetNode


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """One node for the whole run, mining each transaction at once; tests restore it or use accounts of their own."""
    node = Anvil.start(Path(tmp_path_factory.mktemp("anvil")))
    yield node
    node.stop()


@pytest.fixture
async def node(anvil: Anvil) -> AsyncIterator[DevnetNode]:
    """The node's client; the chain is afterwards what it was before."""
    async with DevnetNode(anvil.url, timeout_ms=60_000) as node:
        before = await node.snapshot()
        yield node
        await node.restore(before)
