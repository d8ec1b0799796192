"""The documents are true: their code runs, what they name exists, and their figures are the code's own."""

import ast
import asyncio
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp
import pytest
from aiohttp import web

from benchmarks import readme
from gamekit.config import Config
from gamekit.core.policy import CALLS_MAX_LIMIT, DURATION_S_MAX, SLACK_S
from gamekit.demo.stage import Stage, set_stage
from gamekit.devnet import Anvil, DevnetNode
from tests.demo import test_thief
from tests.eth import test_user_op_hash
from tests.parity import test_session_validator
from tests.store import test_crash

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")
"""Those at the top; `gamekit/protocol/README.md` has tests of its own."""
LINES_MAX = 30
"""Of the README's first program, empty ones not counted."""
DEVNET = Path(".gamekit/devnet")
PARITY_SEEDS = 4
"""As its `parametrize` says."""
SVG = "{http://www.w3.org/2000/svg}"


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def programs() -> list[str]:
    return re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)


def spoken(document: str) -> list[str]:
    """Everything in backticks, code blocks aside."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text_of(document), flags=re.DOTALL))


# The programs.


@pytest.fixture
async def stage(node: DevnetNode, anvil: Anvil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A folder as `gamekit devnet` leaves it."""
    assert node.url == anvil.url
    monkeypatch.chdir(tmp_path)
    return await set_stage(DEVNET, anvil.url, ["player"])


@pytest.mark.e2e
@pytest.mark.slow
async def test_the_first_program_runs(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    program = programs()[0]
    process = await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", program)
    assert await process.wait() == 0, capfd.readouterr().err
    said = capfd.readouterr().out
    assert "The most that can be lost" in said
    assert "match42:ada:1 ok" in said
    assert "nothing signed may land after" in said


def test_the_first_program_is_short() -> None:
    lines = [line for line in programs()[0].splitlines() if line.strip()]
    assert len(lines) <= LINES_MAX


@pytest.mark.e2e
@pytest.mark.slow
async def test_the_second_program_runs(stage: Stage) -> None:
    names: dict[str, Any] = {}
    exec(programs()[1], names)
    runner = web.AppRunner(names["application"](str(stage.config)))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as http, http.get(f"{url}/scores") as response:
        assert await response.json() == {"sessions": 0}
    async with aiohttp.ClientSession() as http, http.get(f"{url}/play/health") as response:
        assert response.status == 200
    await runner.cleanup()


def test_the_second_program_is_part_of_the_example() -> None:
    """Word for word, comments included."""
    example = (ROOT / "examples" / "embed_aiohttp.py").read_text(encoding="utf-8")
    parts = programs()[1].strip().split("\n\n\n")
    assert len(parts) == 4
    assert [part for part in parts[1:] if part not in example] == []


def test_the_manifest_is_one() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", text_of("README.md"), re.DOTALL)
    shipped = tomllib.loads((ROOT / "gamekit" / "demo" / "arena.toml").read_text())
    for block in blocks:
        shown = tomllib.loads(block)
        for name, function in shown["function"].items():
            assert function == shipped["function"][name]
        for name, unit in shown["unit"].items():
            assert unit.items() <= shipped["unit"][name].items()


# What is named.


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_exist(document: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", text_of(document))
    paths = [words for words in spoken(document) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", words)]
    named = [path for path in paths if path.partition("/")[0] in {"gamekit", "tests", "benchmarks", "examples"}]
    assert links or named
    assert [path for path in (*links, *named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_modules_exist_where_a_table_names_them_by_folder(document: str) -> None:
    """`core/batch` means gamekit/core/batch.py."""
    folders = {path.name for path in (ROOT / "gamekit").iterdir() if path.is_dir()}
    named = [words for words in spoken(document) if re.fullmatch(r"[a-z_]+/[a-z_]*(\.py)?", words)]
    known = [words for words in named if words.partition("/")[0] in folders]
    missing = [
        words
        for words in known
        if not (ROOT / "gamekit" / words).exists() and not (ROOT / "gamekit" / f"{words}.py").is_file()
    ]
    assert missing == []


def test_tests_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text_of("README.md"))
    assert len(named) >= 15
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {getattr(node, "name", "") for node in ast.walk(tree)}, f"{path} has no {name}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)`", text_of(document)) + re.findall(r"\$ make ([a-z]+)", text_of(document)))
    assert named <= targets


def test_every_make_target_is_explained() -> None:
    listed = set(re.findall(r"^([a-z]+):.*##", text_of("Makefile"), re.MULTILINE)) - {"help"}
    both = text_of("README.md") + text_of("CONTRIBUTING.md")
    assert {target for target in listed if f"`make {target}`" not in both} == set()


def commands(*prefix: str) -> set[str]:
    """The commands that the command line itself lists."""
    done = subprocess.run(
        [sys.executable, "-m", "gamekit.cli", *prefix, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    return set(re.findall(r"^    (\w+) ", done.stdout, re.MULTILINE))


def test_commands_are_those_of_the_command_line() -> None:
    named = [words.split()[1:] for words in spoken("README.md") if words.startswith("gamekit ")]
    assert {words[0] for words in named} == commands()
    assert {words[1] for words in named if words[0] == "userop"} == commands("userop")


def test_modules_that_are_run_exist() -> None:
    for document in DOCUMENTS:
        for module in re.findall(r"python -m (benchmarks[\w.]+|gamekit[\w.]+)", text_of(document)):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


# Figures.


def settings() -> Iterator[tuple[str, str]]:
    """Setting and default, as README's table has them."""
    return iter(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| ([^|]+) \|", text_of("README.md"), re.MULTILINE))


def test_limits_are_the_defaults() -> None:
    config = Config()
    found = dict(settings())
    assert len(found) >= 10
    for name, shown in found.items():
        section, _, setting = name.partition(".")
        default = getattr(getattr(config, section), setting)
        expected = f"{default:,.0f}" if isinstance(default, int | float) else f'"{default}"'
        assert shown.strip() == expected, name


def test_numbers_of_the_guarantees_are_the_tests_own() -> None:
    said = text_of("README.md")
    runs = test_session_validator.SCOPES * test_session_validator.OPERATIONS * PARITY_SEEDS
    for words in (
        f"{test_crash.CRASHES} processes killed",
        f"at least {test_thief.ESCAPES_MIN} escapes on each of {len(test_thief.STACKS)} account stacks",
        f"{runs:,} random operations near every limit",
        f"{test_user_op_hash.COUNT:,} random operations for each of 0.6, 0.7, 0.8",
        f"dies within {Config().batch.deadline_s} s",
        f"until they die ({Config().batch.deadline_s} s)",
        f"({Config().batch.deadline_s} s, at most {SLACK_S} s)",
        f"at most {DURATION_S_MAX // 86_400} days",
        f"at most {CALLS_MAX_LIMIT} calls in it",
    ):
        assert words in said, words


def test_every_setting_says_what_it_is_for() -> None:
    """A field has a docstring of its own, or stands with others in front of one that speaks of them all."""
    tree = ast.parse(text_of("gamekit/config.py"))
    for section in [node for node in tree.body if isinstance(node, ast.ClassDef)]:
        assert ast.get_docstring(section), section.name
        explained = False
        for before, after in zip(section.body, [*section.body[1:], None], strict=True):
            if isinstance(before, ast.AnnAssign):
                explained = isinstance(after, ast.Expr)
                plain = ast.unparse(before.target)
                assert explained or is_plain(plain, section), f"{section.name}.{plain} has no docstring"


def is_plain(name: str, section: ast.ClassDef) -> bool:
    """Whether a field needs no words: a section, an address, or the second of a pair that is explained together."""
    if section.name == "Config":
        return True
    return name in PLAIN


PLAIN = {
    "entry_point",  # an address
    "factory",
    "verification_gas_per_call",  # its neighbour explains it
    "pre_verification_gas_per_call",
    "host",
    "port",
    "frames_burst",
    "sockets_per_address_max",
    "actions_per_s_player",
    "burst_player",
    "burst_address",
    "login_nonce_s",
    "login_nonces_per_minute_address",
    "send_queue_bytes_max",
}
"""Settings whose name, unit and section say everything."""


def test_dependencies_are_argued_for() -> None:
    written = tomllib.loads(text_of("pyproject.toml"))["project"]
    wanted = {re.split(r"[><=]", each)[0] for each in written["dependencies"]}
    argued = set(
        re.findall(r"^\| ([a-z0-9-]+) \|", text_of("ARCHITECTURE.md").partition("## Dependencies")[2], re.MULTILINE)
    )
    assert argued - {"package"} == wanted
    development = {re.split(r"[><=]", each)[0] for each in written["optional-dependencies"]["dev"]}
    assert {name for name in development if name not in text_of("ARCHITECTURE.md")} == set()


def test_folders_are_drawn() -> None:
    """Every folder of the package has a line in its docstring, and in ARCHITECTURE.md's table."""
    folders = {path.name for path in (ROOT / "gamekit").iterdir() if (path / "__init__.py").is_file()}
    docstring = ast.get_docstring(ast.parse(text_of("gamekit/__init__.py"))) or ""
    assert {name for name in folders if not re.search(rf"\b{name}\b", docstring)} == set()
    layout = text_of("ARCHITECTURE.md").partition("## The layout")[2].partition("## The way")[0]
    assert {name for name in folders if f"{name}/" not in layout} == set()


def test_measurements_are_those_of_the_results() -> None:
    assert readme.stale() == [], "run python -m benchmarks.readme"


def test_the_picture_is_one() -> None:
    """Well-formed, and every bar and number inside it."""
    drawn = ET.fromstring(readme.PICTURE.read_text(encoding="utf-8"))
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    bars = [
        {name: float(bar.attrib[name]) for name in ("x", "y", "width", "height")} for bar in drawn.iter(f"{SVG}rect")
    ]
    assert len(bars) == len(readme.SIGNERS)
    assert all(bar["x"] + bar["width"] + 100 < width and bar["y"] + bar["height"] < height for bar in bars)


def test_the_picture_of_gas_is_one() -> None:
    """Well-formed, two bars end to end for each row of both blocks, and every bar and number inside it."""
    drawn = ET.fromstring(readme.GAS_PICTURE.read_text(encoding="utf-8"))
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    bars = [
        {name: float(bar.attrib[name]) for name in ("x", "y", "width", "height")} for bar in drawn.iter(f"{SVG}rect")
    ]
    # A plain transaction is one action, never one of 25.
    assert len(bars) == 2 * (2 * len(readme.GAS_DRAWN) - 1)
    assert all(bar["x"] + bar["width"] + 100 < width and bar["y"] + bar["height"] < height for bar in bars)
    for decided, rest in zip(bars[::2], bars[1::2], strict=True):
        assert decided["x"] == readme.GAS_LEFT
        assert decided["x"] + decided["width"] == pytest.approx(rest["x"], abs=0.1)
        assert decided["y"] == rest["y"]


def test_measurements_finds_what_is_planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lie = tmp_path / "README.md"
    lie.write_text(re.sub(r"(gamekit, one at a time \| )[\d.]+", r"\g<1>1.0", text_of("README.md")))
    monkeypatch.setattr(readme, "README", lie)
    monkeypatch.setattr(readme, "ROOT", tmp_path.parent)
    monkeypatch.setattr(readme, "PICTURE", tmp_path / "sign.svg")
    (tmp_path / "sign.svg").write_text(readme.picture())
    assert readme.stale() == [str(lie.relative_to(tmp_path.parent))]
