"""Reads blocks, receipts and state from a node, and hands it signed transactions.

Implements `ports.ChainReader` and `ports.TransactionSender`. Every hash is checked against what was asked for, a
block against its hash, and its receipts against its header: a node that answers otherwise has not answered.
"""

from collections.abc import Sequence

from gamekit.chain.blocks import (
    RpcBlock,
    RpcLog,
    RpcReceipt,
    RpcTransaction,
    check_block,
    check_receipts,
    list_hash,
    read_head,
    read_log,
    read_receipt,
)
from gamekit.chain.rpc import JsonRpc, RpcRefused, from_data, from_quantity, to_data, to_quantity
from gamekit.config import ChainConfig
from gamekit.errors import CallReverted, ChainUnavailable, FeeTooLow, SubmitError, SubmitterUnavailable
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.signature import parse_signature
from gamekit.eth.transaction import SignedAuthorization
from gamekit.units import UINT64_MAX, Address, BlockHash, BlockNumber, ChainId, Gas, Hash32, Wei

KNOWN = ("already known", "already imported", "known transaction", "transaction already in pool")
"""Words of nodes for a transaction that they have: success."""
UNDERPRICED = ("underpriced", "fee too low", "max fee per gas less than block base fee", "fee cap less than")
SPENT = ("nonce too low", "nonce is too low")


class NonceSpent(SubmitError):
    """The relayer's nonce is consumed already: by this transaction, a replacement, or by somebody else."""

    code = "nonce_spent"


class EvmChain:
    """One chain behind one trusted node."""

    def __init__(self, rpc: JsonRpc, config: ChainConfig) -> None:
        self._rpc = rpc
        self._config = config

    async def chain_id(self) -> ChainId:
        """The node's chain id."""
        return ChainId(from_quantity(await self._rpc.request(str, "eth_chainId")))

    async def head(self) -> Head:
        """The latest block's head."""
        return self._head(await self._rpc.request(RpcBlock, "eth_getBlockByNumber", "latest", False))

    async def block(self, number: BlockNumber) -> Head | None:
        """The canonical block at this height, None above the head."""
        block = await self._rpc.request_optional(RpcBlock, "eth_getBlockByNumber", to_quantity(number), False)
        if block is None:
            return None
        head = self._head(block)
        if head.number != number:
            raise ChainUnavailable(f"asked for block {number}, got {head.number}", asked=number, got=head.number)
        return head

    async def finalized(self) -> Head:
        """The last final block: the node's tag, or a depth below the head, as configured for this chain."""
        if self._config.finality == "tag":
            return self._head(await self._rpc.request(RpcBlock, "eth_getBlockByNumber", "finalized", False))
        top = await self.head()
        below = await self.block(BlockNumber(max(0, top.number - self._config.final_depth)))
        if below is None:
            raise ChainUnavailable(f"the node has no block {top.number - self._config.final_depth} below its head")
        return below

    def _head(self, block: RpcBlock) -> Head:
        if self._config.blocks_checked:
            check_block(block)
        return read_head(block)

    async def receipts(self, block: Head) -> tuple[TransactionReceipt, ...]:
        """All receipts of exactly this block."""
        found = await self._rpc.request_optional(list[RpcReceipt], "eth_getBlockReceipts", to_data(block.hash))
        if found is None:
            raise ChainUnavailable(f"the node no longer has block {block.number} ({block.hash.hex()})")
        receipts = tuple(map(read_receipt, found))
        if block.transaction_count not in (None, len(receipts)):
            text = f"block {block.number} has {block.transaction_count} transactions, and got {len(receipts)} receipts"
            raise ChainUnavailable(text, asked=block.transaction_count, got=len(receipts))
        listed = list_hash(receipt.transaction_hash for receipt in receipts)
        if block.transactions_listed not in (b"", listed):
            text = f"the receipts that came for block {block.number} are not of the transactions that it lists"
            raise ChainUnavailable(text, asked=block.transactions_listed, got=listed)
        for receipt in receipts:
            if receipt.block_hash != block.hash:
                text = f"a receipt of block {receipt.block_hash.hex()} came for block {block.hash.hex()}"
                raise ChainUnavailable(text, asked=block.hash, got=receipt.block_hash)
        if self._config.blocks_checked:
            check_receipts(block, found, receipts)
        return receipts

    async def transaction_data(self, transaction_hash: Hash32) -> bytes:
        """The calldata of a mined transaction."""
        found = await self._rpc.request(RpcTransaction, "eth_getTransactionByHash", to_data(transaction_hash))
        if from_data(found.hash, 32) != transaction_hash:
            text = f"asked for transaction {transaction_hash.hex()}, got {found.hash}"
            raise ChainUnavailable(text, asked=transaction_hash, got=found.hash)
        return from_data(found.input)

    async def call(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address | None = None,
        gas: Gas | None = None,
        block: BlockHash | None = None,
    ) -> bytes:
        """Call without effect, at the head or at one block; raises CallReverted with the revert data."""
        call = {"to": to_data(to), "data": to_data(data)}
        if sender is not None:
            call["from"] = to_data(sender)
        if gas is not None:
            call["gas"] = to_quantity(gas)
        return from_data(await self._rpc.request(str, "eth_call", call, _at(block)))

    async def logs(self, topics: Sequence[Sequence[Hash32]], first: BlockNumber, most: int) -> tuple[Log, ...]:
        """Logs of any contract from a block to the head whose topics are, place by place, among these; the latest."""
        asked = {"fromBlock": to_quantity(first), "toBlock": "latest", "topics": [[*map(to_data, at)] for at in topics]}
        found = tuple(map(read_log, await self._rpc.request(list[RpcLog], "eth_getLogs", asked)))
        for log in found:
            # A node that filters otherwise than it was asked has not answered.
            if len(log.topics) < len(topics) or any(
                topic not in at for topic, at in zip(log.topics, topics, strict=False)
            ):
                raise ChainUnavailable(f"a log of {log.address.hex()} has other topics than asked for", got=log.topics)
        return found[-most:]

    async def code(self, address: Address, *, block: BlockHash | None = None) -> bytes:
        """The code at an address, at the head or at one block."""
        return from_data(await self._rpc.request(str, "eth_getCode", to_data(address), _at(block)))

    async def storage(self, address: Address, slot: Hash32) -> Hash32:
        """One storage word."""
        word = from_data(await self._rpc.request(str, "eth_getStorageAt", to_data(address), to_data(slot), "latest"))
        return Hash32(word.rjust(32, b"\0"))

    async def balance(self, address: Address) -> Wei:
        """Native balance in wei."""
        return Wei(from_quantity(await self._rpc.request(str, "eth_getBalance", to_data(address), "latest")))

    async def transaction_count(
        self, address: Address, *, pending: bool = False, block: BlockHash | None = None
    ) -> int:
        """The next nonce of an externally owned account: at the head, with what is `pending`, or at one block.

        Raises: ChainUnavailable for more than an account can use. Source: EIP-2681.
        """
        at = "pending" if pending else _at(block)
        count = from_quantity(await self._rpc.request(str, "eth_getTransactionCount", to_data(address), at))
        if count > UINT64_MAX:
            raise ChainUnavailable(f"{address.hex()} cannot have used {count} nonces", got=count)
        return count

    async def estimate_gas(
        self, to: Address, data: bytes, *, sender: Address, authorizations: Sequence[SignedAuthorization] = ()
    ) -> Gas:
        """Gas that a transaction would need, and its authorizations; raises CallReverted with the revert data."""
        call: dict[str, object] = {"to": to_data(to), "data": to_data(data), "from": to_data(sender)}
        if authorizations:
            call["authorizationList"] = [_authorization(each) for each in authorizations]
        return Gas(from_quantity(await self._rpc.request(str, "eth_estimateGas", call)))

    async def max_priority_fee_per_gas(self) -> Wei:
        """What the node suggests as a tip, in wei per gas."""
        return Wei(from_quantity(await self._rpc.request(str, "eth_maxPriorityFeePerGas")))

    async def send_raw_transaction(self, raw: bytes) -> None:
        """Send a signed transaction; a node that has it already has taken it.

        Raises: FeeTooLow; NonceSpent; SubmitError when refused for another reason; SubmitterUnavailable when there is
            no answer, in which case it may be in.
        """
        try:
            await self._rpc.request(str, "eth_sendRawTransaction", to_data(raw))
        except CallReverted as error:
            raise SubmitError(f"the node refused the transaction: {error}") from error
        except RpcRefused as error:
            _translate(error)
        except ChainUnavailable as error:
            raise SubmitterUnavailable(f"no answer to eth_sendRawTransaction: {error}") from error


def _at(block: BlockHash | None) -> object:
    """Which state is read: the head's, or that of exactly this block. Source: EIP-1898."""
    return "latest" if block is None else {"blockHash": to_data(block)}


def _authorization(signed: SignedAuthorization) -> dict[str, str]:
    """Write an authorization as nodes take it. Source: execution-apis, `AuthorizationTuple`."""
    found, parsed = signed.authorization, parse_signature(signed.signature)
    return {
        "chainId": to_quantity(found.chain_id),
        "address": to_data(found.delegate),
        "nonce": to_quantity(found.nonce),
        "yParity": to_quantity(parsed.recovery_id),
        "r": to_quantity(parsed.r),
        "s": to_quantity(parsed.s),
    }


def _translate(error: RpcRefused) -> None:
    words = error.error.message.lower()
    if any(word in words for word in KNOWN):
        return
    if any(word in words for word in UNDERPRICED):
        raise FeeTooLow(f"the pool refused the fee: {error.error.message}") from error
    if any(word in words for word in SPENT):
        raise NonceSpent(f"the nonce is consumed: {error.error.message}") from error
    raise SubmitError(f"the node refused the transaction: {error.error.message}") from error
