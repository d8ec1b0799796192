// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Fields, Harness} from "test/Harness.sol";

contract RevokeAllSessionsForTest is Harness {
    function test_revokeAllSessionsFor_success_byRevoker() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        vm.expectEmit(address(validator));
        emit ISessionValidator.AllSessionsRevoked(address(account), 2);
        vm.prank(revoker);
        validator.revokeAllSessionsFor(address(account), scope);
        submitRefused(sealedBatch(f, attacks(1)), abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 1, 2));
    }

    function test_revokeAllSessionsFor_revert_revokerMismatch() public {
        bytes memory scope = grant(fields());
        vm.prank(thief);
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.RevokerMismatch.selector, thief, revoker));
        validator.revokeAllSessionsFor(address(account), scope);
    }

    function test_revokeAllSessionsFor_revert_sessionNotLive() public {
        bytes memory scope = pack(fields());
        vm.prank(revoker);
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), SessionState.None)
        );
        validator.revokeAllSessionsFor(address(account), scope);
    }

    function test_revokeAllSessionsFor_revert_epochStale() public {
        // A dead session's revoker has no say any more.
        bytes memory scope = grant(fields());
        vm.prank(revoker);
        validator.revokeAllSessionsFor(address(account), scope);
        vm.prank(revoker);
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 1, 2));
        validator.revokeAllSessionsFor(address(account), scope);
    }
}
