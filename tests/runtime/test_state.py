import pytest
from msgspec.structs import replace

from gamekit.core.pausing import FINALITY
from gamekit.core.session import Session
from gamekit.errors import CallReverted, ChainUnavailable, IdempotencyConflict, SessionNotFound, SessionRevoked
from gamekit.runtime.intake import Accepted
from gamekit.runtime.state import State
from gamekit.testing.scenery import Keys, arena, config
from gamekit.units import Gas, PermissionId
from tests.core.towns import town
from tests.runtime.world import ALICE, OWNER, World, attack, targets


def test_there_is_no_head_before_one_was_read() -> None:
    with pytest.raises(ChainUnavailable, match="no block"):
        _ = State(config(), {}).head


class TestHalted:
    """A chain that stands still: what is signed would only burn its deadline."""

    async def test_nothing_is_signed_until_there_is_a_new_head(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        world.clock.now += 61
        world.kit._settle.watch_head()
        assert world.kit.state.halted
        await world.sign()
        assert await world.operations() == []
        await world.quiet()
        assert world.ran() == targets("a")

    async def test_a_head_in_time_is_none(self, world: World) -> None:
        world.clock.now += 60
        world.kit._settle.watch_head()
        assert not world.kit.state.halted

    async def test_it_is_said_once(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(3):
            world.clock.now += 61
            world.kit._settle.watch_head()
        assert caplog.text.count("no new block for") == 1

    async def test_actions_are_accepted_meanwhile(self, world: World) -> None:
        session = await world.open()
        world.clock.now += 61
        world.kit._settle.watch_head()
        await world.accepted(session, "a")
        await world.quiet()
        await world.check()


class TestEnded:
    """Sessions that have ended for good stay in the journal, and not for ever in memory."""

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gamekit.runtime.revoke.ENDED_SESSIONS", 1)

    async def test_lanes_go_at_once_and_rows_when_there_are_too_many(self, world: World) -> None:
        sessions = [await ended(world, key) for key in "abc"]
        state = world.kit.state
        assert (list(state.sessions), state.lanes, state.lanes_by_key) == (sessions[-1:], {}, {})
        assert world.kit.session_row(sessions[-1]).is_final

    async def test_expired_and_lapsed_ones_go_too(self, world: World) -> None:
        expired = [await world.open(), await world.open()]
        await world.accepted(expired[0], "a")
        await world.quiet()
        await world.kit.propose(ALICE, "arena", "play", OWNER)
        await world.block(seconds=700)
        await world.block()
        assert [row.state for row in world.kit.state.sessions.values()] == ["expired", "expired", "proposed"]
        assert list(world.kit.state.lanes) == expired[:1], "the block that ended it is not final"
        await world.block(2)
        assert [row.state for row in world.kit.state.sessions.values()] == ["lapsed"]
        assert world.kit.state.lanes == {}
        rows = [await world.store.get(Session, each) for each in expired]
        assert [row.state for row in rows if row] == ["expired", "expired"]

    async def test_not_before_no_reorg_can_bring_them_back(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.quiet()
        await world.kit.revoke(session)
        await world.block(2)
        assert (world.kit.session_row(session).state, session in world.kit.state.lanes) == ("revoked", True)
        await world.block()
        assert (world.kit.session_row(session).is_final, session in world.kit.state.lanes) == (True, False)

    async def test_not_while_something_of_theirs_may_still_land(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.sign()
        await world.send()
        world.chain.drop()
        world.chain.revoke(session)
        await world.block(6, seconds=1)
        assert world.kit.session_row(session).is_final
        assert world.lane(session).in_flight
        await world.block(6, seconds=60)
        assert await world.states() == {"a": "refused"}
        assert world.kit.state.lanes == {}

    async def test_late_retries_get_the_first_answer_and_anything_new_a_refusal(self, world: World) -> None:
        session = await ended(world, "a")
        await ended(world, "b")
        assert session not in world.kit.state.sessions
        retried, other, new = await world.kit.accept(session, [attack("a"), replace(attack("a"), value=1), attack("c")])
        assert retried == Accepted("a", (await world.action("a")).id, duplicate=True)
        assert isinstance(other, IdempotencyConflict)
        assert isinstance(new, SessionRevoked)
        assert not await world.kit.cancel(session, "a")
        assert (await world.kit.revoke(session)).refused_actions == 0
        with pytest.raises(SessionNotFound):
            await world.kit.open(session, b"signature")
        assert [event.kind for event in await world.events("session_opened")] == ["session_opened"] * 2
        await world.block()
        assert world.kit.state.lanes == {}, "the lane that answered is gone with the next final block"
        await world.check()

    @pytest.mark.parametrize(
        "answer", [Gas(100_000), CallReverted("reverted: SessionNotLive")], ids=["gas", "reverted"]
    )
    async def test_one_may_go_while_its_revocation_is_asked_about(
        self, world: World, answer: Gas | CallReverted
    ) -> None:
        session = await world.open()
        await ended(world, "a")
        estimate = world.chain.estimate_gas

        async def late(*_: object, **__: object) -> Gas:
            world.chain.estimate_gas = estimate  # type: ignore[method-assign]
            await world.block(6)  # Another attempt is sent, mined and final before this one has its answer.
            assert session not in world.kit.state.sessions
            if isinstance(answer, CallReverted):
                raise answer
            return answer

        world.chain.estimate_gas = late  # type: ignore[method-assign]
        sent = len(world.chain.sent)
        assert (await world.kit.revoke(session)).permission_id == session
        row = await world.store.get(Session, session)
        assert row is not None
        assert (row.state, row.is_final, len(world.chain.sent)) == ("revoked", True, sent + 1)

    async def test_a_reorg_below_a_final_block_loads_them_again(self, world: World) -> None:
        session = await ended(world, "a")
        await ended(world, "b")
        assert session not in world.kit.state.sessions
        row = await world.store.get(Session, session)
        assert row is not None
        depth = world.chain.top.head.number - row.revoked_at_block + 1
        world.chain.reorg(depth, forget=True, length=depth + 1)
        await world.step()
        await world.block(3)
        assert world.kit.session_row(session).state in ("revoking", "revoked")
        await world.kit.resume(FINALITY, "looked at", "olga")
        await world.quiet()
        await world.block(4)
        row = await world.store.get(Session, session)
        assert row is not None
        assert (row.state, row.revoked_at_block > 0) == ("revoked", True)
        assert world.chain.top.world.sessions[session].state == 2
        await world.check()


async def ended(world: World, key: str) -> PermissionId:
    """A session with one action in it, revoked, all of it final."""
    session = await world.open()
    await world.accepted(session, key)
    await world.quiet()
    await world.kit.revoke(session)
    await world.block(4)
    return session


async def test_a_retry_of_a_game_that_is_served_no_more_is_told_so(keys: Keys) -> None:
    world = World(keys, games=[town(), arena()])
    await world.start()
    session = await ended(world, "a")
    world.games = (town(),)
    await world.restart()
    with pytest.raises(SessionNotFound, match="a game that is served"):
        await world.kit.accept(session, [attack("a")])
