"""The proxy in front of a node that says what it is told: each fault, as the server's own client sees it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gamekit.chain.rpc import JsonRpc, RpcRefused
from gamekit.errors import ChainUnavailable
from tests.campaigns.pool import read
from tests.campaigns.proxy import Proxy
from tests.campaigns.rules import BLOCK, COUNT, RECEIPTS, SEND, Dice, Rule
from tests.campaigns.test_lies import ENTRY_POINT, HASH, bundle, receipts
from tests.campaigns.test_pool import raw
from tests.chain.node import Node

BLOCK_7 = {"number": "0x7", "hash": "0x" + "07" * 32, "transactions": []}


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    await node.start()
    node.answer = answer
    yield node
    await node.stop()


def answer(request: dict[str, Any]) -> object:
    match request["method"]:
        case "eth_getBlockByNumber":
            height = request["params"][0]
            return BLOCK_7 if height in ("latest", "finalized") else BLOCK_7 | {"number": height}
        case "eth_blockNumber":
            return "0x7"
        case "eth_call":
            return "0x" + "cd" * 32
        case "eth_getBlockReceipts":
            return receipts()
        case "eth_getTransactionCount":
            return "0x5"
        case _:
            return HASH


@pytest.fixture
async def proxy(node: Node) -> AsyncIterator[Proxy]:
    assert node._server is not None
    async with Proxy(str(node._server.make_url("/")), Dice((), 1)) as proxy:
        yield proxy


@pytest.fixture
async def rpc(proxy: Proxy) -> AsyncIterator[JsonRpc]:
    async with JsonRpc(proxy.url, timeout_ms=1_000, reply_bytes_max=1 << 20) as rpc:
        yield rpc


def strike(proxy: Proxy, fault: str, *methods: str) -> None:
    proxy.dice = Dice((Rule(fault, methods, 1.0),), 1)


async def test_default(rpc: JsonRpc, node: Node) -> None:
    assert await rpc.request(dict[str, Any], BLOCK, "latest", False) == BLOCK_7
    assert node.asked == [(BLOCK, ["latest", False])]


@pytest.mark.parametrize(
    "fault",
    ["drop_before", "drop_after", "status_429", "status_500", "status_502", "truncated", "garbage", "huge", "wrong_id"],
)
async def test_faults_that_leave_no_answer(rpc: JsonRpc, proxy: Proxy, node: Node, fault: str) -> None:
    strike(proxy, fault)
    with pytest.raises(ChainUnavailable):
        await rpc.request(str, SEND, raw())
    assert proxy.dice.injected == {fault: 1}
    heard = fault not in ("drop_before", "status_429", "status_500", "status_502")
    assert [method for method, _ in node.asked] == [SEND] * heard


async def test_slow_drip(proxy: Proxy) -> None:
    strike(proxy, "slow_drip")
    async with JsonRpc(proxy.url, timeout_ms=100) as rpc:
        with pytest.raises(ChainUnavailable, match="no answer within"):
            await rpc.request(str, "eth_chainId")


async def test_duplicate(rpc: JsonRpc, proxy: Proxy, node: Node) -> None:
    strike(proxy, "duplicate")
    assert await rpc.request(str, SEND, raw()) == HASH
    assert [method for method, _ in node.asked] == [SEND, SEND]


async def test_stale(rpc: JsonRpc, proxy: Proxy) -> None:
    strike(proxy, "stale")
    block = await rpc.request(dict[str, Any], BLOCK, "latest", False)
    assert int(block["number"], 16) < 7
    assert await rpc.request(dict[str, Any], BLOCK, "finalized", False) == BLOCK_7


async def test_a_backend_that_lags(node: Node) -> None:
    assert node._server is not None
    async with Proxy(str(node._server.make_url("/")), Dice((), 1), lags=(0, 3)) as proxy, JsonRpc(proxy.url) as rpc:
        found = {(await rpc.request(dict[str, Any], BLOCK, "latest", False))["number"] for _ in range(20)}
        assert found == {"0x7", "0x4"}
        assert 0 < proxy.lagged < 20


async def test_wrong_hash_null_and_spent(rpc: JsonRpc, proxy: Proxy) -> None:
    strike(proxy, "wrong_hash")
    assert (await rpc.request(dict[str, Any], BLOCK, "latest", False))["hash"] != BLOCK_7["hash"]
    strike(proxy, "forged_spent", COUNT)
    assert await rpc.request(str, COUNT, "0x00", "latest") == "0x6"
    strike(proxy, "null")
    assert await rpc.request_optional(str, "eth_chainId") is None


async def test_forged_receipt(rpc: JsonRpc, proxy: Proxy) -> None:
    """It is about an operation that the server asked about and that is in no block."""
    strike(proxy, "forged_receipt", RECEIPTS)
    assert await rpc.request(list[dict[str, Any]], RECEIPTS, "0x7") == receipts()
    assert proxy.dice.injected == {}
    await rpc.request(str, "eth_call", {"to": ENTRY_POINT, "data": bundle(1)}, "latest")
    forged = await rpc.request(list[dict[str, Any]], RECEIPTS, "0x7")
    assert forged[-1]["logs"][-1]["topics"][1] == "0x" + "cd" * 32
    assert proxy.dice.injected == {"forged_receipt": 1}


@pytest.mark.parametrize("fault", ["forged_outcome", "hidden_receipt"])
async def test_bent_receipts(rpc: JsonRpc, proxy: Proxy, fault: str) -> None:
    strike(proxy, fault, RECEIPTS)
    assert await rpc.request(list[dict[str, Any]], RECEIPTS, "0x7") != receipts()
    assert proxy.dice.injected == {fault: 1}


async def test_the_pools_rule(rpc: JsonRpc, node: Node) -> None:
    await rpc.request(str, SEND, raw(5, fee=100, tip=100))
    with pytest.raises(RpcRefused, match="underpriced"):
        await rpc.request(str, SEND, raw(5, fee=105, tip=105))
    assert [method for method, _ in node.asked] == [SEND, COUNT]
    await rpc.request(str, SEND, raw(5, fee=113, tip=113))


async def test_the_pools_rule_leaves_a_consumed_nonce_to_the_node(rpc: JsonRpc, node: Node) -> None:
    await rpc.request(str, SEND, raw(4, fee=100, tip=100))
    await rpc.request(str, SEND, raw(4, fee=105, tip=105))
    assert [method for method, _ in node.asked] == [SEND, COUNT, SEND]


async def test_a_reorganisation_gives_transactions_back(rpc: JsonRpc, proxy: Proxy, node: Node) -> None:
    one = raw()
    await rpc.request(str, SEND, one)
    truthful = node.answer
    orphaned = BLOCK_7 | {"transactions": [read(one).hash]}
    node.answer = lambda request: orphaned if request["method"] == BLOCK else truthful(request)
    assert await proxy.reorganise(1) == 1
    assert node.asked[-2:] == [("anvil_reorg", [1, []]), (SEND, [one])]
    assert await proxy.reorganise(1, rebroadcast=False) == 0


async def test_nothing_is_mined_within_a_reorganisation(proxy: Proxy, node: Node) -> None:
    await asyncio.gather(proxy.reorganise(2), proxy.mine(), proxy.reorganise(1), proxy.mine())
    assert [method for method, _ in node.asked] == [
        *("eth_blockNumber", BLOCK, BLOCK, "anvil_reorg", "evm_mine"),
        *("eth_blockNumber", BLOCK, "anvil_reorg", "evm_mine"),
    ]
