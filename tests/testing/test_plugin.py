"""The pytest plugin: the example runs, a failure prints its seed, and that seed replays it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "test_boss.py"
PLANTED = """
def test_a_number_that_the_world_drew(simulation):
    async def story():
        await simulation.join("ada")
        assert simulation.chance.random() < 0, simulation.chance.random()

    simulation.play(story())
"""


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "gamekit.testing.plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
def test_the_example_runs() -> None:
    ended = pytest_in(ROOT, str(EXAMPLE))
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


def test_the_example_is_short() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    story = lines[next(place for place, line in enumerate(lines) if line.startswith("def test_")) :]
    assert len([line for line in story if line.strip()]) <= 10


@pytest.mark.slow
def test_a_failure_prints_the_seed_that_replays_it(tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(PLANTED)
    first = pytest_in(tmp_path, "test_planted.py")
    assert first.returncode == 1
    seed = first.stdout.partition("--gamekit-seed=")[2].split()[0]
    again, other = (pytest_in(tmp_path, f"--gamekit-seed={each}", "test_planted.py") for each in (seed, "1"))
    drawn = [line for line in first.stdout.splitlines() if line.startswith("E ") and "AssertionError: 0." in line]
    assert drawn
    assert drawn[0] in again.stdout
    assert drawn[0] not in other.stdout


HANGS = """
import asyncio


def test_that_waits_for_ever(simulation):
    async def story():
        await asyncio.Event().wait()
        assert False

    simulation.play(story())
"""


@pytest.mark.slow
def test_a_story_without_an_end_fails_and_names_the_seed(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGS)
    ended = pytest_in(tmp_path, "--gamekit-seed=7", "test_hangs.py")
    assert ended.returncode == 1, ended.stdout
    assert "seed 7/test_hangs.py::test_that_waits_for_ever: the story was not over after" in ended.stdout
    assert "--gamekit-seed=7" in ended.stdout
