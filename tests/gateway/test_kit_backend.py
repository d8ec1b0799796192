"""What a socket names must be its player's own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gamekit.core.action import ActionRequest
from gamekit.core.consent import GrantRequest
from gamekit.core.journal import Event
from gamekit.core.session import Session
from gamekit.errors import ActionInvalid, GamekitError, SessionNotFound
from gamekit.eth.transaction import Authorization, SignedAuthorization
from gamekit.eth.typed_data import Field, TypedData
from gamekit.gateway.backend import Accepted, Answer
from gamekit.gateway.kit_backend import KitBackend
from gamekit.kit import GameKit
from gamekit.protocol import messages
from gamekit.protocol.octets import Octets20
from gamekit.runtime.notify import ALL
from gamekit.units import ActionId, ChainId, Cursor, PermissionId, PlayerId, UnixSeconds, Wei
from tests.gateway.memory import ACCOUNT, ALICE, EPOCH, PERMISSION

BOB = PlayerId("bob")
ENDED = PermissionId(b"\xed" * 32)
SIGNED = SignedAuthorization(Authorization(chain_id=ChainId(1), delegate=ACCOUNT, nonce=3), bytes(65))


class FakeKit:
    """As much of a kit as the adapter asks for."""

    def __init__(self) -> None:
        row = SimpleNamespace(
            permission_id=PERMISSION,
            player=ALICE,
            game="arena",
            unit="play",
            account=ACCOUNT,
            state="open",
            valid_until=UnixSeconds(9),
        )
        functions = (SimpleNamespace(key="attack"), SimpleNamespace(key="move"))
        self.state = SimpleNamespace(sessions={PERMISSION: row}, ended_epochs={b"before": 3})
        self.journal: dict[PermissionId, Any] = {}
        self.store = SimpleNamespace(journal_epoch=EPOCH, get=self._stored)
        self.cursor = Cursor(4)
        self.calls: list[tuple[Any, ...]] = []
        self.publish: Callable[..., None] = print
        self._game = SimpleNamespace(units={"play": SimpleNamespace(functions=functions)})

    async def _stored(self, kind: type[Session], permission_id: PermissionId) -> Any:
        assert kind is Session
        return self.journal.get(permission_id)

    def sessions(self, player: PlayerId) -> list[Any]:
        return [row for row in self.state.sessions.values() if row.player == player]

    def fault(self) -> str:
        return "the engine failed"

    def game(self, _name: str) -> Any:
        return self._game

    def accept(self, permission_id: PermissionId, requests: Sequence[ActionRequest]) -> asyncio.Future[list[Answer]]:
        self.calls.append(("accept", permission_id, tuple(requests)))
        answers: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        answers.set_result([Accepted(requests[0].key, ActionId(7)), *(ActionInvalid("no") for _ in requests[1:])])
        return answers

    async def cancel(self, permission_id: PermissionId, key: str) -> bool:
        self.calls.append(("cancel", permission_id, key))
        return True

    async def revoke(self, permission_id: PermissionId, reason: str) -> None:
        self.calls.append(("revoke", permission_id, reason))

    async def propose(self, player: PlayerId, game: str, unit: str, owner: bytes, **where: str) -> GrantRequest:
        self.calls.append(("propose", player, game, unit, owner, where))
        data = TypedData(
            {"Grant": [Field("epoch", "uint256")]}, "Grant", {"chainId": 1}, {"epoch": 2**60, "scope": b"\x01"}
        )
        return GrantRequest(
            PERMISSION, ACCOUNT, ACCOUNT, data, "words", UnixSeconds(5), authorization=SIGNED.authorization
        )

    async def open(
        self, permission_id: PermissionId, signature: bytes, authorization: SignedAuthorization | None
    ) -> None:
        self.calls.append(("open", permission_id, signature, authorization))

    async def events_since(self, cursor: Cursor, limit: int, player: PlayerId) -> list[Any]:
        self.calls.append(("events", cursor, limit, player))
        return []

    def subscribe(self, player: PlayerId, listener: Callable[..., None]) -> Callable[[], None]:
        if player == ALL:
            self.publish = listener
            return lambda: None
        self.calls.append(("subscribe", player, listener))
        return lambda: None


def event(cursor: int) -> Event:
    return Event(Cursor(cursor), "settled", ALICE, UnixSeconds(1), b"")


@pytest.fixture
def kit() -> FakeKit:
    return FakeKit()


@pytest.fixture
def backend(kit: FakeKit) -> KitBackend:
    return KitBackend(cast("GameKit", kit))


def request(key: str = "k", value: str = "0") -> messages.ActionRequest:
    return messages.ActionRequest(key, "attack", [7], 9, "group", value)


def test_what_a_player_sees(backend: KitBackend) -> None:
    (view,) = backend.sessions_of(ALICE)
    assert (view.permission_id, view.functions, view.state) == (PERMISSION, ("attack", "move"), "open")
    assert backend.sessions_of(BOB) == []
    assert (backend.journal_epoch, backend.cursor) == (EPOCH, 4)
    assert backend.ended_epochs == {b"before": 3}


def test_trouble_is_the_kits(backend: KitBackend) -> None:
    assert backend.fault() == "the engine failed"


async def test_actions_are_handed_over(backend: KitBackend, kit: FakeKit) -> None:
    accepted, refused = await backend.act(ALICE, PERMISSION, [request("a", str(10**18)), request("b")])
    assert accepted == Accepted("a", ActionId(7))
    assert isinstance(refused, GamekitError)
    assert kit.calls[0][2][0] == ActionRequest("a", "attack", [7], UnixSeconds(9), "group", Wei(10**18))


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend, player, name: backend.act(player, name, [request()]),
        lambda backend, player, name: backend.cancel(player, name, "k"),
        lambda backend, player, name: backend.revoke(player, name),
        lambda backend, player, name: backend.open_session(player, name.hex(), b"", None),
    ],
    ids=["act", "cancel", "revoke", "open"],
)
@pytest.mark.parametrize(
    ("player", "name"),
    [(BOB, PERMISSION), (ALICE, bytes(32)), (BOB, ENDED)],
    ids=["of another", "unknown", "that ended, of another"],
)
async def test_what_is_not_the_players_own_does_not_exist(
    backend: KitBackend,
    kit: FakeKit,
    ask: Callable[[KitBackend, PlayerId, bytes], Awaitable[object]],
    player: PlayerId,
    name: bytes,
) -> None:
    kit.journal[ENDED] = kit.state.sessions[PERMISSION]
    with pytest.raises(SessionNotFound, match="no such session"):
        await ask(backend, player, name)
    assert kit.calls == []


async def test_a_session_that_only_the_journal_knows_is_the_players_own_too(backend: KitBackend, kit: FakeKit) -> None:
    """It ended long ago, or before this process began: whoever asks again must get the first answer."""
    kit.journal[ENDED] = kit.state.sessions[PERMISSION]
    (answer,) = await backend.act(ALICE, ENDED, [request("a")])
    assert answer == Accepted("a", ActionId(7))
    await backend.cancel(ALICE, ENDED, "a")
    await backend.revoke(ALICE, ENDED)
    assert [(call[0], call[1]) for call in kit.calls] == [("accept", ENDED), ("cancel", ENDED), ("revoke", ENDED)]


async def test_the_rest_is_handed_over(backend: KitBackend, kit: FakeKit) -> None:
    assert await backend.cancel(ALICE, PERMISSION, "k")
    await backend.revoke(ALICE, PERMISSION)
    await backend.open_session(ALICE, PERMISSION.hex(), b"signature", SIGNED)
    assert await backend.events(ALICE, Cursor(1), 5) == []
    backend.subscribe(ALICE, print)
    assert kit.calls == [
        ("cancel", PERMISSION, "k"),
        ("revoke", PERMISSION, "revoked by the player"),
        ("open", PERMISSION, b"signature", SIGNED),
        ("events", 1, 5, ALICE),
        ("subscribe", ALICE, print),
    ]


async def test_a_proposal_is_what_the_wallet_takes(backend: KitBackend, kit: FakeKit) -> None:
    account = messages.AccountRequest(Octets20(ACCOUNT), "nexus", "0.7")
    proposed = await backend.propose_session(ALICE, "arena", "play", account)
    assert kit.calls == [("propose", ALICE, "arena", "play", ACCOUNT, {"stack": "nexus", "entry_point_version": "0.7"})]
    assert (proposed.request_id, proposed.method, proposed.explanation) == (
        PERMISSION.hex(),
        "eth_signTypedData_v4",
        "words",
    )
    assert proposed.authorization == SIGNED.authorization
    assert proposed.payload == {
        "types": {"Grant": [{"name": "epoch", "type": "uint256"}]},
        "primaryType": "Grant",
        "domain": {"chainId": 1},
        "message": {"epoch": str(2**60), "scope": "0x01"},
    }


async def test_a_proposal_for_another_account_is_refused(backend: KitBackend) -> None:
    account = messages.AccountRequest(Octets20(ACCOUNT), address=Octets20(bytes(20)))
    with pytest.raises(ActionInvalid, match="another one"):
        await backend.propose_session(ALICE, "arena", "play", account)


def test_the_cursor_is_the_last_event_that_was_told(backend: KitBackend, kit: FakeKit) -> None:
    kit.cursor = Cursor(6)  # two events are on their way to disk
    assert backend.cursor == 4
    kit.publish([])
    assert backend.cursor == 4
    kit.publish([event(5), event(6)])
    assert backend.cursor == 6


async def test_a_request_that_is_no_name(backend: KitBackend) -> None:
    with pytest.raises(SessionNotFound, match="no such request"):
        await backend.open_session(ALICE, "zz", b"", None)
