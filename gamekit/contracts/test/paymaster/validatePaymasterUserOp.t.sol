// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ValidateSession} from "test/paymaster/ValidateSession.sol";
import {ValidateSigned} from "test/paymaster/ValidateSigned.sol";

/// @notice Everything that the paymaster pays for and refuses, in both modes, on both EntryPoints.
abstract contract ValidatePaymasterUserOpSuites is ValidateSession, ValidateSigned {}

contract ValidatePaymasterUserOp07Test is ValidatePaymasterUserOpSuites {
    function entryPointVersion() internal pure override returns (uint256) {
        return 7;
    }
}

contract ValidatePaymasterUserOp08Test is ValidatePaymasterUserOpSuites {}
