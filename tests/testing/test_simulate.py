"""The campaigns: small ones are clean, each known bug is found, and the same seed says the same, byte for byte."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gamekit.testing import simulate
from gamekit.testing.campaigns import CAMPAIGNS
from gamekit.testing.plants import PLANTS

ROOT = Path(__file__).parents[2]
FIELDS = {
    "crashes", "crashes_by_point", "with_operation_in_flight", "faults_injected", "accepted", "settled", "refused",
    "lost", "duplicated", "invariant_breaks", "seed", "cases", "seconds", "virtual_seconds",
}  # fmt: skip
SMALL = {"crashes": 200, "pairs": 48, "reorgs": 20, "revoke": 4, "poison": 2, "budget": 1, "disk": 10}
"""How much of each campaign runs here."""


def run(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gamekit.testing.simulate", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.parametrize("campaign", sorted(CAMPAIGNS))
def test_a_small_campaign_is_clean(campaign: str) -> None:
    report = simulate.run(campaign, SMALL[campaign], 1)
    assert report.broken == []
    assert report.accepted
    if campaign == "crashes":
        assert report.crashes >= SMALL[campaign]
        assert report.faults_injected
        assert 2 * report.with_operation_in_flight >= report.crashes
    if campaign == "pairs":
        assert report.pairs >= SMALL[campaign]


QUICK = sorted(name for name, plant in PLANTS.items() if plant.within <= 100)
"""Those that show soon; the rest takes a campaign of its own size."""


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str) -> None:
    plant = PLANTS[name]
    report = simulate.run(plant.campaign, plant.within, 1, name)
    assert report.broken, f"{name} is not found within {plant.within}, seed 1"
    first = report.broken[0]
    assert first.invariant
    assert (first.seed, first.case) == (1, report.cases - 1)


def test_there_are_enough_bugs_to_find() -> None:
    assert len(PLANTS) >= 12
    assert {"resign_at_next_nonce", "ack_before_commit", "trust_receipt", "wall_clock_deadline"} <= PLANTS.keys()
    assert len(QUICK) >= 8
    assert all(plant.sow.__doc__ for plant in PLANTS.values())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (run("--crashes", "70", "--seed", "5", "--json", "-", hash_seed=seed) for seed in ("1", "2"))
    reports = [json.loads(each.stdout) for each in (first, second)]
    assert reports[0].keys() >= FIELDS
    assert [line for line in first.stdout.splitlines() if '"seconds"' not in line] == [
        line for line in second.stdout.splitlines() if '"seconds"' not in line
    ]
    other = json.loads(run("--crashes", "70", "--seed", "6", "--json", "-").stdout)
    assert other["crashes_by_point"] != reports[0]["crashes_by_point"]


@pytest.mark.slow
def test_the_command_says_what_it_found(tmp_path: Path) -> None:
    found = run("--crashes", "100", "--seed", "1", "--plant", "ack_before_commit", "--json", str(tmp_path / "report"))
    assert found.returncode == 1
    first = json.loads((tmp_path / "report").read_text())["broken"][0]
    assert f"{first['invariant']}: {first['what']} (seed 1, case {first['case']})" in found.stderr
    listed = run("--plant", "list")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == sorted(PLANTS)
    assert run("--plant", "nothing_such").returncode == 2


@pytest.mark.slow
def test_it_does_without_pytest() -> None:
    code = (
        "import sys, gamekit.testing.simulate; print([n for n in sys.modules if n.startswith(('pytest', '_pytest'))])"
    )
    asked = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"
