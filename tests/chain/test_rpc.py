import asyncio
from typing import Any

import pytest
from aiohttp import web

from gamekit.chain.rpc import JsonRpc, RpcRefused, from_data, from_quantity, to_data, to_quantity
from gamekit.errors import CallReverted, ChainUnavailable, Outcome
from tests.chain.node import Node


async def test_default(node: Node, rpc: JsonRpc) -> None:
    node.says(eth_chainId="0x7a69")
    assert await rpc.request(str, "eth_chainId", "a", False) == "0x7a69"
    assert node.asked == [("eth_chainId", ["a", False])]


async def test_each_request_has_an_id_of_its_own(node: Node, rpc: JsonRpc) -> None:
    node.answer = lambda request: str(request["id"])
    ids = await asyncio.gather(*[rpc.request(str, "eth_blockNumber") for _ in range(20)])
    assert len(set(ids)) == 20


async def test_null_is_no_answer_unless_it_may_be_one(node: Node, rpc: JsonRpc) -> None:
    node.says(eth_getBlockByNumber=None)
    assert await rpc.request_optional(str, "eth_getBlockByNumber") is None
    with pytest.raises(ChainUnavailable, match="answered null"):
        await rpc.request(str, "eth_getBlockByNumber")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b'{"jsonrpc":"2.0","id":1,"result":"0x1"',
        b"[]",
        b'{"result":"0x1"}',
        b'{"id":"1","result":"0x1"}',
        b'{"id":2,"result":"0x1"}',
        b'{"id":null,"result":"0x1"}',
        b'{"id":1,"result":17}',
        b'{"id":1,"result":{"a":1}}',
        b'{"id":1,"error":"no"}',
        b"\xff\xfe\x00",
    ],
)
async def test_what_is_no_answer(node: Node, rpc: JsonRpc, body: bytes) -> None:
    node.answer = lambda request: web.Response(body=body, content_type="application/json")
    with pytest.raises(ChainUnavailable) as error:
        await rpc.request(str, "eth_chainId")
    assert error.value.outcome is Outcome.RETRY
    assert error.value.compared["method"] == "eth_chainId"


async def test_an_answer_to_another_request_is_none(node: Node, rpc: JsonRpc) -> None:
    node.answer = lambda request: web.json_response({"id": request["id"] + 1, "result": "0x1"})
    with pytest.raises(ChainUnavailable, match="carries id 2, not 1"):
        await rpc.request(str, "eth_chainId")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_an_overloaded_node(node: Node, rpc: JsonRpc, status: int) -> None:
    """Even if the body were an answer: the status says that it is not meant."""
    node.answer = lambda request: web.json_response({"id": request["id"], "result": "0x1"}, status=status)
    with pytest.raises(ChainUnavailable, match=str(status)):
        await rpc.request(str, "eth_chainId")


async def test_a_reply_over_the_size_is_not_read(node: Node, rpc: JsonRpc) -> None:
    node.says(eth_getCode="0x" + "00" * 6_000)
    with pytest.raises(ChainUnavailable, match="over 10000 bytes"):
        await rpc.request(str, "eth_getCode")


async def test_a_reply_that_expands_over_the_size_is_not_read(node: Node, rpc: JsonRpc) -> None:
    def bomb(request: dict[str, Any]) -> web.Response:
        response = web.json_response({"id": request["id"], "result": "0" * 5_000_000})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    node.answer = bomb
    with pytest.raises(ChainUnavailable, match="over 10000 bytes"):
        await rpc.request(str, "eth_getCode")


async def test_a_reply_that_drips_is_cut_at_the_deadline(node: Node) -> None:
    """Every byte comes in time, the whole never."""
    forever = asyncio.Event()

    async def drip(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(http)
        await response.write(b'{"id":1,"result":"')
        await forever.wait()
        return response

    node._handle = drip  # type: ignore[method-assign]
    async with JsonRpc(await node.start(), timeout_ms=20) as rpc:
        with pytest.raises(ChainUnavailable, match=r"within 0\.02 s") as error:
            await rpc.request(str, "eth_chainId")
        assert error.value.compared["timeout_s"] == 0.02
        forever.set()


async def test_a_reply_that_breaks_off(node: Node, rpc: JsonRpc) -> None:
    async def cut(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(http)
        await response.write(b'{"id":1,')
        assert http.transport is not None
        http.transport.close()
        return response

    rpc.url = await replaced(node, cut)
    with pytest.raises(ChainUnavailable):
        await rpc.request(str, "eth_chainId")


async def replaced(node: Node, handler: Any) -> str:
    await node.stop()
    node._handle = handler  # type: ignore[method-assign]
    return await node.start()


async def test_nobody_there(rpc: JsonRpc, node: Node) -> None:
    await node.stop()
    with pytest.raises(ChainUnavailable):
        await rpc.request(str, "eth_chainId")


async def test_closing_twice_is_harmless_and_it_opens_again(node: Node, rpc: JsonRpc) -> None:
    node.says(eth_chainId="0x1")
    await rpc.request(str, "eth_chainId")
    await rpc.close()
    await rpc.close()
    assert await rpc.request(str, "eth_chainId") == "0x1"


class TestErrors:
    async def test_any_error_of_the_node_keeps_its_code(self, node: Node, rpc: JsonRpc) -> None:
        node.refuses(-32000, "header not found")
        with pytest.raises(RpcRefused) as refused:
            await rpc.request(str, "eth_call")
        assert refused.value.error.code == -32000
        assert refused.value.compared == {"method": "eth_call", "rpc_code": -32000}

    @pytest.mark.parametrize(
        ("code", "message", "data", "revert"),
        [
            (3, "execution reverted: no", "0x08c379a0", b"\x08\xc3\x79\xa0"),
            (3, "execution reverted", "0x", b""),
            (3, "execution reverted", None, b""),
            (3, "execution reverted", {}, b""),
            (-32603, "execution reverted", {"data": "0xdead"}, b"\xde\xad"),
            (-32015, "VM execution error.", "0xdead", b"\xde\xad"),
            (-32000, "execution reverted", None, b""),
            (-32603, "EVM error: Revert", None, b""),
        ],
    )
    async def test_a_revert(
        self, node: Node, rpc: JsonRpc, code: int, message: str, data: object, revert: bytes
    ) -> None:
        node.refuses(code, message, data)
        with pytest.raises(CallReverted) as reverted:
            await rpc.request(str, "eth_call")
        assert reverted.value.data == revert

    @pytest.mark.parametrize("data", ["0xzz", "some words", 7, ["0x"], {"data": 7}])
    async def test_other_data_is_no_revert(self, node: Node, rpc: JsonRpc, data: object) -> None:
        node.refuses(-32000, "something else", data)
        with pytest.raises(RpcRefused):
            await rpc.request(str, "eth_call")


class TestText:
    @pytest.mark.parametrize(
        ("text", "number"), [("0x0", 0), ("0x1b", 27), ("0xFf", 255), ("0x" + "f" * 64, 2**256 - 1)]
    )
    def test_a_quantity(self, text: str, number: int) -> None:
        assert from_quantity(text) == number

    @pytest.mark.parametrize(
        "text", ["", "0x", "12", "0xg", "-0x1", "0x-1", "0x_1", " 0x1", "0x1 ", "0b1", "0x" + "1" * 65]
    )
    def test_no_quantity(self, text: str) -> None:
        with pytest.raises(ChainUnavailable):
            from_quantity(text)

    def test_data(self) -> None:
        assert from_data("0x") == b""
        assert from_data("0x00Ff") == b"\x00\xff"
        assert from_data("0x00ff", 2) == b"\x00\xff"

    @pytest.mark.parametrize("text", ["", "00ff", "0x0", "0xzz", "0x00 ff"])
    def test_no_data(self, text: str) -> None:
        with pytest.raises(ChainUnavailable):
            from_data(text)

    def test_another_length(self) -> None:
        with pytest.raises(ChainUnavailable, match="expected 32 bytes, got 1"):
            from_data("0x00", 32)

    def test_writing(self) -> None:
        assert to_quantity(255) == "0xff"
        assert to_data(b"\x00\xff") == "0x00ff"


async def test_a_question_is_asked_again_until_there_is_an_answer(node: Node) -> None:
    def answer(request: dict[str, Any]) -> object:
        return web.Response(status=502) if len(node.asked) < 3 else "0x7a69"

    node.answer = answer
    async with JsonRpc(await node.start(), attempts=3) as rpc:
        assert await rpc.request(str, "eth_chainId") == "0x7a69"
        assert len(node.asked) == 3
        node.answer = lambda request: web.Response(status=502)
        with pytest.raises(ChainUnavailable, match="502"):
            await rpc.request(str, "eth_chainId")
        assert len(node.asked) == 6


async def test_what_the_node_refuses_or_is_to_carry_out_is_asked_once(node: Node) -> None:
    async with JsonRpc(await node.start(), attempts=3) as rpc:
        node.refuses(-32000, "no")
        with pytest.raises(RpcRefused):
            await rpc.request(str, "eth_chainId")
        node.answer = lambda request: web.Response(status=502)
        with pytest.raises(ChainUnavailable):
            await rpc.request(str, "eth_sendRawTransaction", "0x")
        assert [method for method, _ in node.asked] == ["eth_chainId", "eth_sendRawTransaction"]
