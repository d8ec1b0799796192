"""The compiled contracts: ABI and bytecode by name, read when first asked for.

Two folders, both written by `build.py` and neither in git. `artifacts/` holds our own contracts and ships in the
wheel. `devnet_artifacts/` holds what a devnet needs of others (the entry points, an account stack). Those are under
GPL-3.0, so they exist only in a checkout, where npm brought them, and never in the wheel.
"""

from functools import cache
from pathlib import Path

import msgspec

from gamekit.errors import ConfigInvalid

FOLDERS = (Path(__file__).parent / "artifacts", Path(__file__).parent / "devnet_artifacts")
"""Where artifacts are looked for, in this order."""


class Artifact(msgspec.Struct, frozen=True):
    """One compiled contract."""

    name: str
    abi: tuple[dict[str, object], ...]
    """The JSON ABI; empty for a contract of others that came as bytecode only."""
    bytecode: bytes
    """Creation code, without constructor arguments."""
    deployed_bytecode: bytes
    """Code after deployment, with zeros where immutables will stand; empty if only the creation code is known."""


class _Stored(msgspec.Struct, rename="camel"):
    """An artifact as it lies on disk, bytes in hexadecimal with 0x in front."""

    contract_name: str
    abi: tuple[dict[str, object], ...]
    bytecode: str
    deployed_bytecode: str


@cache
def artifact(name: str) -> Artifact:
    """Load the contract called `name`, for example `SessionValidator` or `EntryPoint07`.

    Raises:
        ConfigInvalid: no such artifact: it was not built, or this is a wheel and the contract is one of others.
    """
    for folder in FOLDERS:
        path = folder / f"{name}.json"
        if path.is_file():
            stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
            return Artifact(
                name=stored.contract_name,
                abi=stored.abi,
                bytecode=bytes.fromhex(stored.bytecode.removeprefix("0x")),
                deployed_bytecode=bytes.fromhex(stored.deployed_bytecode.removeprefix("0x")),
            )
    raise ConfigInvalid(f"there is no compiled contract {name!r}; `make compile` builds them in a checkout", name=name)
