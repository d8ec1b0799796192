"""The kit as the gateway sees it: every request is checked to be the player's own before the kit is asked.

The kit trusts its caller, a game's own server. A socket is no such caller: what it names (a session, a request) must be
that player's, or it does not exist.
"""

import asyncio
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gamekit.core.action import ActionRequest
from gamekit.core.journal import Event
from gamekit.core.session import Session
from gamekit.errors import ActionInvalid, SessionNotFound
from gamekit.eth.transaction import SignedAuthorization
from gamekit.gateway.backend import Answer, SessionView, WalletRequest
from gamekit.kit import GameKit
from gamekit.protocol import messages
from gamekit.protocol.answers import plain
from gamekit.runtime.notify import ALL
from gamekit.units import Address, Cursor, PermissionId, PlayerId, UnixSeconds, Wei


class KitBackend:
    """Satisfies `Backend` with a running kit."""

    def __init__(self, kit: GameKit) -> None:
        self._kit = kit
        # Not the kit's own cursor: that counts events on their way to disk, and a client that starts behind one of them
        # would never hear it.
        self._told = kit.cursor
        kit.subscribe(ALL, self._tell)

    @property
    def journal_epoch(self) -> bytes:
        """The birth of the journal."""
        return self._kit.store.journal_epoch

    @property
    def ended_epochs(self) -> Mapping[bytes, Cursor]:
        """The epochs before a restore."""
        return self._kit.state.ended_epochs

    @property
    def cursor(self) -> Cursor:
        """The last event that is on disk and was told."""
        return self._told

    def fault(self) -> str:
        """Say why nothing is signed for anybody; empty if it is."""
        return self._kit.fault()

    def sessions_of(self, player: PlayerId) -> Sequence[SessionView]:
        """List the player's sessions that have not ended."""
        return [self._view(row) for row in self._kit.sessions(player)]

    def act(
        self, player: PlayerId, permission_id: PermissionId, actions: Sequence[messages.ActionRequest]
    ) -> "Future[list[Answer]]":
        """Take actions in order."""
        row = self._kit.state.sessions.get(permission_id)
        if row is None:
            return asyncio.ensure_future(self._act_in_ended(player, permission_id, actions))
        _require_own(player, permission_id, row)
        return self._kit.accept(permission_id, _requests(actions))

    async def _act_in_ended(
        self, player: PlayerId, permission_id: PermissionId, actions: Sequence[messages.ActionRequest]
    ) -> list[Answer]:
        """Only the journal may know the session still: a retry of what it accepted gets the first answer."""
        await self._own(player, permission_id)
        return await self._kit.accept(permission_id, _requests(actions))

    def recall(
        self, player: PlayerId, permission_id: PermissionId, actions: Sequence[messages.ActionRequest]
    ) -> "Future[list[Answer]]":
        """Answer what was first sent to the journal before it was restored: its sessions may be unknown here."""
        return asyncio.ensure_future(self._kit.recall(permission_id, _requests(actions), player))

    async def cancel(self, player: PlayerId, permission_id: PermissionId, key: str) -> bool:
        """Take an action back."""
        await self._own(player, permission_id)
        return await self._kit.cancel(permission_id, key)

    async def revoke(self, player: PlayerId, permission_id: PermissionId) -> None:
        """Stop signing for a session."""
        await self._own(player, permission_id)
        await self._kit.revoke(permission_id, "revoked by the player")

    async def propose_session(
        self, player: PlayerId, game: str, unit: str, account: messages.AccountRequest
    ) -> WalletRequest:
        """Prepare what the owner's wallet signs."""
        request = await self._kit.propose(
            player,
            game,
            unit,
            Address(bytes(account.owner)),
            stack=account.stack,
            entry_point_version=account.entry_point_version,
        )
        if account.address is not None and bytes(account.address) != request.account:
            wanted, found = bytes(account.address), request.account
            raise ActionInvalid("the owner's account on this stack is another one", asked=wanted, found=found)
        return WalletRequest(
            request_id=request.permission_id.hex(),
            permission_id=request.permission_id,
            account=request.account,
            signer=request.owner,
            method="eth_signTypedData_v4",
            payload=plain(msgspec.to_builtins(request.typed_data, builtin_types=(bytes,))),
            readable=request.readable,
            explanation=request.explanation,
            sign_before=request.sign_before,
            authorization=request.authorization,
        )

    async def open_session(
        self, player: PlayerId, request_id: str, signature: bytes, authorization: SignedAuthorization | None
    ) -> None:
        """Take what the wallet signed."""
        try:
            permission_id = PermissionId(bytes.fromhex(request_id))
        except ValueError as error:
            raise SessionNotFound("no such request") from error
        await self._own(player, permission_id)
        await self._kit.open(permission_id, signature, authorization)

    async def events(self, player: PlayerId, since: Cursor, limit: int) -> list[Event]:
        """Read durable events of this player."""
        return await self._kit.events_since(since, limit, player)

    def subscribe(self, player: PlayerId, callback: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """Call back with new durable events of this player."""
        return self._kit.subscribe(player, callback)

    def _tell(self, events: Sequence[Event]) -> None:
        if events:
            self._told = max(self._told, events[-1].cursor)

    async def _own(self, player: PlayerId, permission_id: PermissionId) -> None:
        """Find the player's own session, in the journal if it ended long ago."""
        row = self._kit.state.sessions.get(permission_id) or await self._kit.store.get(Session, permission_id)
        _require_own(player, permission_id, row)

    def _view(self, row: Session) -> SessionView:
        unit = self._kit.game(row.game).units.get(row.unit)
        functions = tuple(function.key for function in unit.functions) if unit else ()
        return SessionView(row.permission_id, row.game, row.unit, row.account, row.state, row.valid_until, functions)


def _require_own(player: PlayerId, permission_id: PermissionId, row: Session | None) -> None:
    """Another player's session does not exist: the answer is the same."""
    if row is None or row.player != player:
        raise SessionNotFound("no such session", permission_id=permission_id)


def _requests(actions: Sequence[messages.ActionRequest]) -> list[ActionRequest]:
    return [
        ActionRequest(
            action.key,
            action.function,
            action.arguments,
            UnixSeconds(action.not_after),
            action.group,
            Wei(int(action.value)),
        )
        for action in actions
    ]
