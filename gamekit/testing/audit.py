"""Joins what players were told with what the chain executed, and counts what is lost, doubled, or told wrong.

Imports nothing of gamekit: it judges plain data, by rules of its own, so that a mistake of the code that it judges
cannot hide in it. One action on chain is one (user operation hash, place in its batch).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Findings:
    """What an audit found; empty lists are what everybody wants."""

    accepted: int = 0
    settled: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    """Accepted, and neither executed nor refused; or said to be executed, and not."""
    duplicated: list[str] = field(default_factory=list)
    """Executed more than once."""
    untrue: list[str] = field(default_factory=list)
    """Told otherwise than the chain has it."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.untrue)


def audit(entries: Iterable[Mapping[str, object]], executed: Iterable[Mapping[str, object]]) -> Findings:
    """Judge a world at rest.

    Args:
        entries: each with `key`, `fingerprint`, `accepted` (an id, 0 for none) and `told`: a list of `kind`,
            `user_op_hash`, `ok`.
        executed: what the canonical chain ran, each with `fingerprint`, `user_op_hash`, `place` and `reverted`.
    """
    runs: dict[str, dict[tuple[str, int], bool]] = {}
    for run in executed:
        place = str(run["user_op_hash"]), int(str(run["place"]))
        runs.setdefault(str(run["fingerprint"]), {})[place] = bool(run["reverted"])
    findings = Findings()
    known = set()
    for entry in entries:
        known.add(str(entry["fingerprint"]))
        _judge(entry, runs.get(str(entry["fingerprint"]), {}), findings)
    findings.untrue += [
        f"{fingerprint} ran and nobody asked for it" for fingerprint in runs if fingerprint not in known
    ]
    return findings


def _judge(entry: Mapping[str, object], runs: Mapping[tuple[str, int], bool], findings: Findings) -> None:
    key, told = str(entry["key"]), entry["told"]
    last = told[-1] if isinstance(told, Sequence) and told else None
    findings.accepted += bool(entry["accepted"])
    if len(runs) > 1:
        findings.duplicated.append(f"{key} ran {len(runs)} times")
    if last is None:
        if entry["accepted"]:
            findings.lost.append(f"{key} was accepted, and nothing was told of it")
        elif runs and entry["denied"]:
            findings.untrue.append(f"{key} was denied, and ran")
        return
    if last["kind"] == "refused":
        findings.refused += 1
        if runs:
            findings.untrue.append(f"{key} was refused, and ran")
    elif last["kind"] in ("settled", "final"):
        findings.settled += 1
        if not runs:
            findings.lost.append(f"{key} was told {last['kind']}, and the chain has not run it")
        elif all(place[0] != last["user_op_hash"] for place in runs):
            findings.untrue.append(f"{key} was told to be in {last['user_op_hash']}, and ran elsewhere")
        elif any(reverted == bool(last["ok"]) for reverted in runs.values()):
            findings.untrue.append(f"{key} was told ok={last['ok']}, and it is not so")
        if last["kind"] == "settled":
            findings.lost.append(f"{key} was settled, and never told to be final")
    else:
        findings.lost.append(f"{key} was taken back, and nothing was told after that")
