// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Harness} from "test/Harness.sol";
import {ValidateUserOpCalls} from "test/validator/ValidateUserOpCalls.sol";
import {ValidateUserOpEnvelope} from "test/validator/ValidateUserOpEnvelope.sol";
import {ValidateUserOpLimits} from "test/validator/ValidateUserOpLimits.sol";
import {ValidateUserOpLists} from "test/validator/ValidateUserOpLists.sol";
import {ValidateUserOpShape} from "test/validator/ValidateUserOpShape.sol";
import {ValidateUserOpWitnesses} from "test/validator/ValidateUserOpWitnesses.sol";

/// @notice Everything that validation admits and refuses, on both EntryPoints. Six files, one suite: what an operation
/// looks like, what stands in its signature, how much it may use, whom it may call, and how entries
/// of a long list are shown.
abstract contract ValidateUserOpSuites is
    ValidateUserOpShape,
    ValidateUserOpEnvelope,
    ValidateUserOpLimits,
    ValidateUserOpCalls,
    ValidateUserOpWitnesses
{
    function setUp() public override(Harness, ValidateUserOpLists) {
        ValidateUserOpLists.setUp();
    }
}

contract ValidateUserOp07Test is ValidateUserOpSuites {
    function entryPointVersion() internal pure override returns (uint256) {
        return 7;
    }

    function test_validateUserOp_success_startIsInclusive() public {
        grant(fields());
        submit(_submittedInTheClaimedSecond());
        assertEq(actions(), 1);
    }
}

contract ValidateUserOp08Test is ValidateUserOpSuites {
    function test_validateUserOp_revert_startIsExclusive() public {
        grant(fields());
        PackedUserOperation memory op = _submittedInTheClaimedSecond();
        submitFailed(op, "AA22 expired or not due");
        vm.warp(NOW + 1);
        submit(op);
        assertEq(actions(), 1);
    }
}
