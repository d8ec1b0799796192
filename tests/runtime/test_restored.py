"""An old copy of the journal is put back: what the chain did meanwhile never runs again, and is told."""

from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any

import pytest
from msgspec.structs import replace

from gamekit.core.action import ActionRequest
from gamekit.core.journal import Meta
from gamekit.core.policy import SLACK_S
from gamekit.core.restoring import RESTORED, LostCall
from gamekit.errors import (
    ActionLost,
    ChainUnavailable,
    ConfigInvalid,
    IdempotencyConflict,
    OutcomeUnknown,
    Paused,
    SessionNotFound,
)
from gamekit.kit import KINDS, GameKit
from gamekit.runtime.intake import Accepted
from gamekit.store.memory import MemoryStore
from gamekit.units import Hash32, PermissionId, PlayerId
from tests.runtime.world import OWNER, World, attack, reverting, targets

Step = Callable[[World], Awaitable[Any]]
STAGES: list[Step] = [
    lambda world: world.sign(),
    lambda world: world.send(),
    lambda world: world.block(),
    lambda world: world.block(),
    lambda world: world.block(),
]


class Copy:
    """The journal in memory as it was at one moment."""

    def __init__(self, store: MemoryStore) -> None:
        self._rows = deepcopy((store._rows, store._unique))

    async def put_back(self, world: World) -> None:
        """The server dies, the copy takes the journal's place, another server starts on it."""
        before = world.store.journal_epoch
        world.store._rows, world.store._unique = deepcopy(self._rows)
        await world.store.new_epoch()
        await world.store.commit((Meta(RESTORED, before),))
        await world.restart()


async def wait(world: World) -> None:
    """Let the chain go on until everything that was signed before has landed or died, and that is final."""
    await world.turn(8, seconds=40)
    assert not world.kit._restored.active


async def finish(world: World) -> None:
    await wait(world)
    await world.quiet()
    await world.check()


@pytest.mark.parametrize("copied", range(len(STAGES)))
@pytest.mark.parametrize("after", range(1, len(STAGES) + 1))
async def test_at_every_stage(world: World, copied: int, after: int) -> None:
    """The copy is made at one stage of two actions, the server dies at a later one: each is told what became of it.

    What was sent runs once; what was only signed dies, and never runs.
    """
    session = await world.open()
    await world.accepted(session, "a", "b")
    for stage in STAGES[:copied]:
        await stage(world)
    copy = Copy(world.store)
    for stage in STAGES[copied:after]:
        await stage(world)
    await copy.put_back(world)
    await finish(world)
    was_sent = max(copied, after) > 1
    assert world.ran() == (targets("a", "b") if was_sent else [])
    for key in ("a", "b"):
        assert (await world.told(key))[-1] == ("final" if was_sent else "refused")
        assert (await world.action(key)).reason == ("" if was_sent else "action_lost")


async def test_what_the_lost_part_refused_never_runs(world: World) -> None:
    """Cancelled after the copy was made, and told so; the chain knows nothing of that."""
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    await world.accepted(session, "b")
    copy = Copy(world.store)
    assert await world.kit.cancel(session, "b")
    assert await world.told("b") == ["refused"]
    await world.turn(3)
    await copy.put_back(world)
    await finish(world)
    assert world.ran() == targets("a")
    assert (await world.told("b"), (await world.action("b")).reason) == (["refused"], "action_lost")


async def test_what_did_not_run_may_be_asked_again_under_another_key(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await Copy(world.store).put_back(world)
    await finish(world)
    (again,) = await world.kit.recall(session, [attack("a")])
    assert isinstance(again, Accepted)
    assert (await world.action("a")).reason == "action_lost"
    lane = world.lane(session)
    assert (world.kit.state.accepted, len(lane.ready), lane.in_flight) == (0, 0, False)
    await world.accepted(session, "b")
    await world.quiet()
    assert world.ran() == targets("b")
    await world.check()


async def test_another_variant_of_a_known_slot_is_found_by_its_calls(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    copy = Copy(world.store)
    await world.block(seconds=70, empty=True)
    await world.turn(3)
    assert world.ran() == targets("a")
    await copy.put_back(world)
    await finish(world)
    assert world.ran() == targets("a")
    assert await world.told("a") == ["settled", "final"]


async def test_actions_of_a_slot_that_was_given_up_meanwhile(world: World) -> None:
    """Freed after the copy, they went into another operation together with newer ones."""
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    copy = Copy(world.store)
    world.kit.state.pauses.put(await _pause(world))
    await world.block(4, seconds=60, empty=True)
    await world.kit.resume("game:arena", "fixed", "olga")
    await world.accepted(session, "b")
    await world.turn(3)
    assert world.ran() == targets("a", "b")
    await copy.put_back(world)
    await finish(world)
    assert world.ran() == targets("a", "b")


async def _pause(world: World) -> Any:
    await world.kit.pause("game:arena", "waiting", "olga")
    return next(iter(world.kit.state.pauses))


async def test_what_reverted_is_told_so(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a", "b")
    copy = Copy(world.store)
    world.chain.reverts = reverting("b")
    await world.turn()
    await copy.put_back(world)
    await finish(world)
    assert [(await world.action(key)).state for key in ("a", "b")] == ["ok", "reverted"]
    assert "NoStamina" in (await world.action("b")).reason


async def test_nothing_is_signed_accepted_or_refused_before_it_is_sure(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a", not_after=world.chain.top.head.timestamp + 5)
    copy = Copy(world.store)
    await copy.put_back(world)
    signed, sent = len(world.signed), len(world.chain.sent)
    (refused,) = await world.act(session, "b")
    assert isinstance(refused, Paused)
    assert not await world.kit.cancel(session, "a")
    with pytest.raises(ConfigInvalid, match="ends by itself"):
        await world.kit.resume(RESTORED, "hurry", "olga")
    for _ in range(5):
        await world.turn(seconds=20)
    assert world.kit._restored.active
    assert (len(world.signed), len(world.chain.sent)) == (signed, sent)
    assert (await world.action("a")).state == "accepted"
    await wait(world)
    await world.quiet()
    assert await world.told("a") == ["refused"]
    assert world.ran() == []


async def test_a_session_that_ends_meanwhile_refuses_only_what_did_not_run(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    copy = Copy(world.store)
    await world.turn()
    await copy.put_back(world)
    await world.kit.revoke(session)
    assert await world.told("a") == []
    await finish(world)
    assert await world.told("a") == ["settled", "final"]


async def test_it_survives_another_start(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    copy = Copy(world.store)
    await world.turn()
    await copy.put_back(world)
    await world.block(3, seconds=20)
    await world.restart()
    assert world.kit._restored.active
    await finish(world)
    assert world.ran() == targets("a")


@pytest.mark.parametrize("later", [0, 1, 4])
async def test_a_second_restore(world: World, later: int) -> None:
    """Of a copy that was made soon after the first was reconciled: what that told is not told again."""
    session = await world.open()
    await world.accepted(session, "a")
    copy = Copy(world.store)
    await world.turn()
    await world.accepted(session, "b")
    await world.turn()
    await copy.put_back(world)
    await wait(world)
    await world.block(later)
    second = Copy(world.store)
    await world.accepted(session, "c")
    await world.turn()
    await second.put_back(world)
    await finish(world)
    assert world.ran() == targets("a", "b", "c")
    assert await world.told("a") == ["settled", "final"]


async def test_a_session_that_expires_while_it_waits_over_another_start(world: World) -> None:
    session = await world.open()
    await world.block(3)
    copy = Copy(world.store)
    await world.accepted(session, "a")
    await world.turn()
    await copy.put_back(world)
    ends = world.kit.session_row(session).valid_until
    await world.block(seconds=ends - world.chain.top.head.timestamp + 1)
    await world.restart()
    await finish(world)
    (answer,) = await world.kit.recall(session, [attack("a")])
    assert isinstance(answer, Accepted)
    assert (await world.action("a")).state == "ok"


async def test_a_reorg_while_it_waits(world: World) -> None:
    world.chain.finality = 6
    session = await world.open()
    await world.block(6)
    await world.accepted(session, "a")
    copy = Copy(world.store)
    await world.turn()
    await copy.put_back(world)
    world.chain.reorg(1, length=2)
    await world.step()
    await finish_slowly(world)
    assert world.ran() == targets("a")


async def finish_slowly(world: World) -> None:
    await world.turn(12, seconds=40)
    await world.quiet()
    await world.check()


async def test_an_operation_that_cannot_be_read_refuses_what_might_have_been_in_it(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    copy = Copy(world.store)
    await world.turn()
    await copy.put_back(world)
    real = world.chain.transaction_data

    async def hidden(transaction_hash: Hash32) -> bytes:
        await real(transaction_hash)
        return b"\x12\x34\x56\x78"

    world.chain.transaction_data = hidden  # type: ignore[method-assign]
    await wait(world)
    await world.quiet()
    assert world.ran() == targets("a")
    assert (await world.action("a")).reason == "outcome_unknown"


async def test_a_node_that_does_not_answer_delays_it(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    copy = Copy(world.store)
    await world.turn()
    await copy.put_back(world)
    real, silent = world.chain.transaction_data, [2]

    async def now_and_then(transaction_hash: Hash32) -> bytes:
        silent[0] -= 1
        if silent[0] >= 0:
            raise ChainUnavailable("no answer")
        return await real(transaction_hash)

    world.chain.transaction_data = now_and_then  # type: ignore[method-assign]
    await finish(world)
    assert world.ran() == targets("a")


class TestRecall:
    """Retries under the older epoch: never executed, and told once the chain has told."""

    async def restored(self, world: World) -> PermissionId:
        """The copy knows nothing of `a`, which ran, and of `b`, which was accepted and never signed."""
        session = await world.open()
        await world.block(3)
        copy = Copy(world.store)
        await world.accepted(session, "a")
        await world.turn()
        await world.accepted(session, "b")
        await copy.put_back(world)
        return session

    async def ask(self, world: World, session: PermissionId, *requests: ActionRequest) -> list[Any]:
        return list(await world.kit.recall(session, requests))

    async def test_unknown_until_the_chain_has_told(self, world: World) -> None:
        session = await self.restored(world)
        answers = await self.ask(world, session, attack("a"), attack("b"))
        assert [type(each) for each in answers] == [OutcomeUnknown, OutcomeUnknown]
        assert answers[0].compared["by"] == world.kit._restored.until > 0
        await finish(world)
        (ran, lost) = await self.ask(world, session, attack("a"), attack("b"))
        assert isinstance(ran, Accepted)
        assert isinstance(lost, ActionLost)
        assert (await world.action("a")).state == "ok"
        assert await world.told("a") == ["settled", "final"]
        await world.quiet()
        assert world.ran() == targets("a")

    async def test_the_same_again_gives_the_same(self, world: World) -> None:
        session = await self.restored(world)
        await finish(world)
        (first,) = await self.ask(world, session, attack("a"))
        assert await self.ask(world, session, attack("a")) == [first]
        (conflict,) = await self.ask(world, session, ActionRequest("a", "move", (1, 1)))
        assert isinstance(conflict, IdempotencyConflict)

    async def test_one_call_answers_one_key(self, world: World) -> None:
        session = await self.restored(world)
        await finish(world)
        twin = ActionRequest("twin", "attack", attack("a").arguments)
        first, second = await self.ask(world, session, attack("a"), twin)
        assert isinstance(first, Accepted)
        assert isinstance(second, ActionLost)
        assert len(await world.store.select(LostCall)) == 1

    async def test_a_session_of_the_lost_part(self, world: World) -> None:
        await self.restored(world)
        (answer,) = await world.kit.recall(PermissionId(b"\x77" * 32), [attack("a")])
        assert isinstance(answer, OutcomeUnknown)

    async def test_of_another_player(self, world: World) -> None:
        session = await self.restored(world)
        with pytest.raises(SessionNotFound):
            await world.kit.recall(session, [attack("a")], PlayerId("bob"))

    async def test_what_is_lost_may_be_asked_anew(self, world: World) -> None:
        session = await self.restored(world)
        await finish(world)
        await world.accepted(session, "b")
        await world.quiet()
        assert world.ran() == targets("a", "b")


class TestLost:
    """The journal is gone, and keys or relayers show that there was one: nothing is signed before a deadline passed."""

    async def lose(self, world: World) -> None:
        """The server dies, and another one starts on an empty journal."""
        world.store = MemoryStore(KINDS)
        await world.restart()

    async def test_a_relayer_that_has_sent_shows_it(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.sign()
        await world.send()
        world.chain.drop()
        await self.lose(world)
        assert world.kit._restored.active
        (pause,) = world.kit.state.pauses
        assert "the one before it is lost" in pause.reason
        signed, sent = len(world.signed), len(world.chain.sent)
        request = await world.kit.propose(PlayerId("bob"), "arena", "play", OWNER)
        await world.kit.open(request.permission_id, b"owner's signature")
        ends = world.chain.top.head.timestamp + SLACK_S
        while (final := world.kit.state.final) is None or final.timestamp <= ends:
            assert (len(world.signed), len(world.chain.sent)) == (signed, sent)
            await world.turn(seconds=20)
        assert RESTORED not in world.kit.state.pauses
        await world.turn(3)
        assert world.kit.session_row(request.permission_id).state == "open"

    async def test_a_transaction_in_the_pool_shows_it(self, world: World) -> None:
        request = await world.kit.propose(PlayerId("bob"), "arena", "play", OWNER)
        await world.kit.open(request.permission_id, b"owner's signature")
        assert world.chain.pending
        await self.lose(world)
        assert world.kit._restored.active

    async def test_a_key_that_was_sealed_shows_it(self, world: World) -> None:
        ports = world.kit._ports
        world.store = MemoryStore(KINDS)
        world.kit = GameKit(world.config, world.games, replace(ports, store=world.store, has_sealed=True))
        await world.start()
        assert world.kit._restored.active
        await world.restart()
        assert world.kit._restored.active, "over another start, too"

    async def test_the_first_journal_of_all_starts_at_once(self, world: World) -> None:
        assert not world.kit._restored.active
        session = await world.open()
        await world.restart()
        assert not world.kit._restored.active, "relayers have sent meanwhile, by this very journal"
        await world.accepted(session, "a")
        await world.quiet()
        await world.check()


def no_wait(world: World) -> None:
    """What waits is signed as after any other start."""

    async def nothing() -> None:
        return None

    world.kit._restored.recover = nothing  # type: ignore[method-assign]


def by_hash_only(world: World) -> None:
    """Only operations that the journal knows count as ours."""
    world.kit._restored.on_receipts = lambda head, receipts: ()  # type: ignore[method-assign]


async def planted(world: World, copy: Copy, plant: Callable[[World], None]) -> None:
    """Restore with a bug, and let everything come to rest."""
    make = world._kit

    def with_bug() -> Any:
        world.kit = make()
        plant(world)
        return world.kit

    world._kit = with_bug  # type: ignore[method-assign]
    await copy.put_back(world)
    await world.turn(12, seconds=40)
    await world.quiet()


@pytest.mark.parametrize(
    ("plant", "ran", "told"), [(no_wait, "aa", ["settled", "final"]), (by_hash_only, "a", ["refused"])]
)
async def test_planted_bugs_are_found(world: World, plant: Callable[[World], None], ran: str, told: list[str]) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    copy = Copy(world.store)
    await world.turn(3)
    await planted(world, copy, plant)
    assert world.ran() == targets(*ran)
    assert await world.told("a") == told
