"""The real runtime on a fake chain and a journal in memory, driven by hand: nothing runs until a test says so."""

import asyncio
from asyncio import Future
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec

from gamekit.config import Config
from gamekit.core.action import Action, ActionRequest
from gamekit.core.event import OperationEvent, RefusedEvent
from gamekit.core.game import Game
from gamekit.core.journal import Event, Row
from gamekit.core.lane import Lane
from gamekit.core.relay import RelayTransaction
from gamekit.core.tracking import Operation
from gamekit.errors import ChainUnavailable, GamekitError, StoreUnavailable
from gamekit.eth.calldata import Call
from gamekit.eth.interface import Function
from gamekit.keys.signer import LocalSigner
from gamekit.kit import KINDS, GameKit, Ports
from gamekit.runtime.ask import BeforeAction
from gamekit.runtime.intake import Accepted
from gamekit.store.memory import MemoryStore
from gamekit.testing.chain import FakeChain
from gamekit.testing.contracts import Executed
from gamekit.testing.scenery import ENTRY_POINT, MODULE, NO_STAMINA, OPENER, OWNER_VALIDATOR, Keys, arena, config
from gamekit.units import Address, Cursor, Gas, PermissionId, PlayerId, UserOpHash

OWNER = Address(b"\x0b" * 20)
ALICE = PlayerId("alice")


class HandClock:
    """Moves when a test moves it."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class World:
    """A chain, a journal and a kit."""

    def __init__(
        self,
        keys: Keys,
        settings: Config | None = None,
        before_action: BeforeAction | None = None,
        games: Sequence[Game] = (),
    ) -> None:
        self.games = games or (self._game(),)
        self.keys = keys
        self.config = settings or config()
        self.before_action = before_action
        self.chain = self._chain()
        self.chain.mine(5)
        self.clock = HandClock()
        self.store = MemoryStore(KINDS)
        self.kit = self._kit()
        self.signed: list[bytes] = []
        """Every digest that the session keys signed, in order."""

    def _chain(self) -> FakeChain:
        return FakeChain(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)

    def _game(self) -> Game:
        return arena()

    def _sponsors(self) -> dict[Address, Any]:
        return {}

    def _kit(self) -> GameKit:
        async def close() -> None:
            return None

        signer = LocalSigner(self.keys.keystore)
        sign_many = signer.sign_many

        def watched(keys: Any, digests: Any) -> list[bytes]:
            self.signed.extend(digests)
            return sign_many(keys, digests)

        signer.sign_many = watched  # type: ignore[method-assign]
        ports = Ports(self.store, self.chain, self.chain, signer, self.keys.keystore, self.keys.pool, self.keys.apart,
                      self.clock, close, self._sponsors())  # fmt: skip
        return GameKit(self.config, self.games, ports, before_action=self.before_action)

    async def start(self) -> None:
        """What `kit.start` does, without its loops."""
        await self.kit._recover()

    async def restart(self) -> None:
        """The process dies and another one starts on the same journal, keys and chain."""
        self.kit = self._kit()
        await self.start()

    def refuse(self, which: Callable[[Sequence[Row]], object], times: int = 1) -> list[Sequence[Row]]:
        """The disk refuses the next commits of a kind; gives what it refused."""
        commit, refused = self.store.commit, list[Sequence[Row]]()

        def full(rows: Sequence[Row]) -> Future[None]:
            if len(refused) == times or not which(rows):
                return commit(rows)
            refused.append(rows)
            answer = asyncio.get_running_loop().create_future()
            answer.set_exception(StoreUnavailable("disk full"))
            return answer

        self.store.commit = full  # type: ignore[method-assign]
        return refused

    def refuse_slowly(self, which: Callable[[Sequence[Row]], object]) -> Callable[[], None]:
        """The same for one commit, when the test says so; all that come after it wait, as they do for a disk."""
        commit, held = self.store.commit, list[Future[None]]()

        def slow(rows: Sequence[Row]) -> Future[None]:
            if held and not held[0].done():
                answer = asyncio.get_running_loop().create_future()
                held[0].add_done_callback(lambda _: commit(rows).add_done_callback(lambda _: answer.set_result(None)))
                return answer
            if held or not which(rows):
                return commit(rows)
            held.append(asyncio.get_running_loop().create_future())
            return held[0]

        self.store.commit = slow  # type: ignore[method-assign]
        return lambda: held[0].set_exception(StoreUnavailable("disk full"))

    def bend(self, question: Function, answer: bytes | None) -> None:
        """The node answers every call of a function with this from now on; None is no answer."""
        call = self.chain.call

        async def bent(to: Address, data: bytes, **how: Any) -> bytes:
            if data[:4] != question.selector:
                return await call(to, data, **how)
            if answer is None:
                raise ChainUnavailable("no answer")
            return answer

        self.chain.call = bent  # type: ignore[method-assign]

    def no_estimate(self, about: bytes) -> None:
        """The node gives no estimate for what names these bytes: geth's word for a call that takes all the gas."""
        estimate = self.chain.estimate_gas

        async def refusing(to: Address, data: bytes, **how: Any) -> Gas:
            if about in data:
                raise ChainUnavailable("eth_estimateGas: gas required exceeds allowance (30000000) (-32000)")
            return await estimate(to, data, **how)

        self.chain.estimate_gas = refusing  # type: ignore[method-assign]

    async def open(
        self, player: PlayerId = ALICE, owner: Address = OWNER, *, game: str = "arena", unit: str = "play"
    ) -> PermissionId:
        """Propose, sign, grant: a session that plays."""
        request = await self.kit.propose(player, game, unit, owner)
        await self.kit.open(request.permission_id, b"owner's signature")
        await self.block()
        assert self.kit.session_row(request.permission_id).state == "open"
        return request.permission_id

    async def act(self, session: PermissionId, *keys: str, **changes: Any) -> list[Any]:
        """Ask for one `attack` for each key; what was asked of one key is always the same."""
        answers = await self.kit.accept(session, [attack(key, **changes) for key in keys])
        return list(answers)

    async def accepted(self, session: PermissionId, *keys: str, **changes: Any) -> list[Accepted]:
        """The same, where every action must be accepted."""
        answers = await self.act(session, *keys, **changes)
        for answer in answers:
            if isinstance(answer, GamekitError):
                raise answer
        return answers

    async def sign(self) -> None:
        """One turn of dispatch: sign for every lane that may have an operation."""
        dispatch = self.kit._dispatch
        due, dispatch._due = dispatch._due, []
        for lane in due:
            lane.scheduled = False
        await dispatch.sign(due)

    async def send(self) -> None:
        """One turn of the bundler."""
        await self.kit._bundler.send_queued()

    async def step(self) -> bool:
        """One turn of settle."""
        return await self.kit._settle.step()

    async def block(self, count: int = 1, **how: Any) -> None:
        """Blocks, each of them read."""
        for _ in range(count):
            self.chain.mine(**how)
            await self.step()

    async def turn(self, count: int = 1, **how: Any) -> None:
        """What happens between two blocks, and the block."""
        for _ in range(count):
            await self.sign()
            await self.send()
            await self.block(**how)

    async def quiet(self, turns: int = 80) -> None:
        """Go on until nothing is in flight and nothing waits."""
        for _ in range(turns):
            await self.turn()
            if not any(lane.ready or lane.slots or lane.accepting for lane in self.kit.state.lanes.values()):
                return
        raise AssertionError(f"not quiet after {turns} turns: {list(self.kit.state.lanes.values())}")

    def lane(self, session: PermissionId) -> Lane:
        return self.kit.state.lanes[session]

    async def action(self, key: str) -> Action:
        """The journal's row of an action."""
        return next(row for row in await self.store.select(Action) if row.key == key)

    async def states(self) -> dict[str, str]:
        return {row.key: row.state for row in await self.store.select(Action)}

    async def operations(self) -> list[Operation]:
        return await self.store.select(Operation)

    async def events(self, *kinds: str) -> list[Event]:
        """The durable events of these kinds; all without."""
        return [event for event in await self.kit.events_since(Cursor(0)) if not kinds or event.kind in kinds]

    async def told(self, key: str) -> list[str]:
        """The kinds of all events that name an action, in order."""
        kinds = []
        for event in await self.events("settled", "reorged", "final", "refused"):
            form = RefusedEvent if event.kind == "refused" else OperationEvent
            body = cast("OperationEvent | RefusedEvent", msgspec.msgpack.decode(event.body, type=form))
            kinds += [event.kind for action in body.actions if action.key == key]
        return kinds

    def ran(self) -> list[int]:
        """The targets of the attacks that the canonical chain ran, in order."""
        return [target_of(each) for each in self.chain.executed]

    async def check(self) -> None:
        """At quiescence: every accepted action ran exactly once, or was refused and never ran."""
        ran = self.ran()
        for row in await self.store.select(Action):
            expected = {"ok": 1, "reverted": 1, "refused": 0}[row.state]
            found = ran.count(target_of(row.call))
            assert found == expected, f"{row.key} is {row.state} and ran {found} times"


async def turns() -> None:
    """Let everything go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def released(rows: Sequence[Row]) -> bool:
    """Whether a commit is what must be on disk before a relayer's transaction leaves."""
    return any(isinstance(row, RelayTransaction) and row.state == "sent" and not row.mined_at_block for row in rows)


def writes(kind: type[Row], *states: str) -> Callable[[Sequence[Row]], bool]:
    """Whether a commit has a row of a kind, in one of these states."""
    return lambda rows: any(isinstance(row, kind) and getattr(row, "state", "") in states for row in rows)


def attack(key: str, **changes: Any) -> ActionRequest:
    """An attack whose target names its key, so that the chain shows whose it is."""
    return ActionRequest(key, "attack", (int.from_bytes(key.encode(), "big"), 1), **changes)


def target_of(what: Executed | Call) -> int:
    call = what.call if isinstance(what, Executed) else what
    return int.from_bytes(call.data[4:36], "big")


def targets(*keys: str) -> list[int]:
    return [int.from_bytes(key.encode(), "big") for key in keys]


def reverting(*keys: str) -> Any:
    """What to set as `chain.reverts`: the attacks of these keys revert with NoStamina."""
    wanted = set(targets(*keys))
    return lambda call: NO_STAMINA.encode(9, 1) if int.from_bytes(call.data[4:36], "big") in wanted else None


def hashes(operations: Iterable[Operation]) -> Sequence[UserOpHash]:
    return [operation.user_op_hash for operation in operations]
