"""What the campaigns on a real server share: a run that always gives its figures, and the command line around it."""

import argparse
import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.campaigns.world import Broken, World

NO_VERDICT = 2
"""Exit code of a run that proves nothing."""
Result = tuple[bool, dict[str, Any], list[str]]
"""Whether nothing was wrong, the figures, and what was."""


class Run(Protocol):
    """One run of a campaign."""

    faults: list[str]

    async def run(self) -> bool:
        """Do it; whether nothing was wrong."""
        ...

    def figures(self) -> dict[str, Any]:
        """What was seen so far."""
        ...


async def attempt(run: Run, world: World) -> Result:
    """Run to the end; a world that broke down has no verdict, unless something was wrong before."""
    try:
        clean = await run.run()
    except (Broken, TimeoutError) as error:
        said = [*run.faults, f"{type(error).__name__}: {error}", world.last_words()]
        return False, run.figures() | ({} if run.faults else {"no_verdict": 1}), said
    return clean, run.figures(), run.faults


def command(
    description: str,
    count: tuple[int, str],
    plants: Mapping[str, Collection[str]],
    campaign: Callable[[int, int, str], Coroutine[Any, Any, Result]],
    arguments: Sequence[str] | None,
) -> int:
    """Run from a command line; 0 when nothing is wrong, 1 when something is, 2 when nothing is proved either way.

    Args:
        description: of the program.
        count: how much of what is done unless the command line says otherwise.
        plants: the bugs that may be planted, each with the figures of which it must break one.
        campaign: takes count, seed and plant.
        arguments: of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=count[0], help=count[1])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plant", default="", choices=["", *plants])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    clean, figures, faults = asyncio.run(campaign(options.count, options.seed, options.plant))
    if options.plant:
        figures |= judged(clean, figures, plants[options.plant])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    for fault in faults:
        print(fault)
    return exit_code(clean, figures)


def judged(clean: bool, figures: Mapping[str, Any], breaks: Collection[str]) -> dict[str, Any]:
    """What a run with a planted bug proves: nothing, when what is wrong is not what that bug breaks."""
    missed = not clean and not any(figures.get(name) for name in breaks)
    return {"must_break": [*breaks]} | ({"no_verdict": 1} if missed else {})


def exit_code(clean: bool, figures: Mapping[str, Any]) -> int:
    """0 when nothing is wrong, 1 when something is, 2 when nothing is proved either way."""
    return NO_VERDICT if figures.get("no_verdict") else int(not clean)
