"""Who pays when a player holds no ether: what a game sponsors, why it stops, and what its paymaster's refusals mean.

The paymaster counts and decides on chain; nothing is counted here. What it refused is remembered as a *stop*: until
that may have changed, nothing more is accepted or signed for whom it concerns, and callers are told which limit it was.

::

    GameDayCapExceeded     all sessions of the game at this paymaster       until the next day (UTC, chain time)
    PlayerDayCapExceeded   all sessions of the account, of this game        until the next day
    SessionLimitExceeded   this session                                     until another voucher
    SessionNotSponsored    this session                                     until another voucher
    AA31                   all sessions at this paymaster                   until its deposit is topped up
"""

from collections.abc import Iterator
from typing import Final, cast

from msgspec import Struct

from gamekit.core.session import Session
from gamekit.errors import OperationRejected, PaymasterRejected, SponsorshipExhausted
from gamekit.eth.entry_point import FailedOp
from gamekit.eth.hashing import to_hex
from gamekit.eth.interface import Revert
from gamekit.eth.session_paymaster import DAY_S, SESSION_PAYMASTER, GameRecord
from gamekit.eth.session_validator_abi import SESSION_VALIDATOR
from gamekit.eth.validation_code import Fault
from gamekit.units import Address, PermissionId, UnixSeconds, Wei

VOUCHER: Final = "voucher"
SIGNATURE: Final = "signature"
"""How a game says that it pays for a session: once, or once for each operation. `Session.sponsored_by`."""

SPONSOR_POLICY: Final = "SponsorPolicy"
"""Names the game's own limit where a policy of the scope would be named."""

DEPOSIT: Final = "AA31"
GAME_CAP: Final = "GameDayCapExceeded"
PLAYER_CAP: Final = "PlayerDayCapExceeded"
SESSION_LIMIT: Final = "SessionLimitExceeded"
NO_VOUCHER: Final = "SessionNotSponsored"

_AMOUNTS: Final = {
    GAME_CAP: ("spentWei", "dayWeiMax"),
    PLAYER_CAP: ("spentWei", "playerDayWeiMax"),
    SESSION_LIMIT: ("chargedWei", "limitWei"),
    "SessionNotCharged": ("maxCostWei", "chargedWei"),
    "SessionCapExceeded": ("limitWei", "sessionWeiMax"),
}
"""Errors that compare two amounts of wei: which of their fields was asked for, and which is the limit."""


class Sponsoring(Struct, frozen=True, gc=False):
    """How a game pays for the sessions of one unit."""

    by_signature: bool
    """Whether the sponsor signs each operation; else a voucher once for the session."""
    limit_wei: Wei
    """Most for one session, each operation counted at the most that it can cost."""

    @property
    def by(self) -> str:
        """As `Session.sponsored_by` has it."""
        return SIGNATURE if self.by_signature else VOUCHER


def rejection(failed: FailedOp) -> OperationRejected:
    """Say in a typed error why the entry point would not take an operation, with the contract's own error decoded."""
    code = failed.code.code if failed.code is not None else ""
    if failed.code is None or failed.code.fault is not Fault.PAYMASTER:
        inner = f": {revert_text(SESSION_VALIDATOR.decode_revert(failed.inner))}" if failed.inner else ""
        return OperationRejected(f"{failed.reason}{inner}", aa_code=code, reason=failed.reason)
    if not failed.inner:
        return PaymasterRejected(failed.reason, aa_code=code, reason="")
    revert = SESSION_PAYMASTER.decode_revert(failed.inner)
    compared = dict(zip(("asked", "limit"), _amounts(revert), strict=False))
    return PaymasterRejected(f"{failed.reason}: {revert_text(revert)}", aa_code=code, reason=revert.name, **compared)


def revert_text(revert: Revert) -> str:
    """Write a contract's own error with its values; the first bytes of one that is not known."""
    if not revert.name:
        return f"an unknown error, 0x{revert.data[:4].hex()}"
    values = (f"{name}={_text(value)}" for name, value in revert.values.items())
    return f"{revert.name}({', '.join(values)})"


def _text(value: object) -> str:
    return to_hex(value) if isinstance(value, bytes) else str(value)


def _amounts(revert: Revert) -> Iterator[object]:
    for name in _AMOUNTS.get(revert.name, ()):
        yield revert.values[name]


class Stop(Struct, frozen=True):
    """Why, and until when, a paymaster does not pay."""

    reason: str
    """The paymaster's own error by name, or `AA31`."""
    subject: tuple[str | bytes, ...]
    """Whom it concerns."""
    paymaster: Address
    game: str
    asked: Wei
    limit: Wei
    """What was compared, in wei."""
    permission_id: PermissionId | None
    """The session, if it concerns no other."""
    until: UnixSeconds | None
    """Chain time at which it ends by itself; None if only a change on chain ends it."""

    def error(self) -> SponsorshipExhausted:
        """What a caller is told."""
        text = f"the game's paymaster does not pay now: {self.reason}, {self.asked} wei of at most {self.limit}"
        return SponsorshipExhausted(text, reason=self.reason, asked=self.asked, limit=self.limit)


class Stops:
    """The stops in force."""

    def __init__(self) -> None:
        self._stops: dict[tuple[str | bytes, ...], Stop] = {}

    def __bool__(self) -> bool:
        return bool(self._stops)

    def __iter__(self) -> Iterator[Stop]:
        return iter(tuple(self._stops.values()))

    def note(
        self, session: Session, paymaster: Address, cost: Wei, error: PaymasterRejected, now: UnixSeconds
    ) -> Stop | None:
        """Remember what a paymaster refused; None for a refusal that says nothing about the next operation.

        Args:
            session: whose operation it was.
            paymaster: who refused.
            cost: the most that the operation could have cost.
            error: why.
            now: chain time.
        """
        compared = error.compared
        reason = str(compared["aa_code"]) if compared["aa_code"] == DEPOSIT else str(compared["reason"])
        subject = _subjects(session, paymaster).get(reason)
        if subject is None:
            return None
        asked, limit = cast("int", compared.get("asked", cost)), cast("int", compared.get("limit", 0))
        tomorrow = UnixSeconds((now // DAY_S + 1) * DAY_S) if reason in (GAME_CAP, PLAYER_CAP) else None
        alone = session.permission_id if subject[0] == "session" else None
        stop = Stop(reason, subject, paymaster, session.game, Wei(asked), Wei(limit), alone, tomorrow)
        self._stops[subject] = stop
        return stop

    def find(self, session: Session, paymaster: Address | None, now: UnixSeconds) -> Stop | None:
        """Find the stop that concerns a session; one whose time is over is forgotten."""
        if not self._stops or paymaster is None:
            return None
        for subject in _subjects(session, paymaster).values():
            stop = self._stops.get(subject)
            if stop is None:
                continue
            if stop.until is None or now < stop.until:
                return stop
            del self._stops[subject]
        return None

    def end(self, stop: Stop) -> None:
        """Forget a stop: what it was about has changed on chain."""
        self._stops.pop(stop.subject, None)


def is_over(stop: Stop, game: GameRecord, deposit_wei: Wei) -> bool:
    """Whether what the chain says now leaves room for what was asked then.

    A player's cap is told apart by its amount alone: raised, it is worth another attempt.
    """
    if stop.reason == DEPOSIT:
        return deposit_wei >= stop.asked
    if stop.reason == GAME_CAP:
        return game.day_wei_max >= stop.asked
    return stop.reason == PLAYER_CAP and game.player_day_wei_max >= stop.asked


def _subjects(session: Session, paymaster: Address) -> dict[str, tuple[str | bytes, ...]]:
    """Whom each refusal concerns."""
    return {
        DEPOSIT: ("paymaster", paymaster),
        GAME_CAP: ("game", paymaster, session.game),
        PLAYER_CAP: ("player", paymaster, session.game, session.account),
        SESSION_LIMIT: ("session", session.permission_id),
        NO_VOUCHER: ("session", session.permission_id),
    }
