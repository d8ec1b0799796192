// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Arena} from "src/example/Arena.sol";
import {Gold} from "src/example/Gold.sol";
import {Item} from "src/example/Item.sol";

contract ArenaTest is Test {
    Arena private arena = new Arena();
    address private player = makeAddr("player");
    address private friend = makeAddr("friend");

    function setUp() public {
        vm.deal(player, 10 ether);
        vm.startPrank(player);
    }

    function test_move_success_countsAndMoves() public {
        vm.expectEmit(address(arena));
        emit Arena.ActionExecuted(player, Arena.move.selector, 1);
        arena.move(3, -4);
        arena.move(-5, 1);
        Arena.Player memory p = arena.playerOf(player);
        assertEq(p.x, -2);
        assertEq(p.y, -3);
        assertEq(arena.actionsOf(player), 2);
        assertEq(arena.actionsOf(friend), 0);
    }

    function test_attack_success_winsLoot() public {
        vm.expectEmit(address(arena));
        emit Arena.ActionExecuted(player, Arena.attack.selector, 1);
        arena.attack(7, 100);
        assertEq(arena.playerOf(player).loot, 100);
    }

    function test_attack_revert_noStamina() public {
        vm.expectRevert(abi.encodeWithSelector(Arena.NoStamina.selector, 101, 100));
        arena.attack(7, 101);
        vm.expectRevert(abi.encodeWithSelector(Arena.NoStamina.selector, 0, 100));
        arena.attack(7, 0);
    }

    function test_attack_revert_noSuchTarget() public {
        vm.expectRevert(abi.encodeWithSelector(Arena.NoSuchTarget.selector, 0));
        arena.attack(0, 1);
    }

    function test_craft_success_crafts() public {
        vm.expectEmit(address(arena));
        emit Arena.ActionExecuted(player, Arena.craft.selector, 1);
        arena.craft(50, 1000);
        assertEq(arena.playerOf(player).crafted, 1000);
    }

    function test_craft_revert_cannotCraft() public {
        uint256[2][4] memory bad = [[uint256(0), 1], [uint256(51), 1], [uint256(1), 0], [uint256(1), 1001]];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Arena.CannotCraft.selector, bad[i][0], bad[i][1]));
            arena.craft(bad[i][0], bad[i][1]);
        }
    }

    function test_claimLoot_success_mintsGold() public {
        arena.attack(7, 40);
        vm.expectEmit(address(arena));
        emit Arena.ActionExecuted(player, Arena.claimLoot.selector, 2);
        arena.claimLoot(friend);
        assertEq(arena.gold().balanceOf(friend), 40 ether);
        assertEq(arena.playerOf(player).loot, 0);
        assertEq(arena.actionsOf(player), 2);
    }

    function test_claimLoot_revert_noLoot() public {
        vm.expectRevert(abi.encodeWithSelector(Arena.NoLoot.selector, player));
        arena.claimLoot(player);
        assertEq(arena.actionsOf(player), 0, "a reverted action does not count");
    }

    function test_deposit_success_andWithdraw() public {
        vm.expectEmit(address(arena));
        emit Arena.DepositChanged(player, 3 ether);
        arena.deposit{value: 3 ether}();
        arena.withdraw(1 ether);
        arena.withdrawTo(friend, 2 ether);
        assertEq(player.balance, 8 ether);
        assertEq(friend.balance, 2 ether);
        assertEq(arena.depositOf(player), 0);
        assertEq(arena.actionsOf(player), 0, "not play");
    }

    function test_withdraw_revert_depositTooSmall() public {
        arena.deposit{value: 1}();
        vm.expectRevert(abi.encodeWithSelector(Arena.DepositTooSmall.selector, 1, 2));
        arena.withdraw(2);
    }

    function test_withdrawTo_revert_paymentFailed() public {
        arena.deposit{value: 1}();
        vm.expectRevert(abi.encodeWithSelector(Arena.PaymentFailed.selector, address(arena), 1));
        arena.withdrawTo(address(arena), 1);
    }

    function test_sell_success_paysAnybody() public {
        arena.deposit{value: 1 ether}();
        arena.attack(7, 40);
        arena.sell(30, friend);
        assertEq(friend.balance, 30 gwei);
        vm.expectRevert(abi.encodeWithSelector(Arena.NoLoot.selector, player));
        arena.sell(11, friend);
    }

    function test_giveLoot_success_gives() public {
        arena.attack(7, 40);
        arena.giveLoot(friend, 15);
        assertEq(arena.playerOf(player).loot, 25);
        assertEq(arena.playerOf(friend).loot, 15);
        vm.expectRevert(abi.encodeWithSelector(Arena.NoLoot.selector, player));
        arena.giveLoot(friend, 26);
    }

    function test_welcome_success_once() public {
        arena.welcome(player);
        assertEq(arena.gold().balanceOf(player), 1000 ether);
        assertEq(arena.item().ownerOf(1), player);
        vm.expectRevert(abi.encodeWithSelector(Arena.AlreadyWelcome.selector, player));
        arena.welcome(player);
    }

    function test_mint_revert_minterOnly() public {
        Gold gold = arena.gold();
        vm.expectRevert(abi.encodeWithSelector(Gold.GoldMinterOnly.selector, player, address(arena)));
        gold.mint(player, 1);
        Item item = arena.item();
        vm.expectRevert(abi.encodeWithSelector(Item.ItemMinterOnly.selector, player, address(arena)));
        item.mint(player);
    }

    function test_play_success_oneWordPerPlayer() public {
        arena.attack(7, 40);
        vm.record();
        arena.move(1, 1);
        arena.attack(7, 1);
        arena.craft(1, 1);
        (, bytes32[] memory writes) = vm.accesses(address(arena));
        for (uint256 i = 1; i < writes.length; ++i) {
            assertEq(writes[i], writes[0]);
        }
    }
}
