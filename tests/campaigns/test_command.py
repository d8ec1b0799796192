"""What a run with a planted bug proves."""

from typing import Any

import pytest

from tests.campaigns.command import exit_code, judged


@pytest.mark.parametrize(
    ("clean", "figures", "code"),
    [
        (True, {"lost": 0}, 0),
        (False, {"lost": 2}, 1),
        (False, {"lost": 0, "stopped": 3}, 2),
        (False, {}, 2),
    ],
)
def test_judged(clean: bool, figures: dict[str, Any], code: int) -> None:
    found = figures | judged(clean, figures, ("lost", "duplicated"))
    assert exit_code(clean, found) == code


def test_exit_code_behavior_nothing_was_proved() -> None:
    assert exit_code(True, {"no_verdict": 1}) == 2
    assert exit_code(False, {"lost": 1}) == 1
