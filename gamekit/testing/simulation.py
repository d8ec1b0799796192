"""A world in virtual time: the real kit and the real journal, on a simulated chain, network and disk.

Everything that happens follows from one seed. A server that dies is started again on what it left behind, as a
supervisor would do it.
"""

import asyncio
import itertools
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import asdict

from gamekit.config import BatchConfig, Config, RelayConfig
from gamekit.core.game import Game
from gamekit.core.journal import Event
from gamekit.errors import ChainMismatch, GamekitError
from gamekit.eth.calldata import Call
from gamekit.keys.signer import LocalSigner
from gamekit.kit import GameKit
from gamekit.runtime.notify import ALL
from gamekit.store import writer
from gamekit.testing.audit import Findings, audit
from gamekit.testing.chain import BLOCK_S, FakeChain
from gamekit.testing.crash import Crash, Points
from gamekit.testing.disk import Disk, DiskVfs
from gamekit.testing.ledger import Ledger
from gamekit.testing.life import Gone, Life, owned
from gamekit.testing.loop import Stalled, VirtualLoop
from gamekit.testing.nature import STILL, Nature
from gamekit.testing.network import CALM, Sky, Weather
from gamekit.testing.players import Player
from gamekit.testing.scenery import (
    ENTRY_POINT,
    MODULE,
    NO_STAMINA,
    OPENER,
    OWNER_VALIDATOR,
    Keys,
    arena,
    chain_config,
    config,
)
from gamekit.testing.witness import Witness
from gamekit.units import Cursor, Wei

T = TypeVar("T")

LOG_PAGES_MAX = 100
"""Pages in the journal's log after which it is copied: few, so that short lives see it happen."""

QUIET_S = 240
"""Virtual seconds after which a world that is left alone must be at rest."""


LIFE_S = 900
"""Virtual seconds that a world may live at most."""


class Unfinished(Exception):
    """A story was cut off: an invariant did not hold, or it went on for too long."""


def settings(**sections: Any) -> Config:  # noqa: ANN401
    """A configuration for short lives: quick deadlines, a head that is read three times a second."""
    plain = {
        "chain": chain_config(poll_ms=300, included_depth=1),
        "batch": BatchConfig(calls_max=4, deadline_s=24, resign_below_s=8),
        "relay": RelayConfig(replace_after_blocks=2),
    }
    return config(**plain | sections)


class Workshop:
    """What worlds share to be quick: a loop, a folder, keys. One at a time uses it."""

    def __init__(self) -> None:
        shared = Path("/dev/shm")  # noqa: S108 - not a temporary file's name: the memory disk, if there is one
        self.folder = Path(tempfile.mkdtemp(prefix="gamekit-", dir=shared if shared.is_dir() else None))
        self.loop = VirtualLoop()
        self.loop.set_task_factory(owned)
        self.secrets: list[bytes] = []
        """Every key and nonce that was made for the present world."""
        self._chance = random.Random(0)
        self.keys = Keys.make(self.folder, relayers=2, fill=self._fill)
        self.signer = LocalSigner(self.keys.keystore)
        self.games: tuple[Game, ...] = (arena(),)
        self._count = itertools.count()
        self._log_pages, writer.WAL_PAGES_MAX = writer.WAL_PAGES_MAX, LOG_PAGES_MAX  # type: ignore[misc]

    def _fill(self, buffer: bytearray) -> None:
        buffer[:] = self._chance.randbytes(len(buffer))
        self.secrets.append(bytes(buffer))

    def seed(self, seed: str) -> None:
        """Begin a new world."""
        self._chance = random.Random(f"{seed}/keys")
        self.secrets.clear()

    def new_folder(self) -> Path:
        """An empty folder for one world's disk."""
        folder = self.folder / f"world{next(self._count)}"
        folder.mkdir()
        return folder

    def close(self) -> None:
        """Remove everything."""
        self.loop.close()
        writer.WAL_PAGES_MAX = self._log_pages  # type: ignore[misc]
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Lend a workshop."""
    shop = Workshop()
    try:
        yield shop
    finally:
        shop.close()


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
    ) -> None:
        """Set up a world in which nothing happens yet.

        Args:
            shop: what worlds share.
            seed: where all chance comes from.
            config: the server's; short lives by default.
            plant: plants a bug into each kit.
            games: the server's; one small arena by default.
        """
        shop.seed(seed)
        self.seed = seed
        self.loop = shop.loop
        self.config = config or settings()
        self.games: Sequence[Game] = tuple(games) or shop.games
        self.keys, self.signer = shop.keys, shop.signer
        self.chance = random.Random(f"{seed}/life")
        self.chain = FakeChain(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)
        self.chain.finality = 6
        self.chain.reverts = _some_revert
        self.ledger = Ledger()
        self.witness = Witness(self.chain, self.ledger, self.config.batch.deadline_s)
        self.points = Points()
        self.sky = Sky(random.Random(f"{seed}/network"))
        self.nature = STILL
        self.weather = CALM
        """What comes in gusts: with each block the sky may clear up, or not."""
        self.power_fails = 0.0
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
        self._nature_chance = random.Random(f"{seed}/nature")
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

        Raises: what the story raises; AssertionError naming what did not hold.
        """

        async def to_the_end() -> None:
            await story
            await self.rest()

        with suppress(Unfinished):
            self.run(to_the_end())
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
        try:
            return self.loop.run(self._run(story))
        finally:
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
        self.chain.base_fee = Wei(10**9)

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

    @property
    def virtual_seconds(self) -> float:
        """How long this world has lived."""
        return self.loop.time() - self._began

    # How it goes on by itself.

    async def _serve(self) -> None:
        """Start the server again and again, as a supervisor would."""
        while True:
            before = self.life
            try:
                life = Life(self)
            except GamekitError:
                await asyncio.sleep(1)
                continue
            self.life = life
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
            self._block(self.nature, self._nature_chance)
            self.witness.on_block()
            if self.witness.breaks:
                self._broken.set()
            if self.life is not None and self.life.serving and not self.life.dead:
                self._check_bounds(self.life)

    def _block(self, nature: Nature, dice: random.Random) -> None:
        chain, faults = self.chain, self.sky.count
        chain.base_fee = Wei(10**9)
        if self.weather is not CALM:
            self.sky.weather = CALM if dice.random() < 0.5 else self.weather
        if nature is STILL:
            chain.mine()
            return
        if dice.random() < nature.reorg:
            depth = dice.randint(1, min(nature.reorg_depth_max, chain.top.head.number))
            sideways = dice.random() < nature.sideways
            faults("reorg sideways" if sideways else "reorg")
            chain.reorg(
                depth, forget=dice.random() < nature.forget, sideways=sideways, length=depth + dice.randint(0, 1)
            )
            return
        if dice.random() < nature.front_run and chain.operations():
            faults("front run")
            operations, ours = chain.operations(), chain.pending
            chain.pending = []
            chain.run(operations)
            chain.pending += ours
        if dice.random() < nature.fee_spike:
            faults("fee spike")
            chain.base_fee = Wei(10**9 * dice.randint(2, 20))
        empty, late = dice.random() < nature.skip, dice.random() < nature.late
        if empty:
            faults("empty block")
        if late:
            faults("late block")
        chain.mine(empty=empty, seconds=dice.choice([30, 60]) if late else BLOCK_S)
        if dice.random() < nature.drop and chain.pending:
            faults("pool dropped")
            chain.drop()

    def _check_bounds(self, life: Life) -> None:
        """I10: nothing in the server grows without a bound."""
        state, lanes = life.kit.state, self.config.lanes
        deepest = max((lane.depth for lane in state.lanes.values()), default=0)
        if deepest > lanes.depth_max or state.accepted > lanes.accepted_max:
            self.witness.fail("I10", f"a lane is {deepest} deep, and {state.accepted} actions wait")
        if state.accepted != sum(len(lane.ready) for lane in state.lanes.values()):
            self.witness.fail("I10", "the count of actions that wait is not that of the lanes")
        if len(life.tasks) > 1000:
            self.witness.fail("I10", f"{len(life.tasks)} tasks")

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG002
        error = context.get("exception")
        if not isinstance(error, Crash | Gone | BaseExceptionGroup) and (self.life is None or not self.life.dead):
            self.witness.fail("unhandled", f"{context.get('message')}: {error!r}")


async def _asked(request: Callable[[GameKit], Awaitable[T]], kit: GameKit) -> T:
    return await request(kit)


def _some_revert(call: Call) -> bytes | None:
    """Every seventh attack finds its attacker tired."""
    return NO_STAMINA.encode(9, 1) if int.from_bytes(call.data[4:36], "big") % 7 == 0 else None
