"""Players: clients who live outside the server, ask again by key when it goes away, and write down what they hear."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from gamekit.core.action import ActionRequest
from gamekit.errors import GamekitError, IdempotencyConflict, Outcome, SessionNotFound
from gamekit.eth.calldata import Call
from gamekit.eth.hashing import keccak256
from gamekit.kit import GameKit
from gamekit.runtime.intake import Answer
from gamekit.testing.contracts import OWNERS_SIGNATURE
from gamekit.testing.ledger import Entry, Ledger
from gamekit.testing.life import Gone
from gamekit.testing.witness import Witness
from gamekit.units import Address, PermissionId, PlayerId, UnixSeconds

T = TypeVar("T")

PATIENCE = 400
"""Attempts after which a player gives up asking; the server is not expected to be away for so long."""


class Server(Protocol):
    """What a player reaches; `simulation.Simulation` satisfies it by its shape."""

    ledger: Ledger
    witness: Witness

    async def ask(self, request: Callable[[GameKit], Awaitable[T]]) -> T:
        """Ask the server. Raises Gone when it goes away first."""
        ...

    def encode(self, function: str, arguments: Sequence[object]) -> Call:
        """Write a call of the game."""
        ...

    def new_number(self) -> int:
        """A number that no other action has."""
        ...

    def now(self) -> int:
        """Chain time, unix seconds."""
        ...


class Player:
    """One player with one session."""

    def __init__(self, server: Server, name: str, chance: random.Random) -> None:
        self.name = PlayerId(name)
        self.owner = Address(keccak256(name.encode())[12:])
        self.session: PermissionId | None = None
        self._server = server
        self._chance = chance

    async def open(self, unit: str = "play") -> PermissionId:
        """Open a session: whatever the server forgets, the player asks for again."""
        proposed: PermissionId | None = None
        for _ in range(PATIENCE):
            try:
                if proposed is None:
                    request = await self._server.ask(lambda kit: kit.propose(self.name, "arena", unit, self.owner))
                    proposed = request.permission_id
                await self._server.ask(partial(_open, permission_id=proposed))
            except SessionNotFound:
                proposed = None
            except (Gone, GamekitError):
                await asyncio.sleep(self._chance.uniform(0.2, 1.5))
            else:
                self.session = proposed
                return proposed
        raise TimeoutError(f"{self.name} could not open a session")

    async def play(self, actions: int, pace_s: float = 0.8) -> None:
        """Ask for so many actions, one frame after the other: single, together, in groups, twice, with time limits."""
        asked: list[ActionRequest] = []
        while len(asked) < actions:
            roll = self._chance.random()
            if roll < 0.1 and asked:
                await self.ask(self._chance.choice(asked), again=True)
            elif roll < 0.15 and asked:
                await self.cancel(self._chance.choice(asked).key)
            else:
                frame = self._frame(1 if roll < 0.6 else self._chance.randint(2, 3), grouped=roll > 0.85)
                asked += frame
                await self.send(frame)
            await asyncio.sleep(self._chance.uniform(0, 2 * pace_s))

    def attack(self, **changes: object) -> ActionRequest:
        """An attack that the chain shows to be this one."""
        number = self._server.new_number()
        return ActionRequest(f"{self.name}:{number}", "attack", (number, 1), **changes)  # type: ignore[arg-type]

    def _frame(self, count: int, *, grouped: bool) -> list[ActionRequest]:
        group = f"group{self._server.new_number()}" if grouped else ""
        late = UnixSeconds(self._server.now() + self._chance.randint(1, 40) if self._chance.random() < 0.1 else 0)
        return [self.attack(group=group, not_after=late) for _ in range(count)]

    async def ask(self, request: ActionRequest, *, again: bool = False) -> Entry:
        """Ask for one action."""
        await self.send([request], again=again)
        return self._server.ledger.entries[request.key]

    async def send(self, frame: Sequence[ActionRequest], *, again: bool = False) -> None:
        """Send one frame, and send it again until every action of it has an answer that stands."""
        for _ in range(PATIENCE):
            if await self.try_once(frame, again=again):
                return
            await asyncio.sleep(self._chance.uniform(0.1, 1.0))

    async def try_once(self, frame: Sequence[ActionRequest], *, again: bool = False) -> bool:
        """Send one frame once; whether every action of it has an answer that stands."""
        session = self._session()
        for request in frame:
            if request.key not in self._server.ledger.entries:
                call = self._server.encode(request.function, request.arguments)  # type: ignore[arg-type]
                self._server.ledger.ask(request.key, call.data)
        try:
            answers = await self._server.ask(lambda kit: kit.accept(session, frame))
        except (Gone, GamekitError):
            return False
        return not self._take(frame, answers, again=again)

    def _take(self, frame: Sequence[ActionRequest], answers: Sequence[Answer], *, again: bool) -> bool:
        """Write down what was answered; whether something must be asked again."""
        unsure = False
        for request, answer in zip(frame, answers, strict=True):
            entry = self._server.ledger.entries[request.key]
            if isinstance(answer, GamekitError):
                unsure |= answer.outcome is not Outcome.FINAL
                if answer.outcome is Outcome.FINAL and (entry.accepted or isinstance(answer, IdempotencyConflict)):
                    self._server.witness.fail("I2", f"{entry.key} was accepted, and later answered {answer.code}")
                elif answer.outcome is Outcome.FINAL:
                    entry.denied = answer.code
            else:
                self._server.witness.on_answer(self._session(), request.key, answer.action_id)
                if (entry.accepted not in (0, answer.action_id)) or (again and not answer.duplicate and entry.accepted):
                    text = f"{entry.key} was accepted as {entry.accepted}, and again as {answer.action_id}"
                    self._server.witness.fail("I2", text)
                entry.accepted = answer.action_id
        return unsure

    async def cancel(self, key: str) -> None:
        """Try to take an action back, once."""
        session = self._session()
        try:
            await self._server.ask(lambda kit: kit.cancel(session, key))
        except (Gone, GamekitError):
            return

    async def revoke(self) -> None:
        """End the session, however often it must be asked for."""
        session = self._session()
        for _ in range(PATIENCE):
            try:
                answer = await self._server.ask(lambda kit: kit.revoke(session))
                self._server.witness.on_revocation(session, answer.dead_by)
            except SessionNotFound:
                return
            except (Gone, GamekitError):
                await asyncio.sleep(self._chance.uniform(0.1, 1.0))
            else:
                return

    def _session(self) -> PermissionId:
        if self.session is None:
            raise TimeoutError(f"{self.name} has no session")
        return self.session


async def _open(kit: GameKit, permission_id: PermissionId) -> None:
    await kit.open(permission_id, OWNERS_SIGNATURE)
    await kit.opened(permission_id, timeout=60)
