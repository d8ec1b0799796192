"""The thief against every account stack: each escape is refused with the expected error, each twin is executed."""

from pathlib import Path

import coincurve
import pytest
from msgspec.structs import replace

from gamekit.demo.forgery import sign
from gamekit.demo.loot import Loot, read_loot, write_loot
from gamekit.demo.thief import LOGIN, Thief, Trial, address_of, taken
from gamekit.devnet import DevnetContracts, DevnetNode, deploy, fund
from gamekit.eth.hashing import parse_hex, to_hex
from gamekit.eth.session_validator_abi import _ERRORS, SESSION_VALIDATOR
from gamekit.units import Wei
from tests.demo.victims import Victim, make_victim

STACKS = [("reference", "0.7"), ("reference", "0.8"), ("nexus", "0.7")]
ESCAPES_MIN = 50

pytestmark = pytest.mark.slow


class Scene:
    def __init__(self, node: DevnetNode, contracts: DevnetContracts) -> None:
        self.node = node
        self.contracts = contracts
        self.thief = Thief(node, coincurve.PrivateKey(b"\x77" * 32), contracts)

    async def raid(self, victim: Victim, neighbour: Victim) -> list[Trial]:
        return await self.thief.raid(victim.loot, neighbour.loot.sender, sign(victim.owner, LOGIN))


@pytest.fixture
async def scene(node: DevnetNode) -> Scene:
    scene = Scene(node, await deploy(node))
    await fund(node, [scene.thief.address], Wei(10**20))
    return scene


@pytest.mark.parametrize(("name", "version"), STACKS)
async def test_raid(scene: Scene, name: str, version: str) -> None:
    victim = await make_victim(scene.node, scene.contracts, name, version, 100)
    neighbour = await make_victim(scene.node, scene.contracts, name, version, 200)
    trials = await scene.raid(victim, neighbour)
    assert [trial for trial in trials if not (trial.refused and trial.twin_passed)] == []
    assert len(trials) >= ESCAPES_MIN
    assert sum(trial.refused_on_chain for trial in trials) >= ESCAPES_MIN
    assert len({trial.name for trial in trials}) == len(trials)


async def test_raid_behavior_a_dead_session_gives_no_twin(scene: Scene) -> None:
    """The table is no formality: where the session is not alive, no twin passes and other errors come."""
    victim = await make_victim(scene.node, scene.contracts, "reference", "0.8", 100)
    unknown = replace(victim.loot, scope=to_hex(replaced_revoker(victim.loot)))
    trials = await scene.thief.raid(unknown, victim.loot.sender, bytes(65))
    assert not any(trial.twin_passed for trial in trials)
    assert sum(trial.refused for trial in trials) < len(trials) / 2


def replaced_revoker(loot: Loot) -> bytes:
    scope = parse_hex(loot.scope)
    return scope[:32] + b"\x99" * 20 + scope[52:]


async def test_after_the_end(scene: Scene) -> None:
    victim = await make_victim(scene.node, scene.contracts, "reference", "0.8", 100)
    await scene.node.increase_time(700)
    await scene.node.mine()
    trial = await scene.thief.send_after_the_end(victim.loot)
    assert (trial.sent, trial.twin_simulated) == ("AA22", "executed")
    assert trial.refused_on_chain


async def test_after_the_revocation(scene: Scene) -> None:
    victim = await make_victim(scene.node, scene.contracts, "nexus", "0.7", 100)
    before = await scene.node.block_number()
    revoke = SESSION_VALIDATOR.function("revokeSessionFor")
    data = revoke.encode_call(victim.loot.sender, parse_hex(victim.loot.scope))
    owner = address_of(victim.owner)
    await fund(scene.node, [owner], Wei(10**18))
    await scene.node.request_optional(object, "anvil_impersonateAccount", to_hex(owner))
    await scene.node.require_success(await scene.node.send(owner, victim.loot.module, data, gas=200_000))
    trial = await scene.thief.after_the_revocation(victim.loot, before)
    assert (trial.sent, trial.twin_simulated) == ("AA23 SessionNotLive", "executed")
    assert trial.refused_on_chain


async def test_escapes_behavior_expect_only_errors_that_the_contract_has(scene: Scene) -> None:
    victim = await make_victim(scene.node, scene.contracts, "reference", "0.7", 100)
    trials = await scene.raid(victim, victim)
    known = {text.partition("(")[0] for text in _ERRORS}
    named = {trial.expected.partition(" ")[2] for trial in trials} - {""}
    assert named <= known
    assert len(named) >= 15


def test_loot_behavior_is_private_and_reads_back(tmp_path: Path) -> None:
    loot = Loot("ada", "0x01", "0x02", "reference", "0.8", "0x03", "0x04", 1, "0x05", "0x06")
    write_loot(tmp_path / "loot", [loot])
    assert read_loot(tmp_path / "loot") == [loot]
    assert (tmp_path / "loot").stat().st_mode & 0o077 == 0


async def test_taken_waits_until_every_player_is_leaked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may be killed between a session's opening and its leak."""
    path, both = (
        tmp_path / "loot",
        [Loot(name, "0x0", "0x1", "reference", "0.8", "0x2", "0x3", 1, "0x4", "0x5") for name in ("ada", "bob")],
    )
    later = iter([None, both[:1], both])

    async def sleep(_: float) -> None:
        leaked = next(later)
        if leaked is not None:
            write_loot(path, leaked)

    monkeypatch.setattr("gamekit.demo.thief.asyncio.sleep", sleep)
    assert await taken(path, ["bob", "ada"]) == {loot.player: loot for loot in both}
    assert next(later, "") == ""


def test_trial_refused_needs_the_expected_error() -> None:
    trial = Trial("nexus 0.7", "x", "AA23 CallNotAllowed", simulated="AA24", sent="AA23 CallNotAllowed")
    assert not trial.refused
    assert not replace(trial, simulated="AA23 CallNotAllowed", sent="executed").refused
    assert replace(trial, simulated="AA23 CallNotAllowed").refused_on_chain
    assert not trial.twin_passed
