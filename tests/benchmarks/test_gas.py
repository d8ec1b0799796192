"""The gas benchmark itself: the same figures again, limits that are limits, and an exit code that says so."""

import sys
from functools import partial

import pytest

from benchmarks import gas
from benchmarks.gas_accounts import ALL_ON, EVERY_CHECK, Owner, Session, SimpleAccount
from benchmarks.gas_chain import Chain, compile_benchmark_contracts
from benchmarks.gas_limits import STEPS, Broken, require_limits
from benchmarks.gas_peers import MERGED, SEPARATE, SUDO, SmartSession, literal_fastlz
from benchmarks.gas_verdicts import Row
from gamekit.core.setup import StackSetup, chain_setup
from gamekit.eth.entry_point_version import EntryPointVersion

pytestmark = pytest.mark.slow


def stack(chain: Chain, name: str = "nexus") -> StackSetup:
    return chain_setup(chain.contracts.chain_config(chain.node.url)).stack(name)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_benchmark_contracts()


async def measured() -> list[tuple[Row, bytes]]:
    """One of each kind that needs no other package, on a chain of its own."""
    found = []
    async with Chain.start() as chain:
        for contestant in (
            SimpleAccount(EntryPointVersion.V08),
            Owner(stack(chain)),
            Session(stack(chain), ALL_ON, "session, every check", EVERY_CHECK),
            SmartSession(stack(chain), MERGED, arguments=True),
        ):
            found += [each async for each in gas.measure(chain, contestant, (1, 3), (1, 2))]
    return found


async def test_measure_success_twice_the_same() -> None:
    """To the byte: calldata, so every signature too, and gas."""
    first, second = await measured(), await measured()
    assert len(first) == 4 * 2 * 2
    assert first == second
    assert all(row.validation_gas > 5_000 * row.operations for row, _ in first)


async def test_measure_success_order_does_not_count() -> None:
    """Each bundle starts from the same state, so it costs the same whatever was measured before it."""
    async with Chain.start() as chain:
        session = Session(stack(chain))
        forth = [row async for row, _ in gas.measure(chain, session, (1, 5), (1,))]
    async with Chain.start() as chain:
        session = Session(stack(chain))
        back = [row async for row, _ in gas.measure(chain, session, (5, 1), (1,))]
    assert forth == back[::-1]


async def test_measure_refuses_calls_that_were_not_executed() -> None:
    async with Chain.start() as chain:
        session = Session(stack(chain))
        await session.open(chain, 1)
        session.bend = lambda call: call._replace(data=call.data[:-1] + b"\xff")  # beyond the game's stamina
        session.open = nothing  # type: ignore[method-assign]
        with pytest.raises(SystemExit, match="executed"):
            await anext(gas.measure(chain, session, (1,), (1,)))


async def nothing(chain: Chain, players: int) -> None:
    """Is open already."""


def test_limits_success_every_name_has_a_step() -> None:
    assert set(EVERY_CHECK) <= STEPS.keys()


async def test_limits_success_ours_and_theirs() -> None:
    async with Chain.start() as chain:
        where = stack(chain)
        ours = partial(Session, where, ALL_ON, "session, every check", EVERY_CHECK)
        assert await require_limits(chain, ours) == len(EVERY_CHECK) + 2
        assert await require_limits(chain, partial(SmartSession, where, SEPARATE, arguments=True)) == 11
        assert await require_limits(chain, partial(SmartSession, where, MERGED, arguments=True)) == 11


class Boastful(SmartSession):
    """Lists a limit that it has not."""

    def __init__(self, where: StackSetup, limit: str) -> None:
        super().__init__(where, SUDO)
        self.limits = (limit,)


@pytest.mark.parametrize("limit", ["time", "uses", "gas budget", "nonce key", "paymaster", "2 argument rules"])
async def test_limits_finds_one_that_is_none(limit: str) -> None:
    async with Chain.start() as chain:
        with pytest.raises(Broken, match=f"{limit}: not refused"):
            await require_limits(chain, partial(Boastful, stack(chain), limit))


async def test_limits_finds_a_twin_that_is_refused() -> None:
    async with Chain.start() as chain:

        def tight() -> Session:
            """The warm-up uses up what the twin would need."""
            session = Session(stack(chain), ALL_ON, "session", ("uses",))
            session.sum_max = 5
            return session

        with pytest.raises(Broken, match="the honest twin was refused"):
            await require_limits(chain, tight)


def test_literal_fastlz_success_runs_of_32() -> None:
    """A run's first byte is its length less 1; below 32 it means that the bytes follow as they are."""
    data = bytes(range(70))
    assert literal_fastlz(data) == b"\x1f" + data[:32] + b"\x1f" + data[32:64] + b"\x05" + data[64:]


@pytest.mark.parametrize(("holds", "code"), [(True, None), (False, 1)])
def test_main_success_and_failure_by_the_verdicts(
    monkeypatch: pytest.MonkeyPatch, holds: bool, code: int | None
) -> None:
    async def run() -> dict[str, object]:
        verdict = {"name": "bound", "found": 1, "limit": 2, "holds": holds}
        return {"rows": [], "checks": [], "lists": [], "calldata": [], "verdicts": [verdict]}

    written: list[str] = []
    monkeypatch.setattr(gas, "run", run)
    monkeypatch.setattr("benchmarks.peers.install", lambda: None)
    monkeypatch.setattr(gas, "write_report", lambda name, *_, **__: written.append(name))
    monkeypatch.setattr(sys, "argv", ["gas"])
    if code is None:
        gas.main()
    else:
        with pytest.raises(SystemExit) as ended:
            gas.main()
        assert ended.value.code == code
    assert written == ["gas"]
