// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {ISessionValidator} from "./ISessionValidator.sol";

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
/// So it stands in a grant and in every signature, if the list is short. A long list has `entryCount` 0 and
/// `ruleCount` 0. Then, behind the same 192 bytes,
/// ```
/// granted  leaf*, in the order of the entries: entry 32 (ruleFrom 0) | its rules, 64 each
/// signed   root 32
/// ```
/// where root is the Merkle root over keccak256(leaf): a level's neighbours are hashed in pairs, the smaller one first,
/// and an odd one out goes up as it is. No leaf has the 64 bytes of a pair, so neither can be taken for the other. The
/// signature then brings a witness for each entry that it uses (AllowlistLib). What names the permission is the signed
/// form, and whoever grants or revokes shows the granted one.
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
    /// @dev Bytes of the signed form of a long list.
    uint256 internal constant MERKLE_LENGTH = 224;
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
    /// @param scope the signed form.
    function permissionId(address account, bytes calldata scope) internal view returns (bytes32) {
        return permissionIdAt(account, Scope.unwrap(locate(scope)), scope.length);
    }

    /// @notice The same, of the `length` bytes at an absolute position of calldata.
    function permissionIdAt(address account, uint256 position, uint256 length) internal view returns (bytes32 id) {
        // What abi.encodePacked would write, without the 340 gas of its loops.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, chainid())
            mstore(add(free, 32), shl(96, address()))
            mstore(add(free, 52), shl(96, account))
            calldatacopy(add(free, 72), position, length)
            id := keccak256(free, add(length, 72))
        }
    }

    /// @notice The name of the permission whose granted form is `granted`. Requires whole entries and rules.
    function permissionIdOfGranted(address account, bytes calldata granted) internal view returns (bytes32) {
        Scope scope = requireWhole(granted);
        if (!scope.isMerkle()) return permissionId(account, granted);
        bytes32 root_ = _rootOf(scope, granted.length);
        return keccak256(abi.encodePacked(block.chainid, address(this), account, granted[:HEADER_LENGTH], root_));
    }

    /// @notice The scope that is the whole of `granted`. Requires the length that its counts, or its leaves, make.
    function requireWhole(bytes calldata granted) internal pure returns (Scope scope) {
        scope = locate(granted);
        uint256 length = granted.length;
        if (length < HEADER_LENGTH) revert ISessionValidator.ScopeLengthMismatch(length, HEADER_LENGTH);
        uint256 expected = HEADER_LENGTH;
        if (scope.isMerkle()) {
            if (length == HEADER_LENGTH) revert ISessionValidator.EntriesMissing();
            // A leaf says itself how long it is; the last one must end where the bytes do.
            while (expected < length) expected = scope.entryAfter(expected);
        } else {
            expected = scope.rulesAt() + RULE_LENGTH * scope.ruleCount();
        }
        if (length != expected) revert ISessionValidator.ScopeLengthMismatch(length, expected);
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

    /// @notice Both ends, for those who need both.
    function timeFrame(Scope scope) internal pure returns (uint256 first, uint256 last) {
        uint256 found = scope.word(0);
        return (uint48(found >> 48), uint48(found));
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

    /// @notice Both limits, for those who need both.
    function gasLimitsWei(Scope scope) internal pure returns (uint256 budget, uint256 perOperationMax) {
        uint256 found = scope.word(96);
        return (found >> 128, uint128(found));
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

    /// @notice The two words of a rule: argument 1 | condition 1 | lane 1 | reserved 29, and the value.
    function rule(Scope scope, uint256 position) internal pure returns (uint256 head, uint256 value) {
        return (scope.word(position), scope.word(position + 32));
    }

    /// @notice Whether the list of entries is long, and the signed form has its root instead.
    function isMerkle(Scope scope) internal pure returns (bool) {
        return scope.entryCount() == 0;
    }

    /// @notice The root of the list. Signed form of a long list only.
    function root(Scope scope) internal pure returns (bytes32) {
        return bytes32(scope.word(HEADER_LENGTH));
    }

    /// @notice Where the rules of a short list begin, counted from the scope's first byte.
    function rulesAt(Scope scope) internal pure returns (uint256) {
        unchecked {
            return HEADER_LENGTH + ENTRY_LENGTH * scope.entryCount();
        }
    }

    /// @notice Where the entries of a granted form of `length` bytes end.
    function entriesEnd(Scope scope, uint256 length) internal pure returns (uint256) {
        return scope.isMerkle() ? length : scope.rulesAt();
    }

    /// @notice Where the entry behind the one at `position` of a granted form stands.
    function entryAfter(Scope scope, uint256 position) internal pure returns (uint256) {
        unchecked {
            uint256 next = position + ENTRY_LENGTH;
            return scope.isMerkle() ? next + RULE_LENGTH * EntryLib.ruleCount(scope.word(position)) : next;
        }
    }

    /// @dev The Merkle root over the leaves of a granted form, of which there is at least one.
    function _rootOf(Scope scope, uint256 length) private pure returns (bytes32) {
        bytes32[] memory level = new bytes32[]((length - HEADER_LENGTH) / ENTRY_LENGTH);
        uint256 count = 0;
        for (uint256 position = HEADER_LENGTH; position < length;) {
            uint256 next = scope.entryAfter(position);
            level[count++] = hash(Scope.unwrap(scope) + position, next - position);
            position = next;
        }
        while (count > 1) {
            uint256 half = 0;
            for (uint256 i = 0; i + 1 < count; i += 2) {
                level[half++] = Hashes.commutativeKeccak256(level[i], level[i + 1]);
            }
            if (count % 2 == 1) level[half++] = level[count - 1];
            count = half;
        }
        return level[0];
    }

    /// @notice keccak256 of `length` bytes of calldata at an absolute position.
    function hash(uint256 position, uint256 length) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, position, length)
            digest := keccak256(free, length)
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
