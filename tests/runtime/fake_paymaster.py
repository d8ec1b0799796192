"""A world whose game pays for its players, on the simulated chain with a paymaster."""

from typing import Any

from gamekit.config import SponsorConfig
from gamekit.core.game import Game
from gamekit.testing.paymaster import PAYMASTER, SponsoredChain, sponsored_arena, sponsored_chain_config
from gamekit.testing.scenery import Keys, config
from gamekit.units import Address
from tests.runtime.world import World

__all__ = ["PAYMASTER", "SponsoredWorld"]


class SponsoredWorld(World):
    """A kit that holds a sponsor's key, and the game's second one."""

    chain: SponsoredChain

    def __init__(self, keys: Keys, **sponsor: Any) -> None:
        self.known = dict(keys.apart) | dict(keys.pool)
        """Any keys do: here the first is the sponsor's."""
        self.sponsor, self.next_sponsor = self.known
        settings = SponsorConfig(**{"check_blocks": 1} | sponsor)
        super().__init__(keys, config(chain=sponsored_chain_config(), sponsor=settings))

    def _chain(self) -> SponsoredChain:
        return SponsoredChain(self.sponsor)

    def _sponsors(self) -> dict[Address, Any]:
        return self.known

    def _game(self) -> Game:
        return sponsored_arena()
