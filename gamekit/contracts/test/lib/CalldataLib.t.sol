// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Execution, IERC7579Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ERC7579Utils} from "@openzeppelin/contracts/account/utils/draft-ERC7579Utils.sol";
import {Test} from "forge-std/Test.sol";
import {Call, CalldataLib, Walk} from "src/CalldataLib.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";

/// @notice Makes the library callable with calldata, and decodes in two other ways.
contract Decoder {
    using CalldataLib for Walk;

    /// @notice The calls as the library sees them.
    function walked(bytes calldata callData) external pure returns (Execution[] memory calls) {
        Walk memory walk = CalldataLib.open(callData);
        calls = new Execution[](walk.count);
        Call memory call;
        for (uint256 i = 0; i < walk.count; ++i) {
            walk.take(i, call);
            calls[i] = Execution(call.target, call.value, msg.data[call.data:call.data + call.length]);
        }
        walk.close();
    }

    /// @notice The calls as the compiler's decoder sees them, and the encoding of what it saw.
    function decoded(bytes calldata callData) external view returns (Execution[] memory calls, bytes memory again) {
        (bytes32 mode, bytes memory execution) = abi.decode(callData[4:], (bytes32, bytes));
        if (uint8(mode[0]) == 1) {
            calls = abi.decode(execution, (Execution[]));
            again = abi.encodeCall(IERC7579Execution.execute, (mode, abi.encode(calls)));
        } else {
            calls = new Execution[](1);
            calls[0] = this.single(execution);
            bytes memory packed = abi.encodePacked(calls[0].target, calls[0].value, calls[0].callData);
            again = abi.encodeCall(IERC7579Execution.execute, (mode, packed));
        }
    }

    /// @notice The calls as OpenZeppelin's account sees them.
    function executed(bytes calldata execution) external pure returns (Execution[] memory calls) {
        Execution[] calldata found = ERC7579Utils.decodeBatch(execution);
        calls = new Execution[](found.length);
        for (uint256 i = 0; i < found.length; ++i) {
            calls[i] = Execution(found[i].target, found[i].value, found[i].callData);
        }
    }

    function single(bytes calldata execution) external pure returns (Execution memory call) {
        (call.target, call.value, call.callData) = ERC7579Utils.decodeSingle(execution);
    }
}

contract CalldataLibTest is Test {
    Decoder private decoder = new Decoder();

    /// @dev Everything that abi.encode writes is admitted, and read as what was written.
    function testFuzz_open_success_whatAbiEncodeWrites(uint256 seed, uint8 count) public view {
        bytes memory callData = _batch(_calls(seed, 1 + count % 8), seed % 2 == 0);
        assertEq(keccak256(abi.encode(decoder.walked(callData))), keccak256(abi.encode(_calls(seed, 1 + count % 8))));
    }

    function testFuzz_open_success_single(address target, uint256 value, bytes memory data, bool attempt) public view {
        vm.assume(data.length >= 4);
        bytes memory callData = _single(target, value, data, attempt);
        Execution[] memory calls = decoder.walked(callData);
        assertEq(calls.length, 1);
        assertEq(calls[0].target, target);
        assertEq(calls[0].value, value);
        assertEq(calls[0].callData, data);
    }

    /// @dev Whatever is admitted after any damage is canonical, and every decoder sees the same calls in it.
    function testFuzz_open_success_onlyCanonical(uint256 seed, uint8 count, uint8 damages) public {
        bytes memory callData = _batch(_calls(seed, 1 + count % 5), true);
        for (uint256 i = 0; i <= damages % 4; ++i) {
            callData = _damaged(callData, uint256(keccak256(abi.encode(seed, i))));
        }
        _agrees(callData);
    }

    function testFuzz_open_success_onlyCanonicalSingle(uint256 seed, bytes memory data) public {
        bytes memory callData = _single(address(uint160(seed)), seed, bytes.concat(hex"01020304", data), true);
        _agrees(_damaged(callData, seed));
    }

    /// @dev Each word of a batch, in turn, replaced by each of the values that decoders stumble over.
    function test_open_success_everyWordReplaced() public {
        bytes memory callData = _batch(_calls(7, 3), true);
        uint256[12] memory values = [
            uint256(0),
            1,
            31,
            32,
            33,
            64,
            96,
            128,
            type(uint64).max,
            1 << 255,
            type(uint256).max - 31,
            type(uint256).max
        ];
        uint256 admitted = 0;
        for (uint256 position = 4; position + 32 <= callData.length; position += 32) {
            for (uint256 i = 0; i < values.length; ++i) {
                bytes memory changed = bytes.concat(callData);
                uint256 value = values[i];
                assembly ("memory-safe") {
                    mstore(add(add(changed, 32), position), value)
                }
                if (_agrees(changed)) ++admitted;
            }
        }
        assertGt(admitted, 0, "other values and other data are no aliases");
    }

    function test_open_revert_everyTruncation() public {
        bytes memory callData = _batch(_calls(7, 2), true);
        for (uint256 length = 0; length < callData.length; ++length) {
            bytes memory shorter = bytes.concat(callData);
            assembly ("memory-safe") {
                mstore(shorter, length)
            }
            vm.expectRevert();
            decoder.walked(shorter);
        }
    }

    function test_open_revert_callDataNotCanonical() public {
        bytes memory execution = abi.encode(_calls(1, 1));
        // Where the batch's own offset points elsewhere.
        bytes memory moved = abi.encodePacked(uint256(0x40), uint256(0), execution);
        assembly ("memory-safe") {
            // The body without its own offset word: 0x40, gap, count ...
            mstore(add(moved, 96), 0)
        }
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 100, 0x40, 0x20));
        decoder.walked(_execute(CalldataLib.BATCH_TRY, moved));
    }

    function test_close_revert_bytesAfterTheLastCall() public {
        bytes memory execution = bytes.concat(abi.encode(_calls(1, 1)), bytes32(0));
        vm.expectRevert(
            abi.encodeWithSelector(
                ISessionValidator.CallDataNotCanonical.selector,
                68 + execution.length,
                68 + execution.length,
                100 + execution.length
            )
        );
        decoder.walked(_execute(CalldataLib.BATCH_TRY, execution));
    }

    function test_take_revert_dirtyTarget() public {
        bytes memory callData = _batch(_calls(1, 1), true);
        // execution 100 | 0x20 | count | head | target
        callData[100 + 96 + 11] = 0x01;
        uint256 dirty = uint160(_calls(1, 1)[0].target) | 1 << 160;
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 196, dirty, uint160(dirty))
        );
        decoder.walked(callData);
    }

    function test_take_revert_dirtyPadding() public {
        Execution[] memory calls = new Execution[](1);
        calls[0] = Execution(address(1), 0, hex"01020304");
        bytes memory callData = _batch(calls, true);
        callData[callData.length - 1] = 0x01;
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, callData.length - 28, 1, 0)
        );
        decoder.walked(callData);
    }

    function test_open_revert_dirtyPaddingOfSingle() public {
        bytes memory callData = _single(address(1), 0, hex"01020304", true);
        callData[callData.length - 1] = 0x01;
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 100 + 56, 1, 0));
        decoder.walked(callData);
    }

    function test_open_revert_lengthThatRoundsToNothing() public {
        // Rounded up to whole words, these lengths overflow to 0.
        for (uint256 less = 0; less < 31; ++less) {
            uint256 length = type(uint256).max - less;
            bytes memory callData =
                abi.encodePacked(CalldataLib.EXECUTE, CalldataLib.SINGLE_DEFAULT, uint256(0x40), length);
            vm.expectRevert(abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 68, length, 0));
            decoder.walked(callData);
        }
    }

    function test_take_revert_lengthThatRoundsToNothing() public {
        Execution[] memory calls = new Execution[](1);
        calls[0] = Execution(address(1), 0, "");
        bytes memory callData = _batch(calls, true);
        // execution 100 | 0x20 | count | head | target | value | 0x60 | length
        uint256 position = 100 + 6 * 32;
        for (uint256 less = 0; less < 31; ++less) {
            uint256 length = type(uint256).max - less;
            assembly ("memory-safe") {
                mstore(add(add(callData, 32), position), length)
            }
            vm.expectRevert(
                abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, position + 32, length, 0)
            );
            decoder.walked(callData);
        }
    }

    function test_open_revert_executionOfOneWord() public {
        // What stands behind the execution is not read as its count.
        bytes memory callData = _execute(CalldataLib.BATCH_TRY, abi.encode(0x20));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 100, 32, 64));
        decoder.walked(callData);
    }

    function test_open_revert_moreHeadsThanFit() public {
        bytes memory callData = _execute(CalldataLib.BATCH_TRY, abi.encode(0x20, 3, 96));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 164, 96, 32));
        decoder.walked(callData);
    }

    function test_take_revert_callCutOff() public {
        bytes memory callData = _execute(CalldataLib.BATCH_TRY, abi.encode(0x20, 1, 0x20, address(1)));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 196, 128, 32));
        decoder.walked(callData);
    }

    function test_take_revert_singleCutOff() public {
        bytes memory callData = _execute(CalldataLib.SINGLE_TRY, new bytes(51));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 100, 52, 51));
        decoder.walked(callData);
    }

    function test_take_revert_paddingCutOff() public {
        Execution[] memory calls = new Execution[](1);
        calls[0] = Execution(address(1), 0, hex"01020304");
        bytes memory execution = abi.encode(calls);
        assembly ("memory-safe") {
            mstore(execution, sub(mload(execution), 28))
        }
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 100 + execution.length - 4, 32, 4)
        );
        decoder.walked(_execute(CalldataLib.BATCH_TRY, execution));
    }

    function test_open_revert_hugeCount() public {
        bytes memory execution = abi.encode(_calls(1, 1));
        assembly ("memory-safe") {
            mstore(add(execution, 64), not(0))
        }
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.CallsOutOfRange.selector, type(uint256).max, execution.length / 32)
        );
        decoder.walked(_execute(CalldataLib.BATCH_TRY, execution));
    }

    // -------------------------------------------------------------------------------------------------- helpers

    /// @return admitted whether the library admits it; if so, everybody else reads the same and writes the same bytes.
    function _agrees(bytes memory callData) private returns (bool admitted) {
        try decoder.walked(callData) returns (Execution[] memory calls) {
            (Execution[] memory others, bytes memory again) = decoder.decoded(callData);
            assertEq(keccak256(abi.encode(calls)), keccak256(abi.encode(others)), "same calls");
            assertEq(keccak256(again), keccak256(callData), "same bytes");
            if (uint8(callData[4]) == 1) {
                (, bytes memory execution) = abi.decode(this.tail(callData), (bytes32, bytes));
                assertEq(keccak256(abi.encode(decoder.executed(execution))), keccak256(abi.encode(calls)), "account");
            }
            return true;
        } catch (bytes memory reason) {
            // Refused for a reason of ours, and never by an accident.
            bytes4 selector = bytes4(reason);
            assertTrue(
                selector == ISessionValidator.CallDataNotCanonical.selector
                    || selector == ISessionValidator.CallsOutOfRange.selector
                    || selector == ISessionValidator.SelectorMissing.selector
                    || selector == ISessionValidator.SelectorNotExecute.selector
                    || selector == ISessionValidator.ModeNotAllowed.selector,
                "typed"
            );
            return false;
        }
    }

    function tail(bytes calldata data) external pure returns (bytes calldata) {
        return data[4:];
    }

    function _execute(bytes32 mode, bytes memory execution) private pure returns (bytes memory) {
        return abi.encodeCall(IERC7579Execution.execute, (mode, execution));
    }

    function _batch(Execution[] memory calls, bool attempt) private pure returns (bytes memory) {
        return _execute(attempt ? CalldataLib.BATCH_TRY : CalldataLib.BATCH_DEFAULT, abi.encode(calls));
    }

    function _single(address target, uint256 value, bytes memory data, bool attempt)
        private
        pure
        returns (bytes memory)
    {
        return _execute(
            attempt ? CalldataLib.SINGLE_TRY : CalldataLib.SINGLE_DEFAULT, abi.encodePacked(target, value, data)
        );
    }

    function _calls(uint256 seed, uint256 count) private pure returns (Execution[] memory calls) {
        calls = new Execution[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i, "call")));
            bytes memory data = new bytes(4 + random % 100);
            for (uint256 j = 0; j < data.length; ++j) {
                data[j] = bytes1(uint8(random >> (j % 32)));
            }
            calls[i] = Execution(address(uint160(random >> 8)), random % 3 == 0 ? random : 0, data);
        }
    }

    /// @dev One change of the kind that finds aliases: a word that is a small multiple of 32 or near another word, a
    /// byte, a longer end, or two words swapped.
    function _damaged(bytes memory data, uint256 seed) private pure returns (bytes memory changed) {
        changed = bytes.concat(data);
        uint256 words = (data.length - 4) / 32;
        uint256 position = 4 + 32 * ((seed >> 8) % words);
        uint256 kind = seed % 5;
        if (kind == 0) {
            uint256 value = 32 * ((seed >> 32) % 40);
            assembly ("memory-safe") {
                mstore(add(add(changed, 32), position), value)
            }
        } else if (kind == 1) {
            changed[(seed >> 32) % data.length] = bytes1(uint8(seed >> 64));
        } else if (kind == 2) {
            changed = bytes.concat(changed, new bytes((seed >> 32) % 65));
        } else if (kind == 3) {
            uint256 other = 4 + 32 * ((seed >> 64) % words);
            assembly ("memory-safe") {
                let from := add(add(changed, 32), position)
                let to := add(add(changed, 32), other)
                let kept := mload(to)
                mstore(to, mload(from))
                mstore(from, kept)
            }
        } else {
            uint256 more = 32 * ((seed >> 32) % 3);
            assembly ("memory-safe") {
                let word := add(add(changed, 32), position)
                mstore(word, add(mload(word), more))
            }
        }
    }
}
