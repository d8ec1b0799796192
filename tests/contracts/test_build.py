"""The build: what is unchanged is not done again, what is broken is said, and only our own contracts are shipped."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gamekit.contracts import build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Foundry project whose tools are replaced: npm installs what the lock says, forge compiles one contract."""
    for name in ("build.py", "foundry.toml", "solc.mjs"):
        (tmp_path / name).write_text(name)
    (tmp_path / "package-lock.json").write_text(
        json.dumps({"packages": {"": {}, "node_modules/solc": {"version": "1"}}})
    )
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Ours.sol").write_text("contract Ours {}")
    for name, folder in {"PROJECT": "", "PACKAGES": "node_modules", "ARTIFACTS": "artifacts"}.items():
        monkeypatch.setattr(build, name, tmp_path / folder)
    monkeypatch.setattr(build, "DEVNET_ARTIFACTS", tmp_path / "devnet_artifacts")
    monkeypatch.setattr(build, "STAMP", tmp_path / "artifacts" / ".inputs")
    monkeypatch.setattr(build, "ENTRY_POINTS", {})
    monkeypatch.setattr(build, "PRECOMPILED", {"Nexus.sol": {"Nexus": "NEXUS_BYTECODE"}})
    monkeypatch.setattr(build, "PRECOMPILES", tmp_path)
    (tmp_path / "Nexus.sol").write_text('bytes public constant NEXUS_BYTECODE =\n        hex"c0de";')
    return tmp_path


@pytest.fixture
def calls(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tools that were run, in order."""
    run: list[str] = []

    def npm(arguments: list[str], **_: object) -> int:
        run.append(f"npm {arguments[0]}")
        locked = json.loads((project / "package-lock.json").read_text())["packages"]
        del locked[""]
        (project / "node_modules").mkdir(exist_ok=True)
        (project / "node_modules" / ".package-lock.json").write_text(json.dumps({"packages": locked}))
        return 0

    def forge(*arguments: str, **_: str) -> int:
        run.append(f"forge {arguments[0]}")
        for source in (project / "src").rglob("*.sol"):
            _write_compiled(project, source.relative_to(project))
        return 0

    monkeypatch.setattr(build, "npm", npm)
    monkeypatch.setattr(build, "forge", forge)
    return run


def _write_compiled(project: Path, source: Path, bytecode: str = "0x6001", kind: str = "function") -> None:
    compiled = {
        "abi": [{"type": kind}],
        "bytecode": {"object": bytecode},
        "deployedBytecode": {"object": bytecode},
        "metadata": {"settings": {"compilationTarget": {str(source): source.stem}}},
    }
    path = project / "out" / source.name / f"{source.stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(compiled))


def test_build_default_installs_compiles_and_writes(project: Path, calls: list[str]) -> None:
    build.build()
    assert calls == ["npm ci", "forge build"]
    assert json.loads((project / "artifacts" / "Ours.json").read_text())["bytecode"] == "0x6001"
    assert json.loads((project / "devnet_artifacts" / "Nexus.json").read_text())["bytecode"] == "0xc0de"


def test_build_behaviour_unchanged_does_nothing(calls: list[str]) -> None:
    build.build()
    calls.clear()
    build.build()
    assert calls == []


@pytest.mark.parametrize("changed", ["src/Ours.sol", "foundry.toml", "solc.mjs", "build.py"])
def test_build_behaviour_a_changed_input_compiles_again(project: Path, calls: list[str], changed: str) -> None:
    build.build()
    calls.clear()
    (project / changed).write_text("changed")
    build.build()
    assert calls == ["forge build"]


def test_build_behaviour_a_changed_pin_installs_again(project: Path, calls: list[str]) -> None:
    build.build()
    calls.clear()
    (project / "package-lock.json").write_text(
        json.dumps({"packages": {"": {}, "node_modules/solc": {"version": "2"}}})
    )
    build.build()
    assert calls == ["npm ci", "forge build"]


def test_build_behaviour_a_removed_contract_leaves_no_artifact(project: Path, calls: list[str]) -> None:
    build.build()
    (project / "src" / "Ours.sol").rename(project / "src" / "Renamed.sol")
    build.build()
    assert [path.name for path in (project / "artifacts").glob("*.json")] == ["Renamed.json"]
    assert calls.count("forge build") == 2


@pytest.mark.parametrize(("bytecode", "kind"), [("0x", "function"), ("0x6001", "error")], ids=["interface", "library"])
def test_build_behaviour_what_cannot_be_called_has_no_artifact(
    project: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch, bytecode: str, kind: str
) -> None:
    def forge(*_: str) -> int:
        _write_compiled(project, Path("src/Ours.sol"), bytecode, kind)
        return 0

    monkeypatch.setattr(build, "forge", forge)
    build.build()
    assert list((project / "artifacts").glob("*.json")) == []
    assert calls == ["npm ci"]


@pytest.mark.usefixtures("calls")
def test_build_error_two_files_of_one_name(project: Path) -> None:
    (project / "src" / "deep").mkdir()
    (project / "src" / "deep" / "Ours.sol").write_text("contract Other {}")
    with pytest.raises(build.BuildFailed, match="the same name"):
        build.build()


def test_replace_folder_error_two_contracts_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(build.BuildFailed, match="two contracts are called Twice"):
        build._replace_folder(tmp_path, [{"contractName": "Twice"}, {"contractName": "Twice"}])


@pytest.mark.parametrize("tool", ["npm", "forge"])
@pytest.mark.usefixtures("calls")
def test_build_error_a_tool_fails(monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    monkeypatch.setattr(build, tool, lambda *_, **__: 1)
    with pytest.raises(build.BuildFailed, match=f"{tool} .* failed"):
        build.build()


@pytest.mark.usefixtures("calls")
def test_build_error_a_package_without_the_bytecode_that_was_there(project: Path) -> None:
    (project / "Nexus.sol").write_text("nothing")
    with pytest.raises(build.BuildFailed, match=r"Nexus\.sol has no NEXUS_BYTECODE"):
        build.build()


def test_environment_behaviour_node_is_told_of_the_machines_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "machine.pem")
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS", raising=False)
    assert build._environment()["NODE_EXTRA_CA_CERTS"] == "machine.pem"
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", "chosen.pem")
    assert build._environment()["NODE_EXTRA_CA_CERTS"] == "chosen.pem"


def test_environment_behaviour_the_wheels_node_comes_first() -> None:
    first = Path(build._environment()["PATH"].split(os.pathsep)[0])
    assert (first / "node").is_file()


@pytest.mark.slow
def test_wheel_behaviour_ships_our_artifacts_and_nothing_of_others(tmp_path: Path) -> None:
    program = f"from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    built = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    names = set(zipfile.ZipFile(tmp_path / built.stdout.split()[-1]).namelist())
    assert {"gamekit/py.typed", "gamekit/contracts/artifacts/Gold.json"} <= names
    reports = ("ESCAPES.md", "MUTANTS.md")
    others = ("node_modules", "devnet_artifacts", "contracts/test/", "contracts/out/", "package", "build.py")
    for left_out in (*others, *reports):
        assert not [name for name in names if left_out in name]
