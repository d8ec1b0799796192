"""The frames of protocol version 1, typed; the same structs as JSON (text frames) and as MessagePack (binary frames).

::

    client → server   hello · act · cancel · revoke · acknowledge · propose · open · ping
    server → client   welcome · accepted · refused · done · proposed · error · pong            answers, by request id
                      settled · reorged · final · refused ·
                      session_opened · session_lapsed · session_expiring · session_revoked · session_expired
                                                                                  events, by cursor

Events are in `events.py`, reading and writing in `codec.py`. Unknown fields, unknown types and values out of bounds are
refused.
"""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from gamekit.protocol.octets import Octets16, Octets20, Octets32, Octets65, SignatureOctets
from gamekit.units import UINT48_MAX, Cursor, PlayerId, UnixSeconds

VERSION: Final = 1
"""The protocol version that this module speaks. Another one is refused, never guessed at."""
ACTIONS_MAX: Final = 64
"""Most actions that a frame can carry; configuration may allow fewer."""
ARGUMENT_DEPTH_MAX: Final = 8
"""Deepest nesting of arrays and tuples in an action's arguments."""
COUNTER_MAX: Final = (1 << 53) - 1
"""Largest request id and cursor: the largest integer that every JSON reader holds exactly."""

RequestId = Annotated[int, Meta(ge=1, le=COUNTER_MAX)]
"""The client's own number for a request: grows with each request of one connection."""
Key = Annotated[str, Meta(max_length=128, pattern=r"^[!-~]{1,128}\Z")]
"""An idempotency key: 1 to 128 printable ASCII characters without spaces, unique within its session."""
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Group = Annotated[str, Meta(max_length=64)]
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,39}\Z")]
Time = Annotated[int, Meta(ge=0, le=UINT48_MAX)]
Position = Annotated[int, Meta(ge=0, le=COUNTER_MAX)]


class Frame(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type", gc=False):
    """Anything that travels."""


class Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Anything inside a frame."""


# What the client sends.


class WalletLogin(Part, frozen=True, tag_field="by", tag="wallet"):
    """A login message and the wallet's signature of it. Source: ERC-4361."""

    message: Annotated[str, Meta(max_length=2048)]
    signature: SignatureOctets


class TokenLogin(Part, frozen=True, tag_field="by", tag="token"):
    """A token of the game's own; the game's hook maps it to a player."""

    token: Annotated[str, Meta(min_length=1, max_length=4096)]


class TicketLogin(Part, frozen=True, tag_field="by", tag="ticket"):
    """The ticket of an earlier welcome: a reconnect without the wallet."""

    ticket: Annotated[str, Meta(min_length=1, max_length=128)]


Login = WalletLogin | TokenLogin | TicketLogin


class Resume(Part, frozen=True):
    """Where this client stopped reading."""

    journal_epoch: Octets16
    cursor: Position
    """The last event that it has worked off; 0 for none."""


class Hello(Frame, frozen=True, tag="hello"):
    """The first frame; nothing else is read before it."""

    version: int
    login: Login
    resume: Resume | None = None


class ActionRequest(Part, frozen=True):
    """One action that a player asks for."""

    key: Key
    function: Name
    """A function of the game's manifest."""
    arguments: list[Any] | dict[str, Any] = []
    """In the ABI's order, or by name. Numbers beyond 2**53 travel as decimal or 0x strings, bytes as 0x strings."""
    not_after: Time = 0
    """Chain time after which it is refused rather than signed; 0 is never."""
    group: Group = ""
    """Actions of one frame with the same group run all or none; empty stands alone."""
    value: Amount = "0"
    """Native currency that the call carries, in wei as decimal text; most scopes allow none."""

    def __post_init__(self) -> None:
        """Refuse arguments nested deeper than any ABI: how deep a decoder goes by itself depends on the interpreter."""
        level: list[Any] = [self.arguments]
        for _ in range(ARGUMENT_DEPTH_MAX):
            level = [
                item
                for value in level
                for item in (value.values() if isinstance(value, dict) else value)
                if isinstance(item, list | dict)
            ]
            if not level:
                return
        raise ValueError(f"arguments are nested deeper than {ARGUMENT_DEPTH_MAX}")


class Act(Frame, frozen=True, tag="act"):
    """Ask for actions of one session, in order."""

    id: RequestId
    permission_id: Octets32
    journal_epoch: Octets16
    """The epoch in which these keys were first sent: a retry from before a restore is never executed."""
    actions: Annotated[list[ActionRequest], Meta(min_length=1, max_length=ACTIONS_MAX)]


class Cancel(Frame, frozen=True, tag="cancel"):
    """Take an action back if it is not signed yet; answered by `done`."""

    id: RequestId
    permission_id: Octets32
    key: Key


class Revoke(Frame, frozen=True, tag="revoke"):
    """End a session; answered by `done` when it is durable, by the event `session_revoked` when it is so on chain."""

    id: RequestId
    permission_id: Octets32


class Acknowledge(Frame, frozen=True, tag="acknowledge"):
    """Say that all events up to a cursor are worked off. Not answered."""

    cursor: Position


class AccountRequest(Part, frozen=True):
    """Which account a session shall be granted on."""

    owner: Octets20
    """The wallet that will sign the grant."""
    stack: Annotated[str, Meta(max_length=32)] = ""
    """Name of the account stack; empty takes the server's default."""
    entry_point_version: Annotated[str, Meta(max_length=8)] = ""
    address: Octets20 | None = None
    """An account that exists; left out, the owner's account of that stack is used or deployed."""


class Propose(Frame, frozen=True, tag="propose"):
    """Ask for what the wallet must sign to open a session; answered by `proposed`."""

    id: RequestId
    game: Name
    unit: Name
    """The unit of delegation in the game's manifest."""
    account: AccountRequest


class Authorization(Part, frozen=True):
    """What the key of the owner's own address must sign so that it delegates to a contract. Source: EIP-7702."""

    chain_id: Position
    delegate: Octets20
    nonce: Position
    """The address's transaction count."""


class SignedAuthorization(Authorization, frozen=True):
    """The same, signed, wherever that was."""

    signature: Octets65


class Open(Frame, frozen=True, tag="open"):
    """Hand in what the wallet signed; answered by `done` when it is durable, followed by `session_opened`."""

    id: RequestId
    request_id: Annotated[str, Meta(min_length=1, max_length=128)]
    signature: SignatureOctets
    authorization: SignedAuthorization | None = None
    """What `proposed.authorization` became."""


class Ping(Frame, frozen=True, tag="ping"):
    """Ask whether the server reads; answered by `pong`."""

    id: RequestId


Request = Act | Cancel | Revoke | Propose | Open
"""Frames that the backend must answer."""


# What the server answers.


class Limits(Part, frozen=True):
    """What this server takes from one client."""

    frame_bytes_max: int
    actions_per_frame_max: int
    actions_per_s: float
    burst: int
    heartbeat_s: float


class SessionInfo(Part, frozen=True):
    """One session of the player."""

    permission_id: Octets32
    game: str
    unit: str
    account: Octets20
    state: str
    """proposed, granting, open, revoking, revoked, expired or lapsed."""
    valid_until: UnixSeconds
    """Unix seconds, inclusive."""
    functions: tuple[str, ...]


class Welcome(Frame, frozen=True, tag="welcome"):
    """Login succeeded; events after `cursor` follow."""

    version: int
    player: PlayerId
    journal_epoch: Octets16
    cursor: Cursor
    resumed: bool
    """False when the client named no cursor, or one of another journal epoch: events before `cursor` are not sent."""
    chain_id: int
    sessions: tuple[SessionInfo, ...]
    limits: Limits
    ticket: str
    """Log in with this instead of the wallet until `ticket_until`. As secret as a password."""
    ticket_until: UnixSeconds


class AcceptedAction(Part, frozen=True):
    """On disk: it will be settled, or the caller is told why not."""

    key: str
    action_id: int


class RefusedAction(Part, frozen=True):
    """Not accepted, or accepted and then refused before it was signed; `outcome` says whether to try again."""

    key: str
    code: str
    outcome: str
    """final, retry or unknown."""
    message: str
    compared: dict[str, Any] = {}
    action_id: int = 0


class Accepted(Frame, frozen=True, tag="accepted"):
    """First ack: those actions of one `act` frame that are on disk."""

    id: int
    permission_id: Octets32
    journal_epoch: Octets16
    actions: list[AcceptedAction]


class Done(Frame, frozen=True, tag="done"):
    """The answer to cancel, revoke and open."""

    id: int
    done: bool
    """False: nothing was there to do; a cancelled action was signed already, or unknown."""


class Proposed(Frame, frozen=True, tag="proposed"):
    """What the wallet must sign, and what it means in plain English."""

    id: int
    request_id: str
    permission_id: Octets32
    account: Octets20
    signer: Octets20
    """The owner whose wallet must sign."""
    method: str
    """The wallet's own method: eth_signTypedData_v4 or personal_sign."""
    payload: Any
    """Its argument: typed data, or bytes in hexadecimal."""
    readable: bool
    """Whether the wallet shows words; where it shows only a hash, show `explanation` yourself."""
    explanation: str
    sign_before: UnixSeconds
    authorization: Authorization | None = None
    """What the owner's key must sign beside it, where the account is the owner's own address and does not delegate yet.
    Wallets do not sign it for web pages: whatever holds the key must."""


class Error(Frame, frozen=True, tag="error"):
    """A request failed as a whole (`id`), or the connection is about to close (no id)."""

    code: str
    outcome: str
    message: str
    compared: dict[str, Any] = {}
    id: int = 0


class Pong(Frame, frozen=True, tag="pong"):
    """The server reads."""

    id: int
