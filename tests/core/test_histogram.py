from gamekit.core.histogram import BOUNDS_S, Histogram


def test_each_is_counted_in_its_step() -> None:
    found = Histogram()
    for seconds in (0.0, 0.001, 0.0011, 60.0, 1e9):
        found.add(seconds)
    told = found.plain()["at_most_s"]
    assert isinstance(told, dict)
    assert {bound: count for bound, count in told.items() if count} == {"0.001": 2, "0.01": 1, "60": 1, "inf": 1}
    assert (found.total, found.longest_s) == (5, 1e9)
    assert repr(found) == "<Histogram of 5, longest 1000000000.000 s>"


def test_steps_grow() -> None:
    assert list(BOUNDS_S) == sorted(set(BOUNDS_S))
