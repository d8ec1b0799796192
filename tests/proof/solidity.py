"""Compile Solidity beside the project: contracts of a suite's own, and the real sources with a bug planted.

A scratch project has the real one's settings, compiler and packages, and sources of its own. What was compiled before
is kept under `build/proof`, by the hash of everything that it was made from.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gamekit.contracts import build

REPOSITORY: Final = Path(__file__).parents[2]
CACHE: Final = REPOSITORY / "build" / "proof"
SOURCES: Final = build.PROJECT / "src"
STRANGERS: Final = build.PROJECT / "test" / "escapes"
"""What the escape suite deploys beside the devnet's contracts."""


def strangers() -> dict[str, str]:
    """Give the sources of what the escape suite deploys, by file name."""
    return {path.name: path.read_text() for path in sorted(STRANGERS.glob("*.sol"))}


def validator_sources(contract: str = "SessionValidator") -> dict[str, str]:
    """Give the sources of the session validator, or another contract, and of what it imports of ours, by file name."""
    sources: dict[str, str] = {}
    waiting = [f"{contract}.sol"]
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = (SOURCES / name).read_text()
            waiting.extend(re.findall(r'from "\./([\w]+\.sol)"', sources[name]))
    return dict(sorted(sources.items()))


def planted_sources(replacements: Sequence[tuple[str, str, str]], contract: str = "SessionValidator") -> dict[str, str]:
    """Give a contract's sources with a bug in them.

    Args:
        replacements: a file, a text that stands there exactly once, and what is to stand instead.
        contract: whose.
    """
    sources = validator_sources(contract)
    for name, old, new in replacements:
        found = sources[name].count(old)
        assert found == 1, f"{name} holds {found} times: {old}"
        sources[name] = sources[name].replace(old, new)
    return sources


def creation_codes(sources: Mapping[str, str]) -> dict[str, bytes]:
    """Compile; gives the creation code of each contract in `sources`, by its name."""
    settings = [(build.PROJECT / name).read_bytes() for name in ("foundry.toml", "package-lock.json", "solc.mjs")]
    digest = hashlib.sha256(json.dumps(sorted(sources.items())).encode() + b"".join(settings)).hexdigest()
    folder = CACHE / digest[:16]
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        try:
            _compile(partial, sources)
            if not folder.is_dir():  # another run may have been quicker
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    codes = {}
    for path in sorted((folder / "out").rglob("*.json")):
        compiled = json.loads(path.read_text()).get("bytecode", {}).get("object", "0x")
        if path.parent.name in sources and compiled != "0x":
            codes[path.stem] = bytes.fromhex(compiled[2:])
    return codes


def _compile(folder: Path, sources: Mapping[str, str]) -> None:
    """Make a scratch project and run forge in it."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "src").mkdir(parents=True)
    for name in ("foundry.toml", "solc.mjs"):
        shutil.copy(build.PROJECT / name, folder / name)
    (folder / "node_modules").symlink_to(build.PACKAGES.resolve())
    for name, text in sources.items():
        (folder / "src" / name).write_text(text)
    forge = next(build.PACKAGES.glob("@foundry-rs/forge-*/bin/forge"))
    command, environment = [str(forge), "build", "--threads", "1"], build._environment()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"forge build failed: {(done.stderr or done.stdout)[-2000:]}")
