"""A game's own test: the chain takes the last blow back and the server dies, and still the boss dies exactly once."""

from gamekit.testing import Simulation


def test_the_chain_reorgs_while_the_boss_dies(simulation: Simulation) -> None:
    async def story() -> None:
        hero = await simulation.join("ada")
        blow = await hero.ask(hero.attack())  # accepted: on disk
        await simulation.blocks(1)  # settled
        simulation.chain.reorg(1)  # the block is gone
        simulation.crash()  # and so is the server
        await simulation.rest()  # until nothing more will be told
        assert [each.kind for each in blow.told] == ["settled", "reorged", "settled", "final"]

    simulation.play(story())  # checks every invariant, and that nothing was lost or doubled
