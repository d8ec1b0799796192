"""Pauses: signing stopped for the chain, a game or one function of it, and when to stop by itself."""

from collections import deque
from collections.abc import Iterator

from gamekit.core.journal import Row
from gamekit.units import Address, Hash32, UnixSeconds

CHAIN = "chain"
"""The pause that stops everything."""


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


def game_subject(game: str) -> str:
    """The subject of a pause of a whole game."""
    return f"game:{game}"


def function_subject(game: str, function: str) -> str:
    """The subject of a pause of one function."""
    return f"function:{game}.{function}"


class Pauses:
    """The pauses that are active."""

    def __init__(self) -> None:
        self._active: dict[str, Pause] = {}

    def __bool__(self) -> bool:
        return bool(self._active)

    def __iter__(self) -> Iterator[Pause]:
        return iter(self._active.values())

    def put(self, pause: Pause) -> None:
        """Start or end a pause."""
        if pause.active:
            self._active[pause.subject] = pause
        else:
            self._active.pop(pause.subject, None)

    def find(self, game: str, function: str = "") -> Pause | None:
        """The pause that stops this game (and function), the widest first; None when nothing does."""
        if not self._active:
            return None
        active = self._active
        return active.get(CHAIN) or active.get(game_subject(game)) or active.get(function_subject(game, function))


class RevertRate:
    """The share of reverted calls among a function's latest."""

    def __init__(self, window: int) -> None:
        self._latest: deque[bool] = deque(maxlen=window)
        self._reverted = 0

    def add(self, reverted: bool) -> None:
        """Count one call."""
        if len(self._latest) == self._latest.maxlen:
            self._reverted -= self._latest[0]
        self._latest.append(reverted)
        self._reverted += reverted

    def over(self, percent_max: int) -> bool:
        """Whether a full window holds more reverted calls than allowed."""
        full = len(self._latest) == self._latest.maxlen
        return full and self._reverted * 100 > percent_max * len(self._latest)
