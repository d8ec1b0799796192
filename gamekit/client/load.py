"""Many players in one process, as cheaply as a client can be: no handles, no futures, one clock for all.

Every player holds a real connection, logs in, and offers actions at a steady rate, whether or not the server keeps up.
What the server promises is written down as it comes, one JSON object a line, so that others can hold the chain against
it: `event` accepted, settled, reorged or refused; each with `permission_id`, `key` and `player`; accepted also with
`account`, `function`, `arguments`, `action_id` and `journal_epoch`; settled with `ok`, `error` and `transaction_hash`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import IO, Final

import aiohttp
import msgspec
from msgspec import Struct

from gamekit.client.link import Link
from gamekit.client.login import LoginSource
from gamekit.errors import GamekitError
from gamekit.protocol.events import EventFrames, Finalized, Refused, Reorged, Settled
from gamekit.protocol.messages import Accepted, ActionRequest, Done, Error, Pong, Proposed, SessionInfo, Welcome

TICK_S: Final = 0.02
"""How often players are looked at. Finer than the shortest pause between two frames of one player."""
OPEN: Final = "open"

Actions = Callable[[int], tuple[str, list[int | str]]]
"""Function and arguments of a player's nth action, from 0; arguments differ, so that actions can be told apart."""


class LoadPlayer(Struct, frozen=True):
    """One player to play."""

    name: str
    """Also the prefix of the player's keys."""
    login: LoginSource
    actions: Actions


class LoadReport(Struct, frozen=True):
    """What became of a run. Times in milliseconds, from the moment an action was offered."""

    players: int
    connected: int
    offered: int
    accepted: int
    declined: int
    """Refused at once: nothing was promised. Rates and full queues, mostly."""
    settled_ok: int
    settled_reverted: int
    refused: int
    """Accepted and then refused before they were signed."""
    reorged: int
    final: int
    unsettled: int
    """Accepted, and without an outcome at the end."""
    unanswered: int
    reconnects: int
    ended: int
    """Players whose client gave up."""
    seconds: float
    """From the first accepted to the last settled."""
    actions_per_s: float
    """settled_ok in those seconds."""
    accept_ms_p50: float
    accept_ms_p99: float
    settle_ms_p50: float
    settle_ms_p99: float
    declined_codes: dict[str, int]
    ended_codes: dict[str, int]


class _Action:
    """An action that has no outcome yet."""

    __slots__ = ("accepted", "offered_at", "request")

    def __init__(self, request: ActionRequest, offered_at: float) -> None:
        self.request = request
        self.offered_at = offered_at
        self.accepted = False


class Load:
    """A crowd of players.

    Args:
        http: an HTTP session without a limit of connections.
        url: the websocket's address.
        players: who plays.
        log: where promises are written, line by line.
        clock: monotonic seconds.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        players: Sequence[LoadPlayer],
        log: IO[bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._log = log
        self._clock = clock
        self._pause = pause
        self._encode = msgspec.json.Encoder().encode
        self._players = [_Player(self, http, url, player) for player in players]
        self._offering = False
        self._accept_s: list[float] = []
        self._settle_s: list[float] = []
        self._first_accepted_at = 0.0
        self._last_settled_at = 0.0
        self.offered = self.accepted = self.declined = 0
        self.settled_ok = self.settled_reverted = self.refused = self.reorged = self.final = self.ended = 0
        self.declined_codes: dict[str, int] = {}
        self.ended_codes: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Load {len(self._players)} players, {self.accepted} accepted, {self.settled} settled>"

    @property
    def settled(self) -> int:
        """Actions with an outcome on chain."""
        return self.settled_ok + self.settled_reverted

    @property
    def in_flight(self) -> int:
        """Actions accepted and without an outcome."""
        return self.accepted - self.settled - self.refused

    @property
    def ready(self) -> int:
        """Players that are logged in and have a session that plays."""
        return sum(player.session is not None for player in self._players)

    async def run(
        self, seconds: float, *, rate_per_s: float, actions_per_frame: int = 4, drain_s: float = 60.0
    ) -> LoadReport:
        """Play.

        Args:
            seconds: how long actions are offered, once every player is ready.
            rate_per_s: actions per second of each player.
            actions_per_frame: how many travel together.
            drain_s: longest to wait for outcomes afterwards, and for all players to be ready before.
        """
        async with asyncio.TaskGroup() as group:
            links = [group.create_task(player.link.run()) for player in self._players]
            await self._until(lambda: self.ready + self.ended >= len(self._players), drain_s)
            await self._offer(seconds, actions_per_frame / rate_per_s, actions_per_frame)
            await self._until(lambda: self.in_flight <= 0 and not self._unanswered(), drain_s)
            for link in links:
                link.cancel()
        self._log.flush()
        return self._report()

    async def _offer(self, seconds: float, every_s: float, count: int) -> None:
        start = self._clock()
        players = [player for player in self._players if player.session is not None]
        # Spread over the first period, so that the server sees a stream and not a drum.
        due = [start + every_s * place / max(1, len(players)) for place in range(len(players))]
        while (now := self._clock()) < start + seconds:
            for place, player in enumerate(players):
                if due[place] <= now:
                    due[place] += every_s
                    self.offered += count
                    await player.offer(count, now)
            self._log.flush()
            await self._pause(TICK_S)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = self._clock() + seconds
        while not condition() and self._clock() < end:
            await self._pause(TICK_S)

    def _unanswered(self) -> int:
        return sum(len(player.link.outbox) for player in self._players)

    def _report(self) -> LoadReport:
        seconds = max(0.0, self._last_settled_at - self._first_accepted_at)
        accept, settle = sorted(self._accept_s), sorted(self._settle_s)
        return LoadReport(
            players=len(self._players),
            connected=self.ready,
            offered=self.offered,
            accepted=self.accepted,
            declined=self.declined,
            settled_ok=self.settled_ok,
            settled_reverted=self.settled_reverted,
            refused=self.refused,
            reorged=self.reorged,
            final=self.final,
            unsettled=self.in_flight,
            unanswered=self._unanswered(),
            reconnects=sum(max(0, player.link.connects - 1) for player in self._players),
            ended=self.ended,
            seconds=seconds,
            actions_per_s=self.settled_ok / seconds if seconds else 0.0,
            accept_ms_p50=_percentile_ms(accept, 0.5),
            accept_ms_p99=_percentile_ms(accept, 0.99),
            settle_ms_p50=_percentile_ms(settle, 0.5),
            settle_ms_p99=_percentile_ms(settle, 0.99),
            declined_codes=self.declined_codes,
            ended_codes=self.ended_codes,
        )

    # What players tell.

    def take_accepted(self, action: _Action, line: dict[str, object]) -> None:
        """A promise was made."""
        now = self._clock()
        self._first_accepted_at = self._first_accepted_at or now
        self.accepted += 1
        self._accept_s.append(now - action.offered_at)
        self.write(line)

    def take_declined(self, code: str) -> None:
        """No promise was made."""
        self.declined += 1
        self.declined_codes[code] = self.declined_codes.get(code, 0) + 1

    def take_settled(self, offered_at: float, *, ok: bool) -> None:
        """A promise was kept."""
        self._last_settled_at = self._clock()
        self._settle_s.append(self._last_settled_at - offered_at)
        if ok:
            self.settled_ok += 1
        else:
            self.settled_reverted += 1

    def write(self, line: dict[str, object]) -> None:
        """Write one line of the log."""
        self._log.write(self._encode(line) + b"\n")


class _Player:
    """One connection of the crowd: the link's listener."""

    def __init__(self, load: Load, http: aiohttp.ClientSession, url: str, player: LoadPlayer) -> None:
        self._load = load
        self._player = player
        self._welcome: Welcome | None = None
        self._next = 0
        self._actions: dict[str, _Action] = {}  # without an outcome
        self._outcomes: dict[str, tuple[float, bool]] = {}  # settled and not final: when offered, and whether ok
        self.session: SessionInfo | None = None
        self.link = Link(http, url, player.login, self)

    async def offer(self, count: int, now: float) -> None:
        """Ask for the next actions."""
        if self._welcome is None or self.session is None:
            return
        requests = []
        for number in range(self._next, self._next + count):
            function, arguments = self._player.actions(number)
            request = ActionRequest(f"{self._player.name}.{number}", function, list(arguments))
            self._actions[request.key] = _Action(request, now)
            requests.append(request)
        self._next += count
        await self.link.offer(self.session.permission_id, requests, self._welcome.journal_epoch)

    def welcomed(self, welcome: Welcome) -> None:
        """Find the session to play."""
        self._welcome = welcome
        if self.session is None:
            self.session = next((session for session in welcome.sessions if session.state == OPEN), None)

    def answered(self, answer: Accepted | Refused | Done | Proposed | Error | Pong) -> None:
        """Note what is promised and what is not."""
        if isinstance(answer, Accepted):
            for accepted in answer.actions:
                self._accepted(accepted.key, accepted.action_id)
        elif isinstance(answer, Refused):
            for refused in answer.actions:
                action = self._actions.get(refused.key)
                if action is not None and not action.accepted:
                    del self._actions[refused.key]
                    self._load.take_declined(refused.code)

    def happened(self, event: EventFrames) -> None:
        """Note what came of it."""
        match event:
            case Settled():
                for settled in event.actions:
                    # After a reconnect an outcome may come before the answer to the action sent again.
                    self._accepted(settled.key, settled.action_id)
                    self._settled(settled.key, settled.error, "0x" + event.transaction_hash.hex(), ok=settled.ok)
            case Reorged():
                for key in event.keys:
                    self._reorged(key)
            case Finalized():
                for key in event.keys:
                    self._load.final += self._outcomes.pop(key, None) is not None
            case Refused():
                for refused in event.actions:
                    self._accepted(refused.key, refused.action_id)
                    if self._actions.pop(refused.key, None) is not None:
                        self._load.refused += 1
                        self._write("refused", refused.key, code=refused.code)

    def ended(self, error: GamekitError) -> None:
        """The client gave up."""
        self._load.ended += 1
        self._load.ended_codes[error.code] = self._load.ended_codes.get(error.code, 0) + 1

    def _accepted(self, key: str, action_id: int) -> None:
        action = self._actions.get(key)
        if action is None or action.accepted or self.session is None or self._welcome is None:
            return
        action.accepted = True
        self._load.take_accepted(
            action,
            {
                "event": "accepted",
                "player": self._player.name,
                "permission_id": "0x" + self.session.permission_id.hex(),
                "key": key,
                "account": "0x" + self.session.account.hex(),
                "function": action.request.function,
                "arguments": action.request.arguments,
                "action_id": action_id,
                "journal_epoch": "0x" + self._welcome.journal_epoch.hex(),
            },
        )

    def _settled(self, key: str, error: str, transaction_hash: str, *, ok: bool) -> None:
        action = self._actions.pop(key, None)
        if action is None:
            return
        self._outcomes[key] = (action.offered_at, ok)
        self._load.take_settled(action.offered_at, ok=ok)
        self._write("settled", key, ok=ok, error=error, transaction_hash=transaction_hash)

    def _reorged(self, key: str) -> None:
        outcome = self._outcomes.pop(key, None)
        if outcome is None:
            return
        offered_at, ok = outcome
        again = self._actions[key] = _Action(ActionRequest(key, "reorged"), offered_at)
        again.accepted = True
        self._load.reorged += 1
        self._load.settled_ok -= ok
        self._load.settled_reverted -= not ok
        self._write("reorged", key)

    def _write(self, event: str, key: str, **more: object) -> None:
        session = "" if self.session is None else "0x" + self.session.permission_id.hex()
        self._load.write({"event": event, "player": self._player.name, "permission_id": session, "key": key, **more})


def _percentile_ms(ordered: Sequence[float], share: float) -> float:
    """The value below which this share of the measurements lie, in milliseconds; 0 without any."""
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
