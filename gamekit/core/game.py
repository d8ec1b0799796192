"""A game: its contract, the functions that are play, and the units of delegation that players agree to.

Built from a manifest (`manifest.py`) and the contract's ABI; building refuses what could move value out (`lint.py`). A
session is opened by the name of a unit; `unit.raw_scope` is there for what no unit says.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from gamekit.core.manifest import GameManifest
from gamekit.core.play import PlayFunction, play_function
from gamekit.core.unit import Unit, build_unit
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.calldata import Call, CallTemplate
from gamekit.eth.hashing import parse_address, to_hex
from gamekit.eth.interface import Interface, Revert
from gamekit.units import ZERO_ADDRESS, Address, ChainId, Gas, Wei

_NO_VALUE: Final = Wei(0)


class Game(Struct, frozen=True, eq=False):
    """One game on one chain."""

    name: str
    chain_id: ChainId
    address: Address
    """The game's contract: the only one that its sessions may call."""
    interface: Interface
    functions: dict[str, PlayFunction]
    """Those that are play, by the name that clients use."""
    units: dict[str, Unit]

    def function(self, name: str) -> PlayFunction:
        """Find a function that is play.

        Raises: EncodingInvalid if there is none of this name.
        """
        found = self.functions.get(name)
        if found is None:
            raise EncodingInvalid(f"{self.name} has no play function {name[:80]!r}", function=name[:80])
        return found

    def unit(self, name: str) -> Unit:
        """Find a unit of delegation.

        Raises: ConfigInvalid if there is none of this name.
        """
        found = self.units.get(name)
        if found is None:
            raise ConfigInvalid(f"{self.name} has no unit {name[:80]!r}, only {sorted(self.units)}", unit=name[:80])
        return found

    def encode(
        self, function: str, arguments: Sequence[object] | Mapping[str, object] = (), value: Wei = _NO_VALUE
    ) -> Call:
        """Make the call of an action.

        Args:
            function: name of a function that is play.
            arguments: by place or by name; addresses, bytes and large numbers may be text.
            value: native currency to carry, in wei.

        Raises: EncodingInvalid for another function, or arguments that do not fit its ABI.
        """
        return Call(self.address, value, self.function(function).encode(arguments))

    def call_template(self, function: str) -> CallTemplate:
        """Give the compiled encoder of a function that is play. Raises EncodingInvalid if it is not."""
        return self.function(function).template

    def gas_ceiling(self, function: str) -> Gas:
        """Give the most gas that one call of a function may take; 0 for the configured default."""
        return self.function(function).gas

    @property
    def targets(self) -> tuple[Address, ...]:
        """What its sessions may call."""
        return (self.address,)

    @property
    def signatures(self) -> tuple[str, ...]:
        """Signature texts of all functions that are play: what a packed scope does not hold."""
        return tuple(function.function.signature for function in self.functions.values())

    def decode_revert(self, data: bytes) -> Revert:
        """Say why a call reverted, in the game's own custom errors."""
        return self.interface.decode_revert(data)


def build_game(manifest: GameManifest, abi: object, address: Address | None = None) -> Game:
    """Build a game.

    Args:
        manifest: what the operator wrote.
        abi: the contract's ABI as its compiler writes it, a list.
        address: the contract, where the manifest leaves it open.

    Raises: ConfigInvalid for anything that does not fit together, or that a session must not be able to do.
    """
    if manifest.chain_id < 1:
        raise ConfigInvalid(f"game {manifest.name}: chain_id starts at 1, got {manifest.chain_id}")
    interface = _interface(manifest, abi)
    target = _address(manifest, address)
    functions = {}
    for key, written in manifest.function.items():
        if written.play:
            try:
                functions[key] = play_function(key, interface.function(key), written)
            except EncodingInvalid as error:
                raise ConfigInvalid(f"function {key}: {error}", function=key) from error
    game = Game(manifest.name, ChainId(manifest.chain_id), target, interface, functions, {})
    for name, unit in manifest.unit.items():
        missing = [key for key in unit.functions if key not in functions]
        if missing or len(set(unit.functions)) != len(unit.functions):
            raise ConfigInvalid(f"unit {name}: these are not play, or named twice: {missing or unit.functions}")
        game.units[name] = build_unit(name, unit, game, [functions[key] for key in unit.functions])
    return game


def _interface(manifest: GameManifest, abi: object) -> Interface:
    try:
        return Interface.from_json(abi)
    except EncodingInvalid as error:
        raise ConfigInvalid(f"game {manifest.name}: {error}") from error


def _address(manifest: GameManifest, address: Address | None) -> Address:
    try:
        written = parse_address(manifest.address) if manifest.address else None
    except EncodingInvalid as error:
        raise ConfigInvalid(f"game {manifest.name}: {error}") from error
    if written and address and written != address:
        raise ConfigInvalid(f"game {manifest.name}: its manifest says {manifest.address}, given is {to_hex(address)}")
    found = written or address
    if found is None or found == ZERO_ADDRESS:
        raise ConfigInvalid(f"game {manifest.name}: its contract's address is missing")
    return found
