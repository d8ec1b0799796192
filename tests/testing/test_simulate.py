"""The campaigns: small ones are clean, each known bug is found, and the same seed says the same, byte for byte."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gamekit.kit import GameKit
from gamekit.testing import simulate
from gamekit.testing.campaigns import CAMPAIGNS, HALF_FROM, require_half
from gamekit.testing.planting import Plant, put
from gamekit.testing.plants import PLANTS
from gamekit.testing.report import Report

ROOT = Path(__file__).parents[2]
FIELDS = {
    "crashes", "crashes_by_point", "with_operation_in_flight", "faults_injected", "accepted", "settled", "refused",
    "lost", "duplicated", "invariant_breaks", "seed", "cases", "seconds", "virtual_seconds",
}  # fmt: skip
SMALL = {
    "crashes": 200,
    "pairs": 48,
    "reorgs": 60,
    "revoke": 4,
    "poison": 2,
    "budget": 1,
    "gas": 4,
    "disk": 10,
    "sponsor": 4,
}
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
    assert first.invariant in plant.breaks
    assert not report.no_verdict
    assert (first.seed, first.case) == (1, report.cases - 1)


def test_there_are_enough_bugs_to_find() -> None:
    assert len(PLANTS) >= 12
    assert {"resign_at_next_nonce", "ack_before_commit", "trust_receipt", "wall_clock_deadline"} <= PLANTS.keys()
    assert {plant.campaign for plant in PLANTS.values()} == set(CAMPAIGNS), "each campaign has a bug that it must find"
    assert {f"I{number}" for number in range(1, 13)} == {each for plant in PLANTS.values() for each in plant.breaks
                                                         if each.startswith("I")}  # fmt: skip
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
    ours, _, elsewhere = listed.stdout.partition("\n\n")
    assert [line.split()[0] for line in ours.splitlines()] == sorted(PLANTS)
    assert {"first_call_only", "delegate_mode", "alias_head", "valid_until_zero"} <= set(elsewhere.split())
    assert run("--plant", "nothing_such").returncode == 2


def test_a_plant_brings_its_campaign_and_size() -> None:
    look_away = PLANTS["look_away"]
    assert simulate.sized(None, 1, "look_away") == (look_away.campaign, look_away.within)
    assert simulate.sized(None, None, "look_away") == (look_away.campaign, look_away.within)
    assert simulate.sized("crashes", 70, "look_away") == ("crashes", 70)
    assert simulate.sized(None, None, "") == ("crashes", 1000)


def falls_over(kit: GameKit) -> None:
    """It does not fit the code any more."""
    put(kit._resolve, "renamed_long_ago", None)


def falls_over_later(kit: GameKit) -> None:
    """It does not fit the code any more, and nobody sees it before something is asked."""

    async def recover() -> None:
        kit._relayers.renamed_long_ago()  # type: ignore[attr-defined]

    put(kit._relayers, "on_head", recover)


def test_a_plant_that_falls_over_is_no_find(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for sow in (falls_over, falls_over_later):
        monkeypatch.setitem(PLANTS, sow.__name__, Plant(sow, ("I1",), "crashes", 40))
        assert simulate.main(["--plant", sow.__name__, "--quiet"]) == simulate.NO_VERDICT
    said = capsys.readouterr().err
    assert "falls_over does not fit the code: Relayers" in said or "falls_over does not fit the code: Resolve" in said
    assert "falls_over_later must break I1: no verdict" in said


def test_half_of_all_crashes_find_an_operation_in_flight() -> None:
    report = Report("crashes", 1, crashes=HALF_FROM, with_operation_in_flight=HALF_FROM // 2 - 1, cases=7)
    require_half(report)
    assert [(each.invariant, each.case) for each in report.broken] == [("coverage", 6)]
    fewer = Report("crashes", 1, crashes=HALF_FROM - 1, cases=7)
    require_half(fewer)
    assert fewer.clean


@pytest.mark.slow
def test_it_does_without_pytest() -> None:
    code = (
        "import sys, gamekit.testing.simulate; print([n for n in sys.modules if n.startswith(('pytest', '_pytest'))])"
    )
    asked = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"
