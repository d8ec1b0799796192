"""Blocks of a real node prove themselves; whatever is changed in one is found."""

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gamekit.chain.blocks import RpcBlock, RpcReceipt, check_block, check_receipts, read_head, read_receipt
from gamekit.chain.reader import EvmChain
from gamekit.chain.rpc import JsonRpc
from gamekit.config import ChainConfig
from gamekit.devnet import Anvil, AnvilSettings, DevnetNode
from gamekit.errors import ChainUnavailable
from gamekit.units import Address, Wei
from tests.chain.node import Node

TRANSACTIONS = 140
"""More than 128: the keys of the list have one byte, and then two."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    anvil = Anvil.start(tmp_path_factory.mktemp("blocks"), AnvilSettings(block_time_s=3600.0))
    yield anvil
    anvil.stop()


@pytest.fixture
async def block(anvil: Anvil) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block with many transactions, and its receipts, as the node gives them."""
    async with DevnetNode(anvil.url) as node:
        sender = (await node.unlocked_accounts())[0]
        if await node.block_number() == 0:
            for place in range(TRANSACTIONS):
                await node.send(sender, Address(bytes(19) + bytes((place,))), b"", value=Wei(1), gas=50_000)
            await node.mine()
        found = await node.request(dict[str, Any], "eth_getBlockByNumber", "0x1", False)
        return found, await node.request(list[dict[str, Any]], "eth_getBlockReceipts", "0x1")


def check(block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
    written = msgspec.convert(block, RpcBlock)
    check_block(written)
    each = msgspec.convert(receipts, list[RpcReceipt])
    check_receipts(read_head(written), each, [read_receipt(one) for one in each])


async def test_a_real_block(anvil: Anvil, block: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    check(*block)
    assert len(block[1]) == TRANSACTIONS
    async with JsonRpc(anvil.url) as rpc:
        chain = EvmChain(rpc, ChainConfig())
        head = await chain.head()
        assert len(await chain.receipts(head)) == TRANSACTIONS


@pytest.mark.parametrize("field", ["parentHash", "receiptsRoot", "timestamp", "number", "baseFeePerGas", "hash"])
async def test_a_block_that_was_changed(block: tuple[dict[str, Any], list[dict[str, Any]]], field: str) -> None:
    value = block[0][field]
    block[0][field] = value[:-1] + ("0" if value[-1] != "0" else "1")
    with pytest.raises(ChainUnavailable, match="says that its hash is"):
        check(*block)


def _invented(receipts: list[dict[str, Any]]) -> None:
    log = {"address": "0x" + "aa" * 20, "topics": ["0x" + "01" * 32], "data": "0x01", "logIndex": "0x0"}
    receipts[3]["logs"].append(log)


def _turned(receipts: list[dict[str, Any]]) -> None:
    receipts[3]["status"] = "0x0"


def _left_out(receipts: list[dict[str, Any]]) -> None:
    del receipts[3]


def _exchanged(receipts: list[dict[str, Any]]) -> None:
    receipts[2], receipts[3] = receipts[3], receipts[2]


@pytest.mark.parametrize("lie", [_invented, _turned, _left_out, _exchanged])
async def test_receipts_that_were_changed(block: tuple[dict[str, Any], list[dict[str, Any]]], lie: Any) -> None:
    receipts = copy.deepcopy(block[1])
    lie(receipts)
    with pytest.raises(ChainUnavailable, match="not those of its header"):
        check(block[0], receipts)


async def test_a_reader_believes_no_forged_receipt(
    node: Node, rpc: JsonRpc, block: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    receipts = copy.deepcopy(block[1])
    node.answer = lambda request: block[0] if request["method"] == "eth_getBlockByNumber" else receipts
    _turned(receipts)
    rpc._reply_bytes_max = 1 << 20
    chain = EvmChain(rpc, ChainConfig())
    head = await chain.head()
    with pytest.raises(ChainUnavailable, match="not those of its header"):
        await chain.receipts(head)
    node.answer = lambda request: {**block[0], "receiptsRoot": None}
    with pytest.raises(ChainUnavailable, match="says that its hash is"):
        await chain.head()
