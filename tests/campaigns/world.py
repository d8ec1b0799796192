"""What every campaign stands on: a chain, a proxy in front of it, the real server, and players, each its own process.

The chain, the players and the launcher live on; the server is killed and started again on the same journal.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import tomllib
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import apsw

from gamekit.demo import audit
from gamekit.demo.stage import BASE_FEE_WEI, Stage, set_stage, to_toml
from gamekit.devnet import Anvil, AnvilSettings
from gamekit.eth.hashing import to_hex
from tests.campaigns.proxy import Proxy
from tests.campaigns.rules import Dice

ROOT: Final = Path(__file__).parents[2]
RELAYERS: Final = 4
BLOCK_S: Final = 1.0
START_S_MAX: Final = 30.0
END_S_MAX: Final = 20.0
PLAY_S_MAX: Final = 3600.0
DRAIN_S_MAX: Final = 240.0
"""Longest wait for the last outcome: past the deadline of an operation and finality."""
REQUEST_TIMEOUT_MS: Final = 2_000
REPLY_BYTES_MAX: Final = 4 * 1024 * 1024


class Broken(Exception):
    """What a campaign stands on gave way: no verdict."""


class World:
    """Use as an async context manager; every process that it started ends with it."""

    def __init__(self, players: int, seed: int, *, plant: str = "", lags: Sequence[int] = (0,)) -> None:
        self.players = players
        self.plant = plant
        self.seed = seed
        self.folder = Path(tempfile.mkdtemp(prefix="gamekit-campaign-"))
        self._lags = lags
        self._anvil: Anvil | None = None
        self._launcher: Process | None = None
        self._pid = 0
        self._ends: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._listening: asyncio.Task[None] | None = None
        self._clock: asyncio.Task[None] | None = None
        self.proxy: Proxy
        self.stage: Stage
        self.starts = 0
        self.failed_starts = 0
        """Starts that ended by themselves before players were taken: the node would not answer."""
        self.statuses: Counter[int] = Counter()
        """How servers ended that nobody killed."""

    async def __aenter__(self) -> Self:
        settings = AnvilSettings(block_time_s=BLOCK_S, base_fee_wei=BASE_FEE_WEI)
        self._anvil = await asyncio.to_thread(Anvil.start, self.folder / "chain", settings)
        names = [f"player-{place}" for place in range(self.players)]
        self.stage = await set_stage(self.folder, self._anvil.url, names)
        self.proxy = await Proxy(self._anvil.url, Dice((), self.seed), lags=self._lags).__aenter__()
        # From here on the blocks come by our clock: anvil must not mine within a reorganisation.
        await self.proxy.ask("evm_setIntervalMining", 0)
        self._clock = asyncio.create_task(self._tick())
        self._configure()
        await self._launch()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._launcher is not None and self._launcher.stdin is not None:
            self._launcher.stdin.close()
            await self._launcher.wait()
        for task in (self._listening, self._clock):
            if task is not None:
                task.cancel()
        await self.proxy.__aexit__()
        if self._anvil is not None:
            self._anvil.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _tick(self) -> None:
        """Mine a block every second."""
        while True:
            await asyncio.sleep(BLOCK_S)
            with suppress(aiohttp.ClientError, ValueError):  # The node errs: it is asked again.
                await self.proxy.mine()

    @property
    def url(self) -> str:
        """The node itself, that the auditor and the players' faucet ask."""
        return self.stage.url

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._pid

    def _configure(self) -> None:
        """Point the server at the proxy, with bounds that a run of minutes meets."""
        tree = tomllib.loads(self.stage.config.read_text())
        tree["chain"] |= {
            "rpc_url": self.proxy.url,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "reply_bytes_max": REPLY_BYTES_MAX,
        }
        tree["batch"] |= {"deadline_s": 45, "resign_below_s": 15}
        tree["sessions"] |= {"sessions_open_max": 64, "opens_per_day_max": 256, "proposals_max": 64}
        # Poll a little slower than the demo: most of what is asked is the head, and each question is struck by chance.
        tree["chain"]["poll_ms"] = 100
        self.stage.config.write_text(to_toml(tree))
        keys = self.folder / "relayers.keys"
        keys.write_text("".join(keys.read_text().splitlines(keepends=True)[:RELAYERS]))

    # The server.

    async def _launch(self) -> None:
        plant = ("--plant", self.plant) if self.plant else ()
        command = (
            *("-m", "tests.campaigns.launcher", "--log", str(self.folder / "server.log"), *plant),
            *("serve", "--config", str(self.stage.config), "--tokens", str(self.folder / "tokens.json")),
        )
        self._launcher = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=PIPE, stdout=PIPE, cwd=ROOT
        )
        self._listening = asyncio.create_task(self._listen(self._launcher))

    async def _listen(self, launcher: Process) -> None:
        if launcher.stdout is None:
            return
        async for line in launcher.stdout:
            words = line.decode().split()
            if words[0] == "ended":
                self._ends.put_nowait((int(words[1]), int(words[2])))
            else:
                self._started.put_nowait(int(words[0]))

    async def spawn(self) -> None:
        """Start a server; it does not take players yet."""
        if self._launcher is None or self._launcher.stdin is None:
            raise Broken("no launcher")
        self._launcher.stdin.write(b"start\n")
        async with asyncio.timeout(START_S_MAX):
            self._pid = await self._started.get()
        self.starts += 1

    async def kill(self) -> bool:
        """End the server as a power cut would; whether it still ran."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        return await self._ended() == -signal.SIGKILL

    async def stop(self) -> int:
        """End the server in order, if it runs; gives its exit status."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        return await self._ended()

    async def _ended(self) -> int:
        async with asyncio.timeout(END_S_MAX):
            while True:
                pid, status = await self._ends.get()
                if pid == self._pid:
                    if status != -signal.SIGKILL:
                        self.statuses[status] += 1
                    return status

    async def up(self, timeout_s: float = START_S_MAX) -> bool:
        """Wait until players are taken; False when the server ended before, or did not answer in time."""
        url = f"http://127.0.0.1:{self.stage.port}/play/health"
        deadline = asyncio.get_running_loop().time() + timeout_s
        async with aiohttp.ClientSession() as http:
            while self.runs() and asyncio.get_running_loop().time() < deadline:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    # Whatever it says of its health: it listens. After a restore it is not well until it has caught up.
                    async with http.get(url, timeout=aiohttp.ClientTimeout(total=1.0)):
                        return True
                await asyncio.sleep(0.02)
        return False

    def runs(self) -> bool:
        """Whether the server's process lives."""
        return self._ends.empty() and self._pid > 0

    async def start(self, attempts: int = 200) -> None:
        """Start until players are taken, as a supervisor would."""
        for _ in range(attempts):
            await self.spawn()
            if await self.up():
                return
            self.failed_starts += 1
            await (self.kill() if self.runs() else self._ended())
        raise Broken(f"the server does not start:\n{self.last_words()}")

    def states(self) -> Counter[str]:
        """Operations on disk by state, read from a copy, so that recovery finds what the kill left."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in self.folder.glob("journal.sqlite*"):
            if not file.name.endswith(("-shm", "-lock")):
                shutil.copy(file, copy / file.name)
        if not (copy / "journal.sqlite").exists():
            return Counter()
        connection = apsw.Connection(str(copy / "journal.sqlite"))
        try:
            return Counter(dict(connection.execute("SELECT state, count(*) FROM operation GROUP BY state")))
        except apsw.SQLError:
            return Counter()  # killed before the tables were made
        finally:
            connection.close()

    def last_words(self) -> str:
        """What the server wrote last."""
        log = self.folder / "server.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    def last_stop(self) -> str:
        """Why a server stopped signing by itself, in its own words."""
        log = self.folder / "server.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return next((line[:300] for line in reversed(lines) if line.startswith("gamekit stopped signing")), "")

    # The players.

    async def crowd(self, series: int, rate: float, module: str = "players") -> "CrowdProcess":
        """Start the players' process: new wallets, new sessions."""
        log = self.folder / f"clients-{series}.jsonl"
        arguments = {
            "--url": self.stage.play_url,
            "--rpc": self.url,
            "--contracts": self.folder / "contracts.json",
            "--tokens": self.folder / "tokens.json",
            "--players": self.players,
            "--victims": 0,
            "--victims-file": self.folder / "victims.json",
            "--seconds": PLAY_S_MAX,
            "--rate": rate,
            "--seed": f"{self.seed}/{series}",
            "--log": log,
        }
        words = [str(word) for pair in arguments.items() for word in pair]
        with (self.folder / "clients.log").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"tests.campaigns.{module}", *words),
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                limit=1 << 22,
                cwd=ROOT,
            )
        return CrowdProcess(process, log)

    async def audit(self, *logs: Path) -> dict[str, Any]:
        """Join what the clients were told with the chain, by a program that imports nothing of gamekit."""
        command = [str(Path(audit.__file__)), "--rpc", self.url, "--arena", to_hex(self.stage.contracts.arena)]
        for log in logs:
            command += ["--log", str(log)]
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE, stderr=PIPE)
        output, errors = await process.communicate()
        try:
            verdict: dict[str, Any] = json.loads(output)
        except json.JSONDecodeError:
            # What cannot be joined is wrong, too: an outcome that was never accepted, one key accepted as two.
            return {"clean": False, "malformed": 1, "faults": [errors.decode(errors="replace").strip()[-500:]]}
        return verdict


class CrowdProcess:
    """The players, seen from outside."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self.log = log
        self.latest: dict[str, Any] = {}
        self.done: dict[str, Any] = {}
        self.gave_up: list[str] = []
        self._playing = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            told = json.loads(line)
            match told["event"]:
                case "playing":
                    self._playing.set()
                case "progress":
                    self.latest = told
                case "gave_up":
                    self.gave_up.append(told["reason"])
                case "done":
                    self.done = told
        self._playing.set()

    async def playing(self, timeout_s: float = 90.0) -> None:
        """Wait until every session is open. Raises Broken."""
        async with asyncio.timeout(timeout_s):
            await self._playing.wait()
        if self._process.returncode is not None or self._reading.done():
            raise Broken("the players could not open their sessions")

    async def finish(self, timeout_s: float = DRAIN_S_MAX) -> dict[str, Any]:
        """Tell them to stop, wait for every outcome; gives their summary. Raises Broken when the process failed."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"stop\n")
        try:
            async with asyncio.timeout(timeout_s):
                await self._reading
                await self._process.wait()
        except TimeoutError:
            self.close()
            raise Broken("the players wait for outcomes that do not come") from None
        if not self.done:
            raise Broken("the players' process failed")
        return self.done

    def close(self) -> None:
        """End it, if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
        self._reading.cancel()
