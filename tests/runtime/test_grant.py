import asyncio
from typing import Any, cast

import pytest

from gamekit.accounts.reference import ACCOUNT_ADDRESS
from gamekit.core.relay import RelayTransaction
from gamekit.core.session import Account, Session
from gamekit.errors import (
    ChainUnavailable,
    ConfigInvalid,
    OutcomeUnknown,
    Overloaded,
    SessionExpired,
    SessionNotFound,
    SessionNotOpen,
    StoreUnavailable,
)
from gamekit.eth.block import Log
from gamekit.eth.hashing import checksum_address
from gamekit.eth.interface import Function
from gamekit.eth.proxy import IMPLEMENTATION_SLOT
from gamekit.eth.session_opener import OPEN
from gamekit.eth.session_validator_abi import ACCOUNT_OF
from gamekit.eth.token import ALLOWANCE, APPROVAL
from gamekit.testing.scenery import ARENA
from gamekit.units import Address, Gas, Hash32, PermissionId, PlayerId
from tests.runtime.world import ALICE, OWNER, World, attack, released, turns, writes

IMPLEMENTED = Address(b"\x1a" * 20)


async def proposed(world: World) -> PermissionId:
    return (await world.kit.propose(ALICE, "arena", "play", OWNER)).permission_id


async def test_a_session_opens_when_the_chain_has_its_grant(world: World) -> None:
    permission = await proposed(world)
    assert world.kit.session_row(permission).state == "proposed"
    await world.kit.open(permission, b"signature")
    assert world.kit.session_row(permission).state == "granting"
    await world.block()
    row = world.kit.session_row(permission)
    assert (row.state, row.granted_at_block) == ("open", world.chain.top.head.number)
    assert len(await world.events("session_opened")) == 1
    assert await world.store.get(Session, permission) == row


@pytest.mark.parametrize("answer", [b"", b"\xff" * 32], ids=["empty", "garbage"])
@pytest.mark.parametrize("asked", [ACCOUNT_ADDRESS, ACCOUNT_OF], ids=["address", "epoch"])
async def test_answers_that_do_not_decode_propose_nothing(world: World, asked: Function, answer: bytes) -> None:
    world.bend(asked, answer)
    with pytest.raises(ChainUnavailable):
        await proposed(world)
    assert (await world.store.select(Account), await world.store.select(Session)) == ([], [])


async def test_a_proposal_is_durable_with_its_lane_number(world: World) -> None:
    first, second = await proposed(world), await proposed(world)
    rows = [await world.store.get(Session, each) for each in (first, second)]
    assert len({row.nonce_key for row in rows if row}) == 2
    accounts = await world.store.select(Account)
    assert [account.lanes for account in accounts] == [2]


class TestProxies:
    """A target that can run code of others: the owner signs which."""

    async def test_what_it_runs_is_signed_written_and_sent(self, world: World) -> None:
        world.chain.codes[ARENA] = b"\xf4"
        world.chain.words[ARENA, IMPLEMENTATION_SLOT] = Hash32(IMPLEMENTED.rjust(32, b"\0"))
        request = await world.kit.propose(ALICE, "arena", "play", OWNER)
        assert request.typed_data.message["acceptedImplementations"] == [checksum_address(IMPLEMENTED)]
        assert f"a proxy that runs {checksum_address(IMPLEMENTED)}" in request.explanation
        await world.restart()
        await world.kit.open(request.permission_id, b"signature")
        (sent,) = world.chain.pending
        (grant,) = cast("tuple[tuple[object, ...]]", OPEN.decode_call(sent.data)[5])
        assert grant[2] == (IMPLEMENTED,)

    async def test_a_contract_that_runs_itself_alone_is_not_asked_about(self, world: World) -> None:
        request = await world.kit.propose(ALICE, "arena", "play", OWNER)
        assert request.typed_data.message["acceptedImplementations"] == []
        assert "which you accept" not in request.explanation

    async def test_one_that_runs_no_contract_is_refused_before_a_key_is_made(self, world: World) -> None:
        world.chain.codes |= {ARENA: b"\xf4", IMPLEMENTED: b""}
        world.chain.words[ARENA, IMPLEMENTATION_SLOT] = Hash32(IMPLEMENTED.rjust(32, b"\0"))
        with pytest.raises(ConfigInvalid, match="no code") as refused:
            await world.kit.propose(ALICE, "arena", "play", OWNER)
        assert refused.value.compared == {"target": ARENA, "told": None, "implementation": IMPLEMENTED}
        assert world.kit.state.sessions == {}


async def test_what_the_account_has_let_the_game_take_is_said(world: World) -> None:
    gold, account = Address(b"\x60" * 20), world.kit.session_row(await proposed(world)).account
    topics = APPROVAL, *(Hash32(each.rjust(32, b"\0")) for each in (account, ARENA))
    world.chain.strange_logs = [Log(gold, topics, bytes(32), 0)]
    world.chain.answers[gold, ALLOWANCE.encode_call(account, ARENA)] = (1_234).to_bytes(32, "big")
    request = await world.kit.propose(ALICE, "arena", "play", OWNER)
    assert f"has let it take 1,234 of {checksum_address(gold)}" in request.explanation


async def test_lane_numbers_are_not_used_again_after_a_restart(world: World) -> None:
    first = await proposed(world)
    await world.restart()
    second = await proposed(world)
    assert world.kit.session_row(first).nonce_key != world.kit.session_row(second).nonce_key


async def test_opening_again_is_harmless(world: World) -> None:
    permission = await proposed(world)
    await world.kit.open(permission, b"signature")
    await world.kit.open(permission, b"signature")
    assert len(world.chain.pending) == 1


async def test_no_action_before_the_session_is_open(world: World) -> None:
    permission = await proposed(world)
    with pytest.raises(SessionNotOpen):
        await world.kit.accept(permission, [attack("a")])


async def test_a_grant_that_the_account_refuses_is_not_sent(world: World) -> None:
    permission = await proposed(world)
    with pytest.raises(ConfigInvalid, match="refuses the grant"):
        await world.kit.open(permission, b"refused")
    assert world.chain.pending == []
    assert world.kit.session_row(permission).state == "proposed"


async def test_a_signature_after_the_deadline_is_refused(world: World) -> None:
    permission = await proposed(world)
    await world.block(seconds=601)
    with pytest.raises(SessionExpired) as refused:
        await world.kit.open(permission, b"signature")
    assert set(refused.value.compared) == {"deadline", "now"}


async def test_what_was_never_proposed(world: World) -> None:
    with pytest.raises(SessionNotFound):
        await world.kit.open(PermissionId(bytes(32)), b"signature")


async def test_naming_somebody_elses_wallet_takes_nothing_from_its_owner(world: World) -> None:
    await world.kit.propose(PlayerId("mallory"), "arena", "play", OWNER)
    permission = await proposed(world)
    await world.kit.open(permission, b"signature")
    assert world.kit.state.accounts[world.kit.session_row(permission).account].player == ALICE


async def test_proposals_that_nobody_signs_are_bounded(world: World) -> None:
    most = world.kit.config.sessions.proposals_max
    for _ in range(most):
        await world.kit.propose(PlayerId("mallory"), "arena", "play", OWNER)
    with pytest.raises(Overloaded) as refused:
        await world.kit.propose(PlayerId("mallory"), "arena", "play", OWNER)
    assert refused.value.compared == {"queue": "proposals", "depth": most, "depth_max": most}
    await world.kit.propose(ALICE, "arena", "play", OWNER)


async def test_a_longer_time_than_the_units_is_refused(world: World) -> None:
    with pytest.raises(ConfigInvalid):
        await world.kit.propose(ALICE, "arena", "play", OWNER, minutes=11)
    await world.kit.propose(ALICE, "arena", "play", OWNER, minutes=10)


async def test_a_grant_that_got_lost_is_sent_again(world: World) -> None:
    permission = await proposed(world)
    world.chain.deaf = 1
    await world.kit.open(permission, b"signature")
    await world.block(3)
    assert world.kit.session_row(permission).state == "open"


async def test_one_that_the_node_gives_no_estimate_for_holds_up_no_other(world: World) -> None:
    first = await proposed(world)
    second = (await world.kit.propose(PlayerId("bob"), "arena", "play", Address(b"\x0c" * 20))).permission_id
    world.refuse(released, times=2)
    for permission in (first, second):
        await world.kit.open(permission, b"signature")
    world.no_estimate(world.kit.session_row(first).account)
    await world.block(2)
    assert [world.kit.session_row(each).state for each in (first, second)] == ["granting", "open"]


async def test_a_grant_goes_on_after_a_restart(world: World) -> None:
    permission = await proposed(world)
    world.chain.deaf = 1
    await world.kit.open(permission, b"signature")
    await world.restart()
    await world.block(3)
    assert world.kit.session_row(permission).state == "open"


async def test_somebody_elses_transaction_opens_it_too(world: World) -> None:
    permission = await proposed(world)
    row = world.kit.session_row(permission)
    data = await world.kit._grant._opening(row, b"signature")
    world.chain.push(Address(b"\xee" * 20), world.chain.opener, data)
    await world.block()
    assert world.kit.session_row(permission).state == "open"


async def test_a_reorg_closes_it_until_the_grant_is_in_a_block_again(world: World) -> None:
    world.chain.finality = 6
    session = await world.open()
    await world.accepted(session, "a")
    world.chain.reorg(1, forget=True, length=2)
    await world.step()
    assert world.kit.session_row(session).state == "granting"
    await world.block(2)
    assert world.kit.session_row(session).state == "open"
    await world.quiet()
    await world.check()


async def test_a_reorg_of_the_grant_during_a_restart_refuses_nothing(world: World) -> None:
    world.chain.finality = 6
    session = await world.open()
    await world.accepted(session, "a")
    world.chain.reorg(1, forget=True, length=2)
    await world.restart()
    assert world.kit.session_row(session).state == "granting"
    await world.quiet()
    assert (await world.action("a")).state == "ok"
    await world.check()


@pytest.mark.parametrize("signed", [False, True])
async def test_what_is_not_granted_by_its_deadline_lapses(world: World, signed: bool) -> None:
    permission = await proposed(world)
    world.chain.deaf = 100
    if signed:
        await world.kit.open(permission, b"signature")
    await world.block(seconds=601, empty=True)
    assert world.kit.session_row(permission).state != "lapsed"
    await world.block(3, empty=True)
    assert world.kit.session_row(permission).state == "lapsed"


class TestOpened:
    async def test_waits_for_the_chain(self, world: World) -> None:
        permission = await proposed(world)
        handle = await world.kit.open(permission, b"signature")
        waiting = asyncio.ensure_future(handle.opened())
        await asyncio.sleep(0)
        assert not waiting.done()
        await world.block()
        assert (await waiting).row.state == "open"

    async def test_says_when_it_takes_too_long(self, world: World) -> None:
        permission = await proposed(world)
        handle = await world.kit.open(permission, b"signature")
        with pytest.raises(OutcomeUnknown):
            await handle.opened(timeout=0)

    async def test_says_when_it_never_will(self, world: World) -> None:
        session = await world.open()
        await world.kit.revoke(session)
        await world.block()
        with pytest.raises(SessionNotFound, match="revoked"):
            await world.kit.opened(session)


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_was_accepted_before_a_reorg_took_the_grant_for_good_is_told(world: World, restarted: bool) -> None:
    world.chain.finality = 8
    session = await world.open()
    await world.accepted(session, "flying")
    await world.sign()
    await world.send()
    await world.accepted(session, "waiting")
    world.chain.reorg(1, forget=True, length=2)
    world.chain.drop()
    world.chain.deaf = 10**6
    await world.step()
    await world.block(20, seconds=70, empty=True)
    assert world.kit.session_row(session).state == "lapsed"
    if restarted:
        await world.restart()
    await world.quiet()
    assert await world.states() == {"flying": "refused", "waiting": "refused"}
    assert await world.told("waiting") == ["refused"]
    await world.check()


async def test_a_grant_that_the_chain_has_and_we_have_not_read_is_sent_again_in_vain(world: World) -> None:
    """The opener leaves what is there as it is, so nothing says beforehand that the transaction is not needed."""
    permission = await proposed(world)
    world.chain.deaf = 1
    await world.kit.open(permission, b"signature")
    row = world.kit.session_row(permission)
    world.kit._relayers._relayers[next(iter(world.keys.pool))].unmined.clear()
    world.chain.push(Address(b"\xee" * 20), world.chain.opener, row.grant_data)
    world.chain.mine()
    sent = len(world.chain.sent)
    await world.kit._grant.on_head()
    assert len(world.chain.sent) == sent + 1
    await world.step()
    assert world.kit.session_row(permission).state == "open"
    await world.block(3)
    assert len(await world.events("session_opened")) == 1


async def test_a_grant_that_is_written_and_not_sent_is_no_refusal(world: World) -> None:
    """Its own row is on disk, and the relayer's is not: nothing leaves, and the next head sends it."""
    permission = await proposed(world)
    refused = world.refuse(released)
    await world.kit.open(permission, b"signature")
    assert len(refused) == 1
    assert world.kit.session_row(permission).state == "granting"
    assert (world.chain.sent, await world.store.select(RelayTransaction)) == ([], [])
    await world.block(empty=True)
    (row,) = await world.store.select(RelayTransaction)
    assert (row.nonce, world.chain.sent) == (0, [row.raw])
    await world.block()
    assert world.kit.session_row(permission).state == "open"


async def test_a_proposal_that_is_not_written_takes_no_place(world: World) -> None:
    world.refuse(writes(Session, "proposed"))
    with pytest.raises(StoreUnavailable):
        await proposed(world)
    assert world.kit.sessions() == []
    assert (await world.open()) in world.kit.state.sessions


async def test_nobody_is_told_of_an_opening_before_it_is_written(world: World) -> None:
    permission = await proposed(world)
    refuse = world.refuse_slowly(writes(Session, "granting"))
    asked = [asyncio.ensure_future(world.kit.open(permission, b"signature")) for _ in range(2)]
    await turns()
    refuse()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
    assert world.kit.session_row(permission).state == "proposed"


async def test_what_the_chain_opened_meanwhile_stays_open(world: World) -> None:
    """Whoever sent it: a write that fails takes back what it had changed, and nothing that came after."""
    permission = await proposed(world)
    refuse = world.refuse_slowly(writes(Session, "granting"))
    opening = asyncio.ensure_future(world.kit.open(permission, b"signature"))
    await turns()
    world.chain.push(Address(b"\xee" * 20), world.chain.opener, world.kit.session_row(permission).grant_data)
    reading = asyncio.ensure_future(world.block())
    await turns()
    refuse()
    with pytest.raises(StoreUnavailable):
        await opening
    await reading
    assert world.kit.session_row(permission).state == "open"
    assert (await world.store.get(Session, permission)).state == "open"  # type: ignore[union-attr]


async def test_what_is_revoked_while_the_chain_is_asked_is_not_granted(world: World) -> None:
    permission = await proposed(world)
    world.refuse(released)
    await world.kit.open(permission, b"signature")
    estimate = world.chain.estimate_gas

    async def slow(to: Address, data: bytes, **how: Any) -> Gas:
        world.chain.estimate_gas = estimate  # type: ignore[method-assign]
        await world.kit.revoke(permission)
        return await estimate(to, data, **how)

    world.chain.estimate_gas = slow  # type: ignore[method-assign]
    await world.block(2)
    assert [row.kind for row in await world.store.select(RelayTransaction)] == []
    assert world.kit.session_row(permission).state == "revoking"


async def test_a_disk_that_refuses_sends_nothing_and_asking_again_opens(world: World) -> None:
    request = await world.kit.propose(ALICE, "arena", "play", OWNER)
    commit = world.store.commit

    def full(rows: Any) -> Any:
        raise StoreUnavailable("disk full")

    world.store.commit = full  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await world.kit.open(request.permission_id, b"signature")
    world.store.commit = commit  # type: ignore[method-assign]
    await world.block(2)
    assert world.chain.sent == []
    await world.kit.open(request.permission_id, b"signature")
    await world.block()
    assert world.kit.session_row(request.permission_id).state == "open"
