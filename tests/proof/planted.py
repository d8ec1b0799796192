"""Compile the session validator with a hole in it, without touching the project: solc reads edited sources.

solc is asked directly, through the project's own `solc.mjs`: forge would compile everything that deploys the validator
anew for each hole.
"""

import json
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from gamekit.contracts import build
from tests.proof.plants import Plant, edited

VALIDATOR = "src/SessionValidator.sol"
IMPORT = re.compile(r'^import\s+(?:\{[^}]*\}\s+from\s+)?"([^"]+)";', re.MULTILINE)


class CompileFailed(Exception):
    """solc refused the sources; the message is its own."""


def sources(project: Path = build.PROJECT) -> dict[str, str]:
    """Give the text of the validator's file and of everything that it imports, by path from the project's root."""
    found: dict[str, str] = {}
    wanted = [VALIDATOR]
    while wanted:
        path = wanted.pop()
        if path in found:
            continue
        found[path] = (project / path).read_text(encoding="utf-8")
        wanted += [_resolved(imported, path) for imported in IMPORT.findall(found[path])]
    return found


def _resolved(imported: str, importer: str) -> str:
    """Give the path of an import: beside the importer, or below the folder of npm's packages."""
    if not imported.startswith("."):
        return f"node_modules/{imported}"
    parts: list[str] = list(PurePosixPath(importer).parent.parts)
    for part in PurePosixPath(imported).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def compile_validator(texts: Mapping[str, str], project: Path = build.PROJECT) -> str:
    """Give the creation code of the session validator, in hexadecimal with 0x, with the project's settings.

    Raises:
        CompileFailed: solc found an error.
    """
    profile = tomllib.loads((project / "foundry.toml").read_text(encoding="utf-8"))["profile"]["default"]
    settings = {
        "evmVersion": profile["evm_version"],
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "metadata": {"bytecodeHash": profile["bytecode_hash"], "appendCBOR": profile["cbor_metadata"]},
        "remappings": ["@openzeppelin/=node_modules/@openzeppelin/"],
        "outputSelection": {VALIDATOR: {"SessionValidator": ["evm.bytecode.object"]}},
    }
    question = {
        "language": "Solidity",
        "sources": {path: {"content": text} for path, text in texts.items()},
        "settings": settings,
    }
    done = subprocess.run(
        ["node", project / "solc.mjs", "--standard-json"],  # the wheel's node is first on PATH
        input=json.dumps(question), capture_output=True, text=True, check=True, cwd=project, env=build._environment(),
    )  # fmt: skip
    answer = json.loads(done.stdout)
    errors = [error["formattedMessage"] for error in answer.get("errors", []) if error["severity"] == "error"]
    if errors:
        raise CompileFailed("\n".join(errors))
    return f"0x{answer['contracts'][VALIDATOR]['SessionValidator']['evm']['bytecode']['object']}"


def write_planted(plant: Plant, file: Path) -> None:
    """Compile the validator with the plant's hole, and write it as an artifact that the suite can deploy.

    Raises:
        CompileFailed: the plant is no Solidity.
        PlantUnknown: its text is not in the source.
    """
    code = compile_validator(edited(plant, sources()))
    stored = {"abi": [], "bytecode": {"object": code}, "deployedBytecode": {"object": "0x"}}
    file.write_text(json.dumps(stored), encoding="utf-8")
