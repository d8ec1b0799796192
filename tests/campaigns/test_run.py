"""The page, and what counts as found."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import run
from tests.campaigns.run import Part, cases, facts, jobs_of, page, run_part

PART = Part("kills", "what", "module", ("small",), ("full",), ("a",), ("b",), ("planted",))


def ran(part: str, plant: str = "", *, passed: bool = True, **figures: Any) -> dict[str, Any]:
    return {"part": part, "plant": plant, "passed": passed, "seconds": 61, "figures": figures}


def record(*runs: dict[str, Any]) -> dict[str, Any]:
    shared = {"size": "ci", "commit": "abc", "machine": "2 cores", "at_once": 3, "seconds": 1234}
    return {**shared, "runs": list(runs)}


def test_page_default() -> None:
    clean = ran("kills", kills=1000, lost=0, duplicated=0, seed=1, faults_by_kind={"delay": 3})
    text = page(record(clean, ran("kills", "ack_before_commit", kills=4, lost=7, seed=1)))
    assert "## ci, commit abc" in text
    assert "| passed | 61 | kills 1,000, lost 0, duplicated 0, seed 1 |" in text
    assert "| ack_before_commit | kills | found | 4 kills | 1 | 61 |" in text


def test_page_error_failed_and_not_found() -> None:
    text = page(record(ran("racers", passed=False, lost=1), ran("racers", "winner_not_checked", passed=False)))
    assert "**failed**" in text
    assert "**not found**" in text


def test_page_behavior_without_plants_has_no_second_table() -> None:
    assert "planted" not in page(record(ran("kills", kills=1)))


def test_facts_and_cases() -> None:
    assert facts({"kills": 10, "unheard_of": 3, "lost": 0}) == "kills 10, lost 0"
    assert facts({"faults_injected": {"delay": 3, "drop": 4}}) == "faults injected 7"
    assert cases({"kills": 10, "actions": 5}) == "10 kills"
    assert cases({}) == ""


def test_jobs_of_default() -> None:
    small = list(jobs_of([PART], nightly=False, plants=True))
    assert small == [(PART, "", ("small",)), (PART, "a", ("planted", "--plant", "a"))]
    full = [plant for _, plant, _ in jobs_of([PART], nightly=True, plants=True)]
    assert full == ["", "a", "b"]
    assert len(list(jobs_of([PART], nightly=True, plants=False))) == 1


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
