"""Which EntryPoint is spoken to: what differs between them hangs on this one word."""

from enum import Enum
from typing import Final

from gamekit.eth.hashing import parse_address
from gamekit.units import Address


class EntryPointVersion(Enum):
    """A deployed generation of the EntryPoint; the value is how people write it."""

    V06 = "0.6"
    """Unpacked fields on chain."""
    V07 = "0.7"
    """Packed gas fields; the hash is over ABI words."""
    V08 = "0.8"
    """The hash is EIP-712 typed data; accounts by code delegation."""
    V09 = "0.9"
    """As 0.8, with a paymaster signature outside the hash."""

    @property
    def is_packed(self) -> bool:
        """Whether operations travel as `PackedUserOperation`: all but 0.6."""
        return self is not EntryPointVersion.V06

    @property
    def is_typed_data(self) -> bool:
        """Whether the hash is already an EIP-712 digest: 0.8 and later."""
        return self is EntryPointVersion.V08 or self is EntryPointVersion.V09

    @property
    def canonical_address(self) -> Address:
        """Where this version is deployed on every chain."""
        return _CANONICAL[self]


_CANONICAL: Final = {
    EntryPointVersion.V06: parse_address("0x5FF137D4b0FDCD49DcA30c7CF57E578a026d2789"),
    EntryPointVersion.V07: parse_address("0x0000000071727De22E5E9d8BAf0edAc6f37da032"),
    EntryPointVersion.V08: parse_address("0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108"),
    EntryPointVersion.V09: parse_address("0x433709009B8330FDa32311DF1C2AFA402eD8D009"),
}
"""Source: ERC-4337, and the releases of eth-infinitism/account-abstraction."""

CANONICAL_ENTRY_POINTS: Final = frozenset(_CANONICAL.values())
"""All of them: none is ever a target of play."""
