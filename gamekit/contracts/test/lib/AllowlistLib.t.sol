// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Allowlist, AllowlistLib} from "src/AllowlistLib.sol";
import {CalldataLib} from "src/CalldataLib.sol";
import {Envelope, EnvelopeLib} from "src/EnvelopeLib.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";
import {EntryLib} from "src/ScopeLib.sol";
import {Fields, Rule} from "test/Harness.sol";
import {LongLists} from "test/LongLists.sol";

/// @notice Makes the library callable with calldata.
contract ListReader {
    using AllowlistLib for Allowlist;
    using EnvelopeLib for Envelope;

    /// @notice What each call's hint leads to: the entry with its rules, as the bytes of a leaf.
    function leaves(bytes calldata signature, uint256 calls) external view returns (bytes[] memory found) {
        Envelope memory envelope = EnvelopeLib.open(signature, calls, msg.sender);
        Allowlist memory list = AllowlistLib.open(envelope, calls);
        found = new bytes[](calls);
        for (uint256 i = 0; i < calls; ++i) {
            (uint256 entry, uint256 rules) = list.find(i, envelope.hint(i));
            found[i] = abi.encodePacked(entry, msg.data[rules:rules + 64 * EntryLib.ruleCount(entry)]);
        }
        list.close();
    }
}

contract AllowlistLibTest is LongLists {
    ListReader private reader = new ListReader();

    function test_find_success_leavesOfListsOf1To70() public view {
        for (uint256 count = 1; count <= 70; ++count) {
            this.findsInListOf(count);
        }
    }

    /// @dev By a call of its own, which begins with empty memory.
    function findsInListOf(uint256 count) external view {
        Fields memory f = longFields(count);
        for (uint256 i = count % 13; i < count; i += 13) {
            _finds(f, uses1(i));
        }
        _finds(f, uses2(count - 1, 0));
    }

    function testFuzz_find_success_anyCallsInAnyOrder(uint256 seed) public view {
        Fields memory f = longFields(1 + seed % 40);
        uint256[] memory uses = new uint256[](1 + seed / 64 % 24);
        for (uint256 i = 0; i < uses.length; ++i) {
            uses[i] = uint256(keccak256(abi.encode(seed, i))) % f.entries.length;
        }
        _finds(f, uses);
    }

    function testFuzz_find_success_shortList(uint8 hint, uint8 count) public {
        // Entries of a short list name their first rule; here they share them.
        count = uint8(bound(count, 1, 255));
        Fields memory f = longFields(count);
        bytes memory signature = bytes.concat(new bytes(77), bytes1(hint), pack(f));
        if (hint >= count) {
            vm.expectRevert(abi.encodeWithSelector(ISessionValidator.HintOutOfRange.selector, 0, hint, count));
            reader.leaves(signature, 1);
            return;
        }
        assertEq(reader.leaves(signature, 1)[0], leafOf(f, hint));
    }

    function test_find_success_rulesOfAShortListBeginWhereTheEntrySays() public view {
        Fields memory f = longFields(3);
        f.rules = new Rule[](4);
        for (uint256 i = 0; i < 4; ++i) {
            f.rules[i] = Rule(0, 2, 0, i);
        }
        (f.entries[2].ruleFrom, f.entries[2].ruleCount) = (3, 1);
        bytes memory leaf = reader.leaves(bytes.concat(new bytes(77), hex"02", pack(f)), 1)[0];
        assertEq(leaf.length, 96);
        assertEq(uint8(leaf[24]), 3, "as it stands there");
        assertEq(uint8(leaf[95]), 3);
    }

    function test_close_revert_signatureTooLong() public {
        Fields memory f = longFields(5);
        bytes memory signature = bytes.concat(new bytes(77), hex"00", signedForm(f), witnessOf(f, 2), hex"00");
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.SignatureTooLong.selector, 1));
        reader.leaves(signature, 1);
    }

    function test_find_revert_witnessInvalid() public {
        Fields memory f = longFields(5);
        bytes32[] memory path = pathOf(f, 3);
        bytes memory signature = bytes.concat(new bytes(77), hex"00", signedForm(f), witnessOf(leafOf(f, 2), path));
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.WitnessInvalid.selector, 0, climb(leafOf(f, 2), path), rootOf(f))
        );
        reader.leaves(signature, 1);
    }

    function test_find_revert_hintsThatLeaveOneOut() public {
        Fields memory f = longFields(5);
        bytes memory witnesses = bytes.concat(witnessOf(f, 2), witnessOf(f, 3), witnessOf(f, 4));
        bytes memory signature = bytes.concat(new bytes(77), hex"000102", signedForm(f), witnesses);
        assertEq(reader.leaves(signature, 3)[2], leafOf(f, 4));
        signature[78] = 0x02;
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.HintOutOfRange.selector, 1, 2, 1));
        reader.leaves(signature, 3);
    }

    function _finds(Fields memory f, uint256[] memory uses) private view {
        (bytes memory hints, bytes memory witnesses) = shown(f, uses);
        bytes memory signature = bytes.concat(new bytes(77), hints, signedForm(f), witnesses);
        bytes[] memory found = reader.leaves(signature, uses.length);
        for (uint256 i = 0; i < uses.length; ++i) {
            assertEq(found[i], leafOf(f, uses[i]));
        }
    }
}
