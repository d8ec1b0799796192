import asyncio
from typing import Any

import pytest

from gamekit.core.relay import RelayTransaction
from gamekit.core.withdrawal import Withdrawal
from gamekit.errors import ChainUnavailable, ConfigInvalid, OperationRejected, SessionNotFound, StoreUnavailable
from gamekit.eth.calldata import Call
from gamekit.runtime.withdraw import WithdrawalRequest
from gamekit.units import Address, PlayerId, UserOpHash, Wei
from tests.runtime.world import ALICE, OWNER, World, released, writes

BANK = Address(b"\xba" * 20)
SIGNATURE = b"owner's signature"


async def prepared(world: World, call: Call | None = None, meaning: str = "") -> WithdrawalRequest:
    session = await world.open()
    account = world.kit.session_row(session).account
    return await world.kit.prepare_withdrawal(ALICE, account, call or Call(BANK, Wei(5), b""), meaning)


async def row_of(world: World, request: WithdrawalRequest) -> Withdrawal:
    row = await world.store.get(Withdrawal, request.user_op_hash)
    assert row is not None
    return row


async def bundles(world: World) -> list[RelayTransaction]:
    return [row for row in await world.store.select(RelayTransaction) if row.kind == "withdraw"]


async def test_it_is_prepared_for_the_owner_in_words(world: World) -> None:
    request = await prepared(world)
    assert request.owner == OWNER
    assert request.meaning == "send to 0xBAbAbabAbabaBABaBAbABabaBAbAbaBaBAbABaBa with 5 wei"
    assert (await row_of(world, request)).state == "prepared"
    assert world.chain.pending == []


async def test_a_call_is_named_by_its_selector(world: World) -> None:
    request = await prepared(world, Call(BANK, Wei(0), b"\xa9\x05\x9c\xbb" + bytes(64)))
    assert request.meaning.startswith("call a9059cbb of 0x")


async def test_the_games_own_words_come_first(world: World) -> None:
    assert (await prepared(world, meaning="take your gold home")).meaning == "take your gold home"


async def test_it_goes_from_signed_to_final(world: World) -> None:
    request = await prepared(world)
    row = await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    assert row.state == "signed"
    await world.block()
    assert (await row_of(world, request)).state == "included"
    assert len(await world.events("withdrawal_settled")) == 1
    await world.block(2)
    assert (await row_of(world, request)).state == "final"


async def test_no_key_relayer_or_lane_of_play_is_involved(world: World) -> None:
    request = await prepared(world)
    world.signed.clear()
    await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    (bundle,) = await bundles(world)
    assert world.signed == []
    assert bundle.relayer in world.keys.apart
    assert bundle.relayer not in world.keys.pool
    row = await row_of(world, request)
    assert row.nonce >> 64 not in {session.key for session in world.kit.sessions()}


async def test_submitting_again_is_harmless(world: World) -> None:
    request = await prepared(world)
    await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    assert (await world.kit.submit_withdrawal(request.user_op_hash, b"other")).state == "signed"
    assert len(world.chain.pending) == 1


async def test_submitting_twice_at_once_sends_one(world: World) -> None:
    request = await prepared(world)
    rows = await asyncio.gather(*[world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE) for _ in range(3)])
    assert [row.state for row in rows] == ["signed"] * 3
    assert len(await bundles(world)) == len(world.chain.pending) == 1


async def test_submitting_again_while_it_is_included_takes_nothing_back(world: World) -> None:
    request = await prepared(world)
    call = world.chain.call

    async def slow(to: Address, data: bytes, **how: Any) -> bytes:
        answer = await call(to, data, **how)
        world.chain.call = call  # type: ignore[method-assign]
        await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
        await world.block()
        return answer

    world.chain.call = slow  # type: ignore[method-assign]
    assert (await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)).state == "included"
    assert (await row_of(world, request)).state == "included"
    await world.block(3)
    assert (await row_of(world, request)).state == "final"


async def test_what_the_disk_refuses_is_as_it_was(world: World) -> None:
    request = await prepared(world)
    sent = len(world.chain.sent)
    world.refuse(writes(Withdrawal, "signed"))
    again = [world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE) for _ in range(2)]
    first, second = await asyncio.gather(*again, return_exceptions=True)
    assert isinstance(first, StoreUnavailable)
    assert isinstance(second, Withdrawal)
    assert (second.state, len(world.chain.sent)) == ("signed", sent + 1)


async def test_one_that_is_written_and_not_sent_is_no_refusal(world: World) -> None:
    request = await prepared(world)
    sent = len(world.chain.sent)
    world.refuse(released)
    assert (await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)).state == "signed"
    assert len(world.chain.sent) == sent
    await world.block(empty=True)
    (bundle,) = await bundles(world)
    assert (bundle.nonce, world.chain.sent[sent:]) == (0, [bundle.raw])
    await world.block()
    assert (await row_of(world, request)).state == "included"


async def test_a_bad_signature_is_refused_and_may_be_given_again(world: World) -> None:
    request = await prepared(world)
    with pytest.raises(OperationRejected, match="AA24"):
        await world.kit.submit_withdrawal(request.user_op_hash, b"not the owner")
    assert (await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)).state == "signed"


async def test_what_was_never_prepared(world: World) -> None:
    with pytest.raises(SessionNotFound):
        await world.kit.submit_withdrawal(UserOpHash(bytes(32)), SIGNATURE)


async def test_of_another_players_account(world: World) -> None:
    session = await world.open()
    account = world.kit.session_row(session).account
    with pytest.raises(ConfigInvalid):
        await world.kit.prepare_withdrawal(PlayerId("mallory"), account, Call(BANK, Wei(5), b""))


async def test_while_gas_is_over_the_cap_nothing_is_prepared(world: World) -> None:
    world.chain.base_fee = Wei(10**15)
    await world.block()
    world.kit.state.accounts.clear()
    world.chain.base_fee = Wei(10**9)
    await world.block()
    session = await world.open()
    world.chain.base_fee = Wei(10**15)
    await world.block()
    with pytest.raises(ChainUnavailable, match="cap"):
        await world.kit.prepare_withdrawal(ALICE, world.kit.session_row(session).account, Call(BANK, Wei(5), b""))


async def test_a_lost_one_is_sent_again(world: World) -> None:
    request = await prepared(world)
    world.chain.deaf = 1
    await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    await world.block(4)
    assert (await row_of(world, request)).state == "included"


async def test_it_goes_on_after_a_restart(world: World) -> None:
    request = await prepared(world)
    world.chain.deaf = 1
    await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    await world.restart()
    await world.block(5)
    assert (await row_of(world, request)).state == "final"


async def test_a_reorg_takes_it_back_and_it_is_sent_again(world: World) -> None:
    world.chain.finality = 5
    request = await prepared(world)
    await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    await world.block()
    world.chain.reorg(1, forget=True, length=2)
    await world.step()
    assert (await row_of(world, request)).state == "signed"
    await world.block(3)
    assert (await row_of(world, request)).state == "included"


async def test_one_whose_nonce_is_spent_burns_no_gas_and_lapses_when_that_is_final(world: World) -> None:
    request = await prepared(world)
    row = await row_of(world, request)
    world.chain.deaf = 1
    await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    relayer = next(iter(world.keys.apart))
    world.chain.push(relayer, relayer, b"the nonce of the relayer too")
    world.chain.consume(row.account, row.nonce >> 64)
    await world.block(2)
    assert (await row_of(world, request)).state == "signed"
    await world.block(6)
    assert (await row_of(world, request)).state == "lapsed"
    assert len(await bundles(world)) == 1
    assert len(await world.events("withdrawal_settled")) == 1


async def test_a_busy_relayer_delays_it(world: World) -> None:
    request = await prepared(world)
    relayer = next(iter(world.keys.apart))
    known = world.kit._withdrawal_relayers._relayers[relayer]
    known.balance = Wei(0)
    await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    assert world.chain.pending == []
    known.balance = Wei(10**18)
    world.chain.down = 0
    await world.block(2)
    assert (await row_of(world, request)).state == "included"


async def test_a_node_that_does_not_answer_delays_it(world: World) -> None:
    request = await prepared(world)
    world.chain.deaf = 1
    await world.kit.submit_withdrawal(request.user_op_hash, SIGNATURE)
    world.kit._withdrawal_relayers._relayers[next(iter(world.keys.apart))].unmined.clear()
    world.chain.down = 1
    await world.kit._withdraw.on_head()
    assert world.chain.pending == []
