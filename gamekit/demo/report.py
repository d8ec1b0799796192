"""The report: figures of a run, and what they mean."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from gamekit.commands.output import table
from gamekit.demo.thief import Trial

WRONG: Final = (
    "lost",
    "duplicated",
    "unaccepted",
    "misreported",
    "out_of_order",
    "unfounded",
    "counter_mismatches",
    "told_nothing",
)
"""Figures of a report that must be 0."""


class Figures(Struct):
    """What the orchestrator itself counts."""

    players: int
    seconds: float
    setup_s: float = 0.0
    """From the start to a server that takes players."""
    kills: int = 0
    revoked: int = 0
    """Players revoked in the middle of the run."""
    seen_block: int = 0
    cpu_s: dict[str, float] = {}
    """Seconds of CPU, by process."""


def report(
    figures: Figures, clients: dict[str, Any], verdict: dict[str, Any], trials: Sequence[Trial]
) -> dict[str, Any]:
    """Put the figures of all sides together.

    Args:
        figures: the orchestrator's.
        clients: the players' summary.
        verdict: the audit's.
        trials: the thief's.
    """
    executed = verdict["executed"]
    return {
        "players": figures.players,
        "seconds": figures.seconds,
        "offered": clients["offered"],
        "turned_away": clients["turned_away"],
        "accepted": verdict["accepted"],
        "settled_ok": verdict["executed_ok"],
        "settled_reverted": verdict["reverted"],
        "refused": verdict["refused"],
        "lost": verdict["lost"],
        "duplicated": verdict["duplicated"],
        "unaccepted": verdict["unaccepted"],
        "misreported": verdict["misreported"],
        "out_of_order": verdict["out_of_order"],
        "unfounded": verdict["unfounded"],
        "counter_mismatches": verdict["counter_mismatches"],
        "told_nothing": clients["open"] + clients["unanswered"],
        "offered_per_s": clients["offered_per_s"],
        "actions_per_s": clients["actions_per_s"],
        "accept_ms_p50": clients["accept_ms_p50"],
        "accept_ms_p99": clients["accept_ms_p99"],
        "settle_ms_p50": clients["settle_ms_p50"],
        "settle_ms_p99": clients["settle_ms_p99"],
        "gas_per_action": round(verdict["gas_used"] / max(executed, 1)),
        "calls_per_operation": round(executed / max(verdict["operations"], 1), 2),
        "operations_per_bundle": round(verdict["operations"] / max(verdict["bundles"], 1), 2),
        "operations": verdict["operations"],
        "bundles": verdict["bundles"],
        "escapes_tried": len(trials),
        "escapes_refused_on_chain": sum(
            trial.refused_on_chain or (trial.refused and not trial.sent) for trial in trials
        ),
        "escapes_mined": sum(bool(trial.sent) for trial in trials),
        "twins_passed": sum(trial.twin_passed for trial in trials),
        "twins_mined": sum(bool(trial.twin_sent) for trial in trials),
        "reconnects": clients["reconnects"],
        "kills": figures.kills,
        "revoked": figures.revoked,
        "reasons": clients["reasons"],
        "setup_s": figures.setup_s,
        "cpu_s": figures.cpu_s,
        "faults": verdict["faults"],
    }


def is_clean(written: dict[str, Any], *, has_thief: bool) -> bool:
    """Whether nothing went wrong: nothing lost or doubled, no escape, no vacuous refusal."""
    tried = written["escapes_tried"]
    held = tried == written["escapes_refused_on_chain"] == written["twins_passed"]
    return not any(written[name] for name in WRONG) and held and bool(tried) is has_thief


def summary(written: dict[str, Any], trials: Sequence[Trial]) -> str:
    """Say in words how it went."""
    odd = [trial for trial in trials if not (trial.refused and trial.twin_passed)]
    rows = [
        [
            trial.stack,
            trial.name,
            trial.expected,
            trial.sent or trial.simulated,
            trial.twin_sent or trial.twin_simulated,
        ]
        for trial in (odd or [trial for trial in trials if trial.stack == trials[0].stack])
    ]
    escapes = table(("stack", "escape", "expected", "the chain said", "its twin"), rows) if rows else ""
    w = written
    lines = (
        f"accepted {w['accepted']}, ok {w['settled_ok']}, reverted by the game {w['settled_reverted']}, refused "
        f"{w['refused']}; lost {w['lost']}, duplicated {w['duplicated']}\n"
        f"{w['actions_per_s']} actions/s settled, {w['offered_per_s']}/s offered; accepted after "
        f"{w['accept_ms_p50']} ms (p99 {w['accept_ms_p99']}), settled after {w['settle_ms_p50']} ms "
        f"(p99 {w['settle_ms_p99']})\n"
        f"{w['gas_per_action']} gas per action, {w['calls_per_operation']} calls per operation, "
        f"{w['operations_per_bundle']} operations per bundle\n"
        f"{w['escapes_refused_on_chain']} of {w['escapes_tried']} escapes refused by the chain, "
        f"{w['escapes_mined']} of them in mined transactions; "
        f"{w['twins_passed']} twins passed, {w['twins_mined']} of them mined\n"
        f"CPU seconds: {w['cpu_s']}"
    )
    return "\n".join((escapes, "", lines, *w["faults"]))
