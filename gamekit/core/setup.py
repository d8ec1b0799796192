"""Where everything stands on the configured chain, its addresses read and checked once."""

from msgspec import Struct

from gamekit.accounts import stack
from gamekit.accounts.stack import StackContracts
from gamekit.config import ChainConfig, StackConfig
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import parse_address
from gamekit.units import ZERO_ADDRESS, Address, ChainId


class StackSetup(Struct, frozen=True):
    """One account stack on one entry point."""

    name: str
    version: EntryPointVersion
    entry_point: Address
    contracts: StackContracts
    paymaster: Address | None = None
    """The SessionPaymaster of this entry point; None where accounts pay for themselves."""


class ChainSetup(Struct, frozen=True):
    """One chain."""

    chain_id: ChainId
    session_validator: Address
    opener: Address
    stacks: tuple[StackSetup, ...]

    @property
    def entry_points(self) -> frozenset[Address]:
        """Every entry point whose operations concern us."""
        return frozenset(each.entry_point for each in self.stacks)

    @property
    def paymasters(self) -> dict[Address, Address]:
        """Every paymaster of ours, and its entry point."""
        return {each.paymaster: each.entry_point for each in self.stacks if each.paymaster is not None}

    def stack(self, name: str = "", version: str = "") -> StackSetup:
        """Find an account stack: by name and version, or the first that fits what is given.

        Raises: ConfigInvalid naming what is configured.
        """
        for each in self.stacks:
            if name in ("", each.name) and version in ("", each.version.value):
                return each
        known = [f"{each.name} on {each.version.value}" for each in self.stacks]
        asked = f"{name or 'any'} on {version or 'any entry point'}"
        raise ConfigInvalid(f"no account stack {asked!r} is configured, only {known}", asked=asked, known=known)


def chain_setup(config: ChainConfig) -> ChainSetup:
    """Read the addresses of a configuration. Raises ConfigInvalid naming the setting."""
    validator = _address("chain.session_validator", config.session_validator)
    return ChainSetup(
        ChainId(config.chain_id),
        validator,
        _address("chain.session_opener", config.session_opener),
        tuple(_stack(each, validator) for each in config.stacks),
    )


def _stack(config: StackConfig, validator: Address) -> StackSetup:
    where = f"chain.stacks {config.stack} on {config.entry_point_version}"
    try:
        version = EntryPointVersion(config.entry_point_version)
    except ValueError as error:
        known = [each.value for each in EntryPointVersion]
        raise ConfigInvalid(f"{where}: entry_point_version must be one of {known}", known=known) from error
    contracts = StackContracts(
        factory=_address(f"{where}: factory", config.factory),
        session_validator=validator,
        owner_validator=_owner_validator(where, config),
        bootstrap=_address(f"{where}: bootstrap", config.bootstrap) if config.bootstrap else None,
    )
    entry_point = _address(f"{where}: entry_point", config.entry_point)
    paymaster = _address(f"{where}: paymaster", config.paymaster) if config.paymaster else None
    return StackSetup(config.stack, version, entry_point, contracts, paymaster)


def _owner_validator(where: str, config: StackConfig) -> Address:
    """0 for a stack whose accounts' own keys are the owners: no validator may speak for them."""
    if stack(config.stack).own_key_is_owner and not config.owner_validator:
        return ZERO_ADDRESS
    return _address(f"{where}: owner_validator", config.owner_validator)


def _address(setting: str, text: str) -> Address:
    try:
        return parse_address(text)
    except EncodingInvalid as error:
        raise ConfigInvalid(f"{setting} is {text!r}, which is no address", setting=setting, found=text) from error
