"""Durable events as the client reads them, which is also how the runtime writes them into the journal.

An event frame is the body of a `core.journal.Event` row: the row's `kind` is the frame's type, its `body` is
`encode_event(frame)`, and its `cursor` and `at` (chain time, unix seconds) are put in when it is read. So one operation
is one event, one row and one frame, however many actions it carries.
"""

from typing import Final

import msgspec
from msgspec import Struct

from gamekit.core.journal import Event
from gamekit.protocol.messages import Part, RefusedAction, SessionInfo
from gamekit.protocol.octets import Octets32, raw_octets, read_octets
from gamekit.units import UnixSeconds


class EventBase(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="type", gc=False):
    """A durable event. Its subclass names the type; bodies are written with cursor and time 0."""

    cursor: int = 0
    """Place in the event stream: what `acknowledge` and `resume` name."""
    at: int = 0
    """Chain time when it was written, in unix seconds."""


class Refused(EventBase, tag="refused"):
    """Actions that did not and will not happen: with `id` the answer to an `act`, with `cursor` an event."""

    permission_id: Octets32
    actions: list[RefusedAction]
    id: int = 0


class SettledAction(Part, frozen=True):
    """What became of one action."""

    key: str
    action_id: int
    ok: bool
    error: str = ""
    """The game's own error, decoded, or out_of_gas, batch_reverted, unknown; empty when ok."""


class Settled(EventBase, tag="settled"):
    """Second ack: one operation's actions have an outcome. Only `reorged` takes it back."""

    permission_id: Octets32
    user_op_hash: Octets32
    transaction_hash: Octets32
    block_number: int
    actions: list[SettledAction]


class Reorged(EventBase, tag="reorged"):
    """The chain took these outcomes back: they are accepted again, and will settle anew."""

    permission_id: Octets32
    user_op_hash: Octets32
    keys: list[str]


class Finalized(EventBase, tag="final"):
    """These outcomes can no longer be taken back."""

    permission_id: Octets32
    user_op_hash: Octets32
    transaction_hash: Octets32
    block_number: int
    keys: list[str]


class Opened(EventBase, tag="opened"):
    """A session can play."""

    session: SessionInfo


class Expiring(EventBase, tag="expiring"):
    """A session ends soon."""

    permission_id: Octets32
    valid_until: UnixSeconds


class Revoked(EventBase, tag="revoked"):
    """A session ended by revocation. Said once when signing stopped, and again when it is final on chain."""

    permission_id: Octets32
    on_chain: bool
    may_land_until: UnixSeconds = UnixSeconds(0)
    """Operations that were signed before may land until this chain time; 0 when none can."""


class Expired(EventBase, tag="expired"):
    """A session ended by time."""

    permission_id: Octets32


class Paused(EventBase, tag="paused"):
    """Nothing is signed for this game, chain or function."""

    scope: str
    """What is paused: `game:<name>`, `chain` or `function:<game>.<name>`."""
    reason: str


class Resumed(EventBase, tag="resumed"):
    """Signing goes on."""

    scope: str


EventFrame = Settled | Reorged | Finalized | Refused | Opened | Expiring | Revoked | Expired | Paused | Resumed

_ENCODER = msgspec.msgpack.Encoder(enc_hook=raw_octets)
_DECODER: msgspec.msgpack.Decoder[EventFrame] = msgspec.msgpack.Decoder(EventFrame, dec_hook=read_octets)
EVENT_KINDS: Final = frozenset(
    {"settled", "reorged", "final", "refused", "opened", "expiring", "revoked", "expired", "paused", "resumed"}
)
"""Kinds of event rows that players are told; rows of other kinds are for the game's server only."""


def encode_event(frame: EventFrame) -> bytes:
    """Write the body of an event row. The row's `kind` is the frame's type (`kind_of`)."""
    return _ENCODER.encode(frame)


def kind_of(frame: EventFrame) -> str:
    """Name the kind of event row that this frame is the body of."""
    return str(type(frame).__struct_config__.tag)


def decode_event(event: Event) -> EventFrame | None:
    """Read an event row as the frame that its player is told; None for a kind that players are not told."""
    if event.kind not in EVENT_KINDS:
        return None
    frame = _DECODER.decode(event.body)
    frame.cursor = event.cursor
    frame.at = event.at
    return frame
