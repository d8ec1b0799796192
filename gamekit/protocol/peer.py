"""One connection's state, without input or output: what a frame means now, and what may be sent.

::

    state            hello            other frame        welcome()        anything illegal, or close()
    NEW              AUTHENTICATING   CLOSING 4400       -                CLOSING
    AUTHENTICATING   CLOSING 4400     CLOSING 4400       AUTHENTICATED    CLOSING
    AUTHENTICATED    CLOSING 4400     stays              -                CLOSING
    CLOSING          ignored          ignored            ignored          stays

`receive` returns what the shell has to do about a frame. Events leave in cursor order, each once per connection; while
the connection is `behind`, pages from the journal are sent and live events only noted.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum
from math import ceil
from typing import Final

from msgspec import Struct

from gamekit.core.journal import Event
from gamekit.errors import Overloaded, ProtocolViolation
from gamekit.protocol.answers import refuse_all
from gamekit.protocol.bucket import Bucket, take_all
from gamekit.protocol.codec import ServerFrame, decode_client
from gamekit.protocol.events import EventFrames, frame_of
from gamekit.protocol.messages import (
    VERSION,
    Acknowledge,
    Act,
    Cancel,
    Hello,
    Open,
    Ping,
    Pong,
    Propose,
    Resume,
    Revoke,
)
from gamekit.units import Cursor

REASON_BYTES_MAX: Final = 120
"""A close frame carries at most 123 bytes of reason. Source: RFC 6455, section 5.5."""


class CloseCode(IntEnum):
    """Why the server closes a connection. Codes from 4000 are ours."""

    NORMAL = 1000
    SERVER_FAILED = 1011
    RESTART = 1012
    """The server stops; connect again, the session goes on."""
    TRY_LATER = 1013
    """This client reads too slowly or the server is full; the reason names the cursor to resume from."""
    VIOLATION = 4400
    UNAUTHENTICATED = 4401
    """Login refused, or not in time."""
    EXPIRED = 4408
    """The longest life of a login has passed: log in again."""
    REPLACED = 4409
    """The same player has opened newer connections."""
    TOO_MANY_FRAMES = 4429


class State(Enum):
    """Where a connection stands."""

    NEW = "new"
    AUTHENTICATING = "authenticating"
    AUTHENTICATED = "authenticated"
    CLOSING = "closing"


class Close(Struct, frozen=True):
    """Close the connection."""

    code: CloseCode
    reason: str


class Reply(Struct, frozen=True):
    """Send a frame; nothing else to do."""

    frame: ServerFrame


Step = Hello | Act | Cancel | Revoke | Propose | Open | Reply | Close | None
"""What to do about a frame: log in, ask the backend, reply, close, or nothing."""


class PeerLimits(Struct, frozen=True):
    """What one connection may ask for."""

    actions_per_frame_max: int
    frames_per_s: float
    frames_burst: int


class Peer:
    """The state of one connection."""

    __slots__ = (
        "_buckets",
        "_frames",
        "_last_id",
        "_limits",
        "_noted",
        "_paged",
        "acknowledged",
        "behind",
        "binary",
        "sent",
        "state",
    )

    def __init__(self, limits: PeerLimits) -> None:
        self.state = State.NEW
        self.binary = False
        """Whether this client speaks MessagePack; decided by its first frame."""
        self.sent = Cursor(0)
        """The last event that was sent."""
        self.acknowledged = Cursor(0)
        """The last event that the client says it worked off."""
        self.behind = False
        """Whether events are still read from the journal, rather than sent as they come."""
        self._limits = limits
        self._frames = Bucket(limits.frames_per_s, limits.frames_burst)
        self._buckets: tuple[Bucket, ...] = ()
        self._last_id = 0
        self._noted = 0  # highest live event seen while behind
        self._paged = 0  # what _noted was when the page before was taken

    def __repr__(self) -> str:
        return f"<Peer {self.state.value} sent={self.sent} acknowledged={self.acknowledged}>"

    def close(self, code: CloseCode, reason: str) -> Close | None:
        """Begin to close; None if it was closing already."""
        if self.state is State.CLOSING:
            return None
        self.state = State.CLOSING
        return Close(code, reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore"))

    def receive(self, data: bytes, now: float, *, binary: bool) -> Step:
        """Take one frame.

        Args:
            data: the whole message.
            now: monotonic seconds.
            binary: whether it came in a binary frame.
        """
        if self.state is State.CLOSING:
            return None
        if (flood := self.count_frame(now)) is not None:
            return flood
        try:
            frame = decode_client(data, binary=binary)
            if self.state is not State.AUTHENTICATED:
                return self._greet(frame, binary=binary)
            return self._authenticated(frame, now, binary=binary)
        except ProtocolViolation as violation:
            return self.close(CloseCode.VIOLATION, str(violation))

    def count_frame(self, now: float) -> Close | None:
        """Count a frame of any kind, pings too; past the limit the connection is closed."""
        if not self._frames.wait(1, now):
            self._frames.take(1, now)
            return None
        return self.close(CloseCode.TOO_MANY_FRAMES, f"more than {self._limits.frames_per_s:g} frames per second")

    def welcome(
        self,
        epoch: bytes,
        newest: Cursor,
        resume: Resume | None,
        buckets: tuple[Bucket, ...],
        ended_epochs: Mapping[bytes, Cursor],
    ) -> bool:
        """Login succeeded.

        Args:
            epoch: the journal's epoch.
            newest: cursor of the last event of the stream.
            resume: where the client stopped reading.
            buckets: from each of them every action takes one token.
            ended_epochs: the epochs before a restore, each with the last event in common with that journal.

        Returns: whether events will follow from where the client stopped reading; after a restore, from the last event
            before it that this journal has as well. A cursor of a journal that this one does not come from, or one that
            it has not reached, is no cursor.
        """
        if self.state is not State.AUTHENTICATING:
            return False
        self.state = State.AUTHENTICATED
        self._buckets = buckets
        start = _start(epoch, newest, resume, ended_epochs) if resume is not None else None
        self.sent = self.acknowledged = newest if start is None else start
        self.behind = self.sent < newest
        return start is not None

    def live(self, events: Sequence[Event]) -> list[EventFrames]:
        """Take events as they happen; gives the frames to send now."""
        if self.behind:
            self._noted = events[-1].cursor if events else self._noted
            return []
        return self._deliver(events)

    def page(self, events: Sequence[Event], limit: int) -> list[EventFrames]:
        """Take a page of the journal, read from `sent` on; gives the frames to send now.

        A page shorter than `limit` ends the catching up, unless an event was noted meanwhile that it does not hold.
        """
        frames = self._deliver(events)
        if len(events) < limit and (self._noted <= self.sent or self._noted == self._paged):
            self.behind = False
        self._paged = self._noted
        return frames

    def _deliver(self, events: Sequence[Event]) -> list[EventFrames]:
        if self.state is not State.AUTHENTICATED:
            return []
        fresh = [event for event in events if event.cursor > self.sent]
        if fresh:
            self.sent = fresh[-1].cursor
        return [frame for event in fresh if (frame := frame_of(event)) is not None]

    def _greet(self, frame: object, *, binary: bool) -> Hello:
        if self.state is not State.NEW or not isinstance(frame, Hello):
            raise ProtocolViolation(f"the first frame is hello, and only that; state is {self.state.value}")
        if frame.version != VERSION:
            raise ProtocolViolation(f"protocol version is {VERSION}, the client asked for {frame.version}")
        self.binary = binary
        self.state = State.AUTHENTICATING
        return frame

    def _authenticated(self, frame: object, now: float, *, binary: bool) -> Step:
        if binary is not self.binary:
            raise ProtocolViolation("text and binary frames in one connection")
        match frame:
            case Act():
                self._grow(frame.id)
                return self._act(frame, now)
            case Cancel() | Revoke() | Propose() | Open():
                self._grow(frame.id)
                return frame
            case Ping():
                self._grow(frame.id)
                return Reply(Pong(frame.id))
            case Acknowledge():
                self._acknowledge(frame.cursor)
                return None
        raise ProtocolViolation("hello comes once")

    def _grow(self, request_id: int) -> None:
        if request_id <= self._last_id:
            raise ProtocolViolation(f"request ids grow: {request_id} after {self._last_id}")
        self._last_id = request_id

    def _acknowledge(self, cursor: int) -> None:
        if cursor > self.sent:
            raise ProtocolViolation(f"acknowledged cursor {cursor}, sent only {self.sent}")
        self.acknowledged = Cursor(max(cursor, self.acknowledged))

    def _act(self, act: Act, now: float) -> Act | Reply:
        cost = len(act.actions)
        if cost > self._limits.actions_per_frame_max:
            raise ProtocolViolation(f"{cost} actions in a frame, at most {self._limits.actions_per_frame_max}")
        wait = take_all(self._buckets, cost, now)
        if wait:
            wait_ms = ceil(wait * 1000)
            message = f"{cost} more actions come too fast; ask again in {wait_ms} ms"
            return Reply(refuse_all(act, Overloaded(message, queue="rate", retry_after_ms=wait_ms)))
        return act


def _start(epoch: bytes, newest: Cursor, resume: Resume, ended_epochs: Mapping[bytes, Cursor]) -> Cursor | None:
    """Find where a client goes on reading; None if its cursor means nothing here."""
    if resume.journal_epoch == epoch:
        return Cursor(resume.cursor) if resume.cursor <= newest else None
    common = ended_epochs.get(bytes(resume.journal_epoch))
    return None if common is None else min(Cursor(resume.cursor), common)
