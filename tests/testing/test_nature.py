"""Each thing that other people do on the simulated chain happens, is counted, and ends."""

import random
from collections import Counter

from gamekit.testing.chain import FakeChain
from gamekit.testing.nature import POOR_BLOCKS, STILL, Fate, Nature
from gamekit.testing.scenery import ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR
from gamekit.units import Address, PermissionId

ACCOUNT = Address(b"\x0c" * 20)
RELAYER = Address(b"\x0e" * 20)


class Ours:
    """One of everything."""

    def lanes(self) -> list[tuple[Address, int]]:
        return [(ACCOUNT, 7)]

    def sessions(self) -> list[PermissionId]:
        return [PermissionId(bytes(32))]

    def relayers(self) -> list[Address]:
        return [RELAYER]


def fate() -> tuple[FakeChain, Fate, Counter[str]]:
    chain = FakeChain(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)
    chain.mine(3)
    counted: Counter[str] = Counter()
    return chain, Fate(chain, Ours(), random.Random(1), lambda fault: counted.update([fault])), counted


def test_block_default_still() -> None:
    chain, made, counted = fate()
    made.block(STILL)
    assert chain.top.head.number == 4
    assert not counted


def test_block_behavior_a_lane_is_taken() -> None:
    chain, made, counted = fate()
    made.block(Nature(lane_taken=1.0))
    assert chain.top.world.nonces[ACCOUNT, 7] == 1
    assert counted == {"lane taken": 1}


def test_block_behavior_a_relayer_is_taken() -> None:
    chain, made, counted = fate()
    chain.push(RELAYER, MODULE, b"ours")
    made.block(Nature(lane_taken=1e-9, relayer_taken=1.0))
    assert chain.top.world.counts[RELAYER] == 1
    assert [tx.data for tx in chain.top.transactions if tx.sender == RELAYER] == [b""]
    assert counted == {"relayer taken": 1}


def test_block_behavior_an_account_is_poor_for_a_while() -> None:
    chain, made, counted = fate()
    made.block(Nature(poor=1.0))
    assert chain.deposits == {ACCOUNT: 1}
    for _ in range(POOR_BLOCKS):
        made.block(STILL)
    assert chain.deposits == {}
    assert counted == {"deposit missing": 1}


def test_calm_behavior_gives_everything_back() -> None:
    chain, made, _ = fate()
    made.block(Nature(poor=1.0, fee_spike=1.0))
    assert chain.base_fee > 10**9
    made.calm()
    assert chain.deposits == {}
    assert chain.base_fee == 10**9
