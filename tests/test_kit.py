import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gamekit.config import BatchConfig, Config, JournalConfig, RelayConfig
from gamekit.core.action import ActionRequest
from gamekit.core.policy import CallPolicy
from gamekit.core.unit import raw_unit
from gamekit.errors import (
    ChainMismatch,
    ChainUnavailable,
    ConfigInvalid,
    GamekitError,
    ScopeDenied,
    SessionNotFound,
    SessionRevoked,
    StoreUnavailable,
)
from gamekit.kit import GameKit, MonotonicClock, load_game
from gamekit.runtime.intake import Accepted
from gamekit.testing.scenery import ABI, ARENA, MANIFEST, Keys, arena, chain_config, config
from gamekit.units import Address, BlockHash, PermissionId, PlayerId
from tests.runtime.test_state import ended
from tests.runtime.world import ALICE, OWNER, World, attack


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def world(keys: Keys) -> World:
    world = World(keys)
    await world.start()
    return world


class TestFinding:
    async def test_a_game(self, world: World) -> None:
        assert world.kit.game("arena").address == ARENA
        with pytest.raises(ConfigInvalid, match="only \\['arena'\\]"):
            world.kit.game("chess")

    async def test_a_session(self, world: World) -> None:
        permission = await world.open()
        assert world.kit.session(permission).permission_id == permission
        with pytest.raises(SessionNotFound):
            await world.kit.session(PermissionId(bytes(32))).act("attack", (7, 1), key="a")

    async def test_a_session_that_ended_long_ago_gives_the_first_answer(self, world: World) -> None:
        permission = await ended(world, "a")
        del world.kit.state.sessions[permission]
        again = attack("a")
        handle = await world.kit.session(permission).act(again.function, again.arguments, key="a")
        assert handle.action_id == (await world.action("a")).id

    async def test_sessions_that_have_not_ended(self, world: World) -> None:
        first, second = await world.open(), await world.open(PlayerId("bob"), Address(b"\xbb" * 20))
        assert {row.permission_id for row in world.kit.sessions()} == {first, second}
        assert [row.permission_id for row in world.kit.sessions(ALICE)] == [first]
        await world.kit.revoke(first)
        await world.block()
        assert world.kit.sessions(ALICE) == []


class TestRawScope:
    """What no unit of the manifest says: a session for attacks only."""

    async def test_a_session_of_it_plays(self, world: World) -> None:
        game = world.kit.game("arena")
        policies = game.unit("play").policies
        attacks = tuple(each for each in policies.calls.entries if each.function.startswith("attack"))
        raw = raw_unit(game, replace(policies, calls=CallPolicy(attacks)), 5, "attack only")
        request = await world.kit.propose(ALICE, "arena", raw, OWNER)
        await world.kit.open(request.permission_id, b"owner's signature")
        await world.block()
        row = world.kit.session_row(request.permission_id)
        assert (row.state, row.unit, row.valid_until - row.valid_after) == ("open", "", 300)
        move = ActionRequest("m", "move", (1, 1))
        accepted, denied = await world.kit.accept(request.permission_id, [attack("a"), move])
        assert not isinstance(accepted, GamekitError)
        assert isinstance(denied, ScopeDenied)

    async def test_a_unit_of_another_game_is_refused(self, world: World) -> None:
        with pytest.raises(ConfigInvalid, match="not of this kit's arena"):
            await world.kit.propose(ALICE, "arena", arena().unit("play"), OWNER)

    async def test_a_call_that_is_not_play_is_refused(self, world: World) -> None:
        game = world.kit.game("arena")
        policies = game.unit("play").policies
        entry = replace(policies.calls.entries[0], target=Address(b"\x77" * 20))
        with pytest.raises(ConfigInvalid, match="is not play in arena"):
            raw_unit(game, replace(policies, calls=CallPolicy((entry,))), 5, "elsewhere")


class TestFault:
    async def test_none_while_it_runs(self, keys: Keys) -> None:
        world = World(keys)
        assert world.kit.fault() == "the engine is not running"
        async with world.kit:
            assert world.kit.fault() == ""
            world.clock.now = 61.0
            assert world.kit.fault() == "no new block for more than 60 s"
        assert world.kit.fault() == "the engine is not running"

    async def test_a_loop_that_failed(self, keys: Keys) -> None:
        world = World(keys)

        async def broken() -> None:
            raise RuntimeError("a bug")

        world.kit.engine._loops = {"bundle": broken}
        failed = asyncio.Event()
        world.kit.engine.when_failed(lambda _: failed.set())
        await world.kit.start()
        await failed.wait()
        assert world.kit.fault() == "the engine failed"
        await world.kit.close()


class TestRecover:
    async def test_another_chain_is_refused(self, keys: Keys) -> None:
        world = World(keys, config(chain=chain_config(chain_id=1)))
        with pytest.raises(ChainMismatch) as refused:
            await world.start()
        assert refused.value.compared == {"expected": 1, "found": 31337}

    async def test_a_chain_without_our_module_is_refused(self, keys: Keys) -> None:
        world = World(keys)

        async def nothing(address: Address, *, block: BlockHash | None = None) -> bytes:
            return b""

        world.chain.code = nothing  # type: ignore[method-assign]
        with pytest.raises(ChainMismatch, match="no code"):
            await world.start()

    async def test_action_ids_and_cursors_go_on(self, world: World) -> None:
        session = await world.open()
        (first,) = await world.accepted(session, "a")
        await world.restart()
        (second,) = await world.accepted(session, "b")
        assert second.action_id == first.action_id + 1


class TestRun:
    async def test_it_plays_by_itself(self, keys: Keys) -> None:
        """All loops run, and the chain mines whatever it is given."""
        async with self.playing(keys) as kit:
            request = await kit.propose(ALICE, "arena", "play", OWNER)
            session = await (await kit.open(request.permission_id, b"signature")).opened(timeout=5)
            handles = await session.act_group([("attack", (1, 1)), ("move", (1, 1))], key="g")
            single = await session.act("attack", (2, 1), key="a")
            assert [(await each.settled(timeout=5)).state for each in (*handles, single)] == ["ok"] * 3
        assert not kit.engine.running
        with pytest.raises(StoreUnavailable):
            await kit.store.commit(())

    async def test_a_start_that_fails_closes_what_it_opened(self, keys: Keys) -> None:
        world = World(keys)
        world.chain.down = 1000
        closed: list[bool] = []

        async def close() -> None:
            closed.append(True)

        kit = GameKit(world.config, [arena()], replace(world.kit._ports, close=close))

        async def no_chain() -> Any:
            raise ChainUnavailable("no answer")

        world.chain.chain_id = no_chain  # type: ignore[method-assign]
        with pytest.raises(ChainUnavailable):
            async with kit:
                pass
        assert closed == [True]

    @staticmethod
    def playing(keys: Keys) -> GameKit:
        quick = config(
            chain=chain_config(poll_ms=1),
            batch=BatchConfig(calls_max=8, batch_age_ms_max=0),
            relay=RelayConfig(bundle_age_ms_max=0),
        )
        world = World(keys, quick)
        send = world.chain.send_raw_transaction

        async def mine_at_once(raw: bytes) -> None:
            await send(raw)
            world.chain.mine()

        world.chain.send_raw_transaction = mine_at_once  # type: ignore[method-assign]
        return world.kit


class TestFromConfig:
    async def test_the_real_adapters_lie_beside_the_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "arena.toml").write_text(MANIFEST.replace('"none"', '"arena.json"'))
        (tmp_path / "arena.json").write_text(json.dumps(ABI))
        settings = ['games = ["arena.toml"]', "[chain]", *self.addresses(), "[relay]", 'keys_file = "relayers"']
        (tmp_path / "relayers").touch(mode=0o600)
        (tmp_path / "relayers").write_text(f"{7:064x}\n")
        (tmp_path / "gamekit.toml").write_text("\n".join(settings))
        kit = GameKit.from_config(tmp_path / "gamekit.toml")
        assert kit.game("arena").address == ARENA
        assert len(kit._ports.relayers) == 1
        assert kit._ports.withdrawal_relayers == {}
        assert (tmp_path / "gamekit.sqlite").exists()
        assert (tmp_path / "gamekit.key").stat().st_mode & 0o777 == 0o600
        await kit.close()

    async def test_a_configuration_made_in_code(self, tmp_path: Path) -> None:
        journal = JournalConfig(str(tmp_path / "j.sqlite"), str(tmp_path / "j.key"))
        kit = GameKit.from_config(Config(chain=chain_config(), journal=journal), [arena()])
        assert list(kit.games) == ["arena"]
        await kit.close()

    async def test_keys_that_were_used_show_that_a_journal_is_lost(self, tmp_path: Path) -> None:
        journal = JournalConfig(str(tmp_path / "j.sqlite"), str(tmp_path / "j.key"))
        settings = Config(chain=chain_config(), journal=journal)
        found: list[bool] = []
        for _ in range(2):
            kit = GameKit.from_config(settings, [arena()])
            found.append(kit._ports.has_sealed)
            kit._ports.keys.make(bytes)
            await kit.close()
        assert found == [False, True]

    @staticmethod
    def addresses() -> list[str]:
        chain = chain_config()
        return [f'session_validator = "{chain.session_validator}"', f'session_opener = "{chain.session_opener}"']


def test_a_games_abi_may_be_a_contract_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "arena.toml"
    path.write_text(MANIFEST.replace('"none"', '"Arena"').replace("reference.target", "reference.target"))
    assert load_game(path).address == ARENA


def test_the_clock_never_goes_back() -> None:
    clock = MonotonicClock()
    assert clock.monotonic() <= clock.monotonic()


async def test_an_action_accepted_while_the_lane_is_built_is_the_first(world: World) -> None:
    session = await world.open()
    both = await asyncio.gather(world.kit.accept(session, [attack("a")]), world.kit.accept(session, [attack("b")]))
    ids = [answer.action_id for (answer,) in both]  # type: ignore[union-attr]
    assert ids == sorted(ids)
    assert len(world.kit.state.lanes) == 1


async def test_a_session_that_has_ended_still_answers_for_what_it_accepted(world: World) -> None:
    session = await world.open()
    (first,) = await world.accepted(session, "a")
    await world.quiet()
    await world.kit.revoke(session)
    await world.block(5)
    await world.restart()
    old, new = await world.act(session, "a", "b")
    assert (old.action_id, old.duplicate) == (first.action_id, True)
    assert isinstance(new, SessionRevoked)


async def test_first_frames_after_a_restart_keep_their_order(world: World) -> None:
    session = await world.open()
    await world.restart()
    call, answers = world.chain.call, 0

    async def slower_first(*args: Any, **kwargs: Any) -> bytes:
        nonlocal answers
        answers += 1
        for _ in range(10 if answers == 1 else 0):
            await asyncio.sleep(0)
        return await call(*args, **kwargs)

    world.chain.call = slower_first  # type: ignore[method-assign]
    frames = [world.kit.accept(session, [attack(key)]) for key in "abc"]
    for _ in range(12):
        await asyncio.sleep(0)
    frames.append(world.kit.accept(session, [attack("d")]))
    ids = [answer.action_id for frame in frames for answer in await frame if isinstance(answer, Accepted)]
    assert ids == sorted(ids)
    assert len(ids) == 4
    assert world.kit._turns == {}


async def test_the_relayers_of_play_carry_no_withdrawal(world: World) -> None:
    ports = replace(world.kit._ports, withdrawal_relayers=world.keys.pool)
    with pytest.raises(ConfigInvalid) as refused:
        GameKit(world.config, [arena()], ports)
    assert refused.value.compared == {"relayers": [next(iter(world.keys.pool)).hex()]}
