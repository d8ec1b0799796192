"""What the players' side counts and writes down."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gamekit.demo.tally import Asked, ClientLog, Record, Tally, percentile
from gamekit.protocol.events import Refused, Reorged, Settled, SettledAction
from gamekit.protocol.messages import Accepted, AcceptedAction, RefusedAction
from gamekit.protocol.octets import Octets16, Octets32

PERMISSION, EPOCH, HASH = Octets32(bytes(32)), Octets16(bytes(16)), Octets32(b"\x01" * 32)


class Desk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.tally = Tally()
        self.log = ClientLog(path)
        self.record = Record(self.tally, self.log, [], [])
        self.record.account, self.record.permission_id = "0x01", "0x00"
        for number in range(1, 4):
            self.record.ask(f"k{number}", Asked("attack", (number, 1), 1.0, number))

    def accept(self, *numbers: int) -> None:
        actions = [AcceptedAction(f"k{number}", number) for number in numbers]
        self.record.accepted(Accepted(1, PERMISSION, EPOCH, actions))

    def settle(self, number: int, *, ok: bool = True) -> None:
        self.record.settled(Settled(PERMISSION, HASH, HASH, 1, [SettledAction(f"k{number}", number, ok)]))

    def refuse(self, number: int, code: str) -> None:
        action = RefusedAction(f"k{number}", code, "final", "")
        self.record.refused(Refused(PERMISSION, [action]))

    def lines(self) -> list[tuple[str, str]]:
        self.log.close()
        return [(row["event"], row["key"]) for row in map(json.loads, self.path.read_text().splitlines())]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "log")
    yield desk
    desk.log.close()


def test_record_default(desk: Desk) -> None:
    desk.accept(1, 2)
    desk.settle(1)
    desk.settle(2, ok=False)
    assert (desk.tally.offered, desk.tally.accepted) == (3, 2)
    assert (desk.tally.settled_ok, desk.tally.settled_reverted, desk.tally.open) == (1, 1, 0)
    assert desk.lines() == [("accepted", "k1"), ("accepted", "k2"), ("settled", "k1"), ("settled", "k2")]


def test_record_behavior_an_acknowledgement_that_comes_again_counts_once(desk: Desk) -> None:
    desk.accept(1)
    desk.accept(1)
    assert desk.tally.accepted == 1


def test_record_behavior_an_outcome_may_come_first(desk: Desk) -> None:
    desk.settle(1)
    desk.accept(1)
    assert desk.tally.open == 0


def test_record_behavior_refused_before_and_after_acceptance_differ(desk: Desk) -> None:
    desk.accept(1)
    desk.refuse(1, "session_revoked")
    desk.refuse(2, "overloaded")
    assert (desk.tally.refused, desk.tally.turned_away) == (1, 1)
    assert desk.tally.reasons == {"session_revoked": 1, "overloaded": 1}
    assert desk.lines() == [("accepted", "k1"), ("refused", "k1")]


def test_record_behavior_a_reorg_is_written_down(desk: Desk) -> None:
    desk.accept(1)
    desk.settle(1)
    desk.record.reorged(Reorged(PERMISSION, HASH, ["k1"]))
    assert desk.lines()[-1] == ("reorged", "k1")


def test_record_behavior_what_a_reorg_took_back_is_open_again(desk: Desk) -> None:
    desk.accept(1)
    desk.settle(1)
    desk.record.reorged(Reorged(PERMISSION, HASH, ["k1"]))
    assert desk.tally.open == 1
    desk.settle(1)
    assert desk.tally.open == 0


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 6.0), (0.99, 10.0), (1.0, 10.0)])
def test_percentile(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 11)], share) == value


def test_percentile_args_nothing() -> None:
    assert percentile([], 0.5) == 0.0
