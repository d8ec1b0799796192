"""Which accounts the suite runs on, and in what they differ. A new one is a line in `ACCOUNTS`, and its differences."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from tests.proof.escapes.make import REFUSED, SIGNATURE
from tests.proof.escapes.model import Expected

if TYPE_CHECKING:
    from tests.proof.escapes.world import World

ACCOUNTS: Final = (
    "reference 0.7",
    "reference 0.8",
    "reference_7702 0.8",
    "nexus 0.7",
    "safe7579 0.7",
    "kernel 0.7",
)
"""Every account type and EntryPoint."""

HIDES_ERRORS: Final = {"safe7579": "ExecutionFailed"}
"""What an account answers in the place of a validator's error; the suite then reads that in the transaction's trace."""

LANE_BIT: Final = {"reference": 0, "reference_7702": 0, "nexus": 168, "safe7579": 0, "kernel": 0}
"""Where a lane's number begins in the nonce key, by stack."""

ONLY_ENTRY_POINT: Final = {
    "nexus": Expected("reverted", "AccountAccessUnauthorized"),
    "safe7579": Expected("reverted", "AccountAccessUnauthorized"),
    "kernel": Expected("reverted", "InvalidCaller"),
}
"""How an account refuses whoever is not its EntryPoint."""

Lane = tuple[str, "Callable[[World, int], int]", Expected, Mapping[str, Expected], Mapping[str, str]]
NO_ENABLE_MODE: Final = "has no mode in which validation installs something"
LANES: Final[dict[str, Lane]] = {
    "owner-validator": (
        "the owner validator's lane: the owner did not sign",
        lambda w, key: w.stack.nonce_key(w.contracts.owner_validator, 9),
        SIGNATURE,
        {"kernel": Expected(REFUSED, "InvalidValidator")},
        {},
    ),
    "no-validator": (
        "the lane of a validator that is not installed",
        lambda w, key: w.stack.nonce_key(w.strangers.yes, 1),
        SIGNATURE,
        {"nexus": Expected(REFUSED, "ValidatorNotInstalled"), "kernel": Expected(REFUSED, "InvalidValidator")},
        {},
    ),
}
"""Other nonce keys, by slug: what, the key, and what becomes of it."""
