"""Read what reverted: the EntryPoint's code, and the error of whoever said it."""

from typing import Final

from msgspec import Struct

from gamekit.contracts import artifact
from gamekit.eth.abi import AbiValue
from gamekit.eth.entry_point import ENTRY_POINT, decode_failed_op
from gamekit.eth.interface import CustomError, Interface
from gamekit.eth.session_paymaster import SESSION_PAYMASTER
from gamekit.eth.session_validator_abi import SESSION_VALIDATOR

_OTHERS: Final = (
    # Of the accounts, as their own code says it. Source: OpenZeppelin Contracts 5.7, Nexus 1.0.0, Kernel 3.1,
    # EntryPoint 0.7 and 0.8.
    "AccountUnauthorized(address sender)",
    "ERC7579MissingFallbackHandler(bytes4 selector)",
    "ERC7579UninstalledModule(uint256 moduleTypeId,address module)",
    "ERC7579UnsupportedCallType(bytes1 callType)",
    "ERC7579UnsupportedExecType(bytes1 execType)",
    "ERC7579DecodingError()",
    "ReentrancyGuardReentrantCall()",
    "Reentrancy()",
    "ValidatorNotInstalled(address module)",
    "InvalidModule(address module)",
    "MissingFallbackHandler(bytes4 sig)",
    "AccountAccessUnauthorized()",
    "UnsupportedCallType(bytes1 callType)",
    "ExecutionFailed()",
    "InvalidValidator()",
    "InvalidCaller()",
    "EnableNotApproved()",
    "EnableModeSigError()",
    "InvalidExecutor()",
    "InvalidSelector()",
    "NoFallbackHandler(bytes4 sig)",
    "Stumbled(address player)",
    "AddressTaken()",
    "NobodysAccount(address caller)",
)

ERRORS: Final = Interface(
    errors=[
        *SESSION_VALIDATOR.errors.values(),
        *ENTRY_POINT.errors.values(),
        *SESSION_PAYMASTER.errors.values(),
        *Interface.from_json(artifact("Arena").abi).errors.values(),
        *map(CustomError.parse, _OTHERS),
    ]
)
"""Every error that a row can end in."""


class Refusal(Struct, frozen=True):
    """Why something reverted."""

    text: str
    """`AA23 CallNotAllowed`, `reverted SelectorDenied`."""
    values: dict[str, AbiValue]
    """Of the error, by name."""
    index: int = 0
    """Which operation of the bundle the EntryPoint names."""


def refusal(data: bytes) -> Refusal:
    """Read revert data of handleOps, or of any other call."""
    failed = decode_failed_op(data)
    if failed is None:
        name, values = _named(data)
        # Before 0.9 some codes come as plain text, without an index.
        message = str(values.get("message", ""))
        return Refusal(message[:4] if message.startswith("AA") else f"reverted {name}".strip(), values)
    name, values = _named(failed.inner)
    return Refusal(f"{failed.reason[:4]} {name}".strip(), values, failed.operation_index)


def deeper(found: Refusal, data: bytes) -> Refusal:
    """Put the error that an account hid in the place of the account's own; no data, no change."""
    name, values = _named(data)
    return Refusal(f"{found.text.partition(' ')[0]} {name}", values, found.index) if name else found


def _named(data: bytes) -> tuple[str, dict[str, AbiValue]]:
    """Name an error; one that nobody here knows by its first four bytes."""
    if not data:
        return "", {}
    found = ERRORS.decode_revert(data)
    if found.name == "Error":
        return f"Error({found.values['message']!s})", found.values
    return found.name or f"0x{data[:4].hex()}", found.values
