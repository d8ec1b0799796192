from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from gamekit.chain.blocks import list_hash
from gamekit.chain.reader import EvmChain, NonceSpent
from gamekit.chain.rpc import JsonRpc
from gamekit.config import ChainConfig
from gamekit.errors import CallReverted, ChainUnavailable, FeeTooLow, Outcome, SubmitError, SubmitterUnavailable
from gamekit.eth.block import Head, Log
from gamekit.eth.transaction import Authorization, SignedAuthorization
from gamekit.units import Address, BlockHash, BlockNumber, ChainId, Gas, Hash32, UnixSeconds, Wei
from tests.chain.node import Node

A, B = Address(b"\xaa" * 20), Address(b"\xbb" * 20)
TEXT_A, TEXT_B = "0x" + "aa" * 20, "0x" + "bb" * 20
HASH, PARENT = "0x" + "01" * 32, "0x" + "02" * 32
BLOCK = {
    "number": "0x7", "hash": HASH, "parentHash": PARENT, "timestamp": "0x64", "gasLimit": "0x1c9c380",
    "baseFeePerGas": "0x3b9aca00", "transactions": ["0x" + "03" * 32], "extra": "ignored",
}  # fmt: skip
HEAD = Head(
    BlockNumber(7),
    BlockHash(b"\x01" * 32),
    BlockHash(b"\x02" * 32),
    UnixSeconds(100),
    Wei(10**9),
    Gas(30_000_000),
    1,
    transactions_listed=list_hash([Hash32(b"\x03" * 32)]),
)
RECEIPT = {
    "transactionHash": "0x" + "03" * 32, "blockHash": HASH, "blockNumber": "0x7", "from": TEXT_A, "to": TEXT_B,
    "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0x9", "transactionIndex": "0x0",
    "logs": [{"address": TEXT_B, "topics": ["0x" + "04" * 32], "data": "0xdead", "logIndex": "0x2", "removed": False}],
}  # fmt: skip


class TestHeads:
    async def test_the_latest(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockByNumber=BLOCK)
        assert await chain.head() == HEAD
        assert node.asked == [("eth_getBlockByNumber", ["latest", False])]

    async def test_by_number(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockByNumber=BLOCK)
        assert await chain.block(BlockNumber(7)) == HEAD
        assert node.asked == [("eth_getBlockByNumber", ["0x7", False])]

    async def test_above_the_head(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockByNumber=None)
        assert await chain.block(BlockNumber(8)) is None

    async def test_another_block_than_asked_for_is_no_answer(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockByNumber=BLOCK)
        with pytest.raises(ChainUnavailable) as error:
            await chain.block(BlockNumber(8))
        assert error.value.compared == {"asked": 8, "got": 7}

    async def test_a_chain_without_base_fee(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockByNumber={key: value for key, value in BLOCK.items() if key != "baseFeePerGas"})
        assert (await chain.head()).base_fee_per_gas == 0

    @pytest.mark.parametrize(
        "changes", [{"hash": "0x01"}, {"number": "seven"}, {"parentHash": None}, {"timestamp": 100}]
    )
    async def test_a_malformed_one_is_no_answer(self, node: Node, chain: EvmChain, changes: dict[str, Any]) -> None:
        node.says(eth_getBlockByNumber=BLOCK | changes)
        with pytest.raises(ChainUnavailable):
            await chain.head()


class TestFinalized:
    async def test_by_the_nodes_tag(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockByNumber=BLOCK)
        assert await chain.finalized() == HEAD
        assert node.asked == [("eth_getBlockByNumber", ["finalized", False])]

    @pytest.mark.parametrize(("depth", "number"), [(3, 4), (7, 0), (64, 0)])
    async def test_by_depth(self, node: Node, rpc: JsonRpc, depth: int, number: int) -> None:
        chain = EvmChain(rpc, ChainConfig(finality="depth", final_depth=depth, blocks_checked=False))
        node.answer = lambda request: BLOCK if request["params"][0] == "latest" else BLOCK | {"number": hex(number)}
        assert await chain.finalized() == replace(HEAD, number=BlockNumber(number))

    async def test_a_node_without_that_block(self, node: Node, rpc: JsonRpc) -> None:
        chain = EvmChain(rpc, ChainConfig(finality="depth", final_depth=3, blocks_checked=False))
        node.answer = lambda request: BLOCK if request["params"][0] == "latest" else None
        with pytest.raises(ChainUnavailable, match="no block 4 below"):
            await chain.finalized()


class TestReceipts:
    async def test_default(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockReceipts=[RECEIPT])
        (receipt,) = await chain.receipts(HEAD)
        assert node.asked == [("eth_getBlockReceipts", [HASH])]
        assert (receipt.transaction_hash, receipt.block_hash, receipt.block_number) == (b"\x03" * 32, HEAD.hash, 7)
        assert (receipt.sender, receipt.to, receipt.succeeded) == (A, B, True)
        assert (receipt.gas_used, receipt.effective_gas_price) == (21_000, 9)
        assert receipt.logs == (Log(B, (Hash32(b"\x04" * 32),), b"\xde\xad", 2),)

    async def test_a_creation_has_no_receiver(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockReceipts=[RECEIPT | {"to": None, "status": "0x0"}])
        (receipt,) = await chain.receipts(HEAD)
        assert (receipt.to, receipt.succeeded) == (None, False)

    async def test_a_block_that_the_node_has_no_more(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockReceipts=None)
        with pytest.raises(ChainUnavailable, match="no longer has block 7"):
            await chain.receipts(HEAD)

    @pytest.mark.parametrize("count", [0, 2])
    async def test_fewer_or_more_than_the_block_has_are_no_answer(
        self, node: Node, chain: EvmChain, count: int
    ) -> None:
        node.says(eth_getBlockReceipts=[RECEIPT] * count)
        with pytest.raises(ChainUnavailable) as error:
            await chain.receipts(HEAD)
        assert error.value.compared == {"asked": 1, "got": count}

    async def test_of_a_transaction_that_the_block_does_not_list_is_no_answer(
        self, node: Node, chain: EvmChain
    ) -> None:
        node.says(eth_getBlockByNumber=BLOCK, eth_getBlockReceipts=[RECEIPT | {"transactionHash": "0x" + "04" * 32}])
        head = await chain.head()
        with pytest.raises(ChainUnavailable, match="not of the transactions that it lists"):
            await chain.receipts(head)
        assert len(await chain.receipts(replace(head, transactions_listed=Hash32(b"")))) == 1

    async def test_the_calldata_of_a_transaction(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getTransactionByHash={"hash": HASH, "input": "0xbeef"})
        assert await chain.transaction_data(Hash32(HEAD.hash)) == b"\xbe\xef"

    async def test_another_transaction_than_asked_for_is_no_answer(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getTransactionByHash={"hash": PARENT, "input": "0xbeef"})
        with pytest.raises(ChainUnavailable, match="asked for transaction"):
            await chain.transaction_data(Hash32(HEAD.hash))

    async def test_receipts_of_another_block_are_no_answer(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getBlockReceipts=[RECEIPT | {"blockHash": PARENT}])
        with pytest.raises(ChainUnavailable) as error:
            await chain.receipts(HEAD)
        assert error.value.compared == {"asked": HEAD.hash, "got": b"\x02" * 32}


class TestState:
    async def test_chain_id(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_chainId="0x7a69")
        assert await chain.chain_id() == 31337

    async def test_a_call_at_the_head(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_call="0xdead")
        assert await chain.call(A, b"\x01") == b"\xde\xad"
        assert node.asked == [("eth_call", [{"to": TEXT_A, "data": "0x01"}, "latest"])]

    async def test_a_call_with_everything(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_call="0x")
        assert await chain.call(A, b"", sender=B, gas=Gas(9), block=HEAD.hash) == b""
        call = {"to": TEXT_A, "data": "0x", "from": TEXT_B, "gas": "0x9"}
        assert node.asked == [("eth_call", [call, {"blockHash": HASH}])]

    async def test_a_call_that_reverts(self, node: Node, chain: EvmChain) -> None:
        node.refuses(3, "execution reverted", "0xdead")
        with pytest.raises(CallReverted) as reverted:
            await chain.call(A, b"")
        assert reverted.value.data == b"\xde\xad"

    async def test_the_rest(self, node: Node, chain: EvmChain) -> None:
        node.says(
            eth_getCode="0x6001", eth_getStorageAt="0x07", eth_getBalance="0xa", eth_getTransactionCount="0x5",
            eth_estimateGas="0x5208", eth_maxPriorityFeePerGas="0x3",
        )  # fmt: skip
        slot = Hash32(b"\x09" * 32)
        assert await chain.code(A) == b"\x60\x01"
        assert await chain.storage(A, slot) == b"\x07".rjust(32, b"\0")
        assert await chain.balance(A) == 10
        assert await chain.transaction_count(A) == 5
        assert await chain.transaction_count(A, pending=True) == 5
        assert await chain.estimate_gas(A, b"", sender=B) == 21_000
        assert await chain.max_priority_fee_per_gas() == 3
        tags = [params[1] for method, params in node.asked if method == "eth_getTransactionCount"]
        assert tags == ["latest", "pending"]

    async def test_a_count_that_no_account_can_reach_is_no_answer(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getTransactionCount="0xffffffffffffffff")
        assert await chain.transaction_count(A) == 2**64 - 1
        node.says(eth_getTransactionCount="0x10000000000000000")
        with pytest.raises(ChainUnavailable, match="cannot have used"):
            await chain.transaction_count(A)

    async def test_at_one_block(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getCode="0x", eth_getTransactionCount="0x5")
        await chain.code(A, block=HEAD.hash)
        await chain.transaction_count(A, block=HEAD.hash)
        assert [params[1] for _, params in node.asked] == [{"blockHash": "0x" + HEAD.hash.hex()}] * 2

    async def test_gas_of_a_transaction_with_authorizations(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_estimateGas="0xea60")
        signature = (1).to_bytes(32, "big") + (2).to_bytes(32, "big") + b"\x1c"
        signed = SignedAuthorization(Authorization(chain_id=ChainId(5), delegate=B, nonce=7), signature)
        assert await chain.estimate_gas(A, b"", sender=B, authorizations=[signed]) == 60_000
        ((_, (call,)),) = node.asked
        assert call["authorizationList"] == [
            {"chainId": "0x5", "address": "0x" + B.hex(), "nonce": "0x7", "yParity": "0x1", "r": "0x1", "s": "0x2"}
        ]


class TestSend:
    async def test_default(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_sendRawTransaction=HASH)
        await chain.send_raw_transaction(b"\x02\xff")
        assert node.asked == [("eth_sendRawTransaction", ["0x02ff"])]

    @pytest.mark.parametrize(
        "message",
        ["already known", "ALREADY_EXISTS: already known", "known transaction: 0x12", "transaction already imported"],
    )
    async def test_what_the_node_has_already_is_taken(self, node: Node, chain: EvmChain, message: str) -> None:
        node.refuses(-32000, message)
        await chain.send_raw_transaction(b"\x02")

    @pytest.mark.parametrize(
        ("message", "kind"),
        [
            ("replacement transaction underpriced", FeeTooLow),
            ("transaction underpriced: gas tip cap 0, minimum needed 1", FeeTooLow),
            ("max fee per gas less than block base fee: address 0x1", FeeTooLow),
            ("nonce too low: next nonce 5, tx nonce 4", NonceSpent),
            ("insufficient funds for gas * price + value", SubmitError),
            ("intrinsic gas too low", SubmitError),
            ("execution reverted", SubmitError),
        ],
    )
    async def test_refusals(self, node: Node, chain: EvmChain, message: str, kind: type[SubmitError]) -> None:
        node.refuses(-32000, message)
        with pytest.raises(SubmitError, match=message.split(":", maxsplit=1)[0].split("*", maxsplit=1)[0]) as refused:
            await chain.send_raw_transaction(b"\x02")
        assert type(refused.value) is kind

    @pytest.mark.parametrize("status", [429, 500])
    async def test_a_lost_answer_may_be_in(self, node: Node, chain: EvmChain, status: int) -> None:
        node.answer = lambda request: web.Response(status=status)
        with pytest.raises(SubmitterUnavailable) as lost:
            await chain.send_raw_transaction(b"\x02")
        assert lost.value.outcome is Outcome.UNKNOWN

    async def test_null_is_a_lost_answer(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_sendRawTransaction=None)
        with pytest.raises(SubmitterUnavailable):
            await chain.send_raw_transaction(b"\x02")


class TestLogs:
    ASKED = ((Hash32(b"\x04" * 32), Hash32(b"\x05" * 32)), (Hash32(b"\x06" * 32),))

    def logs(self, *numbers: int, second: str = "06") -> list[dict[str, Any]]:
        topics = ["0x" + "04" * 32, "0x" + second * 32, "0x" + "07" * 32]
        return [{"address": TEXT_B, "topics": topics, "data": "0x", "logIndex": hex(each)} for each in numbers]

    async def test_default(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getLogs=self.logs(3))
        (log,) = await chain.logs(self.ASKED, BlockNumber(5), 9)
        assert (log.address, log.topics[1], log.index) == (B, b"\x06" * 32, 3)
        ((_, (asked,)),) = node.asked
        wanted = [["0x" + "04" * 32, "0x" + "05" * 32], ["0x" + "06" * 32]]
        assert asked == {"fromBlock": "0x5", "toBlock": "latest", "topics": wanted}

    async def test_the_latest_of_many(self, node: Node, chain: EvmChain) -> None:
        node.says(eth_getLogs=self.logs(1, 2, 3))
        assert [log.index for log in await chain.logs(self.ASKED, BlockNumber(5), 2)] == [2, 3]

    @pytest.mark.parametrize("topics", [["0x" + "04" * 32], ["0x" + "04" * 32, "0x" + "09" * 32]])
    async def test_what_was_not_asked_for_is_no_answer(self, node: Node, chain: EvmChain, topics: list[str]) -> None:
        node.says(eth_getLogs=[{"address": TEXT_B, "topics": topics, "data": "0x", "logIndex": "0x0"}])
        with pytest.raises(ChainUnavailable, match="other topics"):
            await chain.logs(self.ASKED, BlockNumber(5), 9)
