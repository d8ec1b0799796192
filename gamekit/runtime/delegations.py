"""Asks owners to let their own addresses delegate, checks what they signed, and notices when it has become void.

An authorization travels in the transaction that grants, durable with it; sent again after a reorg it is passed over if
the address delegates already. Its nonce is the owner's transaction count, so any other transaction or authorization of
the owner's makes it void. That is told once no reorg can undo it.
"""

import asyncio

from gamekit.accounts import stack
from gamekit.core.delegation import (
    DelegationRequest,
    authorization_fault,
    authorization_spent,
    can_delegate,
    delegate_of,
)
from gamekit.core.session import Session
from gamekit.core.setup import ChainSetup, StackSetup
from gamekit.errors import AuthorizationSpent, ChainUnavailable, ConfigInvalid
from gamekit.eth.block import Head
from gamekit.eth.hashing import checksum_address
from gamekit.eth.transaction import Authorization, SignedAuthorization
from gamekit.ports import ChainReader
from gamekit.runtime.state import State
from gamekit.units import Address, BlockHash, BlockNumber, PermissionId


class Delegations:
    """Follows the authorizations of accounts that are people's own addresses; nothing to do for any other."""

    def __init__(self, state: State, chain: ChainReader, setup: ChainSetup) -> None:
        self._state = state
        self._chain = chain
        self._setup = setup
        self._spent: dict[PermissionId, BlockNumber] = {}
        """Sessions whose authorization is void, and the canonical block at which that was first seen."""

    async def wanted(self, owner: Address, where: StackSetup) -> DelegationRequest | None:
        """Say what the owner must authorize; None where nothing is missing.

        Raises: ConfigInvalid where the address is a contract, which no key speaks for; ChainUnavailable.
        """
        delegate = stack(where.name).deployment(owner, 0, where.contracts).delegate
        if delegate is None:
            return None
        code, nonce = await self._look(owner)
        if not can_delegate(code):
            text = f"{checksum_address(owner)} is a contract and cannot delegate, as an account of {where.name} must"
            raise ConfigInvalid(text, owner=owner, stack=where.name)
        found = delegate_of(code)
        if found == delegate:
            return None
        wanted = Authorization(chain_id=self._setup.chain_id, delegate=delegate, nonce=nonce)
        return DelegationRequest(wanted, replaces=found)

    async def accept(
        self, session: Session, owner: Address, signed: SignedAuthorization | None
    ) -> SignedAuthorization | None:
        """Check what the owner signed; gives what must travel with the grant.

        Where the address delegates already, the owner need not have signed; what was signed travels all the same, for
        the transaction by which the address delegates may be lost in a reorg.

        Raises: AuthorizationInvalid, AuthorizationSpent; ConfigInvalid; ChainUnavailable.
        """
        where = self._setup.stack(session.stack, session.entry_point_version)
        delegate = stack(where.name).deployment(owner, 0, where.contracts).delegate
        if delegate is None:
            return None
        asked = await self.wanted(owner, where)
        if asked is not None:
            wanted = asked.authorization
        elif signed is not None:
            nonce = signed.authorization.nonce
            wanted = Authorization(chain_id=self._setup.chain_id, delegate=delegate, nonce=nonce)
        else:
            return None
        fault = authorization_fault(signed, wanted, owner)
        if fault is not None:
            raise fault
        return signed

    async def spent(self, session: Session) -> AuthorizationSpent | None:
        """Say whether a grant's authorization is void for good: something else has consumed its nonce in a final block.

        Asked with each head; None while it is not so, not final, or the node does not say.
        """
        if session.authorization is None:
            return None
        head, found = self._state.head, session.authorization.authorization
        try:
            code, nonce = await self._look(session.account, head.hash)
        except ChainUnavailable:
            return None
        if nonce <= found.nonce or delegate_of(code) == found.delegate:
            self._spent.pop(session.permission_id, None)
            return None
        first = self._spent.setdefault(session.permission_id, head.number)
        final = self._state.final
        if final is None or final.number < first:
            return None
        del self._spent[session.permission_id]
        return authorization_spent(found, nonce)

    def on_orphaned(self, head: Head) -> None:
        """What was first seen in a block that is canonical no more must be seen again."""
        self._spent = {key: number for key, number in self._spent.items() if number != head.number}

    async def _look(self, owner: Address, block: BlockHash | None = None) -> tuple[bytes, int]:
        """The address's code and its transaction count."""
        return await asyncio.gather(
            self._chain.code(owner, block=block), self._chain.transaction_count(owner, block=block)
        )
