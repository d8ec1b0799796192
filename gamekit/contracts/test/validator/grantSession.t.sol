// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ISessionValidator, Session, SessionState} from "src/ISessionValidator.sol";
import {OwnerValidator} from "src/OwnerValidator.sol";
import {SessionValidator} from "src/SessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness, Rule} from "test/Harness.sol";

contract GrantSessionTest is Harness {
    function test_grantSession_success_records() public {
        bytes memory scope = pack(fields());
        vm.prank(address(account));
        bytes32 permissionId = validator.grantSession(scope, none);
        assertEq(permissionId, permissionIdOf(scope));
        Session memory session = sessionOf(scope);
        assertEq(uint256(session.state), uint256(SessionState.Live));
        assertEq(session.epoch, 1);
        assertEq(session.uses, 0);
        assertEq(session.gasSpentWei, 0);
    }

    function test_grantSession_success_emitsEvent() public {
        Fields memory f = fields();
        bytes memory scope = pack(f);
        vm.expectEmit(address(validator));
        emit ISessionValidator.SessionGranted(
            address(account), permissionIdOf(scope), signer, revoker, f.validAfter, f.validUntil, 1, scope
        );
        vm.prank(address(account));
        validator.grantSession(scope, none);
    }

    function test_grantSession_success_longestAndShortest() public {
        Fields memory f = fields();
        f.validUntil = uint48(NOW + 30 days);
        grant(f);
        f.validUntil = uint48(NOW);
        grant(f);
    }

    function test_grantSession_revert_moduleNotInstalled() public {
        bytes memory scope = pack(fields());
        vm.prank(thief);
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.ModuleNotInstalled.selector, thief));
        validator.grantSession(scope, none);
    }

    function test_grantSession_revert_alreadyGranted() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        _refuses(
            scope,
            abi.encodeWithSelector(
                ISessionValidator.SessionAlreadyGranted.selector, permissionIdOf(scope), SessionState.Live
            )
        );
    }

    function test_grantSession_revert_revokedBefore() public {
        bytes memory scope = pack(fields());
        vm.prank(address(account));
        validator.revokeSession(permissionIdOf(scope));
        _refuses(
            scope,
            abi.encodeWithSelector(
                ISessionValidator.SessionAlreadyGranted.selector, permissionIdOf(scope), SessionState.Revoked
            )
        );
    }

    function test_grantSession_revert_deadByEpoch() public {
        bytes memory scope = grant(fields());
        vm.prank(address(account));
        validator.revokeAllSessions();
        _refuses(
            scope,
            abi.encodeWithSelector(
                ISessionValidator.SessionAlreadyGranted.selector, permissionIdOf(scope), SessionState.Live
            )
        );
    }

    // ---------------------------------------------------------------------------------------------------- shape

    function test_grantSession_revert_scopeTooShort() public {
        _refuses(new bytes(191), abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, 191, 192));
    }

    function test_grantSession_revert_scopeLengthMismatch() public {
        bytes memory scope = pack(fields());
        _refuses(
            bytes.concat(scope, hex"00"),
            abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, scope.length + 1, scope.length)
        );
    }

    function test_grantSession_revert_scopeVersionUnknown() public {
        Fields memory f = fields();
        f.version = 2;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.ScopeVersionUnknown.selector, 2, 1));
    }

    function test_grantSession_revert_scopeReservedNotZero() public {
        Fields memory f = fieldsWithRule(Arena.attack.selector, Rule(0, 0, 0, 1));
        // Last reserved byte of w1, w5, the entry and the rule.
        uint256[4] memory positions = [uint256(63), 191, 223, 255];
        for (uint256 i = 0; i < positions.length; ++i) {
            bytes memory scope = pack(f);
            scope[positions[i]] = 0x01;
            _refuses(
                scope,
                abi.encodeWithSelector(ISessionValidator.ScopeReservedNotZero.selector, positions[i] / 32 * 32, 1)
            );
        }
    }

    function testFuzz_grantSession_revert_anyReservedByte(uint256 seed, uint8 change) public {
        vm.assume(change != 0);
        Fields memory f = fieldsWithRule(Arena.attack.selector, Rule(0, 0, 0, 1));
        bytes memory scope = pack(f);
        // 6 bytes of w1, 12 of w5, 6 of the entry, 29 of the rule.
        uint256 index = seed % 53;
        uint256 position =
            index < 6 ? 58 + index : index < 18 ? 180 + index - 6 : index < 24 ? 218 + index - 18 : 227 + index - 24;
        scope[position] = bytes1(change);
        vm.prank(address(account));
        vm.expectPartialRevert(ISessionValidator.ScopeReservedNotZero.selector);
        validator.grantSession(scope, none);
    }

    function test_grantSession_revert_signerInvalid() public {
        address[3] memory signers = [address(0), address(account), address(validator)];
        for (uint256 i = 0; i < signers.length; ++i) {
            Fields memory f = fields();
            f.signer = signers[i];
            _refuses(f, abi.encodeWithSelector(ISessionValidator.SignerInvalid.selector, signers[i]));
        }
    }

    // ----------------------------------------------------------------------------------------------- time frame

    function test_grantSession_revert_timeFrameEmpty() public {
        Fields memory f = fields();
        f.validAfter = f.validUntil;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.TimeFrameEmpty.selector, f.validUntil, f.validUntil));
    }

    function test_grantSession_revert_validUntilZero() public {
        Fields memory f = fields();
        f.validAfter = f.validUntil = 0;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.TimeFrameEmpty.selector, 0, 0));
    }

    function test_grantSession_revert_timeFrameOver() public {
        Fields memory f = fields();
        f.validUntil = uint48(NOW - 1);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.TimeFrameOver.selector, NOW - 1, NOW));
    }

    function test_grantSession_revert_timeFrameTooLong() public {
        Fields memory f = fields();
        f.validUntil = uint48(NOW + 30 days + 1);
        _refuses(
            f, abi.encodeWithSelector(ISessionValidator.TimeFrameTooLong.selector, NOW + 30 days + 1, NOW + 30 days)
        );
    }

    // --------------------------------------------------------------------------------------------------- limits

    function test_grantSession_revert_callsMaxInvalid() public {
        Fields memory f = fields();
        f.callsMax = 0;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.CallsMaxInvalid.selector, 0, 64));
        f.callsMax = 65;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.CallsMaxInvalid.selector, 65, 64));
    }

    function test_grantSession_revert_usesMaxInvalid() public {
        Fields memory f = fields();
        f.usesMax = 0;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.UsesMaxInvalid.selector, 0, 1));
    }

    function test_grantSession_revert_burstTooSmall() public {
        Fields memory f = fields();
        (f.rateIntervalMs, f.burst) = (1, 63);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.BurstTooSmall.selector, 63, 64));
    }

    function test_grantSession_revert_rateTooSlow() public {
        Fields memory f = fields();
        (f.rateIntervalMs, f.burst) = (type(uint32).max, type(uint16).max);
        uint256 arrivalMs = uint256(f.validUntil) * 1000 + uint256(type(uint32).max) * type(uint16).max;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.RateTooSlow.selector, arrivalMs, type(uint48).max));
    }

    function test_grantSession_revert_gasLimitInvalid() public {
        Fields memory f = fields();
        f.gasPerOperationWeiMax = 0;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.GasLimitInvalid.selector, 0, 1 ether));
        f.gasPerOperationWeiMax = 1 ether + 1;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.GasLimitInvalid.selector, 1 ether + 1, 1 ether));
    }

    function test_grantSession_revert_valueLimitInvalid() public {
        Fields memory f = fields();
        (f.valuePerCallWeiMax, f.valueTotalWeiMax) = (2, 1);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.ValueLimitInvalid.selector, 2, 1));
        (f.valuePerCallWeiMax, f.valueTotalWeiMax) = (0, 1);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.ValueLimitInvalid.selector, 0, 1));
    }

    function test_grantSession_success_slowestRateThatFits() public {
        // The clock's furthest millisecond is the last one of 48 bits.
        Fields memory f = fields();
        (f.validUntil, f.burst, f.rateIntervalMs) = (uint48(NOW + 10_524), 65_535, 4_267_566_433);
        assertEq(uint256(f.validUntil) * 1000 + uint256(f.burst) * f.rateIntervalMs, type(uint48).max);
        grant(f);
        ++f.rateIntervalMs;
        uint256 arrivalMs = uint256(type(uint48).max) + f.burst;
        _refuses(f, abi.encodeWithSelector(ISessionValidator.RateTooSlow.selector, arrivalMs, type(uint48).max));
    }

    function test_grantSession_success_limitsThatMeet() public {
        Fields memory f = fields();
        f.gasPerOperationWeiMax = f.gasBudgetWei;
        (f.valuePerCallWeiMax, f.valueTotalWeiMax) = (1, 1);
        grant(f);
    }

    // -------------------------------------------------------------------------------------------------- entries

    function test_grantSession_revert_entriesMissing() public {
        Fields memory f = fields();
        f.entries = new Entry[](0);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.EntriesMissing.selector));
    }

    function test_grantSession_revert_entriesNotAscending() public {
        Fields memory f = fields();
        (f.entries[0], f.entries[1]) = (f.entries[1], f.entries[0]);
        _refuses(
            f,
            abi.encodeWithSelector(
                ISessionValidator.EntriesNotAscending.selector, 1, _keyOf(f.entries[1]), _keyOf(f.entries[0])
            )
        );
    }

    function test_grantSession_revert_entryTwice() public {
        Fields memory f = fields();
        f.entries[1] = f.entries[0];
        uint256 key = _keyOf(f.entries[0]);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.EntriesNotAscending.selector, 1, key, key));
    }

    function test_grantSession_revert_rulesOutOfRange() public {
        Fields memory f = fields();
        (f.entries[2].ruleFrom, f.entries[2].ruleCount) = (255, 255);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.RulesOutOfRange.selector, 2, 510, 0));
    }

    function test_grantSession_revert_selectorDenied() public {
        Fields memory f = _entry(address(arena), Arena.withdraw.selector);
        _refuses(
            f,
            abi.encodeWithSelector(ISessionValidator.SelectorDenied.selector, address(arena), Arena.withdraw.selector)
        );
    }

    function test_grantSession_revert_targetForbidden() public {
        address[7] memory forbidden = [
            address(0),
            address(account),
            address(validator),
            0x5FF137D4b0FDCD49DcA30c7CF57E578a026d2789,
            0x0000000071727De22E5E9d8BAf0edAc6f37da032,
            0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108,
            0x433709009B8330FDa32311DF1C2AFA402eD8D009
        ];
        for (uint256 i = 0; i < forbidden.length; ++i) {
            _refuses(
                _entry(forbidden[i], Arena.move.selector),
                abi.encodeWithSelector(ISessionValidator.TargetForbidden.selector, forbidden[i])
            );
        }
    }

    function test_grantSession_revert_targetWithoutCode() public {
        _refuses(
            _entry(thief, Arena.move.selector),
            abi.encodeWithSelector(ISessionValidator.TargetWithoutCode.selector, thief)
        );
    }

    function test_grantSession_revert_precompile() public {
        _refuses(
            _entry(address(4), Arena.move.selector),
            abi.encodeWithSelector(ISessionValidator.TargetWithoutCode.selector, address(4))
        );
    }

    function test_grantSession_revert_targetDelegated() public {
        vm.etch(thief, abi.encodePacked(hex"ef0100", address(arena)));
        _refuses(
            _entry(thief, Arena.move.selector),
            abi.encodeWithSelector(ISessionValidator.TargetDelegated.selector, thief)
        );
    }

    function test_grantSession_revert_targetIsToken20() public {
        _refusesToken(address(arena.gold()));
    }

    function test_grantSession_revert_targetIsToken721() public {
        _refusesToken(address(arena.item()));
    }

    function test_grantSession_revert_targetIsToken1155() public {
        _refusesToken(address(new LooksLikeToken(0xd9b67a26)));
    }

    function test_grantSession_revert_targetIsToken6909() public {
        _refusesToken(address(new LooksLikeToken(0x0f632fb3)));
    }

    function test_grantSession_revert_secondTargetIsToken() public {
        Fields memory f = fields();
        f.entries = new Entry[](2);
        f.entries[0] = Entry(address(arena), Arena.move.selector, 0, 0);
        f.entries[1] = Entry(address(arena.gold()), Arena.move.selector, 0, 0);
        _sort(f.entries);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.TargetIsToken.selector, address(arena.gold())));
    }

    function test_grantSession_success_gameThatAnswersNothing() public {
        grant(_entry(address(new Reverts()), Arena.move.selector));
    }

    function test_grantSession_success_gameThatAnswersVeryMuch() public {
        grant(_entry(address(new Bomb()), Arena.move.selector));
    }

    function testFuzz_grantSession_revert_tokenWhateverTheGas(uint256 gasLimit) public {
        // With little gas the probe of the token may fail; then so does the grant.
        bytes memory scope = pack(_entry(address(arena.gold()), Arena.move.selector));
        gasLimit = bound(gasLimit, 20_000, 300_000);
        vm.prank(address(account));
        (bool granted,) =
            address(validator).call{gas: gasLimit}(abi.encodeCall(ISessionValidator.grantSession, (scope, none)));
        assertFalse(granted);
    }

    function test_grantSession_revert_targetIsModule() public {
        _refuses(
            _entry(address(ownerValidator), Arena.move.selector),
            abi.encodeWithSelector(ISessionValidator.TargetIsModule.selector, address(ownerValidator), 1)
        );
    }

    function test_grantSession_revert_targetIsExecutor() public {
        Executor executor = new Executor();
        vm.prank(address(account));
        account.installModule(2, address(executor), "");
        _refuses(
            _entry(address(executor), Arena.move.selector),
            abi.encodeWithSelector(ISessionValidator.TargetIsModule.selector, address(executor), 2)
        );
    }

    function test_grantSession_revert_targetIsHook() public {
        // The reference account has no hooks; others do, and say so.
        bytes memory question =
            abi.encodeCall(IERC7579ModuleConfig.isModuleInstalled, (4, address(arena), abi.encodePacked("")));
        vm.mockCall(address(account), question, abi.encode(true));
        _refuses(
            _entry(address(arena), Arena.move.selector),
            abi.encodeWithSelector(ISessionValidator.TargetIsModule.selector, address(arena), 4)
        );
    }

    // ---------------------------------------------------------------------------------------------------- rules

    function test_grantSession_revert_ruleOfUnknownCondition() public {
        _refusesRule(Rule(0, 7, 0, 0));
    }

    function test_grantSession_revert_rulePinnedWithValue() public {
        _refusesRule(Rule(0, 5, 0, 1));
    }

    function test_grantSession_revert_ruleWithNeedlessLane() public {
        _refusesRule(Rule(0, 2, 1, 1));
    }

    function test_grantSession_revert_ruleOfThirdLane() public {
        _refusesRule(Rule(0, 6, 2, 1));
    }

    function test_grantSession_revert_ruleLimitTooLarge() public {
        _refusesRule(Rule(0, 6, 1, 1 << 128));
    }

    function test_grantSession_revert_ruleOnLaneOfValue() public {
        Fields memory f = fieldsWithRule(Arena.attack.selector, Rule(0, 6, 0, 1));
        (f.valuePerCallWeiMax, f.valueTotalWeiMax) = (1, 1);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.RuleInvalid.selector, 0, 6, 1));
        f.rules[0].lane = 1;
        grant(f);
    }

    function test_grantSession_revert_laneLimitsDiffer() public {
        Rule[] memory rules = new Rule[](2);
        rules[0] = Rule(0, 6, 1, 0);
        rules[1] = Rule(1, 6, 1, 9);
        Fields memory f = fieldsWithRules(Arena.attack.selector, rules);
        _refuses(f, abi.encodeWithSelector(ISessionValidator.LaneLimitsDiffer.selector, 1, 9, 0));
        f.rules[0].value = 9;
        grant(f);
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _refuses(Fields memory f, bytes memory reason) private {
        _refuses(pack(f), reason);
    }

    function _refuses(bytes memory scope, bytes memory reason) private {
        vm.prank(address(account));
        vm.expectRevert(reason);
        validator.grantSession(scope, none);
    }

    function _refusesToken(address token) private {
        _refuses(
            _entry(token, Arena.move.selector), abi.encodeWithSelector(ISessionValidator.TargetIsToken.selector, token)
        );
    }

    function _refusesRule(Rule memory rule) private {
        _refuses(
            fieldsWithRule(Arena.attack.selector, rule),
            abi.encodeWithSelector(ISessionValidator.RuleInvalid.selector, 0, rule.condition, rule.value)
        );
    }

    function _entry(address target, bytes4 selector) private view returns (Fields memory f) {
        f = fields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(target, selector, 0, 0);
    }

    function _keyOf(Entry memory e) private pure returns (uint256) {
        return uint192(bytes24(abi.encodePacked(e.target, e.selector)));
    }
}

/// @notice Answers ERC-165 for one interface.
contract LooksLikeToken {
    bytes4 private immutable _interface;

    constructor(bytes4 interfaceId) {
        _interface = interfaceId;
    }

    function supportsInterface(bytes4 interfaceId) external view returns (bool) {
        return interfaceId == _interface;
    }
}

/// @notice Refuses everything.
contract Reverts {
    fallback() external {
        revert();
    }
}

/// @notice Fails with a megabyte of reason.
contract Bomb {
    fallback() external {
        assembly {
            revert(0, 1000000)
        }
    }
}

/// @notice An executor that does nothing.
contract Executor {
    function isModuleType(uint256 moduleTypeId) external pure returns (bool) {
        return moduleTypeId == 2;
    }

    function onInstall(bytes calldata) external {}
}
