"""One world of each campaign beside the crashes: reorgs, poison, revocations, budgets, disks.

Each function lives through one case and gives the world; what does not hold is among the witness's breaks.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from math import ceil, log2
from typing import Final

from gamekit.config import BatchConfig
from gamekit.core.action import ActionRequest
from gamekit.core.pausing import FINALITY
from gamekit.errors import GamekitError
from gamekit.eth.calldata import Call
from gamekit.testing.budgets import budget, gas
from gamekit.testing.chain import BLOCK_S
from gamekit.testing.life import Gone
from gamekit.testing.nature import STILL, WILD, Nature
from gamekit.testing.network import CALM, ROUGH
from gamekit.testing.planting import Sow
from gamekit.testing.players import Player
from gamekit.testing.simulation import Simulation, Workshop, settings

DEPTH_MAX: Final = 64
EMPTY: Final = Nature(skip=1.0)
"""Blocks that take nothing."""
STATES: Final = ("accepted", "signed", "sent", "replaced", "included", "settled", "settled twice", "resigned")
"""How far an action is when the chain reorganises."""


def reorgs(shop: Workshop, seed: int, case: int, sow: Sow | None) -> Simulation:
    """A reorg of each depth, at each state of an action, straight and sideways: case 0 is the first of them.

    By chance the server is down when it comes, what was in the blocks is in no pool any more, and final blocks are
    among them: then the server stops, reads all again from the last block that is left, and an operator lets it go on.
    """
    depth = case // (2 * len(STATES)) % DEPTH_MAX + 1
    state, sideways = STATES[case // 2 % len(STATES)], bool(case % 2)
    simulation = Simulation(shop, f"{seed}/reorgs/{case}", plant=sow)
    dice = random.Random(f"{seed}/reorgs/{case}")
    down, forget = dice.random() < 0.5, dice.random() < 0.3
    is_beyond = depth > 1 and dice.random() < 0.25
    simulation.chain.finality = depth // 2 if is_beyond else depth + 6

    async def story() -> None:
        hero = await simulation.join("ada")
        simulation.chain.mine(depth)
        await simulation.blocks(1)
        await _bring_to(simulation, hero, state)
        if down:
            simulation.crash()
        simulation.chain.reorg(depth, sideways=sideways, forget=forget)
        simulation.sky.count(f"reorg{' sideways' if sideways else ''}{' while down' if down else ''}")
        operator = asyncio.ensure_future(_let_go_on(simulation))
        await simulation.blocks(1)
        await hero.send([hero.attack()])
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


async def _bring_to(simulation: Simulation, hero: Player, state: str) -> None:
    chain = simulation.chain
    if state in ("replaced", "resigned"):
        simulation.rage(EMPTY)
    entry = await hero.ask(hero.attack())
    if state == "accepted":
        return
    if state == "signed":
        await asyncio.sleep(0.03)
    elif state == "sent":
        while not chain.pending and not entry.told:
            await asyncio.sleep(0.01)
    elif state in ("replaced", "resigned"):
        await simulation.blocks(4 if state == "replaced" else 10)
        simulation.rage(STILL)
        await simulation.blocks(1)
    else:
        while not entry.told:
            await asyncio.sleep(0.1)
        if state != "included":
            await simulation.blocks(1)
        if state == "settled twice":
            await hero.send([hero.attack(), hero.attack()])
            await simulation.blocks(1)


def revoke(shop: Workshop, seed: int, case: int, sow: Sow | None) -> Simulation:
    """Four players; each session is revoked at a random moment of its play."""
    dice = random.Random(f"{seed}/revoke/{case}")
    simulation = Simulation(shop, f"{seed}/revoke/{case}", plant=sow)

    async def play_and_revoke(player: Player) -> None:
        playing = asyncio.ensure_future(player.play(12, 0.4))
        await asyncio.sleep(dice.uniform(0.0, 8.0))
        await player.revoke()
        await playing

    async def story() -> None:
        players = [await simulation.join(name) for name in ("ada", "bob", "cem", "dea")]
        simulation.rage(dice.choice([STILL, WILD]), dice.choice([CALM, ROUGH]))
        await asyncio.gather(*(play_and_revoke(player) for player in players))
        await simulation.rest()

    return simulation.lived(story())


def poison(shop: Workshop, seed: int, case: int, sow: Sow | None) -> Simulation:
    """Eight players, of whose actions one in a hundred burns the gas of its batch, and a ninth with an evil account.

    That account agrees to its operations when it is asked, and makes every bundle revert once it is mined. Nobody else
    may notice either, and an action that burns costs its batch few further operations.
    """
    simulation = Simulation(shop, f"{seed}/poison/{case}", plant=sow, config=settings(batch=LOOKING_AHEAD))
    dice = random.Random(f"{seed}/poison/{case}")
    burning: set[bytes] = set()

    async def play(player: Player) -> None:
        for _ in range(FRAMES):
            frame = [player.attack() for _ in range(FRAME)]
            worst = {request.key for request in frame if dice.random() < POISONED}
            for request in frame:
                if request.key in worst:
                    burning.add(_call(simulation, request).data)
                    simulation.sky.count("burning action")
            await player.send(frame)
            await asyncio.sleep(INNOCENT_S)
            _judge_frame(simulation, frame, worst)

    async def story() -> None:
        simulation.chain.burns = lambda call: call.data in burning
        players = [await simulation.join(f"player{number}") for number in range(8)]
        villain = await simulation.join("villain")
        kit = await simulation.serving()
        simulation.chain.treacherous = {row.account for row in kit.sessions() if row.permission_id == villain.session}
        simulation.sky.count("evil account")
        await asyncio.gather(villain.play(4, 0.4), *map(play, players))
        simulation.chain.treacherous = set()
        await simulation.rest()

    return simulation.lived(story())


def _judge_frame(simulation: Simulation, frame: Sequence[ActionRequest], worst: set[str]) -> None:
    """No action of a frame waits for somebody else's, or is undone by it; its operations are few."""
    entries = [simulation.ledger.entries[request.key] for request in frame]
    operations = {told.user_op_hash for entry in entries for told in entry.told}
    most = 1 + len(worst) * OPERATIONS_PER_POISON
    if len(operations) > most:
        simulation.witness.fail("I1", f"{len(operations)} operations for a frame with {len(worst)} poisons")
    for request, entry in zip(frame, entries, strict=True):
        if entry.accepted and not entry.told:
            simulation.witness.fail("I1", f"{entry.key} is held up by a neighbour's poison")
        is_innocent = entry.key not in worst and simulation.chain.reverts(_call(simulation, request)) is None
        if is_innocent and any(not told.ok for told in entry.told):
            simulation.witness.fail("I1", f"{entry.key} is undone by a neighbour's poison")


def _call(simulation: Simulation, request: ActionRequest) -> Call:
    return simulation.encode(request.function, list(request.arguments))


POISONED: Final = 0.01
FRAME: Final = 8
FRAMES: Final = 5
LOOKING_AHEAD: Final = BatchConfig(calls_max=FRAME, deadline_s=24, resign_below_s=8, simulate="always")
OPERATIONS_PER_POISON: Final = ceil(log2(FRAME)) + 1
INNOCENT_S: Final = 20
"""Virtual seconds, ten blocks, after which no innocent action may still wait for its outcome."""


def disk(shop: Workshop, seed: int, case: int, sow: Sow | None) -> Simulation:
    """A fault at one write or sync after the other, in one of four ways; soon after it the server is killed."""
    simulation = Simulation(shop, f"{seed}/disk/{case}", plant=sow)
    place, way = case // 4, case % 4
    dice = random.Random(f"{seed}/disk/{case}")

    async def kill_after_the_fault() -> None:
        while not simulation.disk.struck:
            await asyncio.sleep(0.01)
        await asyncio.sleep(dice.uniform(0, 0.1))
        simulation.crash()

    async def story() -> None:
        players = [await simulation.join(name) for name in ("ada", "bob")]
        simulation.disk.arm(place, "FULL" if way & 1 else "IOERR", 1 if way < 2 else 12, part=bool(way & 1))
        killing = asyncio.ensure_future(kill_after_the_fault())
        await asyncio.gather(*(player.play(6, 0.4) for player in players))
        killing.cancel()
        simulation.disk.disarm()
        await simulation.rest()

    return simulation.lived(story())


TRIALS: Final = {"reorgs": reorgs, "revoke": revoke, "poison": poison, "budget": budget, "gas": gas, "disk": disk}
"""By the name of their campaign."""

__all__ = ["TRIALS", "disk", "poison", "reorgs", "revoke"]
