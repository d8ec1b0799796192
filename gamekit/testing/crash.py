"""Where a process can die: at the boundary of every effect, named, and without any hook in the code that dies.

A commit is named by what it writes, so that a campaign can say "between the signature's row and its sending". The
names are all here: a campaign that claims every one of them can be held to it.
"""

from collections.abc import Callable, Sequence

from gamekit.core.action import ACCEPTED, REFUSED, Action
from gamekit.core.journal import Event, Row
from gamekit.core.pausing import GameCode, Pause
from gamekit.core.relay import OPEN as OPEN_TRANSACTION
from gamekit.core.relay import REVOKE as REVOKE_TRANSACTION
from gamekit.core.relay import SENT as TRANSACTION_SENT
from gamekit.core.relay import RelayTransaction
from gamekit.core.session import Session
from gamekit.core.tracking import DEAD, FINAL, FOREIGN, INCLUDED, LIVE, PLANNED, SENT, SIGNED, Operation, Slot


class Crash(BaseException):
    """The process dies here. No code of the process may catch it."""


COMMITS = (
    "accepted",
    "planned",
    "signed",
    "sent",
    "replaced",
    "included",
    "settled",
    "final",
    "taken back",
    "freed",
    "refused",
    "rejected",
    "proposed",
    "granting",
    "grant sent",
    "opened",
    "revoking",
    "revocation sent",
    "revoked",
    "ended",
    "transaction moved",
    "block",
    "alarm",
    "code",
    "paused",
    "nothing",
)
"""What a commit writes, by the most telling of its rows."""

EFFECTS = ("sign session", "sign relayer", "send", "tell")
POINTS = (
    *(f"{when} commit {what}" for what in COMMITS for when in ("before", "after")),
    *(f"{when} {what}" for what in EFFECTS for when in ("before", "after")),
    "disk write",
    "disk sync",
)
"""Every named crash point."""


DISK_EVERY = 10
"""One commit is some ten writes: only every so many of them count, or nearly all deaths would be there."""


def commit_kind(rows: Sequence[Row]) -> str:
    """Name a commit by what it writes."""
    for row in rows:
        kind = _kind(row, rows)
        if kind:
            return kind
    return _quiet_kind(rows)


def _kind(row: Row, rows: Sequence[Row]) -> str:
    """Name a commit by one of its rows, if that row says what the commit is about."""
    if isinstance(row, Action):
        return "accepted" if row.state == ACCEPTED and isinstance(rows[-1], Action) else _outcome(row)
    if isinstance(row, Operation):
        return _operation_kind(row, rows)
    if isinstance(row, Slot):
        return "planned" if row.state == LIVE and isinstance(rows[-1], Operation) and rows[-1].state == PLANNED else ""
    if isinstance(row, RelayTransaction) and row.state == TRANSACTION_SENT and not row.mined_at_block:
        if isinstance(rows[-1], Operation) or row.attempt:
            return "replaced" if row.attempt else "sent"
        return {OPEN_TRANSACTION: "grant sent", REVOKE_TRANSACTION: "revocation sent"}.get(row.kind, "")
    if isinstance(row, Session):
        return {"open": "opened", "expired": "ended", "lapsed": "ended"}.get(row.state, row.state)
    return ""


def _outcome(row: Action) -> str:
    if row.state == REFUSED:
        return "refused"
    return "taken back" if row.state == ACCEPTED else "settled"


def _operation_kind(row: Operation, rows: Sequence[Row]) -> str:
    if row.state == INCLUDED:
        return "settled" if any(isinstance(each, Action) for each in rows) else "included"
    if row.state in (SIGNED, SENT) and row.rejected:
        return "rejected"
    if row.state == SENT:
        return "taken back"
    states = {SIGNED: "signed", FINAL: "final", DEAD: "freed", FOREIGN: "freed"}
    return states.get(row.state, "")


def _quiet_kind(rows: Sequence[Row]) -> str:
    """Name a commit in which no row stands out."""
    if any(isinstance(row, RelayTransaction) for row in rows):
        return "transaction moved"
    if any(isinstance(row, GameCode) for row in rows):
        return "code"
    if any(isinstance(row, Pause) for row in rows):
        return "paused"
    if any(isinstance(row, Event) for row in rows):
        return "alarm"
    return "block" if rows else "nothing"


class Points:
    """Counts the points that a world reaches, and says when one of them kills."""

    def __init__(self) -> None:
        self.reached: dict[str, int] = {}
        self.struck: dict[str, int] = {}
        self.total = 0
        self.hold: Callable[[], bool] = lambda: False
        """Asked when an unnamed strike is due: whether to wait for the next point."""
        self._at = -1
        self._names: list[tuple[str, int]] = []

    def after(self, count: int) -> None:
        """Strike at the point that is reached after so many others, whatever its name."""
        self._at = self.total + count

    def at(self, name: str, times: int = 1) -> None:
        """Strike when this point is reached for the n-th time from now; several may be asked for, one after another."""
        self._names.append((name, times))

    def calm(self) -> None:
        """Strike no more."""
        self._at = -1
        self._names.clear()

    def is_armed(self) -> bool:
        """Whether a strike is still to come."""
        return self._at >= 0 or bool(self._names)

    def strikes(self, name: str) -> bool:
        """Count that a point is reached, and say whether the process dies at it."""
        count = self.reached[name] = self.reached.get(name, 0) + 1
        counts = not name.startswith("disk") or not count % DISK_EVERY
        hit = counts and 0 <= self._at <= self.total
        self.total += counts
        if hit and self.hold():
            hit = False
        if self._names and self._names[0][0] == name:
            left = self._names[0][1] - 1
            hit = hit or not left
            self._names[:1] = [(name, left)] if left else []
        if hit:
            self._at = -1
            self.struck[name] = self.struck.get(name, 0) + 1
        return hit
