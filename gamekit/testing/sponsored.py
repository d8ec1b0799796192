"""Worlds whose game pays for its players, and whose paymaster refuses now and then: empty, or at its cap of the day."""

import asyncio
import random
from typing import Final

from msgspec.structs import replace

from gamekit.config import SponsorConfig
from gamekit.testing.nature import Nature
from gamekit.testing.network import CALM, ROUGH
from gamekit.testing.paymaster import SponsoredChain, sponsored_arena, sponsored_chain_config
from gamekit.testing.planting import Sow
from gamekit.testing.simulation import Simulation, Workshop, settings
from gamekit.units import Wei

UNSTEADY: Final = Nature(skip=0.15, drop=0.06, late=0.06, fee_spike=0.03)
"""No reorgs: the simulated paymaster does not take back what it counted. For the same reason no receipts are forged."""
CONFIG: Final = settings(
    chain=sponsored_chain_config(poll_ms=300, included_depth=1), sponsor=SponsorConfig(check_blocks=1)
)
CRASHES: Final = 12
ACTIONS: Final = 12


def sponsor(shop: Workshop, seed: int, case: int, sow: Sow | None) -> Simulation:
    """Three players who pay nothing, while their paymaster runs dry and is filled again, and the server dies.

    Nothing may be signed that the session's own paymaster does not pay for, and nobody's action is lost to it.
    """
    dice = random.Random(f"{seed}/sponsor/{case}")
    chain = SponsoredChain(next(iter(shop.keys.apart)))
    simulation = Simulation(
        shop, f"{seed}/sponsor/{case}", plant=sow, config=CONFIG, games=(sponsored_arena(),), chain=chain
    )
    simulation.points.hold = lambda: not simulation.witness.in_flight()

    def strike() -> int | None:
        return None if len(simulation.witness.deaths) >= CRASHES else int(dice.expovariate(1 / 12))

    async def refuse() -> None:
        full, game = chain.deposit, chain.game
        try:
            while True:
                await asyncio.sleep(dice.uniform(1, 6))
                if dice.random() < 0.5:
                    simulation.sky.count("paymaster empty")
                    full, chain.deposit = chain.deposit, Wei(0)
                    await asyncio.sleep(dice.uniform(1, 6))
                    chain.deposit = full
                else:
                    simulation.sky.count("paymaster at its cap")
                    game = chain.game
                    chain.game = replace(game, day_wei_max=game.spent_wei)
                    await asyncio.sleep(dice.uniform(1, 6))
                    chain.game = replace(chain.game, day_wei_max=game.day_wei_max)
        finally:
            chain.deposit = max(chain.deposit, full)
            chain.game = replace(chain.game, day_wei_max=game.day_wei_max)

    async def story() -> None:
        players = [simulation.player(name) for name in ("ada", "bob", "cem")]
        await asyncio.gather(*(player.open("free") for player in players))
        simulation.strikes = strike
        simulation.points.after(strike() or 0)
        simulation.rage(UNSTEADY, dice.choice([CALM, replace(ROUGH, lie=0.0)]), dice.choice([0.0, 0.3]))
        refusing = asyncio.ensure_future(refuse())
        await asyncio.gather(*(player.play(ACTIONS, 0.8) for player in players))
        refusing.cancel()
        await asyncio.gather(refusing, return_exceptions=True)
        await simulation.rest()
        if not chain.paid:
            simulation.witness.fail("coverage", "the paymaster paid for nothing")

    return simulation.lived(story())
