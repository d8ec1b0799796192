// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Fields} from "test/Harness.sol";
import {StackHarness} from "test/StackHarness.sol";

/// @notice The full path, the same on every stack: deploy, install, grant, operations, revoke.
abstract contract StackSuite is StackHarness {
    function test_stack_success_ownerGrantsKeyPlaysRevokerEnds() public {
        Fields memory f = stackFields();
        bytes memory scope = grantByOwner(f);
        assertState(scope, SessionState.Live);
        submit(sealedBatch(f, attacks(3)));
        assertEq(actions(), 3);
        Execution[] memory calls = attacks(1);
        submit(seal(operation(f, singleData(SINGLE, calls[0])), hintsOf(f, calls), scope));
        assertEq(actions(), 4);
        vm.prank(revoker);
        validator.revokeSessionFor(address(account), scope);
        _refusedAsRevoked(f, scope);
    }

    function test_stack_success_accountGrantsAndRevokes() public {
        Fields memory f = stackFields();
        bytes memory scope = grantByAccount(f);
        submit(sealedBatch(f, attacks(2)));
        assertEq(actions(), 2);
        bytes memory revoke = abi.encodeCall(validator.revokeSession, (permissionIdOf(scope)));
        submit(ownerOperation(singleData(SINGLE, one(address(validator), 0, revoke)[0])));
        _refusedAsRevoked(f, scope);
    }

    function test_stack_success_tryBatchGoesOn() public {
        Fields memory f = stackFields();
        grantByOwner(f);
        submit(sealedBatch(f, two(attackData(0, 1), moveData())));
        assertEq(actions(), 1);
    }

    function test_stack_success_defaultBatchIsAllOrNothing() public {
        Fields memory f = stackFields();
        bytes memory scope = grantByOwner(f);
        Execution[] memory calls = two(moveData(), attackData(0, 1));
        submit(seal(operation(f, batchData(BATCH, calls)), hintsOf(f, calls), scope));
        assertEq(actions(), 0);
    }

    function test_stack_revert_goldTransfer() public {
        Fields memory f = stackFields();
        grantByOwner(f);
        submitRefusedByModule(
            sealedBatch(f, one(address(arena.gold()), 0, abi.encodeCall(IERC20.transfer, (thief, 1)))),
            abi.encodeWithSelector(
                ISessionValidator.CallNotAllowed.selector,
                0,
                address(arena.gold()),
                IERC20.transfer.selector,
                address(arena),
                f.entries[0].selector
            )
        );
    }

    function test_stack_revert_otherLane() public {
        Fields memory f = stackFields();
        bytes memory scope = grantByOwner(f);
        Fields memory g = stackFields();
        g.nonceKey = nonceKeyOfSession(8);
        submitRefusedByModule(
            seal(operation(g, batchData(BATCH, attacks(1))), hintsOf(f, attacks(1)), scope),
            abi.encodeWithSelector(ISessionValidator.NonceKeyMismatch.selector, g.nonceKey, f.nonceKey)
        );
    }

    function test_stack_revert_sessionKeyOnTheOwnersLane() public {
        Fields memory f = stackFields();
        grantByOwner(f);
        PackedUserOperation memory op = ownerOperation(batchData(BATCH, attacks(1)));
        submit(op);
        assertEq(actions(), 1, "the owner can");
        op = ownerOperation(batchData(BATCH, attacks(1)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, entryPoint.getUserOpHash(op));
        op.signature = abi.encodePacked(r, s, v);
        submitFailed(op, "AA24 signature error");
    }

    function _refusedAsRevoked(Fields memory f, bytes memory scope) private {
        submitRefusedByModule(
            sealedBatch(f, attacks(1)),
            abi.encodeWithSelector(
                ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), SessionState.Revoked
            )
        );
    }
}
