"""Holes to plant in the session validator, each by replacing exact text of the real source.

`tests.proof.invariants --plant` compiles each, and the same invariants that hold for the real source must find it. A
text that does not occur exactly once is an error, so a change of the source cannot silence a plant.
"""

from dataclasses import dataclass

VALIDATOR = "SessionValidator.sol"
CALLDATA = "CalldataLib.sol"
ENVELOPE = "EnvelopeLib.sol"
GAS = "GasLib.sol"
ALLOWLIST = "AllowlistLib.sol"


class PlantUnknown(Exception):
    """There is no plant of that name."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A hole, and what it takes to open it."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    """A file under src/, a text that stands there exactly once, and what is to stand instead."""


def in_validator(name: str, old: str, new: str) -> Plant:
    """Plant `new` for `old` in the validator's own file."""
    return Plant(name, ((VALIDATOR, old, new),))


def in_calldata(name: str, old: str, new: str = "") -> Plant:
    """Plant `new` for `old` in the decoder of call data."""
    return Plant(name, ((CALLDATA, old, new),))


PLANTS = (
    # Which calls.
    in_validator(
        "first_call_only",
        "_requireAllowed(i, call, entry);",
        "if (i != 0) continue; _requireAllowed(i, call, entry);",
    ),
    in_calldata(
        "try_with_delegatecall",
        "mode == SINGLE_DEFAULT || mode == SINGLE_TRY)",
        "mode == SINGLE_DEFAULT || mode == SINGLE_TRY || mode == bytes32(uint256(0xff01) << 240))",
    ),
    in_calldata("head_offset_unchecked", "if (offset != 0x40) _refuse(36, offset, 0x40);"),
    in_calldata("array_offset_unchecked", "if (word(position) != 0x20) _refuse(EXECUTION, word(position), 0x20);"),
    in_calldata("call_offset_unchecked", "if (word(head) != position - walk.base)", "if (false)"),
    in_calldata("data_offset_unchecked", "if (word(position + 64) != 0x60)", "if (false)"),
    in_validator(
        "selector_not_compared",
        "if (entry.key() != uint256(uint160(target)) << 32 | uint32(selector)) {",
        "if (entry.target() != target) {",
    ),
    in_validator(
        "target_not_compared",
        "if (entry.key() != uint256(uint160(target)) << 32 | uint32(selector)) {",
        "if (entry.selector() != selector) {",
    ),
    in_validator("calls_max_unchecked", "if (calls > max) revert", "if (false) revert"),
    Plant("witness_unproven", ((ALLOWLIST, "if (hash != list.root)", "if (false)"),)),
    Plant("witnesses_without_end", ((ALLOWLIST, "if (list.next != list.end)", "if (false)"),)),
    # Arguments.
    in_validator(
        "pinned_argument_unchecked",
        "holds = found == uint160(msg.sender);",
        "holds = true;",
    ),
    in_validator(
        "one_of_unchecked",
        "holds = found == value;\n                    while",
        "holds = true;\n                    while",
    ),
    in_validator("at_most_unchecked", "holds = found <= value;", "holds = true;"),
    in_validator("argument_not_summed", "_addToLane(lanes, envelope, index, head.lane(), found, value);", ""),
    # Value.
    in_validator(
        "value_not_counted",
        "_addToLane(lanes, envelope, index, 0, value, envelope.scope.valueTotalWeiMax());",
        "",
    ),
    in_validator("value_per_call_unchecked", "if (value > perCall)", "if (false)"),
    # Gas, and who pays.
    Plant("gas_price_not_bounded", ((GAS, "* feePerGas;", "* 1 gwei;"),)),
    in_validator("gas_per_operation_unchecked", "if (gasWei > max) revert", "if (false) revert"),
    in_validator("gas_budget_unchecked", "if (gasSpentWei > budgetWei) revert", "if (false) revert"),
    in_validator("paymaster_not_pinned", "if (paymaster != allowed || allowed == address(0))", "if (false)"),
    in_validator(
        "paymaster_left_out",
        "if (paymasterAndData.length == 0 && allowed == address(0)) return;",
        "if (paymasterAndData.length == 0) return;",
    ),
    # How often.
    in_validator("uses_not_counted", "uint256 uses = SlotLib.usesOf(session) + calls;", "uint256 uses = calls;"),
    in_validator("rate_not_enforced", "if (arrivalMs - claimedMs > aheadMsMax)", "if (false)"),
    # When.
    in_validator("epoch_not_checked", "if (epoch != accountEpoch)", "if (false)"),
    in_validator(
        "revocation_not_checked", "if (!SlotLib.isLive(session))", "if (SlotLib.stateOf(session) == SessionState.None)"
    ),
    in_validator("time_range_not_returned", "validationData = _timeRange(envelope);", "_timeRange(envelope);"),
    in_validator(
        "slack_unchecked", "if (claimedAt + SLACK < validUntil) validUntil = claimedAt + SLACK;", ""
    ),
    in_validator(
        "session_end_unchecked", "(uint256 validAfter, uint256 validUntil) = scope.timeFrame();",
        "uint256 validUntil = type(uint48).max;\n            (uint256 validAfter,) = scope.timeFrame();"
    ),
    Plant(
        "deadline_outside_digest",
        ((ENVELOPE, "uint256 times = claimedAt << 48 | deadline;", "uint256 times = claimedAt << 48;"),),
    ),
    # Who signed, and for what.
    in_validator("signature_unchecked", "if (!envelope.signed(userOpHash)) return", "if (false) return"),
    Plant("other_s_accepted", ((ENVELOPE, "if (s > S_MAX) return false;", ""),)),
    in_validator("nonce_key_unchecked", "if (nonce >> 64 != scope.nonceKey())", "if (false)"),
    in_validator("erc1271_accepted", "return ERC1271_INVALID;", "return 0x1626ba7e;"),
    # Grant, revoke, install.
    in_validator("grant_signature_unchecked", "_requireOwnerSigned(account, digest, ownerSignature);", ""),
    in_validator("granted_again", "if (state != SessionState.None) revert", "if (false) revert"),
    in_validator("anyone_revokes", "if (msg.sender != revoker)", "if (false)"),
    in_validator("revoke_all_without_bump", "++known.epoch;", ""),
    Plant(
        "install_without_bump",
        (
            (
                VALIDATOR,
                "known.installed = true;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]) + 1;",
                "known.installed = true;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]);",
            ),
            (
                VALIDATOR,
                "SessionAccount memory known;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]) + 1;",
                "SessionAccount memory known;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]);",
            ),
        ),
    ),
)  # fmt: skip
"""Every hole that the invariants must find."""


def plant_named(name: str) -> Plant:
    """Give the plant of this name.

    Raises:
        PlantUnknown: there is none.
    """
    for plant in PLANTS:
        if plant.name == name:
            return plant
    raise PlantUnknown(f"no plant is called {name}; there are {', '.join(plant.name for plant in PLANTS)}")
