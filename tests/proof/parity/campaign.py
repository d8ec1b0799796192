"""The campaign: each input to both sides, and what may never be.

1. Python accepts, the contract does not.
2. Both accept, and differ in the time range or in what is used up afterwards.
3. The contract accepts what Python refuses, for a reason that is not on the list.
4. The contract refuses without an error of validation that its interface names.
5. A decoder makes more elements than the input has words.
6. An error of validation that no input produced, or a share of accepted inputs so small that the rest says nothing.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct, field

from gamekit.core.usage import stored_usage
from gamekit.eth.scope_form import ScopeForm
from gamekit.eth.session_validator_abi import SessionRecord
from gamekit.eth.user_operation import PackedUserOperation
from gamekit.units import Address, PermissionId, UnixSeconds
from tests.proof.parity.elements import Counter
from tests.proof.parity.ground import Ground
from tests.proof.parity.inputs import BATCH_INPUTS, KINDS, POOL_INPUTS, Input, Inputs
from tests.proof.parity.oracle import ContractVerdict, Kind, validation_errors
from tests.proof.parity.plants import Plant
from tests.proof.parity.scopes import Drawn
from tests.proof.parity.verdict import OTHER_FORM, Accepted, Known, PythonSide, Refused

ACCEPTED_SHARE_MIN: Final = 0.15
ALL_ERRORS_FROM: Final = 50_000
"""From so many inputs on each error of validation must have been produced."""
STRICTER: Final = {
    OTHER_FORM: (
        "The contract grants a scope whose rules stand in another order than that of the entries, are shared between "
        "entries or used by none. gamekit writes one form only, and reads no other: a session that somebody granted "
        "by other means in another form is not gamekit's to play. Refused before anything is signed."
    ),
    "Witnesses": (
        "The contract takes a long list's witnesses with the same entry shown more than once, as each proves itself. "
        "gamekit shows each entry once, at its first use, and recognises no other form as its own. Refused before "
        "anything is signed."
    ),
}
"""Why Python refuses what the contract accepts: every reason that may be."""


class Fault(Struct, frozen=True):
    """One thing that may never be."""

    index: int
    """Of the input; below 0 when it is the campaign's as a whole."""
    what: str
    detail: str = ""


class Result(Struct):
    """What a campaign found."""

    seed: int
    count: int = 0
    accepted: int = 0
    """By the contract."""
    refused: int = 0
    signature_failed: int = 0
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    """Kind of input to what the contract said to how often."""
    errors: dict[str, int] = field(default_factory=dict)
    """Error of validation to how often it was produced."""
    errors_missing: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    """Why Python refused, of what both refuse."""
    stricter: dict[str, dict[str, object]] = field(default_factory=dict)
    """Why Python refused what the contract accepts: how often, why that is right, and one input."""
    elements: int = 0
    elements_per_word_max: float = 0.0
    calls_per_word_max: float = 0.0
    """Most function calls of the decoder for each word of an input."""
    validation_gas_max: int = 0
    seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """Of this process and of the node; the runner fills it in."""
    faults: list[Fault] = field(default_factory=list)


class Contract(Protocol):
    """The contract's side; `oracle.Oracle` is the real one."""

    ground: Ground
    epoch: int

    async def grant(self, scopes: Iterable[bytes]) -> None:
        """Grant scopes on the account."""
        ...

    async def judge(
        self,
        operations: Sequence[tuple[PermissionId, PackedUserOperation]],
        records: dict[PermissionId, SessionRecord],
        entry_point: Address,
    ) -> list[ContractVerdict]:
        """Judge each operation by itself."""
        ...


class Campaign:
    """One run over the inputs of a seed."""

    def __init__(
        self,
        contract: Contract,
        seed: int,
        plant: Plant,
        kinds: Mapping[str, int] = KINDS,
        all_errors_from: int = ALL_ERRORS_FROM,
    ) -> None:
        """Prepare.

        Args:
            contract: the contract's side.
            seed: what all inputs follow from.
            plant: Python's side, with a bug or without.
            kinds: what is drawn, and how often.
            all_errors_from: from so many inputs on each error of validation must have been produced.
        """
        self._contract = contract
        self._plant = plant
        self._all_errors_from = all_errors_from
        self._inputs = Inputs(seed, contract.ground, contract.epoch, kinds)
        self._counter = Counter(plant.codes)
        self._errors: Tally[str] = Tally()
        self._reasons: Tally[str] = Tally()
        self._pool: tuple[int, list[Drawn]] = (-1, [])
        self.result = Result(seed)

    async def run(self, count: int, told: Callable[[int], None] = lambda done: None, until: str = "") -> Result:
        """Judge the inputs 0 to `count` - 1, or fewer: the batch with the first fault is the last.

        Args:
            count: at least 1.
            told: is called with the number of inputs done, after each batch.
            until: stop only at a fault of this kind.
        """
        started = time.monotonic()
        for first in range(0, count, BATCH_INPUTS):
            await self._batch(range(first, min(first + BATCH_INPUTS, count)))
            told(self.result.count)
            if any(until in fault.what for fault in self.result.faults):
                break
        else:
            self._judge_the_whole()
        self._close(started)
        return self.result

    async def run_one(self, index: int) -> tuple[Input, Accepted | Refused, ContractVerdict]:
        """Judge one input by itself; gives it with both verdicts."""
        started = time.monotonic()
        ((found, here, there),) = await self._batch(range(index, index + 1))
        self._close(started)
        return found, here, there

    async def _batch(self, indices: range) -> list[tuple[Input, Accepted | Refused, ContractVerdict]]:
        number = indices[0] // BATCH_INPUTS
        sessions = self._inputs.sessions(await self._granted(indices[0] // POOL_INPUTS), number)
        version = self._inputs.version(number)
        inputs = [self._inputs.draw(index, sessions) for index in indices]
        records = {each.permission: each.record for each in sessions}
        entry_point = self._contract.ground.entry_points[version]
        verdicts = await self._contract.judge([(each.permission, each.op) for each in inputs], records, entry_point)
        known = {
            each.drawn.signed: Known(
                each.drawn.scope if each.drawn.is_ours else None,
                ScopeForm(each.drawn.granted) if each.drawn.is_ours else None,
                each.permission,
                each.record,
            )
            for each in sessions
        }
        python = PythonSide(self._contract.ground, known, self._contract.epoch, self._plant.parts)
        scopes = {each.permission: each.drawn.scope for each in sessions}
        judged = []
        for each, there in zip(inputs, verdicts, strict=True):
            here = python.judge(each.op, version)
            self._compare(each, here, there)
            if isinstance(here, Accepted) and there.kind is Kind.ACCEPTED:
                after = stored_usage(scopes[each.permission], there.record)
                self._compare_effects(each, here, there, after == here.usage)
            self._count_elements(each)
            judged.append((each, here, there))
        return judged

    async def _granted(self, number: int) -> list[Drawn]:
        if self._pool[0] != number:
            drawn = self._inputs.pool(number)
            await self._contract.grant([each.granted for each in drawn])
            self._pool = number, drawn
        return self._pool[1]

    def _compare(self, found: Input, here: Accepted | Refused, there: ContractVerdict) -> None:
        result = self.result
        result.count += 1
        result.validation_gas_max = max(result.validation_gas_max, there.gas)
        told = there.error or there.kind.name.lower()
        of_kind = result.kinds.setdefault(found.kind, {})
        of_kind[told] = of_kind.get(told, 0) + 1
        result.accepted += there.kind is Kind.ACCEPTED
        result.refused += there.kind is Kind.REFUSED
        result.signature_failed += there.kind is Kind.SIGNATURE_FAILED
        if there.kind is Kind.REFUSED:
            self._errors[there.error] += 1
        if there.kind is Kind.OTHER or (there.kind is Kind.REFUSED and there.error not in validation_errors()):
            self._fault(found, "the contract answers with no verdict of its interface", told)
        if isinstance(here, Accepted) and there.kind is not Kind.ACCEPTED:
            self._fault(found, "Python accepts what the contract refuses", f"{told}; {found.kind}: {found.notes}")
        if isinstance(here, Refused):
            if there.kind is Kind.ACCEPTED:
                self._stricter(found, here)
            else:
                self._reasons[here.reason] += 1

    def _stricter(self, found: Input, here: Refused) -> None:
        if here.reason not in STRICTER:
            detail = f"{here.reason}: {here.detail}; {found.kind}: {found.notes}"
            self._fault(found, "the contract accepts what Python refuses, for a reason that is not listed", detail)
            return
        entry = self.result.stricter.setdefault(
            here.reason, {"count": 0, "why": STRICTER[here.reason], "example": found.index}
        )
        entry["count"] = int(str(entry["count"])) + 1

    def _compare_effects(self, found: Input, here: Accepted, there: ContractVerdict, same_usage: bool) -> None:
        range_here = UnixSeconds(here.valid_after), UnixSeconds(here.valid_until)
        if range_here != (there.valid_after, there.valid_until):
            self._fault(found, "both accept, at other times", f"{range_here}, contract {there}")
        if not same_usage:
            self._fault(found, "both accept, and charge differently", f"{here.usage}, contract {there.record}")

    def _count_elements(self, found: Input) -> None:
        wrong = self._counter.decode(self._plant.parts.decode, found.op.call_data)
        if found.arguments is not None:
            function, data = found.arguments
            wrong = wrong or self._counter.decode(self._plant.decode_arguments(function), data)
        if wrong:
            self._fault(found, "the decoder's work is not bounded by its input", wrong)

    def _judge_the_whole(self) -> None:
        result = self.result
        missing = validation_errors() - self._errors.keys()
        result.errors_missing = sorted(missing)
        if missing and result.count >= self._all_errors_from:
            result.faults.append(Fault(-1, "errors of validation that no input produced", ", ".join(sorted(missing))))
        share = result.accepted / result.count
        if share < ACCEPTED_SHARE_MIN:
            result.faults.append(
                Fault(-1, "too few inputs are accepted for the others to mean anything", f"{share:.3f}")
            )

    def _fault(self, found: Input, what: str, detail: str) -> None:
        self.result.faults.append(Fault(found.index, what, detail))

    def _close(self, started: float) -> None:
        result, counter = self.result, self._counter
        result.errors = dict(sorted(self._errors.items()))
        result.reasons = dict(sorted(self._reasons.items()))
        result.elements = counter.elements
        result.elements_per_word_max = round(counter.most, 3)
        result.calls_per_word_max = round(counter.calls_most, 3)
        result.seconds = round(time.monotonic() - started, 1)
