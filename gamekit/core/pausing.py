"""Pauses: signing stopped for the chain, a game or one function of it, and when to stop by itself."""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping

from gamekit.core.journal import Row
from gamekit.core.restoring import RESTORED
from gamekit.units import Address, Hash32, PlayerId, UnixSeconds

CHAIN = "chain"
"""The pause that stops everything."""
FINALITY = "finality"
"""The pause that stops everything because the chain replaced a block that it had called final. While it lasts, nothing
that the chain says proves that an operation can no longer land. gamekit alone begins it, an operator ends it."""


class Pause(Row, frozen=True):
    """One durable pause; an ended one keeps its row."""

    TABLE = "pause"
    KEY = ("subject",)

    subject: str
    """`chain`, `game:<name>` or `function:<game>.<function>`."""
    reason: str
    by: str
    """The operator who paused it, or `gamekit`."""
    at: UnixSeconds
    active: bool = True


class GameCode(Row, frozen=True):
    """What a game's contract was when it was last looked at: what the next look is compared with, a restart between."""

    TABLE = "game_code"
    KEY = ("address",)

    address: Address
    code_hash: Hash32
    implementation: Hash32
    """The word that a proxy keeps its implementation in; zero for a contract that is none."""
    told: bytes = b""
    """What its code or its own answer names as what it runs: 20 bytes, or empty."""
    behind: bytes = b""
    """What its beacon names, the same way."""


def game_subject(game: str) -> str:
    """The subject of a pause of a whole game."""
    return f"game:{game}"


def function_subject(game: str, function: str) -> str:
    """The subject of a pause of one function."""
    return f"function:{game}.{function}"


def subjects(games: Mapping[str, Iterable[str]]) -> list[str]:
    """Everything that can be paused: the chain, each game, and each function of these games that is play."""
    functions = [function_subject(game, function) for game, found in games.items() for function in found]
    return [CHAIN, *map(game_subject, games), *functions]


class Pauses:
    """The pauses that are active, and what holds games back like one for a moment."""

    def __init__(self) -> None:
        self._active: dict[str, Pause] = {}
        self._held: dict[str, Pause] = {}

    def __bool__(self) -> bool:
        return bool(self._active or self._held)

    def __iter__(self) -> Iterator[Pause]:
        return iter(self._active.values())

    def __contains__(self, subject: str) -> bool:
        return subject in self._active

    def put(self, pause: Pause) -> None:
        """Start or end a pause."""
        if pause.active:
            self._active[pause.subject] = pause
        else:
            self._active.pop(pause.subject, None)

    def hold(self, pauses: Iterable[Pause]) -> None:
        """Hold back exactly these games: in memory only, told to nobody, and not for an operator to end."""
        self._held = {pause.subject: pause for pause in pauses}

    def find(self, game: str, function: str = "") -> Pause | None:
        """The pause that stops this game (and function), the widest first; None when nothing does."""
        if not self:
            return None
        active = self._active
        widest = active.get(CHAIN) or active.get(FINALITY) or active.get(RESTORED)
        subject = game_subject(game)
        return widest or active.get(subject) or active.get(function_subject(game, function)) or self._held.get(subject)


class RevertRate:
    """The share of reverted calls among a function's latest, in which no player has more than a share.

    A pause of a function stops it for everybody, so a player who makes calls revert on purpose must not bring it about.
    Two rules, since each alone leaves a way. A player's calls take at most `window / players_min` places, and their own
    oldest makes room: otherwise one who calls quickly fills the window, and a few honest mistakes of others complete
    it. And `players_min` different players must have reverted: otherwise a few of them, together, are enough. What
    breaks a function for everybody meets both at once; somebody who holds `players_min` accounts can still do it.
    """

    def __init__(self, window: int, players_min: int) -> None:
        # More players than places would never pause anything.
        self._window = window
        self._players_min = min(players_min, window)
        self._share = window // self._players_min
        self._latest: OrderedDict[int, tuple[PlayerId, bool]] = OrderedDict()
        """The calls of the window by their number, oldest first."""
        self._places: dict[PlayerId, deque[int]] = {}
        """The numbers of each player's calls in it, oldest first."""
        self._next = 0
        self._reverts: Counter[PlayerId] = Counter()
        """Reverted calls of the window, of those players that have any."""

    def add(self, player: PlayerId, reverted: bool) -> None:
        """Count one call."""
        places = self._places.get(player)
        if places is not None and len(places) == self._share:
            self._remove(places[0])
        elif len(self._latest) == self._window:
            self._remove(next(iter(self._latest)))
        self._latest[self._next] = player, reverted
        self._places.setdefault(player, deque()).append(self._next)
        self._next += 1
        if reverted:
            self._reverts[player] += 1

    def over(self, percent_max: int) -> bool:
        """Whether a full window holds more reverted calls than allowed, of enough different players."""
        if len(self._latest) < self._window or len(self._reverts) < self._players_min:
            return False
        return self._reverts.total() * 100 > percent_max * self._window

    def _remove(self, number: int) -> None:
        """Forget a call, which is its player's oldest."""
        player, reverted = self._latest.pop(number)
        self._places[player].popleft()
        if not self._places[player]:
            del self._places[player]
        if reverted:
            self._reverts[player] -= 1
            if not self._reverts[player]:
                del self._reverts[player]
