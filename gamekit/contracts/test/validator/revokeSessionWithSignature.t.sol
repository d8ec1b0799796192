// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Harness} from "test/Harness.sol";

contract RevokeSessionWithSignatureTest is Harness {
    function test_revokeSessionWithSignature_success_byAnyone() public {
        bytes memory scope = grant(fields());
        bytes memory signature = _sign(scope, signerKey);
        vm.expectEmit(address(validator));
        emit ISessionValidator.SessionRevoked(address(account), permissionIdOf(scope));
        vm.prank(thief);
        validator.revokeSessionWithSignature(address(account), scope, signature);
        assertState(scope, SessionState.Revoked);
    }

    function test_revokeSessionWithSignature_revert_replayed() public {
        bytes memory scope = grant(fields());
        bytes memory signature = _sign(scope, signerKey);
        validator.revokeSessionWithSignature(address(account), scope, signature);
        _refuses(
            scope,
            signature,
            abi.encodeWithSelector(
                ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), SessionState.Revoked
            )
        );
    }

    function test_revokeSessionWithSignature_revert_anotherKey() public {
        bytes memory scope = grant(fields());
        _refuses(
            scope,
            _sign(scope, ownerKey),
            abi.encodeWithSelector(ISessionValidator.RevokeSignatureInvalid.selector, owner, signer)
        );
    }

    function test_revokeSessionWithSignature_revert_malformed() public {
        bytes memory scope = grant(fields());
        _refuses(
            scope,
            new bytes(65),
            abi.encodeWithSelector(ISessionValidator.RevokeSignatureInvalid.selector, address(0), signer)
        );
    }

    function test_revokeSessionWithSignature_revert_neverGranted() public {
        bytes memory scope = pack(fields());
        _refuses(
            scope,
            _sign(scope, signerKey),
            abi.encodeWithSelector(ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), SessionState.None)
        );
    }

    function _sign(bytes memory scope, uint256 key) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, validator.revokeDigest(address(account), permissionIdOf(scope)));
        return abi.encodePacked(r, s, v);
    }

    function _refuses(bytes memory scope, bytes memory signature, bytes memory reason) private {
        vm.expectRevert(reason);
        validator.revokeSessionWithSignature(address(account), scope, signature);
    }
}
