"""Where a process can die: each commit has a name, and each named point is reached."""

import itertools

import pytest

from gamekit.core.journal import Event, Meta
from gamekit.core.tracking import INCLUDED, LIVE, PLANNED, SENT, SIGNED
from gamekit.testing.crash import COMMITS, POINTS, Points, commit_kind
from gamekit.testing.pairs import pieces, tour, walk
from gamekit.testing.simulation import Workshop
from gamekit.units import Cursor, PlayerId, UnixSeconds
from tests.core.rows import action, operation, session, slot


def test_names_are_unique() -> None:
    assert len(set(POINTS)) == len(POINTS) == 2 * len(COMMITS) + 10


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([action(1)], "accepted"),
        ([slot(state=LIVE), operation(state=PLANNED)], "planned"),
        ([operation(state=SIGNED, signature=b"s")], "signed"),
        ([operation(state=SENT, rejected="AA21")], "rejected"),
        ([operation(state=INCLUDED), slot()], "included"),
        ([operation(state=INCLUDED), slot(), action(1, state="ok")], "settled"),
        ([action(1, state="refused"), Event(Cursor(1), "refused", PlayerId(""), UnixSeconds(0), b"")], "refused"),
        ([session(state="revoking")], "revoking"),
        ([session(state="lapsed")], "ended"),
        ([Meta("block/1", b"")], "block"),
        ([], "nothing"),
    ],
)
def test_commit_kind(rows: list[object], kind: str) -> None:
    assert commit_kind(rows) == kind  # type: ignore[arg-type]
    assert kind in COMMITS


def test_points_strike_by_count_and_by_name() -> None:
    points = Points()
    points.after(2)
    assert [points.strikes("send") for _ in range(4)] == [False, False, True, False]
    points.at("tell", 2)
    points.at("send")
    assert [points.strikes(name) for name in ("send", "tell", "tell", "tell", "send")] == [
        False, False, True, False, True,
    ]  # fmt: skip
    assert not points.is_armed()


def test_a_tour_walks_each_ordered_pair_once() -> None:
    points = POINTS[:7]
    whole = tour(points, 3)
    steps = list(itertools.pairwise(whole))
    assert len(steps) == 49
    assert set(steps) == {(a, b) for a in points for b in points}
    walked = {pair for piece in pieces(POINTS, 1) for pair in itertools.pairwise(piece)}
    assert len(walked) == len(POINTS) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(POINTS), 8))
def test_every_point_is_reached(shop: Workshop, start: int) -> None:
    """One after the other; each death is followed by a recovery, and by the next."""
    names = POINTS[start : start + 8]
    covered: set[tuple[str, str]] = set()
    world = walk(shop, 1, start, names, covered)
    assert world.witness.breaks == []
    assert [point for point, _ in world.witness.deaths] == list(names)
    assert world.audit().clean
