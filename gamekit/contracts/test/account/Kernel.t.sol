// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC7579Execution, IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";
import {Fields} from "test/Harness.sol";
import {IKernel, KernelHarness} from "test/KernelHarness.sol";

/// @notice Kernel's own errors, as far as they are met here.
interface IKernelUnderTest {
    error InvalidCaller();
}

contract KernelTest is KernelHarness {
    function test_initialize_success_rootAndSessionValidator() public view {
        assertTrue(account.isModuleInstalled(1, address(validator), ""));
        assertTrue(account.isModuleInstalled(1, address(ownerValidator), ""));
        assertEq(ownerValidator.ownerOf(address(account)), owner);
        assertEq(validator.accountOf(address(account)).epoch, 1);
    }

    function test_initialize_revert_again() public {
        vm.prank(thief);
        vm.expectRevert("already initialized");
        IKernel(address(account))
            .initialize(validationId(address(ownerValidator)), NO_HOOK, abi.encodePacked(thief), "", new bytes[](0));
    }

    function test_installModule_revert_byAnybodyElse() public {
        vm.prank(thief);
        vm.expectRevert(IKernelUnderTest.InvalidCaller.selector);
        account.installModule(1, thief, abi.encodePacked(NO_HOOK, abi.encode("", "", "")));
    }

    function test_installModule_success_executeAndNothingElse() public view {
        IKernel kernel = IKernel(address(account));
        bytes21 id = validationId(address(validator));
        assertTrue(kernel.isAllowedSelector(id, IERC7579Execution.execute.selector));
        assertFalse(kernel.isAllowedSelector(id, IERC7579ModuleConfig.installModule.selector));
        assertFalse(kernel.isAllowedSelector(id, IERC7579Execution.executeFromExecutor.selector));
    }

    function test_validateUserOp_revert_anotherModeOrKindOfValidation() public {
        // Mode and validation type are part of the nonce key, and all of that is the scope's.
        Fields memory f = stackFields();
        bytes memory scope = grantByOwner(f);
        uint192[4] memory heads = [uint192(0x0000), 0x0002, 0x0101, 0x0201];
        for (uint256 i = 0; i < heads.length; ++i) {
            Fields memory g = stackFields();
            g.nonceKey = uint176(f.nonceKey) | heads[i] << 176;
            PackedUserOperation memory op =
                seal(operation(g, batchData(BATCH, attacks(1))), hintsOf(f, attacks(1)), scope);
            vm.expectRevert();
            submit(op);
        }
        submit(sealedBatch(f, attacks(1)));
        assertEq(actions(), 1, "the same with the scope's own");
    }

    function test_validateUserOp_revert_installModuleByTheSession() public {
        Fields memory f = stackFields();
        bytes memory scope = grantByOwner(f);
        bytes memory data = abi.encodeCall(IERC7579ModuleConfig.installModule, (1, thief, ""));
        PackedUserOperation memory op = seal(operation(f, data), hex"00", scope);
        bytes32 userOpHash = entryPoint.getUserOpHash(op);
        vm.prank(address(account));
        vm.expectRevert(
            abi.encodeWithSelector(
                ISessionValidator.SelectorNotExecute.selector,
                IERC7579ModuleConfig.installModule.selector,
                IERC7579Execution.execute.selector
            )
        );
        validator.validateUserOp(op, userOpHash);
        vm.expectRevert();
        submit(op);
    }
}
