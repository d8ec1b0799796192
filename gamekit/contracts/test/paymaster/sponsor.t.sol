// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionPaymaster, Sponsorship} from "src/ISessionPaymaster.sol";
import {SessionPaymaster} from "src/SessionPaymaster.sol";
import {Fields} from "test/Harness.sol";
import {PaymasterHarness} from "test/paymaster/PaymasterHarness.sol";

contract SponsorTest is PaymasterHarness {
    uint48 private constant DEADLINE = uint48(NOW + 60);

    bytes private scope;
    bytes32 private id;

    function setUp() public override {
        super.setUp();
        scope = grant(sponsoredFields());
        id = permissionIdOf(scope);
    }

    function test_sponsor_success_byAnyone() public {
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        vm.expectEmit(address(paymaster));
        emit ISessionPaymaster.SessionSponsored(address(account), id, GAME, LIMIT);
        vm.prank(thief);
        paymaster.sponsor(address(account), id, GAME, LIMIT, DEADLINE, signature);
        Sponsorship memory known = paymaster.sponsorshipOf(address(account), id);
        assertEq(known.game, GAME);
        assertEq(known.generation, 1);
        assertEq(known.limitWei, LIMIT);
        assertEq(known.seenWei, 0);
    }

    function test_sponsor_success_atTheDeadline() public {
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        vm.warp(DEADLINE);
        paymaster.sponsor(address(account), id, GAME, LIMIT, DEADLINE, signature);
        assertEq(_limit(), LIMIT);
    }

    /// @dev A voucher that is taken again gives nothing again.
    function test_sponsor_success_replayChangesNothing() public {
        Fields memory f = sponsoredFields();
        bytes memory signature = _voucher(paymaster, id, GAME, uint96(2 * paidWei()), DEADLINE, sponsorKey);
        paymaster.sponsor(address(account), id, GAME, uint96(2 * paidWei()), DEADLINE, signature);
        submit(_paid(f));
        submit(_paid(f));
        paymaster.sponsor(address(account), id, GAME, uint96(2 * paidWei()), DEADLINE, signature);
        assertEq(_limit(), 2 * paidWei());
        assertEq(seenWei(f), 2 * paidWei());
        submitUnpaid(
            _paid(f),
            abi.encodeWithSelector(ISessionPaymaster.SessionLimitExceeded.selector, 3 * paidWei(), 2 * paidWei())
        );
    }

    function test_sponsor_success_theLargerLimitHolds() public {
        bytes memory larger = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        _vouch(id, GAME, LIMIT - 1, sponsorKey);
        assertEq(_limit(), LIMIT - 1);
        paymaster.sponsor(address(account), id, GAME, LIMIT, DEADLINE, larger);
        assertEq(_limit(), LIMIT);
        _vouch(id, GAME, LIMIT - 1, sponsorKey);
        assertEq(_limit(), LIMIT, "an older one does not narrow it");
    }

    /// @dev What the session was charged before is none of the game's.
    function test_sponsor_success_startsFromWhatWasCharged() public {
        Fields memory f = sponsoredFields();
        PackedUserOperation memory op = _paid(f);
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.prank(address(entryPoint));
        account.validateUserOp(op, hash, 0);
        _vouch(scope);
        assertEq(seenWei(f), paidWei());
        submitUnpaid(
            _ownerOperation(_sessionData(id, uint48(NOW - 1))),
            abi.encodeWithSelector(ISessionPaymaster.SessionNotCharged.selector, 0, paidWei())
        );
    }

    function test_sponsor_success_anotherGameAfterTheFirstEnded() public {
        _vouch(scope);
        vm.prank(operator);
        paymaster.setSponsor(GAME, address(0));
        _vouch(id, OTHER_GAME, 5, otherSponsorKey);
        assertEq(_limit(), 5);
        assertEq(paymaster.sponsorshipOf(address(account), id).game, OTHER_GAME);
    }

    function test_sponsor_revert_anotherGame() public {
        _vouch(scope);
        bytes memory signature = _voucher(paymaster, id, OTHER_GAME, LIMIT, DEADLINE, otherSponsorKey);
        _refuses(
            OTHER_GAME,
            LIMIT,
            signature,
            abi.encodeWithSelector(ISessionPaymaster.SessionOfAnotherGame.selector, OTHER_GAME, GAME)
        );
    }

    function test_sponsor_revert_expired() public {
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        vm.warp(DEADLINE + 1);
        _refuses(
            GAME,
            LIMIT,
            signature,
            abi.encodeWithSelector(ISessionPaymaster.VoucherExpired.selector, DEADLINE + 1, DEADLINE)
        );
    }

    function test_sponsor_revert_sessionCap() public {
        bytes memory signature = _voucher(paymaster, id, GAME, SESSION_MAX + 1, DEADLINE, sponsorKey);
        _refuses(
            GAME,
            SESSION_MAX + 1,
            signature,
            abi.encodeWithSelector(ISessionPaymaster.SessionCapExceeded.selector, SESSION_MAX + 1, SESSION_MAX)
        );
        _vouch(id, GAME, SESSION_MAX, sponsorKey);
        assertEq(_limit(), SESSION_MAX, "exactly at the cap");
    }

    function test_sponsor_revert_anotherKey() public {
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, otherSponsorKey);
        _refusesSignature(signature, otherSponsor);
    }

    function test_sponsor_revert_malformed() public {
        _refusesSignature("short", address(0));
        vm.prank(operator);
        paymaster.setSponsor(GAME, address(0));
        vm.expectRevert(
            abi.encodeWithSelector(ISessionPaymaster.VoucherSignatureInvalid.selector, address(0), address(0))
        );
        paymaster.sponsor(address(account), id, GAME, LIMIT, DEADLINE, "short");
    }

    function test_sponsor_revert_anotherChain() public {
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        vm.chainId(4242);
        _refusesPartially(signature);
    }

    function test_sponsor_revert_anotherPaymaster() public {
        SessionPaymaster other = _newPaymaster();
        vm.prank(operator);
        other.setSponsor(GAME, sponsorAddress);
        _refusesPartially(_voucher(other, id, GAME, LIMIT, DEADLINE, sponsorKey));
    }

    function test_sponsor_revert_earlierGeneration() public {
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        vm.prank(operator);
        paymaster.setSponsor(GAME, sponsorAddress);
        _refusesPartially(signature);
    }

    function test_sponsor_revert_anotherAccount() public {
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        account = _another("second");
        _refusesPartially(signature);
    }

    function test_sponsor_revert_sessionNotLive() public {
        bytes32 unknown = keccak256("never granted");
        bytes memory signature = _voucher(paymaster, unknown, GAME, LIMIT, DEADLINE, sponsorKey);
        vm.expectRevert(abi.encodeWithSelector(ISessionPaymaster.SessionNotLive.selector, unknown, 0, 0, 1));
        paymaster.sponsor(address(account), unknown, GAME, LIMIT, DEADLINE, signature);
        signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        vm.prank(address(account));
        validator.revokeSession(id);
        _refuses(GAME, LIMIT, signature, abi.encodeWithSelector(ISessionPaymaster.SessionNotLive.selector, id, 2, 1, 1));
    }

    /// @dev Beyond what the word can hold. No chain has so much ether; a module that says so is not believed.
    function test_sponsor_revert_chargedTooLarge() public {
        // Slot 0 holds the sessions: state 1 | epoch 4 | uses 4 | arrivalMs 6 | gasSpentWei 17.
        bytes32 slot = _sessionSlot();
        vm.store(address(validator), slot, bytes32(uint256(vm.load(address(validator), slot)) | 1 << 96));
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        _refuses(
            GAME,
            LIMIT,
            signature,
            abi.encodeWithSelector(ISessionPaymaster.ChargedTooLarge.selector, uint256(1) << 96, type(uint96).max)
        );
    }

    function test_voucherDigest_success() public view {
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey);
        assertEq(
            _signature(paymaster.voucherDigest(address(account), id, GAME, LIMIT, DEADLINE), sponsorKey), signature
        );
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _limit() private view returns (uint96) {
        return paymaster.sponsorshipOf(address(account), id).limitWei;
    }

    function _refuses(uint32 game, uint96 limitWei, bytes memory signature, bytes memory reason) private {
        vm.expectRevert(reason);
        paymaster.sponsor(address(account), id, game, limitWei, DEADLINE, signature);
    }

    function _refusesSignature(bytes memory signature, address recovered) private {
        _refuses(
            GAME,
            LIMIT,
            signature,
            abi.encodeWithSelector(ISessionPaymaster.VoucherSignatureInvalid.selector, recovered, sponsorAddress)
        );
    }

    /// @dev A signature over something else recovers to somebody.
    function _refusesPartially(bytes memory signature) private {
        vm.expectPartialRevert(ISessionPaymaster.VoucherSignatureInvalid.selector);
        paymaster.sponsor(address(account), id, GAME, LIMIT, DEADLINE, signature);
    }

    /// @dev Found, not computed: the one slot that reading the session reads and that is not empty.
    function _sessionSlot() private returns (bytes32) {
        vm.record();
        validator.sessionOf(address(account), id);
        (bytes32[] memory reads,) = vm.accesses(address(validator));
        for (uint256 i = 0; i < reads.length; ++i) {
            if (vm.load(address(validator), reads[i]) != 0) return reads[i];
        }
        revert("no slot");
    }
}
