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

    function test_revokeAllSessions_success_epochBeyond16Bits() public {
        // The account's word after 2^16 - 1 installs and revocations.
        uint256 mask = uint256(type(uint32).max) << 216;
        bytes32 slot = _accountSlot();
        vm.store(address(validator), slot, bytes32(uint256(vm.load(address(validator), slot)) & ~mask | 1 << 232));
        assertEq(validator.accountOf(address(account)).epoch, 65_536);
        Fields memory f = fields();
        assertEq(sessionOf(grant(f)).epoch, 65_536);
        submit(sealedBatch(f, attacks(1)));
        vm.prank(address(account));
        validator.revokeAllSessions();
        submitRefused(
            sealedBatch(f, attacks(1)), abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 65_536, 65_537)
        );
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

    /// @dev The slot of the account's word: the only one of the first mappings that is not empty.
    function _accountSlot() private view returns (bytes32 slot) {
        for (uint256 number = 0; number < 10; ++number) {
            slot = keccak256(abi.encode(address(account), number));
            if (vm.load(address(validator), slot) != 0) return slot;
        }
        revert("no word of the account");
    }
}
