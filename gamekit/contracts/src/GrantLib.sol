// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AssetSelectors} from "./AssetSelectors.sol";
import {ISessionValidator} from "./ISessionValidator.sol";
import {CodeKind, ProxyLib} from "./ProxyLib.sol";
import {EntryLib, Scope, ScopeLib} from "./ScopeLib.sol";
import {TargetLib} from "./TargetLib.sol";

/// @title Everything that is checked once, when a session is granted.
/// @notice Validation relies on it: a live session has a well-formed scope.
library GrantLib {
    using EntryLib for uint256;

    /// @dev Longest time from the grant to the end of a session.
    uint256 internal constant DURATION_MAX = 30 days;

    /// @dev Most calls in one operation.
    uint256 internal constant CALLS_MAX_LIMIT = 64;

    // What one function text looks like to the wallet, and the whole grant. The wallet shows every field; the module
    // computes each from the scope, so none can lie. `functionSignature` is text that hashes to the entry's selector.
    // With four bytes that is a strong hint and no proof: a text with the same selector can be searched for.
    bytes32 private constant ALLOWED_CALL_TYPEHASH = keccak256("AllowedCall(address target,string functionSignature)");
    bytes32 private constant GRANT_TYPEHASH = keccak256(
        "GrantSession(address account,address sessionKey,address revoker,uint48 validAfter,uint48 validUntil,"
        "AllowedCall[] allowedCalls,uint32 usesMax,uint128 gasBudgetWei,uint128 valueTotalWeiMax,address paymaster,"
        "address[] acceptedImplementations,bytes scope,uint32 epoch,uint48 deadline)"
        "AllowedCall(address target,string functionSignature)"
    );

    /// @notice Requires that the scope is well-formed and harmless for `account`, now.
    /// @param granted the granted form.
    /// @param implementations what the owner accepts for targets that can run code of others, in the scope's order.
    /// @param known what the module knows of targets' code.
    function requireGood(
        bytes calldata granted,
        address[] calldata implementations,
        address account,
        mapping(bytes32 codeHash => CodeKind) storage known
    ) internal {
        Scope scope = ScopeLib.requireWhole(granted);
        _requireHeader(scope, account);
        _requireTimeFrame(scope);
        _requireLimits(scope);
        uint256 end = scope.entriesEnd(granted.length);
        _requireEntries(scope, end, account);
        _requireAccepted(scope, end, implementations, known);
        _requireRules(scope, granted.length);
    }

    /// @notice The struct hash of the typed data that an owner signs.
    /// @dev Requires one function text per entry, of the entry's selector.
    function structHash(
        address account,
        bytes calldata granted,
        string[] calldata functions,
        address[] calldata implementations,
        uint32 epoch,
        uint48 deadline
    ) internal pure returns (bytes32) {
        Scope scope = ScopeLib.requireWhole(granted);
        bytes memory who = abi.encode(
            GRANT_TYPEHASH, account, scope.signer(), scope.revoker(), scope.validAfter(), scope.validUntil()
        );
        bytes memory what = abi.encode(
            _callsHash(scope, granted.length, functions),
            scope.usesMax(),
            scope.gasBudgetWei(),
            scope.valueTotalWeiMax(),
            scope.paymaster(),
            // Typed data hashes an array as the words of its members, one behind the other.
            keccak256(abi.encodePacked(implementations))
        );
        return keccak256(bytes.concat(who, what, abi.encode(keccak256(granted), epoch, deadline)));
    }

    function _callsHash(Scope scope, uint256 length, string[] calldata functions) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](functions.length);
        uint256 end = scope.entriesEnd(length);
        uint256 i = 0;
        for (uint256 at = ScopeLib.HEADER_LENGTH; at < end; at = scope.entryAfter(at)) {
            if (i < functions.length) {
                uint256 entry = scope.word(at);
                bytes32 textHash = keccak256(bytes(functions[i]));
                if (bytes4(textHash) != entry.selector()) {
                    revert ISessionValidator.FunctionMismatch(i, bytes4(textHash), entry.selector());
                }
                hashes[i] = keccak256(abi.encode(ALLOWED_CALL_TYPEHASH, entry.target(), textHash));
            }
            ++i;
        }
        if (functions.length != i) revert ISessionValidator.FunctionCountMismatch(functions.length, i);
        return keccak256(abi.encodePacked(hashes));
    }

    function _requireHeader(Scope scope, address account) private view {
        if (scope.version() != ScopeLib.VERSION) {
            revert ISessionValidator.ScopeVersionUnknown(scope.version(), ScopeLib.VERSION);
        }
        // A long list counts nothing in the header: its count of rules is reserved too.
        _requireReserved(scope, 32, type(uint48).max | (scope.isMerkle() ? uint256(type(uint8).max) << 64 : 0));
        _requireReserved(scope, 160, type(uint96).max);
        address signer = scope.signer();
        // 0 is what a malformed signature recovers to. The other two could not sign.
        if (signer == address(0) || signer == account || signer == address(this)) {
            revert ISessionValidator.SignerInvalid(signer);
        }
    }

    function _requireTimeFrame(Scope scope) private view {
        uint256 validUntil = scope.validUntil();
        // Also refuses 0, which an EntryPoint would read as for ever.
        if (validUntil <= scope.validAfter()) {
            revert ISessionValidator.TimeFrameEmpty(scope.validAfter(), validUntil);
        }
        if (validUntil < block.timestamp) revert ISessionValidator.TimeFrameOver(validUntil, block.timestamp);
        if (validUntil > block.timestamp + DURATION_MAX) {
            revert ISessionValidator.TimeFrameTooLong(validUntil, block.timestamp + DURATION_MAX);
        }
    }

    function _requireLimits(Scope scope) private pure {
        uint256 callsMax = scope.callsMax();
        if (callsMax == 0 || callsMax > CALLS_MAX_LIMIT) {
            revert ISessionValidator.CallsMaxInvalid(callsMax, CALLS_MAX_LIMIT);
        }
        if (scope.usesMax() == 0) revert ISessionValidator.UsesMaxInvalid(0, 1);

        uint256 burst = scope.burst();
        uint256 intervalMs = scope.rateIntervalMs();
        if (intervalMs != 0) {
            if (burst < callsMax) revert ISessionValidator.BurstTooSmall(burst, callsMax);
            // The furthest that the clock can ever be: a whole burst ahead of the last second.
            uint256 arrivalMs = uint256(scope.validUntil()) * 1000 + burst * intervalMs;
            if (arrivalMs > type(uint48).max) revert ISessionValidator.RateTooSlow(arrivalMs, type(uint48).max);
        }

        uint256 perOperation = scope.gasPerOperationWeiMax();
        if (perOperation == 0 || perOperation > scope.gasBudgetWei()) {
            revert ISessionValidator.GasLimitInvalid(perOperation, scope.gasBudgetWei());
        }
        uint256 perCall = scope.valuePerCallWeiMax();
        uint256 total = scope.valueTotalWeiMax();
        if (perCall > total || (perCall == 0 && total != 0)) {
            revert ISessionValidator.ValueLimitInvalid(perCall, total);
        }
    }

    function _requireEntries(Scope scope, uint256 end, address account) private view {
        uint256 rules = scope.ruleCount();
        uint256 previousKey = 0;
        uint256 i = 0;
        for (uint256 at = ScopeLib.HEADER_LENGTH; at < end; at = scope.entryAfter(at)) {
            uint256 entry = scope.word(at);
            _requireReserved(scope, at, type(uint48).max);
            if (entry.key() <= previousKey) revert ISessionValidator.EntriesNotAscending(i, entry.key(), previousKey);
            // A leaf's own rules follow it, so there is nothing to begin at.
            uint256 rulesEnd = entry.ruleFrom() + (scope.isMerkle() ? 0 : entry.ruleCount());
            if (rulesEnd > rules) revert ISessionValidator.RulesOutOfRange(i, rulesEnd, rules);

            address target = entry.target();
            if (AssetSelectors.contains(entry.selector())) {
                revert ISessionValidator.SelectorDenied(target, entry.selector());
            }
            // Entries of the same target stand together; it is asked once. A key of 0 is no entry's.
            if (previousKey >> 32 != uint160(target) || previousKey == 0) TargetLib.requireGame(target, account);
            previousKey = entry.key();
            ++i;
        }
    }

    /// @dev Requires that the owner accepts what each target runs that can run code of others, and names no more.
    function _requireAccepted(
        Scope scope,
        uint256 end,
        address[] calldata implementations,
        mapping(bytes32 codeHash => CodeKind) storage known
    ) private {
        uint256 used = 0;
        address previous = address(0);
        for (uint256 at = ScopeLib.HEADER_LENGTH; at < end; at = scope.entryAfter(at)) {
            address target = scope.word(at).target();
            if (target != previous && ProxyLib.runsOthers(known, target)) {
                ProxyLib.requireAccepted(target, used < implementations.length ? implementations[used] : address(0));
                ++used;
            }
            previous = target;
        }
        if (used != implementations.length) {
            revert ISessionValidator.ImplementationsUnused(implementations.length, used);
        }
    }

    function _requireRules(Scope scope, uint256 length) private pure {
        uint256[2] memory limits;
        uint256 i = 0;
        if (!scope.isMerkle()) {
            for (uint256 at = scope.rulesAt(); at < length; at += ScopeLib.RULE_LENGTH) {
                _requireRule(scope, at, i++, limits);
            }
            return;
        }
        for (uint256 at = ScopeLib.HEADER_LENGTH; at < length;) {
            uint256 next = scope.entryAfter(at);
            for (at += ScopeLib.ENTRY_LENGTH; at < next; at += ScopeLib.RULE_LENGTH) {
                _requireRule(scope, at, i++, limits);
            }
        }
    }

    /// @dev The rule at byte `at`, the scope's `index`-th.
    /// @param limits of each lane, as the rules before said. Kept plus one, so that a limit of 0 is told from none.
    function _requireRule(Scope scope, uint256 at, uint256 index, uint256[2] memory limits) private pure {
        (uint256 head, uint256 value) = scope.rule(at);
        uint256 condition = head.condition();
        uint256 lane = head.lane();
        bool cumulative = condition == ScopeLib.CUMULATIVE;
        // The value cap, if there is one, has lane 0 for itself.
        bool laneOfValue = scope.valueTotalWeiMax() != 0;
        _requireReserved(scope, at, type(uint232).max);
        if (
            condition > ScopeLib.CUMULATIVE || (condition == ScopeLib.PINNED && value != 0)
                || (!cumulative && lane != 0)
                || (cumulative && (lane > 1 || value > type(uint128).max || (lane == 0 && laneOfValue)))
        ) revert ISessionValidator.RuleInvalid(index, condition, value);
        if (!cumulative) return;
        if (limits[lane] != 0 && limits[lane] - 1 != value) {
            revert ISessionValidator.LaneLimitsDiffer(lane, value, limits[lane] - 1);
        }
        limits[lane] = value + 1;
    }

    function _requireReserved(Scope scope, uint256 position, uint256 mask) private pure {
        uint256 found = scope.word(position) & mask;
        if (found != 0) revert ISessionValidator.ScopeReservedNotZero(position, found);
    }
}
