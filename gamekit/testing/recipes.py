"""How to bring a server to each named crash point, soon: what a player, the chain or an operator must do for it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gamekit.errors import GamekitError
from gamekit.testing.chain import GENESIS_AT
from gamekit.testing.ledger import Entry
from gamekit.testing.life import Gone
from gamekit.testing.nature import STILL, Nature
from gamekit.testing.players import Player
from gamekit.testing.scenery import ARENA
from gamekit.testing.simulation import Simulation
from gamekit.units import UnixSeconds, Wei

LONG_S: Final = 60
"""Seconds between two blocks that make every deadline pass."""


FINISH_S: Final = 120
"""Virtual seconds within which an action must have its last event, whatever happened to the server meanwhile."""
SESSION_S: Final = 200
"""A hero plays so long at most, in chain time; the session would last ten minutes, and some recipes take three."""


class Scene:
    """A world with one player who has a session, and whatever has been done to it."""

    def __init__(self, simulation: Simulation, hero: Player) -> None:
        self.simulation = simulation
        self.hero = hero
        self.guests = 0
        self._hero_since = simulation.now()

    async def renew(self) -> None:
        """Give the hero's part to somebody else, if the hero's session ends soon."""
        if self.simulation.now() - self._hero_since > SESSION_S:
            self.hero = await self.guest()
            await self.hero.open()
            self._hero_since = self.simulation.now()

    async def guest(self) -> Player:
        """Somebody new, who has no session yet."""
        self.guests += 1
        return self.simulation.player(f"guest{self.guests}")

    async def play(self) -> None:
        """One action, to its last event."""
        await self.finish(await self.hero.ask(self.hero.attack()))

    async def finish(self, entry: Entry) -> None:
        """Wait for an action's last event."""
        for _ in range(FINISH_S):
            if entry.is_done or entry.denied:
                return
            await asyncio.sleep(1)
        what = f"{entry.key} has no last event after {FINISH_S} s: {[each.kind for each in entry.told]}"
        self.simulation.witness.fail("I1", what)

    async def wait(self, blocks: int = 1) -> None:
        """Let blocks come."""
        await self.simulation.blocks(blocks)


async def play(scene: Scene) -> None:
    """An action from its acceptance to final."""
    await scene.play()


async def open_session(scene: Scene) -> None:
    """Somebody opens a session."""
    await (await scene.guest()).open()


async def open_for_good(scene: Scene) -> None:
    """Somebody opens a session, and the transaction of its grant becomes final."""
    await open_session(scene)
    await scene.wait(scene.simulation.chain.finality + 1)


async def revoke_session(scene: Scene) -> None:
    """Somebody opens a session and revokes it."""
    guest = await scene.guest()
    await guest.open()
    await guest.revoke()
    await scene.wait(3)


async def let_lapse(scene: Scene) -> None:
    """Somebody proposes a session and never signs; its deadline passes."""
    guest = await scene.guest()
    try:
        await scene.simulation.ask(lambda kit: kit.propose(guest.name, "arena", "play", guest.owner))
    except (Gone, GamekitError):
        return
    for _ in range(2 + scene.simulation.chain.finality):
        scene.simulation.chain.mine(seconds=scene.simulation.config.sessions.grant_deadline_s // 4)
    await scene.wait(2)


async def refuse(scene: Scene) -> None:
    """An action whose own time has passed when its turn comes."""
    await scene.hero.send([scene.hero.attack(not_after=UnixSeconds(GENESIS_AT))])
    await scene.wait()


async def reject(scene: Scene) -> None:
    """An account that cannot pay, and then can."""
    simulation, hero = scene.simulation, scene.hero
    session = hero.session
    accounts = [row.account for row in (await simulation.serving()).sessions() if row.permission_id == session]
    simulation.chain.deposits = dict.fromkeys(accounts, Wei(1))
    entry = await hero.ask(hero.attack())
    await scene.wait()
    simulation.chain.deposits = {}
    await scene.finish(entry)


async def take_back(scene: Scene) -> None:
    """A reorg takes back an action that was settled."""
    entry = await scene.hero.ask(scene.hero.attack())
    for _ in range(20):
        if entry.told:
            break
        await asyncio.sleep(0.5)
    scene.simulation.chain.reorg(2)
    await scene.wait(2)


async def replace_transaction(scene: Scene) -> None:
    """Blocks that take nothing, until fees are raised."""
    simulation = scene.simulation
    simulation.rage(Nature(skip=1.0))
    await scene.hero.send([scene.hero.attack()])
    await scene.wait(5)
    simulation.rage(STILL)
    await scene.wait()


async def free(scene: Scene) -> None:
    """An operation that nobody mines until its deadline has passed in final time."""
    chain = scene.simulation.chain
    await scene.hero.send([scene.hero.attack()])
    await asyncio.sleep(0.5)
    for _ in range(chain.finality + 3):
        chain.drop()
        chain.mine(empty=True, seconds=LONG_S)
    await asyncio.sleep(1)
    await scene.wait()


async def upgrade_game(scene: Scene) -> None:
    """The game's contract changes its code: gamekit pauses; an operator goes on."""
    simulation = scene.simulation
    simulation.chain.codes[ARENA] = b"\x60" * (2 + simulation.new_number() % 64)
    await scene.wait(simulation.config.pause.code_check_blocks + 2)
    await resume(scene)


async def resume(scene: Scene) -> None:
    """An operator ends every pause."""

    async def all_of_them(kit: object) -> None:
        for pause in list(kit.state.pauses):  # type: ignore[attr-defined]
            await kit.resume(pause.subject, "the scene", "operator")  # type: ignore[attr-defined]

    try:
        await scene.simulation.ask(all_of_them)
    except (Gone, GamekitError):
        return


async def pause(scene: Scene) -> None:
    """An operator pauses the game, and goes on."""
    try:
        await scene.simulation.ask(lambda kit: kit.pause("game:arena", "the scene", "operator"))
    except (Gone, GamekitError):
        return
    await resume(scene)


async def repeat(scene: Scene) -> None:
    """The same key twice, while the first is on its way to disk."""
    request = scene.hero.attack()
    await asyncio.gather(scene.hero.send([request]), scene.hero.send([request]))


Recipe = Callable[[Scene], Awaitable[None]]

_BY_COMMIT: Final[Mapping[str, Recipe]] = {
    "taken back": take_back,
    "freed": free,
    "refused": refuse,
    "rejected": reject,
    "alarm": reject,
    "replaced": replace_transaction,
    "proposed": open_session,
    "granting": open_session,
    "grant sent": open_session,
    "opened": open_session,
    "revoking": revoke_session,
    "revocation sent": revoke_session,
    "revoked": revoke_session,
    "ended": let_lapse,
    "transaction moved": open_for_good,
    "code": upgrade_game,
    "paused": pause,
    "nothing": repeat,
}


def recipe_for(point: str) -> Recipe:
    """What brings a server to a point; an action and everything that follows from it, for the most."""
    return _BY_COMMIT.get(point.partition(" commit ")[2], play)
