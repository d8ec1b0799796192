// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionPaymaster} from "src/ISessionPaymaster.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";
import {SessionPaymaster} from "src/SessionPaymaster.sol";
import {Fields} from "test/Harness.sol";
import {PaymasterHarness} from "test/paymaster/PaymasterHarness.sol";

/// @notice Mode 1 of validatePaymasterUserOp, through handleOps: sessions with a voucher, and whoever would like to be one.
/// @dev Each refusal has a twin on the same path that is paid for, and differs in that one thing.
abstract contract ValidateSession is PaymasterHarness {
    // ------------------------------------------------------------------------------------------------ it pays

    function test_validatePaymasterUserOp_success_accountHoldsNothing() public {
        Fields memory f = sponsored();
        uint256 before = entryPoint.balanceOf(address(paymaster));
        submit(_paid(f));
        assertEq(actions(), 1);
        assertEq(entryPoint.balanceOf(address(account)), 0);
        assertEq(address(account).balance, 0);
        uint256 paid = before - entryPoint.balanceOf(address(paymaster));
        assertGt(paid, 0);
        assertLe(paid, paidWei(), "never more than the maximum that was counted");
        assertEq(bundler.balance, paid, "and all of it to the bundler");
    }

    function test_validatePaymasterUserOp_success_countsTheMaximum() public {
        Fields memory f = sponsored();
        submit(_paid(f));
        assertEq(sessionOf(pack(f)).gasSpentWei, paidWei(), "the module charged the paymaster's limits too");
        assertEq(seenWei(f), paidWei());
        assertEq(paymaster.gameOf(GAME).spentWei, paidWei());
        assertEq(paymaster.gameOf(GAME).day, NOW / 1 days);
        assertEq(paymaster.playerOf(GAME, address(account)).spentWei, paidWei());
        assertEq(paymaster.playerOf(GAME, address(account)).day, NOW / 1 days);
        submit(_paid(f));
        assertEq(seenWei(f), 2 * paidWei());
        assertEq(paymaster.gameOf(GAME).spentWei, 2 * paidWei());
    }

    function test_validatePaymasterUserOp_success_tenInOneBundle() public {
        Fields memory f = sponsored();
        PackedUserOperation[] memory ops = new PackedUserOperation[](10);
        for (uint256 i = 0; i < 10; ++i) {
            ops[i] = _unsealed(f);
            ops[i].nonce += i;
            ops[i] = _seal(f, ops[i]);
        }
        submitAll(ops);
        assertEq(actions(), 10);
        assertEq(seenWei(f), 10 * paidWei());
        assertEq(paymaster.gameOf(GAME).spentWei, 10 * paidWei());
        assertEq(paymaster.playerOf(GAME, address(account)).spentWei, 10 * paidWei());
    }

    function test_validatePaymasterUserOp_success_revertInExecutionIsCharged() public {
        Fields memory f = sponsored();
        PackedUserOperation memory op = operation(f, batchData(BATCH, one(attackData(0, 5))));
        op.paymasterAndData = _sessionData(permissionIdOf(pack(f)), uint48(block.timestamp - 1));
        uint256 before = entryPoint.balanceOf(address(paymaster));
        submit(seal(op, hintsOf(f, attacks(1)), pack(f)));
        assertEq(actions(), 0, "the game refused the target");
        assertEq(seenWei(f), paidWei());
        assertLt(entryPoint.balanceOf(address(paymaster)), before);
    }

    // -------------------------------------------------------------------------------------- who does not count

    function test_validatePaymasterUserOp_revert_noVoucher() public {
        Fields memory f = sponsoredFields();
        bytes memory scope = grant(f);
        bytes32 id = permissionIdOf(scope);
        submitUnpaid(_paid(f), abi.encodeWithSelector(ISessionPaymaster.SessionNotSponsored.selector, id, 0, 0));
        _vouch(scope);
        submit(_paid(f));
        assertEq(actions(), 1);
    }

    /// @dev The same account, the owner's validator: what the session could do is not charged to it.
    function test_validatePaymasterUserOp_revert_anotherValidator() public {
        Fields memory f = sponsored();
        bytes memory data = _sessionData(permissionIdOf(pack(f)), uint48(block.timestamp - 1));
        submitUnpaid(
            _ownerOperation(data), abi.encodeWithSelector(ISessionPaymaster.SessionNotCharged.selector, 0, paidWei())
        );
        submit(_paid(f));
        // Nor afterwards: what was charged has been counted.
        submitUnpaid(
            _ownerOperation(data), abi.encodeWithSelector(ISessionPaymaster.SessionNotCharged.selector, 0, paidWei())
        );
        assertEq(actions(), 1);
    }

    /// @dev The envelope of a real session in the signature of an operation that the account admits without the module.
    function test_validatePaymasterUserOp_revert_fakeEnvelope() public {
        Fields memory f = sponsored();
        Gullible gullible = new Gullible();
        vm.etch(address(account), address(gullible).code);
        PackedUserOperation memory op = _paid(f);
        submitUnpaid(op, abi.encodeWithSelector(ISessionPaymaster.SessionNotCharged.selector, 0, paidWei()));
        op.signature = "anything";
        submitUnpaid(op, abi.encodeWithSelector(ISessionPaymaster.SessionNotCharged.selector, 0, paidWei()));
    }

    /// @dev Its own session is charged, and another one's voucher named.
    function test_validatePaymasterUserOp_revert_anotherSessionsVoucher() public {
        Fields memory f = sponsored();
        Fields memory other = otherFields();
        grant(other);
        PackedUserOperation memory op = _unsealed(other);
        op.paymasterAndData = _sessionData(permissionIdOf(pack(f)), uint48(block.timestamp - 1));
        submitUnpaid(
            _seal(other, op), abi.encodeWithSelector(ISessionPaymaster.SessionNotCharged.selector, 0, paidWei())
        );
        op.paymasterAndData = _sessionData(permissionIdOf(pack(other)), uint48(block.timestamp - 1));
        _vouch(pack(other));
        submit(_seal(other, op));
        assertEq(actions(), 1);
    }

    /// @dev A voucher is for one account: the same permission name on another one is not sponsored.
    function test_validatePaymasterUserOp_revert_anotherAccountsVoucher() public {
        Fields memory f = sponsored();
        bytes32 id = permissionIdOf(pack(f));
        account = _another("second");
        bytes memory data = _sessionData(id, uint48(block.timestamp - 1));
        submitUnpaid(
            _ownerOperation(data), abi.encodeWithSelector(ISessionPaymaster.SessionNotSponsored.selector, id, 0, 0)
        );
    }

    function test_validatePaymasterUserOp_revert_revokedSession() public {
        Fields memory f = sponsored();
        submit(_paid(f));
        bytes32 id = permissionIdOf(pack(f));
        vm.prank(revoker);
        validator.revokeSessionFor(address(account), pack(f));
        submitRefused(_paid(f), abi.encodeWithSelector(ISessionValidator.SessionNotLive.selector, id, 2));
        bytes memory data = _sessionData(id, uint48(block.timestamp - 1));
        submitUnpaid(
            _ownerOperation(data), abi.encodeWithSelector(ISessionPaymaster.SessionNotLive.selector, id, 2, 1, 1)
        );
    }

    function test_validatePaymasterUserOp_revert_staleEpoch() public {
        Fields memory f = sponsored();
        bytes32 id = permissionIdOf(pack(f));
        vm.prank(address(account));
        validator.revokeAllSessions();
        submitRefused(_paid(f), abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 1, 2));
        bytes memory data = _sessionData(id, uint48(block.timestamp - 1));
        submitUnpaid(
            _ownerOperation(data), abi.encodeWithSelector(ISessionPaymaster.SessionNotLive.selector, id, 1, 1, 2)
        );
    }

    /// @dev The scope names the paymaster, so the module lets nothing through without it, or with another one.
    function test_validatePaymasterUserOp_revert_leftOutOrAnother() public {
        Fields memory f = sponsored();
        entryPoint.depositTo{value: 1 ether}(address(account));
        PackedUserOperation memory op = _unsealed(f);
        op.paymasterAndData = "";
        submitRefused(
            _seal(f, op), abi.encodeWithSelector(ISessionValidator.PaymasterMismatch.selector, address(0), paymaster)
        );
        SessionPaymaster other = new SessionPaymaster(entryPoint, validator, operator);
        other.deposit{value: 1 ether}();
        op.paymasterAndData = abi.encodePacked(other, _tail(_unsealed(f).paymasterAndData));
        submitRefused(
            _seal(f, op), abi.encodeWithSelector(ISessionValidator.PaymasterMismatch.selector, other, paymaster)
        );
        submit(_paid(f));
        assertEq(actions(), 1);
    }

    /// @dev A session whose scope names no paymaster cannot have one, voucher or not.
    function test_validatePaymasterUserOp_revert_scopeNamesNone() public {
        Fields memory f = fields();
        _vouch(grant(f));
        submitRefused(
            _paid(f), abi.encodeWithSelector(ISessionValidator.PaymasterMismatch.selector, paymaster, address(0))
        );
    }

    /// @dev An owner who charges the session without using it: takes from its own limit, and gets no more than it.
    function test_validatePaymasterUserOp_success_chargedToNoPurpose() public {
        Fields memory f = sponsored();
        PackedUserOperation memory signed = _paid(f);
        bytes32 hash = entryPoint.getUserOpHash(signed);
        vm.prank(address(account));
        validator.validateUserOp(signed, hash);
        bytes memory data = _sessionData(permissionIdOf(pack(f)), uint48(block.timestamp - 1));
        submit(_ownerOperation(data));
        submitUnpaid(
            _ownerOperation(data), abi.encodeWithSelector(ISessionPaymaster.SessionNotCharged.selector, 0, paidWei())
        );
        assertEq(seenWei(f), paidWei());
        assertEq(sessionOf(pack(f)).gasSpentWei, paidWei());
    }

    // ------------------------------------------------------------------------------------------------- limits

    function test_validatePaymasterUserOp_revert_sessionLimit() public {
        Fields memory f = sponsoredFields();
        bytes32 id = permissionIdOf(grant(f));
        _vouch(id, GAME, uint96(3 * paidWei() - 1), sponsorKey);
        submit(_paid(f));
        submit(_paid(f));
        submitUnpaid(
            _paid(f),
            abi.encodeWithSelector(ISessionPaymaster.SessionLimitExceeded.selector, 3 * paidWei(), 3 * paidWei() - 1)
        );
        _vouch(id, GAME, uint96(3 * paidWei()), sponsorKey);
        submit(_paid(f));
        assertEq(actions(), 3, "exactly at the limit");
    }

    /// @dev Whatever the voucher says, the scope's own budget ends it.
    function test_validatePaymasterUserOp_revert_gasBudget() public {
        Fields memory f = sponsoredFields();
        f.gasBudgetWei = uint128(paidWei());
        f.gasPerOperationWeiMax = uint128(paidWei());
        _vouch(permissionIdOf(grant(f)), GAME, SESSION_MAX, sponsorKey);
        submit(_paid(f));
        submitRefused(
            _paid(f), abi.encodeWithSelector(ISessionValidator.GasBudgetExceeded.selector, 2 * paidWei(), paidWei())
        );
    }

    function test_validatePaymasterUserOp_revert_gameDayCap() public {
        Fields memory f = sponsored();
        submit(_paid(f));
        _caps(2 * paidWei() - 1, PLAYER_MAX);
        submitUnpaid(
            _paid(f),
            abi.encodeWithSelector(
                ISessionPaymaster.GameDayCapExceeded.selector, GAME, 2 * paidWei(), 2 * paidWei() - 1
            )
        );
        _caps(2 * paidWei(), PLAYER_MAX);
        submit(_paid(f));
        assertEq(actions(), 2, "exactly at the cap");
    }

    function test_validatePaymasterUserOp_revert_playerDayCap() public {
        Fields memory f = sponsored();
        Fields memory other = otherFields();
        _vouch(grant(other));
        submit(_paid(f));
        _caps(DAY_MAX, 2 * paidWei() - 1);
        // Another session of the same player takes from the same cap.
        submitUnpaid(
            _paid(other),
            abi.encodeWithSelector(
                ISessionPaymaster.PlayerDayCapExceeded.selector, account, 2 * paidWei(), 2 * paidWei() - 1
            )
        );
        _caps(DAY_MAX, 2 * paidWei());
        submit(_paid(other));
        assertEq(actions(), 2, "exactly at the cap");
    }

    function test_validatePaymasterUserOp_revert_paused() public {
        Fields memory f = sponsored();
        _caps(0, PLAYER_MAX);
        submitUnpaid(
            _paid(f), abi.encodeWithSelector(ISessionPaymaster.GameDayCapExceeded.selector, GAME, paidWei(), 0)
        );
    }

    function test_validatePaymasterUserOp_success_nextDay() public {
        Fields memory f = sponsoredFields();
        f.validUntil = uint48(NOW + 2 days);
        _vouch(grant(f));
        _caps(paidWei(), PLAYER_MAX);
        submit(_paid(f));
        submitUnpaid(
            _paid(f),
            abi.encodeWithSelector(ISessionPaymaster.GameDayCapExceeded.selector, GAME, 2 * paidWei(), paidWei())
        );
        vm.warp((NOW / 1 days + 1) * 1 days + 1);
        submit(_paid(f));
        assertEq(actions(), 2);
        assertEq(paymaster.gameOf(GAME).day, NOW / 1 days + 1);
        assertEq(paymaster.gameOf(GAME).spentWei, paidWei());
        assertEq(paymaster.playerOf(GAME, address(account)).spentWei, paidWei());
    }

    /// @dev Within the slack after midnight both days can be claimed. Going back and forth must give nothing.
    function test_validatePaymasterUserOp_revert_dayDoesNotComeBack() public {
        Fields memory f = sponsoredFields();
        f.validUntil = uint48(NOW + 2 days);
        _vouch(grant(f));
        _caps(2 * paidWei(), PLAYER_MAX);
        uint256 midnight = (NOW / 1 days + 1) * 1 days;
        vm.warp(midnight + 30);
        submit(_claiming(f, uint48(midnight + 29)));
        submit(_claiming(f, uint48(midnight - 60)));
        assertEq(paymaster.gameOf(GAME).day, NOW / 1 days + 1, "counted to the day that has begun");
        assertEq(paymaster.gameOf(GAME).spentWei, 2 * paidWei());
        assertEq(paymaster.playerOf(GAME, address(account)).spentWei, 2 * paidWei());
        submitUnpaid(
            _claiming(f, uint48(midnight - 60)),
            abi.encodeWithSelector(ISessionPaymaster.GameDayCapExceeded.selector, GAME, 3 * paidWei(), 2 * paidWei())
        );
    }

    /// @dev Another game's counters are its own.
    function test_validatePaymasterUserOp_success_gamesDoNotShare() public {
        Fields memory f = sponsored();
        Fields memory other = otherFields();
        _vouch(permissionIdOf(grant(other)), OTHER_GAME, LIMIT, otherSponsorKey);
        _caps(paidWei(), uint96(paidWei()));
        submit(_paid(f));
        submit(_paid(other));
        assertEq(paymaster.gameOf(OTHER_GAME).spentWei, paidWei());
        assertEq(paymaster.playerOf(OTHER_GAME, address(account)).spentWei, paidWei());
    }

    function test_validatePaymasterUserOp_revert_sponsorChanged() public {
        Fields memory f = sponsored();
        submit(_paid(f));
        vm.prank(operator);
        paymaster.setSponsor(GAME, otherSponsor);
        bytes32 id = permissionIdOf(pack(f));
        submitUnpaid(_paid(f), abi.encodeWithSelector(ISessionPaymaster.SessionNotSponsored.selector, id, 1, 2));
        _vouch(id, GAME, LIMIT, otherSponsorKey);
        submit(_paid(f));
        assertEq(seenWei(f), 2 * paidWei(), "what was charged before the new voucher does not count");
    }

    function test_validatePaymasterUserOp_revert_depositTooLow() public {
        Fields memory f = sponsored();
        uint256 all = entryPoint.balanceOf(address(paymaster));
        vm.prank(operator);
        paymaster.withdrawTo(payable(operator), all - paidWei() + 1);
        submitFailed(_paid(f), "AA31 paymaster deposit too low");
        paymaster.deposit{value: 1}();
        submit(_paid(f));
        assertEq(actions(), 1);
    }

    // -------------------------------------------------------------------------------------------- time range

    function test_validatePaymasterUserOp_revert_claimedLater() public {
        Fields memory f = sponsored();
        submitFailed(_claiming(f, uint48(block.timestamp + 1)), "AA32 paymaster expired or not due");
    }

    function test_validatePaymasterUserOp_revert_claimedTooLongAgo() public {
        Fields memory f = sponsored();
        submitFailed(_claiming(f, uint48(block.timestamp - 121)), "AA32 paymaster expired or not due");
        submit(_claiming(f, uint48(block.timestamp - 120)));
        assertEq(actions(), 1, "the end is inclusive");
    }

    function test_validatePaymasterUserOp_revert_claimWouldWrapAround() public {
        Fields memory f = sponsored();
        // Arithmetic overflow: 0x11.
        bytes memory panic = abi.encodeWithSignature("Panic(uint256)", 0x11);
        submitUnpaid(_claiming(f, type(uint48).max - 119), panic);
        submitFailed(_claiming(f, type(uint48).max - 120), "AA32 paymaster expired or not due");
    }

    function test_slack_success_isTheValidators() public view {
        assertEq(paymaster.SLACK(), validator.SLACK());
    }

    // --------------------------------------------------------------------------------------------------- shape

    function test_validatePaymasterUserOp_revert_postOpGas() public {
        Fields memory f = sponsored();
        PackedUserOperation memory op = _unsealed(f);
        bytes memory data = op.paymasterAndData;
        data[51] = 0x01;
        op.paymasterAndData = data;
        submitUnpaid(_seal(f, op), abi.encodeWithSelector(ISessionPaymaster.PostOpGasNotZero.selector, 1));
        submit(_paid(f));
    }

    /// @dev Padding the paymaster's own limit is paid from the session's budget like all gas.
    function test_validatePaymasterUserOp_success_paddedGasIsCharged() public {
        Fields memory f = sponsored();
        PackedUserOperation memory op = _unsealed(f);
        op.paymasterAndData = abi.encodePacked(
            paymaster, uint128(5_000_000), uint128(0), uint8(1), uint48(NOW - 1), permissionIdOf(pack(f))
        );
        submit(_seal(f, op));
        uint256 padded = paidWei() + (5_000_000 - PAYMASTER_GAS) * FEE;
        assertEq(sessionOf(pack(f)).gasSpentWei, padded);
        assertEq(seenWei(f), padded);
        assertEq(paymaster.gameOf(GAME).spentWei, padded);
    }

    function test_validatePaymasterUserOp_revert_dataInvalid() public {
        Fields memory f = sponsored();
        bytes memory good = _unsealed(f).paymasterAndData;
        _refusesData(f, abi.encodePacked(good, hex"00"), 1, 92, 91);
        bytes memory shorter = abi.encodePacked(good);
        assembly ("memory-safe") {
            mstore(shorter, 90)
        }
        _refusesData(f, shorter, 1, 90, 91);
        bytes memory unknown = abi.encodePacked(good);
        unknown[52] = 0x03;
        _refusesData(f, unknown, 3, 91, 91);
        unknown[52] = 0x00;
        _refusesData(f, unknown, 0, 91, 91);
        assembly ("memory-safe") {
            mstore(unknown, 52)
        }
        _refusesData(f, unknown, 0, 52, 91);
        unknown = abi.encodePacked(good);
        unknown[52] = 0x02;
        _refusesData(f, unknown, 2, 91, 134);
    }

    function test_validatePaymasterUserOp_revert_anotherCaller() public {
        PackedUserOperation memory op = _paid(sponsored());
        vm.expectRevert(
            abi.encodeWithSelector(ISessionPaymaster.CallerNotEntryPoint.selector, address(this), entryPoint)
        );
        paymaster.validatePaymasterUserOp(op, bytes32(0), 1);
    }

    /// @dev Whatever data: it is refused, or it is the session's own.
    function testFuzz_validatePaymasterUserOp_revert_anyData(bytes calldata tail) public {
        Fields memory f = sponsored();
        PackedUserOperation memory op = _unsealed(f);
        op.paymasterAndData = abi.encodePacked(paymaster, PAYMASTER_GAS, uint128(0), tail);
        vm.assume(keccak256(op.paymasterAndData) != keccak256(_unsealed(f).paymasterAndData));
        PackedUserOperation memory sealedOp = _seal(f, op);
        vm.expectPartialRevert(IEntryPoint.FailedOpWithRevert.selector);
        submit(sealedOp);
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _caps(uint256 dayWeiMax, uint256 playerDayWeiMax) internal {
        vm.prank(operator);
        paymaster.setCaps(GAME, uint96(dayWeiMax), uint96(playerDayWeiMax), SESSION_MAX);
    }

    function _claiming(Fields memory f, uint48 claimedAt) internal view returns (PackedUserOperation memory op) {
        op = _unsealed(f);
        op.paymasterAndData = _sessionData(permissionIdOf(pack(f)), claimedAt);
        return _seal(f, op);
    }

    function _refusesData(Fields memory f, bytes memory data, uint256 mode, uint256 length, uint256 expected) private {
        PackedUserOperation memory op = _unsealed(f);
        op.paymasterAndData = data;
        submitUnpaid(
            _seal(f, op),
            abi.encodeWithSelector(ISessionPaymaster.PaymasterDataInvalid.selector, mode, length, expected)
        );
    }

    /// @dev paymasterAndData without the paymaster.
    function _tail(bytes memory data) private pure returns (bytes memory tail) {
        tail = new bytes(data.length - 20);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = data[i + 20];
        }
    }
}

/// @notice An account that admits every operation.
contract Gullible {
    function validateUserOp(PackedUserOperation calldata, bytes32, uint256) external pure returns (uint256) {
        return 0;
    }

    function execute(bytes32, bytes calldata) external {}
}
