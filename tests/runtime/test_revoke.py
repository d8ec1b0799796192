import asyncio
from typing import Any

import pytest

from gamekit.accounts.stack import IS_MODULE_INSTALLED
from gamekit.core.action import Action
from gamekit.core.relay import RelayTransaction
from gamekit.core.session import Session
from gamekit.errors import CallReverted, SessionNotFound, StoreUnavailable
from gamekit.eth.entry_point import FAILED_OP, HANDLE_OPS
from gamekit.testing.scenery import Keys, chain_config, config
from gamekit.units import Address, Gas, PermissionId
from tests.runtime.world import ALICE, OWNER, World, released, targets, turns, writes


class Watch:
    """Notes when the revocation was written, and how many operations were signed by then."""

    def __init__(self, world: World) -> None:
        self.world, self.signed_before = world, -1
        commit = world.store.commit

        def watched(rows: Any) -> Any:
            if any(isinstance(row, Session) and row.state == "revoking" for row in rows):
                self.signed_before = len(world.signed)
            return commit(rows)

        world.store.commit = watched  # type: ignore[method-assign]

    @property
    def signed_after(self) -> int:
        assert self.signed_before >= 0
        return len(self.world.signed) - self.signed_before


async def busy(world: World) -> PermissionId:
    """A session with one operation in the pool and more waiting."""
    session = await world.open()
    await world.accepted(session, "flying")
    await world.sign()
    await world.send()
    await world.accepted(session, "waiting", "also")
    return session


async def test_the_answer_says_what_may_still_land_and_until_when(world: World) -> None:
    session = await busy(world)
    (operation,) = await world.operations()
    answer = await world.kit.revoke(session)
    assert answer.permission_id == session
    assert answer.revoked_at == world.chain.top.head.timestamp
    assert answer.refused_actions == 2
    assert answer.in_flight == (operation.user_op_hash,)
    assert answer.dead_by == operation.deadline


async def test_what_waits_is_refused_and_what_flies_lands(world: World) -> None:
    session = await busy(world)
    await world.kit.revoke(session)
    assert await world.states() == {"flying": "accepted", "waiting": "refused", "also": "refused"}
    await world.quiet()
    assert (await world.action("waiting")).reason == "session_revoked"
    assert world.ran() == targets("flying")
    assert world.kit.session_row(session).state == "revoked"
    await world.check()


async def test_what_flies_and_never_lands_is_refused_once_it_is_dead(world: World) -> None:
    session = await busy(world)
    world.chain.drop()
    await world.kit.revoke(session)
    world.chain.deaf = 1000
    await world.block(5, seconds=60, empty=True)
    assert (await world.action("flying")).reason == "session_revoked"
    assert world.chain.operations() == []
    await world.check()


async def test_nothing_is_signed_after_the_revocation_is_written(world: World) -> None:
    watch = Watch(world)
    await race(world)
    assert watch.signed_after == 0
    await world.quiet()
    await world.check()


async def test_planted_forgetting_the_lane_is_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same race, with a revocation that stops the row and not the lane."""
    monkeypatch.setattr(world.kit._revoke, "stop", lambda session, code: world.kit.state.put(session))
    watch = Watch(world)
    await race(world)
    assert watch.signed_after > 0


async def race(world: World) -> None:
    """The session is revoked while its operation is on its way to disk, before it is signed."""
    session = await world.open()
    await world.accepted(session, "a")
    commit = world.store.commit
    revoked: list[asyncio.Future[Any]] = []

    def in_between(rows: Any) -> Any:
        written = commit(rows)
        if not revoked and any(type(row).__name__ == "Operation" for row in rows):
            revoked.append(asyncio.ensure_future(world.kit.revoke(session)))
        return written

    world.store.commit = in_between  # type: ignore[method-assign]
    await world.sign()
    await revoked[0]
    world.store.commit = commit  # type: ignore[method-assign]


async def test_the_first_action_of_a_session_that_is_revoked_meanwhile_is_not_signed(world: World) -> None:
    """Its lane is built from the chain's figures, and the session ends between those two answers."""
    session = await world.open()
    call = world.chain.call

    async def meanwhile(*args: Any, **how: Any) -> bytes:
        world.chain.call = call  # type: ignore[method-assign]
        answer = await call(*args, **how)
        await world.kit.revoke(session)
        return answer

    world.chain.call = meanwhile  # type: ignore[method-assign]
    await world.act(session, "a")
    world.signed.clear()
    await world.turn(3)
    assert world.signed == []
    assert world.ran() == []


async def test_the_chain_refuses_the_key_afterwards(world: World) -> None:
    session = await world.open()
    await world.kit.revoke(session, "stolen phone")
    assert world.kit.session_row(session).state == "revoking"
    await world.block()
    row = world.kit.session_row(session)
    assert (row.state, row.revoked_at_block) == ("revoked", world.chain.top.head.number)
    assert world.chain.top.world.sessions[session].state == 2
    assert len(await world.events("session_revoked")) == 1
    await world.block(3)
    assert len(await world.events("session_revoked")) == 2, "told again when no reorg can take it back"
    assert world.kit.session_row(session).is_final


async def test_revoking_again_is_harmless(world: World) -> None:
    session = await world.open()
    await world.kit.revoke(session)
    await world.kit.revoke(session)
    await world.block(4)
    await world.kit.revoke(session)
    assert len(await world.events("session_revoked")) == 2


async def test_an_unknown_session(world: World) -> None:
    with pytest.raises(SessionNotFound):
        await world.kit.revoke(PermissionId(bytes(32)))


async def test_a_revocation_that_got_lost_is_sent_again(world: World) -> None:
    session = await world.open()
    world.chain.deaf = 1
    await world.kit.revoke(session)
    assert world.chain.pending == []
    await world.block(3)
    assert world.kit.session_row(session).state == "revoked"


async def test_one_that_the_node_gives_no_estimate_for_holds_up_no_other_end(world: World) -> None:
    """Neither a revocation after it, nor the end of a session whose time has passed."""
    stuck, second, third = await world.open(), await world.open(), await world.open()
    world.no_estimate(world.kit.session_row(stuck).scope)
    world.refuse(released)
    for session in (stuck, second):
        await world.kit.revoke(session)
    await world.block(2, seconds=world.kit.session_row(third).valid_until - world.chain.top.head.timestamp)
    states = [world.kit.session_row(each).state for each in (stuck, second, third)]
    assert states == ["revoking", "revoked", "expired"]


async def test_a_reorg_takes_it_back_and_it_is_sent_again(world: World) -> None:
    world.chain.finality = 6
    session = await world.open()
    await world.kit.revoke(session)
    await world.block()
    world.chain.reorg(1, forget=True, length=2)
    await world.step()
    assert world.kit.session_row(session).state == "revoking"
    await world.block(3)
    assert world.kit.session_row(session).state == "revoked"


async def test_it_goes_on_after_a_restart(world: World) -> None:
    session = await busy(world)
    world.chain.deaf = 1
    await world.kit.revoke(session)
    await world.restart()
    await world.quiet()
    await world.block(3)
    assert world.kit.session_row(session).state == "revoked"
    await world.check()


class TestOthers:
    async def test_a_revocation_by_the_owner_ends_the_session_and_tells_what_waits(self, world: World) -> None:
        session = await busy(world)
        world.chain.revoke(session)
        await world.block()
        assert world.kit.session_row(session).state == "revoked"
        await world.quiet()
        assert await world.told("waiting") == ["refused"]
        await world.check()

    async def test_of_all_sessions_of_an_account(self, world: World) -> None:
        first, second = await world.open(), await world.open()
        proposed = (await world.kit.propose(ALICE, "arena", "play", OWNER)).permission_id
        world.chain.revoke_all(world.kit.session_row(first).account)
        await world.block()
        assert [world.kit.session_row(each).state for each in (first, second, proposed)] == ["revoked"] * 3

    async def test_a_log_of_another_contract_says_nothing(self, world: World) -> None:
        session = await world.open()
        world.chain.revoke(session, emitter=b"\x77" * 20)
        await world.block()
        assert world.kit.session_row(session).state == "open"

    async def test_of_a_session_that_nobody_knows(self, world: World) -> None:
        world.chain.revoke(PermissionId(b"\x01" * 32))
        await world.block()


class TestEarly:
    async def test_while_the_grant_is_not_deep_enough(self, keys: Keys) -> None:
        """The grant is in a block, and would open the session later: it must not come back to life."""
        world = World(keys, config(chain=chain_config(included_depth=3)))
        await world.start()
        request = await world.kit.propose(ALICE, "arena", "play", OWNER)
        await world.kit.open(request.permission_id, b"signature")
        await world.block()
        await world.kit.revoke(request.permission_id)
        await world.block(4)
        assert world.kit.session_row(request.permission_id).state == "revoked"
        assert await world.events("session_opened") == []

    async def test_of_what_was_only_proposed(self, world: World) -> None:
        request = await world.kit.propose(ALICE, "arena", "play", OWNER)
        await world.kit.revoke(request.permission_id)
        await world.kit.open(request.permission_id, b"signature")
        await world.block(2)
        assert world.kit.session_row(request.permission_id).state == "lapsed"
        assert world.kit.state.sessions[request.permission_id].revoke_data == b""

    async def test_of_a_grant_that_never_lands_ends_with_its_deadline(self, world: World) -> None:
        request = await world.kit.propose(ALICE, "arena", "play", OWNER)
        world.chain.deaf = 1
        await world.kit.open(request.permission_id, b"signature")
        world.chain.drop()

        async def never_granted(*_: object, **__: object) -> Gas:
            raise CallReverted("execution reverted: SessionNotLive")

        world.chain.estimate_gas = never_granted  # type: ignore[method-assign]
        await world.kit.revoke(request.permission_id)
        session = world.kit.session_row(request.permission_id)
        assert session.state == "revoking"
        left = session.grant_deadline - world.chain.top.head.timestamp
        for relayer in world.kit._relayers._relayers.values():
            relayer.unmined.clear()  # as if it had been mined, and had reverted
        await world.block(4, seconds=left + 10, empty=True)
        assert world.kit.session_row(request.permission_id).state == "lapsed"

    async def test_by_the_owner_is_sent_by_us_when_a_reorg_takes_it_back(self, world: World) -> None:
        session = await world.open()
        head = world.kit.state.head
        await world.store.commit(world.kit._revoke._revoked(world.kit.session_row(session), head))
        assert world.kit.session_row(session).revoke_data == b""
        rows = world.kit._revoke.on_orphaned(head)
        assert [getattr(row, "kind", row.TABLE) for row in rows] == ["session", "session_reorged"]
        await world.store.commit(rows)
        await world.block(4)
        assert world.kit.session_row(session).state == "revoked"
        assert world.chain.top.world.sessions[session].state == 2


class TestExpiry:
    async def test_a_session_ends_with_its_time(self, world: World) -> None:
        session = await world.open()
        until = world.kit.session_row(session).valid_until
        await world.block(seconds=until - world.chain.top.head.timestamp)
        assert world.kit.session_row(session).state == "open"
        await world.block(seconds=1)
        assert world.kit.session_row(session).state == "expired"
        assert len(await world.events("session_expired")) == 1

    async def test_the_end_refuses_what_waits(self, world: World) -> None:
        session = await busy(world)
        await world.kit.pause("chain", "the test", "tester")
        await world.block(seconds=700)
        assert (await world.action("waiting")).reason == "session_expired"
        await world.kit.resume("chain", "the test", "tester")
        await world.quiet()
        await world.check()
        assert session

    async def test_what_was_accepted_while_it_ended_is_told_after_a_crash(self, world: World) -> None:
        """The end is on disk, the refusal of what waited is not."""
        session = await busy(world)

        async def crash(*_: Any) -> None:
            raise KeyboardInterrupt

        world.kit._dispatch.refuse = crash  # type: ignore[assignment, method-assign]
        with pytest.raises(KeyboardInterrupt):
            await world.block(seconds=700)
        assert (await world.store.get(Session, session)).state == "expired"  # type: ignore[union-attr]
        await world.restart()
        await world.quiet()
        assert (await world.action("waiting")).reason == "session_expired"
        await world.check()

    async def test_the_player_is_warned_once_before_the_end(self, world: World) -> None:
        session = await world.open()
        until = world.kit.session_row(session).valid_until
        await world.block(seconds=until - 121 - world.chain.top.head.timestamp)
        assert await world.events("session_expiring") == []
        await world.block(3, seconds=1)
        assert len(await world.events("session_expiring")) == 1


class TestTimes:
    """How long it takes until a revocation has effect, tier by tier."""

    async def test_each_tier_is_counted_when_it_is_reached(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.sign()
        await world.send()
        world.chain.finality = 3
        await world.kit.revoke(session)
        reached = {"memory": 1, "durable": 1, "queue_dead": 0, "included": 0, "final": 0}
        assert counted(world) == reached
        world.clock.now += 2
        await world.block()
        world.clock.now += 2
        await world.block()
        assert counted(world) == reached | {"queue_dead": 1, "included": 1}
        await world.block(3)
        assert counted(world) == dict.fromkeys(reached, 1)
        assert world.kit.revocation_times()["final"].longest_s == 4

    async def test_what_never_lands_is_dead_by_its_deadline(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.sign()
        answer = await world.kit.revoke(session)
        await world.block(seconds=answer.dead_by - world.chain.top.head.timestamp, empty=True)
        assert counted(world)["queue_dead"] == 0
        await world.block(empty=True)
        assert counted(world)["queue_dead"] == 1

    async def test_revocations_of_others_are_not_counted(self, world: World) -> None:
        session = await world.open()
        world.chain.revoke(session)
        await world.block(5)
        assert set(counted(world).values()) == {0}


def counted(world: World) -> dict[str, int]:
    return {tier: found.total for tier, found in world.kit.revocation_times().items()}


async def test_a_disk_that_refuses_is_told_and_asking_again_writes_it(world: World) -> None:
    """No caller is told that a revocation holds which a restart would forget; until then the session plays on."""
    session = await world.open()
    await world.accepted(session, "a")
    refuse = world.refuse_slowly(writes(Session, "revoking"))
    asked = [asyncio.ensure_future(world.kit.revoke(session)) for _ in range(2)]
    await turns()
    signing = asyncio.ensure_future(world.sign())
    await turns()
    refuse()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
    await signing
    assert (world.kit.session_row(session).state, world.signed) == ("open", [])
    await world.accepted(session, "b")
    await world.quiet()
    assert (await world.told("a"), await world.told("b")) == (["refused"], ["settled", "final"])
    await world.kit.revoke(session)
    row = await world.store.get(Session, session)
    assert row is not None
    assert row.state in ("revoking", "revoked")
    await world.block(4)
    assert counted(world) == {"memory": 2, "durable": 1, "queue_dead": 1, "included": 1, "final": 1}
    await world.check()


@pytest.mark.parametrize("fault", ["disk", "node"])
async def test_one_that_is_written_and_not_sent_is_no_refusal(world: World, fault: str) -> None:
    session = await world.open()
    sent = len(world.chain.sent)
    if fault == "disk":
        world.refuse(released)
    else:
        world.chain.down = 1
    assert (await world.kit.revoke(session)).permission_id == session
    assert (world.kit.session_row(session).state, len(world.chain.sent)) == ("revoking", sent)
    await world.block(2)
    assert world.kit.session_row(session).state == "revoked"
    nonces = [row.nonce for row in await world.store.select(RelayTransaction)]
    assert sorted(nonces) == [0, 1]


async def test_refusals_that_the_disk_does_not_take_are_told_later(world: World) -> None:
    session = await busy(world)
    world.refuse(writes(Action, "refused"))
    await world.kit.revoke(session)
    assert await world.states() == {"flying": "accepted", "waiting": "accepted", "also": "accepted"}
    await world.sign()
    assert await world.states() == {"flying": "accepted", "waiting": "refused", "also": "refused"}
    await world.quiet()
    await world.check()


async def test_what_the_chain_ended_meanwhile_stays_ended(world: World) -> None:
    """A write that fails takes back what it had changed, and nothing that came after."""
    session = await world.open()
    await world.kit._resolve.lane_of(world.kit.session_row(session))
    refuse = world.refuse_slowly(writes(Session, "revoking"))
    asked = asyncio.ensure_future(world.kit.revoke(session))
    await turns()
    world.chain.revoke(session)
    reading = asyncio.ensure_future(world.block())
    await turns()
    refuse()
    with pytest.raises(StoreUnavailable):
        await asked
    await reading
    assert (world.kit.session_row(session).state, world.lane(session).stopped) == ("revoked", "session_revoked")
    assert (await world.store.get(Session, session)).state == "revoked"  # type: ignore[union-attr]


async def test_one_that_comes_while_the_account_is_doubted_is_the_callers_own(world: World) -> None:
    session = await world.open()
    real: Any = world.chain.call

    async def without(to: Address, data: bytes, **how: Any) -> bytes:
        if data[:4] == IS_MODULE_INSTALLED.selector:
            await world.kit.revoke(session, "asked for")
            return bytes(32)
        return bytes(await real(to, data, **how))

    world.chain.call = without  # type: ignore[method-assign]
    world.kit.state.doubted.add(session)
    world.kit._revoke._suspected.add(session)
    await world.block()
    row = world.kit.session_row(session)
    assert (row.state, row.ended_reason, bool(row.revoke_data)) == ("revoking", "asked for", True)
    assert await world.events("alarm") == []


async def test_a_module_that_was_torn_out_ends_the_session(world: World) -> None:
    """No block says so: the account refuses an operation, and is asked whether it still has the module."""
    session = await world.open()
    account = world.kit.session_row(session).account
    await world.accepted(session, "a")
    real: Any = world.chain.call

    async def without(to: Address, data: bytes, **how: Any) -> bytes:
        if data[:4] == IS_MODULE_INSTALLED.selector:
            assert to == account
            return bytes(32)
        if data[:4] == HANDLE_OPS.selector:
            raise CallReverted("reverted", FAILED_OP.encode(0, "AA24 signature error"))
        return bytes(await real(to, data, **how))

    world.chain.call = without  # type: ignore[method-assign]
    await world.turn(2)
    row = world.kit.session_row(session)
    assert (row.state, row.ended_reason) == ("revoked", "the account no longer has the session module")
    signed = len(world.signed)
    await world.turn(8, seconds=40)
    assert len(world.signed) == signed
    assert await world.states() == {"a": "refused"}
    assert "session_broken" in str([event.body for event in await world.events("alarm")])


async def test_a_refusal_of_an_account_that_has_the_module_ends_nothing(world: World) -> None:
    session = await world.open()
    world.kit.state.doubted.add(session)
    await world.block()
    assert world.kit.session_row(session).state == "open"
    assert not world.kit.state.doubted
