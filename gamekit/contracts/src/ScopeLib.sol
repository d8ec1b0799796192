// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A scope where it stands in calldata: the position of its first byte.
type Scope is uint256;

using ScopeLib for Scope global;

/// @title Scope, version 1: what one session may do, in bytes.
/// @notice Everything is big-endian, the numbers are widths in bytes, reserved bytes are zero.
///
/// ```
/// w0   0  signer 20 | validAfter 6 | validUntil 6
/// w1  32  revoker 20 | version 1 | callsMax 1 | entryCount 1 | ruleCount 1 | burst 2 | reserved 6
/// w2  64  nonceKey 24 | usesMax 4 | rateIntervalMs 4
/// w3  96  gasBudgetWei 16 | gasPerOperationWeiMax 16
/// w4 128  valueTotalWeiMax 16 | valuePerCallWeiMax 16
/// w5 160  paymaster 20 | reserved 12
///    192  entryCount times   target 20 | selector 4 | ruleFrom 1 | ruleCount 1 | reserved 6
///         ruleCount times    argument 1 | condition 1 | lane 1 | reserved 29
///                            value 32
/// ```
///
/// - validAfter, validUntil: unix seconds. The end is inclusive. The start is the first valid second on EntryPoint 0.6
///   and 0.7, and the last invalid one on 0.8: 0.7 refuses `timestamp < validAfter`, 0.8 refuses
///   `timestamp <= validAfter`.
/// - callsMax: calls in one operation. usesMax: calls in the session's life.
/// - rateIntervalMs: one call refills every so many milliseconds, up to `burst` calls. 0: no rate limit.
/// - gas: in wei, (all gas limits) x maxFeePerGas, whoever pays.
/// - valueTotalWeiMax 0: no call may send value. Else its sum is kept in lane 0.
/// - paymaster 0: none may be used. Else exactly this one must be.
/// - nonceKey: the operation's upper 192 bits of the nonce, all of them.
/// - argument: index of a word of the call's data behind the selector, so a statically encoded argument.
/// - Comparisons are of whole words as unsigned numbers; negative numbers are very large ones.
///
/// @dev Readers only: they trust the bytes. What makes a scope well-formed is checked once, in GrantLib. In validation
/// the hash of exactly these bytes must name a live session, so they are the bytes that GrantLib has seen. Positions
/// are unchecked sums of one-byte counts times 64 at most.
library ScopeLib {
    /// @dev The one version that exists.
    uint256 internal constant VERSION = 1;

    /// @dev Bytes before the first entry.
    uint256 internal constant HEADER_LENGTH = 192;
    uint256 internal constant ENTRY_LENGTH = 32;
    uint256 internal constant RULE_LENGTH = 64;

    // Conditions of a rule, between an argument and the rule's value.
    uint256 internal constant EQUAL = 0;
    uint256 internal constant NOT_EQUAL = 1;
    uint256 internal constant AT_MOST = 2;
    uint256 internal constant AT_LEAST = 3;
    /// @dev Neighbouring one-of rules on the same argument are alternatives.
    uint256 internal constant ONE_OF = 4;
    /// @dev The argument is the account itself; the value is 0.
    uint256 internal constant PINNED = 5;
    /// @dev The sum of the argument over the session's life, kept in the rule's lane, is at most the value.
    uint256 internal constant CUMULATIVE = 6;

    /// @notice The scope that is the whole of `data`.
    function locate(bytes calldata data) internal pure returns (Scope scope) {
        assembly ("memory-safe") {
            scope := data.offset
        }
    }

    /// @notice keccak256(chainid 32 | module 20 | account 20 | scope): the name of the permission.
    function permissionId(address account, bytes calldata scope) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(block.chainid, address(this), account, scope));
    }

    /// @notice The 32 bytes at `position` of the scope.
    function word(Scope scope, uint256 position) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(add(scope, position))
        }
    }

    function signer(Scope scope) internal pure returns (address) {
        return address(uint160(scope.word(0) >> 96));
    }

    function validAfter(Scope scope) internal pure returns (uint48) {
        return uint48(scope.word(0) >> 48);
    }

    function validUntil(Scope scope) internal pure returns (uint48) {
        return uint48(scope.word(0));
    }

    function revoker(Scope scope) internal pure returns (address) {
        return address(uint160(scope.word(32) >> 96));
    }

    function version(Scope scope) internal pure returns (uint256) {
        return uint8(scope.word(32) >> 88);
    }

    function callsMax(Scope scope) internal pure returns (uint256) {
        return uint8(scope.word(32) >> 80);
    }

    function entryCount(Scope scope) internal pure returns (uint256) {
        return uint8(scope.word(32) >> 72);
    }

    function ruleCount(Scope scope) internal pure returns (uint256) {
        return uint8(scope.word(32) >> 64);
    }

    function burst(Scope scope) internal pure returns (uint256) {
        return uint16(scope.word(32) >> 48);
    }

    function nonceKey(Scope scope) internal pure returns (uint192) {
        return uint192(scope.word(64) >> 64);
    }

    function usesMax(Scope scope) internal pure returns (uint256) {
        return uint32(scope.word(64) >> 32);
    }

    function rateIntervalMs(Scope scope) internal pure returns (uint256) {
        return uint32(scope.word(64));
    }

    function gasBudgetWei(Scope scope) internal pure returns (uint256) {
        return scope.word(96) >> 128;
    }

    function gasPerOperationWeiMax(Scope scope) internal pure returns (uint256) {
        return uint128(scope.word(96));
    }

    function valueTotalWeiMax(Scope scope) internal pure returns (uint256) {
        return scope.word(128) >> 128;
    }

    function valuePerCallWeiMax(Scope scope) internal pure returns (uint256) {
        return uint128(scope.word(128));
    }

    function paymaster(Scope scope) internal pure returns (address) {
        return address(uint160(scope.word(160) >> 96));
    }

    /// @notice The entry's word: target 20 | selector 4 | ruleFrom 1 | ruleCount 1 | reserved 6.
    function entry(Scope scope, uint256 index) internal pure returns (uint256) {
        unchecked {
            return scope.word(HEADER_LENGTH + ENTRY_LENGTH * index);
        }
    }

    /// @notice Where a rule stands.
    function rulePosition(Scope scope, uint256 index) internal pure returns (uint256) {
        unchecked {
            return HEADER_LENGTH + ENTRY_LENGTH * scope.entryCount() + RULE_LENGTH * index;
        }
    }

    /// @notice The rule's two words: argument 1 | condition 1 | lane 1 | reserved 29, and the value.
    function rule(Scope scope, uint256 position) internal pure returns (uint256 head, uint256 value) {
        unchecked {
            return (scope.word(position), scope.word(position + 32));
        }
    }

    /// @notice The bytes that a scope of these counts has.
    function expectedLength(Scope scope) internal pure returns (uint256) {
        unchecked {
            return HEADER_LENGTH + ENTRY_LENGTH * scope.entryCount() + RULE_LENGTH * scope.ruleCount();
        }
    }
}

/// @title The two words of an entry and a rule, taken apart.
library EntryLib {
    function target(uint256 entry) internal pure returns (address) {
        return address(uint160(entry >> 96));
    }

    function selector(uint256 entry) internal pure returns (bytes4) {
        return bytes4(uint32(entry >> 64));
    }

    /// @notice target 20 | selector 4, as one number: what entries are sorted by and calls are compared with.
    function key(uint256 entry) internal pure returns (uint256) {
        return entry >> 64;
    }

    function ruleFrom(uint256 entry) internal pure returns (uint256) {
        return uint8(entry >> 56);
    }

    function ruleCount(uint256 entry) internal pure returns (uint256) {
        return uint8(entry >> 48);
    }

    function argument(uint256 ruleHead) internal pure returns (uint256) {
        return ruleHead >> 248;
    }

    function condition(uint256 ruleHead) internal pure returns (uint256) {
        return uint8(ruleHead >> 240);
    }

    function lane(uint256 ruleHead) internal pure returns (uint256) {
        return uint8(ruleHead >> 232);
    }
}
