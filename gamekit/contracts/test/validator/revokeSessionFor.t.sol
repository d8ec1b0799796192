// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Harness} from "test/Harness.sol";

contract RevokeSessionForTest is Harness {
    function test_revokeSessionFor_success_byRevoker() public {
        bytes memory scope = grant(fields());
        vm.expectEmit(address(validator));
        emit ISessionValidator.SessionRevoked(address(account), permissionIdOf(scope));
        vm.prank(revoker);
        validator.revokeSessionFor(address(account), scope);
        assertState(scope, SessionState.Revoked);
    }

    function test_revokeSessionFor_revert_revokerMismatch() public {
        bytes memory scope = grant(fields());
        _refuses(thief, scope, abi.encodeWithSelector(ISessionValidator.RevokerMismatch.selector, thief, revoker));
        _refuses(signer, scope, abi.encodeWithSelector(ISessionValidator.RevokerMismatch.selector, signer, revoker));
    }

    function test_revokeSessionFor_revert_scopeOfOnesOwn() public {
        // A scope that names the thief as revoker, but was never granted, proves nothing.
        bytes memory scope = grant(fields());
        bytes memory forged = bytes.concat(scope);
        for (uint256 i = 0; i < 20; ++i) {
            forged[32 + i] = bytes20(thief)[i];
        }
        _refuses(
            thief,
            forged,
            abi.encodeWithSelector(ISessionValidator.SessionNotLive.selector, permissionIdOf(forged), SessionState.None)
        );
    }

    function test_revokeSessionFor_revert_sessionNotLive() public {
        bytes memory scope = grant(fields());
        vm.prank(revoker);
        validator.revokeSessionFor(address(account), scope);
        _refuses(
            revoker,
            scope,
            abi.encodeWithSelector(
                ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), SessionState.Revoked
            )
        );
    }

    function test_revokeSessionFor_revert_epochStale() public {
        bytes memory scope = grant(fields());
        vm.prank(address(account));
        validator.revokeAllSessions();
        _refuses(revoker, scope, abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 1, 2));
    }

    function _refuses(address caller, bytes memory scope, bytes memory reason) private {
        vm.prank(caller);
        vm.expectRevert(reason);
        validator.revokeSessionFor(address(account), scope);
    }
}
