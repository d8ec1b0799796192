import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.core.pausing import CHAIN, Pause, Pauses, RevertRate, function_subject, game_subject
from tests.core.scopes import START


def pause(subject: str, *, active: bool = True) -> Pause:
    return Pause(subject, "why", "olga", START, active)


def pauses(*subjects: str) -> Pauses:
    found = Pauses()
    for subject in subjects:
        found.put(pause(subject))
    return found


class TestPauses:
    def test_none(self) -> None:
        assert not Pauses()
        assert Pauses().find("arena", "attack") is None

    def test_all_that_are_active(self) -> None:
        assert [each.subject for each in pauses("chain", "game:arena")] == ["chain", "game:arena"]

    @pytest.mark.parametrize("subject", [CHAIN, game_subject("arena"), function_subject("arena", "attack")])
    def test_what_stops_a_function(self, subject: str) -> None:
        found = pauses(subject).find("arena", "attack")
        assert found is not None
        assert found.subject == subject

    @pytest.mark.parametrize("subject", [game_subject("chess"), function_subject("arena", "move")])
    def test_what_does_not(self, subject: str) -> None:
        assert pauses(subject).find("arena", "attack") is None

    def test_the_widest_is_named(self) -> None:
        found = pauses("function:arena.attack", "game:arena", "chain")
        assert found.find("arena", "attack") == pause("chain")

    def test_one_that_ended(self) -> None:
        found = pauses("chain")
        found.put(pause("chain", active=False))
        found.put(pause("game:arena", active=False))
        assert not found


class TestRevertRate:
    def test_not_before_the_window_is_full(self) -> None:
        rate = RevertRate(4)
        for _ in range(3):
            rate.add(True)
        assert not rate.over(50)
        rate.add(True)
        assert rate.over(50)

    def test_as_many_as_allowed_are_not_over(self) -> None:
        rate = RevertRate(4)
        for reverted in (True, False, True, False):
            rate.add(reverted)
        assert not rate.over(50)
        assert rate.over(49)

    @given(st.lists(st.booleans(), max_size=40), st.integers(1, 8), st.integers(0, 100))
    def test_it_is_the_share_of_the_latest(self, calls: list[bool], window: int, percent: int) -> None:
        rate = RevertRate(window)
        for reverted in calls:
            rate.add(reverted)
        latest = calls[-window:]
        expected = len(latest) == window and sum(latest) * 100 > percent * window
        assert rate.over(percent) is expected
