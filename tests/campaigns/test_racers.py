"""The race, small: clean, and with each bug planted."""

import pytest

from tests.campaigns.racers import PLANTS, campaign

pytestmark = pytest.mark.slow


async def test_campaign_default() -> None:
    clean, figures, faults = await campaign(16, 3, 1, "")
    assert (clean, faults) == (True, [])
    assert (figures["winners"], figures["executions"], figures["refused_by_the_journal"]) == (3, 3, 45)


@pytest.mark.parametrize("plant", PLANTS)
async def test_campaign_error_planted(plant: str) -> None:
    clean, figures, faults = await campaign(16, 3, 1, plant)
    assert not clean
    assert figures["rounds"] == 1
    assert "racers won one slot" in faults[0]


async def test_campaign_behavior_a_plant_does_not_stay() -> None:
    clean, _, _ = await campaign(8, 1, 2, "")
    assert clean
