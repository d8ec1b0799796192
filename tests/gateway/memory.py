"""A kit in memory for the edges' tests: accepts, settles when told to, keeps its events."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

import msgspec

from gamekit.config import Config
from gamekit.core.event import ActionResult, OperationEvent, RefusedEvent, SessionEvent
from gamekit.core.journal import Event
from gamekit.errors import ActionInvalid, IdempotencyConflict, OutcomeUnknown, Overloaded, SessionNotFound
from gamekit.eth.transaction import Authorization, SignedAuthorization
from gamekit.gateway.backend import Accepted, Answer, SessionView, WalletRequest
from gamekit.protocol.messages import AccountRequest, ActionRequest
from gamekit.units import ActionId, Address, Cursor, PermissionId, PlayerId, UnixSeconds

EPOCH = bytes(range(16))
PERMISSION = PermissionId(b"\x11" * 32)
ACCOUNT = Address(b"\x22" * 20)
ALICE = PlayerId("alice")
AT = UnixSeconds(1_700_000_000)

Answers = asyncio.Future[list[Answer]]


class MemoryBackend:
    """Satisfies `gateway.backend.Backend`. Functions other than `attack` and `move` are unknown to it."""

    def __init__(self) -> None:
        self.journal_epoch = EPOCH
        self.ended_epochs: dict[bytes, Cursor] = {}
        self.stream: list[Event] = []
        self.holding = False
        """While true, accepted actions wait for `release`: the disk is slow."""
        self.going_on: asyncio.Event | None = None
        """If there is one, cancelling waits for it."""
        self.settling = False
        """While true, what is accepted settles at once, and what is granted opens."""
        self.authorization: Authorization | None = None
        """What is asked for beside a grant."""
        self.opening = "session_opened"
        """What becomes of a grant."""
        self.held: list[tuple[Answers, list[Answer]]] = []
        self.keys: dict[tuple[bytes, str], tuple[ActionRequest, ActionId]] = {}
        self.calls: list[tuple[object, ...]] = []
        self.recalled: dict[str, Answer] = {}
        """What is known of actions that were first sent under another epoch."""
        self.failure: BaseException | None = None
        """Raised by the next call of any kind."""
        self.config = Config()
        self.entered = self.left = False
        self.trouble = ""
        """Why nobody can play."""
        self._listeners: dict[PlayerId, list[Callable[[Sequence[Event]], None]]] = {}

    async def __aenter__(self) -> Self:
        self.entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = True

    def fault(self) -> str:
        return self.trouble

    @property
    def cursor(self) -> Cursor:
        return self.stream[-1].cursor if self.stream else Cursor(0)

    @property
    def listeners(self) -> int:
        return sum(map(len, self._listeners.values()))

    def sessions_of(self, player: PlayerId) -> Sequence[SessionView]:
        view = SessionView(
            PERMISSION, "arena", "play_match", ACCOUNT, "open", UnixSeconds(AT + 1800), ("attack", "move")
        )
        return [view] if player == ALICE else []

    def act(self, player: PlayerId, permission_id: PermissionId, actions: Sequence[ActionRequest]) -> Answers:
        self._fail()
        if player != ALICE or permission_id != PERMISSION:
            raise SessionNotFound("no such session", permission_id=permission_id)
        answers: Answers = asyncio.get_running_loop().create_future()
        results = [self._accept(permission_id, action) for action in actions]
        self.calls.append(("act", player, tuple(action.key for action in actions)))
        if self.holding:
            self.held.append((answers, results))
        else:
            answers.set_result(results)
        if self.settling:
            accepted = [result.key for result in results if isinstance(result, Accepted)]
            if accepted:
                asyncio.get_running_loop().call_soon(partial(self.settle, *accepted))
        return answers

    def release(self) -> None:
        """Answer everything that waits for the disk."""
        held, self.held = self.held, []
        for answers, results in held:
            answers.set_result(results)

    def _accept(self, permission_id: PermissionId, action: ActionRequest) -> Answer:
        if action.function == "full":
            return Overloaded("the lane is full", queue="lane", depth=256, depth_max=256)
        if action.function not in ("attack", "move"):
            return ActionInvalid(f"no function {action.function}", function=action.function)
        request, action_id = self.keys.setdefault((permission_id, action.key), (action, ActionId(len(self.keys) + 1)))
        if request != action:
            return IdempotencyConflict("another body", key=action.key)
        return Accepted(action.key, action_id)

    def recall(
        self, player: PlayerId, permission_id: PermissionId, actions: Sequence[ActionRequest]
    ) -> asyncio.Future[list[Answer]]:
        answers: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        answers.set_result([self.recalled.get(action.key) or OutcomeUnknown("restored") for action in actions])
        return answers

    async def cancel(self, player: PlayerId, permission_id: PermissionId, key: str) -> bool:
        self._fail()
        if self.going_on is not None:
            await self.going_on.wait()
        self.calls.append(("cancel", player, permission_id, key))
        return (permission_id, key) in self.keys

    async def revoke(self, player: PlayerId, permission_id: PermissionId) -> None:
        self._fail()
        if permission_id != PERMISSION:
            raise SessionNotFound("no such session")
        self.calls.append(("revoke", player, permission_id))

    async def propose_session(self, player: PlayerId, game: str, unit: str, account: AccountRequest) -> WalletRequest:
        self._fail()
        self.calls.append(("propose", player, game, unit, bytes(account.owner)))
        payload = {"domain": {"name": "SessionValidator", "chainId": 31337}, "primaryType": "Grant"}
        return WalletRequest(
            "request-1",
            PERMISSION,
            ACCOUNT,
            Address(bytes(account.owner)),
            "eth_signTypedData_v4",
            payload,
            readable=True,
            explanation="Plays arena for 30 minutes; at most 0.01 ether of gas can be lost.",
            sign_before=UnixSeconds(AT + 600),
            authorization=self.authorization,
        )

    async def open_session(
        self, player: PlayerId, request_id: str, signature: bytes, authorization: SignedAuthorization | None
    ) -> None:
        self._fail()
        self.calls.append(("open", player, request_id, signature, *([authorization] if authorization else [])))
        if self.settling:
            self.emit(self.opening, session_event(code="authorization_spent" if "lapsed" in self.opening else ""))

    async def events(self, player: PlayerId, since: Cursor, limit: int) -> list[Event]:
        return [event for event in self.stream if event.player == player and event.cursor > since][:limit]

    def subscribe(self, player: PlayerId, callback: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        listeners = self._listeners.setdefault(player, [])
        listeners.append(callback)
        return lambda: listeners.remove(callback)

    def emit(self, kind: str, body: object, player: PlayerId = ALICE) -> Event:
        """Write an event and tell the listeners."""
        event = Event(Cursor(self.cursor + 1), kind, player, AT, msgspec.msgpack.encode(body))
        self.stream.append(event)
        for listener in tuple(self._listeners.get(player, ())):
            listener([event])
        return event

    def settle(self, *keys: str, error: str = "", kind: str = "settled") -> Event:
        """Report one operation that carried these actions."""
        return self.emit(kind, operation_event(*((key, self._id(key)) for key in keys), error=error))

    def _id(self, key: str) -> int:
        return self.keys[PERMISSION, key][1] if (PERMISSION, key) in self.keys else 1

    def _fail(self) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure


def operation_event(*actions: tuple[str, int], error: str = "") -> OperationEvent:
    """The body of settled, reorged or final."""
    results = tuple(ActionResult(number, key, "attack", not error, error) for key, number in actions)
    return OperationEvent(PERMISSION, "arena", b"\x33" * 32, b"\x44" * 32, 7, b"\x55" * 32, results)


def refused_event(key: str, code: str) -> RefusedEvent:
    """The body of refused."""
    return RefusedEvent(PERMISSION, "arena", code, "too late", (ActionResult(1, key, "attack", ok=False),))


def session_event(at_block: int = 0, code: str = "") -> SessionEvent:
    """The body of any session event."""
    return SessionEvent(PERMISSION, "arena", "play_match", ACCOUNT, AT + 1800, "owner", at_block, code)
