// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution, IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISessionValidator, Session, SessionState} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness, IEntryPointUnderTest, Rule} from "test/Harness.sol";

/// @notice Everything that validation admits and refuses, through handleOps of a real EntryPoint.
abstract contract ValidateUserOpTest is Harness {
    // ------------------------------------------------------------------------------------------ what is admitted

    function test_validateUserOp_success_singleDefault() public {
        _succeedsInMode(SINGLE);
    }

    function test_validateUserOp_success_singleTry() public {
        _succeedsInMode(SINGLE_TRY);
    }

    function test_validateUserOp_success_batchDefault() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Execution[] memory calls = attacks(3);
        submit(seal(operation(f, batchData(BATCH, calls)), hintsOf(f, calls), scope));
        assertEq(actions(), 3);
    }

    function test_validateUserOp_success_batchTry() public {
        Fields memory f = fields();
        grant(f);
        submit(sealedBatch(f, two(moveData(), craftData(1, 2))));
        assertEq(actions(), 2);
    }

    function test_validateUserOp_success_batchTryGoesOnAfterRevert() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        submit(sealedBatch(f, two(attackData(0, 1), moveData())));
        assertEq(actions(), 1, "the second call ran");
        assertEq(sessionOf(scope).uses, 2, "both were charged");
    }

    function test_validateUserOp_success_64Calls() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        submit(sealedBatch(f, attacks(64)));
        assertEq(actions(), 64);
        assertEq(sessionOf(scope).uses, 64);
    }

    function test_validateUserOp_success_recordsUsesAndGas() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        submit(sealedBatch(f, attacks(2)));
        submit(sealedBatch(f, attacks(3)));
        Session memory session = sessionOf(scope);
        assertEq(uint256(session.state), uint256(SessionState.Live));
        assertEq(session.epoch, 1);
        assertEq(session.uses, 5);
        assertEq(session.gasSpentWei, 2 * gasWei());
        assertEq(session.arrivalMs, 0, "no rate");
        assertEq(session.lane0, 0);
        assertEq(session.lane1, 0);
    }

    function test_validateUserOp_success_twoTargets() public {
        Arena other = new Arena();
        Fields memory f = fields();
        f.entries = new Entry[](2);
        f.entries[0] = Entry(address(arena), Arena.move.selector, 0, 0);
        f.entries[1] = Entry(address(other), Arena.attack.selector, 0, 0);
        _sort(f.entries);
        grant(f);
        Execution[] memory calls = new Execution[](2);
        calls[0] = Execution(address(other), 0, attackData(1, 1));
        calls[1] = Execution(address(arena), 0, moveData());
        submit(sealedBatch(f, calls));
        assertEq(arena.actionsOf(address(account)), 1);
        assertEq(other.actionsOf(address(account)), 1);
    }

    function test_validateUserOp_success_twoSessionsOfOneKey() public {
        Fields memory f = fields();
        grant(f);
        Fields memory g = fields();
        g.nonceKey += 1;
        grant(g);
        submit(sealedBatch(f, attacks(1)));
        submit(sealedBatch(g, attacks(1)));
        assertEq(actions(), 2);
    }

    function test_validateUserOp_success_returnsTimeRange() public {
        Fields memory f = fields();
        grant(f);
        assertEq(_range(f, uint48(NOW - 1), uint48(NOW + 60)), _packed(NOW - 1, NOW + 60), "deadline");
        assertEq(_range(f, uint48(NOW - 1), uint48(NOW + 600)), _packed(NOW - 1, NOW + 119), "slack");
        assertEq(_range(f, uint48(NOW + 1790), uint48(NOW + 5000)), _packed(NOW + 1790, NOW + 1800), "session end");
        assertEq(_range(f, uint48(NOW - 700), uint48(NOW)), _packed(NOW - 600, NOW - 580), "session start");
    }

    function test_validateUserOp_success_touchesAssociatedSlotsOnly() public {
        Fields memory f = fields();
        f.valueTotalWeiMax = f.valuePerCallWeiMax = 1 ether;
        f.entries = new Entry[](1);
        f.entries[0] = Entry(address(arena), Arena.attack.selector, 0, 0);
        bytes memory scope = grant(f);
        PackedUserOperation memory op = sealedBatch(f, one(address(arena), 1, attackData(1, 1)));
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.record();
        vm.prank(address(account));
        validator.validateUserOp(op, hash);
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(address(validator));
        // keccak(account . x), x = keccak(permission . mapping) or the mapping's own number.
        bytes32 permissionId = permissionIdOf(scope);
        for (uint256 i = 0; i < reads.length; ++i) {
            assertTrue(_associated(reads[i], permissionId), "read");
        }
        for (uint256 i = 0; i < writes.length; ++i) {
            assertTrue(_associated(writes[i], permissionId), "write");
        }
        assertEq(writes.length, 2, "session and caps");
    }

    // ------------------------------------------------------------------------------------------------ who asks

    function test_validateUserOp_revert_senderMismatch() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.SenderMismatch.selector, address(account), address(this))
        );
        validator.validateUserOp(op, hash);
    }

    function test_validateUserOp_revert_initCodeNotEmpty() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        op.initCode = abi.encodePacked(factory);
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.prank(address(account));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.InitCodeNotEmpty.selector, 20));
        validator.validateUserOp(op, hash);
    }

    function test_validateUserOp_revert_anotherAccountsSession() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        address other = factory.createAccount(thief, "thief");
        entryPoint.depositTo{value: 1 ether}(other);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.sender = other;
        op = seal(op, hex"00", scope);
        bytes32 permissionId = keccak256(abi.encodePacked(block.chainid, address(validator), other, scope));
        submitRefused(
            op, abi.encodeWithSelector(ISessionValidator.SessionNotLive.selector, permissionId, SessionState.None)
        );
    }

    // ----------------------------------------------------------------------------------------- shape of callData

    function test_validateUserOp_revert_selectorNotExecute() public {
        bytes memory install = abi.encodeCall(IERC7579ModuleConfig.installModule, (1, thief, hex"00"));
        _refuses(
            install,
            abi.encodeWithSelector(ISessionValidator.SelectorNotExecute.selector, bytes4(install), bytes4(0xe9ae5c53))
        );
    }

    function test_validateUserOp_revert_executeUserOp() public {
        bytes memory wrapped = bytes.concat(bytes4(0x8dd7712f), batchData(BATCH, attacks(1)));
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = seal(operation(f, wrapped), hex"00", scope);
        submitRefused(
            op,
            abi.encodeWithSelector(
                ISessionValidator.SelectorNotExecute.selector, bytes4(0x8dd7712f), bytes4(0xe9ae5c53)
            )
        );
    }

    function test_validateUserOp_revert_delegatecall() public {
        _refusesMode(0xff00000000000000000000000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_delegatecallTry() public {
        _refusesMode(0xff01000000000000000000000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_staticcall() public {
        _refusesMode(0xfe00000000000000000000000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_unknownExecType() public {
        _refusesMode(0x0102000000000000000000000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_modeSelector() public {
        _refusesMode(0x0100000000007821000100000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_modePayload() public {
        _refusesMode(0x0100000000000000000000000000000000000000000000000000000000000001);
    }

    function testFuzz_validateUserOp_revert_anyOtherMode(bytes32 mode) public {
        vm.assume(mode != SINGLE && mode != SINGLE_TRY && mode != BATCH && mode != BATCH_TRY);
        PackedUserOperation memory op;
        op.sender = address(this);
        op.callData = batchData(mode, attacks(1));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.ModeNotAllowed.selector, mode));
        validator.validateUserOp(op, 0);
    }

    function test_validateUserOp_revert_headOffsetAliased() public {
        // The head points at a second body behind the first.
        bytes memory good = abi.encode(attacks(1));
        bytes memory bad = abi.encode(one(address(arena.gold()), 0, abi.encodeCall(IERC20.transfer, (thief, 1))));
        bytes memory callData = abi.encodePacked(
            bytes4(0xe9ae5c53), BATCH, uint256(0x40 + 32 + good.length), good.length, good, bad.length, bad
        );
        _refuses(
            callData,
            abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 36, 0x40 + 32 + good.length, 0x40)
        );
    }

    function test_validateUserOp_revert_trailingBytes() public {
        bytes memory callData = batchData(BATCH, attacks(1));
        _refuses(
            bytes.concat(callData, bytes32(0)),
            abi.encodeWithSelector(
                ISessionValidator.CallDataNotCanonical.selector, 68, callData.length, callData.length + 32
            )
        );
    }

    function test_validateUserOp_revert_emptyBatch() public {
        _refuses(
            batchData(BATCH, new Execution[](0)),
            abi.encodeWithSelector(ISessionValidator.CallsOutOfRange.selector, 0, 2)
        );
    }

    function test_validateUserOp_revert_overCallsMax() public {
        Fields memory f = fields();
        f.callsMax = 2;
        grant(f);
        submitRefused(
            sealedBatch(f, attacks(3)), abi.encodeWithSelector(ISessionValidator.CallsOutOfRange.selector, 3, 2)
        );
        submit(sealedBatch(f, attacks(2)));
    }

    function test_validateUserOp_revert_selectorMissing() public {
        _refuses(
            batchData(BATCH, one(hex"a1b2c3")),
            abi.encodeWithSelector(ISessionValidator.SelectorMissing.selector, 0, 3, 4)
        );
    }

    function test_validateUserOp_revert_selectorMissingInSingle() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op =
            seal(operation(f, singleData(SINGLE, Execution(address(arena), 1 ether, ""))), hex"00", scope);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.SelectorMissing.selector, 0, 0, 4));
    }

    // ------------------------------------------------------------------------------------------------ envelope

    function test_validateUserOp_revert_signatureTooShort() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        op.signature = new bytes(65);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.SignatureTooShort.selector, 65, 77 + 1 + 192));
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

    // ------------------------------------------------------------------------------------------ state and epoch

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

    // ------------------------------------------------------------------------------------- nonce key, paymaster

    function test_validateUserOp_revert_nonceKeyMismatch() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Fields memory g = fields();
        g.nonceKey += 1;
        PackedUserOperation memory op = seal(operation(g, batchData(BATCH, attacks(1))), hintsOf(f, attacks(1)), scope);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.NonceKeyMismatch.selector, g.nonceKey, f.nonceKey));
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

    // ------------------------------------------------------------------------------------------------- gas in wei

    function test_validateUserOp_revert_gasFieldTooLarge() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.preVerificationGas = 1 << 120;
        _refusedByModule(
            seal(op, hintsOf(f, attacks(1)), scope),
            abi.encodeWithSelector(
                ISessionValidator.GasFieldTooLarge.selector,
                uint256(1 << 120) | VERIFICATION_GAS | CALL_GAS | FEE,
                type(uint120).max
            )
        );
    }

    function test_validateUserOp_revert_gasPerOperationExceeded() public {
        Fields memory f = fields();
        f.gasPerOperationWeiMax = uint128(gasWei() - 1);
        grant(f);
        submitRefused(
            sealedBatch(f, attacks(1)),
            abi.encodeWithSelector(ISessionValidator.GasPerOperationExceeded.selector, gasWei(), gasWei() - 1)
        );
    }

    function test_validateUserOp_success_gasPerOperationInclusive() public {
        Fields memory f = fields();
        f.gasPerOperationWeiMax = f.gasBudgetWei = uint128(gasWei());
        grant(f);
        submit(sealedBatch(f, attacks(1)));
        assertEq(actions(), 1);
    }

    function test_validateUserOp_revert_hugeFee() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.gasFees = bytes32(abi.encodePacked(uint128(FEE), uint128(4062 gwei)));
        uint256 asked = gasWei() / FEE * 4062 gwei;
        submitRefused(
            seal(op, hintsOf(f, attacks(1)), scope),
            abi.encodeWithSelector(ISessionValidator.GasPerOperationExceeded.selector, asked, 0.1 ether)
        );
    }

    function test_validateUserOp_revert_gasBudgetExceeded() public {
        Fields memory f = fields();
        f.gasPerOperationWeiMax = uint128(gasWei());
        f.gasBudgetWei = uint128(2 * gasWei() - 1);
        grant(f);
        submit(sealedBatch(f, attacks(1)));
        submitRefused(
            sealedBatch(f, attacks(1)),
            abi.encodeWithSelector(ISessionValidator.GasBudgetExceeded.selector, 2 * gasWei(), 2 * gasWei() - 1)
        );
    }

    // ----------------------------------------------------------------------------------------------- uses, rate

    function test_validateUserOp_revert_usesExceeded() public {
        Fields memory f = fields();
        f.usesMax = 3;
        grant(f);
        submit(sealedBatch(f, attacks(2)));
        submitRefused(sealedBatch(f, attacks(2)), abi.encodeWithSelector(ISessionValidator.UsesExceeded.selector, 4, 3));
        submit(sealedBatch(f, attacks(1)));
    }

    function test_validateUserOp_revert_rateExceeded() public {
        Fields memory f = fields();
        (f.callsMax, f.burst, f.rateIntervalMs) = (10, 10, 500);
        bytes memory scope = grant(f);
        submit(sealedBatch(f, attacks(10)));
        assertEq(sessionOf(scope).arrivalMs, (NOW - 1) * 1000 + 5000);
        submitRefused(
            sealedBatch(f, attacks(1)), abi.encodeWithSelector(ISessionValidator.RateExceeded.selector, 5500, 5000)
        );
        vm.warp(NOW + 1);
        submit(sealedBatch(f, attacks(2)));
        submitRefused(
            sealedBatch(f, attacks(1)), abi.encodeWithSelector(ISessionValidator.RateExceeded.selector, 5500, 5000)
        );
        vm.warp(NOW + 1000);
        submit(sealedBatch(f, attacks(10)));
        assertEq(actions(), 22);
    }

    function testFuzz_validateUserOp_success_rateNeverPassed(uint256 seed) public {
        // Whatever times are claimed inside what the EntryPoint admits, no window holds more than burst + refill calls.
        Fields memory f = fields();
        (f.callsMax, f.burst, f.rateIntervalMs, f.usesMax) = (4, 6, 1000, 10_000);
        bytes memory scope = grant(f);
        uint256 admitted;
        for (uint256 i = 0; i < 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.warp(block.timestamp + seed % 3);
            uint48 claimedAt = uint48(block.timestamp - 1 - (seed >> 8) % 100);
            Execution[] memory calls = attacks(1 + (seed >> 16) % 4);
            PackedUserOperation memory op = operation(f, batchData(BATCH, calls));
            op = seal(op, hintsOf(f, calls), scope, claimedAt, uint48(block.timestamp + 10), signerKey);
            bytes32 hash = entryPoint.getUserOpHash(op);
            vm.prank(address(account));
            try validator.validateUserOp(op, hash) {
                admitted += calls.length;
            } catch {}
        }
        // Claims reach back 100 seconds before the first one and end now.
        assertLe(admitted, 6 + (block.timestamp - NOW) + 100 + 1);
        assertGt(admitted, 0);
    }

    // ------------------------------------------------------------------------------------------------------ time

    function test_validateUserOp_revert_timeRangeEmpty() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), scope, uint48(NOW), uint48(NOW), signerKey);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.TimeRangeEmpty.selector, NOW, NOW));
    }

    function test_validateUserOp_revert_deadlineZero() public {
        Fields memory f = fields();
        f.validAfter = 0;
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), scope, 0, 0, signerKey);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.TimeRangeEmpty.selector, 0, 0));
    }

    function test_validateUserOp_revert_afterDeadline() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        vm.warp(NOW + 61);
        submitFailed(op, "AA22 expired or not due");
        vm.warp(NOW + 60);
        submit(op);
    }

    function test_validateUserOp_revert_deadlineExtended() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        op.signature[11] = bytes1(uint8(op.signature[11]) ^ 1);
        submitFailed(op, "AA24 signature error");
    }

    function test_validateUserOp_revert_claimedTimeChanged() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        op.signature[5] = bytes1(uint8(op.signature[5]) ^ 1);
        submitFailed(op, "AA24 signature error");
    }

    function test_validateUserOp_revert_claimedInFuture() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), scope, uint48(NOW + 2), uint48(NOW + 60), signerKey);
        submitFailed(op, "AA22 expired or not due");
    }

    function test_validateUserOp_revert_slackPassed() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), scope, uint48(NOW - 1), uint48(NOW + 1000), signerKey);
        vm.warp(NOW + 120);
        submitFailed(op, "AA22 expired or not due");
        vm.warp(NOW + 119);
        submit(op);
    }

    function test_validateUserOp_revert_sessionOver() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        vm.warp(f.validUntil + 1);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), scope, f.validUntil - 1, f.validUntil + 60, signerKey);
        submitFailed(op, "AA22 expired or not due");
        vm.warp(f.validUntil);
        submit(op);
    }

    function test_validateUserOp_revert_sessionNotBegun() public {
        Fields memory f = fields();
        f.validAfter = uint48(NOW + 10);
        grant(f);
        submitFailed(sealedBatch(f, attacks(1)), "AA22 expired or not due");
    }

    /// @dev The edge differs between EntryPoints; see the concrete suites below.
    function _submittedInTheClaimedSecond() internal view returns (PackedUserOperation memory op) {
        Fields memory f = fields();
        op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), pack(f), uint48(NOW), uint48(NOW + 60), signerKey);
    }

    // ------------------------------------------------------------------------------------------------ allowlist

    function test_validateUserOp_revert_otherSelector() public {
        _refusesCall(address(arena), abi.encodeCall(Arena.withdrawTo, (thief, 1)));
    }

    function test_validateUserOp_revert_otherTarget() public {
        _refusesCall(address(arena.gold()), abi.encodeCall(IERC20.transfer, (thief, 1 ether)));
    }

    function test_validateUserOp_revert_approval() public {
        _refusesCall(address(arena.gold()), abi.encodeCall(IERC20.approve, (thief, 1 ether)));
    }

    function test_validateUserOp_revert_approvalForAll() public {
        _refusesCall(address(arena.item()), abi.encodeWithSignature("setApprovalForAll(address,bool)", thief, true));
    }

    function test_validateUserOp_revert_secondCallOfBatch() public {
        Fields memory f = fields();
        grant(f);
        Execution[] memory calls = attacks(2);
        calls[1] = Execution(address(arena.gold()), 0, abi.encodeCall(IERC20.transfer, (thief, 1 ether)));
        submitRefused(sealedBatch(f, calls), _notAllowed(f, 1, calls[1]));
    }

    function test_validateUserOp_revert_wrongHint() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Execution[] memory calls = attacks(1);
        uint8 right = uint8(hintsOf(f, calls)[0]);
        uint8 wrong = (right + 1) % 3;
        PackedUserOperation memory op = seal(operation(f, batchData(BATCH, calls)), abi.encodePacked(wrong), scope);
        submitRefused(
            op,
            abi.encodeWithSelector(
                ISessionValidator.CallNotAllowed.selector,
                0,
                address(arena),
                Arena.attack.selector,
                f.entries[wrong].target,
                f.entries[wrong].selector
            )
        );
    }

    function test_validateUserOp_revert_hintOutOfRange() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = seal(operation(f, batchData(BATCH, attacks(1))), hex"03", scope);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.HintOutOfRange.selector, 0, 3, 3));
    }

    function test_validateUserOp_revert_targetForbidden() public {
        address[7] memory forbidden = [
            address(0),
            address(account),
            address(validator),
            0x5FF137D4b0FDCD49DcA30c7CF57E578a026d2789,
            0x0000000071727De22E5E9d8BAf0edAc6f37da032,
            0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108,
            0x433709009B8330FDa32311DF1C2AFA402eD8D009
        ];
        Fields memory f = fields();
        grant(f);
        for (uint256 i = 0; i < forbidden.length; ++i) {
            submitRefused(
                sealedBatch(f, one(forbidden[i], 0, moveData())),
                abi.encodeWithSelector(ISessionValidator.TargetForbidden.selector, forbidden[i])
            );
        }
    }

    // ----------------------------------------------------------------------------------------------------- value

    function test_validateUserOp_revert_valueByDefault() public {
        Fields memory f = fields();
        grant(f);
        submitRefused(
            sealedBatch(f, one(address(arena), 1, moveData())),
            abi.encodeWithSelector(ISessionValidator.ValuePerCallExceeded.selector, 0, 1, 0)
        );
    }

    function test_validateUserOp_revert_valuePerCallExceeded() public {
        Fields memory f = _valueFields();
        grant(f);
        submitRefused(
            sealedBatch(f, _payments(f, 1, 0.2 ether + 1)),
            abi.encodeWithSelector(ISessionValidator.ValuePerCallExceeded.selector, 0, 0.2 ether + 1, 0.2 ether)
        );
    }

    function test_validateUserOp_success_valueWithinCap() public {
        Fields memory f = _valueFields();
        bytes memory scope = grant(f);
        Execution[] memory calls = _payments(f, 2, 0.2 ether);
        submit(sealedBatch(f, calls));
        assertEq(f.entries[0].target.balance, 0.4 ether);
        assertEq(sessionOf(scope).lane0, 0.4 ether);
        assertEq(sessionOf(scope).lane1, 0);
    }

    function test_validateUserOp_revert_valueTotalExceeded() public {
        Fields memory f = _valueFields();
        grant(f);
        submit(sealedBatch(f, _payments(f, 2, 0.2 ether)));
        submitRefused(
            sealedBatch(f, _payments(f, 1, 0.1 ether + 1)),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 0, 0, 0.5 ether + 1, 0.5 ether)
        );
        submit(sealedBatch(f, _payments(f, 1, 0.1 ether)));
    }

    function test_validateUserOp_revert_valueTotalExceededInOneBatch() public {
        Fields memory f = _valueFields();
        grant(f);
        submitRefused(
            sealedBatch(f, _payments(f, 3, 0.2 ether)),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 2, 0, 0.6 ether, 0.5 ether)
        );
    }

    // ----------------------------------------------------------------------------------------------------- rules

    function test_validateUserOp_revert_equal() public {
        _rule(Rule(0, 0, 0, 9), attackData(9, 1), attackData(8, 1), 8);
    }

    function test_validateUserOp_revert_notEqual() public {
        _rule(Rule(0, 1, 0, 9), attackData(8, 1), attackData(9, 1), 9);
    }

    function test_validateUserOp_revert_atMost() public {
        _rule(Rule(1, 2, 0, 50), attackData(1, 50), attackData(1, 51), 51);
    }

    function test_validateUserOp_revert_atLeast() public {
        _rule(Rule(1, 3, 0, 50), attackData(1, 50), attackData(1, 49), 49);
    }

    function test_validateUserOp_revert_pinned() public {
        Fields memory f = fieldsWithRule(Arena.claimLoot.selector, Rule(0, 5, 0, 0));
        grant(f);
        submitRefused(
            sealedBatch(f, one(claimData(thief))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 0, 5, uint160(thief), 0)
        );
        vm.prank(address(account));
        arena.attack(1, 10);
        submit(sealedBatch(f, one(claimData(address(account)))));
        assertEq(arena.gold().balanceOf(address(account)), 1010 ether);
    }

    function test_validateUserOp_revert_pinnedWithDirtyBits() public {
        Fields memory f = fieldsWithRule(Arena.claimLoot.selector, Rule(0, 5, 0, 0));
        grant(f);
        uint256 dirty = uint160(address(account)) | 1 << 160;
        submitRefused(
            sealedBatch(f, one(abi.encodePacked(Arena.claimLoot.selector, dirty))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 0, 5, dirty, 0)
        );
    }

    function test_validateUserOp_revert_oneOf() public {
        Rule[] memory rules = new Rule[](4);
        rules[0] = Rule(0, 4, 0, 3);
        rules[1] = Rule(0, 4, 0, 5);
        rules[2] = Rule(1, 4, 0, 10);
        rules[3] = Rule(1, 2, 0, 99);
        Fields memory f = fieldsWithRules(Arena.attack.selector, rules);
        grant(f);
        submitRefused(
            sealedBatch(f, one(attackData(4, 10))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 0, 4, 4, 3)
        );
        // The neighbour on another argument is a condition of its own.
        submitRefused(
            sealedBatch(f, one(attackData(5, 3))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 1, 4, 3, 10)
        );
        submit(sealedBatch(f, two(attackData(3, 10), attackData(5, 10))));
        assertEq(actions(), 2);
    }

    function test_validateUserOp_revert_laterRule() public {
        Rule[] memory rules = new Rule[](2);
        rules[0] = Rule(0, 3, 0, 2);
        rules[1] = Rule(1, 2, 0, 7);
        Fields memory f = fieldsWithRules(Arena.attack.selector, rules);
        grant(f);
        submitRefused(
            sealedBatch(f, one(attackData(2, 8))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 1, 2, 8, 7)
        );
        submit(sealedBatch(f, one(attackData(2, 7))));
    }

    function test_validateUserOp_revert_rulesOfSecondEntry() public {
        Fields memory f = fields();
        f.rules = new Rule[](2);
        for (uint256 i = 0; i < f.entries.length; ++i) {
            if (f.entries[i].selector == Arena.attack.selector) {
                (f.entries[i].ruleFrom, f.entries[i].ruleCount) = (0, 1);
            }
            if (f.entries[i].selector == Arena.craft.selector) {
                (f.entries[i].ruleFrom, f.entries[i].ruleCount) = (1, 1);
            }
        }
        f.rules[0] = Rule(0, 0, 0, 1);
        f.rules[1] = Rule(0, 0, 0, 2);
        grant(f);
        submitRefused(
            sealedBatch(f, two(attackData(1, 1), craftData(1, 1))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 1, 0, 0, 1, 2)
        );
        submit(sealedBatch(f, two(attackData(1, 1), craftData(2, 1))));
    }

    function test_validateUserOp_revert_argumentMissing() public {
        Fields memory f = fieldsWithRule(Arena.attack.selector, Rule(1, 2, 0, 50));
        grant(f);
        bytes memory short = abi.encodePacked(Arena.attack.selector, uint256(1), bytes31(0));
        submitRefused(
            sealedBatch(f, one(short)), abi.encodeWithSelector(ISessionValidator.ArgumentMissing.selector, 0, 1, 67)
        );
    }

    function test_validateUserOp_revert_cumulative() public {
        Fields memory f = fieldsWithRule(Arena.craft.selector, Rule(1, 6, 1, 100));
        bytes memory scope = grant(f);
        submit(sealedBatch(f, two(craftData(1, 30), craftData(2, 30))));
        assertEq(sessionOf(scope).lane0, 0);
        assertEq(sessionOf(scope).lane1, 60);
        submitRefused(
            sealedBatch(f, one(craftData(1, 41))),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 0, 1, 101, 100)
        );
        submit(sealedBatch(f, one(craftData(1, 40))));
        assertEq(sessionOf(scope).lane1, 100);
    }

    function test_validateUserOp_revert_cumulativeOverflow() public {
        Fields memory f = fieldsWithRule(Arena.craft.selector, Rule(1, 6, 0, 100));
        grant(f);
        submit(sealedBatch(f, one(craftData(1, 30))));
        submitRefused(
            sealedBatch(f, one(craftData(1, type(uint256).max - 10))),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 0, 0, type(uint256).max - 10, 100)
        );
    }

    function test_validateUserOp_success_bothLanes() public {
        Fields memory f = _valueFields();
        f.rules = new Rule[](1);
        f.rules[0] = Rule(0, 6, 1, 10);
        f.entries[0].selector = Sink.payFor.selector;
        f.entries[0].ruleCount = 1;
        bytes memory scope = grant(f);
        Execution[] memory calls = one(f.entries[0].target, 3, abi.encodeCall(Sink.payFor, (4)));
        submit(sealedBatch(f, calls));
        submit(sealedBatch(f, calls));
        assertEq(sessionOf(scope).lane0, 6);
        assertEq(sessionOf(scope).lane1, 8);
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _succeedsInMode(bytes32 mode) private {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Execution[] memory calls = attacks(1);
        submit(seal(operation(f, singleData(mode, calls[0])), hintsOf(f, calls), scope));
        assertEq(actions(), 1);
    }

    function _refusesMode(bytes32 mode) private {
        bytes memory reason = abi.encodeWithSelector(ISessionValidator.ModeNotAllowed.selector, mode);
        _refuses(batchData(mode, attacks(1)), reason);
    }

    /// @dev Refused as a whole operation, and admitted with canonical callData: the twin differs in nothing else.
    function _refuses(bytes memory callData, bytes memory reason) private {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        submitRefused(seal(operation(f, callData), hintsOf(f, attacks(1)), scope), reason);
        submit(seal(operation(f, batchData(BATCH, attacks(1))), hintsOf(f, attacks(1)), scope));
        assertEq(actions(), 1);
    }

    function _refusesCall(address target, bytes memory data) private {
        Fields memory f = fields();
        grant(f);
        Execution[] memory calls = one(target, 0, data);
        submitRefused(sealedBatch(f, calls), _notAllowed(f, 0, calls[0]));
    }

    /// @dev Asks the module itself, as the account: for operations that the EntryPoint would refuse before.
    function _refusedByModule(PackedUserOperation memory op, bytes memory reason) private {
        bytes32 hash = entryPointHash(op);
        vm.prank(address(account));
        vm.expectRevert(reason);
        validator.validateUserOp(op, hash);
    }

    function entryPointHash(PackedUserOperation memory op) private view returns (bytes32) {
        return entryPoint.getUserOpHash(op);
    }

    function _rule(Rule memory rule, bytes memory good, bytes memory bad, uint256 found) private {
        Fields memory f = fieldsWithRule(Arena.attack.selector, rule);
        grant(f);
        submitRefused(
            sealedBatch(f, one(bad)),
            abi.encodeWithSelector(
                ISessionValidator.ArgumentRefused.selector, 0, rule.argument, rule.condition, found, rule.value
            )
        );
        submit(sealedBatch(f, one(good)));
        assertEq(actions(), 1);
    }

    function _valueFields() private returns (Fields memory f) {
        f = fields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(address(new Sink()), Sink.pay.selector, 0, 0);
        f.valueTotalWeiMax = 0.5 ether;
        f.valuePerCallWeiMax = 0.2 ether;
    }

    function _payments(Fields memory f, uint256 count, uint256 value) private pure returns (Execution[] memory calls) {
        calls = new Execution[](count);
        for (uint256 i = 0; i < count; ++i) {
            calls[i] = Execution(f.entries[0].target, value, abi.encodeCall(Sink.pay, ()));
        }
    }

    function _range(Fields memory f, uint48 claimedAt, uint48 deadline) private returns (uint256) {
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), pack(f), claimedAt, deadline, signerKey);
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.prank(address(account));
        return validator.validateUserOp(op, hash);
    }

    function _packed(uint256 validAfter, uint256 validUntil) private pure returns (uint256) {
        return uint256(bytes32(abi.encodePacked(uint48(validAfter), uint48(validUntil), address(0))));
    }

    function _associated(bytes32 slot, bytes32 permissionId) private view returns (bool) {
        bytes32 who = bytes32(uint256(uint160(address(account))));
        for (uint256 number = 0; number < 10; ++number) {
            if (slot == keccak256(abi.encode(who, number))) return true;
            if (slot == keccak256(abi.encode(who, keccak256(abi.encode(permissionId, number))))) return true;
        }
        return false;
    }

    function _notLive(bytes memory scope, SessionState state) private view returns (bytes memory) {
        return abi.encodeWithSelector(ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), state);
    }

    function _notAllowed(Fields memory f, uint256 index, Execution memory call) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            ISessionValidator.CallNotAllowed.selector,
            index,
            call.target,
            bytes4(call.callData),
            f.entries[0].target,
            f.entries[0].selector
        );
    }
}

/// @notice A game function that takes value.
contract Sink {
    function pay() external payable {}

    function payFor(uint256) external payable {}
}

contract ValidateUserOp07Test is ValidateUserOpTest {
    function entryPointVersion() internal pure override returns (uint256) {
        return 7;
    }

    function test_validateUserOp_success_startIsInclusive() public {
        grant(fields());
        submit(_submittedInTheClaimedSecond());
        assertEq(actions(), 1);
    }
}

contract ValidateUserOp08Test is ValidateUserOpTest {
    function test_validateUserOp_revert_startIsExclusive() public {
        grant(fields());
        PackedUserOperation memory op = _submittedInTheClaimedSecond();
        submitFailed(op, "AA22 expired or not due");
        vm.warp(NOW + 1);
        submit(op);
        assertEq(actions(), 1);
    }
}
