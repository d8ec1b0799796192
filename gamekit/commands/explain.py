"""`gamekit explain`: a unit of delegation, or a granted scope, in plain English."""

from pathlib import Path

import msgspec

from gamekit.accounts import stack as find_stack
from gamekit.commands.output import Output
from gamekit.contracts import artifact
from gamekit.core.explain import Explanation, describe
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.scope import Scope
from gamekit.errors import ConfigInvalid
from gamekit.eth.hashing import parse_hex
from gamekit.units import Address

UNKNOWN_ADDRESS = Address(b"\xff" * 20)
"""Stands for the game's contract where the manifest leaves it open."""


def run(manifest: Path, unit: str, stack: str, scope: str, output: Output) -> None:
    """Print one unit, all units, or a scope.

    Raises: ConfigInvalid naming what does not fit; EncodingInvalid for a scope that is none.
    """
    game = read_game(manifest)
    account_stack = find_stack(stack) if stack else None
    if scope:
        read = Scope.unpack(parse_hex(scope), game.signatures)
        found = {"scope": describe(read, game, account_stack)}
    else:
        names = [unit] if unit else list(game.units)
        found = {name: describe(game.unit(name), game, account_stack) for name in names}
    output.put(msgspec.to_builtins(found), "\n\n".join(_words(name, each) for name, each in found.items()))


def read_game(path: Path) -> Game:
    """Read a manifest; an address that it leaves open is shown as all ones.

    Raises: ConfigInvalid.
    """
    try:
        manifest = parse_manifest(path.read_text(encoding="utf-8"))
        beside = path.parent / manifest.abi
        abi: object = (
            msgspec.json.decode(beside.read_bytes()) if beside.suffix == ".json" else artifact(manifest.abi).abi
        )
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigInvalid(f"cannot read {path}: {error}", path=str(path)) from error
    return build_game(manifest, abi, None if manifest.address else UNKNOWN_ADDRESS)


def _words(name: str, explanation: Explanation) -> str:
    return f"== {name} ==\n{explanation}"
