from typing import Any

import pytest
from msgspec.structs import replace

from gamekit.config import PauseConfig
from gamekit.core.pausing import Pause
from gamekit.errors import ChainUnavailable, Paused
from gamekit.eth.proxy import BEACON_SLOT, IMPLEMENTATION
from gamekit.testing.scenery import ARENA, Keys, arena, config
from gamekit.units import Address, Hash32, PlayerId
from tests.core.towns import BANK, TOWN, town
from tests.runtime.world import ALICE, OWNER, World, targets


async def test_a_pause_is_durable_and_told(world: World) -> None:
    await world.kit.pause("game:arena", "an exploit", "olga")
    assert await world.store.select(Pause) == [
        Pause("game:arena", "an exploit", "olga", world.kit.state.head.timestamp)
    ]
    assert len(await world.events("paused")) == 1


async def test_it_stops_signing_at_once_and_holds_what_was_accepted(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.kit.pause("game:arena", "an exploit", "olga")
    await world.turn(3)
    assert await world.operations() == []
    await world.kit.resume("game:arena", "fixed", "olga")
    await world.quiet()
    assert world.ran() == targets("a")


async def test_it_holds_over_a_restart(world: World) -> None:
    session = await world.open()
    await world.accepted(session, "a")
    await world.kit.pause("chain", "an exploit", "olga")
    await world.restart()
    await world.turn(3)
    assert await world.operations() == []
    await world.kit.resume("chain", "fixed", "olga")
    await world.restart()
    await world.quiet()
    await world.check()


async def test_a_pause_of_another_function_stops_nothing(world: World) -> None:
    session = await world.open()
    await world.kit.pause("function:arena.move", "an exploit", "olga")
    await world.accepted(session, "a")
    await world.quiet()
    await world.check()


class TestCode:
    async def test_a_contract_that_changes_its_code_pauses_its_game(self, world: World) -> None:
        world.chain.codes[ARENA] = b"\x61"
        await world.block(11)
        (pause,) = await world.store.select(Pause)
        assert (pause.subject, pause.by, pause.active) == ("game:arena", "gamekit", True)
        assert "code" in pause.reason

    async def test_so_does_a_proxy_with_another_implementation(self, world: World) -> None:
        storage = world.chain.storage

        async def other(*_: object) -> bytes:
            return b"\x01" * 32

        world.chain.storage = other  # type: ignore[assignment, method-assign]
        await world.block(11)
        world.chain.storage = storage  # type: ignore[method-assign]
        (pause,) = await world.store.select(Pause)
        assert "implementation" in pause.reason

    async def test_so_does_a_beacon_that_names_another(self, world: World) -> None:
        beacon = Address(b"\xbe" * 20)
        world.chain.words[ARENA, BEACON_SLOT] = Hash32(beacon.rjust(32, b"\0"))
        world.chain.answers[beacon, IMPLEMENTATION.encode_call()] = b"\x01".rjust(32, b"\0")
        await world.block(11)
        await world.kit.resume("game:arena", "we put it behind a beacon", "olga")
        world.chain.answers[beacon, IMPLEMENTATION.encode_call()] = b"\x02".rjust(32, b"\0")
        await world.block(11)
        (pause,) = await world.store.select(Pause)
        assert pause.active
        assert "beacon's implementation" in pause.reason

    async def test_so_does_a_proxy_that_answers_another_from_a_place_of_its_own(self, world: World) -> None:
        world.chain.codes[ARENA] = b"\xf4"
        await world.block(11)
        await world.kit.resume("game:arena", "we put it behind a proxy", "olga")
        world.chain.answers[ARENA, IMPLEMENTATION.encode_call()] = b"\x02".rjust(32, b"\0")
        await world.block(11)
        (pause,) = await world.store.select(Pause)
        assert pause.active
        assert "changed its implementation" in pause.reason

    async def test_the_same_code_pauses_nothing(self, world: World) -> None:
        await world.block(25)
        assert await world.store.select(Pause) == []

    async def test_a_change_while_the_server_is_down_pauses_it_at_start(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        world.chain.codes[ARENA] = b"\x61"
        await world.restart()
        await world.sign()
        assert world.signed == []
        await world.block()
        (pause,) = await world.store.select(Pause)
        assert (pause.subject, pause.by, pause.active) == ("game:arena", "gamekit", True)

    async def test_what_an_operator_resumed_is_not_paused_again(self, world: World) -> None:
        world.chain.codes[ARENA] = b"\x61"
        await world.block(11)
        await world.kit.resume("game:arena", "an upgrade of ours", "olga")
        await world.restart()
        await world.block(11)
        assert [pause.active for pause in await world.store.select(Pause)] == [False]

    async def test_heads_that_are_skipped_skip_no_look(self, world: World) -> None:
        """Whatever the numbers of the heads that are read, ten blocks are a look, and the next head is another."""
        world.chain.codes[ARENA] = b"\x61"
        while world.kit.state.head.number % 10 != 9:
            await world.block()
        world.chain.mine(2)
        await world.step()
        for _ in range(5):
            world.chain.mine(2)
            await world.step()
            assert world.kit.state.head.number % 10 != 0
        assert [pause.subject for pause in await world.store.select(Pause)] == ["game:arena"]

    async def test_a_node_that_does_not_answer_says_nothing(self, world: World) -> None:
        async def silent(*_: object, **__: object) -> bytes:
            raise ChainUnavailable("no answer")

        world.chain.code = silent  # type: ignore[method-assign]
        await world.block(12)
        assert await world.store.select(Pause) == []


class TestOneAnswer:
    """Nothing proves what a node says of a contract: a change is believed when another block says the same."""

    async def test_a_false_one_pauses_nothing_and_holds_the_game_for_a_block(self, world: World) -> None:
        session = await world.open()
        await until_look(world)
        await world.accepted(session, "a")
        await codes(world, OTHER)
        (refused,) = await world.act(session, "b")
        assert isinstance(refused, Paused)
        await world.sign()
        assert world.signed == []
        await codes(world, SAME)
        await world.quiet()
        assert world.ran() == targets("a")
        assert (await world.store.select(Pause), await world.events("paused")) == ([], [])

    async def test_one_at_the_start_is_nothing_but_a_wait(self, world: World) -> None:
        world.chain.codes[ARENA] = OTHER
        await world.restart()
        await codes(world, SAME)
        await world.block(12)
        assert (await world.store.select(Pause), bool(world.kit.state.pauses)) == ([], False)

    async def test_a_true_one_stops_signing_with_the_first_head_and_pauses_with_the_second(self, world: World) -> None:
        session = await world.open()
        await until_look(world)
        await world.accepted(session, "a")
        await codes(world, OTHER)
        await world.sign()
        assert (world.signed, await world.store.select(Pause)) == ([], [])
        await codes(world, OTHER)
        assert [(pause.subject, pause.active) for pause in await world.store.select(Pause)] == [("game:arena", True)]
        await world.kit.resume("game:arena", "an upgrade of ours", "olga")
        await world.quiet()
        assert world.ran() == targets("a")

    async def test_different_ones_do_not_bear_each_other_out(self, world: World) -> None:
        await until_look(world)
        await codes(world, OTHER, b"\x62", OTHER, b"")
        assert await world.store.select(Pause) == []
        assert world.kit.state.pauses.find("arena") is not None

    async def test_two_at_one_head_are_one(self, world: World) -> None:
        world.chain.codes[ARENA] = OTHER
        await world.kit._observe.compare_code()
        await world.kit._observe.compare_code()
        assert await world.store.select(Pause) == []

    async def test_a_node_that_is_behind_delays_a_pause_by_the_heads_for_which_it_answers(self, world: World) -> None:
        """That nothing has changed is one answer too: looked at again with the next head, not ten blocks later."""
        await until_look(world)
        await codes(world, OTHER, SAME, OTHER)
        assert await world.store.select(Pause) == []
        await codes(world, OTHER)
        assert len(await world.store.select(Pause)) == 1

    async def test_of_two_suspected_contracts_each_holds_the_game(self, keys: Keys) -> None:
        world = World(keys, games=[town()])
        await world.start()
        await until_look(world)
        world.chain.codes |= {BANK: OTHER, TOWN: OTHER}
        await world.block()
        world.chain.codes[BANK] = SAME
        world.chain.codes[TOWN] = b"\x62"
        await world.block()
        assert world.kit.state.pauses.find("town") is not None
        world.chain.codes[TOWN] = SAME
        await world.block()
        assert not world.kit.state.pauses


SAME, OTHER = b"\x60", b"\x61"


async def until_look(world: World) -> None:
    """Up to the head before the one at which the games' code is looked at."""
    while world.kit.state.head.number - world.kit._observe._checked_at < 9:
        await world.block()


async def codes(world: World, *found: bytes) -> None:
    """Blocks, at each of which the node says that this is the arena's code."""
    for code in found:
        world.chain.codes[ARENA] = code
        await world.block()


class TestReverts:
    async def test_too_many_reverts_of_a_function_pause_it(self, keys: Keys) -> None:
        world = await reverting_world(keys)
        session = await world.open()
        await world.accepted(session, *"abcdef")
        await world.turn(2)
        (pause,) = await world.store.select(Pause)
        assert (pause.subject, pause.by) == ("function:arena.attack", "gamekit")
        assert "50 %" in pause.reason

    async def test_as_many_as_are_allowed_do_not(self, keys: Keys) -> None:
        world = await reverting_world(keys)
        world.chain.reverts = lambda call: b"" if int.from_bytes(call.data[4:36], "big") % 2 else None
        session = await world.open()
        await world.accepted(session, *"abcdef")
        await world.turn(2)
        assert await world.store.select(Pause) == []

    async def test_after_a_resume_a_whole_window_must_fill_again(self, keys: Keys) -> None:
        world = await reverting_world(keys)
        session = await world.open()
        await world.accepted(session, *"abcd")
        await world.turn(2)
        await world.kit.resume("function:arena.attack", "fixed", "olga")
        await world.accepted(session, *"efg")
        await world.turn(2)
        assert [pause.active for pause in await world.store.select(Pause)] == [False]

    async def test_one_player_alone_pauses_nothing(self, keys: Keys) -> None:
        world = await reverting_world(keys, players_min=2)
        session = await world.open()
        await world.accepted(session, *"abcdefgh")
        await world.turn(3)
        assert len(world.ran()) == 8
        assert await world.store.select(Pause) == []

    async def test_several_players_do(self, keys: Keys) -> None:
        world = await reverting_world(keys, players_min=2)
        for player, owner in ((ALICE, OWNER), (PlayerId("bob"), Address(b"\x0c" * 20))):
            session = await world.open(player, owner)
            await world.accepted(session, *(f"{player}{number}" for number in range(4)))
        await world.turn(3)
        assert [pause.subject for pause in await world.store.select(Pause)] == ["function:arena.attack"]


async def reverting_world(keys: Keys, players_min: int = 1) -> World:
    """Every call reverts; a function is paused when more than half of its latest four did."""
    world = World(keys, replace(config(), pause=PauseConfig(revert_window=4, revert_players_min=players_min)))
    world.chain.reverts = lambda call: b""
    await world.start()
    return world


async def test_what_cannot_be_read_holds_no_other_game_back(keys: Keys) -> None:
    """One false answer about the arena; after that another game's contract gives none."""
    world = World(keys, games=[town(), arena()])
    await world.start()
    await until_look(world)
    world.chain.codes[ARENA] = b"\x61"
    await world.block()
    world.chain.codes[ARENA] = b"\x60"
    assert world.kit.state.pauses.find("arena")
    real = world.chain.code

    async def unread(address: Address, **how: Any) -> bytes:
        if address == TOWN:
            raise ChainUnavailable("no answer")
        return await real(address, **how)

    world.chain.code = unread  # type: ignore[method-assign]
    await world.block()
    assert world.kit.state.pauses.find("arena") is None


async def test_a_first_sight_is_believed_when_it_was_seen_twice(keys: Keys) -> None:
    world = World(keys)
    real = world.chain.code

    async def once(address: Address, **how: Any) -> bytes:
        if address != ARENA:
            return await real(address, **how)
        world.chain.code = real  # type: ignore[method-assign]
        return b""

    world.chain.code = once  # type: ignore[method-assign]
    with pytest.raises(ChainUnavailable, match="two things about"):
        await world.start()
    await world.restart()
    await world.block(30)
    assert await world.store.select(Pause) == []
