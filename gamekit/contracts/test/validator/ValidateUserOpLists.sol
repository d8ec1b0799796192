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

    // --------------------------------------------------------------------------------------------- WitnessInvalid

    function test_validateUserOp_revert_witnessOfAnotherFunction() public {
        // The entry says that the function is allowed; the path is that of an entry which is.
        Fields memory f = longFields(13);
        bytes memory leaf = leafOf(f, 4);
        leaf[23] = bytes1(uint8(leaf[23]) ^ 1);
        Execution[] memory calls = toyCalls(uses1(4));
        calls[0].callData[3] = leaf[23];
        _refusesWitness(f, calls, leaf, pathOf(f, 4));
    }

    function test_validateUserOp_revert_witnessWithWiderRule() public {
        Fields memory f = longFields(13);
        bytes memory leaf = leafOf(f, 5);
        // The last byte of its only rule: at most 99.
        assertEq(uint8(leaf[95]), 99);
        leaf[95] = 0xff;
        Execution[] memory calls = toyCalls(uses1(5));
        calls[0] = toyCall(5, 200);
        _refusesWitness(f, calls, leaf, pathOf(f, 5));
    }

    function test_validateUserOp_revert_witnessWithoutItsRules() public {
        Fields memory f = longFields(13);
        bytes memory leaf = leafOf(f, 5);
        leaf[25] = 0;
        assembly ("memory-safe") {
            mstore(leaf, 32)
        }
        _refusesWitness(f, toyCalls(uses1(5)), leaf, pathOf(f, 5));
    }

    function test_validateUserOp_revert_siblingChanged() public {
        Fields memory f = longFields(13);
        for (uint256 i = 0; i < 4; ++i) {
            bytes32[] memory path = pathOf(f, 5);
            assertEq(path.length, 4);
            path[i] ^= bytes32(uint256(1));
            _refusesWitness(f, toyCalls(uses1(5)), leafOf(f, 5), path);
        }
    }

    function test_validateUserOp_revert_pathTooShort() public {
        Fields memory f = longFields(13);
        bytes32[] memory path = pathOf(f, 5);
        for (uint256 depth = 0; depth < 4; ++depth) {
            assembly ("memory-safe") {
                mstore(path, depth)
            }
            _refusesWitness(f, toyCalls(uses1(5)), leafOf(f, 5), path);
        }
    }

    function test_validateUserOp_revert_pathTooLong() public {
        Fields memory f = longFields(13);
        bytes32[] memory path = new bytes32[](5);
        for (uint256 i = 0; i < 4; ++i) {
            path[i] = pathOf(f, 5)[i];
        }
        _refusesWitness(f, toyCalls(uses1(5)), leafOf(f, 5), path);
        path[4] = rootOf(f);
        _refusesWitness(f, toyCalls(uses1(5)), leafOf(f, 5), path);
    }

    function test_validateUserOp_revert_longestPath() public {
        // 255 siblings, behind which the signature ends.
        Fields memory f = longFields(13);
        _refusesWitness(f, toyCalls(uses1(5)), leafOf(f, 5), new bytes32[](255));
    }

    function test_validateUserOp_revert_leafOfAnotherList() public {
        // Both are granted, to the same key; the second allows a function that the first does not.
        Fields memory f = longFields(13);
        Fields memory g = longFields(14);
        g.nonceKey += 1;
        grantLong(g);
        _refusesWitness(f, toyCalls(uses1(13)), leafOf(g, 13), pathOf(g, 13));
        submit(sealedLong(g, uses1(13)));
        assertEq(played(13), 1);
    }

    function test_validateUserOp_revert_leafOfAnotherListWithSignedFormOfThat() public {
        // The other way about: the wider list's own signed form, but signed by a key that it does not name.
        Fields memory f = longFields(13);
        grantLong(f);
        Fields memory g = longFields(14);
        (g.signer,) = makeAddrAndKey("another session key");
        grantLong(g);
        submitFailed(sealedLong(g, uses1(13)), "AA24 signature error");
        submit(sealedLong(f, uses1(12)));
        assertEq(played(12), 1);
    }

    function test_validateUserOp_revert_innerNodeAsEntry() public {
        // The node over the leaves 4 and 5 as an entry of its own.
        Fields memory f = longFields(13);
        bytes32 node = _pair(keccak256(leafOf(f, 4)), keccak256(leafOf(f, 5)));
        _refusesWitness(f, toyCalls(uses1(5)), _asLeaf(node, ""), _above(pathOf(f, 5)));
        // Nothing else leads there: the node is known, and climbing from it reaches the root.
        bytes32[] memory path = _above(pathOf(f, 5));
        for (uint256 i = 0; i < path.length; ++i) {
            node = _pair(node, path[i]);
        }
        assertEq(node, rootOf(f));
    }

    function test_validateUserOp_revert_innerNodesChildrenAsEntryAndRules() public {
        // The 64 bytes that the node is the hash of. As a leaf they are 32 bytes, or 96 and more.
        Fields memory f = longFields(13);
        (bytes32 low, bytes32 high) = (keccak256(leafOf(f, 4)), keccak256(leafOf(f, 5)));
        if (low > high) (low, high) = (high, low);
        assertEq(keccak256(bytes.concat(low, high)), _pair(low, high));
        _refusesWitness(f, toyCalls(uses1(5)), _asLeaf(low, bytes.concat(high)), _above(pathOf(f, 5)));
    }

    // ---------------------------------------------------------------------------------------------- HintOutOfRange

    function test_validateUserOp_revert_hintBeyondTheFirstWitness() public {
        Fields memory f = longFields(13);
        grantLong(f);
        submitRefused(
            sealLong(f, toyCalls(uses1(5)), hex"01", witnessOf(f, 5)),
            abi.encodeWithSelector(ISessionValidator.HintOutOfRange.selector, 0, 1, 0)
        );
        submit(sealedLong(f, uses1(5)));
        assertEq(played(5), 1);
    }

    function test_validateUserOp_revert_hintBeyondTheNextWitness() public {
        Fields memory f = longFields(13);
        grantLong(f);
        bytes memory witnesses = bytes.concat(witnessOf(f, 5), witnessOf(f, 6));
        submitRefused(
            sealLong(f, toyCalls(uses2(5, 6)), hex"0002", witnesses),
            abi.encodeWithSelector(ISessionValidator.HintOutOfRange.selector, 1, 2, 1)
        );
        submitRefused(
            sealLong(f, toyCalls(uses2(5, 6)), hex"00ff", witnesses),
            abi.encodeWithSelector(ISessionValidator.HintOutOfRange.selector, 1, 255, 1)
        );
        submit(sealLong(f, toyCalls(uses2(5, 6)), hex"0001", witnesses));
        assertEq(played(6), 1);
    }

    function test_validateUserOp_revert_hintOfAnotherWitness() public {
        // Both entries are allowed; the hints are exchanged.
        Fields memory f = longFields(13);
        grantLong(f);
        PackedUserOperation memory op = sealLong(f, toyCalls(uses2(5, 6)), hex"0000", witnessOf(f, 5));
        submitRefused(
            op,
            abi.encodeWithSelector(
                ISessionValidator.CallNotAllowed.selector, 1, address(toybox), toy(6), address(toybox), toy(5)
            )
        );
    }

    // ---------------------------------------------------------------------------------------------- SignatureTooLong

    function test_validateUserOp_revert_bytesBehindTheLastWitness() public {
        Fields memory f = longFields(13);
        grantLong(f);
        uint256[3] memory counts = [uint256(1), 32, 1000];
        for (uint256 i = 0; i < counts.length; ++i) {
            PackedUserOperation memory op = sealedLong(f, uses1(5));
            op.signature = bytes.concat(op.signature, new bytes(counts[i]));
            submitRefused(op, abi.encodeWithSelector(ISessionValidator.SignatureTooLong.selector, counts[i]));
        }
        submit(sealedLong(f, uses1(5)));
        assertEq(played(5), 1);
    }

    function test_validateUserOp_revert_witnessThatNoCallUses() public {
        Fields memory f = longFields(13);
        grantLong(f);
        bytes memory needless = witnessOf(f, 6);
        PackedUserOperation memory op = sealedLong(f, uses1(5));
        op.signature = bytes.concat(op.signature, needless);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.SignatureTooLong.selector, needless.length));
    }

    // --------------------------------------------------------------------------------------------- SignatureTooShort

    function test_validateUserOp_revert_witnessMissing() public {
        Fields memory f = longFields(13);
        grantLong(f);
        submitRefused(
            sealLong(f, toyCalls(uses1(5)), hex"00", ""),
            abi.encodeWithSelector(ISessionValidator.SignatureTooShort.selector, 0, 32)
        );
        submitRefused(
            sealLong(f, toyCalls(uses2(5, 6)), hex"0001", witnessOf(f, 5)),
            abi.encodeWithSelector(ISessionValidator.SignatureTooShort.selector, 0, 32)
        );
    }

    function testFuzz_validateUserOp_revert_cutAnywhere(uint256 length, uint256 entry) public {
        Fields memory f = longFields(13);
        grantLong(f);
        entry = entry % 13;
        PackedUserOperation memory op = sealedLong(f, uses1(entry));
        bytes memory signature = op.signature;
        uint256 whole = signature.length;
        length = bound(length, 0, whole - 1);
        assembly ("memory-safe") {
            mstore(signature, length)
        }
        _refusedByModule(op, _tooShort(length, entry % 4, whole));
        assembly ("memory-safe") {
            mstore(signature, whole)
        }
        submit(op);
        assertEq(played(entry), 1);
    }

    function testFuzz_validateUserOp_revert_anyByteOfAWitnessChanged(uint256 position, uint8 change, uint256 entry)
        public
    {
        vm.assume(change != 0);
        Fields memory f = longFields(13);
        grantLong(f);
        entry = entry % 13;
        bytes memory witness = witnessOf(f, entry);
        position = bound(position, 0, witness.length - 1);
        witness[position] = bytes1(uint8(witness[position]) ^ change);
        PackedUserOperation memory op = sealLong(f, toyCalls(uses1(entry)), hex"00", witness);
        bytes32 hash = entryPointHash(op);
        vm.prank(address(account));
        try validator.validateUserOp(op, hash) {
            revert("a changed witness was admitted");
        } catch (bytes memory reason) {
            // The counts of rules and siblings say how much is to be read.
            bool counts = position == 25 || position == 32 + 64 * (entry % 4);
            bytes4 found = bytes4(reason);
            assertTrue(
                found == ISessionValidator.WitnessInvalid.selector
                    || (counts && found == ISessionValidator.SignatureTooShort.selector)
            );
        }
        submit(sealedLong(f, uses1(entry)));
        assertEq(played(entry), 1);
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

    function _refusesWitness(Fields memory f, Execution[] memory calls, bytes memory leaf, bytes32[] memory path)
        private
    {
        uint256 before = vm.snapshotState();
        grantLong(f);
        submitRefused(
            sealLong(f, calls, hex"00", witnessOf(leaf, path)),
            abi.encodeWithSelector(ISessionValidator.WitnessInvalid.selector, 0, climb(leaf, path), rootOf(f))
        );
        // The same behind an honest one: the second call's is named.
        Execution[] memory both = new Execution[](2);
        (both[0], both[1]) = (toyCall(0, 1), calls[0]);
        submitRefused(
            sealLong(f, both, hex"0001", bytes.concat(witnessOf(f, 0), witnessOf(leaf, path))),
            abi.encodeWithSelector(ISessionValidator.WitnessInvalid.selector, 1, climb(leaf, path), rootOf(f))
        );
        submit(sealedLong(f, uses2(0, 5)));
        assertEq(played(5), 1);
        vm.revertToState(before);
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

    /// @dev The word as an entry, with as many rules as it seems to have, which begin with `head`.
    function _asLeaf(bytes32 entry, bytes memory head) private pure returns (bytes memory leaf) {
        leaf = bytes.concat(entry, new bytes(64 * uint256(uint8(entry[25]))));
        for (uint256 i = 0; i < head.length && 32 + i < leaf.length; ++i) {
            leaf[32 + i] = head[i];
        }
    }

    function _above(bytes32[] memory path) private pure returns (bytes32[] memory above) {
        above = new bytes32[](path.length - 1);
        for (uint256 i = 0; i < above.length; ++i) {
            above[i] = path[i + 1];
        }
    }

    /// @dev The refusal of a signature with one call that was cut to `length` of `whole` bytes.
    function _tooShort(uint256 length, uint256 rules, uint256 whole) private pure returns (bytes memory) {
        (uint256 found, uint256 least) = (length, 78 + 192);
        if (length >= 78 + 192) least = 78 + 224;
        if (length >= 78 + 224) (found, least) = (length - 302, 32);
        if (length >= 302 + 32) least = 32 + 64 * rules + 1;
        if (length >= 302 + 33 + 64 * rules) {
            (found, least) = (length - 302 - 33 - 64 * rules, whole - 302 - 33 - 64 * rules);
        }
        return abi.encodeWithSelector(ISessionValidator.SignatureTooShort.selector, found, least);
    }

    function _sessionOf(Fields memory f) private view returns (Session memory) {
        return sessionOf(signedForm(f));
    }
}
