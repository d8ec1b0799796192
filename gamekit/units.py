"""The quantities that gamekit speaks of, each with its unit.

Plain `int` and `bytes` at run time; distinct for the type checker, so that wei never meets gas and an address never
meets a hash. Hexadecimal exists only at the edges.
"""

from typing import Final, NewType

Address = NewType("Address", bytes)
"""An account or contract address: 20 raw bytes."""

Hash32 = NewType("Hash32", bytes)
"""Any keccak-256 digest: 32 raw bytes."""

BlockHash = NewType("BlockHash", bytes)
"""The hash of a block: 32 raw bytes."""

PermissionId = NewType("PermissionId", bytes)
"""Names (chain, module, account, scope) on chain: 32 raw bytes. Source: SessionValidator.sol, `permissionIdOf`."""

UserOpHash = NewType("UserOpHash", bytes)
"""The ERC-4337 hash of a user operation: 32 raw bytes."""

Wei = NewType("Wei", int)
"""Native currency, in wei. Never negative."""

Gas = NewType("Gas", int)
"""Gas units. Never negative."""

UnixSeconds = NewType("UnixSeconds", int)
"""Seconds since 1970, in chain time unless a name says otherwise."""

NonceKey = NewType("NonceKey", int)
"""The upper 192 bits of a user operation's nonce: which lane."""

NonceSequence = NewType("NonceSequence", int)
"""The lower 64 bits of a user operation's nonce: the place on its lane, from 0."""

BlockNumber = NewType("BlockNumber", int)
"""Height of a block; genesis is 0."""

ChainId = NewType("ChainId", int)
"""EIP-155 chain id, from 1."""

PlayerId = NewType("PlayerId", str)
"""The game's own name for a player; opaque to gamekit, at most 128 characters."""

ActionId = NewType("ActionId", int)
"""Place of an action in the journal: grows by one with every accepted action, over all lanes."""

Cursor = NewType("Cursor", int)
"""Place of an event in the durable event stream: grows by one with every event."""

ZERO_ADDRESS: Final = Address(bytes(20))
"""The address that nobody owns."""

UINT48_MAX: Final = (1 << 48) - 1
"""Largest time that the entry point can carry, in unix seconds. Source: ERC-4337, `validationData`."""

UINT64_MAX: Final = (1 << 64) - 1
UINT128_MAX: Final = (1 << 128) - 1
UINT192_MAX: Final = (1 << 192) - 1
UINT256_MAX: Final = (1 << 256) - 1
