// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator, SessionAccount} from "src/ISessionValidator.sol";
import {Harness} from "test/Harness.sol";

contract OnInstallTest is Harness {
    function test_onInstall_success_withOwnerValidator() public {
        vm.expectEmit(address(validator));
        emit ISessionValidator.AllSessionsRevoked(thief, 1);
        vm.prank(thief);
        validator.onInstall(abi.encodePacked(ownerValidator));
        SessionAccount memory known = validator.accountOf(thief);
        assertTrue(known.installed);
        assertEq(known.epoch, 1);
        assertEq(known.ownerValidator, address(ownerValidator));
        assertTrue(validator.isInitialized(thief));
    }

    function test_onInstall_success_withoutOwnerValidator() public {
        vm.prank(thief);
        validator.onInstall("");
        assertEq(validator.accountOf(thief).ownerValidator, address(0));
    }

    function test_onInstall_success_againBumpsEpoch() public {
        vm.prank(address(account));
        validator.onInstall("");
        assertEq(validator.accountOf(address(account)).epoch, 2);
    }

    function test_onInstall_revert_installDataInvalid() public {
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.InstallDataInvalid.selector, 32, 20));
        validator.onInstall(abi.encode(ownerValidator));
    }

    function test_onInstall_revert_ownerValidatorInvalid() public {
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.OwnerValidatorInvalid.selector, address(validator)));
        validator.onInstall(abi.encodePacked(validator));
    }
}
