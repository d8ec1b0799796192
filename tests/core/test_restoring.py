from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.core.action import Action
from gamekit.core.restoring import LostCall, matched, resolves_at
from gamekit.units import ActionId, Address, BlockNumber, Hash32, PermissionId, UnixSeconds, UserOpHash, Wei

TARGET = Address(b"\x11" * 20)
SESSION = PermissionId(b"\x22" * 32)


def action(number: int, data: bytes, value: int = 0) -> Action:
    return Action(ActionId(number), SESSION, f"k{number}", b"", "attack", TARGET, data, Wei(value))


def call(place: int, data: bytes, action_id: int = 0, value: int = 0) -> LostCall:
    return LostCall(
        UserOpHash(b"\x33" * 32), place, SESSION, TARGET, data, Wei(value), True, "", False, Hash32(b"\x44" * 32),
        BlockNumber(7), b"\x55" * 32, action_id,
    )  # fmt: skip


def test_each_call_is_one_action() -> None:
    found = matched([action(1, b"a"), action(2, b"b"), action(3, b"a")], [call(0, b"a"), call(1, b"b")])
    assert {number: each.place for number, each in found.items()} == {1: 0, 2: 1}


def test_equal_calls_go_to_equal_actions_in_order() -> None:
    found = matched([action(1, b"a"), action(2, b"a")], [call(0, b"a"), call(1, b"a"), call(2, b"a")])
    assert {number: each.place for number, each in found.items()} == {1: 0, 2: 1}


def test_a_call_that_is_taken_is_passed_over() -> None:
    assert matched([action(1, b"a")], [call(0, b"a", action_id=9)]) == {}


def test_value_counts() -> None:
    assert matched([action(1, b"a", value=1)], [call(0, b"a")]) == {}


@given(st.lists(st.sampled_from([b"a", b"b", b"c"])), st.lists(st.sampled_from([b"a", b"b", b"c"])))
def test_nothing_that_may_have_run_is_left_over(waiting: list[bytes], ran: list[bytes]) -> None:
    found = matched([action(number, data) for number, data in enumerate(waiting, 1)], [
        call(place, data) for place, data in enumerate(ran)
    ])  # fmt: skip
    for data in (b"a", b"b", b"c"):
        kept = sum(1 for number, each in enumerate(waiting, 1) if each == data and number not in found)
        assert kept == max(0, waiting.count(data) - ran.count(data))
    assert len({each.place for each in found.values()}) == len(found)


def test_a_call_stands_for_one_action_for_ever() -> None:
    first = call(0, b"a", action_id=4)
    assert first.admit(None) == first.admit(call(0, b"a")) == first.admit(first) == ""
    assert "action 4" in replace(first, action_id=5).admit(first)


def test_the_longest_deadline_after_the_head() -> None:
    assert resolves_at(UnixSeconds(1000), 120) == 1120
