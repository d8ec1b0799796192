"""What a campaign saw, as plain data: the same seed gives the same bytes, apart from the time it took."""

from collections import Counter

import msgspec
from msgspec import Struct

from gamekit.testing.audit import Findings
from gamekit.testing.simulation import Simulation


class BrokenCase(Struct, frozen=True):
    """A case in which something did not hold, and how to see it again."""

    invariant: str
    what: str
    seed: int
    case: int


class Report(Struct):
    """The sums of a campaign."""

    campaign: str
    seed: int
    plant: str = ""
    no_verdict: int = 0
    """1 when what was found is not what the planted bug breaks."""
    cases: int = 0
    crashes: int = 0
    crashes_by_point: dict[str, int] = {}
    with_operation_in_flight: int = 0
    """Crashes at which an operation was signed, and not final yet."""
    pairs: int = 0
    """Ordered pairs of named crash points that came about, each at least once; of `pairs` campaigns only."""
    faults_injected: dict[str, int] = {}
    points_reached: int = 0
    accepted: int = 0
    settled: int = 0
    refused: int = 0
    lost: int = 0
    duplicated: int = 0
    untrue: int = 0
    invariant_breaks: int = 0
    broken: list[BrokenCase] = []
    virtual_seconds: float = 0.0
    seconds: float = 0.0
    """Wall time: the one figure that is not the same every time."""

    def add(self, case: int, simulation: Simulation) -> None:
        """Count a case."""
        self.cases += 1
        witness, findings = simulation.witness, simulation.audit()
        self.crashes += len(witness.deaths)
        self.with_operation_in_flight += sum(in_flight for _, in_flight in witness.deaths)
        self.crashes_by_point = dict(Counter(self.crashes_by_point) + Counter(point for point, _ in witness.deaths))
        self.faults_injected = dict(Counter(self.faults_injected) + Counter(simulation.faults()))
        self.points_reached += simulation.points.total
        self.accepted += findings.accepted
        self.settled += findings.settled
        self.refused += findings.refused
        if witness.breaks:
            findings = Findings(findings.accepted, findings.settled, findings.refused)  # It was cut off: not at rest.
        self.lost += len(findings.lost)
        self.duplicated += len(findings.duplicated)
        self.untrue += len(findings.untrue)
        self.invariant_breaks += len(witness.breaks)
        self.virtual_seconds = round(self.virtual_seconds + simulation.virtual_seconds, 3)
        told = [(each.invariant, each.what) for each in witness.breaks]
        told += [("lost", each) for each in findings.lost] + [("duplicated", each) for each in findings.duplicated]
        told += [("untrue", each) for each in findings.untrue]
        self.broken += [BrokenCase(invariant, what, self.seed, case) for invariant, what in told]

    def fail(self, invariant: str, what: str) -> None:
        """Write down what is wrong with the campaign as a whole."""
        self.broken.append(BrokenCase(invariant, what, self.seed, self.cases - 1))

    @property
    def clean(self) -> bool:
        """Whether everything held."""
        return not self.broken

    def to_json(self) -> str:
        """Write it with its keys in order."""
        plain = msgspec.to_builtins(self)
        for name in ("crashes_by_point", "faults_injected"):
            plain[name] = dict(sorted(plain[name].items()))
        return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n"
