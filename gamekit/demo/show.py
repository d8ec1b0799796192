"""The orchestrator: starts devnet, server, players and thief, prints what happens, and writes the report."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from gamekit.chain.rpc import from_quantity
from gamekit.commands.admin import ask
from gamekit.core.scope import Scope
from gamekit.demo import audit
from gamekit.demo.cast import ServerProcess, cpu_s, run_python
from gamekit.demo.loot import Loot, read_loot
from gamekit.demo.report import Figures, is_clean, report, summary
from gamekit.demo.stage import BASE_FEE_WEI, STACKS, Stage, set_stage
from gamekit.demo.thief import Trial
from gamekit.devnet import Anvil, AnvilSettings, DevnetNode
from gamekit.errors import ChainUnavailable, GamekitError
from gamekit.eth.hashing import parse_hex, to_hex

VICTIMS: Final = 2 * len(STACKS)
AHEAD_S: Final = 700
"""How far the chain's clock is moved at the end: past the end of the victims' sessions."""
REVOKED_S_MAX: Final = 30.0
REVOKE_ATTEMPTS: Final = 40
WATCH_S: Final = 0.1
"""How often the orchestrator looks whether its server is there."""
RAID_AFTER_S: Final = 5.0
THIEF_S_MAX: Final = 300.0
LINE: Final = (
    "{at:6.1f} s  {rate:6.0f} settled/s  {open:6d} in flight  accept {a50:4.0f}/{a99:4.0f} ms  "
    "settle {s50:5.0f}/{s99:5.0f} ms  {per_op:4.1f} calls/op  {per_bundle:4.1f} ops/bundle  {gas:6.0f} gas/action"
)
"""Latencies are medians and 99th percentiles."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to show."""

    players: int
    seconds: float
    rate: float
    folder: Path
    report: Path | None = None
    kill_after_s: float | None = None
    has_thief: bool = True
    seed: str = "arena"


def run(plan: Plan) -> int:
    """Show it all. Returns 0 when nothing was lost, doubled or let through, else 1."""
    return asyncio.run(Show(plan).run())


class Show:
    """One run of the demo."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = plan.folder.absolute()
        self._figures = Figures(players=plan.players, seconds=plan.seconds)
        self._trials: list[Trial] = []
        self._began = time.monotonic()
        self._last: tuple[float, int, int, int, int] = (0.0, 0, 0, 0, 0)

    async def run(self) -> int:
        """Set the stage, play, judge."""
        _say("starting a devnet: EntryPoint 0.6, 0.7, 0.8, our contracts, Nexus, and the example game")
        settings = AnvilSettings(block_time_s=1.0, base_fee_wei=BASE_FEE_WEI)
        anvil = Anvil.start(self._folder / "chain", settings)
        try:
            names = [f"player-{place}" for place in range(self._plan.players)]
            victims = [f"victim-{place}" for place in range(VICTIMS)]
            stage = await set_stage(self._folder, anvil.url, [*names, *victims])
            return await self._run(stage, anvil)
        finally:
            anvil.stop()

    async def _run(self, stage: Stage, anvil: Anvil) -> int:
        leak = self._folder / "leak.jsonl"
        for old in ("leak.jsonl", "clients.jsonl", "server.log", "thief.log", "audit.log"):
            (self._folder / old).unlink(missing_ok=True)
        server = ServerProcess(stage, leak)
        watching = asyncio.create_task(self._supervise(server))
        try:
            await server.start()
            self._figures.setup_s = round(time.monotonic() - self._began, 1)
            _say(f"the server takes players at {stage.play_url}")
            summary_of_clients = await self._play(stage, server)
            if self._plan.has_thief:
                await self._last_escapes(stage, leak)
            self._figures.cpu_s = {
                "server": round(server.cpu_s(), 1),
                "clients": summary_of_clients["cpu_s"],
                "anvil": round(cpu_s(anvil.pid), 1),
            }
            verdict = await self._audit(stage)
            self._figures.kills = server.starts - 1
        finally:
            watching.cancel()
            server.stop()
        written = report(self._figures, summary_of_clients, verdict, self._trials)
        if self._plan.report is not None:
            self._plan.report.write_text(json.dumps(written, indent=2) + "\n")
        _say(summary(written, self._trials))
        return 0 if is_clean(written, has_thief=self._plan.has_thief) else 1

    # While they play.

    async def _play(self, stage: Stage, server: ServerProcess) -> dict[str, Any]:
        crowd = await self._start_crowd(stage)
        beside: list[asyncio.Task[None]] = []
        done: dict[str, Any] = {}
        try:
            async for told in _told(crowd):
                match told["event"]:
                    case "consent":
                        _say(f"\nwhat {told['player']}'s wallet is asked to sign ({told['method']}):\n\n{told['text']}")
                    case "playing":
                        _say(f"{told['players']} players play\n")
                        self._began = time.monotonic()
                        beside = self._start_beside(stage, server)
                    case "progress":
                        await self._progress(stage, told)
                    case "gave_up":
                        _say(f"a client gave up: {told}")
                    case "done":
                        done = told
            if await crowd.wait() != 0 or not done:
                raise ChainUnavailable(f"the players' process failed:\n{self._last_words('clients', 'server')}")
            async with asyncio.timeout(THIEF_S_MAX):
                await asyncio.gather(*beside)
            return done
        finally:
            for task in beside:
                task.cancel()
            if crowd.returncode is None:
                crowd.kill()
                await crowd.wait()

    async def _start_crowd(self, stage: Stage) -> Process:
        plan, folder = self._plan, self._folder
        arguments = {
            "--url": stage.play_url,
            "--rpc": stage.url,
            "--contracts": folder / "contracts.json",
            "--tokens": folder / "tokens.json",
            "--players": plan.players,
            "--victims": VICTIMS if plan.has_thief else 0,
            "--victims-file": folder / "victims.json",
            "--seconds": plan.seconds,
            "--rate": plan.rate,
            "--seed": plan.seed,
            "--log": folder / "clients.jsonl",
        }
        words = [str(word) for pair in arguments.items() for word in pair]
        with (folder / "clients.log").open("wb") as errors:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gamekit.demo.crowd", *words, stdout=PIPE, stderr=errors, limit=1 << 22
            )

    def _start_beside(self, stage: Stage, server: ServerProcess) -> list[asyncio.Task[None]]:
        beside = [asyncio.create_task(self._revoke_one(stage, self._plan.seconds / 2))]
        if self._plan.has_thief:
            beside.append(asyncio.create_task(self._raid(stage)))
        if self._plan.kill_after_s is not None:
            beside.append(asyncio.create_task(self._kill(server, self._plan.kill_after_s)))
        return beside

    async def _revoke_one(self, stage: Stage, after_s: float) -> None:
        """The operator ends the last player's session in the middle of the run."""
        await asyncio.sleep(after_s)
        player = f"player-{self._plan.players - 1}"
        for _ in range(20):  # the server may just be starting again
            with suppress(GamekitError, OSError):
                rows = await ask(stage.config, "GET", "/sessions")
                found = next((row for row in rows if row["player"] == player), None)
                if found is None:  # It was revoked, and the server killed before it said so.
                    self._figures.revoked += 1
                    return
                body = {"permission_id": found["permission_id"], "reason": "revoked by the operator"}
                told = await ask(stage.config, "POST", "/revoke", body)
                self._figures.revoked += 1
                waiting = told["refused_actions"]
                _say(f"         {player} is revoked: {waiting} waiting actions refused, nothing signed from now on")
                return
            await asyncio.sleep(0.5)

    async def _raid(self, stage: Stage) -> None:
        await asyncio.sleep(min(self._plan.seconds / 4, RAID_AFTER_S))
        _say("         a thief has taken a session key on each account stack, and goes to the entry points by itself")
        players = [f"victim-{place}" for place in range(VICTIMS)]
        self._trials += await self._thief(stage, "raid", players, "--victims", str(self._folder / "victims.json"))
        _say(f"         the thief tried {len(self._trials)} escapes")

    async def _kill(self, server: ServerProcess, after_s: float) -> None:
        await asyncio.sleep(after_s)
        server.kill()
        _say("         the server is killed (SIGKILL), and started again on the same journal")
        await server.start()
        _say("         the server is back")

    async def _supervise(self, server: ServerProcess) -> None:
        """Start the server again whenever it is gone: it may be killed at any moment."""
        while True:
            await asyncio.sleep(WATCH_S)
            if server.has_ended:
                _say("         the server is gone, and started again on the same journal")
                await server.start()
                _say("         the server is back")

    async def _revoke(self, stage: Stage, permission_id: str) -> None:
        """End a session as its operator; asked again while the server is just starting."""
        for _ in range(REVOKE_ATTEMPTS):
            with suppress(GamekitError, OSError):
                await ask(stage.config, "POST", "/revoke", {"permission_id": permission_id})
                return
            await asyncio.sleep(0.5)
        raise ChainUnavailable(f"the server takes no revocation:\n{self._last_words('server')}")

    async def _progress(self, stage: Stage, told: dict[str, Any]) -> None:
        at = time.monotonic() - self._began
        gas, transactions = await self._blocks(stage)
        before = self._last
        self._last = (at, told["settled"], told["operations"], before[3] + gas, before[4] + transactions)
        settled, operations = told["settled"] - before[1], told["operations"] - before[2]
        _say(
            LINE.format(
                at=at,
                rate=settled / max(at - before[0], 1e-3),
                open=told["open"],
                a50=told["accept_ms"][0],
                a99=told["accept_ms"][1],
                s50=told["settle_ms"][0],
                s99=told["settle_ms"][1],
                per_op=settled / max(operations, 1),
                per_bundle=operations / max(transactions, 1),
                gas=gas / max(settled, 1),
            )
        )

    async def _blocks(self, stage: Stage) -> tuple[int, int]:
        """Gas and transactions of the blocks since the last look."""
        gas = transactions = 0
        async with DevnetNode(stage.url) as node:
            head = await node.block_number()
            for number in range(self._figures.seen_block + 1, head + 1):
                block = await node.request(dict[str, Any], "eth_getBlockByNumber", hex(number), False)
                gas += from_quantity(block["gasUsed"])
                transactions += len(block["transactions"])
            first, self._figures.seen_block = self._figures.seen_block == 0, head
        return (0, 0) if first else (gas, transactions)

    # After the game.

    async def _last_escapes(self, stage: Stage, leak: Path) -> None:
        """A revoked session, and one that has run out."""
        stolen = {loot.player: loot for loot in read_loot(leak)}
        revoked = [f"victim-{place}" for place in range(1, VICTIMS, 2)]
        async with DevnetNode(stage.url) as node:
            before = await node.block_number()
            for player in revoked:
                await self._revoke(stage, stolen[player].permission_id)
            await _until_revoked(stage, [stolen[player] for player in revoked])
            self._trials += await self._thief(stage, "revoked", revoked, "--before", str(before))
            ended = [f"victim-{place}" for place in range(0, VICTIMS, 2)]
            await node.increase_time(_seconds_left(stolen[ended[0]]) or AHEAD_S)
            await node.mine()
            self._trials += await self._thief(stage, "ended", ended)

    async def _thief(self, stage: Stage, phase: str, players: list[str], *more: str) -> list[Trial]:
        folder = self._folder
        written = folder / f"thief-{phase}.json"
        arguments = [
            *("-m", "gamekit.demo.thief", phase, *players, "--rpc", stage.url),
            *("--key", str(folder / "thief.key"), "--loot", str(folder / "leak.jsonl")),
            *("--contracts", str(folder / "contracts.json"), "--report", str(written), *more),
        ]
        if await run_python(stage, "thief", arguments) != 0:
            raise ChainUnavailable(f"the thief failed:\n{self._last_words('thief')}")
        return msgspec.json.decode(written.read_bytes(), type=list[Trial])

    def _last_words(self, *names: str) -> str:
        logs = ((name, self._folder / f"{name}.log") for name in names)
        return "\n".join(f"{name}: {log.read_text(errors='replace')[-2000:]}" for name, log in logs)

    async def _audit(self, stage: Stage) -> dict[str, Any]:
        _say("\nthe auditor joins the clients' log with the chain")
        arguments = (
            *(str(Path(audit.__file__)), "--rpc", stage.url, "--arena", to_hex(stage.contracts.arena)),
            *("--log", str(self._folder / "clients.jsonl")),
        )
        await run_python(stage, "audit", arguments)
        text = (self._folder / "audit.log").read_text()
        try:
            verdict: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError as error:
            raise ChainUnavailable(f"the audit failed: {text[-2000:]}") from error
        return verdict


async def _told(crowd: Process) -> AsyncIterator[dict[str, Any]]:
    """What the players' process says, line by line."""
    if crowd.stdout is None:
        return
    async for line in crowd.stdout:
        yield json.loads(line)


async def _until_revoked(stage: Stage, stolen: list[Loot]) -> None:
    """Wait until the server says that the chain has the revocations."""
    names = {loot.permission_id for loot in stolen}
    async with asyncio.timeout(REVOKED_S_MAX):
        while names:
            with suppress(GamekitError, OSError):  # the server may just be starting again
                names &= {row["permission_id"] for row in await ask(stage.config, "GET", "/sessions")}
            await asyncio.sleep(0.5)


def _seconds_left(loot: Loot) -> int:
    """How long a session lasts, which is more than what is left of it."""
    time_frame = Scope.unpack(parse_hex(loot.scope)).time
    return time_frame.valid_until - time_frame.valid_after + 60


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
