from collections.abc import AsyncIterator

import pytest

from gamekit.chain.reader import EvmChain
from gamekit.chain.rpc import JsonRpc
from gamekit.config import ChainConfig
from tests.chain.node import Node


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    yield node
    await node.stop()


@pytest.fixture
async def rpc(node: Node) -> AsyncIterator[JsonRpc]:
    async with JsonRpc(await node.start(), timeout_ms=2_000, reply_bytes_max=10_000) as rpc:
        yield rpc


@pytest.fixture
def chain(rpc: JsonRpc) -> EvmChain:
    return EvmChain(rpc, ChainConfig(blocks_checked=False))
