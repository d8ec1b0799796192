"""The table of faults: every one is there, and what it names exists. `GAMEKIT_WRITE_FAULTS=1` writes FAULTS.md anew."""

import ast
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "faults.toml"
PAGE = ROOT / "tests" / "FAULTS.md"
WRITE = bool(os.environ.get("GAMEKIT_WRITE_FAULTS"))
COUNT = 56
NEEDS_A_PART = {"F36", "F37", "F42"}
"""What cannot be handled whole before a part exists that nobody has built yet."""
SIMULATED = {"crashes", "pairs", "disk", "reorgs", "poison", "revoke", "budget", "gas", "sponsor"}
REAL = {"kills", "byzantine", "racers", "restore"}
FIELDS = {"fault", "answer", "handled", "tests", "campaigns"}

HEADER = """# Faults

Written from faults.toml by `GAMEKIT_WRITE_FAULTS=1 python -m pytest tests/test_fault_table.py`; do not edit. Each row
says what can go wrong, what gamekit does, where, and which test or campaign injects it. Campaigns:
`python -m gamekit.testing.simulate --campaign NAME` ({simulated}) and `python -m tests.campaigns.NAME` ({real}).

| | fault | what happens | where | injected by |
|---|---|---|---|---|
"""


def table(path: Path = TABLE) -> dict[str, dict[str, Any]]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def names(path: Path) -> set[str]:
    """The tests of a file, as pytest names them."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inside = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {f"{node.name}::{each.name}" for each in inside}
    return found


def wrong(rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What the table says and is not so."""
    wanted = [f"F{number}" for number in range(1, COUNT + 1)]
    if list(rows) != wanted:
        yield f"not F1 to F{COUNT} in order: {sorted(set(wanted) ^ set(rows))}"
    for name, row in rows.items():
        if not FIELDS <= row.keys() <= FIELDS | {"missing"}:
            yield f"{name} has the fields {sorted(row)}"
            continue
        if bool(row.get("missing")) is not (name in NEEDS_A_PART):
            yield f"{name}: `missing` is {row.get('missing')!r}"
        if not row["handled"] or not row["tests"]:
            yield f"{name} names no file, or no test"
        yield from (f"{name}: no gamekit/{each}" for each in row["handled"] if not (ROOT / "gamekit" / each).is_file())
        for each in row["tests"]:
            file, _, test = each.partition("::")
            if not (ROOT / "tests" / file).is_file() or (test and test not in names(ROOT / "tests" / file)):
                yield f"{name}: no test {each}"
        yield from (f"{name}: no campaign {each}" for each in set(row["campaigns"]) - SIMULATED - REAL)


def page(rows: dict[str, dict[str, Any]]) -> str:
    """The table for people."""
    text = HEADER.format(simulated=", ".join(sorted(SIMULATED)), real=", ".join(sorted(REAL)))
    for name, row in rows.items():
        answer = row["answer"] + (f". **Not yet: {row['missing']}**" if row.get("missing") else "")
        where = ", ".join(f"`{each}`" for each in row["handled"])
        tests = ", ".join(f"`{each}`" for each in row["tests"])
        campaigns = f"; campaigns {', '.join(row['campaigns'])}" if row["campaigns"] else ""
        text += f"| {name} | {row['fault']} | {answer} | {where} | {tests}{campaigns} |\n"
    return text


def test_every_fault_is_there_and_what_it_names_exists() -> None:
    assert list(wrong(table())) == []


def test_the_page_is_the_table() -> None:
    if WRITE:
        PAGE.write_text(page(table()), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(table())


@pytest.mark.parametrize("campaigns", [SIMULATED, REAL], ids=["simulated", "real"])
def test_every_campaign_injects_something(campaigns: set[str]) -> None:
    used = {each for row in table().values() for each in row["campaigns"]}
    assert campaigns - used <= {"budget"}  # I8 is no fault; `runtime/test_faults.py::TestBudget` races as well


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("F3", {"tests": ["runtime/test_restart.py::test_nothing"]}, "F3: no test"),
        ("F3", {"tests": ["runtime/test_nowhere.py"]}, "F3: no test"),
        ("F3", {"tests": []}, "F3 names no file"),
        ("F4", {"handled": ["runtime/nothing.py"]}, "F4: no gamekit/runtime/nothing.py"),
        ("F5", {"campaigns": ["chess"]}, "F5: no campaign chess"),
        ("F36", {"missing": ""}, "F36: `missing`"),
        ("F1", {"missing": "all"}, "F1: `missing`"),
        ("F7", {"note": ""}, "F7 has the fields"),
    ],
)
def test_planted_lies_are_found(name: str, changes: dict[str, Any], said: str) -> None:
    rows = table()
    rows[name] = rows[name] | changes
    assert [each for each in wrong(rows) if said in each] != []


def test_planted_gap_is_found() -> None:
    rows = table()
    del rows["F9"]
    assert list(wrong(rows)) == ["not F1 to F56 in order: ['F9']"]
