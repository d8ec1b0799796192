"""The audit names each way in which players and chain can disagree, and knows nothing of gamekit."""

import ast
from pathlib import Path
from typing import Any

import pytest

from gamekit.testing import audit as module
from gamekit.testing.audit import audit


def entry(*told: tuple[str, str, bool], accepted: int = 1, denied: str = "") -> dict[str, Any]:
    events = [{"kind": kind, "user_op_hash": hashed, "ok": ok} for kind, hashed, ok in told]
    return {"key": "k", "fingerprint": "f", "accepted": accepted, "denied": denied, "told": events}


def run(hashed: str = "a", place: int = 0, *, reverted: bool = False, fingerprint: str = "f") -> dict[str, Any]:
    return {"fingerprint": fingerprint, "user_op_hash": hashed, "place": place, "reverted": reverted}


DONE = (("settled", "a", True), ("final", "a", True))


@pytest.mark.parametrize(
    ("entries", "executed", "found"),
    [
        ([entry(*DONE)], [run()], ""),
        ([entry(("refused", "", False))], [], ""),
        ([entry(accepted=0)], [], ""),
        ([entry(*DONE)], [], "lost"),
        ([entry()], [], "lost"),
        ([entry(("settled", "a", True))], [run()], "lost"),
        ([entry(("settled", "a", True), ("reorged", "a", True))], [], "lost"),
        ([entry(*DONE)], [run(), run("b")], "duplicated"),
        ([entry(*DONE)], [run(), run("a", 1)], "duplicated"),
        ([entry(("refused", "", False))], [run()], "untrue"),
        ([entry(*DONE)], [run("b")], "untrue"),
        ([entry(*DONE)], [run(reverted=True)], "untrue"),
        ([entry(accepted=0, denied="scope_denied")], [run()], "untrue"),
        ([entry(*DONE)], [run(), run(fingerprint="g")], "untrue"),
    ],
)
def test_audit(entries: list[Any], executed: list[Any], found: str) -> None:
    findings = audit(entries, executed)
    assert [name for name in ("lost", "duplicated", "untrue") if getattr(findings, name)] == ([found] if found else [])
    assert findings.clean == (not found)


def test_it_imports_nothing_of_gamekit() -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert names
    assert not [name for name in names if name and name.startswith("gamekit")]
