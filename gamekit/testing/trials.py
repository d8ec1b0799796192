"""One world of each campaign beside the crashes: poison, revocations, disks; `budgets` and `reorgs` have the others.

Each function lives through one case and gives the world; what does not hold is among the witness's breaks.
"""

import asyncio
import random
from collections.abc import Sequence
from math import ceil, log2
from typing import Final

from gamekit.config import BatchConfig
from gamekit.core.action import ActionRequest
from gamekit.eth.calldata import Call
from gamekit.testing.budgets import budget, gas
from gamekit.testing.nature import STILL, WILD
from gamekit.testing.network import CALM, ROUGH
from gamekit.testing.planting import Sow
from gamekit.testing.players import Player
from gamekit.testing.reorgs import reorgs
from gamekit.testing.simulation import Simulation, Workshop, settings
from gamekit.testing.sponsored import sponsor


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
    """A fault at one write or sync after the other, in one of four ways; soon after it the server is killed, or not.

    In some cases sessions are opened while it comes, and in some one of them is revoked: a request that the disk
    refuses must leave nothing behind that is sent later.
    """
    simulation = Simulation(shop, f"{seed}/disk/{case}", plant=sow)
    place, way = case // 4, case % 4
    dice = random.Random(f"{seed}/disk/{case}")
    opening, revoking, killing = (dice.random() < share for share in (0.3, 0.3, 0.6))

    async def kill_after_the_fault() -> None:
        while not simulation.disk.struck:
            await asyncio.sleep(0.01)
        await asyncio.sleep(dice.uniform(0, 0.1))
        simulation.crash()

    def arm() -> None:
        simulation.disk.arm(place, "FULL" if way & 1 else "IOERR", 1 if way < 2 else 12, part=bool(way & 1))

    async def story() -> None:
        if opening:
            await simulation.serving()
            arm()
        players = [await simulation.join(name) for name in ("ada", "bob")]
        if not opening:
            arm()
        tasks = [asyncio.ensure_future(kill_after_the_fault())] if killing else []
        playing = [player.play(6, 0.4) for player in players]
        if revoking:
            playing.append(revoke_later(players[1], dice.uniform(0.5, 4)))
        await asyncio.gather(*playing)
        for task in tasks:
            task.cancel()
        simulation.disk.disarm()
        await simulation.rest()

    return simulation.lived(story())


async def revoke_later(player: Player, delay_s: float) -> None:
    """Let a player revoke after so many virtual seconds."""
    await asyncio.sleep(delay_s)
    await player.revoke()


TRIALS: Final = {
    "reorgs": reorgs,
    "revoke": revoke,
    "poison": poison,
    "budget": budget,
    "gas": gas,
    "disk": disk,
    "sponsor": sponsor,
}
"""By the name of their campaign."""

__all__ = ["TRIALS", "disk", "poison", "reorgs", "revoke", "revoke_later"]
