"""The escape suite, whole: nothing is accepted. And its document is the suite's."""

import pytest

from tests.proof.escapes.accounts import ACCOUNTS, HEADINGS
from tests.proof.escapes.cases import CASES
from tests.proof.escapes.model import EXECUTED, Result
from tests.proof.escapes.plants import PLANTS
from tests.proof.escapes.rows import all_rows
from tests.proof.escapes.suite import run_suite
from tests.proof.escapes.table import DOCUMENT, render, touches_chain

RUNS_MIN = 500
"""As many must have been run, over all accounts."""
RUNS_MIN_EACH = 90
"""And on each of them."""


@pytest.mark.slow
@pytest.mark.parametrize("account", ACCOUNTS)
async def test_nothing_escapes(account: str) -> None:
    results = await run_suite([account], all_rows())
    wrong = [(each.id, *each.faults) for each in results if each.verdict not in ("refused", "not applicable")]
    assert wrong == []
    run = [each for each in results if not each.without]
    assert len(run) >= RUNS_MIN_EACH
    assert all(each.twin == EXECUTED and each.found == each.expected for each in run)


def test_there_are_enough_rows_for_every_case() -> None:
    rows = all_rows()
    assert {row.case for row in rows} == set(CASES) == {f"C{number:02}" for number in range(1, 60)}
    assert set(HEADINGS) == set(ACCOUNTS)
    runs = [(row.id, account) for row in rows for account in ACCOUNTS if not row.reason_without(account)]
    assert len(runs) >= RUNS_MIN
    for account in ACCOUNTS:
        assert sum(each == account for _, each in runs) >= RUNS_MIN_EACH
        assert sum(touches_chain(row, account) for row in rows) >= RUNS_MIN_EACH


def test_each_case_touches_a_chain_or_says_why() -> None:
    """Only what no account can be asked about is left out everywhere."""
    asked = {row.case for row in all_rows() for account in ACCOUNTS if touches_chain(row, account)}
    assert set(CASES) - asked == {"C48", "C50"}


def test_what_does_not_apply_says_why() -> None:
    reasons = [reason for row in all_rows() for reason in row.without.values() if reason]
    assert min(map(len, reasons)) > 20


def test_the_document_is_the_suite() -> None:
    assert DOCUMENT.read_text() == render(all_rows(), len(PLANTS)), "run `python -m tests.proof.escapes --write`"


def result(**changes: object) -> Result:
    row: dict[str, object] = {"id": "", "case": "", "what": "", "account": "", "expected": "AA23", "found": "AA23"}
    return Result(**(row | changes))  # type: ignore[arg-type]


def test_verdicts() -> None:
    assert result().verdict == "refused"
    assert result(without="it has none").verdict == "not applicable"
    assert result(faults=("escape: AA24",)).verdict == "failed"
    assert result(found=EXECUTED, faults=("escape: executed",)).verdict == "accepted"
    assert result(breach="gold", faults=("escape: moved gold",)).verdict == "accepted"
    assert (
        result(expected="executed and nothing came of it", found="executed and nothing came of it").verdict == "refused"
    )
