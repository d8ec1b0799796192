"""Players who hold nothing: the whole path with the real kit on a real chain, on EntryPoint 0.7 and 0.8."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast

import coincurve
import msgspec
import pytest
from msgspec.structs import replace

from gamekit.chain.rpc import from_data, to_data
from gamekit.config import BatchConfig, JournalConfig, SponsorConfig
from gamekit.contracts import artifact
from gamekit.core.action import REFUSED
from gamekit.core.event import ALARM, AlarmEvent
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.relay import HANDLE_OPS, OPEN, RelayTransaction
from gamekit.demo.stage import RELAYER_WEI, Stage, arena_manifest, make_keys, server_config, set_stage
from gamekit.devnet import Anvil, AnvilSettings, DevnetNode, fund
from gamekit.devnet.deployment import OPERATOR
from gamekit.devnet.sponsor import Caps, fill_paymaster, operate, set_caps, set_game
from gamekit.errors import ConfigInvalid, SessionRevoked, SponsorshipExhausted
from gamekit.eth.entry_point import BALANCE_OF
from gamekit.eth.hashing import to_hex
from gamekit.eth.interface import Function
from gamekit.eth.session_paymaster import (
    GAME_OF,
    SPONSORSHIP_OF,
    WITHDRAW_TO,
    GameRecord,
    SponsorshipRecord,
    decode_game,
    decode_sponsorship,
    game_number,
)
from gamekit.eth.session_validator_grant import grant_digest
from gamekit.eth.signature import public_key_address
from gamekit.keys.keystore import Keystore
from gamekit.kit import GameKit
from gamekit.runtime.handle import SessionHandle
from gamekit.units import Address, ChainId, Cursor, PlayerId, Wei
from tests.e2e.opcodes import banned, opcodes_within

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ACTIONS_OF = Function.parse("actionsOf(address player)", "uint256", "view")
BY_SIGNATURE = """
[unit.play_signed]
meaning = "play without holding any ether, each operation signed by the game"
functions = ["move", "attack"]
calls_max = 16
gas_budget_wei = 50_000_000_000_000_000
gas_per_operation_wei_max = 5_000_000_000_000_000
paymaster = "configured"
sponsored_by = "signature"
"""
WAIT_S = 30.0
_seeds = count(0x5AFE)


class Chain:
    """The devnet, and one of its paymasters."""

    def __init__(self, node: DevnetNode, stage: Stage, version: str) -> None:
        contracts = stage.contracts
        self.node, self.stage, self.version = node, stage, version
        self.paymaster, self.entry_point = {
            "0.7": (contracts.session_paymaster_07, contracts.entry_point_07),
            "0.8": (contracts.session_paymaster_08, contracts.entry_point_08),
        }[version]

    async def call(self, to: Address, data: bytes) -> bytes:
        asked = {"to": to_data(to), "data": to_data(data)}
        return from_data(await self.node.request(str, "eth_call", asked, "latest"))

    async def deposit_of(self, account: Address) -> int:
        return int.from_bytes(await self.call(self.entry_point, BALANCE_OF.encode_call(account)), "big")

    async def balance_of(self, account: Address) -> int:
        return int(await self.node.request(str, "eth_getBalance", to_data(account), "latest"), 16)

    async def game(self) -> GameRecord:
        return decode_game(await self.call(self.paymaster, GAME_OF.encode_call(game_number("arena"))))

    async def sponsorship(self, session: SessionHandle) -> SponsorshipRecord:
        asked = SPONSORSHIP_OF.encode_call(session.row.account, session.permission_id)
        return decode_sponsorship(await self.call(self.paymaster, asked))

    async def actions(self, session: SessionHandle) -> int:
        asked = ACTIONS_OF.encode_call(session.row.account)
        return int.from_bytes(await self.call(self.stage.contracts.arena, asked), "big")

    async def withdraw(self, amount: int) -> None:
        await operate(self.node, self.paymaster, WITHDRAW_TO.encode_call(OPERATOR, amount))

    @asynccontextmanager
    async def kit(self, **sponsor: Any) -> AsyncIterator[GameKit]:
        """A server with a journal, a master key and relayers of its own: used ones tell of a journal that is lost."""
        number = next(_seeds)
        await fund(self.node, make_keys(Path(f"relayers-{number}.keys"), 2), RELAYER_WEI)
        settings = server_config(self.stage)
        settings = replace(
            settings,
            journal=JournalConfig(path=f"journal-{number}.sqlite", keyfile=f"master-{number}.key"),
            relay=replace(settings.relay, keys_file=f"relayers-{number}.keys"),
            batch=BatchConfig(deadline_s=10, resign_below_s=0),
            sponsor=SponsorConfig(keys_file="sponsors.keys", check_blocks=1, **sponsor),
            games=(),
        )
        async with GameKit.from_config(settings, [game_of(self.stage)]) as kit:
            yield kit

    async def open(self, kit: GameKit, unit: str = "play_free", player: str = "") -> SessionHandle:
        """A session of a new player, who signs a grant and nothing else."""
        key = coincurve.PrivateKey.from_int(next(_seeds))
        owner = public_key_address(key.public_key.format(compressed=False))
        name = PlayerId(player or owner.hex())
        request = await kit.propose(name, "arena", unit, owner, stack="reference", entry_point_version=self.version)
        signature = key.sign_recoverable(grant_digest(request.typed_data), hasher=None)
        session = await kit.open(request.permission_id, signature[:64] + bytes((27 + signature[64],)))
        return await session.opened(WAIT_S)


def game_of(stage: Stage) -> Game:
    text = arena_manifest(stage.contracts.arena, ChainId(31337)) + BY_SIGNATURE
    return build_game(parse_manifest(text), artifact("Arena").abi)


@pytest.fixture(scope="module")
def own_anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    settings = AnvilSettings(block_time_s=1.0, base_fee_wei=10**7)
    node = Anvil.start(Path(tmp_path_factory.mktemp("sponsored")) / "chain", settings)
    yield node
    node.stop()


@pytest.fixture(scope="module")
def stage(own_anvil: Anvil, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("stage")
    return asyncio.run(set_stage(folder, own_anvil.url, ["player"]))


@pytest.fixture(params=["0.7", "0.8"])
async def chain(request: pytest.FixtureRequest, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Chain]:
    """The game's caps and its sponsor are afterwards what they were before."""
    monkeypatch.chdir(stage.folder)
    async with DevnetNode(stage.url) as node:
        found = Chain(node, stage, request.param)
        sponsor = (await found.game()).sponsor
        yield found
        await set_game(node, found.paymaster, "arena", sponsor)


@pytest.mark.parametrize("unit", ["play_free", "play_signed"])
async def test_an_account_without_ether_plays(chain: Chain, unit: str) -> None:
    before, spent_before = await chain.deposit_of(chain.paymaster), (await chain.game()).spent_wei
    async with chain.kit() as kit:
        session = await chain.open(kit, unit)
        handles = [await session.act("attack", {"target": 7, "strength": 1}, key=f"a{n}") for n in range(5)]
        assert [(await handle.settled(WAIT_S)).state for handle in handles] == ["ok"] * 5
        row = session.row
        charged = kit.state.lanes[session.permission_id].usage.gas_spent_wei
    account = row.account
    assert await chain.actions(session) == 5
    assert (await chain.balance_of(account), await chain.deposit_of(account)) == (0, 0)
    paid = before - await chain.deposit_of(chain.paymaster)
    assert 0 < paid <= charged
    assert (await chain.game()).spent_wei - spent_before == charged
    expected = charged if unit == "play_free" else 0
    assert (await chain.sponsorship(session)).seen_wei == expected
    assert row.sponsored_by == ("voucher" if unit == "play_free" else "signature")


@pytest.mark.parametrize("unit", ["play_free", "play_signed"])
async def test_validation_runs_no_banned_opcode(chain: Chain, unit: str) -> None:
    async with chain.kit() as kit:
        session = await chain.open(kit, unit)
        await (await session.act("move", [1, 1], key="a")).settled(WAIT_S)
        rows = {row.kind: row for row in await kit.store.select(RelayTransaction) if row.mined_at_block}
    validation = await opcodes_within(chain.node, rows[HANDLE_OPS], chain.paymaster)
    assert "SSTORE" in validation
    assert "STATICCALL" in validation
    assert banned(validation) == set()
    # The same check finds what stands outside of validation: taking a voucher reads the clock.
    taken = await opcodes_within(chain.node, rows[OPEN], chain.paymaster)
    assert banned(taken) == ({"TIMESTAMP"} if unit == "play_free" else set())
    assert bool(taken) == (unit == "play_free")


async def test_what_the_player_reads_names_who_pays(chain: Chain) -> None:
    async with chain.kit() as kit:
        owner = Address(bytes.fromhex("77" * 20))
        request = await kit.propose(
            PlayerId("reader"), "arena", "play_free", owner, stack="reference", entry_point_version=chain.version
        )
    assert chain.paymaster.hex() in request.explanation.lower()
    assert "Together at most 0 ETH leaves your account." in request.explanation
    assert "paid by the game's paymaster" in kit.game("arena").unit("play_free").explain()


async def test_revoked_it_is_sponsored_no_more(chain: Chain) -> None:
    async with chain.kit() as kit:
        session = await chain.open(kit)
        handle = await session.act("move", [1, 1], key="first")
        assert (await handle.settled(WAIT_S)).state == "ok"
        await session.revoke()
        with pytest.raises(SessionRevoked):
            await session.act("move", [1, 1], key="second")
        await _until(lambda: session.row.state == "revoked")
    assert await chain.actions(session) == 1


async def test_a_cap_that_is_met_is_told_and_loses_nothing(chain: Chain) -> None:
    async with chain.kit() as kit:
        session = await chain.open(kit)
        assert (await (await session.act("move", [1, 1], key="before")).settled(WAIT_S)).state == "ok"
        spent = (await chain.game()).spent_wei
        await set_caps(chain.node, chain.paymaster, "arena", Caps(day_wei_max=Wei(spent + 1)))
        waiting = await session.act("move", [1, 1], key="waiting")
        await _until(lambda: bool(kit.state.stops))
        with pytest.raises(SponsorshipExhausted) as refused:
            await session.act("move", [1, 1], key="asked again")
        assert refused.value.compared["reason"] == "GameDayCapExceeded"
        assert refused.value.compared["limit"] == spent + 1
        assert cast("int", refused.value.compared["asked"]) > spent + 1
        # What was accepted is told as well, once nothing that was signed can land any more.
        await chain.node.increase_time(15)
        row = await waiting.settled(WAIT_S)
        assert (row.state, row.reason) == (REFUSED, "sponsorship_exhausted")
        alarms = await _alarms(kit)
        assert any(each.startswith("sponsorship_stopped game/") for each in alarms)
        # The operator raises the cap: it goes on, without a restart.
        await set_caps(chain.node, chain.paymaster, "arena", Caps())
        await _until(lambda: not kit.state.stops)
        again = await session.act("move", [1, 1], key="asked again")
        assert (await again.settled(WAIT_S)).state == "ok"
    assert await chain.actions(session) == 2


async def test_a_players_cap_stops_that_player_only(chain: Chain) -> None:
    async with chain.kit() as kit:
        session, other = await chain.open(kit), await chain.open(kit)
        assert (await (await session.act("move", [1, 1], key="a")).settled(WAIT_S)).state == "ok"
        spent = kit.state.lanes[session.permission_id].usage.gas_spent_wei
        await set_caps(chain.node, chain.paymaster, "arena", Caps(player_day_wei_max=Wei(spent * 3 // 2)))
        await session.act("move", [1, 1], key="b")
        await _until(lambda: bool(kit.state.stops))
        with pytest.raises(SponsorshipExhausted, match="PlayerDayCapExceeded"):
            await session.act("move", [1, 1], key="c")
        assert (await (await other.act("move", [1, 1], key="d")).settled(WAIT_S)).state == "ok"


async def test_a_new_sponsor_vouches_for_sessions_that_run(chain: Chain) -> None:
    (fresh,) = make_keys(chain.stage.folder / "fresh.keys", 1)
    keys = chain.stage.folder / "sponsors.keys"
    keys.write_text(keys.read_text() + (chain.stage.folder / "fresh.keys").read_text())
    async with chain.kit() as kit:
        session = await chain.open(kit)
        assert (await (await session.act("move", [1, 1], key="a")).settled(WAIT_S)).state == "ok"
        generation = (await chain.game()).generation
        await set_game(chain.node, chain.paymaster, "arena", fresh)
        await session.act("move", [1, 1], key="b")
        await _until(lambda: bool(kit.state.stops))
        await _until(lambda: not kit.state.stops)
        assert (await chain.sponsorship(session)).generation == generation + 1
        handle = await session.act("move", [1, 1], key="c")
        assert (await handle.settled(WAIT_S)).state == "ok"


async def test_a_deposit_that_is_used_up(chain: Chain) -> None:
    deposit = await chain.deposit_of(chain.paymaster)
    async with chain.kit() as kit:
        session = await chain.open(kit)
        await chain.withdraw(deposit - 1)
        await session.act("move", [1, 1], key="a")
        await _until(lambda: bool(kit.state.stops))
        with pytest.raises(SponsorshipExhausted, match="AA31"):
            await session.act("move", [1, 1], key="b")
        await _until_async(lambda: _has_alarm(kit, f"paymaster_deposit_low {to_hex(chain.paymaster)}"))
        await fill_paymaster(chain.node, chain.paymaster, Wei(deposit))
        await _until(lambda: not kit.state.stops)
        handle = await session.act("move", [1, 1], key="c")
        assert (await handle.settled(WAIT_S)).state == "ok"


async def test_without_the_sponsors_key_nothing_is_opened(chain: Chain) -> None:
    async with chain.kit() as kit:
        await set_game(chain.node, chain.paymaster, "arena", OPERATOR)
        with pytest.raises(ConfigInvalid, match="whose key is not here"):
            await chain.open(kit)
    async with DevnetNode(chain.stage.url):
        found = Keystore.open("master.key").relayers("sponsors.keys")
        await set_game(chain.node, chain.paymaster, "arena", next(iter(found)))


async def _until(holds: Any) -> None:
    async def told() -> bool:
        return bool(holds())

    await _until_async(told)


async def _until_async(holds: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await holds():  # noqa: ASYNC110 - the chain tells nobody
            await asyncio.sleep(0.05)


async def _alarms(kit: GameKit) -> list[str]:
    told = await kit.events_since(Cursor(0))
    return [" ".join(_decode(each.body)) for each in told if each.kind == ALARM]


async def _has_alarm(kit: GameKit, begins: str) -> bool:
    return any(each.startswith(begins) for each in await _alarms(kit))


def _decode(body: bytes) -> list[str]:
    alarm = msgspec.msgpack.decode(body, type=AlarmEvent)
    return [alarm.what, alarm.detail]
