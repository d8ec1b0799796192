// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";

/// @title A game whose one action takes value, to measure what a session's value caps cost.
contract PayableGame {
    /// @notice How often an account has entered.
    mapping(address player => uint256) public entriesOf;

    /// @notice Enters, for any price.
    function enterTournament(uint256) external payable {
        ++entriesOf[msg.sender];
    }
}

/// @title A paymaster that pays for everybody, to measure what pinning a paymaster costs. Never for a real chain.
contract WillingPaymaster {
    /// @notice Agrees.
    function validatePaymasterUserOp(PackedUserOperation calldata, bytes32, uint256)
        external
        pure
        returns (bytes memory context, uint256 validationData)
    {
        return ("", 0);
    }
}
