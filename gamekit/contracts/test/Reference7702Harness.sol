// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReferenceAccount7702} from "src/ReferenceAccount7702.sol";
import {Fields} from "test/Harness.sol";
import {StackHarness} from "test/StackHarness.sol";

/// @notice The world of the tests with the reference account at the owner's own address (EIP-7702), on EntryPoint 0.8.
abstract contract Reference7702Harness is StackHarness {
    ReferenceAccount7702 internal delegate;

    function entryPointOfStack() internal pure virtual override returns (uint256) {
        return 8;
    }

    function makeAccount() internal virtual override returns (address) {
        delegate = new ReferenceAccount7702(address(validator));
        vm.signAndAttachDelegation(address(delegate), ownerKey);
        ReferenceAccount7702(payable(owner)).initialize();
        return owner;
    }

    /// @dev validator 20 | lane 4
    function nonceKeyOfSession(uint256 lane) internal view virtual override returns (uint192) {
        return uint192(uint160(address(validator))) << 32 | uint32(lane);
    }

    /// @dev No validator: the account's own key.
    function nonceKeyOfOwner() internal pure virtual override returns (uint192) {
        return 0;
    }

    function grantByOwner(Fields memory f) internal virtual override returns (bytes memory) {
        return grantBySignature(f);
    }

    function wrapped(bytes32 digest) internal pure virtual override returns (bytes32) {
        return digest;
    }
}
