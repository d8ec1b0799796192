import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.core.pausing import CHAIN, Pause, Pauses, RevertRate, function_subject, game_subject
from gamekit.units import PlayerId
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

    def test_what_holds_a_game_back_is_no_pause_and_outlasts_one(self) -> None:
        found = pauses("game:arena")
        found.hold([pause("game:arena"), pause("game:chess")])
        assert [each.subject for each in found] == ["game:arena"]
        found.put(pause("game:arena", active=False))
        assert found
        assert [found.find(game) for game in ("arena", "chess", "go")] == [
            pause("game:arena"),
            pause("game:chess"),
            None,
        ]
        found.hold([pause("game:chess")])
        assert found.find("arena", "attack") is None
        found.hold([])
        assert not found

    def test_one_that_ended(self) -> None:
        found = pauses("chain")
        found.put(pause("chain", active=False))
        found.put(pause("game:arena", active=False))
        assert not found


ADA, BOB, EVE = PlayerId("ada"), PlayerId("bob"), PlayerId("eve")


class TestRevertRate:
    def test_not_before_the_window_is_full(self) -> None:
        rate = RevertRate(4, 1)
        for _ in range(3):
            rate.add(ADA, True)
        assert not rate.over(50)
        rate.add(ADA, True)
        assert rate.over(50)

    def test_as_many_as_allowed_are_not_over(self) -> None:
        rate = RevertRate(4, 1)
        for reverted in (True, False, True, False):
            rate.add(ADA, reverted)
        assert not rate.over(50)
        assert rate.over(49)

    def test_one_player_never_is(self) -> None:
        rate = RevertRate(4, 2)
        for _ in range(100):
            rate.add(EVE, True)
        assert not rate.over(0)

    def test_one_who_calls_quickly_drives_nobody_out(self) -> None:
        """Eve's hundred reverts have two places of the four; the others stay Bob's."""
        rate = RevertRate(4, 2)
        rate.add(BOB, False)
        rate.add(BOB, True)
        for _ in range(100):
            rate.add(EVE, True)
        assert rate.over(50)
        rate.add(BOB, False)
        rate.add(BOB, False)
        assert not rate.over(0), "only one player reverts"

    def test_enough_players_are(self) -> None:
        rate = RevertRate(4, 2)
        for player in (ADA, BOB, ADA, BOB):
            rate.add(player, True)
        assert rate.over(99)

    def test_more_players_than_places_are_all_that_fit(self) -> None:
        rate = RevertRate(2, 5)
        rate.add(ADA, True)
        rate.add(BOB, True)
        assert rate.over(50)

    @given(st.lists(st.booleans(), max_size=40), st.integers(1, 8), st.integers(0, 100))
    def test_it_is_the_share_of_the_latest(self, calls: list[bool], window: int, percent: int) -> None:
        rate = RevertRate(window, 1)
        for reverted in calls:
            rate.add(ADA, reverted)
        latest = calls[-window:]
        expected = len(latest) == window and sum(latest) * 100 > percent * window
        assert rate.over(percent) is expected

    @given(
        st.lists(st.tuples(st.sampled_from([ADA, BOB, EVE]), st.booleans()), max_size=60),
        st.integers(1, 9),
        st.integers(1, 4),
        st.integers(0, 100),
    )
    def test_no_player_has_more_than_a_share(
        self, calls: list[tuple[PlayerId, bool]], window: int, players_min: int, percent: int
    ) -> None:
        """As a list that is searched from the start says it."""
        rate = RevertRate(window, players_min)
        needed = min(players_min, window)
        latest: list[tuple[PlayerId, bool]] = []
        for call in calls:
            rate.add(*call)
            own = [place for place, (player, _) in enumerate(latest) if player == call[0]]
            if len(own) == window // needed:
                del latest[own[0]]
            latest = [*latest, call][-window:]
        reverted = [player for player, has_reverted in latest if has_reverted]
        is_full = len(latest) == window and len(set(reverted)) >= needed
        assert rate.over(percent) is (is_full and len(reverted) * 100 > percent * window)
