// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {AssetSelectors} from "src/AssetSelectors.sol";
import {Arena} from "src/example/Arena.sol";

contract AssetSelectorsTest is Test {
    function test_contains_success_listed() public pure {
        // First, last and a few between; that the list is the whole one is asserted beside its source, in Python.
        assertTrue(AssetSelectors.contains(0x0396cb60), "first");
        assertTrue(AssetSelectors.contains(0xfe9d9303), "last");
        assertTrue(AssetSelectors.contains(0xa9059cbb), "transfer");
        assertTrue(AssetSelectors.contains(0x095ea7b3), "approve");
        assertTrue(AssetSelectors.contains(0xa22cb465), "setApprovalForAll");
        assertTrue(AssetSelectors.contains(0xe9ae5c53), "execute");
        assertTrue(AssetSelectors.contains(0xac9650d8), "multicall");
        assertTrue(AssetSelectors.contains(Arena.deposit.selector), "deposit");
        assertTrue(AssetSelectors.contains(Arena.withdraw.selector), "withdraw");
    }

    function test_contains_success_play() public pure {
        assertFalse(AssetSelectors.contains(Arena.move.selector));
        assertFalse(AssetSelectors.contains(Arena.attack.selector));
        assertFalse(AssetSelectors.contains(Arena.craft.selector));
        assertFalse(AssetSelectors.contains(Arena.claimLoot.selector));
        assertFalse(AssetSelectors.contains(0x00000000));
        assertFalse(AssetSelectors.contains(0xffffffff));
    }
}
