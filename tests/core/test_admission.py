from typing import Any

import pytest
from msgspec.structs import replace

from gamekit.config import LaneConfig
from gamekit.core import admission
from gamekit.core.action import ActionRequest
from gamekit.core.admission import Queues
from gamekit.core.pausing import Pause, Pauses
from gamekit.core.policy import GasPolicy
from gamekit.core.sponsoring import Stops
from gamekit.errors import (
    ActionInvalid,
    Overloaded,
    Paused,
    PaymasterRejected,
    ScopeDenied,
    SessionExpired,
    SessionNotOpen,
    SessionRevoked,
    SponsorshipExhausted,
)
from gamekit.units import Address, UnixSeconds, Wei
from tests.core.rows import actions, lane
from tests.core.scopes import START


def queues(accepting: int = 0, accepted: int = 0, **limits: Any) -> Queues:
    return Queues(LaneConfig(**limits), accepting, accepted)


def asked(groups: str) -> list[ActionRequest]:
    """One request for each character; a dot stands alone."""
    return [ActionRequest(str(at), "move", group=each.strip(".")) for at, each in enumerate(groups)]


class TestUnpaid:
    PAYMASTER = Address(b"\x99" * 20)

    def test_what_the_paymaster_refused_is_told(self) -> None:
        found = lane(gas=GasPolicy(Wei(10**18), Wei(10**17), self.PAYMASTER))
        stops = Stops()
        assert admission.unpaid(found, stops, START) is None
        error = PaymasterRejected("no", aa_code="AA31", reason="")
        stops.note(found.session, self.PAYMASTER, Wei(5), error, START)
        told = admission.unpaid(found, stops, START)
        assert isinstance(told, SponsorshipExhausted)
        assert told.compared == {"reason": "AA31", "asked": 5, "limit": 0}

    def test_an_account_that_pays_for_itself_is_not_concerned(self) -> None:
        stops = Stops()
        error = PaymasterRejected("no", aa_code="AA31", reason="")
        stops.note(lane().session, self.PAYMASTER, Wei(5), error, START)
        assert admission.unpaid(lane(), stops, START) is None


class TestClosed:
    def test_an_open_session_takes_actions(self) -> None:
        assert admission.closed(lane(), START) is None

    def test_its_end_is_not_inside(self) -> None:
        found = lane()
        assert admission.closed(found, UnixSeconds(found.session.valid_until - 1)) is None
        assert isinstance(admission.closed(found, found.session.valid_until), SessionExpired)

    @pytest.mark.parametrize(
        ("code", "error"), [("session_revoked", SessionRevoked), ("session_expired", SessionExpired)]
    )
    def test_a_stopped_lane(self, code: str, error: type[Exception]) -> None:
        found = lane()
        found.stopped = code
        assert isinstance(admission.closed(found, START), error)

    def test_not_granted_yet(self) -> None:
        found = lane()
        found.session = found.session.moved("granting")
        assert isinstance(admission.closed(found, START), SessionNotOpen)


class TestRoom:
    def test_the_narrowest_bound_decides(self) -> None:
        found = lane()
        found.ready.extend(actions(1, 2))
        assert admission.room(found, queues(depth_max=5)) == 3
        assert admission.room(found, queues(accepting=4, journal_queue_max=5)) == 1
        assert admission.room(found, queues(accepted=7, accepted_max=5)) == -2
        found.usage = replace(found.usage, uses=found.scope.usage.uses_max - 2)
        assert admission.room(found, queues()) == 0

    def test_the_narrowest_is_named(self) -> None:
        found = lane()
        for how in (queues(depth_max=0), queues(journal_queue_max=0), queues(accepted_max=0)):
            assert isinstance(admission.full(found, how), Overloaded)
        assert admission.full(found, queues(9, 3, journal_queue_max=9)).compared == {
            "queue": "journal", "depth": 9, "depth_max": 9,
        }  # fmt: skip
        found.usage = replace(found.usage, uses=found.scope.usage.uses_max)
        assert isinstance(admission.full(found, queues()), ScopeDenied)


class TestRefusal:
    def refusal(self, request: ActionRequest, left: int = 1, pauses: Pauses | None = None) -> object:
        return admission.refusal(lane(), request, left, queues(depth_max=0), pauses or Pauses())

    def test_none(self) -> None:
        assert self.refusal(ActionRequest("k", "move")) is None

    @pytest.mark.parametrize("length", [0, 129])
    def test_a_key_of_a_bad_length(self, length: int) -> None:
        assert isinstance(self.refusal(ActionRequest("k" * length, "move")), ActionInvalid)

    def test_a_pause(self) -> None:
        pauses = Pauses()
        pauses.put(Pause("game:arena", "why", "me", START))
        assert isinstance(self.refusal(ActionRequest("k", "move"), pauses=pauses), Paused)

    def test_no_room(self) -> None:
        assert isinstance(self.refusal(ActionRequest("k", "move"), left=0), Overloaded)

    def test_value_that_is_not_there(self) -> None:
        most = lane().value_left()
        assert self.refusal(ActionRequest("k", "move", value=most)) is None
        refused = self.refusal(ActionRequest("k", "move", value=Wei(most + 1)))
        assert isinstance(refused, ScopeDenied)
        assert refused.compared["limit"] == most


class TestBadGroups:
    @pytest.mark.parametrize(
        ("groups", "bad"),
        [("", ""), ("...", ""), ("ggg", ""), (".gg.hh", ""), ("g.g", "g"), ("ghg", "g"), ("gghg.h", "gh"),
         ("gggg", "g"), ("g.ggg", "g")],
    )  # fmt: skip
    def test_members_stand_together_and_fit_into_an_operation(self, groups: str, bad: str) -> None:
        found = admission.bad_groups(asked(groups), 3)
        assert sorted(found) == sorted(bad)
        assert all(isinstance(each, ActionInvalid) for each in found.values())

    def test_the_size_is_told(self) -> None:
        compared = admission.bad_groups(asked("ggg"), 2)["g"].compared
        assert compared == {"group": "g", "size": 3, "calls_max": 2}
