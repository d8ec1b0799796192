"""When the chain replaces a block that it had called final: finds what still stands, and loads what must be taken back.

By every promise of the chain this never happens, and when it does, nothing that we know may be true. So signing stops
until an operator resumes it; what was told is taken back from the last block that journal and chain share, and from
there every block is read again. The slots are live again with all of their variants, so the entry point's nonces keep
each action from running twice.
"""

import logging
from collections.abc import Mapping, Sequence

from gamekit.core.pausing import FINALITY
from gamekit.core.session import Session
from gamekit.core.tracking import FINAL, Operation
from gamekit.errors import ChainMismatch
from gamekit.eth.block import Head
from gamekit.ports import ChainReader, Store
from gamekit.runtime.known_blocks import known_blocks, placeholder
from gamekit.runtime.notify import Notify
from gamekit.runtime.observe import BY_ITSELF, Observe
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.resolve import Resolve
from gamekit.runtime.state import State
from gamekit.runtime.withdraw import Withdraw
from gamekit.units import BlockHash, BlockNumber

log = logging.getLogger(__name__)


class Rewind:
    """Goes back below the last final block."""

    def __init__(
        self,
        state: State,
        store: Store,
        chain: ChainReader,
        resolve: Resolve,
        withdraw: Withdraw,
        pools: Sequence[Relayers],
        observe: Observe,
        notify: Notify,
    ) -> None:
        self._state = state
        self._store = store
        self._chain = chain
        self._resolve = resolve
        self._withdraw = withdraw
        self._pools = pools
        self._observe = observe
        self._notify = notify

    async def below(self, number: BlockNumber) -> tuple[Head, list[Head]]:
        """Stop signing, and load what the journal says of blocks that the chain has replaced.

        Args:
            number: of the final block that is another one now.

        Returns: the last block that journal and chain share, and the journal's blocks above it, highest first.

        Raises: ChainMismatch when they share none that the journal remembers: it belongs to another chain.
        """
        known = await known_blocks(self._store)
        shared = await self._last_shared(known, number)
        gone = [placeholder(each, known[each]) for each in sorted(known, reverse=True) if each > shared.number]
        text = f"the chain replaced final block {number}; the last block that still stands is {shared.number}"
        log.critical("%s: nothing is signed until an operator resumes finality", text)
        if self._state.history.head is None:
            self._state.history.restart(shared)
        await self._observe.pause(FINALITY, text, BY_ITSELF)
        await self._notify.alarm("final_block_replaced", text)
        for head in gone:
            for session in await self._store.select(Session, revoked_at_block=head.number):
                await self._resolve.load_session(session)
            for operation in await self._store.select(Operation, block_number=head.number):
                if operation.state == FINAL:
                    await self._resolve.load_final(operation)
        for pool in self._pools:
            await pool.load_final(shared)
        await self._withdraw.load_final(shared)
        return shared, gone

    async def _last_shared(self, known: Mapping[BlockNumber, BlockHash], number: BlockNumber) -> Head:
        """Search by halves: what the chain has of ours it has from the beginning up to one block."""
        numbers = sorted(each for each in known if each < number)
        shared: Head | None = None
        first, last = 0, len(numbers)
        while first < last:
            middle = (first + last) // 2
            found = await self._chain.block(numbers[middle])
            if found is not None and found.hash == known[numbers[middle]]:
                shared, first = found, middle + 1
            else:
                last = middle
        if shared is None:
            text = f"no block of the journal up to {number} is in the chain: they do not belong together"
            raise ChainMismatch(text, expected=known.get(number, b""), found=b"")
        return shared
