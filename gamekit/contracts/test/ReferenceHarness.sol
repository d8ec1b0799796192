// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fields} from "test/Harness.sol";
import {StackHarness} from "test/StackHarness.sol";

/// @notice The world of the tests with the reference account; `entryPointOfStack` says for which EntryPoint.
abstract contract ReferenceHarness is StackHarness {
    function makeAccount() internal virtual override returns (address) {
        return address(account);
    }

    /// @dev validator 20 | lane 4
    function nonceKeyOfSession(uint256 lane) internal view virtual override returns (uint192) {
        return uint192(uint160(address(validator))) << 32 | uint32(lane);
    }

    function nonceKeyOfOwner() internal view virtual override returns (uint192) {
        return uint192(uint160(address(ownerValidator))) << 32;
    }

    function grantByOwner(Fields memory f) internal virtual override returns (bytes memory) {
        return grantBySignature(f);
    }

    function wrapped(bytes32 digest) internal pure virtual override returns (bytes32) {
        return digest;
    }
}
