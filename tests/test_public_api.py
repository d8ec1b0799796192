"""The public names: pinned, documented, found by the type checker, and cheap to import."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gamekit

NAMES = [
    "Accepted",
    "Action",
    "ActionHandle",
    "ActionRequest",
    "Address",
    "Call",
    "ChainUnavailable",
    "ClientError",
    "Config",
    "ConfigInvalid",
    "Cursor",
    "Event",
    "Game",
    "GameKit",
    "GamekitError",
    "GrantRequest",
    "Outcome",
    "OutcomeUnknown",
    "Overloaded",
    "Paused",
    "PermissionId",
    "PlayerId",
    "Revocation",
    "Scope",
    "ScopeDenied",
    "Session",
    "SessionExpired",
    "SessionHandle",
    "SessionNotFound",
    "SessionRevoked",
    "StoreUnavailable",
    "Unit",
    "UnixSeconds",
    "Wei",
    "WithdrawalRequest",
    "explain",
    "load_config",
    "load_game",
]
"""What others may rely on. A name that goes, or changes its meaning, breaks somebody's game."""

KIT_METHODS = [
    "accept",
    "cancel",
    "close",
    "cursor",
    "events",
    "events_since",
    "fault",
    "from_config",
    "game",
    "handle",
    "loop_lateness",
    "open",
    "opened",
    "pause",
    "prepare_withdrawal",
    "propose",
    "recall",
    "resume",
    "revocation_times",
    "revoke",
    "session",
    "session_row",
    "sessions",
    "start",
    "submit_withdrawal",
    "subscribe",
]
"""What a backend calls."""

HEAVY = ["aiohttp", "apsw", "asyncio", "coincurve", "cryptography", "eth_account", "msgspec", "uvloop", "web3"]
"""What `import gamekit` must not load: whoever only reads an error or a unit pays for nothing else."""

SOURCE = Path(gamekit.__file__)


def test_names_are_pinned() -> None:
    assert gamekit.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_name_exists(name: str) -> None:
    assert getattr(gamekit, name) is not None


@pytest.mark.parametrize("name", NAMES)
def test_name_is_documented(name: str) -> None:
    found = getattr(gamekit, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert inspect.getdoc(found)
    else:  # a NewType: its docstring stands below it in the source
        assert f"{name} = NewType(" in SOURCE.with_name("units.py").read_text()


def test_kit_behavior_methods_are_pinned() -> None:
    public = [name for name in vars(gamekit.GameKit) if not name.startswith("_")]
    assert sorted(public) == KIT_METHODS


def test_type_checker_sees_the_same_names() -> None:
    """What stands under TYPE_CHECKING is what the names resolve to at run time."""
    seen: dict[str, tuple[str | None, str]] = {}
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("gamekit."):
            seen |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    assert sorted(seen) == NAMES
    for name, (module, inside) in seen.items():
        assert module is not None
        assert getattr(sys.modules.get(module) or __import__(module, fromlist=["*"]), inside) is getattr(gamekit, name)


def test_dir_shows_all_names() -> None:
    assert set(NAMES) <= set(dir(gamekit))


def test_unknown_name_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wallet'"):
        gamekit.Wallet  # type: ignore[attr-defined]  # noqa: B018


def test_import_behavior_loads_nothing_heavy() -> None:
    code = f"import gamekit, sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_kit_behavior_leaves_the_tools_of_owners_out() -> None:
    """web3 and eth-account serve wallets and tools; the server's own path needs neither."""
    code = "from gamekit import GameKit; import sys; print([n for n in ('web3', 'eth_account') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
