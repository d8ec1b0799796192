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
    /// @dev paymasterAndData, which the caller has at hand, is known to be empty, or to hold the two limits behind the paymaster.
    function costWei(PackedUserOperation calldata op, bytes calldata paymasterAndData) internal pure returns (uint256) {
        // Unchecked: of numbers that pass the check, five of 120 bits have a sum of 123, and its product with one of 120
        // has 243 bits; what wraps around does not pass.
        unchecked {
            uint256 limits = uint256(op.accountGasLimits);
            uint256 feePerGas = uint128(uint256(op.gasFees));
            uint256 gas = op.preVerificationGas;
            uint256 all = gas | limits >> 128 | uint128(limits) | feePerGas;
            gas += (limits >> 128) + uint128(limits);
            if (paymasterAndData.length != 0) {
                limits = uint256(bytes32(paymasterAndData[20:52]));
                all |= limits >> 128 | uint128(limits);
                gas += (limits >> 128) + uint128(limits);
            }
            if (all > FIELD_MAX) revert ISessionValidator.GasFieldTooLarge(all, FIELD_MAX);
            return gas * feePerGas;
        }
    }
}
