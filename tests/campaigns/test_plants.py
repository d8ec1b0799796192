"""Every planted bug still fits the code that it is put into, and is one that a campaign looks for."""

import subprocess
import sys

import pytest

from tests.campaigns import racers, restore, run
from tests.campaigns.plants import PLANTS, of
from tests.campaigns.world import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_apply(name: str) -> None:
    """In a process of its own: a plant changes classes for good."""
    code = f"from tests.campaigns.plants import PLANTS; PLANTS[{name!r}].apply()"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_every_plant_is_looked_for() -> None:
    looked_for = {part.name: {*part.plants, *part.plants_full} for part in run.REAL}
    assert looked_for["kills"] == set(of("kills"))
    assert looked_for["full_disk"] == set(of("full_disk"))
    assert looked_for["byzantine"] == set(of("byzantine"))
    assert looked_for["racers"] == set(racers.PLANTS)
    assert looked_for["restore"] == set(restore.PLANTS)
