"""Time and pace: before a session, after it, and faster than it may."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from gamekit.demo.forgery import Attempt
from gamekit.units import UnixSeconds
from tests.proof.escapes.make import operation_row, refused, trial_row
from tests.proof.escapes.model import Do, Expected, Operate, Row, Step, Trial
from tests.proof.escapes.sessions import PACE_BURST, PACE_MS, TIGHT_USES
from tests.proof.escapes.world import World

OVER: Final = Expected("AA22")
RATE: Final = refused("RateExceeded")
USES: Final = refused("UsesExceeded")


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _frames()
    yield from _ends()
    yield from _pace()
    yield from _uses()


def until(session: str, before_end_s: int = 0) -> Do:
    """Let time pass until so many seconds before a session's end; the next block is there."""

    async def wait(world: World) -> None:
        end = world.sessions[session].scope.time.valid_until
        await world.node.request_optional(object, "evm_mine", {"timestamp": hex(end - before_end_s - 1)})

    return Do(wait)


def _frames() -> Iterator[Row]:
    """C38: a session that has not begun, and one that is over."""

    def begun(world: World) -> Do:
        async def wait(world: World) -> None:
            begin = world.sessions["future"].scope.time.valid_after
            await world.node.request_optional(object, "evm_mine", {"timestamp": hex(begin + 30)})

        return Do(wait)

    yield trial_row(
        "C38",
        "not-yet",
        "a session that begins tomorrow",
        OVER,
        lambda w: Trial(
            twin_before=(begun(w),),
            # A deadline behind its beginning, so that there is a time at which it would be valid.
            escape=Operate(_claiming(w, "future", 86_400 - 100), "future"),
            twin=Operate(w.one(w.play(), "future"), "future"),
        ),
    )
    yield trial_row(
        "C38",
        "not-yet-by-claim",
        "a session that begins tomorrow, by an operation of today",
        refused("TimeRangeEmpty"),
        lambda w: Trial(
            twin_before=(begun(w),),
            escape=Operate(w.one(w.play(), "future"), "future"),
            twin=Operate(w.one(w.play(), "future"), "future"),
        ),
    )
    yield trial_row(
        "C38",
        "over",
        "a session that is over",
        refused("TimeRangeEmpty"),
        lambda w: Trial(
            escape_before=(until("tight", -30),),
            escape=Operate(w.one(w.play(), "tight"), "tight"),
            twin=Operate(w.one(w.play(), "tight"), "tight"),
        ),
    )


def _claiming(world: World, session: str, ahead_s: int) -> Attempt:
    return replace(world.one(world.play(), session), age_s=-ahead_s, life_s=200)


def _ends() -> Iterator[Row]:
    """C38: the last second is the last."""

    def at_end(world: World, late_s: int) -> Operate:
        end = world.sessions["tight"].scope.time.valid_until
        attempt = replace(world.one(world.play(), "tight"), life_s=100_000)
        return Operate(attempt, "tight", at=UnixSeconds(end + late_s))

    yield trial_row(
        "C38",
        "second-after",
        "the second after the last",
        OVER,
        lambda w: Trial(before=(until("tight", 10),), escape=at_end(w, 1), twin=at_end(w, 0)),
    )
    yield trial_row(
        "C38",
        "last-second-claimed",
        "an operation that claims the last second",
        refused("TimeRangeEmpty"),
        lambda w: Trial(
            before=(until("tight"),),
            escape=Operate(replace(w.one(w.play(), "tight"), age_s=-1), "tight", at=_end(w, "tight")),
            twin=Operate(replace(w.one(w.play(), "tight"), age_s=0), "tight", at=_end(w, "tight")),
        ),
    )


def _end(world: World, session: str) -> UnixSeconds:
    return UnixSeconds(world.sessions[session].scope.time.valid_until)


def _moves(world: World, count: int, session: str, age_s: int = 5) -> Attempt:
    calls = [world.play(place + 1) for place in range(count)]
    made = world.one(calls[0], session) if count == 1 else world.many(calls, session)
    return replace(made, age_s=age_s)


def _pace() -> Iterator[Row]:
    """C28: faster than the pace: at once, a little later, by claiming another time."""
    full, interval_s = PACE_BURST, PACE_MS // 1000

    def spent(world: World) -> tuple[Step, ...]:
        return (Operate(_moves(world, full, "paced", 60), "paced"),)

    # Claims count from the head, which is one second later behind the operation before.
    yield operation_row(
        "C28",
        "rate",
        "one call more than the burst, at once",
        RATE,
        lambda w: (_moves(w, 1, "paced", 61), _moves(w, 1, "paced", 61 - interval_s)),
        session="paced",
        before=spent,
        values=lambda _: {"aheadMs": (full + 1) * PACE_MS, "aheadMsMax": full * PACE_MS},
        off_chain="RateLimitPolicy",
    )
    yield operation_row(
        "C28",
        "rate-early",
        "one second before the next call has been refilled",
        RATE,
        lambda w: (_moves(w, 1, "paced", 61 - interval_s + 1), _moves(w, 1, "paced", 61 - interval_s)),
        session="paced",
        before=spent,
        values=lambda _: {"aheadMs": full * PACE_MS + 1000, "aheadMsMax": full * PACE_MS},
        off_chain="RateLimitPolicy",
    )
    yield operation_row(
        "C28",
        "rate-back",
        "a claim of before the operation that went ahead",
        RATE,
        lambda w: (_moves(w, 1, "paced", 80), _moves(w, 1, "paced", 20)),
        session="paced",
        before=spent,
        off_chain="RateLimitPolicy",
    )
    yield operation_row(
        "C28",
        "rate-bundle",
        "two full bursts in one bundle",
        RATE,
        lambda w: (
            replace(_moves(w, full, "paced", 60), first=(_moves(w, full, "paced", 60),)),
            replace(_moves(w, full, "paced", 60 - full * interval_s), first=(_moves(w, full, "paced", 60),)),
        ),
        session="paced",
        effect={"plays": 2 * full},
        values=lambda _: {"aheadMs": 2 * full * PACE_MS, "aheadMsMax": full * PACE_MS},
        off_chain="RateLimitPolicy",
    )


def _behind_three(world: World, count: int) -> Attempt:
    return replace(_moves(world, count, "tight"), first=(_moves(world, 3, "tight"),))


def _uses() -> Iterator[Row]:
    """C28: the session's calls are counted for good."""
    most = TIGHT_USES
    values = {"uses": most + 1, "usesMax": most}
    yield operation_row(
        "C28",
        "uses",
        "one call more than the session has, at once",
        USES,
        lambda w: (_moves(w, most + 1, "tight"), _moves(w, most, "tight")),
        session="tight",
        effect={"plays": most},
        values=lambda _: values,
        off_chain="UsageLimitPolicy",
    )
    yield operation_row(
        "C28",
        "uses-over-time",
        "one call more than the session has, by a later operation",
        USES,
        lambda w: (_moves(w, 4, "tight"), _moves(w, 3, "tight")),
        session="tight",
        before=lambda w: (Operate(_moves(w, most - 3, "tight"), "tight"),),
        effect={"plays": 3},
        values=lambda _: values,
        off_chain="UsageLimitPolicy",
    )
    yield operation_row(
        "C28",
        "uses-in-bundle",
        "one call more than the session has, by two operations in one bundle",
        USES,
        lambda w: (_behind_three(w, most - 2), _behind_three(w, most - 3)),
        session="tight",
        effect={"plays": most},
        values=lambda _: values,
        off_chain="UsageLimitPolicy",
    )
