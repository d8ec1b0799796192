"""Games that pay for their players: vouchers, signatures, stops, and what an operator is told."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gamekit.core.action import REFUSED
from gamekit.core.event import AlarmEvent
from gamekit.core.relay import SPONSOR, RelayTransaction
from gamekit.errors import ChainUnavailable, ConfigInvalid, SponsorshipExhausted
from gamekit.eth.entry_point import BALANCE_OF
from gamekit.eth.session_paymaster import GAME_OF
from gamekit.testing.scenery import Keys
from gamekit.units import ZERO_ADDRESS, Address, PermissionId, PlayerId, Wei
from tests.runtime.fake_paymaster import PAYMASTER, SponsoredWorld
from tests.runtime.world import OWNER

BOB = PlayerId("bob")


@pytest.fixture
async def world(keys: Keys) -> SponsoredWorld:
    world = SponsoredWorld(keys)
    await world.start()
    return world


async def alarms(world: SponsoredWorld) -> list[str]:
    told = [msgspec.msgpack.decode(each.body, type=AlarmEvent) for each in await world.events("alarm")]
    return [f"{each.what} {each.detail}" for each in told]


async def stopped(world: SponsoredWorld, session: PermissionId, key: str) -> SponsorshipExhausted:
    """An action is accepted, and its operation refused for this reason: what is asked for next is told."""
    await world.accepted(session, key)
    await world.turn()
    (answer,) = await world.act(session, f"{key}-next")
    assert isinstance(answer, SponsorshipExhausted)
    return answer


class TestVoucher:
    async def test_it_goes_with_the_grant(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        assert world.chain.vouched[session] == (1, 9 * 10**17)
        await world.accepted(session, "a", "b")
        await world.quiet()
        await world.check()
        assert await world.states() == {"a": "ok", "b": "ok"}
        assert sum(world.chain.paid.values()) == world.lane(session).usage.gas_spent_wei

    async def test_operations_of_others_have_none(self, world: SponsoredWorld) -> None:
        session = await world.open()
        assert session not in world.chain.vouched
        await world.accepted(session, "a")
        await world.quiet()
        assert world.chain.paid == {}

    async def test_a_restart_goes_on(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        await world.accepted(session, "a")
        await world.sign()
        await world.restart()
        await world.quiet()
        await world.check()
        assert await world.states() == {"a": "ok"}

    async def test_a_units_own_limit(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="little")
        assert world.chain.vouched[session] == (1, 5 * 10**15)
        keys = [f"a{number}" for number in range(8)]
        for key in keys:
            await world.accepted(session, key)
            await world.turn()
        await world.quiet()
        await world.check()
        states = await world.states()
        assert set(states.values()) == {"ok", REFUSED}
        rows = [await world.action(key) for key in keys if states[key] == REFUSED]
        assert {row.reason for row in rows} == {"sponsorship_exhausted"}
        assert world.lane(session).usage.gas_spent_wei <= 5 * 10**15
        assert not await world.events("alarm"), "our own figures were enough"

    async def test_error_more_than_a_session_may_be_given(self, world: SponsoredWorld) -> None:
        world.chain.game = replace(world.chain.game, session_wei_max=Wei(5))
        with pytest.raises(ConfigInvalid, match="may give 5"):
            await world.open(unit="free")

    async def test_error_without_the_sponsors_key(self, world: SponsoredWorld) -> None:
        world.chain.game = replace(world.chain.game, sponsor=Address(b"\x01" * 20))
        with pytest.raises(ConfigInvalid, match="whose key is not here"):
            await world.open(unit="free")

    async def test_error_that_only_the_chain_knows(self, world: SponsoredWorld, monkeypatch: Any) -> None:
        request = await world.kit.propose(BOB, "arena", "free", OWNER)
        before = world.chain.game

        async def as_it_was(*_: object) -> object:
            return before

        world.chain.game = replace(before, generation=2)
        monkeypatch.setattr(world.kit._sponsor, "_read_game", as_it_was)
        with pytest.raises(ConfigInvalid, match="the paymaster refuses the voucher: VoucherSignatureInvalid"):
            await world.kit.open(request.permission_id, b"owner's signature")


class TestRequire:
    async def test_error_no_key_at_all(self, keys: Keys, monkeypatch: Any) -> None:
        monkeypatch.setattr(SponsoredWorld, "_sponsors", lambda _: {})
        world = SponsoredWorld(keys)
        await world.start()
        with pytest.raises(ConfigInvalid, match="no sponsor key is configured"):
            await world.kit.propose(BOB, "arena", "free", OWNER)

    async def test_error_another_paymaster(self, world: SponsoredWorld) -> None:
        unit = world.kit.game("arena").unit("free")
        gas = replace(unit.policies.gas, paymaster=Address(b"\x98" * 20))
        other = replace(unit, policies=replace(unit.policies, gas=gas))
        with pytest.raises(ConfigInvalid, match="configured are"):
            await world.kit.propose(BOB, "arena", other, OWNER)

    async def test_the_configured_one_by_its_address(self, world: SponsoredWorld) -> None:
        unit = world.kit.game("arena").unit("free")
        gas = replace(unit.policies.gas, paymaster=PAYMASTER)
        named = replace(unit, policies=replace(unit.policies, gas=gas))
        request = await world.kit.propose(BOB, "arena", named, OWNER)
        assert PAYMASTER.hex() in request.explanation


class TestSignature:
    async def test_each_operation_is_signed(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="signed")
        assert session not in world.chain.vouched
        await world.accepted(session, "a")
        await world.quiet()
        await world.accepted(session, "b")
        await world.quiet()
        await world.check()
        assert len(world.chain.paid) == 2

    async def test_a_new_sponsor_signs_what_comes_next(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="signed")
        world.chain.game = replace(world.chain.game, sponsor=world.next_sponsor, generation=2)
        await world.block()  # it is read with the head
        await world.accepted(session, "a")
        await world.quiet()
        await world.check()
        assert await world.states() == {"a": "ok"}

    async def test_without_the_key_it_waits_for_its_deadline(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="signed")
        world.chain.game = replace(world.chain.game, sponsor=Address(b"\x01" * 20), generation=2)
        await world.block()
        await world.accepted(session, "a")
        await world.turn(3)
        (operation,) = await world.operations()
        assert operation.rejected == "AA34 signature error"
        world.chain.game = replace(world.chain.game, sponsor=world.next_sponsor)
        await world.quiet(200)
        await world.check()
        assert await world.states() == {"a": "ok"}


class TestStops:
    async def test_a_games_cap(self, world: SponsoredWorld) -> None:
        session, other = await world.open(unit="free"), await world.open(BOB, Address(b"\x0c" * 20), unit="free")
        world.chain.game = replace(world.chain.game, day_wei_max=Wei(5))
        error = await stopped(world, session, "a")
        assert (error.compared["reason"], error.compared["limit"]) == ("GameDayCapExceeded", 5)
        (answer,) = await world.act(other, "b")
        assert isinstance(answer, SponsorshipExhausted)
        (told,) = await alarms(world)
        assert told.startswith(f"sponsorship_stopped game/{PAYMASTER.hex()}/arena: AA33")

    async def test_what_was_accepted_is_told_and_never_runs(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        world.chain.game = replace(world.chain.game, day_wei_max=Wei(5))
        await stopped(world, session, "a")
        await world.quiet(120)
        await world.check()
        row = await world.action("a")
        assert (row.state, row.reason) == (REFUSED, "sponsorship_exhausted")
        assert world.ran() == []

    async def test_a_cap_that_is_raised_lets_it_land(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        caps = world.chain.game
        world.chain.game = replace(caps, day_wei_max=Wei(5))
        await stopped(world, session, "a")
        world.chain.game = caps
        await world.turn(2)
        assert not world.kit.state.stops
        await world.accepted(session, "b")
        await world.quiet()
        await world.check()
        assert await world.states() == {"a": "ok", "b": "ok"}

    async def test_those_who_pay_for_themselves_go_on(self, world: SponsoredWorld) -> None:
        free, own = await world.open(unit="free"), await world.open(BOB, Address(b"\x0c" * 20))
        world.chain.game = replace(world.chain.game, day_wei_max=Wei(5))
        await stopped(world, free, "a")
        await world.accepted(own, "b")
        await world.turn(3)
        assert (await world.action("b")).state == "ok"

    async def test_the_deposit(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        world.chain.deposit = Wei(7)
        error = await stopped(world, session, "a")
        assert error.compared["reason"] == "AA31"
        world.chain.deposit = Wei(10**20)
        await world.quiet()
        await world.check()
        assert not world.kit.state.stops
        assert await world.states() == {"a": "ok"}

    async def test_a_new_sponsor_vouches_again(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        world.chain.game = replace(world.chain.game, sponsor=world.next_sponsor, generation=2)
        error = await stopped(world, session, "a")
        assert error.compared["reason"] == "SessionNotSponsored"
        await world.quiet()
        await world.check()
        assert world.chain.vouched[session][0] == 2
        assert await world.states() == {"a": "ok"}
        sent = [row for row in await world.store.select(RelayTransaction) if row.kind == SPONSOR]
        assert len(sent) == 1, "one voucher, however many heads passed"

    async def test_a_game_that_ended_is_not_vouched_for(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        world.chain.game = replace(world.chain.game, sponsor=ZERO_ADDRESS, generation=2)
        await stopped(world, session, "a")
        await world.quiet(120)
        await world.check()
        assert (await world.action("a")).reason == "sponsorship_exhausted"

    async def test_of_a_session_that_ended_they_are_forgotten(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        world.chain.game = replace(world.chain.game, sponsor=ZERO_ADDRESS, generation=2)
        await stopped(world, session, "a")
        assert world.kit.state.stops
        await world.kit.revoke(session)
        await world.block(2)
        assert not world.kit.state.stops

    async def test_a_node_that_does_not_answer_changes_nothing(self, world: SponsoredWorld) -> None:
        session = await world.open(unit="free")
        world.chain.game = replace(world.chain.game, day_wei_max=Wei(5))
        await stopped(world, session, "a")
        world.chain.down = 1
        await world.kit._sponsor.on_head()
        assert world.kit.state.stops

    @pytest.mark.parametrize("answer", [b"", b"\xff" * 7 * 32], ids=["empty", "garbage"])
    async def test_nor_does_one_whose_answer_does_not_decode(self, world: SponsoredWorld, answer: bytes) -> None:
        session = await world.open(unit="free")
        world.chain.game = replace(world.chain.game, day_wei_max=Wei(5))
        await stopped(world, session, "a")
        world.bend(GAME_OF, answer)
        await world.block(2)
        assert world.kit.state.stops
        with pytest.raises(ChainUnavailable):
            await world.open(unit="free")


class TestDeposit:
    async def test_one_that_does_not_decode_is_not_told(self, keys: Keys) -> None:
        world = SponsoredWorld(keys, deposit_min_wei=100)
        await world.start()
        world.bend(BALANCE_OF, b"")
        await world.block(2)
        assert await alarms(world) == []

    async def test_a_low_one_is_told_once_until_it_is_filled(self, keys: Keys) -> None:
        world = SponsoredWorld(keys, deposit_min_wei=100)
        await world.start()
        world.chain.deposit = Wei(99)
        await world.block(3)
        low = f"paymaster_deposit_low 0x{PAYMASTER.hex()} has 99 wei at its entry point, wanted are 100"
        assert await alarms(world) == [low]
        world.chain.deposit = Wei(100)
        await world.block(2)
        world.chain.deposit = Wei(99)
        await world.block(2)
        assert await alarms(world) == [low, low]

    async def test_it_is_read_every_so_many_blocks(self, keys: Keys) -> None:
        world = SponsoredWorld(keys, check_blocks=10, deposit_min_wei=100)
        await world.start()
        await world.block(10 - world.kit.state.head.number)
        world.chain.deposit = Wei(99)
        await world.block(9)
        assert await alarms(world) == []
        await world.block()
        assert len(await alarms(world)) == 1


async def test_one_session_without_an_estimate_holds_up_no_other(keys: Keys) -> None:
    world = SponsoredWorld(keys)
    await world.start()
    first = await world.open(unit="free")
    second = await world.open(BOB, Address(b"\x0c" * 20), unit="free")
    world.chain.game = replace(world.chain.game, sponsor=world.next_sponsor, generation=2)
    world.no_estimate(first)
    await stopped(world, first, "a")
    await stopped(world, second, "b")
    await world.turn(100)
    assert (await world.states())["b"] == "ok"
