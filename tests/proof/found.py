"""Who found which planted bug: a committed file that runs add to, and the document that is made from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gamekit.contracts import build
from tests.proof.mutations import EQUIVALENT, MUTATIONS, Mutation

RESULTS: Final = Path(__file__).with_name("found.json")
"""By the bug's name: `of`, its digest, and `by`, the first test that failed, empty for none."""
TABLE: Final = build.PROJECT / "MUTANTS.md"


def read() -> dict[str, str]:
    """Give who found each bug that was planted as it is now; empty for nobody."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {
        each.name: kept[each.name]["by"]
        for each in (*MUTATIONS, *EQUIVALENT)
        if each.name in kept and kept[each.name]["of"] == each.digest()
    }


def add(found_by: Mapping[str, str]) -> None:
    """Keep results beside those that are there, drop those of bugs that are no longer planted, renew the document."""
    known = {**read(), **found_by}
    rows = {
        each.name: {"of": each.digest(), "by": known[each.name]}
        for each in (*MUTATIONS, *EQUIVALENT)
        if each.name in known
    }
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    TABLE.write_text(table(read()))


def table(found_by: Mapping[str, str]) -> str:
    """Write the document."""
    planted = [each for each in MUTATIONS if each.name in found_by]
    found = sum(bool(found_by[each.name]) for each in planted)
    lines = [
        "# Bugs that the tests find",
        "",
        "Written by `python -m tests.proof.mutants --write`; do not edit. Each row is one change to the source of the",
        "module or the paymaster, planted alone, and the first Foundry test that failed with it. A test holds that",
        "every line of these sources that decides something is changed by one of them.",
        "",
        f"{len(planted)} of {len(MUTATIONS)} planted, {found} found.",
        "",
        "| bug | file | the contract would | found by |",
        "|---|---|---|---|",
        *(_row(each, found_by.get(each.name)) for each in MUTATIONS),
        "",
        "## Changes that change nothing",
        "",
        "No test can find one of these: there is nothing to find. `--equivalent` plants them, and it is an error",
        "if one is found.",
        "",
        "| change | file | the contract would | why nobody can tell |",
        "|---|---|---|---|",
        *(f"| {each.name} | {each.file} | {each.what} | {each.why} |" for each in EQUIVALENT),
    ]
    return "\n".join(lines) + "\n"


def _row(each: Mutation, by: str | None) -> str:
    said = "not planted yet" if by is None else f"`{by}`" if by else "**nobody**"
    return f"| {each.name} | {each.file} | {each.what} | {said} |"
