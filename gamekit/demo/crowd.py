"""The players' side: owners' wallets, real websocket clients, and a log of what they were told.

A process of its own, started by the orchestrator; owners' keys exist nowhere else. Says what happens on standard
output, one JSON object a line: consent, playing, progress, done.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import aiohttp
import coincurve
import msgspec
import uvloop
from eth_account import Account as Wallet

from gamekit.client.link import Link
from gamekit.client.login import by_token
from gamekit.demo.forgery import sign
from gamekit.demo.leak import VICTIM
from gamekit.demo.stage import STACKS
from gamekit.demo.tally import Asked, ClientLog, Record, Tally, percentile
from gamekit.demo.thief import LOGIN, Victim, address_of
from gamekit.devnet import DevnetContracts, DevnetNode, deposit
from gamekit.devnet.faucet import DEPOSIT_GAS
from gamekit.errors import GamekitError, OutcomeUnknown
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import selector, to_hex
from gamekit.protocol.codec import ClientFrame
from gamekit.protocol.events import EventFrames, Finalized, Refused, Reorged, SessionOpened, SessionRevoked, Settled
from gamekit.protocol.messages import (
    Accepted,
    AccountRequest,
    ActionRequest,
    Done,
    Error,
    Open,
    Pong,
    Propose,
    Proposed,
    Welcome,
)
from gamekit.protocol.octets import Octets16, Octets20, Octets32, SignatureOctets
from gamekit.units import Address, Wei

FRAME_ACTIONS: Final = 5
"""Actions in one frame."""
DEPOSIT_WEI: Final = Wei(10**18)
ANSWER_S_MAX: Final = 60.0
"""Longest wait for what takes a few blocks."""
ASK_AGAIN_S: Final = 0.2
SETTLE_S_MAX: Final = 180.0
"""Longest wait for the last outcome: an operation that is never included is dead after its deadline and finality."""
REVERTING_EVERY: Final = 20
"""One action in so many is one that the game refuses with its own error. Not the same one of every player: a function
that only reverts is paused, which is right, and is not what is to be shown."""


class Player:
    """One player: a wallet, a socket, an account, a session."""

    def __init__(self, name: str, place: int, seed: str, record: Record) -> None:
        self.name = name
        self.stack, self.version = STACKS[place % len(STACKS)]
        self._reverting = place % REVERTING_EVERY
        self.owner = coincurve.PrivateKey(sha256(f"{seed}/{name}".encode()).digest())
        self.record = record
        self.link: Link | None = None
        self.welcome: Welcome | None = None
        self.proposed: Proposed | None = None
        self.opened = asyncio.Event()
        self.over = False
        """Whether the session was revoked, or the link gave up."""
        self._up = asyncio.Event()
        self._replies: dict[int, asyncio.Future[Done | Proposed | Error | Pong]] = {}
        self._count = 0

    @property
    def unit(self) -> str:
        """What the player agrees to."""
        return "try_out" if self.name.startswith(VICTIM) else "play_match"

    async def connect(self, http: aiohttp.ClientSession, url: str, token: str, group: asyncio.TaskGroup) -> None:
        """Log in; the link stays up by itself from then on."""
        self.link = Link(http, url, by_token(token), self)
        group.create_task(self.link.run())
        async with asyncio.timeout(ANSWER_S_MAX):
            await self._up.wait()

    async def propose(self) -> None:
        """Ask what the wallet must sign."""
        account = AccountRequest(Octets20(address_of(self.owner)), self.stack, self.version)
        reply = await self._ask(lambda request_id: Propose(request_id, "arena", self.unit, account))
        if not isinstance(reply, Proposed):
            raise OutcomeUnknown(f"{self.name}: {reply}")
        self.proposed = reply
        self.record.account = to_hex(reply.account)
        self.record.permission_id = to_hex(reply.permission_id)

    async def open(self) -> None:
        """Let the wallet sign the readable grant, and hand it in."""
        request = self.proposed
        if request is None:
            raise OutcomeUnknown("nothing was proposed")
        signed = Wallet.sign_typed_data(self.owner.secret, full_message=request.payload)
        signature = SignatureOctets(signed.signature)
        reply = await self._ask(lambda request_id: Open(request_id, request.request_id, signature))
        if not isinstance(reply, Done):
            raise OutcomeUnknown(f"{self.name}: {reply}")

    async def offer(self) -> None:
        """Send one frame of actions."""
        if self.over or self.link is None or self.welcome is None or self.proposed is None:
            return
        now = time.monotonic()
        actions = []
        for _ in range(FRAME_ACTIONS):
            key, asked = self._next(now)
            self.record.ask(key, asked)
            actions.append(ActionRequest(key, asked.function, list(asked.arguments)))
        await self.link.offer(Octets32(self.proposed.permission_id), actions, Octets16(self.welcome.journal_epoch))

    def _next(self, now: float) -> tuple[str, Asked]:
        """Think of the next action. Its arguments are unlike those of every other action of this player."""
        number = self._count
        self._count += 1
        key = f"{self.name}:{number}"
        if number % REVERTING_EVERY == self._reverting:
            function, arguments = "attack", (number + 1, 0)
        elif number % 10 < 5:
            function, arguments = "move", (number // 30_000 - 5, number % 30_000 - 15_000)
        elif number % 10 < 8:
            function, arguments = "attack", (number + 1, number % 100 + 1)
        else:
            function, arguments = "craft", (number // 1000 % 50 + 1, number % 1000 + 1)
        return key, Asked(function, arguments, now, number + 1)

    async def _ask(self, make: Callable[[int], ClientFrame]) -> Done | Proposed | Error | Pong:
        """Ask until there is an answer: the server may be killed before it gives one, and asking twice is harmless."""
        if self.link is None:
            raise OutcomeUnknown("not connected")
        async with asyncio.timeout(ANSWER_S_MAX):
            while True:
                try:
                    request_id = await self.link.ask(make)
                    return await self._replies.setdefault(request_id, asyncio.get_running_loop().create_future())
                except OutcomeUnknown:
                    await asyncio.sleep(ASK_AGAIN_S)

    # The link's listener.

    def welcomed(self, welcome: Welcome) -> None:
        """Take the welcome. What was asked on the connection before has no answer any more."""
        self.welcome = welcome
        self._up.set()
        for future in self._replies.values():
            if not future.done():
                future.set_exception(OutcomeUnknown(f"{self.name}: the connection was lost before the answer"))
        self._replies.clear()

    def answered(self, answer: Accepted | Refused | Done | Proposed | Error | Pong) -> None:
        """Take an answer."""
        if isinstance(answer, Accepted):
            self.record.accepted(answer)
        elif isinstance(answer, Refused):
            self.record.refused(answer)
        else:
            future = self._replies.setdefault(answer.id, asyncio.get_running_loop().create_future())
            if not future.done():
                future.set_result(answer)

    def happened(self, event: EventFrames) -> None:
        """Take a durable event."""
        match event:
            case Settled():
                self.record.settled(event)
            case Refused():
                self.record.refused(event)
            case Reorged():
                self.record.reorged(event)
            case Finalized():
                self.record.final(event)
            case SessionOpened():
                self.opened.set()
            case SessionRevoked():
                self.over = True
            case _:
                pass

    def ended(self, error: GamekitError) -> None:
        """The link has given up."""
        say("gave_up", player=self.name, reason=str(error))
        self.over = True
        self._up.set()


class Crowd:
    """All players of one process."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.tally = Tally()
        self._log = ClientLog(options.log)
        self._accept_ms: list[float] = []
        self._settle_ms: list[float] = []
        names = [f"player-{place}" for place in range(options.players)]
        self.players = [self._player(name, place) for place, name in enumerate(names)]
        self.victims = [self._player(f"{VICTIM}-{place}", place // 2) for place in range(options.victims)]
        """Two on each stack, in turn: who is robbed, and a neighbour."""

    def _player(self, name: str, place: int) -> Player:
        return Player(name, place, self._options.seed, Record(self.tally, self._log, self._accept_ms, self._settle_ms))

    async def run(self) -> None:
        """Open sessions, play, wait for every outcome."""
        everybody = [*self.players, *self.victims]
        tokens = {player: token for token, player in msgspec.json.decode(self._options.tokens.read_bytes()).items()}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as links:
            for player in everybody:
                await player.connect(http, self._options.url, tokens[player.name], links)
            await self._open_sessions(everybody)
            say("playing", players=len(self.players))
            await self._play(links)
            await self._outcomes()
            self._log.close()
            say("done", **self._summary())
            raise Finished

    async def _open_sessions(self, everybody: Sequence[Player]) -> None:
        for player in everybody:
            await player.propose()
        first = everybody[0].proposed
        if first is not None:
            say("consent", player=everybody[0].name, text=first.explanation, method=first.method)
        await self._pay_in(everybody)
        for player in everybody:
            await player.open()
        async with asyncio.timeout(ANSWER_S_MAX):
            await asyncio.gather(*(player.opened.wait() for player in everybody))
        told = [Victim(player.name, to_hex(sign(player.owner, LOGIN))) for player in self.victims]
        self._options.victims_file.write_bytes(msgspec.json.encode(told))

    async def _pay_in(self, everybody: Sequence[Player]) -> None:
        """Give every account a deposit, from the devnet's faucet; give the victims something to lose."""
        contracts = DevnetContracts.load(self._options.contracts)
        async with DevnetNode(self._options.rpc, timeout_ms=60_000) as node:
            for version in sorted({player.version for player in everybody}):
                accounts = [_account(player) for player in everybody if player.version == version]
                await deposit(node, EntryPointVersion(version).canonical_address, accounts, DEPOSIT_WEI)
            funder = (await node.unlocked_accounts())[0]
            welcome = selector("welcome(address)")
            for player in self.victims:
                data = welcome + _account(player).rjust(32, b"\x00")
                await node.send(funder, contracts.arena, data, gas=3 * DEPOSIT_GAS)

    async def _play(self, links: asyncio.TaskGroup) -> None:
        ends = time.monotonic() + self._options.seconds
        pause = FRAME_ACTIONS / self._options.rate

        async def play(player: Player, delay: float) -> None:
            at = time.monotonic() + delay
            while at < ends and not player.over:
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                await player.offer()
                at += pause

        # Spread over the pause, so that the crowd does not breathe as one.
        crowd = len(self.players)
        tasks = [links.create_task(play(player, pause * place / crowd)) for place, player in enumerate(self.players)]
        while any(not task.done() for task in tasks):
            await asyncio.sleep(1.0)
            self._progress()

    async def _outcomes(self) -> None:
        """Wait until nothing is open: nothing unanswered, nothing accepted without an outcome."""
        deadline = time.monotonic() + SETTLE_S_MAX
        while time.monotonic() < deadline and (self.tally.open or self._unanswered()):
            await asyncio.sleep(0.25)
            if int(time.monotonic() * 4) % 4 == 0:
                self._progress()

    def _unanswered(self) -> int:
        return sum(len(player.link.outbox) for player in self.players if player.link is not None and not player.over)

    def _progress(self) -> None:
        self._log.sync()
        accept, settle = sorted(self._accept_ms[-4000:]), sorted(self._settle_ms[-4000:])
        say(
            "progress",
            offered=self.tally.offered,
            accepted=self.tally.accepted,
            settled=self.tally.settled_ok + self.tally.settled_reverted,
            open=self.tally.open,
            operations=self.tally.operations,
            accept_ms=[percentile(accept, 0.5), percentile(accept, 0.99)],
            settle_ms=[percentile(settle, 0.5), percentile(settle, 0.99)],
        )

    def _summary(self) -> dict[str, object]:
        tally = self.tally
        tally.reconnects = sum(player.link.connects - 1 for player in self.players if player.link is not None)
        accept, settle = sorted(self._accept_ms), sorted(self._settle_ms)
        playing = max(tally.last_settle - tally.first_accept, 1e-9)
        offering = max(tally.last_offer - tally.first_offer, 1e-9)
        return {
            **msgspec.to_builtins(tally),
            "open": tally.open,
            "unanswered": self._unanswered(),
            "offered_per_s": round(tally.offered / offering, 1),
            "actions_per_s": round(tally.settled_ok / playing, 1),
            "accept_ms_p50": percentile(accept, 0.5),
            "accept_ms_p99": percentile(accept, 0.99),
            "settle_ms_p50": percentile(settle, 0.5),
            "settle_ms_p99": percentile(settle, 0.99),
            "cpu_s": round(time.process_time(), 2),
        }


class Finished(Exception):
    """Ends the group of links."""


def _account(player: Player) -> Address:
    if player.proposed is None:
        raise OutcomeUnknown(f"{player.name} has no account")
    return Address(bytes(player.proposed.account))


def say(event: str, **told: object) -> None:
    """Tell the orchestrator."""
    sys.stdout.write(msgspec.json.encode({"event": event, **told}).decode() + "\n")
    sys.stdout.flush()


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Play with many clients.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--rpc", required=True)
    parser.add_argument("--contracts", required=True, type=Path)
    parser.add_argument("--tokens", required=True, type=Path)
    parser.add_argument("--players", required=True, type=int)
    parser.add_argument("--victims", required=True, type=int)
    parser.add_argument("--victims-file", required=True, type=Path)
    parser.add_argument("--seconds", required=True, type=float)
    parser.add_argument("--rate", required=True, type=float)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--log", required=True, type=Path)
    return parser.parse_args()


def main() -> None:
    """Run as a process of its own."""

    async def play() -> None:
        try:
            await Crowd(options()).run()
        except* Finished:
            pass

    uvloop.run(play())


if __name__ == "__main__":
    main()
