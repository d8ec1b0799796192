// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC7579Execution, IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {Fields} from "test/Harness.sol";
import {StackHarness} from "test/StackHarness.sol";

/// @notice Kernel's own interface, as far as it is needed here.
interface IKernel {
    function initialize(
        bytes21 rootValidator,
        address hook,
        bytes calldata validatorData,
        bytes calldata hookData,
        bytes[] calldata initConfig
    ) external;

    function isAllowedSelector(bytes21 validationId, bytes4 selector) external view returns (bool);
}

/// @notice Makes Kernel accounts.
interface IKernelFactory {
    function createAccount(bytes calldata data, bytes32 salt) external payable returns (address);
}

/// @notice The world of the tests with ZeroDev's Kernel 3.1 from npm, on EntryPoint 0.7.
/// @dev npm's build, 28,581 bytes; the live one has 22,784. Forge's tests run without a cap on the size of code.
abstract contract KernelHarness is StackHarness {
    /// @dev How Kernel writes "no hook".
    address internal constant NO_HOOK = address(1);

    function entryPointOfStack() internal pure virtual override returns (uint256) {
        return 7;
    }

    function makeAccount() internal virtual override returns (address) {
        address implementation = deployOthers("Kernel", abi.encode(entryPoint));
        address kernelFactory = deployOthers("KernelFactory", abi.encode(implementation));
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(IERC7579ModuleConfig.installModule, (1, address(validator), installData()));
        bytes memory init = abi.encodeCall(
            IKernel.initialize, (validationId(address(ownerValidator)), NO_HOOK, abi.encodePacked(owner), "", calls)
        );
        return IKernelFactory(kernelFactory).createAccount(init, "player");
    }

    /// @dev hook 20 | abi.encode(install data, hook data, selectors that the module may start)
    function installData() internal view returns (bytes memory) {
        bytes memory module = abi.encode(
            // The lead byte is how Kernel wants the owner validator named in ERC-1271 signatures: as a validator.
            abi.encodePacked(uint8(1), ownerValidator),
            bytes(""),
            abi.encodePacked(IERC7579Execution.execute.selector)
        );
        return abi.encodePacked(NO_HOOK, module);
    }

    /// @dev validation type 1 | validator 20
    function validationId(address module) internal pure returns (bytes21) {
        return bytes21(abi.encodePacked(uint8(1), module));
    }

    /// @dev mode 1 (0: default) | validation type 1 (1: validator) | validator 20 | lane 2
    function nonceKeyOfSession(uint256 lane) internal view virtual override returns (uint192) {
        return uint192(1) << 176 | uint192(uint160(address(validator))) << 16 | uint16(lane);
    }

    /// @dev Validation type 0: the root validator.
    function nonceKeyOfOwner() internal pure virtual override returns (uint192) {
        return 0;
    }

    function grantByOwner(Fields memory f) internal virtual override returns (bytes memory) {
        return grantBySignature(f);
    }

    /// @dev Kernel's own typed data, `Kernel(bytes32 hash)`: a wallet shows no more than a hash.
    function wrapped(bytes32 digest) internal view virtual override returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Kernel"),
                keccak256("0.3.1"),
                block.chainid,
                address(account)
            )
        );
        bytes32 body = keccak256(abi.encode(keccak256("Kernel(bytes32 hash)"), digest));
        return keccak256(abi.encodePacked(hex"1901", domain, body));
    }
}
