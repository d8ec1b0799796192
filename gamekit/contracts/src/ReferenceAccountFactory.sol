// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ReferenceAccount} from "./ReferenceAccount.sol";

/// @title Deploys reference accounts at addresses that follow from owner and salt.
/// @notice Whoever deploys an account, it is the same account: owner and modules are part of its code, so of its address.
contract ReferenceAccountFactory {
    /// @notice What the accounts are clones of: `ReferenceAccount07` or `ReferenceAccount08`.
    address public immutable IMPLEMENTATION;
    /// @notice The validator that speaks for the owner.
    address public immutable OWNER_VALIDATOR;
    /// @notice The validator of sessions.
    address public immutable SESSION_VALIDATOR;

    /// @notice An account came into being.
    event AccountCreated(address indexed account, address indexed owner, bytes32 salt);

    constructor(address implementation, address ownerValidator, address sessionValidator) {
        IMPLEMENTATION = implementation;
        OWNER_VALIDATOR = ownerValidator;
        SESSION_VALIDATOR = sessionValidator;
    }

    /// @notice Deploys the account of `owner` and `salt`, or does nothing if it is there.
    function createAccount(address owner, bytes32 salt) external returns (address account) {
        account = accountAddress(owner, salt);
        if (account.code.length != 0) return account;
        Clones.cloneDeterministicWithImmutableArgs(IMPLEMENTATION, _arguments(owner), salt);
        ReferenceAccount(payable(account)).initialize();
        emit AccountCreated(account, owner, salt);
    }

    /// @notice Where the account of `owner` and `salt` is, or will be.
    function accountAddress(address owner, bytes32 salt) public view returns (address) {
        return Clones.predictDeterministicAddressWithImmutableArgs(IMPLEMENTATION, _arguments(owner), salt);
    }

    function _arguments(address owner) private view returns (bytes memory) {
        return abi.encode(owner, OWNER_VALIDATOR, SESSION_VALIDATOR);
    }
}
