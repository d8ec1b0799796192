"""A game: its contracts, the functions that are play, and the units of delegation that players agree to.

Built from a manifest (`manifest.py`) and the contracts' ABIs; building refuses what could move value out (`lint.py`). A
session is opened by the name of a unit; `unit.raw_scope` is there for what no unit says.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from gamekit.core.manifest import GameManifest
from gamekit.core.play import Contract, PlayFunction, play_function
from gamekit.core.unit import Unit, build_unit
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.calldata import Call, CallTemplate
from gamekit.eth.hashing import parse_address, to_hex
from gamekit.eth.interface import Interface, Revert
from gamekit.units import ZERO_ADDRESS, Address, ChainId, Gas, Wei

TOKENS_MAX: Final = 16
"""Most tokens that a game names: each is asked, for each of its contracts, when a session is proposed."""

_NO_VALUE: Final = Wei(0)


class Game(Struct, frozen=True, eq=False):
    """One game on one chain."""

    name: str
    chain_id: ChainId
    address: Address
    """The game's own contract."""
    contracts: tuple[Contract, ...]
    """All that its sessions may call, the game's own first."""
    functions: dict[str, PlayFunction]
    """Those that are play, by the name that clients use."""
    units: dict[str, Unit]
    tokens: tuple[Address, ...] = ()
    """What players have and the game's contracts may have been let to take."""

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
        found = self.function(function)
        return Call(found.target, value, found.encode(arguments))

    def call_template(self, function: str) -> CallTemplate:
        """Give the compiled encoder of a function that is play. Raises EncodingInvalid if it is not."""
        return self.function(function).template

    def gas_ceiling(self, function: str) -> Gas:
        """Give the most gas that one call of a function may take; 0 for the configured default."""
        return self.function(function).gas

    @property
    def targets(self) -> tuple[Address, ...]:
        """What its sessions may call."""
        return tuple(contract.address for contract in self.contracts)

    @property
    def signatures(self) -> tuple[str, ...]:
        """Signature texts of all functions that are play: what a packed scope does not hold."""
        return tuple(function.function.signature for function in self.functions.values())

    def decode_revert(self, data: bytes, target: Address | None = None) -> Revert:
        """Say why a call reverted, in the game's own custom errors.

        Args:
            data: what it reverted with.
            target: the contract that was called, whose errors come first; a contract may pass on another's.
        """
        first, *others = sorted(self.contracts, key=lambda contract: contract.address != target)
        told = first.interface.decode_revert(data)
        for contract in others:
            if told.name:
                break
            told = contract.interface.decode_revert(data)
        return told


def build_game(
    manifest: GameManifest,
    abi: object,
    address: Address | None = None,
    further: Mapping[str, tuple[object, Address | None]] | None = None,
) -> Game:
    """Build a game.

    Args:
        manifest: what the operator wrote.
        abi: the contract's ABI as its compiler writes it, a list.
        address: the contract, where the manifest leaves it open.
        further: ABI and address of each further contract, the same way.

    Raises: ConfigInvalid for anything that does not fit together, or that a session must not be able to do.
    """
    if manifest.chain_id < 1:
        raise ConfigInvalid(f"game {manifest.name}: chain_id starts at 1, got {manifest.chain_id}")
    contracts = _contracts(manifest, abi, address, further or {})
    functions = {}
    for key, written in manifest.function.items():
        if written.play:
            name, dot, rest = key.partition(".")
            contract = contracts.get(name if dot else "")
            if contract is None:
                raise ConfigInvalid(f"function {key}: there is no contract {name!r} in the manifest", function=key)
            try:
                function = contract.interface.function(rest if dot else key)
            except EncodingInvalid as error:
                raise ConfigInvalid(f"function {key}: {error}", function=key) from error
            functions[key] = play_function(key, contract, function, written)
    own = contracts[""].address
    game = Game(
        manifest.name, ChainId(manifest.chain_id), own, tuple(contracts.values()), functions, {}, _tokens(manifest)
    )
    for name, unit in manifest.unit.items():
        missing = [key for key in unit.functions if key not in functions]
        if missing or len(set(unit.functions)) != len(unit.functions):
            raise ConfigInvalid(f"unit {name}: these are not play, or named twice: {missing or unit.functions}")
        game.units[name] = build_unit(name, unit, game, [functions[key] for key in unit.functions])
    return game


def _tokens(manifest: GameManifest) -> tuple[Address, ...]:
    if len(manifest.tokens) > TOKENS_MAX:
        raise ConfigInvalid(f"game {manifest.name}: at most {TOKENS_MAX} tokens, got {len(manifest.tokens)}")
    try:
        return tuple(map(parse_address, manifest.tokens))
    except EncodingInvalid as error:
        raise ConfigInvalid(f"game {manifest.name}: tokens: {error}") from error


def _contracts(
    manifest: GameManifest,
    abi: object,
    address: Address | None,
    further: Mapping[str, tuple[object, Address | None]],
) -> dict[str, Contract]:
    """Build all contracts, by the name before their functions; the game's own is the first, and has none."""
    found = {"": _contract(f"game {manifest.name}", manifest.name, abi, manifest.address, address)}
    for name, written in manifest.contract.items():
        where = f"game {manifest.name}, contract {name}"
        if not name.isidentifier() or name == manifest.name:
            raise ConfigInvalid(f"{where}: its name must be a word of letters, and not the game's", contract=name)
        if name not in further:
            raise ConfigInvalid(f"{where}: its ABI is missing", contract=name)
        found[name] = _contract(where, name, further[name][0], written.address, further[name][1])
    same = {contract.address: contract.name for contract in found.values()}
    if len(same) != len(found):
        raise ConfigInvalid(f"game {manifest.name}: {len(found)} contracts share {len(same)} addresses")
    return found


def _contract(where: str, name: str, abi: object, written: str, given: Address | None) -> Contract:
    try:
        interface = Interface.from_json(abi)
        parsed = parse_address(written) if written else None
    except EncodingInvalid as error:
        raise ConfigInvalid(f"{where}: {error}") from error
    if parsed and given and parsed != given:
        raise ConfigInvalid(f"{where}: its manifest says {written}, given is {to_hex(given)}")
    found = parsed or given
    if found is None or found == ZERO_ADDRESS:
        raise ConfigInvalid(f"{where}: its contract's address is missing")
    return Contract(name, found, interface)
