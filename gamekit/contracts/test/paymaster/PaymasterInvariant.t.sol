// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {PaymasterHandler} from "test/paymaster/PaymasterHandler.sol";
import {Hole} from "test/paymaster/PaymasterHoles.sol";

/// @notice For each session, at any time: sponsored <= charged <= budget, sponsored <= vouched for; for each game and each
/// player: no more than the caps of the days that passed; and the deposit pays no more than was counted.
abstract contract PaymasterInvariantTest is Test {
    PaymasterHandler private _handler;

    function version() internal pure virtual returns (uint256);

    function setUp() public {
        _handler = new PaymasterHandler(version(), Hole.None);
        _handler.setUp();
        targetContract(address(_handler));
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = PaymasterHandler.step.selector;
        targetSelector(FuzzSelector(address(_handler), selectors));
    }

    /// forge-config: default.invariant.runs = 8
    /// forge-config: default.invariant.depth = 64
    /// forge-config: default.invariant.include-storage = false
    /// forge-config: default.invariant.include-push-bytes = false
    /// forge-config: default.invariant.shrink-run-limit = 32
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_sponsorshipIsBounded() public view {
        assertEq(_handler.violation(), "");
    }

    /// @dev A world in which nothing is let through would keep all rules as well.
    function afterInvariant() public view {
        assertGe(_handler.landed() * 5, _handler.tried(), "at least a fifth lands");
    }
}

contract PaymasterInvariant07Test is PaymasterInvariantTest {
    function version() internal pure override returns (uint256) {
        return 7;
    }
}

contract PaymasterInvariant08Test is PaymasterInvariantTest {
    function version() internal pure override returns (uint256) {
        return 8;
    }
}

/// @notice The same rules, asked in the same random lives, find each hole that is planted into the paymaster.
contract PaymasterHolesTest is Test {
    uint256 private constant STEPS = 600;

    function test_violation_success_withoutAHole() public {
        assertEq(_live(Hole.None), "");
    }

    function test_violation_finds_uncharged() public {
        assertEq(_live(Hole.Uncharged), "sponsored more than was charged");
    }

    function test_violation_finds_chargedTwice() public {
        assertEq(_live(Hole.ChargedTwice), "sponsored more than was charged");
    }

    function test_violation_finds_unlimited() public {
        assertEq(_live(Hole.Unlimited), "sponsored more than was vouched for");
    }

    function test_violation_finds_notLive() public {
        assertEq(_live(Hole.NotLive), "sponsored a session that is not live");
    }

    function test_violation_finds_dayComesBack() public {
        assertNotEq(_live(Hole.DayComesBack), "");
    }

    function test_violation_finds_notCounted() public {
        assertNotEq(_live(Hole.NotCounted), "");
    }

    /// @dev One random life; gives the first violation.
    function _live(Hole hole) private returns (string memory found) {
        PaymasterHandler handler = new PaymasterHandler(8, hole);
        handler.setUp();
        for (uint256 i = 0; i < STEPS && bytes(found).length == 0; ++i) {
            handler.step(uint256(keccak256(abi.encode("life", i))));
            if (i % 4 == 3) found = handler.violation();
        }
    }
}
