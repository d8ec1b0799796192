"""The page, and what counts as found."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import run
from tests.campaigns.run import Part, cases, facts, jobs_of, joined, page, run_part, wrong

PART = Part("kills", "what", "module", ("small",), ("full",), ("a",), ("b",), ("planted",))


def ran(part: str, plant: str = "", *, passed: bool = True, **figures: Any) -> dict[str, Any]:
    return {"part": part, "plant": plant, "passed": passed, "seconds": 61, "commit": "abc", "figures": figures}


def record(*runs: dict[str, Any], size: str = "ci", machine: str = "2 cores") -> dict[str, Any]:
    return {"size": size, "machine": machine, "runs": list(runs)}


def test_page_default() -> None:
    clean = ran("kills", kills=1000, lost=0, duplicated=0, seed=1, faults_injected={"delay": 3, "drop": 4})
    text = page(record(clean, ran("kills", "ack_before_commit", kills=4, lost=7, seed=1)))
    assert "**0 lost, 0 duplicated, 0 invariant breaks; 1 of 1 planted bugs found.**" in text
    assert "| passed | kills 1,000 | 7 | 0 | 0 | 0 | 1 | abc | 61 |" in text
    assert "| ack_before_commit | kills | found | 4 kills | 1 | abc | 61 |" in text


def test_page_error_failed_and_not_found() -> None:
    text = page(record(ran("racers", passed=False, lost=1), ran("racers", "winner_not_checked", passed=False)))
    assert "**failed**" in text
    assert "**1 lost, 0 duplicated" in text
    assert "**not found**" in text


def test_page_behavior_without_plants_has_no_second_table() -> None:
    assert "planted bug |" not in page(record(ran("kills", kills=1)))


def test_facts_and_cases() -> None:
    assert facts({"kills": 10, "unheard_of": 3, "accepted": 0}) == "kills 10"
    assert cases({"kills": 10, "actions": 5}) == "10 kills"
    assert cases({}) == ""


def test_wrong_behavior_counts_every_break() -> None:
    assert wrong({"lost": 1, "duplicated": 2, "unfounded": 3, "untrue": 4}) == (1, 2, 7)
    assert wrong({}) == (0, 0, 0)


def test_joined_behavior_keeps_what_was_not_run_again() -> None:
    earlier = record(ran("kills", kills=5), ran("crashes"), ran("kills", "lost_action"), ran("gone"), size="nightly")
    both = joined(earlier, record(ran("kills", kills=1000), size="nightly"))
    assert [(each["part"], each["plant"]) for each in both["runs"]] == [
        ("crashes", ""),
        ("kills", ""),
        ("kills", "lost_action"),
    ]
    assert both["runs"][1]["figures"] == {"kills": 1000}
    assert joined(record(ran("crashes"), machine="another"), record(ran("kills")))["runs"] == [ran("kills")]


def test_jobs_of_default() -> None:
    small = list(jobs_of([PART], nightly=False))
    assert small == [(PART, "", ("small",)), (PART, "a", ("planted", "--plant", "a"))]
    full = [plant for _, plant, _ in jobs_of([PART], nightly=True)]
    assert full == ["", "a", "b"]


@pytest.mark.parametrize(
    ("plant", "code", "figures", "passed"),
    [
        ("", 0, '{"lost": 0}', True),
        ("", 1, '{"lost": 1}', False),
        ("bug", 1, '{"lost": 1}', True),
        ("bug", 0, '{"lost": 0}', False),
        ("bug", 1, "", False),
        ("bug", 1, '{"no_verdict": 1}', False),
        ("bug", 2, '{"lost": 1}', False),
    ],
)
async def test_run_part_behavior_a_program_that_falls_over_has_found_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: str, code: int, figures: str, passed: bool
) -> None:
    monkeypatch.setattr(run, "FIGURES", tmp_path)
    part = PART._replace(module="tests.campaigns.test_run")
    outcome = await run_part(part, plant, ("--code", str(code), "--figures", figures))
    assert outcome.passed is passed


def main() -> int:
    """Stand in for a campaign."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--code", type=int)
    parser.add_argument("--figures")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.figures:
        options.json.write_text(options.figures)
    code: int = options.code
    return code


if __name__ == "__main__":
    raise SystemExit(main())


def test_page_of_planted_bugs_only() -> None:
    planted = ran("kills", "lost_action", kills=2)
    assert "**0 lost, 0 duplicated, 0 invariant breaks; 1 of 1 planted bugs found.**" in page(record(planted))
