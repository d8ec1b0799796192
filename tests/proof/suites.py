"""The suites that a campaign can run: where each stands, what it must have seen, and how holes get into it."""

import re
from typing import Final

from msgspec import Struct

from gamekit.contracts import build

SCOPES: Final = ("plain", "rules", "value", "rate", "many", "sponsored", "tight", "long")
MODES: Final = ("single", "single try", "batch", "batch try")
ACCOUNTS: Final = ("reference 0.7", "reference 0.8", "Nexus 0.7")
CHECKS: Final = (
    "SelectorNotExecute", "ModeNotAllowed", "CallDataNotCanonical", "CallsOutOfRange", "SelectorMissing",
    "SignatureTooShort", "SignatureTooLong", "SessionNotLive", "EpochStale", "NonceKeyMismatch", "PaymasterMismatch",
    "GasPerOperationExceeded", "GasBudgetExceeded", "UsesExceeded", "RateExceeded", "TimeRangeEmpty",
    "HintOutOfRange", "WitnessInvalid", "CallNotAllowed", "TargetForbidden", "ValuePerCallExceeded",
    "ArgumentMissing", "ArgumentRefused", "CapExceeded",
)  # fmt: skip
"""Every error of validation that an operation can end with. Two others cannot be reached through an EntryPoint: it
asks each account about its own operations only (SenderMismatch), and refuses larger gas fields itself
(GasFieldTooLarge). Init code on an account that exists is refused by the EntryPoint, too (AA10)."""
WORDS: Final = (
    "AA10 sender already constructed",
    "AA22 expired or not due",
    "AA24 signature error",
    "AA25 invalid account nonce",
)
"""What the EntryPoints themselves refuse with."""


class Suite(Struct, frozen=True):
    """One world of the stateful fuzzing."""

    name: str
    path: str
    """Of its tests, from the project's root."""
    contracts: tuple[str, ...]
    """Test contracts, to be run in turns; each has one invariant."""
    calls: int
    """Of a campaign, unless the command line says otherwise."""
    plant_calls: int
    """Calls within which a plant must be found, unless the command line says otherwise."""
    expected: tuple[str, ...]
    """What must have happened at least once in a long campaign."""


VALIDATOR: Final = Suite(
    name="validator",
    path="test/invariant/*",
    contracts=("SessionValidatorInvariants",),
    calls=100_000,
    plant_calls=20_000,
    expected=(
        *(f"accepted: {account}, {mode}" for account in ACCOUNTS for mode in MODES),
        *(f"accepted: {scope}" for scope in SCOPES),
        *(f"accepted: bundle of {size}" for size in (1, 2, 3, 4)),
        *(f"refused: {check}" for check in CHECKS),
        *(f"refused: {words}" for words in WORDS),
        "intruded", "owned", "reinstalled", "revoked all", "revoked one", "upgraded",
    ),
)  # fmt: skip
"""A session can play, and nothing else."""

SPONSOR_CHECKS: Final = (
    "GameDayCapExceeded", "PlayerDayCapExceeded", "SessionLimitExceeded", "SessionNotCharged", "SessionNotLive",
    "SessionNotSponsored",
)  # fmt: skip
"""Every error that the paymaster's validation can end a well-formed operation with."""

PAYMASTER: Final = Suite(
    name="paymaster",
    path="test/paymaster/PaymasterInvariant.t.sol",
    contracts=("PaymasterInvariant07Test", "PaymasterInvariant08Test"),
    calls=10_000,
    plant_calls=5_000,
    expected=(
        "accepted: play", "accepted: bundle", "accepted: owner's operation", "accepted: another session named",
        "accepted: signed by a sponsor",
        *(f"refused: {check}" for check in SPONSOR_CHECKS),
        "refused: GasBudgetExceeded", "refused: PaymasterMismatch", "refused: AA34 signature error",
        "refused a voucher", "took a voucher again", "renewed", "rotated", "midnight",
    ),
)  # fmt: skip
"""A paymaster pays for what was charged, and nothing else."""

SUITES: Final = {suite.name: suite for suite in (VALIDATOR, PAYMASTER)}

_HOLE: Final = re.compile(r"enum Hole \{([^}]*)\}")


def paymaster_holes() -> tuple[str, ...]:
    """Give the names of the paymasters with a hole (test/paymaster/PaymasterHoles.sol); a hole's number is its place,
    from 1 on."""
    source = (build.PROJECT / "test" / "paymaster" / "PaymasterHoles.sol").read_text()
    found = _HOLE.search(source)
    assert found is not None, "no holes are listed"
    none, *names = [each.strip() for each in found[1].split(",")]
    assert none == "None", none
    return tuple(names)
