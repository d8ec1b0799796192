"""Which accounts the suite runs on, and in what they differ. A new one is a line in `ACCOUNTS`, and its differences."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from gamekit.eth.abi import encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.calldata import EXECUTE_SELECTOR
from gamekit.units import NonceKey
from tests.proof.escapes.make import REFUSED, SIGNATURE
from tests.proof.escapes.model import Expected

if TYPE_CHECKING:
    from tests.proof.escapes.world import World

BYTES: Final = parse_type("bytes")

ACCOUNTS: Final = (
    "reference 0.7",
    "reference 0.8",
    "reference_7702 0.8",
    "nexus 0.7",
    "safe7579 0.7",
    "kernel 0.7",
)
"""Every account type and EntryPoint."""

HEADINGS: Final = {
    "reference 0.7": "reference, EntryPoint 0.7",
    "reference 0.8": "reference, 0.8",
    "reference_7702 0.8": "EIP-7702, 0.8",
    "nexus 0.7": "Nexus, 0.7",
    "safe7579 0.7": "Safe7579, 0.7",
    "kernel 0.7": "Kernel 3.1, 0.7",
}
"""What the table calls them."""

HIDES_ERRORS: Final = {"safe7579": "ExecutionFailed"}
"""What an account answers in the place of a validator's error; the suite then reads that in the transaction's trace."""

ENABLE_BIT: Final = {"nexus": 160, "kernel": 184}
"""Where the nonce key of an account with an enable mode says so."""
_ONLY_KERNEL: Final = {"kernel": ""}

LANE_BIT: Final = {"reference": 0, "reference_7702": 0, "nexus": 168, "safe7579": 0, "kernel": 0}
"""Where a lane's number begins in the nonce key, by stack."""

ONLY_ENTRY_POINT: Final = {
    "nexus": Expected("reverted", "AccountAccessUnauthorized"),
    "safe7579": Expected("reverted", "AccountAccessUnauthorized"),
    "kernel": Expected("reverted", "InvalidCaller"),
}
"""How an account refuses whoever is not its EntryPoint."""

Lane = tuple[str, str, "Callable[[World, int], int]", Expected, Mapping[str, Expected], Mapping[str, str]]
NO_ENABLE_MODE: Final = "its nonce has no mode in which validation installs something"
LANES: Final[dict[str, Lane]] = {
    "owner-validator": (
        "C33",
        "the owner validator's lane: the owner did not sign",
        lambda w, key: w.stack.nonce_key(w.contracts.owner_validator, 9),
        SIGNATURE,
        {"kernel": Expected(REFUSED, "InvalidValidator")},
        {},
    ),
    "no-validator": (
        "C33",
        "the lane of a validator that is not installed",
        lambda w, key: w.stack.nonce_key(w.strangers.yes, 1),
        SIGNATURE,
        {"nexus": Expected(REFUSED, "ValidatorNotInstalled"), "kernel": Expected(REFUSED, "InvalidValidator")},
        {},
    ),
    "root": (
        "C33",
        "the root validator's lane: the owner did not sign",
        lambda w, key: NonceKey(9),
        SIGNATURE,
        {},
        {"*": "its nonce knows no root validator; the owner validator's lane is a row of its own"} | _ONLY_KERNEL,
    ),
    "enable-mode": (
        "C30",
        "enable mode: validation is to install a validator first",
        lambda w, key: NonceKey(key | 1 << ENABLE_BIT[w.where.name]),
        Expected(REFUSED, "EnableNotApproved"),
        {},
        {
            "*": NO_ENABLE_MODE,
            "kernel": "",
            "nexus": "an envelope is not what it reads there; the rows `enable-by-...` have what it reads",
        },
    ),
    "enable-replayed": (
        "C30",
        "the mode that replays what was enabled",
        lambda w, key: NonceKey(key | 2 << ENABLE_BIT[w.where.name]),
        Expected(REFUSED, "NonceKeyMismatch"),
        {},
        {"*": NO_ENABLE_MODE} | _ONLY_KERNEL,
    ),
}
"""Other nonce keys, by slug: the case, what, the key, and what becomes of it."""

NO_HOOK: Final = bytes(19) + b"\x01"
"""Kernel's word for none."""
VALIDATOR_DATA: Final = {
    "reference": b"",
    "reference_7702": b"",
    "nexus": b"",
    "safe7579": b"",
    "kernel": NO_HOOK + encode((BYTES,) * 3, (b"", b"", EXECUTE_SELECTOR)),
}
"""What installs a validator that wants nothing."""
EXECUTOR_DATA: Final = {**VALIDATOR_DATA, "kernel": NO_HOOK + encode((BYTES,) * 2, (b"", b""))}
"""What installs an executor that wants nothing."""

_INVALID_MODULE: Final = Expected("reverted", "InvalidModule")
NOT_EXECUTOR: Final = {
    "nexus": _INVALID_MODULE,
    "safe7579": _INVALID_MODULE,
    "kernel": Expected("reverted", "InvalidExecutor"),
}
"""How an account refuses whoever is no executor of its."""
FALLBACK_REFUSED: Final = {
    "nexus": Expected("reverted", "MissingFallbackHandler"),
    "safe7579": Expected("reverted", "NoFallbackHandler"),
    "kernel": Expected("reverted", "InvalidSelector"),
}
"""How it refuses a function that it does not have."""
_NO_VALIDATOR: Final = {
    "nexus": Expected("reverted", "ValidatorNotInstalled"),
    "safe7579": Expected("reverted", "Error(GS020)"),
    "kernel": Expected("reverted"),
}
SIGNATURE_ANSWERS: Final[dict[str, dict[str, Expected]]] = {"plain": _NO_VALIDATOR, "plain-stranger": _NO_VALIDATOR}
"""How ERC-1271 is refused where an account does more than to say no, by row."""
