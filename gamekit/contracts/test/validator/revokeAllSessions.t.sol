// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator} from "src/ISessionValidator.sol";
import {Fields, Harness} from "test/Harness.sol";

contract RevokeAllSessionsTest is Harness {
    function test_revokeAllSessions_success_emitsEvent() public {
        vm.expectEmit(address(validator));
        emit ISessionValidator.AllSessionsRevoked(address(account), 2);
        vm.prank(address(account));
        validator.revokeAllSessions();
        assertEq(validator.accountOf(address(account)).epoch, 2);
        assertEq(validator.accountOf(address(account)).ownerValidator, address(ownerValidator));
        assertTrue(validator.isInitialized(address(account)));
    }

    function test_revokeAllSessions_success_endsAllAndAdmitsNew() public {
        Fields memory f = fields();
        grant(f);
        Fields memory g = fields();
        g.nonceKey += 1;
        grant(g);
        vm.prank(address(account));
        validator.revokeAllSessions();
        bytes memory stale = abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 1, 2);
        submitRefused(sealedBatch(f, attacks(1)), stale);
        submitRefused(sealedBatch(g, attacks(1)), stale);
        f.usesMax += 1;
        grant(f);
        submit(sealedBatch(f, attacks(1)));
        assertEq(actions(), 1);
    }

    function test_revokeAllSessions_success_leavesOtherAccountsAlone() public {
        address other = factory.createAccount(thief, "other");
        Fields memory f = fields();
        grant(f);
        vm.prank(other);
        validator.revokeAllSessions();
        submit(sealedBatch(f, attacks(1)));
        assertEq(actions(), 1);
    }

    function test_revokeAllSessions_revert_moduleNotInstalled() public {
        vm.prank(thief);
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.ModuleNotInstalled.selector, thief));
        validator.revokeAllSessions();
    }
}
