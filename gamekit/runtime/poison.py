"""Looks ahead where a batch has failed as a whole before: a call that eats the gas must not take others with it.

Calls of a batch revert one by one, so an ordinary revert harms nobody else. What harms is a call that leaves the batch
no gas: then all of it is undone. A lane where that happened is watched: each of its operations is asked about before it
is signed, one that would fail is halved, and the call that fails alone is remembered, to travel alone if it comes
again. So one such call costs a batch of n at most log2(n) + 1 further operations.
"""

import logging

from gamekit.core.lane import Lane
from gamekit.core.tracking import LiveSlot, Operation
from gamekit.errors import CallReverted, ChainUnavailable
from gamekit.ports import ChainReader
from gamekit.runtime.state import State

log = logging.getLogger(__name__)

WATCHED_OPERATIONS = 8
"""A lane is watched until so many of its operations in a row would have succeeded."""

REMEMBERED_MAX = 64
"""Calls that a lane remembers to have failed alone."""

ALWAYS = "always"
NEVER = "never"


class Poison:
    """Decides whether to ask, asks, and remembers."""

    def __init__(self, state: State, chain: ChainReader) -> None:
        self._state = state
        self._chain = chain

    def is_due(self, lane: Lane) -> bool:
        """Whether the lane's next operation is asked about before it is signed."""
        mode = self._state.config.batch.simulate
        return mode == ALWAYS or (mode != NEVER and lane.watched > 0)

    async def is_harmless(self, lane: Lane, live: LiveSlot, operation: Operation) -> bool:
        """Whether the operation may be signed as it is: it would succeed, or it is one call or one group by itself.

        A node that does not answer delays nothing: what the chain makes of the operation is told as ever.
        """
        session = lane.session
        try:
            await self._chain.call(
                session.account, live.call_data, sender=session.entry_point, gas=operation.call_gas_limit
            )
        except CallReverted as error:
            lane.watched = WATCHED_OPERATIONS
            if operation.try_mode and len(live.actions) > 1:
                return False
            self.remember(lane, live, error.data.hex()[:64] or "no gas left, or no reason given")
        except ChainUnavailable as error:
            log.info("operation %s could not be asked about: %s", operation.user_op_hash.hex(), error)
        else:
            lane.watched = max(0, lane.watched - 1)
        return True

    def remember(self, lane: Lane, live: LiveSlot, reason: str) -> None:
        """Let a call that failed alone travel alone; the oldest of too many is forgotten."""
        action = live.actions[0]
        call = action.target, action.data
        if len(live.actions) > 1 or call in lane.poisons:
            return
        while len(lane.poisons) >= REMEMBERED_MAX:
            del lane.poisons[next(iter(lane.poisons))]
        lane.poisons[call] = reason
        log.warning(
            "0x%s of %s (%s) fails on %s: %s", action.data[:4].hex(), action.target.hex(), action.function, lane, reason
        )
