"""Targets that can run code of others: what Python reads of them is what the session validator asks for in a grant."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gamekit.chain.reader import EvmChain
from gamekit.chain.rpc import to_data
from gamekit.contracts import artifact
from gamekit.core.event import PAUSED
from gamekit.core.game import build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.pausing import Pause
from gamekit.demo.stage import set_stage
from gamekit.devnet import Anvil, DevnetNode
from gamekit.errors import CallReverted
from gamekit.eth.hashing import checksum_address
from gamekit.eth.proxy import BEACON_SLOT, IMPLEMENTATION, IMPLEMENTATION_SLOT, runs_others
from gamekit.eth.session_validator_abi import GRANT_SESSION, SESSION_VALIDATOR
from gamekit.kit import GameKit
from gamekit.runtime.proxies import accepted
from gamekit.units import ZERO_ADDRESS, Address, Cursor, Hash32, PlayerId
from tests.accounts.test_through_the_kit import Owner
from tests.accounts.world import CHAIN_ID, MANIFEST, World
from tests.eth.test_proxy import CLONE

TARGET, OTHER, BEACON, EMPTY = (Address(bytes([0xC0 + number]) * 20) for number in range(4))
HARMLESS = b"\x00"
"""Stops at once, so that it answers no question: what stands behind it is only looked at."""
ASK = IMPLEMENTATION.selector.hex()

PROXY = bytes.fromhex(f"365f5f375f5f365f7f{IMPLEMENTATION_SLOT.hex()}545af43d5f5f3e6036573d5ffd5b3d5ff3")
"""Passes every call on, by delegatecall, to the contract that its slot names."""

BEACON_PROXY = bytes.fromhex(
    f"63{ASK}60e01b5f5260205f60045f7f{BEACON_SLOT.hex()}545afa505f51365f5f375f5f365f845af43d5f5f3e604c573d5ffd5b3d5ff3"
)
"""The same to the contract that its beacon names, asked each time."""


def answering(word: bytes, length: int = 32) -> bytes:
    """Answer `implementation()` with the first bytes of a word, and nothing to any other question."""
    return bytes.fromhex(f"5f3560e01c63{ASK}14600f57005b7f{word.rjust(32, bytes(1)).hex()}5f5260{length:02x}5ff3")


async def world_of(node: DevnetNode) -> World:
    world = await World.create(node, "reference", "0.7")
    await node.set_code(OTHER, HARMLESS)
    return world


async def grant_to(world: World, *implementations: Address) -> str:
    """Ask the module, as the account, to grant a session on TARGET; gives the error's name, empty for a grant."""
    world.game = build_game(parse_manifest(MANIFEST), artifact("Arena").abi, TARGET)
    await world.propose(0)
    assert world.scope is not None
    call = GRANT_SESSION.encode_call(world.scope.pack(), implementations)
    asked = {"from": to_data(world.account), "to": to_data(world.contracts.session_validator), "data": to_data(call)}
    try:
        await world.node.request(str, "eth_call", asked | {"gas": hex(15_000_000)}, "latest")
    except CallReverted as reverted:
        return SESSION_VALIDATOR.decode_revert(reverted.data).name
    return ""


async def read(world: World) -> tuple[Address, ...]:
    """What the runtime would have the owner accept."""
    chain = EvmChain(world.node, world.contracts.chain_config(world.node.url, CHAIN_ID))
    found = await accepted(chain, [TARGET], world.contracts.session_validator)
    return tuple(each.implementation for each in found)


def codes() -> list[bytes]:
    """Written by hand, and many at random, thick with what matters: pushes, delegatecall and callcode."""
    dice = random.Random(20)
    thick = [*range(0x5F, 0x68), 0xF1, 0xF2, 0xF3, 0xF4, 0xFA, 0xFE, 0x00, 0x80]
    rare = [*range(0x5F, 0x80), 0xF2, 0xF4]
    chance = [
        bytes(dice.choice(pool) for _ in range(dice.randrange(1, 90))) for pool in (thick, rare) for _ in range(40)
    ]
    hand = ["f4", "f2", "60f4", "60f4f4", "7f" + "f4" * 32, "7f" + "f4" * 33, "7ff4", "5ff4", "fef4", "61f4", "f1fa"]
    return [bytes.fromhex(each) for each in hand] + chance


async def test_what_can_run_others_is_what_the_module_says(node: DevnetNode) -> None:
    world = await world_of(node)
    found = []
    for code in codes():
        await node.set_code(TARGET, HARMLESS + code)
        refused = await grant_to(world)
        assert refused == ("ImplementationNotAccepted" if runs_others(code) else ""), code.hex()
        assert await grant_to(world, TARGET) == ("" if runs_others(code) else "ImplementationsUnused"), code.hex()
        found.append(runs_others(code))
    assert 20 < sum(found) < len(found) - 20, "both happen"


@pytest.mark.parametrize(
    ("code", "words", "expected", "others_taken"),
    [
        (CLONE[:10] + OTHER + CLONE[30:], {}, OTHER, False),
        (CLONE[:10] + OTHER + CLONE[30:] + b"arguments", {}, OTHER, False),
        (CLONE[:10] + OTHER + CLONE[30:44] + b"\xf4", {}, TARGET, True),
        (answering(OTHER) + b"\xf4", {}, OTHER, False),
        (answering(OTHER) + b"\xf4", {IMPLEMENTATION_SLOT: BEACON}, OTHER, False),
        (answering(OTHER, 31) + b"\xf4", {}, TARGET, True),
        (answering(b"\x01" + OTHER) + b"\xf4", {}, TARGET, True),
        (answering(b"") + b"\xf4", {}, TARGET, True),
        (b"\xfe\xf4", {}, TARGET, True),
        (bytes.fromhex("5b5f56f4"), {}, TARGET, True),
        (PROXY, {IMPLEMENTATION_SLOT: OTHER}, OTHER, True),
        (BEACON_PROXY, {BEACON_SLOT: BEACON}, OTHER, True),
    ],
)
async def test_what_is_read_is_what_the_module_takes(
    node: DevnetNode, code: bytes, words: dict[Hash32, Address], expected: Address, others_taken: bool
) -> None:
    world = await world_of(node)
    await node.set_code(BEACON, answering(OTHER))
    await node.set_code(TARGET, code)
    for slot, address in words.items():
        await _store(node, TARGET, slot, address)
    assert await read(world) == (expected,)
    assert await grant_to(world, expected) == ""
    assert await grant_to(world) == "ImplementationNotAccepted"
    assert await grant_to(world, EMPTY) == "ImplementationNotAccepted"
    stranger = world.contracts.gold
    assert await grant_to(world, stranger) == ("" if others_taken else "ImplementationNotAccepted")


@pytest.fixture
def own_chain(tmp_path: Path) -> Iterator[Anvil]:
    """A node of the test's own: it turns the game's contract into a proxy, which would break all others."""
    node = Anvil.start(tmp_path / "anvil")
    yield node
    node.stop()


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize("beacon", [False, True])
async def test_a_game_behind_a_proxy_through_the_kit(own_chain: Anvil, tmp_path: Path, beacon: bool) -> None:
    """Proposed, accepted and granted; and paused when the proxy names another."""
    stage, owner = await set_stage(tmp_path, own_chain.url, []), Owner()
    arena = stage.contracts.arena
    async with DevnetNode(stage.url) as node:
        code = await node.request(str, "eth_getCode", to_data(arena), "latest")
        await node.set_code(OTHER, bytes.fromhex(code[2:]))
        await node.set_code(BEACON, answering(OTHER))
        await node.set_code(arena, BEACON_PROXY if beacon else PROXY)
        slot, first = (BEACON_SLOT, BEACON) if beacon else (IMPLEMENTATION_SLOT, OTHER)
        await _store(node, arena, IMPLEMENTATION_SLOT, ZERO_ADDRESS)
        await _store(node, arena, slot, first)
        async with GameKit.from_config(stage.config) as kit:
            request = await kit.propose(PlayerId("ada"), "arena", "play_match", owner.address)
            assert request.typed_data.message["acceptedImplementations"] == [checksum_address(OTHER)]
            assert f"a proxy that runs {checksum_address(OTHER)}" in request.explanation
            session = await kit.open(request.permission_id, owner.sign_typed_data(request.typed_data))
            await session.opened(timeout=20)
            assert session.row.implementations == (OTHER,)
            assert await kit.store.select(Pause) == []
            if beacon:
                await node.set_code(BEACON, answering(TARGET))
            else:
                await _store(node, arena, slot, TARGET)
            await kit._observe.compare_code()
            assert await kit.store.select(Pause) == []
            await node.mine()  # A change is believed when another block has it too.
            async with asyncio.timeout(20):
                async for event in kit.events(Cursor(0)):
                    if event.kind == PAUSED:
                        break
            (pause,) = await kit.store.select(Pause)
            assert (pause.subject, pause.active) == ("game:arena", True)
            assert pause.reason.endswith("beacon's implementation" if beacon else "changed its implementation")


async def _store(node: DevnetNode, at: Address, slot: Hash32, address: Address) -> None:
    word = to_data(address.rjust(32, b"\0"))
    await node.request_optional(object, "anvil_setStorageAt", to_data(at), to_data(slot), word)
