"""A world in virtual time: the real kit and the real journal, on a simulated chain, network and disk.

Everything that happens follows from one seed. A server that dies is started again on what it left behind, as a
supervisor would do it.
"""

import asyncio
import itertools
import os
import random
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from msgspec.structs import asdict

from gamekit.config import Config
from gamekit.core.game import Game
from gamekit.core.journal import Event
from gamekit.errors import ChainMismatch, GamekitError, StoreUnavailable
from gamekit.eth.calldata import Call
from gamekit.kit import GameKit
from gamekit.runtime.notify import ALL
from gamekit.store.sqlite import lock_journal
from gamekit.testing.audit import Findings, audit
from gamekit.testing.chain import BLOCK_S, GENESIS_AT, FakeChain
from gamekit.testing.crash import Crash, Points
from gamekit.testing.disk import Disk, DiskVfs
from gamekit.testing.ledger import Ledger
from gamekit.testing.life import Gone, Life
from gamekit.testing.loop import Stalled
from gamekit.testing.nature import STILL, Fate, Nature
from gamekit.testing.network import CALM, Sky, Weather
from gamekit.testing.players import Player
from gamekit.testing.scenery import ENTRY_POINT, MODULE, NO_STAMINA, OPENER, OWNER_VALIDATOR
from gamekit.testing.stops import unexcused
from gamekit.testing.witness import Witness
from gamekit.testing.workshop import Workshop, settings, workshop
from gamekit.units import Address, Cursor, PermissionId, Wei

T = TypeVar("T")

QUIET_S = 240
"""Virtual seconds after which a world that is left alone must be at rest."""


LIFE_S = 900
"""Virtual seconds that a world may live at most."""


class Unfinished(Exception):
    """A story was cut off: an invariant did not hold, or it went on for too long."""


class Simulation:
    """A world. Everything random in it comes from its seed."""

    def __init__(
        self,
        shop: Workshop,
        seed: str,
        *,
        config: Config | None = None,
        plant: Callable[[GameKit], None] | None = None,
        games: Sequence[Game] = (),
        chain: FakeChain | None = None,
    ) -> None:
        """Set up a world in which nothing happens yet.

        Args:
            shop: what worlds share.
            seed: where all chance comes from.
            config: the server's; short lives by default.
            plant: plants a bug into each kit.
            games: the server's; one small arena by default.
            chain: the simulated one, if it is to have more on it.
        """
        shop.seed(seed)
        self.seed = seed
        self.loop = shop.loop
        self.config = config or settings()
        self.games: Sequence[Game] = tuple(games) or shop.games
        self.keys, self.signer = shop.keys, shop.signer
        self.chance = random.Random(f"{seed}/life")
        self.chain = chain or FakeChain(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)
        self.chain.finality = 6
        self.chain.reverts = _some_revert
        self.ledger = Ledger()
        self.witness = Witness(self.chain, self.ledger, self.config.batch.deadline_s)
        self.witness.fees = self.config.fees
        self.points = Points()
        self.sky = Sky(random.Random(f"{seed}/network"))
        self.nature = STILL
        self.weather = CALM
        """What comes in gusts: with each block the sky may clear up, or not."""
        self.power_fails = 0.0
        self.skew_s = 0.0
        """How far the machine's clock is ahead of the chain's."""
        self.strikes: Callable[[], int | None] = lambda: None
        """After how many points the next process dies; None for never."""
        self.life: Life | None = None
        self.heard: list[Event] = []
        """What was told, in order."""
        self._folder = shop.new_folder()
        (self._folder / "0").mkdir()
        self.disk = Disk(self._folder / "0")
        self.vfs = f"gamekit-{self._folder.name}"
        self._registered = DiskVfs(self.vfs, self.disk)
        self._secrets = shop.secrets
        self._plant = plant
        self._fate = Fate(self.chain, self, random.Random(f"{seed}/nature"), self.sky.count)
        self._gusts = random.Random(f"{seed}/gusts")
        self._numbers = itertools.count(1)
        self._tasks: list[asyncio.Task[Any]] = []
        self._broken = asyncio.Event()
        self._began = self.loop.time()

    def plant(self, kit: GameKit) -> None:
        """Plant the bug, if there is one."""
        if self._plant is not None:
            self._plant(kit)

    def play(self, story: Coroutine[Any, Any, object]) -> None:
        """Live through a story, let the world come to rest, and check it: for tests.

        Raises: what the story raises; AssertionError naming the seed and what did not hold, be it only that the story
            has an end.
        """

        async def to_the_end() -> None:
            await story
            await self.rest()

        try:
            self.run(to_the_end())
        except (Unfinished, Stalled) as error:
            if not self.witness.breaks:
                raise AssertionError(f"seed {self.seed}: {error}") from error
        findings = self.audit()
        wrong = [f"{each.invariant}: {each.what}" for each in self.witness.breaks]
        wrong += [f"lost: {each}" for each in findings.lost]
        wrong += [f"duplicated: {each}" for each in findings.duplicated]
        wrong += [f"untrue: {each}" for each in findings.untrue]
        if wrong:
            raise AssertionError(f"seed {self.seed}: " + "; ".join(wrong))

    def lived(self, story: Coroutine[Any, Any, object]) -> "Simulation":
        """Live through a story and give the world; a story that cannot go on is a finding: for campaigns."""
        try:
            self.run(story)
        except (TimeoutError, Stalled, Unfinished) as error:
            if not self.witness.breaks:
                self.witness.fail("stuck", str(error))
        return self

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Start the server, live through a story, and put everything away.

        Raises: what the story raises; Unfinished when an invariant did not hold meanwhile, or after `LIFE_S`; Stalled
            when nothing goes on at all.
        """
        self.loop.set_exception_handler(self._on_exception)
        real, time.time = time.time, self.wall
        try:
            return self.loop.run(self._run(story))
        finally:
            time.time = real
            self._registered.unregister()
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _run(self, story: Coroutine[Any, Any, T]) -> T:
        self.chain.mine(3)
        self._tasks += [asyncio.ensure_future(self._serve()), asyncio.ensure_future(self._mine())]
        telling: asyncio.Task[T] = asyncio.ensure_future(story)
        try:
            over = asyncio.ensure_future(self._broken.wait())
            self._tasks.append(over)
            await asyncio.wait((telling, over), timeout=LIFE_S, return_when=asyncio.FIRST_COMPLETED)
            if not telling.done():
                raise Unfinished(f"the story was not over after {self.virtual_seconds:.0f} s")
            return telling.result()
        finally:
            self._tasks.append(telling)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self.life is not None:
                self.points.calm()
                self.life.die("the end", crashed=False)
                await self.life.bury()
            self._search_for_secrets()

    # What players use.

    async def ask(self, request: Callable[[GameKit], Awaitable[T]]) -> T:
        """Ask the server, from outside. Raises Gone when it is away, or goes away before it has answered."""
        life = self.life
        if life is None or life.dead or not life.serving:
            raise Gone("the server is not there")
        return await life.ask(_asked(request, life.kit))

    def encode(self, function: str, arguments: Sequence[object]) -> Call:
        """Write a call of the first game."""
        return self.games[0].encode(function, arguments, Wei(0))

    def new_number(self) -> int:
        """A number that no other action has."""
        return next(self._numbers)

    def now(self) -> int:
        """Chain time, unix seconds."""
        return self.chain.top.head.timestamp

    def player(self, name: str) -> Player:
        """Bring a player in."""
        return Player(self, name, random.Random(f"{self.seed}/{name}"))

    async def join(self, name: str) -> Player:
        """Bring a player in who has opened a session."""
        player = self.player(name)
        await player.open()
        return player

    # What a story does to the world.

    def rage(self, nature: Nature, weather: Weather = CALM, power_fails: float = 0.0) -> None:
        """Let faults come by chance from now on."""
        self.nature, self.weather, self.power_fails = nature, weather, power_fails
        self.sky.weather = weather

    def calm(self) -> None:
        """No more faults, no more deaths."""
        self.rage(STILL)
        self.strikes = lambda: None
        self.points.calm()
        self.disk.disarm()
        self._fate.calm()

    def crash(self) -> None:
        """Kill the server now; it is started again soon."""
        if self.life is not None:
            self.life.die("crash")

    async def blocks(self, count: int = 1) -> None:
        """Let so many blocks be mined and read."""
        until = self.chain.top.head.number + count
        while self.chain.top.head.number < until:
            await asyncio.sleep(BLOCK_S / 2)
        await asyncio.sleep(BLOCK_S / 2)

    async def serving(self) -> GameKit:
        """Wait until the server is there; give its kit."""
        while self.life is None or self.life.dead or not self.life.serving:
            await asyncio.sleep(0.1)
        return self.life.kit

    async def serving_or(self, done: Callable[[], bool]) -> None:
        """Wait until the server is there, or something else is so."""
        while (self.life is None or self.life.dead or not self.life.serving) and not done():
            await asyncio.sleep(0.1)

    async def rest(self) -> None:
        """Calm everything, and wait until every accepted action has its last event, or until it never will."""
        self.calm()
        until = self.loop.time() + QUIET_S
        while self.ledger.untold() and self.loop.time() < until and not self.witness.breaks:
            await asyncio.sleep(BLOCK_S)
        await self.serving()

    # What others may meddle with.

    def lanes(self) -> Sequence[tuple[Address, int]]:
        """Accounts with the nonce keys of their sessions."""
        return self.witness.lanes()

    def sessions(self) -> Sequence[PermissionId]:
        """Sessions that the chain knows."""
        return [PermissionId(key) for key, each in self.chain.top.world.sessions.items() if each.state == 1]

    def relayers(self) -> Sequence[Address]:
        """The relayers of play."""
        return list(self.keys.pool)

    def audit(self) -> Findings:
        """Join what players were told with what the chain executed."""
        entries = [asdict(entry) | {"told": [asdict(told) for told in entry.told]}
                   for entry in self.ledger.entries.values()]  # fmt: skip
        executed = [
            {"fingerprint": each.call.data.hex(), "user_op_hash": each.user_op_hash.hex(), "place": each.place,
             "reverted": each.reverted}
            for each in self.chain.executed
        ]  # fmt: skip
        return audit(entries, executed)

    def _search_for_secrets(self) -> None:
        """No key may stand in any file of the journal."""
        files = [path.read_bytes() for path in self.disk.folder.iterdir()]
        for secret in self._secrets:
            if len(secret) == 32 and any(secret in content for content in files):
                self.witness.fail("I12", "the journal holds the bytes of a key")

    def faults(self) -> dict[str, int]:
        """Every fault that came to pass, by kind."""
        return self.sky.faults | ({"disk": self.disk.faults} if self.disk.faults else {})

    def wall(self) -> float:
        """What the machine's own clock says, unix seconds: it may be far from chain time, and nothing may follow."""
        return GENESIS_AT + self.virtual_seconds + self.skew_s

    @property
    def virtual_seconds(self) -> float:
        """How long this world has lived."""
        return self.loop.time() - self._began

    # How it goes on by itself.

    async def _serve(self) -> None:
        """Start the server again and again, as a supervisor would."""
        while True:
            before, disk_faults = self.life, self.disk.faults
            try:
                life = Life(self)
            except Gone:
                await asyncio.sleep(1)
                continue
            except GamekitError as error:
                self._judge_stop("no start", error, disk_failed=self.disk.faults > disk_faults)
                await asyncio.sleep(1)
                continue
            self.life = life
            chain_faults = self.sky.total()
            if before is not None:
                await life.inherit(before)
            count = self.strikes()
            if count is not None:
                self.points.after(count)
            try:
                await life.ask(life.kit.start())
                await life.ask(self._listen(life))
                life.serving = True
            except Gone:
                pass
            except ChainMismatch as error:  # It is the same chain, and nothing final was ever taken back.
                self.witness.fail("start", str(error))
                life.die(f"start: {error}", crashed=False)
            except GamekitError as error:
                failed = {"disk_failed": self.disk.faults > disk_faults, "chain_failed": self._may_fail(chain_faults)}
                self._judge_stop("start", error, **failed)
                life.die(f"start: {error}", crashed=False)
            except (asyncio.CancelledError, Crash):
                raise
            except Exception as error:  # noqa: BLE001 - whatever stops a start is a finding of its own
                self.witness.fail("start", f"{type(error).__name__}: {error}")
                life.die(f"start: {error!r}", crashed=False)
            await life.died
            life.serving = False
            await life.bury()
            await asyncio.sleep(self.chance.uniform(0.05, 1.5))

    def _may_fail(self, faults_before: int) -> bool:
        """Whether the network is bad, or something happened to the chain since there were so many faults."""
        return self.sky.weather is not CALM or self.sky.total() > faults_before

    def _judge_stop(self, when: str, error: BaseException, *, disk_failed: bool, chain_failed: bool = False) -> None:
        """Write down an end of the server that no fault explains."""
        why = unexcused(error, disk_failed=disk_failed, chain_failed=chain_failed)
        if why:
            self.witness.fail("stopped", f"{when}: {why}")

    async def _listen(self, life: Life) -> None:
        """Read on after the last event that was heard, then listen."""
        while page := await life.kit.events_since(Cursor(self.heard[-1].cursor if self.heard else 0)):
            self.witness.on_durable(page)  # It was read from the disk.
            self._hear(life, page)
        life.kit.subscribe(ALL, lambda events: self._hear(life, events))

    def _hear(self, life: Life, events: Sequence[Event]) -> None:
        life.reach("before tell")
        last = self.heard[-1].cursor if self.heard else 0
        news = [event for event in events if event.cursor > last]
        if news and news[0].cursor != last + 1:
            self.witness.fail("I7", f"event {news[0].cursor} was told after {last}")
        self.heard += news
        self.witness.on_told(news)
        life.reach("after tell")

    async def _mine(self) -> None:
        while True:
            await asyncio.sleep(BLOCK_S)
            if self.weather is not CALM:
                self.sky.weather = CALM if self._gusts.random() < 0.5 else self.weather
            self._fate.block(self.nature)
            self.witness.on_block()
            if self.witness.breaks:
                self._broken.set()
            if self.life is not None and self.life.serving and not self.life.dead:
                self._check_bounds(self.life)
                self._check_alone()

    def _check_alone(self) -> None:
        """I6: while a process has the journal, nobody else can take it."""
        try:
            lock = lock_journal(self.disk.folder / "journal.sqlite")
        except StoreUnavailable:
            return
        os.close(lock)
        self.witness.fail("I6", "a second process can take the journal of a server that runs")

    def _check_bounds(self, life: Life) -> None:
        """I10: nothing in the server grows without a bound."""
        state, lanes = life.kit.state, self.config.lanes
        for lane in state.lanes.values():
            # What was in a slot before came back: it was counted when it came in.
            back = sum((lane.session.permission_id, action.id) in self.witness.was_planned for action in lane.ready)
            if lane.depth - back > lanes.depth_max:
                self.witness.fail("I10", f"{lane.depth - back} actions wait on a lane that takes {lanes.depth_max}")
        if state.accepted > lanes.accepted_max:
            self.witness.fail("I10", f"{state.accepted} actions wait")
        if state.accepted != sum(len(lane.ready) for lane in state.lanes.values()):
            self.witness.fail("I10", "the count of actions that wait is not that of the lanes")
        if len(life.tasks) > 1000:
            self.witness.fail("I10", f"{len(life.tasks)} tasks")

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG002
        error = context.get("exception")
        if not isinstance(error, Crash | Gone | BaseExceptionGroup) and (self.life is None or not self.life.dead):
            self.witness.fail("unhandled", f"{context.get('message')}: {error!r}")


__all__ = ["LIFE_S", "QUIET_S", "Simulation", "Unfinished", "Workshop", "settings", "workshop"]


async def _asked(request: Callable[[GameKit], Awaitable[T]], kit: GameKit) -> T:
    return await request(kit)


def _some_revert(call: Call) -> bytes | None:
    """Every seventh attack finds its attacker tired."""
    return NO_STAMINA.encode(9, 1) if int.from_bytes(call.data[4:36], "big") % 7 == 0 else None
