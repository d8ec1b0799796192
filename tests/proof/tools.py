"""The tools that only the proof of the contracts needs: Halmos and Slither, in a virtualenv of their own.

They ask for a web3 of another major version than gamekit's, so they cannot share its environment. The virtualenv is
made when it is first needed, from `requirements.lock` beside this file (exact versions and hashes, from PyPI); nothing
else is fetched: Halmos finds the SMT solver yices, which comes as a wheel, in the same virtualenv.

After a change of `requirements.in`: what `make lock` runs, with these two files.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gamekit.contracts import build

REPOSITORY: Final = Path(__file__).parents[2]
LOCK: Final = Path(__file__).with_name("requirements.lock")
FOLDER: Final = REPOSITORY / "build" / "proof-venv"
PYTHON: Final = FOLDER / "bin" / "python"
STAMP: Final = FOLDER / ".installed"
"""Holds the hash of the lock file, and the Python, that the virtualenv was made from."""


class ToolsMissing(Exception):
    """The virtualenv could not be made; the message says why."""


def ensure() -> None:
    """Make the virtualenv, unless it is there already. Two at once wait for each other.

    Raises:
        ToolsMissing: pip failed.
    """
    FOLDER.parent.mkdir(exist_ok=True)
    wanted = f"{hashlib.sha256(LOCK.read_bytes()).hexdigest()} {sys.version}"
    with LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if STAMP.is_file() and STAMP.read_text() == wanted:
            return
        sys.stderr.write(f"gamekit: installing Halmos and Slither into {FOLDER.relative_to(REPOSITORY)}\n")
        sys.stderr.flush()
        shutil.rmtree(FOLDER, ignore_errors=True)
        venv.create(FOLDER, with_pip=True)
        pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
        done = subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)], check=False)
        if done.returncode != 0:
            raise ToolsMissing(f"pip could not install {LOCK.name}")
        STAMP.write_text(wanted)


def environment(home: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Give the environment that the tools run in: their own programs, forge and node on PATH.

    Args:
        home: where Halmos may keep what it likes to keep in a home folder.
        variables: what to add.
    """
    given = build._environment()
    forge = next(build.PACKAGES.glob("@foundry-rs/forge-*/bin/forge")).parent
    given["PATH"] = os.pathsep.join([str(FOLDER / "bin"), str(forge), given["PATH"]])
    return {**given, "HOME": str(home), "VIRTUAL_ENV": str(FOLDER), **variables}


if __name__ == "__main__":
    ensure()
