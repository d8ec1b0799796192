// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionValidator} from "./ISessionValidator.sol";

/// @title The most that an operation can cost.
/// @notice Gas is an asset: a thief who bundles the operations himself earns what they pay.
library GasLib {
    /// @dev The EntryPoint refuses gas fields beyond this ("AA94").
    uint256 private constant FIELD_MAX = type(uint120).max;

    /// @notice (all gas limits) x maxFeePerGas, in wei: what the EntryPoint takes in advance, whoever pays.
    /// @dev paymasterAndData is known to be empty, or to hold the two limits behind the paymaster.
    function costWei(PackedUserOperation calldata op) internal pure returns (uint256) {
        uint256 verification = uint256(op.accountGasLimits) >> 128;
        uint256 call = uint128(uint256(op.accountGasLimits));
        uint256 feePerGas = uint128(uint256(op.gasFees));
        uint256 preVerification = op.preVerificationGas;
        uint256 paymasterVerification;
        uint256 paymasterPostOp;
        bytes calldata paymasterAndData = op.paymasterAndData;
        if (paymasterAndData.length != 0) {
            paymasterVerification = uint128(bytes16(paymasterAndData[20:36]));
            paymasterPostOp = uint128(bytes16(paymasterAndData[36:52]));
        }
        uint256 all = preVerification | verification | call | paymasterVerification | paymasterPostOp | feePerGas;
        if (all > FIELD_MAX) revert ISessionValidator.GasFieldTooLarge(all, FIELD_MAX);
        // Unchecked: five numbers of 120 bits have a sum of 123, and its product with one of 120 has 243.
        unchecked {
            return (preVerification + verification + call + paymasterVerification + paymasterPostOp) * feePerGas;
        }
    }
}
