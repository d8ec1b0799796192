"""The shape of the code: layers, purity, sizes, names, twins. Each rule must also find a violation planted for it."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Rule = Callable[[Path], Iterator[str]]

LEAVES = {"config", "errors", "units"}
BELOW_RUNTIME = LEAVES | {"accounts", "core", "eth", "ports"}
ADAPTERS = {"chain", "keys", "store"}
BELOW_EDGES = BELOW_RUNTIME | ADAPTERS | {"adapters", "contracts", "kit", "protocol", "runtime"}
EDGES = {"__init__", "__main__", "cli", "client", "commands", "console", "demo", "devnet", "gateway", "testing"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "units": set(),
    "config": {"errors"},
    "eth": {"errors", "units"},
    "accounts": {"errors", "eth", "units"},
    "core": LEAVES | {"accounts", "eth"},
    "protocol": LEAVES | {"core", "eth"},
    "ports": {"core", "errors", "eth", "units"},
    "runtime": BELOW_RUNTIME,
    "chain": BELOW_RUNTIME,
    "keys": BELOW_RUNTIME,
    "store": BELOW_RUNTIME,
    "contracts": {"core", "errors", "eth"},
    "adapters": BELOW_RUNTIME | ADAPTERS,
    "kit": BELOW_EDGES,
    "client": LEAVES | {"eth", "protocol"},
    "gateway": BELOW_RUNTIME | {"kit", "protocol", "runtime"},
    "console": BELOW_RUNTIME | {"kit", "protocol", "runtime"},
    "testing": BELOW_EDGES,
    "devnet": BELOW_EDGES,
    "demo": BELOW_EDGES | EDGES,
    "commands": BELOW_EDGES | EDGES,
    "cli": BELOW_EDGES | EDGES,
    "__init__": BELOW_EDGES | EDGES,
    "__main__": {"cli"},
}
"""Each name under gamekit/, and what it may import beside itself: never backwards, never sideways between adapters."""

PURE = {"accounts", "core", "eth", "protocol"}
"""No input, no output, no clock, no chance: only values in and values out."""
DECIDING = PURE - {"protocol"}
"""Where every decision is made: no Any, and a test file for each module."""
PURE_IMPORTS = {
    "base64", "binascii", "bisect", "coincurve", "collections", "dataclasses", "datetime", "decimal", "enum",
    "functools", "hashlib", "heapq", "hmac", "itertools", "math", "msgspec", "operator", "re", "sha3", "string",
    "struct", "tomllib", "types", "typing", "unicodedata",
}  # fmt: skip
"""Everything outside gamekit that pure code may import."""
IMPURE_NAMES = {"breakpoint", "input", "now", "open", "print", "today", "utcnow"}
"""Called in pure code, these reach for the outside world or for its clock."""
RUNTIME_IMPORTS = {"msgspec"}
"""Third-party packages that the runtime may import: all that talks to the world comes in through ports."""

LINES_MAX = 500
FUNCTION_LINES_MAX = 60
"""Without the docstring."""

TOP_LEVEL = {
    ".ci", ".gitattributes", ".gitignore", ".pre-commit-config.yaml", "ARCHITECTURE.md", "CHANGELOG.md",
    "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "benchmarks", "examples", "gamekit", "pyproject.toml",
    "requirements.lock", "tests",
}  # fmt: skip


def modules(root: Path, *folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Parse every Python file of our own, with its path below `root`."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"))


def layer(path: Path) -> str:
    """Give the name under gamekit/ that a file belongs to."""
    return path.parts[1].removesuffix(".py")


def imports(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of each import, also those inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.parts[: -node.level]) if node.level else ""
            module = ".".join(filter(None, [package, node.module]))
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


class WithoutTypeOnly(ast.NodeTransformer):
    """Takes out what stands under TYPE_CHECKING."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Keep the else branch only."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return node


def imported_layer(name: str) -> str | None:
    """Give the name under gamekit/ that an import reaches, None for an import from elsewhere."""
    top, _, rest = name.partition(".")
    if top != "gamekit":
        return None
    reached = rest.partition(".")[0]
    return reached if reached in MAY_IMPORT else "__init__"


def check_layers(root: Path) -> Iterator[str]:
    """Imports follow the drawing in the design: never backwards, never sideways."""
    for path, tree in modules(root, "gamekit"):
        if layer(path) not in MAY_IMPORT:
            yield f"{path}: {layer(path)} is no agreed name under gamekit/"
            continue
        for line, name in imports(path, tree):
            reached = imported_layer(name)
            if reached not in {None, layer(path)} | MAY_IMPORT[layer(path)]:
                yield f"{path}:{line}: {layer(path)} must not import {reached}"


def check_cycles(root: Path) -> Iterator[str]:
    """No module needs itself to be imported, however far around. Types may name each other."""
    trees = {
        ".".join(path.with_suffix("").parts): (path, WithoutTypeOnly().visit(tree))
        for path, tree in modules(root, "gamekit")
    }
    needs = {
        module: {
            found for _, name in imports(path, tree) for found in (name, name.rpartition(".")[0]) if found in trees
        }
        for module, (path, tree) in trees.items()
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        yield f"import cycle: {' → '.join(error.args[1])}"


def check_pure_imports(root: Path) -> Iterator[str]:
    """Pure code imports from a fixed, short list."""
    for path, tree in modules(root, "gamekit"):
        for line, name in imports(path, tree):
            package = name.partition(".")[0]
            if layer(path) in PURE and package != "gamekit" and package not in PURE_IMPORTS:
                yield f"{path}:{line}: pure code must not import {package}"


def check_pure_calls(root: Path) -> Iterator[str]:
    """Pure code neither waits nor asks the outside world, and its types are never Any."""
    for path, tree in modules(root, "gamekit"):
        if layer(path) not in PURE:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
                yield f"{path}:{node.lineno}: pure code must not wait"
            elif isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in IMPURE_NAMES:
                    yield f"{path}:{node.lineno}: pure code must not call {called}"
            elif isinstance(node, ast.Name) and node.id == "Any" and layer(path) in DECIDING:
                yield f"{path}:{node.lineno}: {layer(path)} must not use Any"


def check_runtime_imports(root: Path) -> Iterator[str]:
    """The runtime reaches the world through ports only."""
    ours = RUNTIME_IMPORTS | {"gamekit"} | sys.stdlib_module_names
    for path, tree in modules(root, "gamekit"):
        for line, name in imports(path, tree):
            if layer(path) == "runtime" and name.partition(".")[0] not in ours:
                yield f"{path}:{line}: the runtime must not import {name.partition('.')[0]}"


def check_sizes(root: Path) -> Iterator[str]:
    """Files and functions stay below the outer bounds."""
    for path, tree in modules(root, "gamekit", "tests", "benchmarks", "examples"):
        lines = len((root / path).read_text(encoding="utf-8").splitlines())
        if lines > LINES_MAX:
            yield f"{path}: {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and function_lines(node) > FUNCTION_LINES_MAX:
                yield f"{path}:{node.lineno}: {node.name} has {function_lines(node)} lines"


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines without its decorators and its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        docstring = node.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def check_top_level(root: Path) -> Iterator[str]:
    """Only the agreed names stand at the top of what git holds or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in sorted({line.partition("/")[0] for line in listed} - TOP_LEVEL):
        yield f"{name} stands at the top; only the agreed names do"


def check_twins(root: Path) -> Iterator[str]:
    """Each module that decides has a test file of its own, at the same place under tests/."""
    for path, _ in modules(root, *(f"gamekit/{name}" for name in sorted(DECIDING))):
        twin = Path("tests", *path.parts[1:-1], f"test_{path.name}")
        if path.name != "__init__.py" and not (root / twin).is_file():
            yield f"{path} has no {twin}"


RULES: tuple[Rule, ...] = (
    check_layers,
    check_cycles,
    check_pure_imports,
    check_pure_calls,
    check_runtime_imports,
    check_sizes,
    check_top_level,
    check_twins,
)

LONG_FUNCTION = "def long():\n    '''Doc.'''\n" + "    x = 1\n" * FUNCTION_LINES_MAX

PLANTED: tuple[tuple[Rule, dict[str, str], str], ...] = (
    (check_layers, {"gamekit/eth/a.py": "from gamekit.core.lane import Lane"}, "eth must not import core"),
    (check_layers, {"gamekit/core/a.py": "from ..ports import Store"}, "core must not import ports"),
    (check_layers, {"gamekit/core/a.py": "import gamekit.runtime.engine"}, "core must not import runtime"),
    (check_layers, {"gamekit/core/a.py": "from gamekit import GameKit"}, "core must not import __init__"),
    (check_layers, {"gamekit/runtime/a.py": "from gamekit import store"}, "runtime must not import store"),
    (
        check_layers,
        {"gamekit/runtime/a.py": "def f():\n    from gamekit.chain import rpc"},
        "runtime must not import chain",
    ),
    (check_layers, {"gamekit/store/a.py": "from gamekit.keys.signer import Signer"}, "store must not import keys"),
    (check_layers, {"gamekit/client/a.py": "from gamekit.gateway.app import app"}, "client must not import gateway"),
    (check_layers, {"gamekit/accounts/a.py": "from gamekit.core import lane"}, "accounts must not import core"),
    (check_layers, {"gamekit/helpers/a.py": ""}, "helpers is no agreed name"),
    (
        check_cycles,
        {"gamekit/core/a.py": "from gamekit.core import b", "gamekit/core/b.py": "from gamekit.core.a import x"},
        "import cycle: gamekit.core.",
    ),
    (check_pure_imports, {"gamekit/core/a.py": "import time"}, "pure code must not import time"),
    (check_pure_imports, {"gamekit/eth/a.py": "from os.path import join"}, "pure code must not import os"),
    (check_pure_imports, {"gamekit/protocol/a.py": "import aiohttp.web"}, "pure code must not import aiohttp"),
    (check_pure_calls, {"gamekit/core/a.py": "async def f(): ..."}, "pure code must not wait"),
    (check_pure_calls, {"gamekit/accounts/a.py": "text = open('x').read()"}, "pure code must not call open"),
    (check_pure_calls, {"gamekit/protocol/a.py": "then = datetime.now(UTC)"}, "pure code must not call now"),
    (check_pure_calls, {"gamekit/eth/a.py": "def f(x: Any) -> None: ..."}, "eth must not use Any"),
    (check_runtime_imports, {"gamekit/runtime/a.py": "import aiohttp"}, "the runtime must not import aiohttp"),
    (check_sizes, {"gamekit/core/a.py": "x = 1\n" * (LINES_MAX + 1)}, "a.py: 501 lines"),
    (check_sizes, {"tests/test_a.py": LONG_FUNCTION}, "long has 61 lines"),
    (check_top_level, {"scripts/a.py": ""}, "scripts stands at the top"),
    (check_twins, {"gamekit/eth/a.py": "", "tests/core/test_a.py": ""}, "gamekit/eth/a.py has no tests/eth/test_a.py"),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule: Rule) -> None:
    assert list(rule(ROOT)) == []


@pytest.mark.parametrize(
    ("rule", "files", "message"), PLANTED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_rule_finds_what_is_planted(rule: Rule, files: dict[str, str], message: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = list(rule(tmp_path))
    assert len(found) == 1
    assert message in found[0]


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)
