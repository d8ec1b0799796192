"""Faults that concern the whole runtime at once; `tests/faults.toml` says which of F1 to F56 each is."""

import ast
import asyncio
from pathlib import Path
from typing import Any

import pytest

from gamekit.config import FeeConfig, LaneConfig
from gamekit.core.event import ALARM
from gamekit.core.relay import RelayTransaction
from gamekit.errors import CallReverted, GamekitError, Overloaded, ScopeDenied, StoreUnavailable
from gamekit.eth.entry_point import FAILED_OP
from gamekit.eth.session_validator_abi import SESSION_OF
from gamekit.runtime.intake import Accepted
from gamekit.testing.scenery import Keys, chain_config, config
from gamekit.units import Address, PlayerId, Wei
from tests.runtime.world import ALICE, World, attack, released, reverting, targets

ROOT = Path(__file__).parents[2]


class TestHalted:
    """F28: the chain stands still."""

    async def test_nothing_is_signed_and_what_is_accepted_is_bounded_until_there_is_a_block(self, keys: Keys) -> None:
        world = World(keys, config(lanes=LaneConfig(depth_max=3)))
        await world.start()
        session = await world.open()
        world.clock.now += 61
        world.kit._settle.watch_head()
        await world.accepted(session, "a", "b", "c")
        (full,) = await world.act(session, "d")
        assert isinstance(full, Overloaded)
        for _ in range(3):
            await world.sign()
        assert world.signed == []
        assert "no new block" in world.kit.fault() or "not running" in world.kit.fault()
        await world.quiet()
        assert world.ran() == targets("a", "b", "c")
        await world.check()

    async def test_planted_without_the_watch_deadlines_burn(self, world: World) -> None:
        session = await world.open()
        world.clock.now += 61
        await world.accepted(session, "a")
        await world.sign()
        assert len(world.signed) == 1


class TestTime:
    """F30: no clock but the chain's decides, and the monotonic one bounds waiting."""

    @pytest.mark.parametrize("skew", [-10_000, 10_000])
    async def test_the_machines_clock_changes_nothing(self, world: World, skew: int) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        world.clock.now += skew
        await world.quiet()
        assert await world.told("a") == ["settled", "final"]

    def test_nothing_that_decides_reads_the_wall_clock(self) -> None:
        assert list(wall_clocks(ROOT / "gamekit", ("core", "eth", "accounts", "runtime", "chain", "store"))) == []

    def test_planted_reading_it_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "core").mkdir()
        (tmp_path / "core" / "bad.py").write_text("import time\n\nnow = time.time()\n")
        assert list(wall_clocks(tmp_path, ("core",))) == ["core/bad.py:3 time.time"]

    async def test_a_jump_of_the_chains_own_time(self, world: World) -> None:
        session = await world.open()
        await world.accepted(session, "a")
        await world.sign()
        world.chain.mine(seconds=300)
        await world.step()
        await world.accepted(session, "b")
        await world.quiet()
        assert world.ran() == targets("a", "b")
        await world.check()


def wall_clocks(root: Path, folders: tuple[str, ...]) -> Any:
    """Every use of the wall clock below these folders."""
    names = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"}
    for path in sorted(file for folder in folders for file in (root / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in names:
                yield f"{path.relative_to(root)}:{node.lineno} {ast.unparse(node)}"


class TestBudget:
    """I8, at the edge: however many ask at once, what is accepted never passes a cap."""

    async def test_a_thousand_race_for_the_last_uses(self, world: World) -> None:
        session = await world.open()
        await world.block()
        asked = [world.kit.accept(session, [attack(f"k{number}")]) for number in range(1000)]
        answers = [answer for answers in await asyncio.gather(*asked) for answer in answers]
        accepted = [each for each in answers if isinstance(each, Accepted)]
        refused = [each for each in answers if isinstance(each, GamekitError)]
        assert len(accepted) == world.config.lanes.depth_max
        assert all(isinstance(each, Overloaded | ScopeDenied) for each in refused)
        await world.quiet(200)
        while len(accepted) < 400:
            more = [world.kit.accept(session, [attack(f"m{len(accepted)}.{number}")]) for number in range(300)]
            answers = [answer for answers in await asyncio.gather(*more) for answer in answers]
            fresh = [each for each in answers if isinstance(each, Accepted)]
            accepted += fresh
            await world.quiet(200)
            if not fresh:
                break
        assert len(accepted) == 400
        assert len(world.ran()) == 400
        (last,) = await world.act(session, "beyond")
        assert isinstance(last, ScopeDenied)
        assert last.compared["policy"] == "UsageLimitPolicy"
        await world.check()

    async def test_what_the_disk_refuses_is_released(self, world: World) -> None:
        session = await world.open()
        lane_free = None
        commit: Any = world.store.commit
        for number in range(3):
            if number == 1:
                world.store.commit = self._refusing  # type: ignore[method-assign]
            await asyncio.gather(*[world.kit.accept(session, [attack(f"{number}.{place}")]) for place in range(50)])
            world.store.commit = commit  # type: ignore[method-assign]
            lane_free = world.lane(session).uses_left()
        assert lane_free == 300
        assert world.kit.state.accepting == 0

    def _refusing(self, rows: Any) -> Any:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(StoreUnavailable("disk full"))
        return future


async def test_an_account_that_cannot_pay_holds_its_own_lane_only(world: World) -> None:
    """F46: it is told once to an operator, asked about again now and then, and goes on when it can pay."""
    poor = await world.open()
    rich = await world.open(PlayerId("bob"), Address(b"\x0c" * 20))
    account = world.kit.session_row(poor).account
    broke, real = [True], world.chain.call

    async def call(to: Address, data: bytes, **how: Any) -> bytes:
        senders = [op.sender for op in world.chain.read_bundle(data)]
        if broke[0] and account in senders:
            raise CallReverted("reverted", FAILED_OP.encode(senders.index(account), "AA21 didn't pay prefund"))
        return await real(to, data, **how)

    world.chain.call = call  # type: ignore[method-assign]
    await world.accepted(poor, "a")
    await world.accepted(rich, "b")
    await world.turn(12)
    assert await world.states() == {"a": "accepted", "b": "ok"}
    assert len(await world.events(ALARM)) == 1
    broke[0] = False
    await world.quiet()
    await world.check()
    assert (await world.action("a")).state == "ok"


async def test_the_chain_changes_between_the_look_and_the_block(world: World) -> None:
    """F52: an action that would have succeeded reverts; it is told so, the others of its batch stand."""
    session = await world.open()
    await world.accepted(session, "a", "b")
    await world.sign()
    await world.send()
    world.chain.reverts = reverting("a")
    await world.quiet()
    assert [(await world.action(key)).state for key in ("a", "b")] == ["reverted", "ok"]
    await world.check()


async def test_a_listener_that_fails_misses_nothing_and_stops_nobody(world: World) -> None:
    """F53: what it did not take is in the journal, by cursor, as often as it asks."""
    session = await world.open()
    heard: list[int] = []

    def deaf(_events: Any) -> None:
        raise ZeroDivisionError

    world.kit.subscribe(ALICE, deaf)
    world.kit.subscribe(ALICE, lambda events: heard.extend(event.cursor for event in events))
    await world.accepted(session, "a")
    await world.quiet()
    missed = [event.cursor for event in await world.kit.events_since(heard[0] - 1, player=ALICE)]  # type: ignore[arg-type]
    assert missed == heard
    assert len(missed) == 2


async def test_a_bundle_over_the_chains_cap_is_split(tmp_path_factory: pytest.TempPathFactory) -> None:
    """F56: each transaction stays below it."""
    cap = 1_500_000
    keys = Keys.make(tmp_path_factory.mktemp("cap"), 4)
    world = World(keys, config(chain=chain_config(transaction_gas_max=cap)))
    await world.start()
    for number in range(6):
        session = await world.open(PlayerId(f"p{number}"), Address(bytes([20 + number]) * 20))
        await world.accepted(session, f"k{number}")
    await world.quiet()
    bundles = [row for row in await world.store.select(RelayTransaction) if row.kind == "handle_ops"]
    assert len(bundles) > 1
    assert max(row.gas_limit for row in bundles) <= cap
    await world.check()


async def test_a_spike_of_gas_queues_and_does_not_fail(keys: Keys) -> None:
    """F41: above the cap nothing is signed, nothing is lost, and it goes on below."""
    world = World(keys, config(fees=FeeConfig(max_fee_per_gas_max_wei=10 * 10**9)))
    await world.start()
    session = await world.open()
    world.chain.base_fee = Wei(50 * 10**9)
    await world.block()
    await world.accepted(session, "a")
    await world.turn(5)
    assert world.signed == []
    assert await world.states() == {"a": "accepted"}
    world.chain.base_fee = Wei(10**9)
    await world.quiet()
    await world.check()


@pytest.mark.parametrize("answer", [None, b"", b"\xff" * 7 * 32], ids=["none", "empty", "garbage"])
async def test_a_doubt_without_an_answer_holds_up_no_end_and_is_asked_again(world: World, answer: bytes | None) -> None:
    doubted, second = await world.open(), await world.open()
    world.refuse(released)
    await world.kit.revoke(second)
    call = world.chain.call
    world.bend(SESSION_OF, answer)
    world.kit.state.doubted.add(doubted)
    await world.block(2)
    assert (world.kit.session_row(second).state, world.kit.state.doubted) == ("revoked", {doubted})
    world.chain.call = call  # type: ignore[method-assign]
    await world.block()
    assert (world.kit.session_row(doubted).state, world.kit.state.doubted) == ("open", set())


async def test_the_player_is_warned_before_the_session_ends(world: World) -> None:
    """F43: in time, once; and what waits at the end is told."""
    session = await world.open()
    ends = world.kit.session_row(session).valid_until
    await world.block(seconds=ends - world.chain.top.head.timestamp - 100)
    await world.block(3)
    assert [event.kind for event in await world.events("session_expiring")] == ["session_expiring"]
    await world.kit.pause("game:arena", "waiting", "olga")
    world.kit.state.pauses = type(world.kit.state.pauses)()
    world.chain.base_fee = Wei(10**15)
    await world.block()
    await world.accepted(session, "a")
    await world.sign()
    world.chain.base_fee = Wei(10**9)
    await world.block(2, seconds=200)
    assert await world.told("a") == ["refused"]
    assert (await world.action("a")).reason == "session_expired"


AWAITED: dict[str, str] = {
    "self._wake.wait()": "a loop that has nothing to do; whoever gives it work wakes it",
    "changed.wait()": "a stream of events, or a wait inside the caller's own timeout",
    "waiter": "inside the caller's own timeout",
    "lock.acquire()": "inside `timeout_at`",
    "before": "the frame before it of the same session, which has a deadline itself",
    "answers": "a commit",
    "freed": "a commit",
    "asyncio.shield(written)": "a commit",
    "self._empty.wait()": "inside `asyncio.timeout`",
    "self._room": "inside `asyncio.timeout`",
    "asyncio.wrap_future(self._executor.submit(self._writer.close))": "inside `asyncio.timeout`",
    "stop.wait()": "a server serves until it is told to stop",
}
"""Waits that no adapter bounds, and why they may be."""


def unbounded(root: Path) -> list[str]:
    """Waits on something that is neither a port of ours, nor a coroutine of ours, nor in the table."""
    found = []
    package = root / "gamekit"
    folders = ("runtime", "gateway", "store", "chain", "keys")
    for path in [*sorted(path for name in folders for path in (package / name).glob("*.py")), package / "kit.py"]:
        awaits = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Await)]
        found += [
            f"{path.name}:{each.lineno} {ast.unparse(each.value)}" for each in awaits if not is_bounded(each.value)
        ]
    return found


def is_bounded(value: ast.expr) -> bool:
    """Whether adapters bound it (each request and each commit has its deadline), or a coroutine of ours does."""
    text = ast.unparse(value)
    if text in AWAITED:
        return True
    if not isinstance(value, ast.Call):
        return False
    called = ast.unparse(value.func)
    if called.endswith(".wait") and called != "asyncio.wait":
        return False
    if called == "asyncio.wait":
        return any(keyword.arg == "timeout" for keyword in value.keywords)
    return called in ("asyncio.sleep", "asyncio.gather", "asyncio.shield") or not called.startswith("asyncio.")


def test_every_wait_has_a_bound() -> None:
    """F10 and F51: a node that never answers, a disk or a listener must not hold a task for ever."""
    assert unbounded(ROOT) == []


def test_planted_waits_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "gamekit" / "runtime"
    folder.mkdir(parents=True)
    (tmp_path / "gamekit" / "kit.py").write_text("")
    (folder / "bad.py").write_text("async def f(event, future, task):\n    await event.wait()\n    await future\n"
                                   "    await asyncio.wait({task})\n")  # fmt: skip
    assert [each.split()[1] for each in unbounded(tmp_path)] == ["event.wait()", "future", "asyncio.wait({task})"]
