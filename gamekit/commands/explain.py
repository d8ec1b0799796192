"""`gamekit explain`: a unit of delegation, or a granted scope, in plain English."""

from pathlib import Path

import msgspec

from gamekit.accounts import stack as find_stack
from gamekit.commands.output import Output
from gamekit.core.explain import Explanation, describe
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.scope import Scope
from gamekit.errors import ConfigInvalid
from gamekit.eth.hashing import parse_hex
from gamekit.kit import read_abi
from gamekit.units import Address


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
    """Read a manifest; addresses that it leaves open are shown as all ones, counted down.

    Raises: ConfigInvalid.
    """
    try:
        manifest = parse_manifest(path.read_text(encoding="utf-8"))
        abi = read_abi(path.parent, manifest.abi)
        further = {
            name: (read_abi(path.parent, each.abi), None if each.address else unknown_address(place))
            for place, (name, each) in enumerate(manifest.contract.items(), 1)
        }
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigInvalid(f"cannot read {path}: {error}", path=str(path)) from error
    return build_game(manifest, abi, None if manifest.address else unknown_address(0), further)


def unknown_address(place: int) -> Address:
    """What stands for a contract's address where the manifest leaves it open; the game's own has place 0."""
    return Address((2**160 - 1 - place).to_bytes(20, "big"))


def _words(name: str, explanation: Explanation) -> str:
    return f"== {name} ==\n{explanation}"
