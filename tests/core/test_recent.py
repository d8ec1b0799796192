from gamekit.core.recent import RecentKeys
from gamekit.units import ActionId, PermissionId

A, B, C = (PermissionId(bytes([number]) * 32) for number in range(3))


def known(number: int) -> tuple[bytes, ActionId]:
    return bytes(16), ActionId(number)


def filled(recent: RecentKeys, lane: PermissionId, keys: str) -> RecentKeys:
    for number, key in enumerate(keys):
        recent.remember(lane, key, known(number))
    return recent


def test_what_is_remembered_is_known_on_its_own_lane_only() -> None:
    recent = filled(RecentKeys(9, 9), A, "ab")
    assert recent.known(A, "b") == known(1)
    assert recent.known(A, "c") is None
    assert recent.known(B, "b") is None
    assert (recent.of(A), recent.of(B)) == ({"a": known(0), "b": known(1)}, {})


def test_the_oldest_keys_of_a_lane_go_first() -> None:
    recent = filled(RecentKeys(2, 9), A, "abc")
    assert list(recent.of(A)) == ["b", "c"]
    assert recent.total == 2


def test_the_lane_that_was_asked_longest_ago_goes_first() -> None:
    recent = filled(filled(RecentKeys(9, 4), A, "ab"), B, "ab")
    recent.of(A)
    filled(recent, C, "a")
    assert recent.lanes() == [A, C]
    assert recent.total == 3


def test_one_key_and_a_whole_lane_can_be_forgotten() -> None:
    recent = filled(filled(RecentKeys(9, 9), A, "ab"), B, "a")
    recent.drop(A, "a")
    recent.drop(A, "never")
    recent.drop(C, "a")
    assert (list(recent.of(A)), recent.total) == (["b"], 2)
    recent.drop(A, "b")
    assert recent.lanes() == [B]
    recent.forget(B)
    recent.forget(B)
    assert (recent.lanes(), recent.total) == ([], 0)
