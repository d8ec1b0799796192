"""Bugs for `mutants.py` to plant in the module's source: each takes one protection away, or bends it.

Each old text stands in its file exactly once, so a change of the source that touches a protection is noticed here.
"""

from typing import Final, NamedTuple


class Mutation(NamedTuple):
    """One bug."""

    name: str
    file: str
    """Under src/."""
    old: str
    new: str
    what: str
    """What the module would do then."""


VALIDATOR: Final = "SessionValidator.sol"
CALLDATA: Final = "CalldataLib.sol"
ENVELOPE: Final = "EnvelopeLib.sol"
LIST: Final = "AllowlistLib.sol"
GAS: Final = "GasLib.sol"
GRANT: Final = "GrantLib.sol"
SCOPE: Final = "ScopeLib.sol"
SLOT: Final = "SlotLib.sol"
TARGET: Final = "TargetLib.sol"
PROXY: Final = "ProxyLib.sol"


def _gone(name: str, file: str, line: str, what: str) -> Mutation:
    """Leave a statement out."""
    return Mutation(name, file, line, "", what)


NAMED: Final = (
    Mutation(
        "first-call-only",
        VALIDATOR,
        "            _requireAllowed(i, call, entry);",
        "            if (i == 0) _requireAllowed(i, call, entry);",
        "check the first call of a batch only",
    ),
    Mutation(
        "delegatecall-mode",
        CALLDATA,
        "else if (mode == SINGLE_DEFAULT || mode == SINGLE_TRY) walk.count = 1;",
        "else if (mode == SINGLE_DEFAULT || mode == SINGLE_TRY || bytes1(mode) == 0xff) walk.count = 1;",
        "let an operation delegatecall",
    ),
    _gone(
        "head-offset",
        CALLDATA,
        "            if (offset != 0x40) _refuse(36, offset, 0x40);\n",
        "read another body than the account runs",
    ),
    Mutation(
        "valid-until-zero",
        GRANT,
        "if (validUntil <= scope.validAfter()) {",
        "if (validUntil != 0 && validUntil <= scope.validAfter()) {",
        "take an end of 0 for later than the beginning",
    ),
    Mutation(
        "deadline-outside-digest",
        ENVELOPE,
        "uint256 times = claimedAt << 48 | deadline;",
        "uint256 times = claimedAt << 48 | (deadline & 0);",
        "let a bundler extend the deadline",
    ),
    Mutation(
        "gas-price", GAS, "return gas * feePerGas;", "return gas * 1 gwei + (feePerGas & 0);", "bound gas and no price"
    ),
    Mutation(
        "paymaster-skips-budget",
        VALIDATOR,
        "GasLib.costWei(op, paymasterAndData));",
        "paymasterAndData.length != 0 ? 0 : GasLib.costWei(op, paymasterAndData));",
        "charge nothing when a paymaster pays",
    ),
    Mutation(
        "paymaster-left-out",
        VALIDATOR,
        "if (paymasterAndData.length == 0 && allowed == address(0)) return;",
        "if (paymasterAndData.length == 0) return;",
        "let the pinned paymaster be left out",
    ),
    Mutation(
        "target-zero", TARGET, "forbidden := or(iszero(target), ", "forbidden := or(0, ", "let address 0 be a target"
    ),
    _gone(
        "epoch",
        VALIDATOR,
        "        if (epoch != accountEpoch) revert EpochStale(epoch, accountEpoch);\n",
        "keep sessions alive after revoke-all",
    ),
    Mutation(
        "uninstall-epoch",
        VALIDATOR,
        "        known.epoch = SlotLib.epochOf(_accounts[msg.sender]) + 1;\n        _setAccount(msg.sender, known);",
        "        known.epoch = SlotLib.epochOf(_accounts[msg.sender]);\n        _setAccount(msg.sender, known);",
        "uninstall without a new epoch",
    ),
    Mutation(
        "erc1271",
        VALIDATOR,
        "return ERC1271_INVALID;",
        "return 0x1626ba7e;",
        "sign anything in the account's name",
    ),
    Mutation(
        "signer-zero",
        GRANT,
        "if (signer == address(0) || signer == account",
        "if (signer == account",
        "grant to the key that every malformed signature recovers to",
    ),
)
"""Those that every run plants."""

OTHERS: Final = (
    _gone(
        "sender",
        VALIDATOR,
        "        if (op.sender != msg.sender) revert SenderMismatch(op.sender, msg.sender);\n",
        "judge another account's operation",
    ),
    _gone(
        "init-code",
        VALIDATOR,
        "        if (op.initCode.length != 0) revert InitCodeNotEmpty(op.initCode.length);\n",
        "let a session deploy",
    ),
    _gone(
        "not-live",
        VALIDATOR,
        "        if (!SlotLib.isLive(session)) revert SessionNotLive(permissionId, SlotLib.stateOf(session));\n",
        "take any scope for granted",
    ),
    _gone(
        "nonce-key",
        VALIDATOR,
        "        if (nonce >> 64 != scope.nonceKey()) revert NonceKeyMismatch(uint192(nonce >> 64), scope.nonceKey());\n",
        "use other lanes",
    ),
    Mutation(
        "nonce-key-low",
        VALIDATOR,
        "if (nonce >> 64 != scope.nonceKey())",
        "if (uint64(nonce >> 64) != uint64(scope.nonceKey()))",
        "compare the low half of the nonce key only",
    ),
    _gone(
        "paymaster-other",
        VALIDATOR,
        "        if (paymaster != allowed || allowed == address(0)) revert PaymasterMismatch(paymaster, allowed);\n",
        "take any paymaster",
    ),
    _gone(
        "claim-ignored",
        VALIDATOR,
        "            if (claimedAt > validAfter) validAfter = claimedAt;\n",
        "claim a time that has not come",
    ),
    _gone(
        "deadline-ignored",
        VALIDATOR,
        "            if (deadline < validUntil) validUntil = deadline;\n",
        "live on beyond the deadline",
    ),
    _gone(
        "slack-ignored",
        VALIDATOR,
        "            if (claimedAt + SLACK < validUntil) validUntil = claimedAt + SLACK;\n",
        "live on beyond the slack",
    ),
    _gone(
        "time-range-empty",
        VALIDATOR,
        "            if (validAfter >= validUntil) revert TimeRangeEmpty(validAfter, validUntil);\n",
        "return an empty range",
    ),
    Mutation(
        "time-range-touching",
        VALIDATOR,
        "if (validAfter >= validUntil) revert",
        "if (validAfter > validUntil) revert",
        "return a range of one second",
    ),
    Mutation(
        "time-range-swapped",
        VALIDATOR,
        "return validAfter << 208 | validUntil << 160;",
        "return validUntil << 208 | validAfter << 160;",
        "swap both ends",
    ),
    _gone(
        "calls-max",
        VALIDATOR,
        "            if (calls > max) revert CallsOutOfRange(calls, max);\n",
        "take larger batches",
    ),
    Mutation(
        "calls-max-edge", VALIDATOR, "if (calls > max) revert", "if (calls >= max) revert", "refuse the largest batch"
    ),
    _gone("uses-max", VALIDATOR, "            if (uses > max) revert UsesExceeded(uses, max);\n", "act for ever"),
    Mutation(
        "uses-by-operation",
        VALIDATOR,
        "SlotLib.usesOf(session) + calls;",
        "SlotLib.usesOf(session) + 1;",
        "count operations instead of calls",
    ),
    _gone(
        "gas-per-operation",
        VALIDATOR,
        "            if (gasWei > max) revert GasPerOperationExceeded(gasWei, max);\n",
        "spend the budget at once",
    ),
    _gone(
        "gas-budget",
        VALIDATOR,
        "            if (gasSpentWei > budgetWei) revert GasBudgetExceeded(gasSpentWei, budgetWei);\n",
        "burn without end",
    ),
    Mutation(
        "gas-forgotten", VALIDATOR, "SlotLib.gasSpentWeiOf(session) + gasWei;", "gasWei;", "forget what was burnt"
    ),
    _gone(
        "rate",
        VALIDATOR,
        "            if (arrivalMs - claimedMs > aheadMsMax) revert RateExceeded(arrivalMs - claimedMs, aheadMsMax);\n",
        "act at any pace",
    ),
    Mutation(
        "rate-by-operation",
        VALIDATOR,
        "arrivalMs += calls * intervalMs;",
        "arrivalMs += intervalMs;",
        "pace operations instead of calls",
    ),
    Mutation(
        "rate-unkept",
        VALIDATOR,
        "if (arrivalMs < claimedMs) arrivalMs = claimedMs;",
        "arrivalMs = claimedMs;",
        "forget the pace",
    ),
    Mutation(
        "rate-edge",
        VALIDATOR,
        "if (arrivalMs - claimedMs > aheadMsMax) revert",
        "if (arrivalMs - claimedMs >= aheadMsMax) revert",
        "refuse the last call of a burst",
    ),
    _gone("allowlist", VALIDATOR, "            _requireAllowed(i, call, entry);\n", "call anything"),
    Mutation(
        "forbidden-at-use",
        VALIDATOR,
        "        TargetLib.requireNotForbidden(target, msg.sender);\n        bytes4 selector",
        "        bytes4 selector",
        "rely on what grant has seen",
    ),
    Mutation(
        "selector-only",
        VALIDATOR,
        "if (entry.key() != uint256(uint160(target)) << 32 | uint32(selector)) {",
        "if (uint32(entry.key()) != uint32(selector)) {",
        "call the function of another contract",
    ),
    Mutation(
        "target-only",
        VALIDATOR,
        "if (entry.key() != uint256(uint160(target)) << 32 | uint32(selector)) {",
        "if (entry.key() >> 32 != uint160(target)) {",
        "call another function",
    ),
    _gone("walk-close", VALIDATOR, "        walk.close();\n", "leave bytes behind the last call unread"),
    _gone("list-close", VALIDATOR, "        list.close();\n", "pad the signature behind the witnesses"),
    _gone(
        "value-unchecked",
        VALIDATOR,
        "            if (call.value != 0) _checkValue(envelope, i, call.value, lanes);\n",
        "send ether",
    ),
    _gone(
        "value-per-call",
        VALIDATOR,
        "        if (value > perCall) revert ValuePerCallExceeded(index, value, perCall);\n",
        "send all at once",
    ),
    Mutation(
        "rules-unchecked",
        VALIDATOR,
        "if (ruleCount != 0) _checkRules",
        "if (ruleCount > 255) _checkRules",
        "ignore rules",
    ),
    Mutation(
        "rules-last",
        VALIDATOR,
        "uint256 end = position + ScopeLib.RULE_LENGTH * ruleCount;",
        "uint256 end = position + ScopeLib.RULE_LENGTH;",
        "check the first rule only",
    ),
    _gone(
        "argument-missing",
        VALIDATOR,
        "                if (argument >= (call.length - 4) >> 5) revert ArgumentMissing(index, argument, call.length);\n",
        "read an argument that is not there",
    ),
    Mutation(
        "at-most-edge", VALIDATOR, "holds = found <= value;", "holds = found < value;", "refuse the largest allowed"
    ),
    Mutation(
        "at-least-edge", VALIDATOR, "holds = found >= value;", "holds = found > value;", "refuse the smallest allowed"
    ),
    Mutation("not-equal", VALIDATOR, "holds = found != value;", "holds = true;", "take what is excluded"),
    Mutation(
        "pinned",
        VALIDATOR,
        "holds = found == uint160(msg.sender);",
        "holds = uint160(found) == uint160(msg.sender);",
        "take a dirty beneficiary",
    ),
    Mutation(
        "one-of-run",
        VALIDATOR,
        "if ((CalldataLib.word(next) ^ head) >> 240 != 0) break;",
        "if ((CalldataLib.word(next) ^ head) >> 248 != 0) break;",
        "take other rules on the argument for alternatives",
    ),
    _gone(
        "argument-refused",
        VALIDATOR,
        "                if (!holds) revert ArgumentRefused(index, argument, condition, found, value);\n",
        "ignore what a rule says",
    ),
    _gone(
        "cap-amount",
        VALIDATOR,
        "            if (amount > limit) revert CapExceeded(index, lane, amount, limit);\n",
        "overflow a lane",
    ),
    _gone(
        "cap-total",
        VALIDATOR,
        "            if (total > limit) revert CapExceeded(index, lane, total, limit);\n",
        "pass a cap",
    ),
    _gone(
        "cap-unkept",
        VALIDATOR,
        "        if (lanes.slot != 0) _wordAt(lanes.slot).value = lanes.sums;\n",
        "forget what was spent",
    ),
    _gone("session-unkept", VALIDATOR, "        session.value = live;\n", "forget everything"),
    Mutation(
        "signature",
        VALIDATOR,
        "if (!envelope.signed(userOpHash)) return validationData | SIGNATURE_FAILED;",
        "envelope.signed(userOpHash);",
        "take any signature",
    ),
    Mutation(
        "signature-aggregator",
        VALIDATOR,
        "return validationData | SIGNATURE_FAILED;",
        "return validationData;",
        "return a success for a wrong signature",
    ),
    Mutation(
        "grant-again",
        VALIDATOR,
        "if (state != SessionState.None) revert",
        "if (state == SessionState.Live) revert",
        "grant again what was revoked",
    ),
    _gone(
        "grant-deadline",
        VALIDATOR,
        "        if (block.timestamp > deadline) revert GrantExpired(block.timestamp, deadline);\n",
        "submit a grant at any time",
    ),
    _gone(
        "grant-signature",
        VALIDATOR,
        "        _requireOwnerSigned(account, digest, ownerSignature);\n",
        "grant without the owner",
    ),
    Mutation(
        "grant-uninstalled",
        VALIDATOR,
        "        _requireInstalled(msg.sender);\n        return _grant(",
        "        return _grant(",
        "grant where the module is not installed",
    ),
    Mutation(
        "revoker-anyone",
        VALIDATOR,
        "if (msg.sender != revoker) revert",
        "if (revoker == address(0)) revert",
        "let anybody revoke",
    ),
    Mutation(
        "revoke-unsigned",
        VALIDATOR,
        "if (recovered != signer) revert",
        "if (signer == address(0)) revert",
        "revoke without the key",
    ),
    Mutation(
        "install-epoch",
        VALIDATOR,
        "        known.installed = true;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]) + 1;",
        "        known.installed = true;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]);",
        "install without a new epoch",
    ),
    Mutation(
        "selector-execute",
        CALLDATA,
        "if (selector != EXECUTE) revert",
        "if (selector == 0) revert",
        "call another function of the account",
    ),
    Mutation(
        "mode-first-byte",
        CALLDATA,
        "if (mode == BATCH_DEFAULT || mode == BATCH_TRY)",
        "if (bytes2(mode) == bytes2(BATCH_DEFAULT) || mode == BATCH_TRY)",
        "ignore the rest of the mode",
    ),
    _gone(
        "execution-length",
        CALLDATA,
        "            if (length > size - EXECUTION) _refuse(68, length, size - EXECUTION);\n",
        "read beyond the calldata",
    ),
    _gone(
        "execution-end",
        CALLDATA,
        "            if (EXECUTION + padded != size) _refuse(68, EXECUTION + padded, size);\n",
        "leave bytes behind the execution",
    ),
    _gone(
        "execution-padding",
        CALLDATA,
        "            if (padded != length) _requireZeros(walk, walk.end, padded - length);\n",
        "take dirty padding",
    ),
    _gone(
        "selector-missing",
        CALLDATA,
        "        if (call.length < 4) revert ISessionValidator.SelectorMissing(index, call.length, 4);\n",
        "reach receive() and fallback()",
    ),
    _gone(
        "batch-offset",
        CALLDATA,
        "        if (word(position) != 0x20) _refuse(EXECUTION, word(position), 0x20);\n",
        "read another batch than the account",
    ),
    Mutation(
        "batch-empty",
        CALLDATA,
        "if (count == 0 || count > length / 32)",
        "if (count > length / 32)",
        "take an empty batch",
    ),
    _gone(
        "element-offset",
        CALLDATA,
        "            if (word(head) != position - walk.base) _refuse(head - walk.start, word(head), position - walk.base);\n",
        "read another call than the account",
    ),
    _gone(
        "element-target",
        CALLDATA,
        "            if (target >> 160 != 0) _refuse(position - walk.start, target, uint160(target));\n",
        "take dirty targets",
    ),
    _gone(
        "element-data-offset",
        CALLDATA,
        "            if (word(position + 64) != 0x60) _refuse(position + 64 - walk.start, word(position + 64), 0x60);\n",
        "read other data than the account",
    ),
    _gone(
        "element-length",
        CALLDATA,
        "            if (length > left) _refuse(data - walk.start, length, left);\n",
        "let data reach beyond the execution",
    ),
    _gone(
        "element-padding",
        CALLDATA,
        "            if (padded != length) _requireZeros(walk, data + length, padded - length);\n",
        "take dirty padding of a call",
    ),
    _gone("s-high", ENVELOPE, "        if (s > S_MAX) return false;\n", "take the mirrored signature"),
    Mutation(
        "claim-outside-digest",
        ENVELOPE,
        "uint256 times = claimedAt << 48 | deadline;",
        "uint256 times = (claimedAt & 0) << 48 | deadline;",
        "let a bundler move the claimed time",
    ),
    Mutation(
        "permission-outside-digest",
        ENVELOPE,
        "mstore(add(free, 64), permissionId)",
        "mstore(add(free, 64), 0)",
        "swap the scope under a signature",
    ),
    Mutation(
        "hint-short",
        LIST,
        "            if (hint >= list.count) revert ISessionValidator.HintOutOfRange(index, hint, list.count);\n            entry =",
        "            entry =",
        "read rules as entries",
    ),
    Mutation(
        "gas-call",
        GAS,
        "gas += (limits >> 128) + uint128(limits);\n            if (paymaster",
        "gas += (limits >> 128);\n            if (paymaster",
        "leave the call's gas out",
    ),
    Mutation(
        "gas-paymaster",
        GAS,
        "                gas += (limits >> 128) + uint128(limits);\n            }",
        "            }",
        "leave the paymaster's gas out",
    ),
    _gone(
        "gas-field",
        GAS,
        "            if (all > FIELD_MAX) revert ISessionValidator.GasFieldTooLarge(all, FIELD_MAX);\n",
        "let gas overflow",
    ),
    _gone(
        "duration",
        GRANT,
        "        if (validUntil > block.timestamp + DURATION_MAX) {\n            revert ISessionValidator.TimeFrameTooLong(validUntil, block.timestamp + DURATION_MAX);\n        }\n",
        "grant for ever",
    ),
    Mutation(
        "deny-list",
        GRANT,
        "if (AssetSelectors.contains(entry.selector())) {",
        "if (entry.selector() == 0) {",
        "grant functions that move assets",
    ),
    Mutation("burst", GRANT, "if (burst < callsMax) revert", "if (burst == 0) revert", "grant a burst below a batch"),
    Mutation(
        "reserved",
        GRANT,
        "if (found != 0) revert ISessionValidator.ScopeReservedNotZero(position, found);",
        "if (found > type(uint248).max) revert ISessionValidator.ScopeReservedNotZero(position, found);",
        "take reserved bytes",
    ),
    Mutation(
        "ascending",
        GRANT,
        "if (entry.key() <= previousKey) revert",
        "if (entry.key() < previousKey) revert",
        "take an entry twice",
    ),
    Mutation(
        "rules-range",
        GRANT,
        "if (rulesEnd > rules) revert",
        "if (rulesEnd > 255) revert",
        "let an entry's rules end behind the last",
    ),
    Mutation(
        "lane-limits",
        GRANT,
        "if (limits[lane] != 0 && limits[lane] - 1 != value) {",
        "if (limits[lane] != 0 && limits[lane] - 1 > value) {",
        "let rules of a lane name two limits",
    ),
    _gone(
        "code",
        TARGET,
        "        if (target.code.length == 0) revert ISessionValidator.TargetWithoutCode(target);\n",
        "grant a target without code",
    ),
    _gone(
        "token",
        TARGET,
        "        if (_looksLikeToken(target, account)) revert ISessionValidator.TargetIsToken(target);\n",
        "grant a token",
    ),
    _gone(
        "delegated",
        TARGET,
        "        if (isDelegated(target)) revert ISessionValidator.TargetDelegated(target);\n",
        "grant a person's account",
    ),
    _gone(
        "module-validator",
        TARGET,
        "        _requireNotModule(target, account, 1);\n",
        "grant the account's own validators",
    ),
    Mutation(
        "entry-point-08",
        TARGET,
        "or(eq(target, ENTRY_POINT_08), eq(target, ENTRY_POINT_09))",
        "eq(target, ENTRY_POINT_09)",
        "let EntryPoint 0.8 be a target",
    ),
    Mutation(
        "account-as-target",
        TARGET,
        "or(eq(target, account), eq(target, address()))",
        "eq(target, address())",
        "let the account be a target",
    ),
    Mutation(
        "module-as-target",
        TARGET,
        "or(eq(target, account), eq(target, address()))",
        "eq(target, account)",
        "let the module be a target",
    ),
    Mutation("chain-id", SCOPE, "mstore(free, chainid())", "mstore(free, 1)", "take a session to another chain"),
    Mutation(
        "account-in-id",
        SCOPE,
        "mstore(add(free, 52), shl(96, account))",
        "mstore(add(free, 52), 0)",
        "take a session to another account",
    ),
    Mutation(
        "epoch-in-slot",
        SLOT,
        "return uint32(slot >> 216);",
        "return uint16(slot >> 216);",
        "lose the epoch's upper half",
    ),
    Mutation(
        "gas-in-slot", SLOT, "return uint136(slot);", "return uint64(slot);", "lose what was burnt beyond 64 bits"
    ),
    Mutation(
        "state-in-slot",
        SLOT,
        "return (slot << 8) >> 8 | uint256(state) << 248;",
        "return slot | uint256(state) << 248;",
        "mix the states",
    ),
)
"""The rest."""

MUTATIONS: Final = (*NAMED, *OTHERS)
