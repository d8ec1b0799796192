"""The journal's durable events as a player reads them: one frame for each row, with the row's cursor and time.

One operation is one event and one frame, however many actions it carries. Events of other kinds, and those that concern
no single player, are for the game's own server.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from gamekit.core import event as kinds
from gamekit.core.event import OperationEvent, RefusedEvent, SessionEvent
from gamekit.core.journal import Event
from gamekit.protocol.codes import outcome_of
from gamekit.protocol.messages import Part, RefusedAction
from gamekit.protocol.octets import Octets20, Octets32
from gamekit.units import UnixSeconds


class EventFrame(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="type", gc=False
):
    """What every event says."""

    cursor: int = 0
    """Place in the event stream: what `acknowledge` and `resume` name."""
    at: int = 0
    """Chain time when it was written, in unix seconds."""


class Refused(EventFrame, frozen=True, tag="refused"):
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


class Settled(EventFrame, frozen=True, tag="settled"):
    """Second ack: one operation's actions have an outcome. Only `reorged` takes it back."""

    permission_id: Octets32
    user_op_hash: Octets32
    transaction_hash: Octets32
    block_number: int
    actions: list[SettledAction]


class Reorged(EventFrame, frozen=True, tag="reorged"):
    """The chain took these outcomes back: the actions are accepted again, and will settle anew."""

    permission_id: Octets32
    user_op_hash: Octets32
    keys: list[str]


class Finalized(EventFrame, frozen=True, tag="final"):
    """These outcomes can no longer be taken back."""

    permission_id: Octets32
    user_op_hash: Octets32
    transaction_hash: Octets32
    block_number: int
    keys: list[str]


class SessionFrame(EventFrame, frozen=True):
    """What every event of a session says."""

    permission_id: Octets32
    game: str
    unit: str
    account: Octets20
    valid_until: UnixSeconds
    """Unix seconds, inclusive."""


class SessionOpened(SessionFrame, frozen=True, tag="session_opened"):
    """The session can play: its grant is deep enough in the chain."""


class SessionLapsed(SessionFrame, frozen=True, tag="session_lapsed"):
    """The session will never play: its grant did not come into the chain, and no longer can."""

    code: str
    """Of the error that says why, for example authorization_spent."""
    reason: str


class SessionExpiring(SessionFrame, frozen=True, tag="session_expiring"):
    """The session ends soon."""


class SessionExpired(SessionFrame, frozen=True, tag="session_expired"):
    """The session ended by time."""


class SessionRevoked(SessionFrame, frozen=True, tag="session_revoked"):
    """The session ended: said once when signing stopped, and again when the chain refuses its key."""

    on_chain: bool
    reason: str = ""


EventFrames = (
    Settled
    | Reorged
    | Finalized
    | Refused
    | SessionOpened
    | SessionLapsed
    | SessionExpiring
    | SessionExpired
    | SessionRevoked
)

_OPERATION = msgspec.msgpack.Decoder(OperationEvent)
_REFUSED = msgspec.msgpack.Decoder(RefusedEvent)
_SESSION = msgspec.msgpack.Decoder(SessionEvent)


def frame_of(event: Event) -> EventFrames | None:
    """Read an event row as the frame that its player is told; None for a kind that players are not told."""
    read = _READERS.get(event.kind)
    return None if read is None else read(event)


def _settled(event: Event) -> Settled:
    body = _OPERATION.decode(event.body)
    return Settled(
        Octets32(body.permission_id),
        Octets32(body.user_op_hash),
        Octets32(body.transaction_hash),
        body.block_number,
        [SettledAction(action.key, action.id, action.ok, action.error) for action in body.actions],
        cursor=event.cursor,
        at=event.at,
    )


def _reorged(event: Event) -> Reorged:
    body = _OPERATION.decode(event.body)
    keys = [action.key for action in body.actions]
    return Reorged(Octets32(body.permission_id), Octets32(body.user_op_hash), keys, cursor=event.cursor, at=event.at)


def _finalized(event: Event) -> Finalized:
    body = _OPERATION.decode(event.body)
    return Finalized(
        Octets32(body.permission_id),
        Octets32(body.user_op_hash),
        Octets32(body.transaction_hash),
        body.block_number,
        [action.key for action in body.actions],
        cursor=event.cursor,
        at=event.at,
    )


def _refused(event: Event) -> Refused:
    body = _REFUSED.decode(event.body)
    outcome = outcome_of(body.code)
    actions = [
        RefusedAction(action.key, body.code, outcome, action.error or body.message, action_id=action.id)
        for action in body.actions
    ]
    return Refused(Octets32(body.permission_id), actions, cursor=event.cursor, at=event.at)


def _session(kind: type[SessionOpened | SessionExpiring | SessionExpired], event: Event) -> EventFrames:
    body = _SESSION.decode(event.body)
    return kind(
        Octets32(body.permission_id),
        body.game,
        body.unit,
        Octets20(body.account),
        UnixSeconds(body.valid_until),
        cursor=event.cursor,
        at=event.at,
    )


def _lapsed(event: Event) -> SessionLapsed:
    body = _SESSION.decode(event.body)
    return SessionLapsed(
        Octets32(body.permission_id),
        body.game,
        body.unit,
        Octets20(body.account),
        UnixSeconds(body.valid_until),
        code=body.code,
        reason=body.reason,
        cursor=event.cursor,
        at=event.at,
    )


def _revoked(event: Event) -> SessionRevoked:
    body = _SESSION.decode(event.body)
    return SessionRevoked(
        Octets32(body.permission_id),
        body.game,
        body.unit,
        Octets20(body.account),
        UnixSeconds(body.valid_until),
        on_chain=body.at_block > 0,
        reason=body.reason,
        cursor=event.cursor,
        at=event.at,
    )


_READERS: Final[dict[str, Callable[[Event], EventFrames]]] = {
    kinds.SETTLED: _settled,
    kinds.REORGED: _reorged,
    kinds.FINAL: _finalized,
    kinds.REFUSED: _refused,
    kinds.SESSION_OPENED: lambda event: _session(SessionOpened, event),
    kinds.SESSION_LAPSED: _lapsed,
    kinds.SESSION_EXPIRING: lambda event: _session(SessionExpiring, event),
    kinds.SESSION_EXPIRED: lambda event: _session(SessionExpired, event),
    kinds.SESSION_REVOKED: _revoked,
}
