"""The main job, small: every process, every escape, a server that is killed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import run

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
DEMO_S_MAX = 180.0


def show(folder: Path, *options: str) -> tuple[dict[str, Any], str]:
    report = folder / "report.json"
    arguments = ("-m", "gamekit.cli", "demo", "--folder", str(folder / "demo"), "--report", str(report), *options)
    ended = run(*arguments, timeout_s=DEMO_S_MAX)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    written: dict[str, Any] = json.loads(report.read_text())
    return written, ended.stdout


def assert_exactly_once(report: dict[str, Any]) -> None:
    wrong = ("lost", "duplicated", "unaccepted", "misreported", "out_of_order", "counter_mismatches", "told_nothing")
    assert {name: report[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert report["accepted"] == report["settled_ok"] + report["settled_reverted"] + report["refused"]


def test_demo(tmp_path: Path) -> None:
    report, said = show(tmp_path, "--players", "6", "--seconds", "4")
    assert_exactly_once(report)
    assert report["accepted"] > 100
    assert report["settled_reverted"] > 0
    assert report["revoked"] == 1
    assert report["escapes_tried"] >= 3 * 50
    assert report["escapes_tried"] == report["escapes_refused_on_chain"] == report["twins_passed"]
    assert report["escapes_mined"] > 0.9 * report["escapes_tried"]
    assert "The most that can be lost, whoever holds the key" in said


def test_demo_behavior_survives_sigkill(tmp_path: Path) -> None:
    report, said = show(tmp_path, "--players", "6", "--seconds", "7", "--kill-after", "3", "--no-thief")
    assert_exactly_once(report)
    assert (report["kills"], report["reconnects"]) == (1, 6)
    assert "the server is back" in said
