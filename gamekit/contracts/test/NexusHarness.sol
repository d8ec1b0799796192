// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fields} from "test/Harness.sol";
import {StackHarness} from "test/StackHarness.sol";

/// @notice What Nexus' bootstrap takes for each module.
struct BootstrapConfig {
    address module;
    bytes data;
}

/// @notice Nexus' own interface, as far as it is needed here.
interface INexusBootstrap {
    function initNexusScoped(
        BootstrapConfig[] calldata validators,
        BootstrapConfig calldata hook,
        address registry,
        address[] calldata attesters,
        uint8 threshold
    ) external;
}

/// @notice Makes Nexus accounts.
interface INexusFactory {
    function createAccount(bytes calldata initData, bytes32 salt) external payable returns (address payable);
}

/// @notice The world of the tests with somebody else's account: Biconomy's Nexus 1.0.0 from npm, on EntryPoint 0.7.
abstract contract NexusHarness is StackHarness {
    function entryPointOfStack() internal pure virtual override returns (uint256) {
        return 7;
    }

    function makeAccount() internal virtual override returns (address) {
        address implementation = deployOthers("Nexus", abi.encode(entryPoint));
        address nexusFactory = deployOthers("NexusAccountFactory", abi.encode(implementation, address(this)));
        address bootstrap = deployOthers("NexusBootstrap", "");
        BootstrapConfig[] memory validators = new BootstrapConfig[](2);
        validators[0] = BootstrapConfig(address(ownerValidator), abi.encodePacked(owner));
        validators[1] = BootstrapConfig(address(validator), abi.encodePacked(ownerValidator));
        bytes memory init = abi.encodeCall(
            INexusBootstrap.initNexusScoped,
            (validators, BootstrapConfig(address(0), ""), address(0), new address[](0), 0)
        );
        return INexusFactory(nexusFactory).createAccount(abi.encode(bootstrap, init), bytes32(uint256(1)));
    }

    /// @dev lane 3 | mode 1 (0: validate) | validator 20
    function nonceKeyOfSession(uint256 lane) internal view virtual override returns (uint192) {
        return uint192(lane) << 168 | uint160(address(validator));
    }

    function nonceKeyOfOwner() internal view virtual override returns (uint192) {
        return uint160(address(ownerValidator));
    }

    function nexusFields() internal view returns (Fields memory) {
        return stackFields();
    }

    function grantByOwner(Fields memory f) internal virtual override returns (bytes memory) {
        return grantBySignature(f);
    }

    function wrapped(bytes32 digest) internal pure virtual override returns (bytes32) {
        return digest;
    }
}
