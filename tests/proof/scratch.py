"""Scratch copies of the Foundry project, in which bugs are planted and looked for."""

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gamekit.contracts import build
from tests.proof.mutations import Mutation
from tests.proof.solidity import validator_sources

PAYMASTER: Final = "SessionPaymaster"
VALIDATOR: Final = "SessionValidator"
SUITES: Final = {VALIDATOR: "validator", PAYMASTER: "paymaster"}
"""The contracts that bugs are planted in, and the folder of the tests that deploy each."""
SHARED: Final = ("Harness.sol", "LongLists.sol")
_INHERIT: Final = {"PaymasterHandler.sol", "PaymasterHoles.sol", "PaymasterInvariant.t.sol"}
"""They have the paymaster inside, so a bug would compile them; and they have holes of their own."""
FUZZ_RUNS: Final = "64"
"""Fewer than in the project's own run: what a bug lets through is mostly found by a test that was written for it."""
_TEST: Final = re.compile(r"\[FAIL[^\]]*(?:\][^\]]*)*?\] (\w+)\(")
_COMPILED: Final = "Compiler run failed"
_IMPORT: Final = re.compile(r'from "(src/|test/|\./)([^"]+\.sol)"')


class RunFailed(Exception):
    """The tests could not be asked; the message says why."""


class Project:
    """Scratch projects: for each contract one that compiles it and one that tests it, and one for each library's tests.

    No run names the tests that it wants: forge compiles everything before it looks for the names.
    """

    def __init__(self, folder: Path, contracts: Iterable[str]) -> None:
        self._folder = folder
        for contract in contracts:
            suite = [path for path in _files(f"test/{SUITES[contract]}") if path.name not in _INHERIT]
            shared = [Path("test", name) for name in SHARED]
            _copy(self._tests(contract), [*_files("src"), *suite, *shared])
            _copy(self._module(contract), [Path("src", name) for name in validator_sources(contract)])
            if _forge(self._tests(contract), "build").returncode != 0:
                raise RunFailed("the tests do not compile")

    def require_sound(self, contracts: Iterable[str]) -> None:
        """Run the tests of these contracts without any bug. Raises RunFailed."""
        for contract in contracts:
            failed = self._deployed(contract)
            if failed:
                raise RunFailed(f"without any bug, {failed} fails")

    def test(self, mutation: Mutation) -> str:
        """Run the tests with a bug planted; gives the first that fails, empty if all pass.

        Raises: RunFailed when it does not compile, or its text does not stand in its file exactly once.
        """
        contract = contract_of(mutation.file)
        with_bug = _planted(build.PROJECT / "src" / mutation.file, mutation)
        source = self._module(contract) / "src" / mutation.file
        before = source.read_text()
        try:
            source.write_text(with_bug)
            return self._deployed(contract) or self._units(mutation, with_bug)
        finally:
            source.write_text(before)

    def _module(self, contract: str) -> Path:
        return self._folder / contract

    def _tests(self, contract: str) -> Path:
        return self._folder / f"{contract}.tests"

    def _deployed(self, contract: str) -> str:
        """Compile the contract, put it where the tests deploy it from, and run them."""
        compiled = Path("out", f"{contract}.sol", f"{contract}.json")
        built = _forge(self._module(contract), "build")
        if built.returncode != 0:
            raise RunFailed((built.stdout + built.stderr)[-2000:])
        shutil.copy(self._module(contract) / compiled, self._tests(contract) / compiled)
        return _first_failure(self._tests(contract))

    def _units(self, mutation: Mutation, with_bug: str) -> str:
        """Compile the library's own tests with the bug: they have the library inside."""
        test = Path("test", "lib", mutation.file).with_suffix(".t.sol")
        if not (build.PROJECT / test).exists():
            return ""
        folder = self._folder / test.stem
        _copy(folder, _with_imports([test]))
        (folder / "src" / mutation.file).write_text(with_bug)
        return _first_failure(folder)


def contract_of(file: str) -> str:
    """Give the contract that a source belongs to."""
    return PAYMASTER if file == f"{PAYMASTER}.sol" else VALIDATOR


def _planted(source: Path, mutation: Mutation) -> str:
    text = source.read_text()
    if text.count(mutation.old) != 1:
        raise RunFailed(f"{mutation.name}: its text stands {text.count(mutation.old)} times in {mutation.file}")
    return text.replace(mutation.old, mutation.new)


def _files(folder: str) -> list[Path]:
    """Give the sources below a folder of the project, by their paths in it."""
    return [path.relative_to(build.PROJECT) for path in sorted((build.PROJECT / folder).rglob("*.sol"))]


def _with_imports(files: Iterable[Path]) -> list[Path]:
    """Give these sources and all of ours that they import, directly or not."""
    waiting, known = list(files), list[Path]()
    while waiting:
        path = waiting.pop()
        if path in known:
            continue
        known.append(path)
        for root, rest in _IMPORT.findall((build.PROJECT / path).read_text()):
            waiting.append(path.parent / rest if root == "./" else Path(root + rest))
    return known


def _copy(folder: Path, files: Iterable[Path]) -> None:
    """Copy settings and sources; what was compiled there before stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("src", "test"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(build.PROJECT / path, folder / path)
    for name in ("solc.mjs", "package.json", "package-lock.json"):
        shutil.copy(build.PROJECT / name, folder / name)
    settings = (build.PROJECT / "foundry.toml").read_text()
    changed = settings.replace("\noptimizer = true\n", "\noptimizer = true\ndynamic_test_linking = true\n")
    if changed == settings:
        raise RunFailed("foundry.toml does not say `optimizer = true`")
    (folder / "foundry.toml").write_text(changed)
    for name in ("node_modules", "devnet_artifacts"):
        link = folder / name
        if not link.exists():
            link.symlink_to((build.PROJECT / name).resolve())


def _first_failure(folder: Path) -> str:
    done = _forge(folder, "test", "--fail-fast")
    if done.returncode == 0:
        return ""
    failed = _TEST.search(done.stdout)
    if _COMPILED in done.stdout + done.stderr or failed is None:
        raise RunFailed((done.stdout + done.stderr)[-2000:])
    return failed[1]


def _forge(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    executable = next(build.PACKAGES.glob("@foundry-rs/forge-*/bin/forge"))
    command = [str(executable), *arguments, "--threads", "1"]
    variables = build._environment() | {"FOUNDRY_FUZZ_RUNS": FUZZ_RUNS}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
