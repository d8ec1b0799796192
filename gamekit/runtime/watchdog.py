"""Notices an event loop that stands still: while it does, no ack is given, no head is read and no socket is served."""

import asyncio
import logging

from gamekit.core.histogram import Histogram
from gamekit.ports import Clock

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often it looks, in seconds."""
STALL_S = 0.25
"""A turn of the loop that comes so much too late is told, in seconds: a player feels it."""


class Watchdog:
    """Measures how late the loop is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.late = Histogram()
        """How late each look was, in seconds."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            asked_at = self._clock.monotonic()
            await asyncio.sleep(LOOK_S)
            self.look(self._clock.monotonic() - asked_at - LOOK_S)

    def look(self, late_s: float) -> None:
        """Count one look, and tell of a stall."""
        self.late.add(max(0.0, late_s))
        if late_s > STALL_S:
            log.warning("the event loop stood still for %.0f ms", late_s * 1000)
