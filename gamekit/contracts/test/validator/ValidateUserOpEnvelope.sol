// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Fields} from "test/Harness.sol";
import {ValidateUserOpHarness} from "test/validator/ValidateUserOpHarness.sol";

/// @notice What stands in the signature, and what the session's word says.
/// @dev Through handleOps of a real EntryPoint, unless the EntryPoint itself would refuse before.
abstract contract ValidateUserOpEnvelope is ValidateUserOpHarness {
    // -------------------------------------------------------------------------------------------------------- envelope

    function test_validateUserOp_revert_signatureTooShort() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        op.signature = new bytes(65);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.SignatureTooShort.selector, 65, 77 + 1 + 192));
    }

    function test_validateUserOp_revert_signatureOneByteShortOfAHeader() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        // 77 bytes, one hint, and all of the scope's header but its last byte.
        uint256 length = 77 + 1 + 191;
        bytes memory signature = op.signature;
        assembly ("memory-safe") {
            mstore(signature, length)
        }
        submitRefused(
            op, abi.encodeWithSelector(ISessionValidator.SignatureTooShort.selector, length, length + 1)
        );
    }

    function test_validateUserOp_revert_signaturePadded() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        op.signature = bytes.concat(op.signature, hex"00");
        submitRefused(op, _notLive(bytes.concat(scope, hex"00"), SessionState.None));
    }

    function test_validateUserOp_revert_scopeTruncated() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        bytes memory shorter = new bytes(scope.length - 32);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = scope[i];
        }
        op = seal(op, hex"00", shorter);
        submitRefused(op, _notLive(shorter, SessionState.None));
    }

    function test_validateUserOp_revert_scopeNeverGranted() public {
        Fields memory f = fields();
        submitRefused(sealedBatch(f, attacks(1)), _notLive(pack(f), SessionState.None));
    }

    function testFuzz_validateUserOp_revert_anyByteOfScopeChanged(uint256 position, uint8 change) public {
        vm.assume(change != 0);
        Fields memory f = fields();
        bytes memory scope = grant(f);
        bytes memory forged = bytes.concat(scope);
        position = bound(position, 0, scope.length - 1);
        forged[position] = bytes1(uint8(forged[position]) ^ change);
        // The thief has the key and signs anew for the forged scope.
        PackedUserOperation memory op = seal(operation(f, batchData(BATCH, attacks(1))), hex"00", forged);
        // Without entries it reads as a long list: what names the permission is header and root then.
        if (forged[54] == 0) {
            bytes memory signed = new bytes(224);
            for (uint256 i = 0; i < 224; ++i) {
                signed[i] = forged[i];
            }
            forged = signed;
        }
        submitRefused(op, _notLive(forged, SessionState.None));
    }

    function test_validateUserOp_revert_swappedScope() public {
        // Two sessions of one key: a signature for the one is none for the other.
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Fields memory g = fields();
        g.usesMax = 2000;
        bytes memory wider = grant(g);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        bytes memory signature = bytes.concat(op.signature);
        for (uint256 i = 0; i < wider.length; ++i) {
            signature[signature.length - scope.length + i] = wider[i];
        }
        op.signature = signature;
        submitFailed(op, "AA24 signature error");
    }

    function test_validateUserOp_revert_wrongKey() public {
        (, uint256 thiefKey) = makeAddrAndKey("thief");
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), scope, uint48(NOW - 1), uint48(NOW + 60), thiefKey);
        submitFailed(op, "AA24 signature error");
    }

    function test_validateUserOp_revert_zeroSignature() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.signature = abi.encodePacked(uint48(NOW - 1), uint48(NOW + 60), new bytes(65), hintsOf(f, attacks(1)), scope);
        submitFailed(op, "AA24 signature error");
    }

    function test_validateUserOp_revert_upperS() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        bytes32 digest = digestOf(op, permissionIdOf(scope), uint48(NOW - 1), uint48(NOW + 60));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, digest);
        s = bytes32(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 - uint256(s));
        op.signature =
            abi.encodePacked(uint48(NOW - 1), uint48(NOW + 60), r, s, v == 27 ? 28 : 27, hintsOf(f, attacks(1)), scope);
        submitFailed(op, "AA24 signature error");
    }

    function test_validateUserOp_revert_vOf0Or1() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        op.signature[76] = bytes1(uint8(op.signature[76]) - 27);
        submitFailed(op, "AA24 signature error");
    }

    function test_validateUserOp_success_wrongSignatureWritesNothing() public {
        Fields memory f = fields();
        f.valueTotalWeiMax = f.valuePerCallWeiMax = 1;
        bytes memory scope = grant(f);
        PackedUserOperation memory op = sealedBatch(f, one(address(arena), 1, attackData(1, 1)));
        vm.record();
        vm.prank(address(account));
        uint256 validationData = validator.validateUserOp(op, keccak256("another operation"));
        assertEq(uint160(validationData), 1, "signature failure");
        assertEq(validationData >> 160, _packed(NOW - 1, NOW + 60) >> 160, "with the time range all the same");
        (, bytes32[] memory writes) = vm.accesses(address(validator));
        assertEq(writes.length, 0);
        assertEq(sessionOf(scope).uses, 0);
    }

    // ------------------------------------------------------------------------------------------------- state and epoch

    function test_validateUserOp_revert_revoked() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        vm.prank(address(account));
        validator.revokeSession(permissionIdOf(scope));
        submitRefused(op, _notLive(scope, SessionState.Revoked));
    }

    function test_validateUserOp_revert_epochStale() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        vm.prank(address(account));
        validator.revokeAllSessions();
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 1, 2));
    }

    function test_validateUserOp_revert_reinstalled() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        vm.startPrank(address(account));
        account.uninstallModule(1, address(validator), "");
        account.installModule(1, address(validator), "");
        vm.stopPrank();
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 1, 3));
    }

    function test_validateUserOp_revert_uninstalled() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        vm.prank(address(account));
        account.uninstallModule(1, address(validator), "");
        submitFailed(op, "AA24 signature error");
    }

    // -------------------------------------------------------------------------------------------- nonce key, paymaster

    function test_validateUserOp_revert_nonceKeyMismatch() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Fields memory g = fields();
        g.nonceKey += 1;
        PackedUserOperation memory op = seal(operation(g, batchData(BATCH, attacks(1))), hintsOf(f, attacks(1)), scope);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.NonceKeyMismatch.selector, g.nonceKey, f.nonceKey));
    }

    function testFuzz_validateUserOp_revert_anyOtherNonceKey(uint8 bit, uint64 sequence) public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        uint192 nonceKey = f.nonceKey ^ uint192(1) << (bit % 192);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.nonce = uint256(nonceKey) << 64 | sequence;
        _refusedByModule(
            seal(op, hintsOf(f, attacks(1)), scope),
            abi.encodeWithSelector(ISessionValidator.NonceKeyMismatch.selector, nonceKey, f.nonceKey)
        );
    }

    function test_validateUserOp_revert_paymasterNotAllowed() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.paymasterAndData = abi.encodePacked(thief, uint128(1), uint128(1));
        _refusedByModule(
            seal(op, hintsOf(f, attacks(1)), scope),
            abi.encodeWithSelector(ISessionValidator.PaymasterMismatch.selector, thief, address(0))
        );
    }

    function test_validateUserOp_revert_paymasterZeroIsNotNone() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        bytes memory reason =
            abi.encodeWithSelector(ISessionValidator.PaymasterMismatch.selector, address(0), address(0));
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.paymasterAndData = hex"00";
        _refusedByModule(seal(op, hintsOf(f, attacks(1)), scope), reason);
        op.paymasterAndData = new bytes(52);
        _refusedByModule(seal(op, hintsOf(f, attacks(1)), scope), reason);
    }

    function test_validateUserOp_revert_paymasterLeftOut() public {
        Fields memory f = fields();
        f.paymaster = makeAddr("paymaster");
        grant(f);
        submitRefused(
            sealedBatch(f, attacks(1)),
            abi.encodeWithSelector(ISessionValidator.PaymasterMismatch.selector, address(0), f.paymaster)
        );
    }

    function test_validateUserOp_revert_paymasterCutShort() public {
        Fields memory f = fields();
        f.paymaster = makeAddr("paymaster");
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.paymasterAndData = abi.encodePacked(f.paymaster, new bytes(31));
        _refusedByModule(
            seal(op, hintsOf(f, attacks(1)), scope),
            abi.encodeWithSelector(ISessionValidator.PaymasterMismatch.selector, address(0), f.paymaster)
        );
    }

    function test_validateUserOp_revert_anotherPaymaster() public {
        Fields memory f = fields();
        f.paymaster = makeAddr("paymaster");
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.paymasterAndData = abi.encodePacked(thief, uint128(1), uint128(1));
        _refusedByModule(
            seal(op, hintsOf(f, attacks(1)), scope),
            abi.encodeWithSelector(ISessionValidator.PaymasterMismatch.selector, thief, f.paymaster)
        );
    }

    function test_validateUserOp_success_paymasterOfScope() public {
        Fields memory f = fields();
        f.paymaster = makeAddr("paymaster");
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.paymasterAndData = abi.encodePacked(f.paymaster, uint128(30_000), uint128(20_000), "more data");
        op = seal(op, hintsOf(f, attacks(1)), scope);
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.prank(address(account));
        assertEq(uint160(validator.validateUserOp(op, hash)), 0);
        assertEq(sessionOf(scope).gasSpentWei, gasWei() + 50_000 * FEE, "the paymaster's gas is charged too");
    }
}
