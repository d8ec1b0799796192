"""Every named crash point, and every ordered pair of them: a crash, and the next one wherever recovery or life goes.

A world walks a tour of points. Its server dies at the first, starts again, and dies at the second as soon as it gets
there, and so on: each step of the tour is one ordered pair.
"""

import random
from collections.abc import Callable, Iterator, Sequence

from gamekit.config import SessionConfig
from gamekit.kit import GameKit
from gamekit.testing.crash import POINTS
from gamekit.testing.recipes import Scene, recipe_for, resume
from gamekit.testing.scenery import chain_config
from gamekit.testing.simulation import Simulation, Workshop, settings

STEPS_PER_WORLD = 24
ATTEMPTS = 4
"""How often a recipe is tried before a point counts as out of reach."""


def tour(points: Sequence[str], seed: int) -> list[str]:
    """A walk in which each ordered pair of points, a point with itself among them, is one step, exactly once.

    An Eulerian circuit of the complete graph with loops, by Hierholzer's algorithm; the seed chooses which.
    """
    dice = random.Random(f"{seed}/tour")
    left = {point: list(points) for point in points}
    for exits in left.values():
        dice.shuffle(exits)
    path, circuit = [points[0]], []
    while path:
        exits = left[path[-1]]
        if exits:
            path.append(exits.pop())
        else:
            circuit.append(path.pop())
    return circuit[::-1]


def pieces(points: Sequence[str], seed: int) -> Iterator[list[str]]:
    """Cut the tour into walks of one world each; they overlap by one point, so that no pair is lost."""
    whole = tour(points, seed)
    for start in range(0, len(whole) - 1, STEPS_PER_WORLD):
        yield whole[start : start + STEPS_PER_WORLD + 1]


def walk(
    shop: Workshop,
    seed: int,
    case: int,
    points: Sequence[str],
    covered: set[tuple[str, str]],
    plant: Callable[[GameKit], None] | None = None,
) -> Simulation:
    """Let one world's server die at each point in turn; pairs that came about are added to `covered`."""
    config = settings(
        chain=chain_config(poll_ms=300, included_depth=2),
        sessions=SessionConfig(grant_deadline_s=40, opens_per_day_max=10_000, sessions_open_max=10_000),
    )
    simulation = Simulation(shop, f"{seed}/{case}", config=config, plant=plant)

    async def story() -> None:
        scene = Scene(simulation, await simulation.join("ada"))
        before = ""
        for point in points:
            await reach(scene, point)
            if simulation.points.is_armed():
                simulation.points.calm()
                simulation.witness.fail("unreached", f"{point} after {before}")
                return
            if before:
                covered.add((before, point))
            before = point
            if simulation.witness.breaks:
                return
        await simulation.serving()
        await resume(scene)
        await simulation.rest()

    return simulation.lived(story())


async def reach(scene: Scene, point: str) -> None:
    """Arm a point, and do what leads there until the server has died at it."""
    points = scene.simulation.points
    points.at(point)
    for _ in range(ATTEMPTS):
        await scene.simulation.serving_or(lambda: not points.is_armed())
        if points.is_armed():
            await resume(scene)  # What was done for another point may have paused the game.
        if points.is_armed():
            await scene.renew()
        if points.is_armed():
            await recipe_for(point)(scene)
        if not points.is_armed():
            return


__all__ = ["POINTS", "pieces", "tour", "walk"]
