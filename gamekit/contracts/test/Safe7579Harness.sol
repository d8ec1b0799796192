// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISafeProxyFactory, Safe7579Factory} from "src/Safe7579Factory.sol";
import {Fields} from "test/Harness.sol";
import {StackHarness} from "test/StackHarness.sol";

/// @notice The world of the tests with a Safe 1.4.1 and Rhinestone's adapter Safe7579 1.0.0 from npm, on EntryPoint 0.7.
abstract contract Safe7579Harness is StackHarness {
    /// @notice The adapter's error, whatever it was that failed.
    error ExecutionFailed();

    Safe7579Factory internal safeFactory;

    function entryPointOfStack() internal pure virtual override returns (uint256) {
        return 7;
    }

    function makeAccount() internal virtual override returns (address) {
        moduleErrorsBecome = abi.encodeWithSelector(ExecutionFailed.selector);
        safeFactory = new Safe7579Factory(
            ISafeProxyFactory(deployOthers("SafeProxyFactory", "")),
            deployOthers("Safe", ""),
            // No registry of modules.
            deployOthers("Safe7579Launchpad", abi.encode(entryPoint, address(0))),
            deployOthers("Safe7579", ""),
            address(ownerValidator),
            address(validator)
        );
        return safeFactory.createAccount(owner, "player");
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
