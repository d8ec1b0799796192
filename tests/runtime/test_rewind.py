"""The chain replaces a block that it had called final: told, stopped, taken back, and nothing runs twice."""

import asyncio
from typing import Any

import pytest

from gamekit.core.pausing import FINALITY
from gamekit.core.relay import RelayTransaction
from gamekit.core.tracking import FINAL, SUPERSEDED, Operation
from gamekit.errors import ChainMismatch, ChainUnavailable
from gamekit.eth.block import Head
from gamekit.runtime.known_blocks import known_blocks
from gamekit.units import BlockNumber, PermissionId
from tests.runtime.world import World, targets


async def played(world: World, *keys: str) -> PermissionId:
    """A session whose actions are final for a while."""
    session = await world.open()
    await world.block(6)
    for key in keys:
        await world.accepted(session, key)
        await world.quiet()
    await world.block(4)
    return session


async def resumed(world: World) -> None:
    await world.kit.resume(FINALITY, "looked at", "olga")
    await world.quiet()


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("forget", [False, True], ids=["rebroadcast", "forgotten"])
@pytest.mark.parametrize("depth", [4, 7, 10])
async def test_what_was_final_is_taken_back_and_runs_once(
    world: World, depth: int, forget: bool, restarted: bool
) -> None:
    await played(world, "a", "b")
    assert await world.told("a") == ["settled", "final"]
    world.chain.reorg(depth, forget=forget, length=depth + 1)
    await (world.restart() if restarted else world.step())
    await world.block(3)
    assert FINALITY in world.kit.state.pauses
    await resumed(world)
    assert world.ran() == targets("a", "b")
    await world.check()
    for key in ("a", "b"):
        assert (await world.told(key))[-1] == "final"


@pytest.mark.parametrize("plant", ["load_final", "pause"])
async def test_planted_bugs_are_found(world: World, monkeypatch: pytest.MonkeyPatch, plant: str) -> None:
    """What was final is not looked at again; nothing stops the signing."""

    async def nothing(*_: Any) -> None:
        return None

    what = world.kit._resolve if plant == "load_final" else world.kit._observe
    monkeypatch.setattr(what, plant, nothing)
    await played(world, "a")
    world.chain.reorg(8, forget=True, length=9)
    await world.step()
    await world.block(3)
    found = FINALITY not in world.kit.state.pauses
    if not found:
        await resumed(world)
        found = "reorged" not in await world.told("a")
    assert found


async def test_it_is_told(world: World) -> None:
    await played(world, "a")
    world.chain.reorg(8, length=9)
    await world.step()
    assert await world.told("a") == ["settled", "final", "reorged"]
    assert [event.kind for event in await world.events("alarm", "paused")] == ["paused", "alarm"]
    world.kit.engine._running = asyncio.ensure_future(asyncio.sleep(0))
    assert "the chain replaced final block" in world.kit.fault()
    await world.kit.engine.stop()
    await world.block()
    assert await world.told("a") == ["settled", "final", "reorged", "settled"]


async def test_nothing_is_signed_and_nothing_is_given_up_until_an_operator_resumes(world: World) -> None:
    session = await played(world, "a")
    world.chain.reorg(8, forget=True, length=9)
    world.chain.drop()
    await world.step()
    signed = len(world.signed)
    for _ in range(6):
        await world.sign()
        world.chain.drop()
        await world.block(seconds=60, empty=True)
    assert len(world.signed) == signed
    assert world.lane(session).in_flight
    await resumed(world)
    assert world.ran() == targets("a")
    await world.check()


async def test_a_node_that_calls_nothing_final_there_proves_nothing(world: World) -> None:
    """It may be behind, or on a fork that never becomes final: nothing is taken back, and nothing new is believed."""
    await played(world, "a")
    honest = list(world.chain.blocks)
    world.chain.reorg(8, forget=True, length=9)
    world.chain.finality = 8
    with pytest.raises(ChainUnavailable, match="contradicts a final block"):
        await world.step()
    world.chain.blocks = honest
    world.chain.finality = 2
    await world.quiet()
    assert await world.told("a") == ["settled", "final"]
    assert not world.kit.state.pauses


async def test_a_grant_and_a_revocation_that_were_final_are_sent_again(world: World) -> None:
    session = await played(world, "a")
    await world.kit.revoke(session)
    await world.block(6)
    assert world.kit.session_row(session).is_final
    depth = world.chain.top.head.number - 6
    world.chain.reorg(depth, forget=True, length=depth + 1)
    await world.restart()
    assert world.kit.session_row(session).state == "revoking"
    await resumed(world)
    await world.block(6)
    row = world.kit.session_row(session)
    assert (row.state, row.is_final, world.chain.top.world.sessions[session].state) == ("revoked", True, 2)
    await world.check()


async def test_a_crash_in_the_middle_goes_the_same_way_again(world: World) -> None:
    await played(world, "a")
    world.chain.reorg(8, length=9)
    commit, left = world.store.commit, [4]

    def last(rows: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return commit(rows)

    world.store.commit = last  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await world.step()
    world.store.commit = commit  # type: ignore[method-assign]
    await world.restart()
    await resumed(world)
    assert world.ran() == targets("a")
    assert (await world.told("a"))[-1] == "final"
    await world.check()


async def test_relayers_fill_the_nonces_that_were_taken_back(world: World) -> None:
    await played(world, "a", "b")
    before = {row.nonce for row in await world.store.select(RelayTransaction)}
    world.chain.reorg(10, forget=True, length=11)
    await world.step()
    await resumed(world)
    relayer = next(iter(world.keys.pool))
    assert world.chain.top.world.counts[relayer] >= len(before)
    await world.check()


async def test_a_variant_that_was_superseded_may_land_instead(world: World) -> None:
    session = await world.open()
    await world.block(6)
    await world.accepted(session, "a")
    await world.sign()
    world.chain.mine(seconds=70)
    await world.step()
    await world.quiet()
    rows = await world.store.select(Operation)
    assert sorted(row.state for row in rows) == [FINAL, SUPERSEDED]
    older = next(row for row in rows if row.state == SUPERSEDED)
    world.chain.reorg(6, forget=True, length=7)
    await world.step()
    submission = world.lane(session).codec.submission(older, world.lane(session).slots[older.sequence].call_data)
    world.chain.run_unpacked([submission])
    await world.block()
    await resumed(world)
    assert world.ran() == targets("a")
    await world.check()


async def test_a_chain_that_shares_no_block_is_another_one(world: World) -> None:
    await world.block(5)
    depth = world.chain.top.head.number - min(await known_blocks(world.store)) + 1
    world.chain.reorg(depth, length=depth + 1)
    with pytest.raises(ChainMismatch, match="do not belong together"):
        await world.step()


async def test_another_chain_behind_the_address_stops_the_loop(world: World) -> None:
    """A node that lags is asked again; one of another chain is not."""
    await world.block(5)
    depth = world.chain.top.head.number - min(await known_blocks(world.store)) + 1
    world.chain.reorg(depth, length=depth + 1)
    with pytest.raises(ChainMismatch):
        await world.kit._settle.run()


async def test_the_last_shared_block_is_found_at_any_depth(world: World) -> None:
    await world.block(12)
    known = await known_blocks(world.store)
    top = max(known)
    for depth in range(4, top - min(known) + 1):
        world.chain.reorg(depth, length=depth)
        shared, gone = await world.kit._settle._rewind.below(BlockNumber(top - 2))
        assert shared.number == top - depth
        assert [head.number for head in gone] == list(range(top, top - depth, -1))


async def test_a_backend_that_lags_below_the_last_final_block_replaces_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One address, two nodes: the head comes from the one that is behind, what is final from the other."""
    await played(world, "a")
    final = await world.chain.finalized()

    async def finalized() -> Head:
        return final

    honest = list(world.chain.blocks)
    del world.chain.blocks[-5:]
    with monkeypatch.context() as backends:
        backends.setattr(world.chain, "finalized", finalized)
        with pytest.raises(ChainUnavailable, match="below the last final one"):
            await world.step()
    world.chain.blocks = honest
    assert not world.kit.state.pauses
    assert await world.told("a") == ["settled", "final"]
