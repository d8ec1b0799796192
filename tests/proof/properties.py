"""What is proven symbolically, and for each proof the hole that the same proof must find.

The proofs are the functions `check_...` of `gamekit/contracts/test/proof/`. A hole is a change of the module's source;
a proof that passes with its hole in place would prove nothing.
"""

from typing import Final, NamedTuple

Edit = tuple[str, str, str]
"""A source file, a text that stands there exactly once, and what is to stand instead."""

CALLDATA: Final = "CalldataLib.sol"
ENVELOPE: Final = "EnvelopeLib.sol"
GAS: Final = "GasLib.sol"
GRANT: Final = "GrantLib.sol"
VALIDATOR: Final = "SessionValidator.sol"


class Hole(NamedTuple):
    """A bug, planted in the module's source."""

    name: str
    edits: tuple[Edit, ...]


class Property(NamedTuple):
    """One proof."""

    contract: str
    check: str
    """The function's name without `check_`."""
    states: str
    """In one line, for the table."""
    holes: tuple[Hole, ...]
    """What this proof must find; the first is its twin."""
    nightly: bool = False
    """Whether it takes too long for continuous integration."""
    words: int = 0
    """The hole is looked for in callData of 100 bytes and so many words; 0 if the proof has no such choice."""
    apart: tuple[int, ...] = ()
    """Numbers of words that are proven by a run each, so that all cores have some; together they are what it states."""
    reaches: bool = True
    """Whether it accepts or grants something first. One that says "never" has nothing to reach but in its twin."""


DELEGATECALL = Hole(
    "delegatecall mode allowed",
    (
        (
            CALLDATA,
            "mode == SINGLE_DEFAULT || mode == SINGLE_TRY)",
            "mode == SINGLE_DEFAULT || mode == SINGLE_TRY || mode == bytes32(uint256(0xff) << 248))",
        ),
    ),
)
OFFSET = Hole("head offset not checked", ((CALLDATA, "if (offset != 0x40) _refuse(36, offset, 0x40);", ""),))
FUNCTION = Hole("selector not execute", ((CALLDATA, "if (selector != EXECUTE)", "if (false)"),))
CALL_OFFSET = Hole(
    "offset of a call not checked", ((CALLDATA, "if (word(head) != position - walk.base)", "if (false)"),)
)
ARRAY_OFFSET = Hole(
    "offset of the batch not checked",
    ((CALLDATA, "if (word(position) != 0x20) _refuse(EXECUTION, word(position), 0x20);", ""),),
)
DATA_OFFSET = Hole("offset of the data not checked", ((CALLDATA, "if (word(position + 64) != 0x60)", "if (false)"),))
FIRST_ONLY = Hole(
    "first call only checked",
    ((VALIDATOR, "_requireAllowed(i, call, entry);", "if (i == 0) _requireAllowed(i, call, entry);"),),
)
VALUE = Hole(
    "value not checked", ((VALIDATOR, "if (call.value != 0) _checkValue(envelope, i, call.value, lanes);", ""),)
)
LENGTH = Hole(
    "length of the execution not checked",
    ((CALLDATA, "if (EXECUTION + padded != size) _refuse(68, EXECUTION + padded, size);", ""),),
)
EPOCH = Hole("epoch not checked", ((VALIDATOR, "if (epoch != accountEpoch)", "if (false)"),))
STATE = Hole("revoked sessions accepted", ((VALIDATOR, "if (!SlotLib.isLive(session))", "if (false)"),))
UNINSTALL = Hole(
    "uninstall without epoch bump",
    (
        (
            VALIDATOR,
            "SessionAccount memory known;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]) + 1;",
            "SessionAccount memory known;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]);",
        ),
    ),
)
DEADLINE = Hole("deadline outside the digest", ((ENVELOPE, "= claimedAt << 48 | deadline;", "= claimedAt << 48;"),))
HIGH_S = Hole("the other s accepted", ((ENVELOPE, "if (s > S_MAX) return false;", ""),))
SIGNER = Hole("signer 0", ((GRANT, "signer == address(0) || ", ""),))
TIME_FRAME = Hole("valid_until 0 accepted", ((GRANT, "if (validUntil <= scope.validAfter())", "if (false)"),
                                             (GRANT, "if (validUntil < block.timestamp)", "if (false)")))  # fmt: skip
TOO_LONG = Hole("sessions of any length", ((GRANT, "if (validUntil > block.timestamp + DURATION_MAX)", "if (false)"),))
ERC1271 = Hole("ERC-1271 accepted", ((VALIDATOR, "return ERC1271_INVALID;", "return 0x1626ba7e;"),))
SENDER = Hole("anybody asks", ((VALIDATOR, "if (op.sender != msg.sender)", "if (false)"),))
RANGE = Hole("empty time range accepted", ((VALIDATOR, "if (validAfter >= validUntil)", "if (false)"),))
SLACK = Hole(
    "slack not enforced",
    ((VALIDATOR, "if (claimedAt + SLACK < validUntil) validUntil = claimedAt + SLACK;", ""),),
)
FEE = Hole("gas price not bounded", ((GAS, "uint128(limits) | feePerGas;", "uint128(limits);"),))
BUDGET = Hole("gas budget not enforced", ((VALIDATOR, "if (gasSpentWei > budgetWei)", "if (false)"),))
PAYMASTER_FREE = Hole(
    "paymaster skips the budget",
    ((GAS, "if (all > FIELD_MAX)", "if (paymasterAndData.length != 0) return 0;\n            if (all > FIELD_MAX)"),),
)
LEFT_OUT = Hole(
    "pinned paymaster left out",
    ((VALIDATOR, "if (paymasterAndData.length == 0 && allowed == address(0)) return;",
      "if (paymasterAndData.length == 0) return;"),),
)  # fmt: skip
ANY_PAYMASTER = Hole(
    "any paymaster", ((VALIDATOR, "if (paymaster != allowed || allowed == address(0))", "if (false)"),)
)
RATE = Hole("rate not enforced", ((VALIDATOR, "if (arrivalMs - claimedMs > aheadMsMax)", "if (false)"),))
BACKDATED = Hole(
    "arrival goes back to the claimed time", ((VALIDATOR, "if (arrivalMs < claimedMs) arrivalMs", "arrivalMs"),)
)
ONE_USE = Hole(
    "a batch is one use", ((VALIDATOR, "uint256 uses = SlotLib.usesOf(session) + calls;",
                            "uint256 uses = SlotLib.usesOf(session) + 1;"),)
)  # fmt: skip
USES = Hole("uses not counted", ((VALIDATOR, "if (uses > max) revert UsesExceeded", "if (false) revert UsesExceeded"),))
NONCE_KEY = Hole("nonce key not compared", ((VALIDATOR, "if (nonce >> 64 != scope.nonceKey())", "if (false)"),))

PROPERTIES: Final = (
    Property("CallsProof", "single", "any callData up to 1 KB in any mode of no batch: only allowed calls are executed",
             (OFFSET, DELEGATECALL, FUNCTION, VALUE), words=5),
    Property("CallsProof", "length", "callData of a length that no execution has is refused", (LENGTH,), reaches=False),
    Property("CallsProof", "batch_1",
             "any batch that claims 1 call, up to 12 words: only allowed calls are executed",
             (ARRAY_OFFSET,), words=10),
    Property("CallsProof", "batch_2", "any batch that claims 2 calls, up to 14 words: only allowed calls are executed",
             (FIRST_ONLY, CALL_OFFSET, DATA_OFFSET), words=14),
    Property("CallsProof", "batch_3",
             "any batch that claims 3 calls, up to 20 words: only allowed calls are executed", (FIRST_ONLY,), words=20,
             nightly=True, apart=tuple(range(20, 1, -1))),
    Property("CallsProof", "batch_4",
             "any batch that claims 4 calls, up to 26 words: only allowed calls are executed", (FIRST_ONLY,), words=26,
             nightly=True, apart=tuple(range(26, 1, -1))),
    Property("SessionProof", "epoch", "the session is live and of the account's epoch", (EPOCH, STATE)),
    Property("SessionProof", "uninstall", "uninstalling ends all sessions for good", (UNINSTALL,), reaches=False),
    Property("SessionProof", "signature", "the key signed hash, permission and both times, with a low s",
             (DEADLINE, HIGH_S)),
    Property("SessionProof", "signer", "no grant names a key that cannot sign, 0 above all", (SIGNER,)),
    Property("SessionProof", "time_frame", "no grant is for ever, empty, over or longer than 30 days",
             (TIME_FRAME, TOO_LONG)),
    Property("SessionProof", "erc1271", "ERC-1271 is never answered with the magic word", (ERC1271,)),
    Property("SessionProof", "sender", "only the account itself asks", (SENDER,)),
    Property("LimitsProof", "time_range", "the range is never empty or endless; within deadline, slack and session",
             (RANGE, SLACK)),
    Property("LimitsProof", "gas", "all gas is charged within both limits, without overflow", (FEE, BUDGET)),
    Property("LimitsProof", "gas_paymaster", "the same when a paymaster pays", (PAYMASTER_FREE,)),
    Property("LimitsProof", "uses", "uses are counted, each call of 1 to 3, within the limit", (ONE_USE, USES)),
    Property("LimitsProof", "rate", "the arrival grows with each call, never goes back, never beyond the burst",
             (RATE, BACKDATED)),
    Property("LimitsProof", "nonce_key", "all 192 bits of the nonce key are the scope's", (NONCE_KEY,)),
    Property("LimitsProof", "paymaster", "no paymaster, or exactly the one that the scope names",
             (LEFT_OUT, ANY_PAYMASTER)),
)  # fmt: skip
"""In the order of the table."""
