// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Handler} from "./Handler.sol";

/// @title Whatever adversaries, owners and time do, in any order: a session can play, and nothing else.
/// @notice `Handler` holds the actions, `Book` what is checked, `World` who is there. tests/proof/invariants.py runs it
/// at length, and again with planted bugs. INVARIANT_REPORT names a file for one line of counts a run.
contract SessionValidatorInvariants is Test {
    /// @dev Least share of operations that must be accepted, in percent: below it, refusals prove little.
    uint256 private constant ACCEPTED_PERCENT_MIN = 20;

    /// @dev Least kinds of acceptances and of refusals that a run must have seen. A campaign must have seen them all.
    uint256 private constant KINDS_MIN = 12;

    Handler private _handler;

    function setUp() public {
        _handler = new Handler();
        targetContract(address(_handler));
        bytes4[] memory selectors = new bytes4[](13);
        selectors[0] = Handler.play.selector;
        selectors[1] = Handler.steal.selector;
        selectors[2] = Handler.smuggle.selector;
        selectors[3] = Handler.intrude.selector;
        selectors[4] = Handler.tamper.selector;
        selectors[5] = Handler.bundle.selector;
        selectors[6] = Handler.replay.selector;
        selectors[7] = Handler.delay.selector;
        selectors[8] = Handler.conspire.selector;
        selectors[9] = Handler.upgrade.selector;
        selectors[10] = Handler.own.selector;
        selectors[11] = Handler.revoke.selector;
        selectors[12] = Handler.wait.selector;
        targetSelector(FuzzSelector(address(_handler), selectors));
        targetSender(address(0xf022));
    }

    function invariant_noHarm() public {
        assertEq(_handler.check(), "");
    }

    function afterInvariant() public {
        assertEq(_handler.checkAll(), "");
        uint256 percent = 100 * _handler.accepted() / (_handler.submitted() + 1);
        assertGe(percent, ACCEPTED_PERCENT_MIN, "share of accepted operations");
        (uint256 acceptances, uint256 refusals) = _handler.kinds();
        assertGe(acceptances, KINDS_MIN, "kinds of accepted operations");
        assertGe(refusals, KINDS_MIN, "reasons of refusals");
        string memory path = vm.envOr("INVARIANT_REPORT", string(""));
        if (bytes(path).length != 0) vm.writeLine(path, _handler.report());
    }
}
