// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Rule} from "test/Harness.sol";
import {Sink, ValidateUserOpHarness} from "test/validator/ValidateUserOpHarness.sol";

/// @notice What the calls may be: entries, value, arguments.
/// @dev Through handleOps of a real EntryPoint, unless the EntryPoint itself would refuse before.
abstract contract ValidateUserOpCalls is ValidateUserOpHarness {
    // ------------------------------------------------------------------------------------------------------- allowlist

    function test_validateUserOp_revert_otherSelector() public {
        _refusesCall(address(arena), abi.encodeCall(Arena.withdrawTo, (thief, 1)));
    }

    function test_validateUserOp_revert_otherTarget() public {
        _refusesCall(address(arena.gold()), abi.encodeCall(IERC20.transfer, (thief, 1 ether)));
    }

    function test_validateUserOp_revert_sameSelectorOfOtherTarget() public {
        Fields memory f = fields();
        grant(f);
        Execution[] memory calls = one(address(arena.gold()), 0, attackData(1, 5));
        // The hint of the entry with that selector, on the arena.
        bytes memory hints = hintsOf(f, attacks(1));
        uint256 entry = uint8(hints[0]);
        submitRefused(
            seal(operation(f, batchData(BATCH_TRY, calls)), hints, pack(f)),
            abi.encodeWithSelector(
                ISessionValidator.CallNotAllowed.selector,
                0,
                calls[0].target,
                Arena.attack.selector,
                f.entries[entry].target,
                f.entries[entry].selector
            )
        );
    }

    function test_validateUserOp_revert_approval() public {
        _refusesCall(address(arena.gold()), abi.encodeCall(IERC20.approve, (thief, 1 ether)));
    }

    function test_validateUserOp_revert_approvalForAll() public {
        _refusesCall(address(arena.item()), abi.encodeWithSignature("setApprovalForAll(address,bool)", thief, true));
    }

    function test_validateUserOp_revert_secondCallOfBatch() public {
        Fields memory f = fields();
        grant(f);
        Execution[] memory calls = attacks(2);
        calls[1] = Execution(address(arena.gold()), 0, abi.encodeCall(IERC20.transfer, (thief, 1 ether)));
        submitRefused(sealedBatch(f, calls), _notAllowed(f, 1, calls[1]));
    }

    function test_validateUserOp_revert_wrongHint() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Execution[] memory calls = attacks(1);
        uint8 right = uint8(hintsOf(f, calls)[0]);
        uint8 wrong = (right + 1) % 3;
        PackedUserOperation memory op = seal(operation(f, batchData(BATCH, calls)), abi.encodePacked(wrong), scope);
        submitRefused(
            op,
            abi.encodeWithSelector(
                ISessionValidator.CallNotAllowed.selector,
                0,
                address(arena),
                Arena.attack.selector,
                f.entries[wrong].target,
                f.entries[wrong].selector
            )
        );
    }

    function test_validateUserOp_revert_hintOutOfRange() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = seal(operation(f, batchData(BATCH, attacks(1))), hex"03", scope);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.HintOutOfRange.selector, 0, 3, 3));
    }

    function test_validateUserOp_revert_targetForbidden() public {
        address[7] memory forbidden = [
            address(0),
            address(account),
            address(validator),
            0x5FF137D4b0FDCD49DcA30c7CF57E578a026d2789,
            0x0000000071727De22E5E9d8BAf0edAc6f37da032,
            0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108,
            0x433709009B8330FDa32311DF1C2AFA402eD8D009
        ];
        Fields memory f = fields();
        grant(f);
        for (uint256 i = 0; i < forbidden.length; ++i) {
            submitRefused(
                sealedBatch(f, one(forbidden[i], 0, moveData())),
                abi.encodeWithSelector(ISessionValidator.TargetForbidden.selector, forbidden[i])
            );
        }
    }

    // ----------------------------------------------------------------------------------------------------------- value

    function test_validateUserOp_revert_valueByDefault() public {
        Fields memory f = fields();
        grant(f);
        submitRefused(
            sealedBatch(f, one(address(arena), 1, moveData())),
            abi.encodeWithSelector(ISessionValidator.ValuePerCallExceeded.selector, 0, 1, 0)
        );
    }

    function test_validateUserOp_revert_valuePerCallExceeded() public {
        Fields memory f = _valueFields();
        grant(f);
        submitRefused(
            sealedBatch(f, _payments(f, 1, 0.2 ether + 1)),
            abi.encodeWithSelector(ISessionValidator.ValuePerCallExceeded.selector, 0, 0.2 ether + 1, 0.2 ether)
        );
    }

    function test_validateUserOp_success_valueWithinCap() public {
        Fields memory f = _valueFields();
        bytes memory scope = grant(f);
        Execution[] memory calls = _payments(f, 2, 0.2 ether);
        submit(sealedBatch(f, calls));
        assertEq(f.entries[0].target.balance, 0.4 ether);
        assertEq(sessionOf(scope).lane0, 0.4 ether);
        assertEq(sessionOf(scope).lane1, 0);
    }

    function test_validateUserOp_revert_valueTotalExceeded() public {
        Fields memory f = _valueFields();
        grant(f);
        submit(sealedBatch(f, _payments(f, 2, 0.2 ether)));
        submitRefused(
            sealedBatch(f, _payments(f, 1, 0.1 ether + 1)),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 0, 0, 0.5 ether + 1, 0.5 ether)
        );
        submit(sealedBatch(f, _payments(f, 1, 0.1 ether)));
    }

    function test_validateUserOp_revert_valueTotalExceededInOneBatch() public {
        Fields memory f = _valueFields();
        grant(f);
        submitRefused(
            sealedBatch(f, _payments(f, 3, 0.2 ether)),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 2, 0, 0.6 ether, 0.5 ether)
        );
    }

    // ----------------------------------------------------------------------------------------------------------- rules

    function test_validateUserOp_revert_equal() public {
        _rule(Rule(0, 0, 0, 9), attackData(9, 1), attackData(8, 1), 8);
    }

    function test_validateUserOp_revert_notEqual() public {
        _rule(Rule(0, 1, 0, 9), attackData(8, 1), attackData(9, 1), 9);
    }

    function test_validateUserOp_revert_atMost() public {
        _rule(Rule(1, 2, 0, 50), attackData(1, 50), attackData(1, 51), 51);
    }

    function test_validateUserOp_revert_atLeast() public {
        _rule(Rule(1, 3, 0, 50), attackData(1, 50), attackData(1, 49), 49);
    }

    function test_validateUserOp_revert_pinned() public {
        Fields memory f = fieldsWithRule(Arena.claimLoot.selector, Rule(0, 5, 0, 0));
        grant(f);
        submitRefused(
            sealedBatch(f, one(claimData(thief))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 0, 5, uint160(thief), 0)
        );
        vm.prank(address(account));
        arena.attack(1, 10);
        submit(sealedBatch(f, one(claimData(address(account)))));
        assertEq(arena.gold().balanceOf(address(account)), 1010 ether);
    }

    function test_validateUserOp_revert_pinnedWithDirtyBits() public {
        Fields memory f = fieldsWithRule(Arena.claimLoot.selector, Rule(0, 5, 0, 0));
        grant(f);
        uint256 dirty = uint160(address(account)) | 1 << 160;
        submitRefused(
            sealedBatch(f, one(abi.encodePacked(Arena.claimLoot.selector, dirty))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 0, 5, dirty, 0)
        );
    }

    function test_validateUserOp_revert_oneOf() public {
        Rule[] memory rules = new Rule[](4);
        rules[0] = Rule(0, 4, 0, 3);
        rules[1] = Rule(0, 4, 0, 5);
        rules[2] = Rule(1, 4, 0, 10);
        rules[3] = Rule(1, 2, 0, 99);
        Fields memory f = fieldsWithRules(Arena.attack.selector, rules);
        grant(f);
        submitRefused(
            sealedBatch(f, one(attackData(4, 10))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 0, 4, 4, 3)
        );
        // The neighbour on another argument is a condition of its own.
        submitRefused(
            sealedBatch(f, one(attackData(5, 3))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 1, 4, 3, 10)
        );
        submit(sealedBatch(f, two(attackData(3, 10), attackData(5, 10))));
        assertEq(actions(), 2);
    }

    function test_validateUserOp_revert_neighbourOfAnotherCondition() public {
        // Behind a one-of rule, another condition on the same argument is no alternative.
        Rule[] memory rules = new Rule[](2);
        rules[0] = Rule(1, 4, 0, 10);
        rules[1] = Rule(1, 3, 0, 11);
        Fields memory f = fieldsWithRules(Arena.attack.selector, rules);
        grant(f);
        submitRefused(
            sealedBatch(f, one(attackData(1, 10))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 1, 3, 10, 11)
        );
    }

    function test_validateUserOp_revert_neighbourOfAnotherEntry() public {
        // The rule behind an entry's last one is another entry's, even if it is on the same argument.
        Fields memory f = fields();
        f.rules = new Rule[](2);
        f.rules[0] = Rule(0, 4, 0, 3);
        f.rules[1] = Rule(0, 4, 0, 4);
        f.entries = new Entry[](2);
        f.entries[0] = Entry(address(arena), Arena.attack.selector, 0, 1);
        f.entries[1] = Entry(address(arena), Arena.craft.selector, 1, 1);
        _sort(f.entries);
        grant(f);
        submitRefused(
            sealedBatch(f, one(attackData(4, 10))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 0, 4, 4, 3)
        );
        submit(sealedBatch(f, one(attackData(3, 10))));
        assertEq(actions(), 1);
    }

    function test_validateUserOp_revert_laterRule() public {
        Rule[] memory rules = new Rule[](2);
        rules[0] = Rule(0, 3, 0, 2);
        rules[1] = Rule(1, 2, 0, 7);
        Fields memory f = fieldsWithRules(Arena.attack.selector, rules);
        grant(f);
        submitRefused(
            sealedBatch(f, one(attackData(2, 8))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 0, 1, 2, 8, 7)
        );
        submit(sealedBatch(f, one(attackData(2, 7))));
    }

    function test_validateUserOp_revert_rulesOfSecondEntry() public {
        Fields memory f = fields();
        f.rules = new Rule[](2);
        for (uint256 i = 0; i < f.entries.length; ++i) {
            if (f.entries[i].selector == Arena.attack.selector) {
                (f.entries[i].ruleFrom, f.entries[i].ruleCount) = (0, 1);
            }
            if (f.entries[i].selector == Arena.craft.selector) {
                (f.entries[i].ruleFrom, f.entries[i].ruleCount) = (1, 1);
            }
        }
        f.rules[0] = Rule(0, 0, 0, 1);
        f.rules[1] = Rule(0, 0, 0, 2);
        grant(f);
        submitRefused(
            sealedBatch(f, two(attackData(1, 1), craftData(1, 1))),
            abi.encodeWithSelector(ISessionValidator.ArgumentRefused.selector, 1, 0, 0, 1, 2)
        );
        submit(sealedBatch(f, two(attackData(1, 1), craftData(2, 1))));
    }

    function test_validateUserOp_revert_argumentMissing() public {
        Fields memory f = fieldsWithRule(Arena.attack.selector, Rule(1, 2, 0, 50));
        grant(f);
        bytes memory short = abi.encodePacked(Arena.attack.selector, uint256(1), bytes31(0));
        submitRefused(
            sealedBatch(f, one(short)), abi.encodeWithSelector(ISessionValidator.ArgumentMissing.selector, 0, 1, 67)
        );
    }

    function test_validateUserOp_revert_cumulative() public {
        Fields memory f = fieldsWithRule(Arena.craft.selector, Rule(1, 6, 1, 100));
        bytes memory scope = grant(f);
        submit(sealedBatch(f, two(craftData(1, 30), craftData(2, 30))));
        assertEq(sessionOf(scope).lane0, 0);
        assertEq(sessionOf(scope).lane1, 60);
        submitRefused(
            sealedBatch(f, one(craftData(1, 41))),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 0, 1, 101, 100)
        );
        submit(sealedBatch(f, one(craftData(1, 40))));
        assertEq(sessionOf(scope).lane1, 100);
    }

    function test_validateUserOp_revert_cumulativeOverflow() public {
        Fields memory f = fieldsWithRule(Arena.craft.selector, Rule(1, 6, 0, 100));
        grant(f);
        submit(sealedBatch(f, one(craftData(1, 30))));
        submitRefused(
            sealedBatch(f, one(craftData(1, type(uint256).max - 10))),
            abi.encodeWithSelector(ISessionValidator.CapExceeded.selector, 0, 0, type(uint256).max - 10, 100)
        );
    }

    function test_validateUserOp_success_bothLanes() public {
        Fields memory f = _valueFields();
        f.rules = new Rule[](1);
        f.rules[0] = Rule(0, 6, 1, 10);
        f.entries[0].selector = Sink.payFor.selector;
        f.entries[0].ruleCount = 1;
        bytes memory scope = grant(f);
        Execution[] memory calls = one(f.entries[0].target, 3, abi.encodeCall(Sink.payFor, (4)));
        submit(sealedBatch(f, calls));
        submit(sealedBatch(f, calls));
        assertEq(sessionOf(scope).lane0, 6);
        assertEq(sessionOf(scope).lane1, 8);
    }
}
