// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionPaymaster} from "src/ISessionPaymaster.sol";
import {SessionPaymaster} from "src/SessionPaymaster.sol";
import {Fields} from "test/Harness.sol";
import {PaymasterHarness} from "test/paymaster/PaymasterHarness.sol";

/// @notice Mode 2 of validatePaymasterUserOp, through handleOps: operations that the sponsor signed one by one.
abstract contract ValidateSigned is PaymasterHarness {
    /// @dev Any operation at all: here one of the owner, who holds nothing either.
    function test_signed_success_ownersOperation() public {
        submit(_signed(sponsorKey));
        assertEq(actions(), 1);
        assertEq(entryPoint.balanceOf(address(account)), 0);
        assertEq(paymaster.gameOf(GAME).spentWei, paidWei());
        assertEq(paymaster.playerOf(GAME, address(account)).spentWei, paidWei());
    }

    /// @dev A session without a voucher. The module charges it all the same.
    function test_signed_success_session() public {
        Fields memory f = sponsoredFields();
        grant(f);
        submit(_signedSession(f));
        assertEq(actions(), 1);
        assertEq(sessionOf(pack(f)).gasSpentWei, paidWei());
    }

    /// @dev What was paid for in this mode counts to the session's limit too, for it is charged; and to nothing twice.
    function test_signed_success_beforeASessionsOwn() public {
        Fields memory f = sponsored();
        submit(_signedSession(f));
        submit(_paid(f));
        assertEq(seenWei(f), 2 * paidWei());
        assertEq(paymaster.gameOf(GAME).spentWei, 2 * paidWei());
        bytes memory data = _sessionData(permissionIdOf(pack(f)), uint48(block.timestamp - 1));
        submitUnpaid(
            _ownerOperation(data), abi.encodeWithSelector(ISessionPaymaster.SessionNotCharged.selector, 0, paidWei())
        );
    }

    function test_signed_revert_anotherKey() public {
        submitFailed(_signed(otherSponsorKey), "AA34 signature error");
        submit(_signed(sponsorKey));
        assertEq(actions(), 1);
    }

    /// @dev Signed by another game's sponsor, for its own game.
    function test_signed_success_eachGameItsOwn() public {
        PackedUserOperation memory op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, OTHER_GAME, _after(), _until(), otherSponsorKey);
        submit(_bySigner(op));
        assertEq(paymaster.gameOf(OTHER_GAME).spentWei, paidWei());
        assertEq(paymaster.gameOf(GAME).spentWei, 0);
    }

    function test_signed_revert_malformedSignature() public {
        PackedUserOperation memory op = _ownerOperation("");
        bytes memory data = _signedData(op, GAME, _after(), _until(), sponsorKey);
        for (uint256 i = data.length - 65; i < data.length; ++i) {
            data[i] = 0;
        }
        op.paymasterAndData = data;
        submitFailed(_bySigner(op), "AA34 signature error");
    }

    /// @dev A game that has no sponsor: a signature that recovers to 0 is none.
    function test_signed_revert_gameEnded() public {
        PackedUserOperation memory op = _signed(sponsorKey);
        vm.prank(operator);
        paymaster.setSponsor(GAME, address(0));
        submitFailed(op, "AA34 signature error");
        bytes memory data = op.paymasterAndData;
        for (uint256 i = data.length - 65; i < data.length; ++i) {
            data[i] = 0;
        }
        op.paymasterAndData = data;
        submitFailed(_bySigner(op), "AA34 signature error");
    }

    function test_signed_revert_gameUnknown() public {
        PackedUserOperation memory op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, 99, _after(), _until(), sponsorKey);
        submitUnpaid(
            _bySigner(op), abi.encodeWithSelector(ISessionPaymaster.GameDayCapExceeded.selector, 99, paidWei(), 0)
        );
    }

    /// @dev The same key again starts a generation as well.
    function test_signed_revert_earlierGeneration() public {
        PackedUserOperation memory op = _signed(sponsorKey);
        vm.prank(operator);
        paymaster.setSponsor(GAME, sponsorAddress);
        submitFailed(op, "AA34 signature error");
        submit(_signed(sponsorKey));
    }

    /// @dev The sponsor signs every field: each of them, changed afterwards, is refused.
    function test_signed_revert_everyFieldIsSigned() public {
        PackedUserOperation memory op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, GAME, _after(), _until(), sponsorKey);
        uint256 state = vm.snapshotState();
        for (uint256 i = 0; i < 9; ++i) {
            PackedUserOperation memory changed = _copy(op);
            _change(changed, i);
            submitFailed(_bySigner(changed), "AA34 signature error");
            vm.revertToState(state);
        }
        submit(_bySigner(op));
        assertEq(actions(), 1);
    }

    function test_signed_revert_anotherAccount() public {
        PackedUserOperation memory op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, GAME, _after(), _until(), sponsorKey);
        account = _another("second");
        op.sender = address(account);
        submitFailed(_bySigner(op), "AA34 signature error");
    }

    function test_signed_revert_anotherPaymaster() public {
        PackedUserOperation memory op = _signed(sponsorKey);
        SessionPaymaster other = _newPaymaster();
        vm.startPrank(operator);
        other.setSponsor(GAME, sponsorAddress);
        other.setCaps(GAME, DAY_MAX, PLAYER_MAX, SESSION_MAX);
        vm.stopPrank();
        other.deposit{value: 10 ether}();
        bytes memory data = op.paymasterAndData;
        bytes20 name = bytes20(address(other));
        for (uint256 i = 0; i < 20; ++i) {
            data[i] = name[i];
        }
        op.paymasterAndData = data;
        submitFailed(_bySigner(op), "AA34 signature error");
    }

    function test_signed_revert_anotherChain() public {
        PackedUserOperation memory op = _signed(sponsorKey);
        vm.chainId(4242);
        submitFailed(_bySigner(op), "AA34 signature error");
        submit(_signed(sponsorKey));
    }

    function test_signed_revert_replay() public {
        PackedUserOperation memory op = _signed(sponsorKey);
        submit(op);
        submitFailed(op, "AA25 invalid account nonce");
    }

    function test_signed_revert_caps() public {
        vm.prank(operator);
        paymaster.setCaps(GAME, uint96(paidWei() - 1), PLAYER_MAX, SESSION_MAX);
        submitUnpaid(
            _signed(sponsorKey),
            abi.encodeWithSelector(ISessionPaymaster.GameDayCapExceeded.selector, GAME, paidWei(), paidWei() - 1)
        );
        vm.prank(operator);
        paymaster.setCaps(GAME, DAY_MAX, uint96(paidWei() - 1), SESSION_MAX);
        submitUnpaid(
            _signed(sponsorKey),
            abi.encodeWithSelector(ISessionPaymaster.PlayerDayCapExceeded.selector, account, paidWei(), paidWei() - 1)
        );
        vm.prank(operator);
        paymaster.setCaps(GAME, uint96(paidWei()), uint96(paidWei()), SESSION_MAX);
        submit(_signed(sponsorKey));
    }

    function test_signed_revert_timeRange() public {
        uint48 from = _after();
        _refusesRange(from, from);
        _refusesRange(from, from - 1);
        _refusesRange(from, from + 121);
        // 0 would be "for ever".
        _refusesRange(from, 0);
        PackedUserOperation memory op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, GAME, from, from + 120, sponsorKey);
        submit(_bySigner(op));
    }

    function test_signed_revert_late() public {
        PackedUserOperation memory op = _signed(sponsorKey);
        vm.warp(_until() + 1);
        submitFailed(op, "AA32 paymaster expired or not due");
        vm.warp(block.timestamp - 1);
        submit(op);
        assertEq(actions(), 1, "the end is inclusive");
    }

    function test_operationDigest_success() public view {
        PackedUserOperation memory op = _signed(sponsorKey);
        bytes memory data = op.paymasterAndData;
        bytes memory signature = new bytes(65);
        for (uint256 i = 0; i < 65; ++i) {
            signature[i] = data[data.length - 65 + i];
        }
        bytes32 digest = paymaster.operationDigest(op);
        assertEq(_signature(digest, sponsorKey), signature);
        op.signature = "no part of it";
        assertEq(paymaster.operationDigest(op), digest);
    }

    function test_operationDigest_revert_dataInvalid() public {
        PackedUserOperation memory op = _ownerOperation("short");
        vm.expectRevert(abi.encodeWithSelector(ISessionPaymaster.PaymasterDataInvalid.selector, 0, 5, 134));
        paymaster.operationDigest(op);
        op.paymasterAndData = _sessionData(bytes32(0), 1);
        vm.expectRevert(abi.encodeWithSelector(ISessionPaymaster.PaymasterDataInvalid.selector, 1, 91, 134));
        paymaster.operationDigest(op);
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _after() private view returns (uint48) {
        return uint48(block.timestamp - 1);
    }

    function _until() private view returns (uint48) {
        return uint48(block.timestamp + 60);
    }

    function _signed(uint256 key) private view returns (PackedUserOperation memory op) {
        op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, GAME, _after(), _until(), key);
        return _bySigner(op);
    }

    function _signedSession(Fields memory f) private view returns (PackedUserOperation memory op) {
        op = _unsealed(f);
        op.paymasterAndData = _signedData(op, GAME, _after(), _until(), sponsorKey);
        return _seal(f, op);
    }

    /// @dev The account's owner signs what is there.
    function _bySigner(PackedUserOperation memory op) private view returns (PackedUserOperation memory) {
        op.signature = _signature(entryPoint.getUserOpHash(op), ownerKey);
        return op;
    }

    function _refusesRange(uint48 from, uint48 to) private {
        PackedUserOperation memory op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, GAME, from, to, sponsorKey);
        submitUnpaid(
            _bySigner(op), abi.encodeWithSelector(ISessionPaymaster.TimeRangeInvalid.selector, from, to, from + 120)
        );
    }

    function _copy(PackedUserOperation memory op) private pure returns (PackedUserOperation memory) {
        return abi.decode(abi.encode(op), (PackedUserOperation));
    }

    /// @dev One thing of the operation, such that only the sponsor's signature notices.
    function _change(PackedUserOperation memory op, uint256 what) private view {
        uint128 fee = uint128(FEE);
        if (what == 0) op.nonce = uint256(uint192(uint160(address(ownerValidator))) << 32 | 1) << 64;
        if (what == 1) op.callData = batchData(BATCH, attacks(2));
        if (what == 2) op.accountGasLimits = bytes32(abi.encodePacked(VERIFICATION_GAS, CALL_GAS + 1));
        if (what == 3) op.accountGasLimits = bytes32(abi.encodePacked(VERIFICATION_GAS + 1, CALL_GAS));
        if (what == 4) op.preVerificationGas += 1;
        if (what == 5) op.gasFees = bytes32(abi.encodePacked(fee, fee + 1));
        if (what == 6) op.gasFees = bytes32(abi.encodePacked(fee - 1, fee));
        bytes memory data = op.paymasterAndData;
        // The last byte of the paymaster's verification gas limit, and of the range's end.
        if (what == 7) data[35] = bytes1(uint8(data[35]) + 1);
        if (what == 8) data[64] = bytes1(uint8(data[64]) + 1);
        op.paymasterAndData = data;
    }
}
