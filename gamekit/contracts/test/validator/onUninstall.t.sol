// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator, SessionAccount} from "src/ISessionValidator.sol";
import {Harness} from "test/Harness.sol";

contract OnUninstallTest is Harness {
    function test_onUninstall_success_forgets() public {
        vm.expectEmit(address(validator));
        emit ISessionValidator.AllSessionsRevoked(address(account), 2);
        vm.prank(address(account));
        account.uninstallModule(1, address(validator), "");
        SessionAccount memory known = validator.accountOf(address(account));
        assertFalse(known.installed);
        assertEq(known.epoch, 2);
        assertEq(known.ownerValidator, address(0));
        assertFalse(validator.isInitialized(address(account)));
    }

    function test_onUninstall_success_forgetsTheLead() public {
        vm.startPrank(thief);
        validator.onInstall(abi.encodePacked(bytes1(0xff), ownerValidator));
        assertEq(validator.accountOf(thief).lead, 0xff);
        validator.onUninstall("");
        SessionAccount memory known = validator.accountOf(thief);
        assertFalse(known.installed);
        assertFalse(known.hasLead);
        assertEq(known.lead, 0);
        assertEq(known.ownerValidator, address(0));
        assertEq(known.epoch, 2);
    }

    function test_onUninstall_success_withAnyData() public {
        vm.prank(address(account));
        account.uninstallModule(1, address(validator), "whatever");
        assertFalse(validator.isInitialized(address(account)));
    }

    function test_onUninstall_revert_grantAfterwards() public {
        vm.prank(address(account));
        account.uninstallModule(1, address(validator), "");
        bytes memory scope = pack(fields());
        vm.prank(address(account));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.ModuleNotInstalled.selector, address(account)));
        validator.grantSession(scope, none);
    }
}
