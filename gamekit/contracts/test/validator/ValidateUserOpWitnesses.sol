// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";
import {Fields} from "test/Harness.sol";
import {ValidateUserOpLists} from "test/validator/ValidateUserOpLists.sol";

/// @notice What is refused of the witnesses that a signature shows of a long list.
/// @dev Every refusal has its twin: the same operation with the honest witness is admitted.
abstract contract ValidateUserOpWitnesses is ValidateUserOpLists {
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

    // ------------------------------------------------------------------------------------------------------- helpers

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
}
