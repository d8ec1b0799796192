from typing import Any

import msgspec
import pytest

from gamekit.config import RelayConfig
from gamekit.core.tracking import FINAL, INCLUDED, SENT
from gamekit.errors import CallReverted
from gamekit.eth.entry_point import FAILED_OP
from gamekit.eth.user_operation import split_pair
from gamekit.testing.scenery import Keys, config
from gamekit.units import Address, PermissionId, PlayerId, Wei
from tests.runtime.world import World, targets


async def signed(world: World, *keys: str) -> PermissionId:
    session = await world.open()
    await world.accepted(session, *keys)
    await world.sign()
    return session


async def several(world: World, count: int) -> list[PermissionId]:
    """As many sessions, each with one signed operation: of actions a0, a1 …"""
    sessions = []
    for number in range(count):
        session = await world.open(PlayerId(f"p{number}"), Address(bytes([1 + number]) * 20))
        await world.accepted(session, f"a{number}")
        sessions.append(session)
    await world.sign()
    return sessions


async def test_an_operation_is_durable_as_sent_before_it_leaves(world: World) -> None:
    await signed(world, "a")
    seen: list[str] = []
    send = world.chain.send_raw_transaction

    async def look(raw: bytes) -> None:
        seen.extend(operation.state for operation in await world.operations())
        await send(raw)

    world.chain.send_raw_transaction = look  # type: ignore[method-assign]
    await world.send()
    assert seen == [SENT]


async def test_operations_of_several_players_share_a_transaction(world: World) -> None:
    await several(world, 3)
    await world.send()
    assert len(world.chain.pending) == 1
    assert len(world.chain.operations()) == 3
    await world.quiet()
    await world.check()


async def test_what_validation_refuses_is_taken_out_and_the_others_go_on(world: World) -> None:
    sessions = await several(world, 3)
    lane = world.lane(sessions[1])
    world.chain.consume(lane.session.account, lane.session.key)
    world.chain.mine()
    await world.send()
    assert [int.from_bytes(op.call_data[152:184], "big") for op in world.chain.operations()] != []
    assert len(world.chain.operations()) == 2
    refused = [operation for operation in await world.operations() if operation.rejected]
    assert [operation.permission_id for operation in refused] == [sessions[1]]
    assert refused[0].rejected.startswith("AA25")
    await world.step()
    await world.quiet()
    await world.check()


async def test_what_a_reorg_to_an_earlier_head_makes_not_due_yet_goes_with_the_next_block(world: World) -> None:
    """Its time is claimed by the head on which it was signed, which was the later one."""
    world.chain.finality = 10
    session = await world.open()
    await world.block(4)
    await world.accepted(session, "a")
    await world.sign()
    world.chain.reorg(3, length=1)
    await world.step()
    await world.send()
    assert world.chain.operations() == []
    assert [operation.rejected for operation in await world.operations()] == [""]
    await world.block(2)
    await world.send()
    await world.quiet()
    assert (await world.action("a")).state == "ok"
    assert await world.events("alarm") == []
    await world.check()


async def test_an_unexpected_refusal_raises_one_alarm(world: World) -> None:
    """And a second one when the chain says why: it does not know the session any more."""
    session = await signed(world, "a")
    world.chain.top.world.sessions.clear()
    for _ in range(20):
        await world.send()
        await world.block(empty=True)
    alarms = [msgspec.msgpack.decode(event.body)["what"] for event in await world.events("alarm")]
    assert alarms == ["operation_rejected", "session_broken"]
    assert world.kit.session_row(session).state == "revoked"


async def test_what_is_included_while_it_is_simulated_stays_included(world: World) -> None:
    """Somebody else bundles our operation, and the block is read while we ask the chain about our own bundle."""
    await signed(world, "a")
    operation = next(iter(world.kit._bundler._queue.values()))
    call = world.chain.call

    async def meanwhile(*args: object, **how: object) -> bytes:
        world.chain.call = call  # type: ignore[method-assign]
        answer = await call(*args, **how)  # type: ignore[arg-type]
        submissions = world.kit._bundler._submissions([operation])
        world.chain.run_unpacked(submissions)
        await world.block()
        return answer

    world.chain.call = meanwhile  # type: ignore[method-assign]
    await world.send()
    await world.quiet()
    assert [row.state for row in await world.operations()] == [FINAL]
    await world.check()


async def test_a_refusal_of_what_was_included_meanwhile_changes_nothing(world: World) -> None:
    """AA25 is just what the entry point says of an operation that somebody else has landed."""
    await signed(world, "a")
    operation = next(iter(world.kit._bundler._queue.values()))
    call = world.chain.call

    async def meanwhile(*_: object, **__: object) -> bytes:
        world.chain.call = call  # type: ignore[method-assign]
        world.chain.run_unpacked(world.kit._bundler._submissions([operation]))
        await world.block()
        raise CallReverted("execution reverted", FAILED_OP.encode(0, "AA25 invalid account nonce"))

    world.chain.call = meanwhile  # type: ignore[method-assign]
    await world.send()
    assert [row.state for row in await world.operations()] == [INCLUDED]
    await world.quiet()
    assert await world.states() == {"a": "ok"}
    await world.check()


async def test_a_lost_reply_is_treated_as_sent(world: World) -> None:
    await signed(world, "a")
    world.chain.silent_after = 1
    await world.send()
    assert (await world.operations())[0].state == SENT
    await world.quiet()
    assert world.ran() == targets("a")
    assert set(world.chain.sent[1:]) == {world.chain.sent[1]}


async def test_a_node_that_does_not_answer_a_simulation_delays_and_loses_nothing(world: World) -> None:
    await signed(world, "a")
    world.chain.down = 1
    await world.send()
    assert world.chain.operations() == []
    await world.quiet()
    await world.check()


async def test_bundles_wait_while_every_relayer_is_busy(keys: Keys) -> None:
    world = World(keys, config(relay=RelayConfig(in_flight_max=1, operations_max=1)))
    await world.start()
    await several(world, 3)
    await world.send()
    assert len(world.chain.operations()) == 1
    await world.quiet()
    await world.check()


async def test_a_refusal_that_names_nobody_is_searched_in_halves(world: World) -> None:
    """One operation makes the whole call revert, and the revert does not say which: the others still land."""
    sessions = await several(world, 5)
    (poison,) = [row for row in await world.operations() if row.permission_id == sessions[3]]
    call = world.chain.call

    async def nameless(to: Any, data: bytes, **how: Any) -> bytes:
        if poison.user_op_hash in {world.chain.hash_of(op) for op in world.chain.read_bundle(data)}:
            raise CallReverted("out of gas", b"")
        return await call(to, data, **how)

    world.chain.call = nameless  # type: ignore[method-assign]
    for _ in range(6):
        await world.send()
        await world.block()
    assert await world.states() == {f"a{number}": "accepted" if number == 3 else "ok" for number in range(5)}
    assert len(await world.events("alarm")) == 1
    world.chain.call = call  # type: ignore[method-assign]
    await world.quiet()
    await world.check()


async def test_without_simulation_a_bad_operation_costs_a_transaction_and_no_neighbour(keys: Keys) -> None:
    world = World(keys, config(relay=RelayConfig(simulate=False)))
    await world.start()
    sessions = await several(world, 2)
    await world.send()
    lane = world.lane(sessions[0])
    pending = list(world.chain.pending)
    world.chain.drop()
    world.chain.consume(lane.session.account, lane.session.key)
    world.chain.mine()
    world.chain.pending = pending
    await world.quiet()
    await world.check()


async def test_a_relayer_that_is_taken_meanwhile_delays_a_bundle(world: World) -> None:
    await signed(world, "a")
    call = world.chain.call
    (relayer,) = world.kit._relayers._relayers.values()

    async def meanwhile(*args: Any, **how: Any) -> bytes:
        relayer.balance = Wei(0)
        return await call(*args, **how)

    world.chain.call = meanwhile  # type: ignore[method-assign]
    await world.send()
    assert world.chain.operations() == []
    world.chain.call = call  # type: ignore[method-assign]
    relayer.balance = Wei(10**18)
    await world.quiet()
    await world.check()


async def test_gas_over_the_cap_delays_a_bundle(world: World) -> None:
    await signed(world, "a")
    world.chain.base_fee = Wei(10**15)
    await world.block()
    await world.send()
    assert world.chain.operations() == []
    world.chain.base_fee = Wei(10**9)
    await world.block()
    await world.quiet()
    await world.check()


async def test_an_account_that_reverts_bundles_on_chain_holds_up_no_other(world: World) -> None:
    """It agrees when it is simulated and reverts when it is mined: after the first time it travels alone."""
    sessions = await several(world, 4)
    traitor = world.kit.session_row(sessions[2]).account
    world.chain.treacherous.add(traitor)
    await world.turn(3)
    assert await world.states() == {"a0": "ok", "a1": "ok", "a2": "accepted", "a3": "ok"}
    failed = [receipt for block in world.chain.blocks for receipt in block.receipts if not receipt.succeeded]
    await world.turn(6)
    again = [receipt for block in world.chain.blocks for receipt in block.receipts if not receipt.succeeded]
    assert len(failed) == 2, "once with the others, once alone"
    assert len(again) <= 3, "and then only now and then"
    world.chain.treacherous.clear()
    await world.quiet()
    await world.check()


async def test_suspicion_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gamekit.runtime.bundle.SUSPECT_BLOCKS", 2)
    sessions = await several(world, 2)
    world.chain.treacherous.add(world.kit.session_row(sessions[0]).account)
    await world.turn()
    assert len(world.kit._bundler._suspects) == 2
    world.chain.treacherous.clear()
    await world.quiet()
    await world.block(3)
    assert world.kit._bundler._suspects == {}


@pytest.mark.parametrize("reason", ["AA26 over verificationGasLimit", "AA23 reverted"])
async def test_validation_that_costs_more_than_it_did_is_signed_once_with_more_gas(world: World, reason: str) -> None:
    """A fork that changes gas prices must not stop everybody who plays: half as much again, in the same slot, once."""
    session = await world.open()
    await world.accepted(session, "a")
    await world.sign()
    (first,) = await world.operations()
    real: Any = world.chain.call

    async def dearer(to: Address, data: bytes, **how: Any) -> bytes:
        for place, op in enumerate(world.chain.read_bundle(data)):
            if split_pair(op.account_gas_limits)[0] <= first.verification_gas_limit:
                raise CallReverted("reverted", FAILED_OP.encode(place, reason))
        return bytes(await real(to, data, **how))

    world.chain.call = dearer  # type: ignore[method-assign]
    await world.quiet()
    rows = await world.operations()
    assert sorted(row.verification_gas_limit * 100 // first.verification_gas_limit for row in rows) == [100, 150]
    assert {row.sequence for row in rows} == {first.sequence}
    assert (await world.action("a")).state == "ok"
    await world.check()


async def test_more_gas_is_given_once(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    real: Any = world.chain.call

    async def never(to: Address, data: bytes, **how: Any) -> bytes:
        if world.chain.read_bundle(data):
            raise CallReverted("reverted", FAILED_OP.encode(0, "AA26 over verificationGasLimit"))
        return bytes(await real(to, data, **how))

    world.chain.call = never  # type: ignore[method-assign]
    await world.turn(20)
    assert len(await world.operations()) == 2
