"""Writes a benchmark's result: machine, versions, commit, method and rows, so that it can be repeated and compared."""

import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "gamekit",
    "coincurve",
    "cryptography",
    "safe-pysha3",
    "msgspec",
    "apsw",
    "uvloop",
    "aiohttp",
    "eth-account",
)


def write_report(name: str, method: str, rows: list[dict[str, object]], **more: object) -> Path:
    """Write `benchmarks/results/<name>.json` and give its path."""
    RESULTS.mkdir(exist_ok=True)
    report = {
        "name": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": {package: version(package) for package in PACKAGES} | {"python": platform.python_version()},
        "method": method,
        **more,
        "rows": rows,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"wrote {path.relative_to(RESULTS.parent.parent)}")
    return path


def commit() -> str:
    """The checkout's commit, with `+` when files differ from it."""
    where = RESULTS.parent
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=where, capture_output=True, text=True, check=False
    )
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], cwd=where, capture_output=True, text=True, check=False
    )
    return (head.stdout.strip() or "unknown") + ("+" if dirty.stdout.strip() else "")


def machine() -> dict[str, object]:
    """What it ran on."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.processor(), "cores": len(models), "system": platform.platform()}
