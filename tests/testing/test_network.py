"""Each fault of the network comes, is counted, and is what a real node would show."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from gamekit.errors import ChainUnavailable, SubmitterUnavailable
from gamekit.testing.chain import FakeChain
from gamekit.testing.loop import VirtualLoop
from gamekit.testing.network import CALM, STORM, Network, Sky, Weather
from gamekit.testing.scenery import ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR
from gamekit.units import BlockNumber

T = TypeVar("T")


class Pool(FakeChain):
    """A chain whose pool only counts what arrives."""

    def __init__(self) -> None:
        super().__init__(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)
        self.arrived: list[bytes] = []
        self.mine(9)

    def take(self, raw: bytes) -> None:
        self.arrived.append(raw)


def make(weather: Weather, points: list[str] | None = None) -> Network:
    reached = points if points is not None else []
    return Network(Pool(), Sky(random.Random(1), weather), reached.append)


def run(work: Coroutine[Any, Any, T]) -> T:
    loop = VirtualLoop()
    try:
        return loop.run(work)
    finally:
        loop.close()


def faults(network: Network) -> dict[str, int]:
    return network._sky.faults


def arrived(network: Network) -> list[bytes]:
    assert isinstance(network.chain, Pool)
    return network.chain.arrived


def test_calm_hides_nothing() -> None:
    network = make(CALM)
    assert run(network.head()).number == 9
    run(network.send_raw_transaction(b"tx"))
    assert arrived(network) == [b"tx"]
    assert faults(network) == {}


def test_read_error_dropped() -> None:
    network = make(Weather(drop=1.0))
    with pytest.raises(ChainUnavailable):
        run(network.head())
    assert faults(network) == {"read dropped": 1}


def test_read_behavior_stale() -> None:
    network = make(Weather(stale=1.0))
    assert run(network.head()).number < 9
    assert network.chain.lag == 0


@pytest.mark.parametrize(
    ("weather", "count", "raises"),
    [
        (Weather(lose=1.0), 0, True),
        (Weather(lose_reply=1.0), 1, True),
        (Weather(forget=1.0), 0, False),
        (Weather(double=1.0), 2, False),
        (Weather(delay=1.0), 1, False),
    ],
)
def test_send(weather: Weather, count: int, raises: bool) -> None:
    network = make(weather)

    async def send() -> None:
        try:
            await network.send_raw_transaction(b"tx")
        except SubmitterUnavailable:
            assert raises
        else:
            assert not raises
        await asyncio.sleep(10)

    run(send())
    assert arrived(network) == [b"tx"] * count
    assert sum(faults(network).values()) == 1


def test_points_are_told() -> None:
    points: list[str] = []
    network = make(CALM, points)
    run(network.send_raw_transaction(b"tx"))
    run(network.head())
    assert points == ["before send", "after send", ""]


def test_the_same_seed_has_the_same_faults() -> None:
    async def many(network: Network) -> None:
        for _ in range(200):
            try:
                await network.head()
            except ChainUnavailable:
                continue

    first, second = make(STORM), make(STORM)
    run(many(first))
    run(many(second))
    assert faults(first) == faults(second)
    assert len(faults(first)) == 3


def test_a_block_of_another_fork_has_another_hash_and_no_receipts() -> None:
    network = make(Weather(bend=1.0))
    true = network.chain.blocks[5].head
    other = run(network.block(BlockNumber(5)))
    assert other is not None
    assert (other.parent_hash, other.hash == true.hash) == (true.parent_hash, False)
    assert faults(network) == {"block of another fork": 1}
    with pytest.raises(ChainUnavailable):
        run(network.receipts(other))
