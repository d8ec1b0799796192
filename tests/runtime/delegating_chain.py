"""The fake chain with people's own addresses, which delegate as the chain lets them.

A transaction's authorizations take effect before its call and whatever becomes of it; one that does not fit is passed
over.
"""

from collections.abc import Iterable, Sequence
from typing import cast

from gamekit.core.delegation import DELEGATION_PREFIX
from gamekit.errors import CallReverted
from gamekit.eth.block import Head, Log, TransactionReceipt
from gamekit.eth.session_opener import OPEN
from gamekit.eth.signature import recover_address
from gamekit.eth.transaction import SignedAuthorization, authorization_hash
from gamekit.testing.chain import FakeChain
from gamekit.testing.contracts import CHAIN_ID, Executed, Refusal, World
from gamekit.testing.wire import DecodedTransaction
from gamekit.units import Address, BlockHash, Gas, UnixSeconds


class DelegatingChain(FakeChain):
    """Knows which addresses have a key and no code of their own."""

    def __init__(self, *where: Address) -> None:
        super().__init__(*where)
        self.people: set[Address] = set()

    async def code(self, address: Address, *, block: BlockHash | None = None) -> bytes:
        delegate = self._world(block).delegates.get(address)
        if delegate is not None:
            return DELEGATION_PREFIX + delegate
        return b"" if address in self.people else await super().code(address)

    async def estimate_gas(self, to: Address, data: bytes, *, sender: Address, authorizations: object = ()) -> Gas:
        world = self.top.world.copy()
        _authorize(world, cast("Sequence[SignedAuthorization]", authorizations))
        try:
            self._execute(world, to, data, self.top.head.timestamp, [])
        except Refusal as refusal:
            raise CallReverted(f"execution reverted: {refusal}", refusal.data) from refusal
        return Gas(100_000)

    def _transact(
        self, world: World, tx: DecodedTransaction, head: Head, executed: list[Executed]
    ) -> TransactionReceipt:
        _authorize(world, tx.authorizations)
        return super()._transact(world, tx, head, executed)

    def _grant(self, world: World, data: bytes, at: UnixSeconds) -> list[Log]:
        account = cast("Address", OPEN.decode_call(data)[0])
        if account in self.people and account not in world.delegates:
            raise Refusal(0, "AccountNotCreated")
        return super()._grant(world, data, at)


def _authorize(world: World, authorizations: Iterable[SignedAuthorization]) -> None:
    for signed in authorizations:
        found = signed.authorization
        owner = recover_address(authorization_hash(found), signed.signature)
        if (found.chain_id, found.nonce) == (CHAIN_ID, world.counts.get(owner, 0)):
            world.counts[owner] = found.nonce + 1
            world.delegates[owner] = found.delegate
