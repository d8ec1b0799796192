"""What has no answer yet."""

from hypothesis import given
from hypothesis import strategies as st

from gamekit.client.outbox import Outbox
from gamekit.protocol.events import Refused
from gamekit.protocol.messages import Accepted, AcceptedAction, ActionRequest, RefusedAction
from gamekit.protocol.octets import Octets16, Octets32

ID, EPOCH, LATER = Octets32(bytes(32)), Octets16(bytes(16)), Octets16(b"\x01" * 16)


def ask(outbox: Outbox, *keys: str, epoch: Octets16 = EPOCH) -> None:
    outbox.add(ID, epoch, [ActionRequest(key, "attack") for key in keys])


def accepted(request_id: int, *keys: str) -> Accepted:
    return Accepted(request_id, ID, EPOCH, [AcceptedAction(key, 1) for key in keys])


def refused(request_id: int, *keys: str) -> Refused:
    return Refused(ID, [RefusedAction(key, "c", "final", "m") for key in keys], id=request_id)


def leaving(outbox: Outbox) -> list[tuple[int, list[str]]]:
    return [(act.id, [action.key for action in act.actions]) for act in outbox.frames()]


def test_each_frame_leaves_once() -> None:
    outbox = Outbox()
    ask(outbox, "a", "b")
    ask(outbox, "c")
    assert leaving(outbox) == [(1, ["a", "b"]), (2, ["c"])]
    assert leaving(outbox) == []
    assert repr(outbox) == "<Outbox 3 unanswered actions>"


def test_what_is_answered_is_forgotten() -> None:
    outbox = Outbox()
    ask(outbox, "a", "b", "c")
    leaving(outbox)
    outbox.answered(accepted(1, "a", "c"))
    assert len(outbox) == 1
    outbox.answered(refused(1, "b"))
    assert len(outbox) == 0


def test_what_is_not_answered_leaves_again_in_order_with_its_epoch() -> None:
    outbox = Outbox()
    ask(outbox, "a", "b")
    ask(outbox, "c", epoch=LATER)
    leaving(outbox)
    outbox.answered(accepted(1, "a"))
    outbox.connected()
    assert [(act.id, act.journal_epoch, [each.key for each in act.actions]) for act in outbox.frames()] == [
        (1, EPOCH, ["b"]),
        (2, LATER, ["c"]),
    ]


def test_answers_of_a_connection_before_mean_nothing() -> None:
    outbox = Outbox()
    ask(outbox, "a")
    leaving(outbox)
    outbox.connected()
    outbox.answered(accepted(1, "a"))
    assert len(outbox) == 1


def test_ids_are_shared_with_other_requests() -> None:
    outbox = Outbox()
    assert outbox.next_id() == 1
    ask(outbox, "a")
    assert leaving(outbox) == [(2, ["a"])]


@given(st.lists(st.sampled_from(["ask", "send", "answer", "lose"]), max_size=40))
def test_nothing_is_lost_and_order_is_kept(steps: list[str]) -> None:
    outbox, count, open_keys, flight = Outbox(), 0, [], []
    for step in steps:
        if step == "ask":
            count += 1
            ask(outbox, f"k{count}")
            open_keys.append(f"k{count}")
        elif step == "send":
            flight += leaving(outbox)
        elif step == "answer" and flight:
            request_id, keys = flight.pop(0)
            outbox.answered(accepted(request_id, *keys))
            open_keys = [key for key in open_keys if key not in keys]
        elif step == "lose":
            outbox.connected()
            flight = []
    outbox.connected()
    assert [key for _, keys in leaving(outbox) for key in keys] == open_keys
