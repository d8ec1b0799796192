"""Scopes as bytes, for tests of what only carries them."""

from collections.abc import Sequence


def scope_bytes(
    *,
    entries: Sequence[bytes] = (),
    rules: int = 0,
    signer: bytes = b"\x01" * 20,
    revoker: bytes = b"\x02" * 20,
    valid_after: int = 10,
    valid_until: int = 20,
    uses_max: int = 100,
    gas_budget_wei: int = 10**18,
    value_total_wei_max: int = 0,
    paymaster: bytes = bytes(20),
) -> bytes:
    """Lay out a scope of version 1; `entries` are target and selector, 24 bytes each. Source: ScopeLib.sol."""
    return b"".join(
        (
            *(signer, valid_after.to_bytes(6, "big"), valid_until.to_bytes(6, "big")),
            *(revoker, bytes((1, 64, len(entries), rules)), (64).to_bytes(2, "big"), bytes(6)),
            *(b"\x05" * 24, uses_max.to_bytes(4, "big"), (50).to_bytes(4, "big")),
            *(gas_budget_wei.to_bytes(16, "big"), (10**16).to_bytes(16, "big")),
            *(value_total_wei_max.to_bytes(16, "big"), value_total_wei_max.to_bytes(16, "big")),
            *(paymaster, bytes(12)),
            *(entry + bytes(8) for entry in entries),
            bytes(64) * rules,
        )
    )
