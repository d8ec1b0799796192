"""Asks the chain again while a server starts.

A running server has another head soon, and asks again with it. A start asks some dozens of questions in a row, and one
without an answer would end it: with a node that drops every tenth, hardly any start would get through.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from gamekit.errors import ChainUnavailable
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.transaction import SignedAuthorization
from gamekit.ports import ChainReader
from gamekit.units import Address, BlockHash, BlockNumber, ChainId, Gas, Hash32, Wei

T = TypeVar("T")

STARTING: Final = 4
"""How often a question is asked while a server starts."""
PAUSE_S: Final = 0.25
"""Seconds before a question is asked again."""


class Relayed(ABC):
    """A reader in front of another: every question passes through `_ask`. Implements `ports.ChainReader`."""

    def __init__(self, chain: ChainReader) -> None:
        self._chain = chain

    @abstractmethod
    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Put a question to the chain, or do not."""

    async def chain_id(self) -> ChainId:
        """See `ports.ChainReader`."""
        return await self._ask(self._chain.chain_id)

    async def head(self) -> Head:
        """See `ports.ChainReader`."""
        return await self._ask(self._chain.head)

    async def block(self, number: BlockNumber) -> Head | None:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.block(number))

    async def finalized(self) -> Head:
        """See `ports.ChainReader`."""
        return await self._ask(self._chain.finalized)

    async def receipts(self, block: Head) -> tuple[TransactionReceipt, ...]:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.receipts(block))

    async def transaction_data(self, transaction_hash: Hash32) -> bytes:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.transaction_data(transaction_hash))

    async def call(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address | None = None,
        gas: Gas | None = None,
        block: BlockHash | None = None,
    ) -> bytes:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.call(to, data, sender=sender, gas=gas, block=block))

    async def logs(self, topics: Sequence[Sequence[Hash32]], first: BlockNumber, most: int) -> tuple[Log, ...]:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.logs(topics, first, most))

    async def code(self, address: Address, *, block: BlockHash | None = None) -> bytes:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.code(address, block=block))

    async def storage(self, address: Address, slot: Hash32) -> Hash32:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.storage(address, slot))

    async def balance(self, address: Address) -> Wei:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.balance(address))

    async def transaction_count(
        self, address: Address, *, pending: bool = False, block: BlockHash | None = None
    ) -> int:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.transaction_count(address, pending=pending, block=block))

    async def estimate_gas(
        self, to: Address, data: bytes, *, sender: Address, authorizations: Sequence[SignedAuthorization] = ()
    ) -> Gas:
        """See `ports.ChainReader`."""
        return await self._ask(lambda: self._chain.estimate_gas(to, data, sender=sender, authorizations=authorizations))

    async def max_priority_fee_per_gas(self) -> Wei:
        """See `ports.ChainReader`."""
        return await self._ask(self._chain.max_priority_fee_per_gas)


class Patient(Relayed):
    """The chain, with questions that may be asked again."""

    def __init__(self, chain: ChainReader) -> None:
        super().__init__(chain)
        self.attempts = 1
        """How often a question is asked, at most, before its want of an answer is the asker's concern."""

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        for _ in range(self.attempts - 1):
            try:
                return await question()
            except ChainUnavailable:
                await asyncio.sleep(PAUSE_S)
        return await question()
