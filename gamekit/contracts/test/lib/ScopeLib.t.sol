// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator} from "src/ISessionValidator.sol";
import {Scope, ScopeLib} from "src/ScopeLib.sol";
import {Fields} from "test/Harness.sol";
import {LongLists} from "test/LongLists.sol";

/// @notice Makes the library callable with calldata.
contract ScopeReader {
    function permissionIdOfGranted(address account, bytes calldata granted) external view returns (bytes32) {
        return ScopeLib.permissionIdOfGranted(account, granted);
    }

    /// @notice Where the entries stand, and where they end.
    function entries(bytes calldata granted, uint256 count) external pure returns (uint256[] memory at, uint256 end) {
        Scope scope = ScopeLib.requireWhole(granted);
        end = scope.entriesEnd(granted.length);
        at = new uint256[](count);
        uint256 position = ScopeLib.HEADER_LENGTH;
        for (uint256 i = 0; i < count; ++i) {
            at[i] = position;
            position = scope.entryAfter(position);
        }
        require(position == end, "as many as that");
    }
}

contract ScopeLibTest is LongLists {
    ScopeReader private reader = new ScopeReader();

    function test_permissionIdOfGranted_success_rootsOf1To70Leaves() public view {
        for (uint256 count = 1; count <= 70; ++count) {
            Fields memory f = longFields(count);
            assertEq(reader.permissionIdOfGranted(thief, grantedForm(f)), _idOf(signedForm(f)));
        }
    }

    function test_permissionIdOfGranted_success_shapesOfSmallTrees() public view {
        // Spelled out, so that the tests' own tree is held to something as well.
        Fields memory f = longFields(7);
        bytes32[] memory h = new bytes32[](7);
        for (uint256 i = 0; i < 7; ++i) {
            h[i] = keccak256(leafOf(f, i));
        }
        bytes32 four = _pair(_pair(h[0], h[1]), _pair(h[2], h[3]));
        _isRoot(1, h[0]);
        _isRoot(2, _pair(h[0], h[1]));
        _isRoot(3, _pair(_pair(h[0], h[1]), h[2]));
        _isRoot(4, four);
        _isRoot(5, _pair(four, h[4]));
        _isRoot(6, _pair(four, _pair(h[4], h[5])));
        _isRoot(7, _pair(four, _pair(_pair(h[4], h[5]), h[6])));
    }

    function testFuzz_permissionIdOfGranted_success_everyByteCounts(uint256 position, uint8 change, uint256 count)
        public
        view
    {
        vm.assume(change != 0);
        count = bound(count, 1, 20);
        Fields memory f = longFields(count);
        bytes memory granted = grantedForm(f);
        position = bound(position, 0, granted.length - 1);
        granted[position] = bytes1(uint8(granted[position]) ^ change);
        // A count of entries or rules that is different may be no scope at all.
        try reader.permissionIdOfGranted(thief, granted) returns (bytes32 id) {
            assertTrue(id != _idOf(signedForm(f)));
        } catch (bytes memory reason) {
            assertEq(bytes4(reason), ISessionValidator.ScopeLengthMismatch.selector);
        }
    }

    function test_permissionIdOfGranted_success_shortFormIsItsOwnName() public view {
        Fields memory f = fields();
        assertEq(reader.permissionIdOfGranted(thief, pack(f)), _idOf(pack(f)));
    }

    function test_entryAfter_success_walksBothForms() public view {
        Fields memory f = longFields(40);
        (uint256[] memory at, uint256 end) = reader.entries(grantedForm(f), 40);
        uint256 expected = 192;
        for (uint256 i = 0; i < 40; ++i) {
            assertEq(at[i], expected);
            expected += leafOf(f, i).length;
        }
        assertEq(end, expected);
        (at, end) = reader.entries(pack(f), 40);
        for (uint256 i = 0; i < 40; ++i) {
            assertEq(at[i], 192 + 32 * i);
        }
        assertEq(end, 192 + 32 * 40, "the rules are no entries");
    }

    function test_requireWhole_revert_lengths() public {
        Fields memory f = longFields(13);
        bytes memory granted = grantedForm(f);
        uint256 whole = granted.length;
        _refuses(new bytes(191), abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, 191, 192));
        _refuses(headerOf(f), abi.encodeWithSelector(ISessionValidator.EntriesMissing.selector));
        // The last leaf, of number 12, has no rules: it is cut. Number 11 has three.
        assembly ("memory-safe") {
            mstore(granted, sub(whole, 1))
        }
        _refuses(granted, abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, whole - 1, whole));
        assembly ("memory-safe") {
            mstore(granted, sub(whole, 64))
        }
        _refuses(
            granted, abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, whole - 64, whole - 32)
        );
    }

    function _refuses(bytes memory granted, bytes memory reason) private {
        vm.expectRevert(reason);
        reader.permissionIdOfGranted(thief, granted);
    }

    function _isRoot(uint256 count, bytes32 root) private view {
        Fields memory f = longFields(count);
        assertEq(rootOf(f), root);
        assertEq(reader.permissionIdOfGranted(thief, grantedForm(f)), _idOf(bytes.concat(headerOf(f), root)));
    }

    function _idOf(bytes memory scope) private view returns (bytes32) {
        return keccak256(abi.encodePacked(block.chainid, address(reader), thief, scope));
    }
}
