// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";
import {Fields} from "test/Harness.sol";
import {ValidateUserOpHarness} from "test/validator/ValidateUserOpHarness.sol";

/// @notice Gas, uses, rate and time.
/// @dev Through handleOps of a real EntryPoint, unless the EntryPoint itself would refuse before.
abstract contract ValidateUserOpLimits is ValidateUserOpHarness {
    // ------------------------------------------------------------------------------------------------------ gas in wei

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

    function test_validateUserOp_revert_gasBudgetBeyond64Bits() public {
        // Three operations of nearly 2^64 wei each, and a budget for two.
        Fields memory f = fields();
        (f.gasPerOperationWeiMax, f.gasBudgetWei) = (1 << 64, 1 << 65);
        bytes memory scope = grant(f);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        uint256 fee = (1 << 64) / (gasWei() / FEE);
        uint256 cost = gasWei() / FEE * fee;
        op.gasFees = bytes32(abi.encodePacked(uint128(fee), uint128(fee)));
        op = seal(op, hintsOf(f, attacks(1)), scope);
        bytes32 hash = entryPointHash(op);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(address(account));
            validator.validateUserOp(op, hash);
        }
        assertEq(sessionOf(scope).gasSpentWei, 2 * cost);
        assertGt(2 * cost, type(uint64).max);
        _refusedByModule(
            op, abi.encodeWithSelector(ISessionValidator.GasBudgetExceeded.selector, 3 * cost, uint256(1) << 65)
        );
    }

    // ------------------------------------------------------------------------------------------------------ uses, rate

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

    function test_validateUserOp_revert_rateExceededByOneMillisecond() public {
        Fields memory f = fields();
        (f.callsMax, f.burst, f.rateIntervalMs) = (1, 1, 1);
        grant(f);
        submit(sealedBatch(f, attacks(1)));
        submitRefused(sealedBatch(f, attacks(1)), abi.encodeWithSelector(ISessionValidator.RateExceeded.selector, 2, 1));
    }

    /// forge-config: default.fuzz.runs = 32
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

    // ------------------------------------------------------------------------------------------------------------ time

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
}
