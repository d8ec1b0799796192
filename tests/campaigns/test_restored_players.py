"""What a client counts as an outcome after a restore."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gamekit.demo.tally import Asked, ClientLog, Tally
from gamekit.protocol.events import Refused, Reorged, Settled, SettledAction
from gamekit.protocol.messages import Accepted, AcceptedAction, RefusedAction
from gamekit.protocol.octets import Octets16, Octets32
from tests.campaigns.restored_players import Remembering

PERMISSION, HASH, EPOCH = Octets32(b"\x07" * 32), Octets32(b"\x08" * 32), Octets16(b"\x09" * 16)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Remembering]:
    log = ClientLog(tmp_path / "log")
    record = Remembering(Tally(), log, [], [])
    for key in ("a", "b"):
        record.ask(key, Asked("attack", (1, 1), 0.0))
    record.accepted(Accepted(1, PERMISSION, EPOCH, [AcceptedAction("a", 1)]))
    yield record
    log.close()


def refused(record: Remembering, key: str, code: str, outcome: str) -> None:
    record.refused(Refused(permission_id=PERMISSION, actions=[RefusedAction(key, code, outcome, "", {})], id=5))


def test_open_default(record: Remembering) -> None:
    assert record.open == ["a", "b"]


def test_refused_behavior_unknown_is_no_outcome(record: Remembering) -> None:
    refused(record, "a", "outcome_unknown", "unknown")
    refused(record, "b", "outcome_unknown", "unknown")
    assert (record.open, record.unknown) == (["a", "b"], 2)


def test_refused_behavior_lost_is_one(record: Remembering) -> None:
    refused(record, "a", "action_lost", "final")
    refused(record, "b", "action_lost", "final")
    assert (record.open, record.lost) == ([], 1)


def test_refused_behavior_a_retry_that_comes_too_early_says_nothing_about_what_was_accepted(
    record: Remembering,
) -> None:
    refused(record, "a", "overloaded", "retry")
    refused(record, "b", "overloaded", "retry")
    assert record.open == ["a"]


def test_refused_behavior_what_was_taken_back_is_over(record: Remembering) -> None:
    event = RefusedAction("a", "action_cancelled", "final", "", {})
    record.refused(Refused(permission_id=PERMISSION, actions=[event], cursor=7))
    assert (record.open, record.cancelled) == (["b"], 1)


def test_settled_and_reorged(record: Remembering) -> None:
    done = [SettledAction("a", 1, ok=True)]
    record.settled(
        Settled(permission_id=PERMISSION, user_op_hash=HASH, transaction_hash=HASH, block_number=3, actions=done)
    )
    assert record.open == ["b"]
    record.reorged(Reorged(PERMISSION, HASH, ["a"]))
    assert record.open == ["a", "b"]
