// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Fields} from "test/Harness.sol";
import {NexusHarness} from "test/NexusHarness.sol";

/// @notice The full path on Nexus: deploy, install, grant through its ERC-1271, operations, revoke.
contract NexusTest is NexusHarness {
    function test_nexus_success_grantPlayRevoke() public {
        Fields memory f = nexusFields();
        bytes memory scope = grantByOwner(f);
        submit(sealedBatch(f, attacks(3)));
        assertEq(actions(), 3);
        Execution[] memory calls = attacks(1);
        submit(seal(operation(f, singleData(SINGLE, calls[0])), hintsOf(f, calls), scope));
        assertEq(actions(), 4);
        vm.prank(revoker);
        validator.revokeSessionFor(address(account), scope);
        submitRefused(
            sealedBatch(f, attacks(1)),
            abi.encodeWithSelector(
                ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), SessionState.Revoked
            )
        );
    }

    function test_nexus_success_tryBatchGoesOn() public {
        Fields memory f = nexusFields();
        grantByOwner(f);
        submit(sealedBatch(f, two(attackData(0, 1), moveData())));
        assertEq(actions(), 1);
    }

    function test_nexus_revert_goldTransfer() public {
        Fields memory f = nexusFields();
        grantByOwner(f);
        submitRefused(
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

    function test_nexus_revert_moduleEnableMode() public {
        // The mode byte of the nonce key is fixed by the scope, like all of it.
        Fields memory f = nexusFields();
        bytes memory scope = grantByOwner(f);
        Fields memory g = nexusFields();
        g.nonceKey |= uint192(1) << 160;
        PackedUserOperation memory op = seal(operation(g, batchData(BATCH, attacks(1))), hintsOf(f, attacks(1)), scope);
        vm.expectRevert();
        submit(op);
    }
}
