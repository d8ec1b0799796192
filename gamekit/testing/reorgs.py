"""Worlds whose chain reorganises, by any depth, when an action or a session has got exactly so far.

How far it is says the journal: the reorg comes in the very step in which a commit has become durable, before the server
hears of it, or once what was sent waits in the pool. A case that does not get there proves nothing, and says so.
"""

import asyncio
import random
from asyncio import Future, Task
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from gamekit.core.action import ACCEPTED, OK, REVERTED, Action
from gamekit.core.journal import Row
from gamekit.core.pausing import FINALITY
from gamekit.core.relay import RelayTransaction
from gamekit.core.session import GRANTING, OPEN, REVOKED, REVOKING, Session
from gamekit.core.tracking import DEAD, FINAL, INCLUDED, PLANNED, SIGNED, Operation
from gamekit.errors import GamekitError
from gamekit.testing.chain import BLOCK_S
from gamekit.testing.life import Gone
from gamekit.testing.nature import STILL, Nature
from gamekit.testing.planting import Sow
from gamekit.testing.players import Player
from gamekit.testing.scenery import chain_config
from gamekit.testing.simulation import Simulation, Workshop, settings

DEPTH_MAX: Final = 64
EMPTY: Final = Nature(skip=1.0)
"""Blocks that take nothing."""
PATIENCE_S: Final = 200
"""Virtual seconds within which a state is reached, or the case proves nothing."""


def _is(kind: type[Action | Operation | Session], *states: str) -> Callable[[Row], bool]:
    return lambda row: isinstance(row, kind) and row.state in states


class Scene:
    """One world, and the player to whom it happens."""

    def __init__(self, simulation: Simulation, hero: Player, *, sideways: bool) -> None:
        self.simulation = simulation
        self.hero = hero
        self.sideways = sideways
        """Whether the reorg is to mine another attempt: then there must be two."""
        self.asking: list[Task[Any]] = []
        """What the player still waits for."""

    def later(self, request: Coroutine[Any, Any, object]) -> None:
        """Let the player ask for something, and do not wait for the answer."""
        self.asking.append(asyncio.ensure_future(request))

    def next(self, wanted: Callable[[Row], bool]) -> "Future[Row]":
        """A row that will be durable."""
        return self.simulation.witness.next_row(wanted)

    async def until(self, row: "Future[Row]") -> None:
        """Wait for it, and go on in the same step. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            await row

    async def attack(self, wanted: Callable[[Row], bool]) -> None:
        """Ask for the action that the reorg is about, and wait for a row that follows from it."""
        row = self.next(wanted)
        self.later(self.hero.ask(self.hero.attack()))
        await self.until(row)

    async def flying(self) -> None:
        """Ask for it, and wait until its transaction is in the pool; sideways, a second attempt as well."""
        self.later(self.hero.ask(self.hero.attack()))
        await self.sent()
        if self.sideways:
            await self.replaced()

    async def sent(self) -> None:
        """Wait until something is in the pool. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.simulation.chain.pending:
                await asyncio.sleep(0.01)

    async def replaced(self) -> None:
        """Wait, while blocks take nothing, until what was sent is outbid, and the pool has that."""
        chain = self.simulation.chain
        self.simulation.rage(EMPTY)
        await self.until(self.next(lambda row: isinstance(row, RelayTransaction) and row.attempt > 0))
        async with asyncio.timeout(PATIENCE_S):
            while not any(len(chain.seen.get((tx.sender, tx.nonce), ())) > 1 for tx in chain.pending):
                await asyncio.sleep(0.01)
        self.simulation.rage(STILL)

    async def landed(self, wanted: Callable[[Row], bool]) -> None:
        """Send it, and wait for a row that follows from its block."""
        row = self.next(wanted)
        await self.flying()
        await self.until(row)


async def accepted(scene: Scene) -> None:
    """On disk, and nobody has been told."""
    await scene.attack(_is(Action, ACCEPTED))


async def planned(scene: Scene) -> None:
    """Its slot is on disk, and nothing is signed."""
    await scene.attack(_is(Operation, PLANNED))


async def signed(scene: Scene) -> None:
    """Its signature is on disk, and has not left."""
    await scene.attack(_is(Operation, SIGNED))


async def sent(scene: Scene) -> None:
    """In the pool."""
    await scene.flying()


async def replaced(scene: Scene) -> None:
    """In the pool, with both fees raised."""
    scene.later(scene.hero.ask(scene.hero.attack()))
    await scene.replaced()


async def included(scene: Scene) -> None:
    """In a block that is not deep enough to tell anybody."""
    await scene.landed(_is(Operation, INCLUDED))
    if any(row.state in (OK, REVERTED) for row in scene.simulation.witness.actions()):
        raise TimeoutError("it was settled as soon as it was included")


async def settled(scene: Scene) -> None:
    """Its outcome is on disk, and not final."""
    await scene.landed(_is(Action, OK, REVERTED))


async def settled_twice(scene: Scene) -> None:
    """So are two more, of a second operation."""
    await settled(scene)
    row = scene.next(_is(Action, OK, REVERTED))
    scene.later(scene.hero.send([scene.hero.attack(), scene.hero.attack()]))
    await scene.until(row)


async def final(scene: Scene) -> None:
    """Its block is final."""
    await settled(scene)
    row = scene.next(_is(Operation, FINAL))
    scene.simulation.chain.mine(scene.simulation.chain.finality)
    await scene.until(row)


async def dead(scene: Scene) -> None:
    """Its deadline has passed in final time; the action waits for another operation."""
    chain = scene.simulation.chain
    await scene.flying()
    row = scene.next(_is(Operation, DEAD))
    chain.drop()
    chain.mine(empty=True, seconds=2 * scene.simulation.config.batch.deadline_s)
    chain.mine(chain.finality + 1, empty=True)
    await scene.until(row)


async def resigned(scene: Scene) -> None:
    """Signed a second time for the same slot: the first deadline was near."""
    scene.simulation.rage(EMPTY)
    await scene.attack(_is(Operation, SIGNED))
    await scene.until(scene.next(_is(Operation, SIGNED)))
    scene.simulation.rage(STILL)
    if scene.sideways:
        await scene.until(scene.next(_is(Operation, INCLUDED)))


async def granting(scene: Scene) -> None:
    """The owner has signed the grant, and no relayer has sent it."""
    row = scene.next(_is(Session, GRANTING))
    scene.later(scene.hero.open())
    await scene.until(row)


async def opened(scene: Scene) -> None:
    """The grant is in a block that is deep enough for play."""
    row = scene.next(_is(Session, OPEN))
    scene.later(scene.hero.open())
    if scene.sideways:
        await scene.replaced()
    await scene.until(row)


async def revoking(scene: Scene) -> None:
    """The revocation is on disk, and an operation in the pool."""
    await scene.flying()
    row = scene.next(_is(Session, REVOKING))
    scene.later(scene.hero.revoke())
    await scene.until(row)


async def revoked(scene: Scene) -> None:
    """The revocation is in a block."""
    await revoking(scene)
    await scene.until(scene.next(_is(Session, REVOKED)))


SESSIONS: Final = (granting, opened)
"""States of a session that nobody plays yet."""
STATES: Final[tuple[Callable[[Scene], Awaitable[None]], ...]] = (
    *(accepted, planned, signed, sent, replaced, included, settled, settled_twice, final, dead, resigned),
    *(*SESSIONS, revoking, revoked),
)
"""How far an action or a session is when the chain reorganises."""


def reorgs(shop: Workshop, seed: int, case: int, sow: Sow | None) -> Simulation:
    """A reorg of each depth, at each state, straight and sideways: case 0 is the first of them.

    By chance the server is down when it comes, what was in the blocks is in no pool any more, the session's grant is
    among it, a second reorg follows, and final blocks are among them: then the server stops, reads all again from the
    last block that is left, and an operator lets it go on. What was given up by final blocks is never among those:
    nothing could keep it from landing.
    """
    depth = case // (2 * len(STATES)) % DEPTH_MAX + 1
    state, sideways = STATES[case // 2 % len(STATES)], bool(case % 2)
    config = settings(chain=chain_config(poll_ms=300, included_depth=2))
    simulation = Simulation(shop, f"{seed}/reorgs/{case}", plant=sow, config=config)
    dice = random.Random(f"{seed}/reorgs/{case}")
    down, forget, grant_too, again = (dice.random() < share for share in (0.5, 0.3, 0.3, 0.3))
    is_beyond = state is not dead and depth > 1 and dice.random() < (0.5 if state is final else 0.25)
    simulation.chain.finality = depth // 2 if is_beyond else depth + 6

    async def story() -> None:
        await simulation.serving()
        simulation.chain.mine(depth + 1)
        await simulation.blocks(1)  # Whatever goes, the journal has read a block below it.
        scene = Scene(simulation, simulation.player("ada"), sideways=sideways)
        if state not in SESSIONS:
            await scene.hero.open()
            if not grant_too:
                simulation.chain.mine(depth)
                await simulation.blocks(1)
        try:
            await state(scene)
        except TimeoutError as error:
            simulation.witness.fail("unreached", f"{state.__name__}: {error}")
            return
        if down:
            simulation.crash()
        simulation.chain.reorg(depth, sideways=sideways, forget=forget)
        simulation.sky.count(f"reorg{' sideways' if sideways else ''}{' while down' if down else ''}")
        operator = asyncio.ensure_future(_let_go_on(simulation))
        await simulation.blocks(1)
        if again:
            simulation.chain.reorg(depth, forget=forget)
            simulation.sky.count("reorg again")
        await asyncio.gather(*scene.asking)
        await scene.hero.send([scene.hero.attack()])
        await simulation.rest()
        operator.cancel()

    return simulation.lived(story())


async def _let_go_on(simulation: Simulation) -> None:
    """An operator, who looks at each stop because finality was broken."""
    while True:
        kit = await simulation.serving()
        if FINALITY in kit.state.pauses:
            simulation.sky.count("reorg below final")
            with suppress(Gone, GamekitError):
                await simulation.ask(lambda kit: kit.resume(FINALITY, "looked at", "olga"))
        await asyncio.sleep(BLOCK_S)


__all__ = ["DEPTH_MAX", "STATES", "reorgs"]
