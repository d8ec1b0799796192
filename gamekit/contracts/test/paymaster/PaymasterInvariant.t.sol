// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {PaymasterHandler} from "test/paymaster/PaymasterHandler.sol";
import {Hole} from "test/paymaster/PaymasterHoles.sol";

/// @notice For each session, at any time: sponsored <= charged <= budget, sponsored <= vouched for; for each game and each
/// player: no more than the caps of the days that passed; and the deposit pays no more than was counted.
/// tests/proof/invariants.py runs it at length, and again with planted holes. INVARIANT_REPORT names a file for one line
/// of counts a run.
abstract contract PaymasterInvariantTest is Test {
    /// @dev Least share of operations that must land, in percent: below it, refusals prove little.
    uint256 private constant ACCEPTED_PERCENT_MIN = 20;

    PaymasterHandler private _handler;

    function version() internal pure virtual returns (uint256);

    function setUp() public {
        // tests/proof/invariants.py plants a hole by its number.
        _handler = new PaymasterHandler(version(), Hole(vm.envOr("INVARIANT_HOLE", uint256(0))));
        _handler.setUp();
        targetContract(address(_handler));
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = PaymasterHandler.step.selector;
        targetSelector(FuzzSelector(address(_handler), selectors));
        targetSender(address(0xf022));
    }

    function invariant_sponsorshipIsBounded() public view {
        assertEq(_handler.violation(), "");
    }

    /// @dev A world in which nothing is let through would keep all rules as well.
    function afterInvariant() public {
        assertGe(
            100 * _handler.landed(), ACCEPTED_PERCENT_MIN * _handler.tried(), "share of operations that are accepted"
        );
        string memory path = vm.envOr("INVARIANT_REPORT", string(""));
        if (bytes(path).length != 0) vm.writeLine(path, _handler.report());
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
