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

    function test_onInstall_success_withLead() public {
        vm.prank(thief);
        validator.onInstall(abi.encodePacked(bytes1(0x01), ownerValidator));
        _known(true, 0x01, address(ownerValidator));
    }

    function test_onInstall_success_leadOfZeroIsALead() public {
        vm.prank(thief);
        validator.onInstall(abi.encodePacked(bytes1(0), ownerValidator));
        _known(true, 0, address(ownerValidator));
    }

    function testFuzz_onInstall_success_withAnyLead(bytes1 lead, address named) public {
        vm.assume(named != address(validator));
        vm.prank(thief);
        validator.onInstall(abi.encodePacked(lead, named));
        _known(true, uint8(lead), named);
    }

    function test_onInstall_success_againForgetsTheLead() public {
        vm.startPrank(thief);
        validator.onInstall(abi.encodePacked(bytes1(0xff), ownerValidator));
        validator.onInstall(abi.encodePacked(ownerValidator));
        _known(false, 0, address(ownerValidator));
        validator.onInstall(abi.encodePacked(bytes1(0xff), ownerValidator));
        validator.onInstall("");
        _known(false, 0, address(0));
    }

    function test_onInstall_success_revokeAllKeepsTheLead() public {
        vm.startPrank(thief);
        validator.onInstall(abi.encodePacked(bytes1(0xff), ownerValidator));
        validator.revokeAllSessions();
        _known(true, 0xff, address(ownerValidator));
        assertEq(validator.accountOf(thief).epoch, 2);
    }

    function test_onInstall_revert_installDataInvalid() public {
        uint256[5] memory lengths = [uint256(1), 19, 22, 32, 40];
        for (uint256 i = 0; i < lengths.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISessionValidator.InstallDataInvalid.selector, lengths[i], 20));
            validator.onInstall(new bytes(lengths[i]));
        }
    }

    function test_onInstall_revert_ownerValidatorInvalidBehindLead() public {
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.OwnerValidatorInvalid.selector, address(validator)));
        validator.onInstall(abi.encodePacked(bytes1(0x01), validator));
    }

    function test_onInstall_revert_ownerValidatorInvalid() public {
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.OwnerValidatorInvalid.selector, address(validator)));
        validator.onInstall(abi.encodePacked(validator));
    }

    function _known(bool hasLead, uint8 lead, address named) private view {
        SessionAccount memory known = validator.accountOf(thief);
        assertTrue(known.installed);
        assertEq(known.hasLead, hasLead);
        assertEq(known.lead, lead);
        assertEq(known.ownerValidator, named);
    }
}
