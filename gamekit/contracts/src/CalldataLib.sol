// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator} from "./ISessionValidator.sol";

/// @notice A walk over the calls of one operation. Positions are absolute in calldata.
struct Walk {
    /// @dev Where the operation's callData begins; only errors need it.
    uint256 start;
    /// @dev Whether the execution is a batch.
    bool batch;
    /// @dev Number of calls, at least 1.
    uint256 count;
    /// @dev Where the next call stands.
    uint256 next;
    /// @dev Where the next head word stands (batch only).
    uint256 head;
    /// @dev What the heads count from (batch only).
    uint256 base;
    /// @dev Where the execution ends.
    uint256 end;
}

/// @notice One call, as the account will execute it.
struct Call {
    address target;
    uint256 value;
    /// @dev Where its data begins.
    uint256 data;
    /// @dev Bytes of data, at least 4.
    uint256 length;
}

/// @title The one canonical form of an operation's callData, and nothing else.
/// @notice
/// ```
///   0   4  execute(bytes32,bytes)
///   4  32  mode: one of four, all 32 bytes compared
///  36  32  0x40
///  68  32  n, the length of the execution
/// 100   n  the execution, then zeros to a whole word, then the end
///
/// single:  target 20 | value 32 | data, at least 4
/// batch:   0x20 | count | one head each | the calls, in order and without gaps, up to the end:
///          target 32 | value 32 | 0x60 | length 32 | data, at least 4, zeros to a whole word
/// ```
/// @dev Whatever a decoder's habits are, it reads the same calls from this form as this library: each offset has one
/// allowed value, each length is covered by the end, and nothing is left over. It is the form that abi.encode gives.
/// No position is read before it is known to lie inside the execution; sums cannot overflow, since every length is
/// compared with the bytes that remain before it is added.
library CalldataLib {
    /// @dev execute(bytes32,bytes) of ERC-7579.
    bytes4 internal constant EXECUTE = 0xe9ae5c53;

    // Source: ERC-7579, execution mode: callType 1 | execType 1 | unused 4 | selector 4 | payload 22.
    bytes32 internal constant SINGLE_DEFAULT = bytes32(0);
    bytes32 internal constant SINGLE_TRY = bytes32(uint256(0x0001) << 240);
    bytes32 internal constant BATCH_DEFAULT = bytes32(uint256(0x0100) << 240);
    bytes32 internal constant BATCH_TRY = bytes32(uint256(0x0101) << 240);

    /// @dev Where the execution begins in callData.
    uint256 private constant EXECUTION = 100;

    /// @notice Checks everything around the calls and stands before the first one.
    function open(bytes calldata callData) internal pure returns (Walk memory walk) {
        uint256 size = callData.length;
        if (size < EXECUTION) _refuse(0, size, EXECUTION);
        uint256 start;
        assembly ("memory-safe") {
            start := callData.offset
        }
        bytes4 selector = bytes4(bytes32(word(start)));
        if (selector != EXECUTE) revert ISessionValidator.SelectorNotExecute(selector, EXECUTE);

        // Unchecked: `length` is compared with the size before it is rounded up, and calldata has no 2^64 bytes.
        unchecked {
            uint256 offset = word(start + 36);
            if (offset != 0x40) _refuse(36, offset, 0x40);
            uint256 length = word(start + 68);
            if (length > size - EXECUTION) _refuse(68, length, size - EXECUTION);
            uint256 padded = _padded(length);
            if (EXECUTION + padded != size) _refuse(68, EXECUTION + padded, size);

            walk.start = start;
            walk.next = start + EXECUTION;
            walk.end = start + EXECUTION + length;
            if (padded != length) _requireZeros(walk, walk.end, padded - length);

            bytes32 mode = bytes32(word(start + 4));
            if (mode == BATCH_DEFAULT || mode == BATCH_TRY) _openBatch(walk, length);
            else if (mode == SINGLE_DEFAULT || mode == SINGLE_TRY) walk.count = 1;
            else revert ISessionValidator.ModeNotAllowed(mode);
        }
    }

    /// @notice Reads the next call into `call`. To be called `count` times, then `close`.
    function take(Walk memory walk, uint256 index, Call memory call) internal pure {
        if (walk.batch) {
            _takeFromBatch(walk, call);
        } else {
            _requireInside(walk, walk.next, 52);
            call.target = address(uint160(word(walk.next) >> 96));
            call.value = word(walk.next + 20);
            call.data = walk.next + 52;
            call.length = walk.end - call.data;
            walk.next = walk.end;
        }
        if (call.length < 4) revert ISessionValidator.SelectorMissing(index, call.length, 4);
    }

    /// @notice Requires that the last call ended where the execution ends.
    function close(Walk memory walk) internal pure {
        if (walk.next == walk.end) return;
        uint256 position = walk.next - walk.start;
        _refuse(position, position, walk.end - walk.start);
    }

    /// @notice The 32 bytes at an absolute position of calldata.
    function word(uint256 position) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(position)
        }
    }

    function _openBatch(Walk memory walk, uint256 length) private pure {
        uint256 position = walk.next;
        if (length < 64) _refuse(EXECUTION, length, 64);
        if (word(position) != 0x20) _refuse(EXECUTION, word(position), 0x20);
        unchecked {
            uint256 count = word(position + 32);
            // Before multiplying: a count beyond the bytes there are can hold nothing.
            if (count == 0 || count > length / 32) revert ISessionValidator.CallsOutOfRange(count, length / 32);
            if (32 * count > length - 64) _refuse(position + 64 - walk.start, 32 * count, length - 64);
            position += 64;
            walk.batch = true;
            walk.count = count;
            walk.base = position;
            walk.head = position;
            walk.next = position + 32 * count;
        }
    }

    /// @dev Unchecked: each position lies inside the execution, whose end fits calldata; `length` is compared with the
    /// bytes that remain before it is rounded up or added.
    function _takeFromBatch(Walk memory walk, Call memory call) private pure {
        unchecked {
            uint256 position = walk.next;
            uint256 head = walk.head;
            if (word(head) != position - walk.base) _refuse(head - walk.start, word(head), position - walk.base);
            walk.head = head + 32;
            uint256 left = walk.end - position;
            if (left < 128) _refuse(position - walk.start, 128, left);
            uint256 target = word(position);
            if (target >> 160 != 0) _refuse(position - walk.start, target, uint160(target));
            if (word(position + 64) != 0x60) _refuse(position + 64 - walk.start, word(position + 64), 0x60);
            uint256 length = word(position + 96);
            uint256 data = position + 128;
            left -= 128;
            if (length > left) _refuse(data - walk.start, length, left);
            uint256 padded = _padded(length);
            if (padded > left) _refuse(data - walk.start, padded, left);
            if (padded != length) _requireZeros(walk, data + length, padded - length);

            call.target = address(uint160(target));
            call.value = word(position + 32);
            call.data = data;
            call.length = length;
            walk.next = data + padded;
        }
    }

    /// @dev `length` rounded up to whole words. The caller has bounded it.
    function _padded(uint256 length) private pure returns (uint256) {
        unchecked {
            return (length + 31) & ~uint256(31);
        }
    }

    /// @dev `position` is never beyond the end: it starts inside and moves only after this check.
    function _requireInside(Walk memory walk, uint256 position, uint256 length) private pure {
        unchecked {
            uint256 left = walk.end - position;
            if (length > left) _refuse(position - walk.start, length, left);
        }
    }

    /// @dev Requires `count` (1 to 31) zero bytes at `position`.
    function _requireZeros(Walk memory walk, uint256 position, uint256 count) private pure {
        uint256 found;
        unchecked {
            found = word(position) >> (8 * (32 - count));
        }
        if (found != 0) _refuse(position - walk.start, found, 0);
    }

    function _refuse(uint256 position, uint256 found, uint256 expected) private pure {
        revert ISessionValidator.CallDataNotCanonical(position, found, expected);
    }
}
