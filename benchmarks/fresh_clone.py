"""Sets gamekit up as somebody does who has just cloned it, and takes time and disk.

A clone of this checkout's commit in an empty folder, with no Node on PATH: `make setup`, `make demo` twice, and with
`--test` `make test`. pip's and npm's caches are whatever this machine has, unless `--cold` gives them empty ones.

Run: python -m benchmarks.fresh_clone [--cold] [--test]
"""

import argparse
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.report import write_report

ROOT = Path(__file__).parents[1]
NODE = {"node", "nodejs", "npm", "npx", "corepack"}
DEMO = ["make", "demo", "ARGS=--players 20 --seconds 5"]


def path_without_node(shadow: Path) -> str:
    """The PATH without Node: a folder that holds one is replaced by links to everything else in it."""
    folders = []
    for place, folder in enumerate(os.environ.get("PATH", "").split(os.pathsep)):
        folders.append(folder)
        if shutil.which("node", path=folder):
            folders[-1] = str(shadow / str(place))
            (shadow / str(place)).mkdir(parents=True)
            for program in Path(folder).iterdir():
                if program.name not in NODE:
                    (shadow / str(place) / program.name).symlink_to(program)
    return os.pathsep.join(folders)


def timed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> float:
    """Run a command and give its seconds; a failing one ends the run with its last words."""
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    print(f"{seconds:7.1f} s  {' '.join(command)}", flush=True)
    return seconds


def megabytes(folder: Path) -> int:
    """How much a folder takes on disk; a file with several names counts once."""
    counted = {(status.st_dev, status.st_ino): status.st_blocks * 512 for status in map(Path.lstat, folder.rglob("*"))}
    return round(sum(counted.values()) / 1e6)


def main() -> None:
    """Clone, set up, measure, write `benchmarks/results/fresh_clone.json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cold", action="store_true", help="empty caches for pip and npm")
    parser.add_argument("--test", action="store_true", help="`make test` as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary, "gamekit")
        caches = {name: str(Path(temporary, name)) for name in ("PIP_CACHE_DIR", "NPM_CONFIG_CACHE")}
        environment = (
            os.environ | {"PATH": path_without_node(Path(temporary, "bin"))} | (caches if options.cold else {})
        )
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        commands = [("setup", ["make", "setup"]), ("demo", DEMO), ("demo_again", DEMO)]
        commands += [("setup_again", ["make", "setup"])]
        commands += [("test", ["make", "test"])] if options.test else []
        rows: list[dict[str, object]] = [
            {"name": name, "command": shlex.join(command), "seconds": round(timed(command, clone, environment), 1)}
            for name, command in commands
        ]
        more = {"disk_mb": megabytes(clone), "venv_mb": megabytes(clone / ".venv"), "caches_empty": options.cold}
    write_report("fresh_clone", " ".join((__doc__ or "").split("\n\n")[1].split()), rows, **more)


if __name__ == "__main__":
    main()
