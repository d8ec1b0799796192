// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {ISessionValidator, Session, SessionState} from "src/ISessionValidator.sol";
import {Harness} from "test/Harness.sol";

contract RevokeSessionTest is Harness {
    function test_revokeSession_success_emitsEvent() public {
        bytes32 permissionId = permissionIdOf(grant(fields()));
        vm.expectEmit(address(validator));
        emit ISessionValidator.SessionRevoked(address(account), permissionId);
        vm.prank(address(account));
        validator.revokeSession(permissionId);
    }

    function test_revokeSession_success_keepsTheRest() public {
        bytes memory scope = grant(fields());
        submit(sealedBatch(fields(), attacks(2)));
        Session memory before = sessionOf(scope);
        vm.prank(address(account));
        validator.revokeSession(permissionIdOf(scope));
        Session memory session = sessionOf(scope);
        assertEq(uint256(session.state), uint256(SessionState.Revoked));
        assertEq(session.uses, before.uses);
        assertEq(session.epoch, before.epoch);
        assertEq(session.gasSpentWei, before.gasSpentWei);
    }

    function test_revokeSession_success_ofAnUnsubmittedGrant() public {
        bytes memory scope = pack(fields());
        vm.prank(address(account));
        validator.revokeSession(permissionIdOf(scope));
        assertState(scope, SessionState.Revoked);
    }

    function test_revokeSession_success_twiceIsOnce() public {
        bytes32 permissionId = permissionIdOf(grant(fields()));
        vm.startPrank(address(account));
        validator.revokeSession(permissionId);
        vm.recordLogs();
        validator.revokeSession(permissionId);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 0);
    }

    function test_revokeSession_success_bySomebodyElseChangesNothing() public {
        bytes memory scope = grant(fields());
        vm.prank(thief);
        validator.revokeSession(permissionIdOf(scope));
        assertState(scope, SessionState.Live);
    }

    function test_revokeSession_success_leavesOthersAlone() public {
        bytes memory scope = grant(fields());
        bytes memory other = pack(fields());
        other[31] = bytes1(uint8(other[31]) ^ 1);
        vm.startPrank(address(account));
        validator.grantSession(other, none);
        validator.revokeSession(permissionIdOf(scope));
        assertState(other, SessionState.Live);
    }
}
