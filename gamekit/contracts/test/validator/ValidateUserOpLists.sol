// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ISessionValidator, Session, SessionState} from "src/ISessionValidator.sol";
import {Entry, Fields, Harness, Rule} from "test/Harness.sol";
import {LongLists} from "test/LongLists.sol";
import {ValidateUserOpHarness} from "test/validator/ValidateUserOpHarness.sol";

/// @notice Scopes with long lists: what the signature shows of them.
/// @dev Every refusal has its twin: the same operation with the honest witness is admitted.
abstract contract ValidateUserOpLists is ValidateUserOpHarness, LongLists {
    function setUp() public virtual override(Harness, LongLists) {
        LongLists.setUp();
    }

    // --------------------------------------------------------------------------------------------------- admitted

    function test_validateUserOp_success_listOf1() public {
        _admitsFirstMiddleAndLast(1);
    }

    function test_validateUserOp_success_listOf2() public {
        _admitsFirstMiddleAndLast(2);
    }

    function test_validateUserOp_success_listOf3() public {
        _admitsFirstMiddleAndLast(3);
    }

    function test_validateUserOp_success_listOf13() public {
        _admitsFirstMiddleAndLast(13);
    }

    function test_validateUserOp_success_listOf40() public {
        _admitsFirstMiddleAndLast(40);
    }

    function test_validateUserOp_success_listOf255() public {
        _admitsFirstMiddleAndLast(255);
    }

    function test_validateUserOp_success_listOf300() public {
        _admitsFirstMiddleAndLast(300);
    }

    function test_validateUserOp_success_allEntriesOfAListInOneOperation() public {
        Fields memory f = longFields(40);
        grantLong(f);
        uint256[] memory uses = new uint256[](40);
        for (uint256 i = 0; i < 40; ++i) {
            uses[i] = (i * 7) % 40;
        }
        PackedUserOperation memory op = operation(f, batchData(BATCH_TRY, toyCalls(uses)));
        op.accountGasLimits = bytes32(abi.encodePacked(uint128(2_000_000), CALL_GAS));
        (bytes memory hints, bytes memory witnesses) = shown(f, uses);
        op = seal(op, hints, signedForm(f));
        op.signature = bytes.concat(op.signature, witnesses);
        submit(op);
        for (uint256 i = 0; i < 40; ++i) {
            assertEq(played(i), 1);
        }
    }

    function test_validateUserOp_success_entriesRepeated() public {
        // Three entries, seven calls, three witnesses.
        Fields memory f = longFields(13);
        grantLong(f);
        uint256[] memory uses = new uint256[](7);
        (uses[0], uses[1], uses[2], uses[3], uses[4], uses[5], uses[6]) = (5, 5, 12, 5, 0, 12, 0);
        PackedUserOperation memory op = sealedLong(f, uses);
        (bytes memory hints,) = shown(f, uses);
        assertEq(hints, hex"00000100020102");
        submit(op);
        assertEq(played(5), 3);
        assertEq(played(12), 2);
        assertEq(played(0), 2);
        assertEq(_sessionOf(f).uses, 7);
    }

    function test_validateUserOp_success_oneCallWithoutBatch() public {
        Fields memory f = longFields(13);
        grantLong(f);
        Execution memory call = toyCall(9, 1);
        PackedUserOperation memory op = seal(operation(f, singleData(SINGLE, call)), hex"00", signedForm(f));
        op.signature = bytes.concat(op.signature, witnessOf(f, 9));
        submit(op);
        assertEq(played(9), 1);
    }

    function test_validateUserOp_success_witnessShownTwice() public {
        // Needless, and allows nothing more.
        Fields memory f = longFields(13);
        grantLong(f);
        submit(sealLong(f, toyCalls(uses2(4, 4)), hex"0001", bytes.concat(witnessOf(f, 4), witnessOf(f, 4))));
        assertEq(played(4), 2);
    }

    function test_validateUserOp_success_permissionIdIsOfTheSignedForm() public {
        Fields memory f = longFields(40);
        bytes memory granted = grantLong(f);
        bytes32 permissionId = permissionIdOf(signedForm(f));
        assertEq(validator.permissionIdOf(address(account), granted), permissionId);
        assertTrue(permissionId != permissionIdOf(granted));
        assertEq(uint256(_sessionOf(f).state), uint256(SessionState.Live));
    }

    // ------------------------------------------------------------------------------------------------------ rules

    function test_validateUserOp_revert_firstRuleOfALeaf() public {
        // 100 passes neither the first nor the second rule; the first is named.
        _refusesArgument(1, 100, 2, 99);
    }

    function test_validateUserOp_revert_secondRuleOfALeaf() public {
        Fields memory f = longFields(13);
        f.rules[0].value = 1000;
        _refusesArgument(f, 2, 100, 1, 100);
    }

    function test_validateUserOp_revert_thirdRuleOfALeaf() public {
        Fields memory f = longFields(13);
        f.rules[0].value = 1000;
        _refusesArgument(f, 3, 101, 1, 101);
    }

    function test_validateUserOp_success_rulesOfOtherLeavesDoNotCount() public {
        Fields memory f = longFields(13);
        grantLong(f);
        Execution[] memory calls = toyCalls(uses2(3, 4));
        calls[1] = toyCall(4, 100);
        submit(sealLong(f, calls, hex"0001", bytes.concat(witnessOf(f, 3), witnessOf(f, 4))));
        assertEq(played(4), 1);
    }

    function test_validateUserOp_revert_cumulativeCapSharedByLeaves() public {
        Fields memory f = _capped();
        grantLong(f);
        Execution[] memory calls = toyCalls(uses2(2, 9));
        (calls[0], calls[1]) = (toyCall(2, 60), toyCall(9, 41));
        bytes memory witnesses = bytes.concat(witnessOf(f, 2), witnessOf(f, 9));
        submitRefused(
            sealLong(f, calls, hex"0001", witnesses),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 1, 1, 101, 100)
        );
        calls[1] = toyCall(9, 40);
        submit(sealLong(f, calls, hex"0001", witnesses));
        assertEq(_sessionOf(f).lane1, 100);
        (calls[0], calls[1]) = (toyCall(2, 0), toyCall(9, 1));
        submitRefused(
            sealLong(f, calls, hex"0001", witnesses),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 1, 1, 101, 100)
        );
    }

    function test_validateUserOp_revert_valueCaps() public {
        Fields memory f = longFields(13);
        (f.valueTotalWeiMax, f.valuePerCallWeiMax) = (5, 3);
        grantLong(f);
        Execution[] memory calls = toyCalls(uses2(0, 4));
        bytes memory witnesses = bytes.concat(witnessOf(f, 0), witnessOf(f, 4));
        (calls[0].value, calls[1].value) = (3, 4);
        submitRefused(
            sealLong(f, calls, hex"0001", witnesses),
            abi.encodeWithSelector(ISessionValidator.ValuePerCallExceeded.selector, 1, 4, 3)
        );
        calls[1].value = 3;
        submitRefused(
            sealLong(f, calls, hex"0001", witnesses),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 1, 0, 6, 5)
        );
        calls[1].value = 2;
        submit(sealLong(f, calls, hex"0001", witnesses));
        assertEq(_sessionOf(f).lane0, 5);
        assertEq(address(toybox).balance, 5);
    }

    // ---------------------------------------------------------------------------------------------------- other forms

    function test_validateUserOp_revert_grantedFormInsteadOfSigned() public {
        Fields memory f = longFields(13);
        bytes memory granted = grantLong(f);
        PackedUserOperation memory op = seal(operation(f, batchData(BATCH, toyCalls(uses1(5)))), hex"00", granted);
        // Where the root belongs stands the first entry.
        submitRefused(op, _notLive(bytes.concat(headerOf(f), leafOf(f, 0)), SessionState.None));
    }

    function test_validateUserOp_revert_shortFormOfALongList() public {
        Fields memory f = longFields(13);
        grantLong(f);
        PackedUserOperation memory op = seal(operation(f, batchData(BATCH, toyCalls(uses1(5)))), hex"05", pack(f));
        submitRefused(op, _notLive(pack(f), SessionState.None));
    }

    function test_validateUserOp_revert_longFormOfAShortList() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealLong(f, one(attackData(1, 1)), hex"00", witnessOf(f, 0));
        submitRefused(op, _notLive(signedForm(f), SessionState.None));
        submit(sealedBatch(f, attacks(1)));
        assertEq(actions(), 1);
    }

    function test_validateUserOp_revert_rootOfAnotherScope() public {
        Fields memory f = longFields(13);
        grantLong(f);
        Fields memory g = longFields(14);
        grantLong(g);
        g.usesMax += 1;
        // The header of no session, with the root of one.
        submitRefused(sealedLong(g, uses1(13)), _notLive(signedForm(g), SessionState.None));
        // The root of the wider list under the header of the narrower, which the thief signs anew.
        g.usesMax -= 1;
        g.validUntil -= 1;
        bytes memory forged = bytes.concat(headerOf(g), rootOf(f));
        PackedUserOperation memory op = seal(operation(g, batchData(BATCH, toyCalls(uses1(5)))), hex"00", forged);
        op.signature = bytes.concat(op.signature, witnessOf(f, 5));
        submitRefused(op, _notLive(forged, SessionState.None));
    }

    function test_validateUserOp_revert_signedFormOfAnotherGrantedScope() public {
        // Signed for the one list; signed form and witnesses of another live session of the same key in its place.
        Fields memory f = longFields(13);
        Fields memory g = longFields(14);
        grantLong(f);
        grantLong(g);
        PackedUserOperation memory op = sealedLong(f, uses1(5));
        bytes memory signature = op.signature;
        assembly ("memory-safe") {
            mstore(signature, 78)
        }
        op.signature = bytes.concat(signature, signedForm(g), witnessOf(g, 5));
        submitFailed(op, "AA24 signature error");
    }

    // ------------------------------------------------------------------------------------------------------- helpers

    function _admitsFirstMiddleAndLast(uint256 count) private {
        Fields memory f = longFields(count);
        grantLong(f);
        submit(sealedLong(f, uses1(0)));
        submit(sealedLong(f, uses1(count / 2)));
        // One more beyond the last is not one of the list, whatever else is shown.
        submit(sealedLong(f, uses2(count - 1, 0)));
        assertEq(_sessionOf(f).uses, 4);
        assertEq(played(0) + (count > 1 ? played(count / 2) : 0) + (count > 2 ? played(count - 1) : 0), 4);
        Execution[] memory calls = toyCalls(uses1(count));
        submitRefused(
            sealLong(f, calls, hex"00", witnessOf(f, count - 1)),
            abi.encodeWithSelector(
                ISessionValidator.CallNotAllowed.selector,
                0,
                address(toybox),
                toy(count),
                address(toybox),
                toy(count - 1)
            )
        );
    }

    function _refusesArgument(uint256 entry, uint256 argument, uint256 condition, uint256 value) private {
        _refusesArgument(longFields(13), entry, argument, condition, value);
    }

    function _refusesArgument(Fields memory f, uint256 entry, uint256 argument, uint256 condition, uint256 value)
        private
    {
        grantLong(f);
        Execution[] memory calls = new Execution[](1);
        calls[0] = toyCall(entry, argument);
        submitRefused(
            sealLong(f, calls, hex"00", witnessOf(f, entry)),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 0, condition, argument, value)
        );
        calls[0] = toyCall(entry, 98);
        submit(sealLong(f, calls, hex"00", witnessOf(f, entry)));
        assertEq(played(entry), 1);
    }

    /// @dev The functions 2 and 9 count their first argument in lane 1, up to 100.
    function _capped() private view returns (Fields memory f) {
        f = longFields(13);
        f.rules = new Rule[](1);
        f.rules[0] = Rule(0, 6, 1, 100);
        for (uint256 i = 0; i < 13; ++i) {
            f.entries[i].ruleCount = i == 2 || i == 9 ? 1 : 0;
        }
    }

    function _sessionOf(Fields memory f) internal view returns (Session memory) {
        return sessionOf(signedForm(f));
    }
}
