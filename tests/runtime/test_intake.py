import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.config import LaneConfig
from gamekit.core.action import Action, ActionRequest
from gamekit.errors import (
    ActionInvalid,
    IdempotencyConflict,
    Overloaded,
    Paused,
    ScopeDenied,
    SessionExpired,
    SessionNotOpen,
    SessionRevoked,
    StoreUnavailable,
)
from gamekit.runtime.intake import Accepted
from gamekit.testing.scenery import Keys, config
from gamekit.units import UnixSeconds, Wei
from tests.runtime.world import World, attack, targets, turns, writes


async def test_accepted_means_in_the_journal(world: World) -> None:
    session = await world.open()
    (answer,) = await world.act(session, "a")
    row = await world.store.get(Action, answer.action_id)
    assert row is not None
    assert (row.key, row.state) == ("a", "accepted")


async def test_answers_stand_in_the_order_of_the_requests(world: World) -> None:
    session = await world.open()
    bad = ActionRequest("x", "attack", (1,))
    answers = await world.kit.accept(session, [attack("a"), bad, attack("b")])
    assert [type(answer) for answer in answers] == [Accepted, ActionInvalid, Accepted]
    assert await world.states() == {"a": "accepted", "b": "accepted"}


async def test_cancelling_who_waits_cancels_no_action(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "warm")
    answer = world.kit.accept(session, [attack("a")])
    answer.cancel()
    await world.quiet()
    assert (await world.action("a")).state == "ok"


class TestIdempotency:
    async def test_the_same_key_and_body_gives_the_same_answer(self, world: World) -> None:
        session = await world.open()
        (first,) = await world.act(session, "a")
        (again,) = await world.act(session, "a")
        assert again == Accepted("a", first.action_id, duplicate=True)
        await world.quiet()
        assert world.ran() == targets("a")

    async def test_another_body_is_a_conflict(self, world: World) -> None:
        session = await world.open()
        await world.act(session, "a")
        other = ActionRequest("a", "attack", (1, 2))
        assert isinstance((await world.kit.accept(session, [other]))[0], IdempotencyConflict)

    @pytest.mark.parametrize("changes", [{"not_after": 1_900_000_000}, {"group": "g"}])
    async def test_everything_that_was_asked_for_is_the_body(self, world: World, changes: dict[str, Any]) -> None:
        session = await world.open()
        await world.act(session, "a")
        (answer,) = await world.act(session, "a", **changes)
        assert isinstance(answer, IdempotencyConflict)

    async def test_keys_of_other_sessions_are_others(self, world: World) -> None:
        first = await world.open()
        second = await world.open()
        await world.accepted(first, "a")
        assert not (await world.accepted(second, "a"))[0].duplicate

    async def test_a_repetition_waits_for_the_first_to_be_on_disk(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "warm")
        first = world.kit.accept(session, [attack("a")])
        second = world.kit.accept(session, [attack("a")])
        assert (await second)[0].duplicate  # type: ignore[union-attr]
        assert first.done()

    async def test_a_repetition_of_what_was_not_written_is_not_accepted(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "warm")
        commit = world.store.commit

        def full(rows: Any) -> Any:
            if not any(isinstance(row, Action) for row in rows):
                return commit(rows)
            refused = asyncio.get_running_loop().create_future()
            refused.get_loop().call_soon(refused.set_exception, StoreUnavailable("disk full"))
            return refused

        world.store.commit = full  # type: ignore[method-assign]
        first = world.kit.accept(session, [attack("a")])
        second = world.kit.accept(session, [attack("a")])
        assert isinstance((await first)[0], StoreUnavailable)
        assert isinstance((await second)[0], StoreUnavailable)
        world.store.commit = commit  # type: ignore[method-assign]
        assert not (await world.accepted(session, "a"))[0].duplicate
        assert (world.lane(session).accepting, world.kit.state.accepting) == (0, 0)

    async def test_within_one_frame(self, world: World) -> None:
        session = await world.open()
        answers = await world.act(session, "a", "a", "b")
        assert [answer.duplicate for answer in answers] == [False, True, False]
        await world.quiet()
        assert world.ran() == targets("a", "b")

    async def test_keys_that_memory_has_lost_are_found_in_the_journal(self, world: World) -> None:
        session = await world.open()
        first = await world.accepted(session, "a", "b")
        await world.restart()
        answers = await world.act(session, "a", "new", "b")
        assert answers[0] == Accepted("a", first[0].action_id, duplicate=True)
        assert answers[2] == Accepted("b", first[1].action_id, duplicate=True)
        assert not answers[1].duplicate
        await world.quiet()
        assert world.ran() == targets("a", "b", "new")
        await world.check()

    async def test_another_body_under_a_key_that_memory_has_lost(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.restart()
        (answer,) = await world.kit.accept(session, [ActionRequest("a", "attack", (1, 2))])
        assert isinstance(answer, IdempotencyConflict)

    async def test_memory_of_keys_is_bounded(self, world: World) -> None:
        world.kit.state.recent.lane_max = 3
        session = await world.open()
        await world.accepted(session, *"abcdef")
        assert len(world.kit.state.recent.of(session)) == 3
        assert (await world.accepted(session, "a"))[0].duplicate
        await world.quiet()
        assert world.ran() == targets(*"abcdef")

    async def test_a_final_refusal_is_not_told_of_what_was_accepted(self, world: World) -> None:
        """The session has ended since, and memory has lost the key: the first answer still stands."""
        session = await world.open()
        (first,) = await world.accepted(session, "a")
        await world.quiet()
        await world.kit.revoke(session)
        await world.restart()
        world.kit.state.put(world.kit.session_row(session))
        lane = await world.kit._resolve.lane_of(world.kit.session_row(session))
        (answer,) = await world.kit._intake.accept(lane, [attack("a")])
        assert answer == Accepted("a", first.action_id, duplicate=True)

    async def test_a_refused_request_that_breaks_leaves_no_trace(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "warm")
        game = world.kit.state.games["arena"]
        encode = type(game).encode

        def breaks(self: Any, function: str, *rest: Any) -> Any:
            if function == "move":
                raise RuntimeError("a defect")
            return encode(self, function, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(game), "encode", breaks)
            with pytest.raises(RuntimeError):
                await world.kit.accept(session, [attack("a"), ActionRequest("b", "move", (1, 1))])
        assert not (await world.accepted(session, "a"))[0].duplicate
        assert (world.lane(session).accepting, world.lane(session).accepting_value) == (0, 0)


class TestRefusal:
    @pytest.mark.parametrize(
        "request_",
        [
            ActionRequest("a", "withdraw", ()),
            ActionRequest("a", "attack", (1,)),
            ActionRequest("a", "attack", ("one", 1)),
            ActionRequest("a", "attack", (None, object())),
            ActionRequest("a", "attack", {"target": 1}),
            ActionRequest("a", "attack", (1, 1), not_after=UnixSeconds(-1)),
            ActionRequest("a", "attack", (1, 1), not_after=UnixSeconds(2**70)),
            ActionRequest("a", "attack", (1, 1), value=Wei(-1)),
            ActionRequest("a", "attack", (1, 1), value=Wei(2**256)),
            ActionRequest("", "attack", (1, 1)),
            ActionRequest("k" * 129, "attack", (1, 1)),
        ],
    )
    async def test_what_cannot_be_an_action(self, world: World, request_: ActionRequest) -> None:
        session = await world.open()
        answers = await world.kit.accept(session, [attack("good"), request_])
        assert isinstance(answers[1], (ActionInvalid, ScopeDenied)), answers[1]
        assert await world.states() == {"good": "accepted"}
        assert world.kit.state.accepting == 0

    async def test_the_longest_key_is_taken(self, world: World) -> None:
        session = await world.open()
        (answer,) = await world.kit.accept(session, [ActionRequest("k" * 128, "attack", (1, 1))])
        assert isinstance(answer, Accepted)

    async def test_value_beyond_the_scope(self, world: World) -> None:
        session = await world.open()
        (answer,) = await world.act(session, "a", value=Wei(1))
        assert isinstance(answer, ScopeDenied)
        assert answer.compared == {"policy": "ValueLimitPolicy", "limit": 0, "asked": 1}

    async def test_a_paused_function(self, world: World) -> None:
        session = await world.open()
        await world.kit.pause("function:arena.attack", "broken", "tester")
        (answer,) = await world.act(session, "a")
        assert isinstance(answer, Paused)
        (other,) = await world.kit.accept(session, [ActionRequest("m", "move", (1, 1))])
        assert isinstance(other, Accepted)

    async def test_a_revoked_session(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "warm")
        await world.kit.revoke(session)
        assert isinstance((await world.act(session, "a"))[0], SessionRevoked)

    async def test_a_session_that_ends_with_this_second(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "warm")
        left = world.kit.session_row(session).valid_until - world.chain.top.head.timestamp
        await world.block(seconds=left, empty=True)
        (answer,) = await world.act(session, "a")
        assert isinstance(answer, SessionExpired)
        assert set(answer.compared) == {"valid_until", "now"}

    async def test_a_session_whose_grant_was_taken_back(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "warm")
        world.kit.state.put(world.kit.session_row(session).moved("granting"))
        assert isinstance((await world.act(session, "a"))[0], SessionNotOpen)


class TestBounds:
    async def test_a_full_lane(self, keys: Keys) -> None:
        world = World(keys, config(lanes=LaneConfig(depth_max=3)))
        await world.start()
        session = await world.open()
        answers = await world.act(session, *"abcde")
        assert [type(answer) for answer in answers] == [Accepted] * 3 + [Overloaded] * 2
        assert answers[3].compared == {"queue": "lane", "depth": 0, "depth_max": 3}
        await world.quiet()
        await world.accepted(session, "d", "e")
        await world.quiet()
        await world.check()

    async def test_what_is_on_its_way_to_disk_counts(self, keys: Keys) -> None:
        world = World(keys, config(lanes=LaneConfig(journal_queue_max=2)))
        await world.start()
        session = await world.open()
        await world.accepted(session, "warm")
        first = world.kit.accept(session, [attack("a"), attack("b")])
        (refused,) = await world.kit.accept(session, [attack("c")])
        assert isinstance(refused, Overloaded)
        assert refused.compared["queue"] == "journal"
        await first
        await world.accepted(session, "c")

    async def test_all_lanes_together(self, keys: Keys) -> None:
        world = World(keys, config(lanes=LaneConfig(accepted_max=2)))
        await world.start()
        first, second = await world.open(), await world.open()
        await world.accepted(first, "a", "b")
        (refused,) = await world.act(second, "c")
        assert isinstance(refused, Overloaded)
        assert refused.compared == {"queue": "server", "depth": 2, "depth_max": 2}

    async def test_uses_that_run_out(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        lane = world.lane(session)
        lane.usage = replace(lane.usage, uses=398)
        answers = await world.act(session, "b", "c")
        assert [type(answer) for answer in answers] == [Accepted, ScopeDenied]
        assert answers[1].compared["policy"] == "UsageLimitPolicy"


class TestGroup:
    async def test_one_bad_member_refuses_all(self, world: World) -> None:
        session = await world.open()
        requests = [attack("g0", group="g"), ActionRequest("g1", "nothing", (), group="g"), attack("g2", group="g")]
        answers = await world.kit.accept(session, [attack("a"), *requests])
        assert [type(answer) for answer in answers] == [Accepted, *[ActionInvalid] * 3]
        assert await world.states() == {"a": "accepted"}
        assert world.lane(session).accepting == 0
        assert not (await world.accepted(session, "g0"))[0].duplicate

    async def test_the_same_group_again(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "g0", "g1", group="g")
        again = await world.accepted(session, "g0", "g1", group="g")
        assert [answer.duplicate for answer in again] == [True, True]

    @pytest.mark.parametrize("restarted", [False, True])
    async def test_a_group_that_has_grown_is_another_body(self, world: World, restarted: bool) -> None:
        session = await world.open()
        await world.accepted(session, "g0", "g1", group="g")
        if restarted:
            await world.restart()
        answers = await world.act(session, "g0", "g1", "g2", group="g")
        assert [type(answer) for answer in answers] == [Accepted, Accepted, IdempotencyConflict]
        await world.quiet()
        assert world.ran() == targets("g0", "g1")

    async def test_members_that_do_not_stand_together_are_refused(self, world: World) -> None:
        session = await world.open()
        frame = [attack("g0", group="g"), attack("a"), attack("g1", group="g")]
        answers = await world.kit.accept(session, frame)
        assert [type(answer) for answer in answers] == [ActionInvalid, Accepted, ActionInvalid]
        await world.quiet()
        assert world.ran() == targets("a")
        await world.check()

    async def test_more_members_than_calls_of_an_operation_are_refused(self, world: World) -> None:
        session = await world.open()
        answers = await world.act(session, *"abcdefghi", group="g")
        assert {type(answer) for answer in answers} == {ActionInvalid}
        assert await world.states() == {}
        await world.accepted(session, *"abcdefgh", group="g")

    async def test_a_repeated_key_in_a_refused_group_is_not_told_as_accepted(self, world: World) -> None:
        session = await world.open()
        answers = await world.act(session, "g0", "g0", group="g")
        assert not any(isinstance(answer, Accepted) for answer in answers)
        assert await world.states() == {}


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text("gh ", min_size=1, max_size=12), st.booleans()), min_size=1, max_size=5))
def test_any_groups_are_taken_whole_once_and_in_order(keys: Keys, frames: list[tuple[str, bool]]) -> None:
    """Each frame is a text: a letter is a member of that group, a blank stands alone."""

    async def run() -> None:
        world = World(keys)
        await world.start()
        session = await world.open()
        accepted: list[str] = []
        together: list[list[str]] = []
        for number, (frame, turn) in enumerate(frames):
            asked = [attack(f"{number}.{at}", group=group.strip()) for at, group in enumerate(frame)]
            answers = await world.kit.accept(session, asked)
            taken = [request for request, answer in zip(asked, answers, strict=True) if isinstance(answer, Accepted)]
            accepted += [request.key for request in taken]
            for group in set(frame) - {" "}:
                members = [request.key for request in taken if request.group == group]
                assert len(members) in (0, frame.count(group))
                together += [members] if members else []
            if turn:
                await world.turn()
        await world.quiet()
        assert world.ran() == targets(*accepted)
        operations = [operation.action_ids for operation in await world.operations()]
        for members in together:
            ids = tuple([(await world.action(key)).id for key in members])
            assert ids in operations
        await world.check()

    asyncio.run(run())


class TestCancel:
    async def test_before_it_is_signed(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a", "b")
        assert await world.kit.cancel(session, "a")
        await world.quiet()
        assert await world.states() == {"a": "refused", "b": "ok"}
        assert (await world.action("a")).reason == "action_cancelled"
        assert world.kit.state.accepted == 0
        await world.check()

    async def test_too_late(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.sign()
        assert not await world.kit.cancel(session, "a")

    async def test_never_accepted(self, world: World) -> None:
        session = await world.open()
        assert not await world.kit.cancel(session, "a")
        await world.accepted(session, "b")
        assert not await world.kit.cancel(session, "a")

    async def test_a_group_goes_as_a_whole(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "g0", "g1", group="g")
        await world.accepted(session, "a")
        assert await world.kit.cancel(session, "g1")
        await world.quiet()
        assert await world.states() == {"g0": "refused", "g1": "refused", "a": "ok"}

    async def test_a_full_disk_takes_nothing_back(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a", "b")
        commit = world.store.commit
        world.store.commit = refuse_commit  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable):
            await world.kit.cancel(session, "a")
        world.store.commit = commit  # type: ignore[method-assign]
        await world.quiet()
        assert world.ran() == targets("a", "b")
        await world.check()

    async def test_a_full_disk_leaves_no_lane_unlooked_at(self, world: World) -> None:
        """What was to be taken back is looked at while it is in no queue, and must be looked at again."""
        session = await world.open()
        await world.accepted(session, "a")
        refuse = world.refuse_slowly(writes(Action, "refused"))
        asked = asyncio.ensure_future(world.kit.cancel(session, "a"))
        await turns()
        await world.sign()
        refuse()
        with pytest.raises(StoreUnavailable):
            await asked
        await world.quiet()
        assert world.ran() == targets("a")
        await world.check()


def refuse_commit(rows: Any) -> Any:
    refused = asyncio.get_running_loop().create_future()
    refused.set_exception(StoreUnavailable("disk full"))
    return refused


async def test_actions_wait_in_the_order_of_their_ids_however_they_reach_the_disk(world: World) -> None:
    """A frame with a key that memory has lost is written in a second attempt, behind what came after it."""
    session = await world.open()
    await world.accepted(session, "old")
    await world.restart()
    await world.kit._resolve.lane_of(world.kit.session_row(session))
    first = world.kit.accept(session, [attack("old"), attack("a")])
    second = world.kit.accept(session, [attack("b")])
    await first
    await second
    ids = [action.id for action in world.lane(session).ready]
    assert ids == sorted(ids)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
                             lambda inner: st.lists(inner, max_size=3), max_leaves=4), max_size=3))  # fmt: skip
def test_any_arguments_are_taken_or_refused(keys: Keys, arguments: list[Any]) -> None:
    async def run() -> None:
        world = World(keys)
        await world.start()
        session = await world.open()
        (answer,) = await world.kit.accept(session, [ActionRequest("a", "attack", arguments)])
        assert isinstance(answer, (Accepted, ActionInvalid))

    asyncio.run(run())


async def test_a_journal_that_is_full_refuses_and_counts_nothing(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "warm")
    commit = world.store.commit

    def closed(rows: Any) -> Any:
        raise StoreUnavailable("the journal is closed")

    world.store.commit = closed  # type: ignore[method-assign]
    assert isinstance((await world.act(session, "a"))[0], StoreUnavailable)
    world.store.commit = commit  # type: ignore[method-assign]
    assert (world.lane(session).accepting, world.kit.state.accepting) == (0, 0)
    assert not (await world.accepted(session, "a"))[0].duplicate
