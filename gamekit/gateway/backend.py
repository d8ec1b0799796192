"""What the gateway asks of the kit, and nothing more. `kit.GameKit` satisfies it by its shape."""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from gamekit.core.journal import Event
from gamekit.eth.transaction import Authorization, SignedAuthorization
from gamekit.protocol.messages import AccountRequest, ActionRequest
from gamekit.runtime.intake import Accepted, Answer
from gamekit.units import Address, Cursor, PermissionId, PlayerId, UnixSeconds

__all__ = ["Accepted", "Answer", "Backend", "SessionView", "WalletRequest"]


class SessionView(Struct, frozen=True, gc=False):
    """What a player may know of a session."""

    permission_id: PermissionId
    game: str
    unit: str
    account: Address
    state: str
    """As in `core.session`: proposed, granting, open, revoking, revoked, expired, lapsed."""
    valid_until: UnixSeconds
    functions: tuple[str, ...]


class WalletRequest(Struct, frozen=True):
    """What a player's wallet must sign to open a session."""

    request_id: str
    """Names this request until it is opened; at most 128 characters."""
    permission_id: PermissionId
    account: Address
    signer: Address
    """The owner whose wallet must sign."""
    method: str
    """`eth_signTypedData_v4` or `personal_sign`."""
    payload: Any
    """The method's argument: typed data as plain JSON values, or bytes as 0x-hexadecimal text."""
    readable: bool
    """Whether the wallet shows words rather than a hash."""
    explanation: str
    """The scope in plain English, with the most that can be lost."""
    sign_before: UnixSeconds
    authorization: Authorization | None = None
    """What the owner's key must sign beside it; None where nothing is missing."""


class Backend(Protocol):
    """The kit, as the gateway sees it. Every call names the player that the socket was authenticated as.

    Called on the event loop's thread. Errors are `GamekitError`; anything else closes the socket with 1011 and is
    logged. What takes block times (grant, revoke on chain) returns when it is durable, and is reported as an event.
    """

    @property
    def journal_epoch(self) -> bytes:
        """16 bytes: the birth of the journal."""
        ...

    @property
    def ended_epochs(self) -> Mapping[bytes, Cursor]:
        """The epochs before a restore: the last event that the journal has in common with the one of that time."""
        ...

    @property
    def cursor(self) -> Cursor:
        """The last event of the stream: where a client that does not resume starts."""
        ...

    def fault(self) -> str:
        """Say in a sentence, fit for anybody, why nobody can play at the moment; empty if they can."""
        ...

    def sessions_of(self, player: PlayerId) -> Sequence[SessionView]:
        """List the player's sessions that have not ended."""
        ...

    def act(
        self, player: PlayerId, permission_id: PermissionId, actions: Sequence[ActionRequest]
    ) -> "Future[list[Answer]]":
        """Take actions in order; resolves, with one answer for each in the same order, when the accepted are on disk.

        Not a coroutine, so that a socket reads on while its actions are on their way to disk without a task for each.
        Cancelling the future must not cancel the actions.
        """
        ...

    def recall(
        self, player: PlayerId, permission_id: PermissionId, actions: Sequence[ActionRequest]
    ) -> "Future[list[Answer]]":
        """Answer actions that were first sent under another journal epoch; none is ever executed for it."""
        ...

    async def cancel(self, player: PlayerId, permission_id: PermissionId, key: str) -> bool:
        """Take an action back; False when it is signed already or unknown."""
        ...

    async def revoke(self, player: PlayerId, permission_id: PermissionId) -> None:
        """Stop signing for a session at once and durably; its end on chain is reported as an event."""
        ...

    async def propose_session(self, player: PlayerId, game: str, unit: str, account: AccountRequest) -> WalletRequest:
        """Prepare what the owner's wallet signs to open a session of a unit of delegation."""
        ...

    async def open_session(
        self, player: PlayerId, request_id: str, signature: bytes, authorization: SignedAuthorization | None
    ) -> None:
        """Take what the wallet signed; returns when the grant is durable, the event is `session_opened`."""
        ...

    async def events(self, player: PlayerId, since: Cursor, limit: int) -> list[Event]:
        """Read durable events that concern this player (or everybody) with a cursor above `since`, lowest first."""
        ...

    def subscribe(self, player: PlayerId, callback: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """Call back, on the loop, with new durable events of `events`'s kind, in cursor order. Returns how to stop.

        An event is in `events` before it is called back.
        """
        ...
