// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CalldataLib} from "./CalldataLib.sol";
import {ISessionValidator} from "./ISessionValidator.sol";
import {Scope, ScopeLib} from "./ScopeLib.sol";

/// @notice What stands in an operation's signature, but for r, s and v.
struct Envelope {
    /// @dev Where the signature begins in calldata.
    uint256 start;
    /// @dev Where it ends.
    uint256 end;
    /// @dev Both below 2^48.
    uint256 claimedAt;
    uint256 deadline;
    Scope scope;
    /// @dev The scope's, 0 for a long list.
    uint256 entryCount;
    /// @dev Name of the permission that the scope would be on this account.
    bytes32 permissionId;
}

/// @title What stands in an operation's signature.
/// @notice
/// ```
///  0   6  claimedAt: chain time that the operation says it was made at, unix seconds
///  6   6  deadline: last second (inclusive) at which it may be executed
/// 12  32  r
/// 44  32  s, at most half the group order
/// 76   1  v, 27 or 28
/// 77   n  one hint per call: the index of the entry that allows it (of the scope, or of the witnesses)
///      *  the scope, in its signed form (ScopeLib)
///      *  if the list of entries is long: witnesses (AllowlistLib)
/// ```
/// @dev The signature field is outside userOpHash, so a bundler could change any of it. claimedAt, deadline and (by the
/// permission id) every byte of the scope are inside what the session key signs. Hints only tell where to look: another
/// hint finds another entry, which then allows the call or does not, and a witness proves itself. The length is exact,
/// because the scope is the rest and its hash must name a live session, or the witnesses must fill it.
library EnvelopeLib {
    /// @dev Bytes before the hints.
    uint256 internal constant HEAD_LENGTH = 77;

    /// @dev Half the order of secp256k1. Of the two valid s, only the lower is taken.
    uint256 private constant S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    bytes32 internal constant OPERATION_TYPEHASH =
        keccak256("SessionOperation(bytes32 userOpHash,bytes32 permissionId,uint96 claimedAtAndDeadline)");

    /// @notice Takes the signature of an operation with `calls` calls of `account` apart.
    function open(bytes calldata signature, uint256 calls, address account)
        internal
        view
        returns (Envelope memory envelope)
    {
        // A count of calls is at most the number of words in calldata.
        unchecked {
            uint256 length = signature.length;
            uint256 scopeLength = HEAD_LENGTH + calls;
            _requireLength(length, scopeLength + ScopeLib.HEADER_LENGTH);
            uint256 start;
            uint256 scopeAt;
            assembly ("memory-safe") {
                start := signature.offset
                scopeAt := add(start, scopeLength)
            }
            scopeLength = length - scopeLength;
            Scope scope = Scope.wrap(scopeAt);
            envelope.entryCount = scope.entryCount();
            if (envelope.entryCount == 0) {
                _requireLength(length, scopeAt - start + ScopeLib.MERKLE_LENGTH);
                scopeLength = ScopeLib.MERKLE_LENGTH;
            }
            uint256 times = CalldataLib.word(start);
            envelope.start = start;
            envelope.end = start + length;
            envelope.claimedAt = times >> 208;
            envelope.deadline = uint48(times >> 160);
            envelope.scope = scope;
            envelope.permissionId = ScopeLib.permissionIdAt(account, scopeAt, scopeLength);
        }
    }

    /// @notice The hint of a call: the index of an entry.
    function hint(Envelope memory envelope, uint256 call) internal pure returns (uint256) {
        unchecked {
            return CalldataLib.word(envelope.start + HEAD_LENGTH + call) >> 248;
        }
    }

    /// @notice The digest that the session key signs, without any prefix.
    function digest(bytes32 userOpHash, bytes32 permissionId, uint256 claimedAt, uint256 deadline)
        internal
        pure
        returns (bytes32 hash)
    {
        bytes32 typehash = OPERATION_TYPEHASH;
        uint256 times = claimedAt << 48 | deadline;
        // What abi.encode would write.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typehash)
            mstore(add(free, 32), userOpHash)
            mstore(add(free, 64), permissionId)
            mstore(add(free, 96), times)
            hash := keccak256(free, 128)
        }
    }

    /// @notice Whether the scope's session key signed this operation.
    /// @dev Never for anything malformed, which recovers to 0: a signer is never 0 (GrantLib). Other values of v than 27
    /// and 28 give 0 in the precompile itself.
    function signed(Envelope memory envelope, bytes32 userOpHash) internal view returns (bool) {
        bytes32 hash = digest(userOpHash, envelope.permissionId, envelope.claimedAt, envelope.deadline);
        uint256 start = envelope.start;
        uint256 s = CalldataLib.word(start + 44);
        if (s > S_MAX) return false;
        address recovered;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, hash)
            mstore(add(free, 32), byte(0, calldataload(add(start, 76))))
            calldatacopy(add(free, 64), add(start, 12), 64)
            // Nothing comes back for what is malformed.
            mstore(0, 0)
            pop(staticcall(gas(), 1, free, 128, 0, 32))
            recovered := mload(0)
        }
        return recovered == envelope.scope.signer();
    }

    function _requireLength(uint256 length, uint256 lengthMin) private pure {
        if (length < lengthMin) revert ISessionValidator.SignatureTooShort(length, lengthMin);
    }
}
