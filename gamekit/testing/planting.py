"""How known bugs are kept: each with the campaign that must find it, and by which invariant.

A plant that falls over breaks something too, and so would look found. Therefore each is applied once before the run,
and what the run then sees first must be one of the invariants that the bug is known to break.
"""

from collections.abc import Callable

from msgspec import Struct

from gamekit.kit import GameKit
from gamekit.testing.simulation import Simulation, Workshop

Sow = Callable[[GameKit], None]
"""Plants a bug into a kit."""


class Plant(Struct, frozen=True):
    """A bug, and the campaign that must find it."""

    sow: Sow
    breaks: tuple[str, ...]
    """What the campaign must name: the first thing that it finds is one of these."""
    campaign: str
    within: int
    """How much of the campaign shows it, with seed 1: crashes, or cases."""


class Misfit(Exception):
    """A plant no longer fits the code that it is put into: it proves nothing."""


PLANTS: dict[str, Plant] = {}

ELSEWHERE = {
    "first_call_only": "the contract checks the first call of a batch only: tests.proof.escapes, tests.proof.mutants",
    "delegate_mode": "the contract lets an operation delegatecall: `mode` in tests.proof.escapes, tests.proof.mutants",
    "alias_head": "the contract takes a batch behind another head: `head-offset` in tests.proof.escapes",
    "valid_until_zero": "the contract takes 0 for a session's end: tests.proof.escapes, tests.proof.mutants",
    "lease_outside_transaction": "guard_outside_transaction in tests.campaigns.racers",
}
"""Known bugs of what is not simulated here, and what finds them."""


def plant(*breaks: str, campaign: str = "crashes", within: int = 800) -> Callable[[Sow], Sow]:
    """Register a bug under its own name."""

    def register(sow: Sow) -> Sow:
        PLANTS[sow.__name__] = Plant(sow, breaks, campaign, within)
        return sow

    return register


def put(where: object, name: str, value: object) -> None:
    """Put something else in the place of what is there. Raises Misfit when nothing is."""
    if not hasattr(where, name):
        raise Misfit(f"{type(where).__name__} has no {name}: the plant must follow the code")
    setattr(where, name, value)


def fit(shop: Workshop, planted: Plant) -> None:
    """Apply a plant once, to a server to which nothing happens. Raises Misfit."""
    simulation = Simulation(shop, "fitting")

    async def apply() -> None:
        planted.sow(await simulation.serving())

    try:
        simulation.run(apply())
    except Misfit:
        raise
    except Exception as error:
        raise Misfit(f"{type(error).__name__}: {error}") from error
