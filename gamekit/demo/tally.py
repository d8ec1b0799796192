"""What the players' side counts, and the log that the audit reads."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from gamekit.eth.hashing import to_hex
from gamekit.protocol.events import Finalized, Refused, Reorged, Settled
from gamekit.protocol.messages import Accepted


class Asked(Struct, gc=False):
    """One action that a client sent."""

    function: str
    arguments: tuple[int, ...]
    at: float
    """Monotonic seconds."""
    number: int = 0
    """Its place among what this player asked for, from 1."""


class Tally(Struct):
    """Counts of the whole crowd."""

    offered: int = 0
    accepted: int = 0
    settled_ok: int = 0
    settled_reverted: int = 0
    refused: int = 0
    """Accepted, and then refused before it was signed."""
    turned_away: int = 0
    """Never accepted: the client was told at once."""
    reorged: int = 0
    operations: int = 0
    """Settled events: one each."""
    final: int = 0
    reconnects: int = 0
    first_offer: float = 0.0
    last_offer: float = 0.0
    first_accept: float = 0.0
    last_settle: float = 0.0
    reasons: dict[str, int] = {}
    """Why actions were turned away or refused, by code."""

    @property
    def open(self) -> int:
        """Accepted actions without an outcome that stands."""
        return self.accepted + self.reorged - self.settled_ok - self.settled_reverted - self.refused


class ClientLog:
    """One JSON object a line; on disk at every `sync`, and once more at the end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._encode = msgspec.json.Encoder().encode

    def write(self, **row: object) -> None:
        """Add a line."""
        self._file.write(self._encode(row) + b"\n")

    def sync(self) -> None:
        """Make what was written durable."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Make everything durable, and close; doing it twice changes nothing."""
        if not self._file.closed:
            self.sync()
            self._file.close()


class Record:
    """What one player was told: counts it, times it, logs it."""

    def __init__(self, tally: Tally, log: ClientLog, accept_ms: list[float], settle_ms: list[float]) -> None:
        self._tally = tally
        self._log = log
        self._accept_ms = accept_ms
        self._settle_ms = settle_ms
        self.account = ""
        self.permission_id = ""
        self.asked: dict[str, Asked] = {}
        """By key, until there is an outcome."""
        self._accepted: set[str] = set()

    def ask(self, key: str, asked: Asked) -> None:
        """Note that an action leaves."""
        self.asked[key] = asked
        self._tally.offered += 1
        self._tally.first_offer = self._tally.first_offer or asked.at
        self._tally.last_offer = asked.at

    def accepted(self, frame: Accepted) -> None:
        """The first acknowledgement. One that comes again, after a reconnect, counts once."""
        now = time.monotonic()
        self._tally.first_accept = self._tally.first_accept or now
        epoch = bytes(frame.journal_epoch).hex()
        for action in frame.actions:
            asked = self.asked.get(action.key)
            if asked is None or action.key in self._accepted:
                continue
            self._accepted.add(action.key)
            self._tally.accepted += 1
            self._accept_ms.append((now - asked.at) * 1000)
            self._log.write(
                event="accepted",
                account=self.account,
                permission_id=self.permission_id,
                key=action.key,
                action_id=action.action_id,
                journal_epoch=epoch,
                function=asked.function,
                arguments=asked.arguments,
                number=asked.number,
            )

    def settled(self, frame: Settled) -> None:
        """The second acknowledgement."""
        now = time.monotonic()
        self._tally.operations += 1
        self._tally.last_settle = now
        for action in frame.actions:
            self._tally.settled_ok += action.ok
            self._tally.settled_reverted += not action.ok
            asked = self.asked.get(action.key)
            if asked is not None:
                self._settle_ms.append((now - asked.at) * 1000)
            self._log.write(
                event="settled",
                permission_id=self.permission_id,
                key=action.key,
                ok=action.ok,
                user_op_hash=to_hex(frame.user_op_hash),
                block_number=frame.block_number,
            )

    def refused(self, frame: Refused) -> None:
        """Turned away at once (an answer), or refused later (an event)."""
        for action in frame.actions:
            self._tally.reasons[action.code] = self._tally.reasons.get(action.code, 0) + 1
            if action.key in self._accepted:
                self._tally.refused += 1
                self._log.write(event="refused", permission_id=self.permission_id, key=action.key, code=action.code)
            else:
                self._tally.turned_away += 1

    def reorged(self, frame: Reorged) -> None:
        """Outcomes that the chain took back."""
        self._tally.reorged += len(frame.keys)
        for key in frame.keys:
            self._log.write(event="reorged", permission_id=self.permission_id, key=key)

    def final(self, frame: Finalized) -> None:
        """Outcomes that stay."""
        self._tally.final += len(frame.keys)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which so much of all lies; 0 for none.

    Args:
        values: sorted.
        share: 0 to 1.
    """
    return round(values[min(int(len(values) * share), len(values) - 1)], 1) if values else 0.0
