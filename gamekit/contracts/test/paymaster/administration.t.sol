// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IPaymaster} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Game, ISessionPaymaster} from "src/ISessionPaymaster.sol";
import {PaymasterHarness} from "test/paymaster/PaymasterHarness.sol";

/// @notice What the EntryPoints tell of a stake.
interface IStakes {
    struct DepositInfo {
        uint256 deposit;
        bool staked;
        uint112 stake;
        uint32 unstakeDelaySec;
        uint48 withdrawTime;
    }

    function getDepositInfo(address account) external view returns (DepositInfo memory);
}

/// @notice The functions of the operator, and those that do next to nothing: setSponsor, setCaps, deposit, withdrawTo,
/// addStake, unlockStake, withdrawStake, renounceOwnership, transferOwnership, postOp.
abstract contract AdministrationTest is PaymasterHarness {
    function test_constructor_success() public view {
        assertEq(address(paymaster.ENTRY_POINT()), address(entryPoint));
        assertEq(address(paymaster.SESSION_VALIDATOR()), address(validator));
        assertEq(paymaster.owner(), operator);
    }

    function test_setSponsor_success_startsAGeneration() public {
        vm.expectEmit(address(paymaster));
        emit ISessionPaymaster.SponsorChanged(GAME, thief, 2);
        vm.prank(operator);
        paymaster.setSponsor(GAME, thief);
        Game memory game = paymaster.gameOf(GAME);
        assertEq(game.sponsor, thief);
        assertEq(game.generation, 2);
        assertEq(game.dayWeiMax, DAY_MAX, "caps stay");
        assertEq(paymaster.gameOf(OTHER_GAME).generation, 1, "and other games");
    }

    function test_setSponsor_revert_notOwner() public {
        _refuses(abi.encodeCall(paymaster.setSponsor, (GAME, thief)));
    }

    function test_setCaps_success() public {
        vm.expectEmit(address(paymaster));
        emit ISessionPaymaster.CapsChanged(GAME, 3, 2, 1);
        vm.prank(operator);
        paymaster.setCaps(GAME, 3, 2, 1);
        Game memory game = paymaster.gameOf(GAME);
        assertEq(game.dayWeiMax, 3);
        assertEq(game.playerDayWeiMax, 2);
        assertEq(game.sessionWeiMax, 1);
        assertEq(game.sponsor, sponsorAddress, "the sponsor stays");
        assertEq(game.generation, 1);
    }

    function test_setCaps_revert_unknownGame() public {
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(ISessionPaymaster.GameUnknown.selector, 99));
        paymaster.setCaps(99, 1, 1, 1);
    }

    function test_setCaps_revert_notOwner() public {
        _refuses(abi.encodeCall(paymaster.setCaps, (GAME, 1, 1, 1)));
    }

    function test_deposit_success_byAnyone() public {
        uint256 before = entryPoint.balanceOf(address(paymaster));
        vm.deal(thief, 1 ether);
        vm.prank(thief);
        paymaster.deposit{value: 1 ether}();
        assertEq(entryPoint.balanceOf(address(paymaster)), before + 1 ether);
        assertEq(address(paymaster).balance, 0);
    }

    function test_withdrawTo_success() public {
        uint256 before = entryPoint.balanceOf(address(paymaster));
        vm.prank(operator);
        paymaster.withdrawTo(payable(operator), 3 ether);
        assertEq(operator.balance, 3 ether);
        assertEq(entryPoint.balanceOf(address(paymaster)), before - 3 ether);
    }

    function test_withdrawTo_revert_notOwner() public {
        _refuses(abi.encodeCall(paymaster.withdrawTo, (payable(thief), 1)));
        // Not even the sponsor.
        vm.prank(sponsorAddress);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, sponsorAddress));
        paymaster.withdrawTo(payable(sponsorAddress), 1);
    }

    function test_stake_success_wholeLife() public {
        vm.deal(operator, 2 ether);
        vm.startPrank(operator);
        paymaster.addStake{value: 2 ether}(1 days);
        IStakes.DepositInfo memory told = IStakes(address(entryPoint)).getDepositInfo(address(paymaster));
        assertTrue(told.staked);
        assertEq(told.stake, 2 ether);
        assertEq(told.unstakeDelaySec, 1 days);
        paymaster.unlockStake();
        vm.warp(block.timestamp + 1 days);
        paymaster.withdrawStake(payable(operator));
        assertEq(operator.balance, 2 ether);
        assertFalse(IStakes(address(entryPoint)).getDepositInfo(address(paymaster)).staked);
        vm.stopPrank();
    }

    function test_stake_revert_notOwner() public {
        vm.deal(thief, 1 ether);
        _refuses(abi.encodeCall(paymaster.addStake, (1)));
        _refuses(abi.encodeCall(paymaster.unlockStake, ()));
        _refuses(abi.encodeCall(paymaster.withdrawStake, (payable(thief))));
    }

    function test_renounceOwnership_revert() public {
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(ISessionPaymaster.OwnershipNotRenounceable.selector, operator));
        paymaster.renounceOwnership();
        _refuses(abi.encodeCall(paymaster.renounceOwnership, ()));
    }

    function test_transferOwnership_success_inTwoSteps() public {
        vm.prank(operator);
        paymaster.transferOwnership(thief);
        assertEq(paymaster.owner(), operator, "not before it is accepted");
        vm.prank(thief);
        paymaster.acceptOwnership();
        assertEq(paymaster.owner(), thief);
    }

    function test_postOp_revert_always() public {
        bytes memory call = abi.encodeCall(IPaymaster.postOp, (IPaymaster.PostOpMode.opSucceeded, "", 1, 1));
        (bool done, bytes memory told) = address(paymaster).call(call);
        assertFalse(done);
        assertEq(told, abi.encodeWithSelector(ISessionPaymaster.PostOpNotUsed.selector, address(this)));
    }

    function _refuses(bytes memory call) private {
        vm.prank(thief);
        (bool done, bytes memory told) = address(paymaster).call(call);
        assertFalse(done);
        assertEq(told, abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, thief));
    }
}

contract Administration07Test is AdministrationTest {
    function entryPointVersion() internal pure override returns (uint256) {
        return 7;
    }
}

contract Administration08Test is AdministrationTest {}
