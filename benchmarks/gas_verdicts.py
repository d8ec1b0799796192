"""What must hold of the figures, pure: the bounds that the gas of a session was promised to keep.

All are about Nexus on EntryPoint 0.7, where the session and its peers act on the same account.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

ACCOUNT: Final = "nexus"
OWNER: Final = "owner"
ONE_ENTRY: Final = "session"
EVERY_CHECK: Final = "session, every check"
PEERS: Final = {
    ONE_ENTRY: ("SmartSession (old interface), separate", "SmartSession (old interface), merged"),
    EVERY_CHECK: ("SmartSession (old interface), separate + rules", "SmartSession (old interface), merged + rules"),
}
"""For each form of our session the SmartSessions with the same limits, or fewer."""
VALIDATION_GAS_MAX: Final = 38_000
"""Of one call, one entry."""
OWNER_RATIO_MAX: Final = 2.0
"""To the owner's plain operation."""
FURTHER_CALL_GAS_MAX: Final = 3_500
"""Validation of each further call in a batch."""
PEER_RATIO_MAX: Final = 0.6
"""To a SmartSession."""
MANY: Final = 25


class Row(Struct, frozen=True):
    """One bundle that was measured."""

    account: str
    entry_point_version: str | None
    """None when no entry point was involved."""
    signer: str
    calls: int
    """In each operation."""
    operations: int
    """In the bundle, each of another player."""
    validation_gas: int
    """What deciding took, over all operations."""
    total_gas: int
    """Of the transaction."""
    calldata_bytes: int
    limits: tuple[str, ...]
    """What is enforced on chain whoever holds the key; empty for full power."""
    note: str


class Verdict(Struct, frozen=True):
    """One bound, and whether it holds."""

    name: str
    found: float
    limit: float
    holds: bool


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Judge all bounds. Raises KeyError when a row that a bound speaks of was not measured."""
    figures = {
        (row.signer, row.calls): row.validation_gas for row in rows if row.account == ACCOUNT and row.operations == 1
    }
    judged = []
    for signer, peers in PEERS.items():
        one = figures[signer, 1]
        further = (figures[signer, MANY] - one) / (MANY - 1)
        judged.append(_judge(f"{signer}: validation of one call", one, VALIDATION_GAS_MAX))
        judged.append(_judge(f"{signer}: to the owner's", one / figures[OWNER, 1], OWNER_RATIO_MAX))
        judged.append(_judge(f"{signer}: validation of each further call", further, FURTHER_CALL_GAS_MAX))
        judged += [_judge(f"{signer}: to {peer}", one / figures[peer, 1], PEER_RATIO_MAX) for peer in peers]
    return judged


def _judge(name: str, found: float, limit: float) -> Verdict:
    return Verdict(name, round(found, 3), limit, found <= limit)
