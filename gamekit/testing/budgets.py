"""Worlds in which something runs out: the uses of a session, its budget of gas.

Each function lives through one case and gives the world; what does not hold is among the witness's breaks.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from gamekit.config import FeeConfig, LaneConfig
from gamekit.core.action import ActionRequest
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.testing.nature import WILD
from gamekit.testing.network import CALM, ROUGH
from gamekit.testing.planting import Sow
from gamekit.testing.players import Player
from gamekit.testing.scenery import ABI, MANIFEST, unit
from gamekit.testing.simulation import Simulation, Workshop, settings

USES_MAX: Final = 20
RACERS: Final = 1000
TIGHT: Final = unit("tight", "play a little", "attack", uses_max=USES_MAX)
THRIFTY: Final = unit(
    "thrifty",
    "play for little",
    "attack",
    gas_budget_wei=7 * 10**15,
    gas_per_operation_wei_max=25 * 10**14,
)
"""An operation costs about a thousandth of an ether, and twenty times that when gas is dear."""
GAS_CRASHES: Final = 12
DEAR: Final = replace(WILD, fee_spike=0.2, skip=0.3)
ACTIONS: Final = 16
CAPPED: Final = settings(fees=FeeConfig(max_fee_per_gas_max_wei=24 * 10**9, cancel_fee_per_gas_max_wei=60 * 10**9))
"""When gas is dearest, the relayers must not bid for it."""


def budget(shop: Workshop, seed: int, case: int, sow: Sow | None) -> Simulation:
    """A thousand requests race for twenty uses: never are more accepted than there are."""
    dice = random.Random(f"{seed}/budget/{case}")
    simulation = Simulation(
        shop, f"{seed}/budget/{case}", plant=sow, games=(tight_arena(TIGHT),),
        config=settings(lanes=LaneConfig(depth_max=RACERS)),
    )  # fmt: skip

    async def story() -> None:
        hero = simulation.player("ada")
        await hero.open("tight")
        requests = [hero.attack() for _ in range(RACERS)]
        frames: list[Sequence[ActionRequest]] = []
        while requests:
            size = dice.randint(1, 6)
            frames.append(requests[:size])
            del requests[:size]
        await asyncio.gather(*(_try_once(simulation, hero, frame, dice.uniform(0, 10)) for frame in frames))
        accepted = [entry for entry in simulation.ledger.entries.values() if entry.accepted]
        if len(accepted) > USES_MAX:
            simulation.witness.fail("I8", f"{len(accepted)} actions were accepted for {USES_MAX} uses")
        if not accepted:
            simulation.witness.fail("I8", "nothing was accepted at all")
        await simulation.rest()

    return simulation.lived(story())


async def _try_once(simulation: Simulation, hero: Player, frame: Sequence[ActionRequest], delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    await hero.try_once(frame)
    if len([entry for entry in simulation.ledger.entries.values() if entry.accepted]) > USES_MAX:
        simulation.witness.fail("I8", f"more than {USES_MAX} actions are accepted")


def gas(shop: Workshop, seed: int, case: int, sow: Sow | None) -> Simulation:
    """Three players with gas for a few operations, while gas is dear now and then and the server dies.

    Never may what is signed and can still land cost more than what is left, nor one operation more than its cap.
    """
    dice = random.Random(f"{seed}/gas/{case}")
    simulation = Simulation(shop, f"{seed}/gas/{case}", plant=sow, games=(tight_arena(THRIFTY),), config=CAPPED)
    simulation.points.hold = lambda: not simulation.witness.in_flight()

    def strike() -> int | None:
        return None if len(simulation.witness.deaths) >= GAS_CRASHES else int(dice.expovariate(1 / 12))

    async def story() -> None:
        players = [simulation.player(name) for name in ("ada", "bob", "cem")]
        await asyncio.gather(*(player.open("thrifty") for player in players))
        simulation.strikes = strike
        simulation.points.after(strike() or 0)
        simulation.rage(DEAR, dice.choice([CALM, ROUGH]), dice.choice([0.0, 0.3]))
        await asyncio.gather(*(player.play(ACTIONS, 0.8) for player in players))
        await simulation.rest()
        simulation.witness.check_spent()

    return simulation.lived(story())


def tight_arena(unit: str) -> Game:
    """The arena, with one more unit."""
    return build_game(parse_manifest(MANIFEST + unit), ABI)
