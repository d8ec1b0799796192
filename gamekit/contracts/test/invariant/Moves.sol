// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IEntryPointNonces, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Session} from "src/ISessionValidator.sol";
import {ScopeLib} from "src/ScopeLib.sol";
import {Entry, Fields, IEntryPointUnderTest, Rule} from "test/Harness.sol";
import {Draft, Granted} from "./Book.sol";
import {Dice} from "./Dice.sol";
import {Game} from "./Games.sol";
import {Grants} from "./Grants.sol";

/// @notice An operation while it is being made.
struct Plan {
    uint256 player;
    /// The session that it is made for.
    uint256 session;
    Fields f;
    /// What is left of the session, as the validator tells.
    uint256 usesLeft;
    uint256 gasWeiLeft;
    uint256[2] lanesLeft;
    // What will be sealed.
    bytes32 mode;
    Execution[] calls;
    bytes hints;
    /// As the signature shows it.
    bytes scope;
    /// What proves entries of a long list.
    bytes witnesses;
    uint256 key;
    uint48 claimedAt;
    uint48 deadline;
    PackedUserOperation op;
    uint256 trick;
}

/// @title Operations that must be accepted: what a thief does who plays by the rules, and where every trick begins.
abstract contract Moves is Grants {
    uint128 internal constant OPERATION_CALL_GAS = 3_000_000;
    /// @dev How many of the latest sessions are looked through for one that can be used.
    uint256 private constant LATEST = 40;

    /// @dev Whether the validator is installed on a player's account.
    bool[PLAYERS] internal removed;

    /// @dev Whether the book says that the session can be used now.
    function isLive(uint256 session) internal view returns (bool) {
        Granted storage g = granted[session];
        if (g.revoked || g.epoch != players[g.player].epoch || removed[g.player] || g.player == VICTIM) return false;
        return block.timestamp > g.validAfter && block.timestamp <= g.validUntil;
    }

    /// @dev A plan for one to callsMax calls within a live session; a new session is granted if none is found.
    function _plan(Dice memory dice) internal returns (Plan memory plan) {
        uint256 latest = granted.length < LATEST ? granted.length : LATEST;
        for (uint256 tries = 0; tries < 6; ++tries) {
            uint256 session = granted.length - 1 - dice.roll(latest);
            if (isLive(session) && _planFor(session, plan, dice)) return plan;
        }
        return _planOfNew(dice.roll(KINDS), dice);
    }

    /// @dev A plan within a session of this kind; a new one is granted if there is none that is live and not used up.
    function _planOf(uint256 kind, Dice memory dice) internal returns (Plan memory plan) {
        uint256 latest = granted.length < LATEST ? granted.length : LATEST;
        uint256 start = granted.length - 1 - dice.roll(latest);
        for (uint256 i = 0; i < latest && i <= start; ++i) {
            uint256 session = start - i;
            if (granted[session].kind == kind && isLive(session) && _planFor(session, plan, dice)) return plan;
        }
        return _planOfNew(kind, dice);
    }

    function _planOfNew(uint256 kind, Dice memory dice) private returns (Plan memory plan) {
        uint256 player = dice.roll(VICTIM);
        if (removed[player]) _install(player);
        uint256 session = NO_SESSION;
        // Two equal sessions can follow from the dice; the second would not be granted.
        while (session == NO_SESSION) session = _grantKind(player, kind, dice);
        if (!_planFor(session, plan, dice)) _breach("a new session that allows nothing");
    }

    /// @dev Fills the plan, if anything is left of the session.
    function _planFor(uint256 session, Plan memory plan, Dice memory dice) internal view returns (bool) {
        Granted storage g = granted[session];
        plan.player = g.player;
        plan.session = session;
        plan.f = fieldsOf(session);
        plan.scope = g.shown;
        plan.key = g.key;
        plan.claimedAt = uint48(block.timestamp - 1);
        plan.deadline = uint48(block.timestamp + dice.between(0, 60));
        uint256 calls = _readRoom(plan);
        plan.op = _blank(plan);
        if (calls == 0 || plan.gasWeiLeft < _costWei(plan.op)) return false;
        _choose(plan, dice.between(1, calls), dice);
        return true;
    }

    /// @dev What is left of the session; gives the calls that can be made at once.
    function _readRoom(Plan memory plan) private view returns (uint256 calls) {
        Fields memory f = plan.f;
        address owned = address(players[plan.player].account);
        Session memory s = validator.sessionOf(owned, validator.permissionIdOf(owned, granted[plan.session].scope));
        plan.usesLeft = f.usesMax - s.uses;
        plan.gasWeiLeft = f.gasBudgetWei - s.gasSpentWei;
        plan.lanesLeft[0] = f.valueTotalWeiMax - (f.valueTotalWeiMax == 0 ? 0 : s.lane0);
        for (uint256 i = 0; i < f.rules.length; ++i) {
            if (f.rules[i].condition != ScopeLib.CUMULATIVE) continue;
            plan.lanesLeft[f.rules[i].lane] = f.rules[i].value - (f.rules[i].lane == 0 ? s.lane0 : s.lane1);
        }
        calls = plan.usesLeft < f.callsMax ? plan.usesLeft : f.callsMax;
        if (f.rateIntervalMs == 0) return calls;
        uint256 claimedMs = uint256(plan.claimedAt) * 1000;
        uint256 aheadMs = s.arrivalMs > claimedMs ? s.arrivalMs - claimedMs : 0;
        uint256 aheadMsMax = uint256(f.burst) * f.rateIntervalMs;
        // What was claimed in this very second may be ahead of what this plan claims, the second before, by more.
        uint256 atOnce = aheadMs < aheadMsMax ? (aheadMsMax - aheadMs) / f.rateIntervalMs : 0;
        if (atOnce < calls) calls = atOnce;
    }

    /// @dev The operation but for its calls and its signature.
    function _blank(Plan memory plan) internal view returns (PackedUserOperation memory op) {
        op.sender = address(players[plan.player].account);
        op.nonce = IEntryPointNonces(address(players[plan.player].entryPoint)).getNonce(op.sender, plan.f.nonceKey);
        op.accountGasLimits = bytes32(abi.encodePacked(VERIFICATION_GAS, OPERATION_CALL_GAS));
        op.preVerificationGas = PRE_VERIFICATION_GAS;
        op.gasFees = bytes32(abi.encodePacked(uint128(FEE), uint128(FEE)));
        if (plan.f.paymaster != address(0)) op.paymasterAndData = _paymasterData(plan.f.paymaster);
    }

    function _paymasterData(address payer) internal pure returns (bytes memory) {
        return abi.encodePacked(payer, uint128(100_000), uint128(0));
    }

    /// @dev What an operation can cost: the harness' own sum does not know paymasters.
    function _costWei(PackedUserOperation memory op) internal pure returns (uint256) {
        uint256 gas = uint256(VERIFICATION_GAS) + OPERATION_CALL_GAS + PRE_VERIFICATION_GAS;
        if (op.paymasterAndData.length != 0) gas += 100_000;
        return gas * FEE;
    }

    /// @dev Chooses mode and calls, and encodes them.
    function _choose(Plan memory plan, uint256 count, Dice memory dice) internal view {
        plan.calls = new Execution[](count);
        for (uint256 i = 0; i < count; ++i) {
            plan.calls[i] = _move(plan, dice.roll(plan.f.entries.length), dice);
        }
        bool batch = count > 1 || dice.chance(40);
        bool attempt = dice.chance(50);
        plan.mode = batch ? (attempt ? BATCH_TRY : BATCH) : (attempt ? SINGLE_TRY : SINGLE);
        _encode(plan);
    }

    /// @dev The call data and hints of the plan's mode and calls.
    function _encode(Plan memory plan) internal view {
        bool batch = plan.mode == BATCH || plan.mode == BATCH_TRY;
        plan.op.callData = batch ? batchData(plan.mode, plan.calls) : singleData(plan.mode, plan.calls[0]);
        plan.hints = hintsOf(plan.f, plan.calls);
        if (granted[plan.session].kind == LONG) _witness(plan);
    }

    /// @dev One witness for each entry that is used, in order of first use; the hints count them.
    function _witness(Plan memory plan) private pure {
        uint256[] memory known = new uint256[](plan.f.entries.length);
        uint8 count = 0;
        plan.witnesses = "";
        for (uint256 i = 0; i < plan.hints.length; ++i) {
            uint256 entry = uint8(plan.hints[i]);
            if (known[entry] == 0) {
                plan.witnesses = bytes.concat(plan.witnesses, leafOf(plan.f, entry), pathOf(plan.f, entry));
                known[entry] = ++count;
            }
            plan.hints[i] = bytes1(uint8(known[entry] - 1));
        }
    }

    /// @dev One call of this entry that keeps all its rules, and takes what it uses from the lanes.
    function _move(Plan memory plan, uint256 entry, Dice memory dice) internal view returns (Execution memory call) {
        Entry memory e = plan.f.entries[entry];
        uint256[] memory words = _words(e.selector, dice);
        for (uint256 i = e.ruleFrom; i < uint256(e.ruleFrom) + e.ruleCount; ++i) {
            Rule memory rule = plan.f.rules[i];
            words[rule.argument] = _obey(plan, e, rule, words[rule.argument], dice);
        }
        call.target = e.target;
        call.callData = abi.encodePacked(e.selector, words);
        if (e.selector != Game.stake.selector) return call;
        uint256 most = plan.f.valuePerCallWeiMax;
        if (plan.lanesLeft[0] < most) most = plan.lanesLeft[0];
        call.value = dice.chance(80) ? dice.between(0, most) : most;
        plan.lanesLeft[0] -= call.value;
    }

    /// @dev Arguments as a player could choose them.
    function _words(bytes4 selector, Dice memory dice) internal pure returns (uint256[] memory words) {
        if (selector == Game.stake.selector) return new uint256[](0);
        bool two =
            selector == Game.attack.selector || selector == Game.craft.selector || selector == Game.claim.selector;
        words = new uint256[](two ? 2 : 1);
        words[0] = dice.between(1, 40);
        if (two) words[1] = dice.between(1, 40);
        if (selector == Game.enter.selector) words[0] = dice.between(0.01 ether, 0.2 ether);
    }

    function _obey(Plan memory plan, Entry memory e, Rule memory rule, uint256 word, Dice memory dice)
        private
        view
        returns (uint256)
    {
        if (rule.condition == ScopeLib.PINNED) return uint160(address(players[plan.player].account));
        if (rule.condition == ScopeLib.EQUAL) return rule.value;
        if (rule.condition == ScopeLib.NOT_EQUAL) return word == rule.value ? word + 1 : word;
        if (rule.condition == ScopeLib.AT_MOST) return word > rule.value ? rule.value : word;
        if (rule.condition == ScopeLib.AT_LEAST) return word < rule.value ? rule.value : word;
        if (rule.condition == ScopeLib.CUMULATIVE) {
            if (word > plan.lanesLeft[rule.lane]) word = plan.lanesLeft[rule.lane];
            plan.lanesLeft[rule.lane] -= word;
            return word;
        }
        Rule memory other = plan.f.rules[e.ruleFrom + dice.roll(e.ruleCount)];
        return other.condition == ScopeLib.ONE_OF ? other.value : rule.value;
    }

    /// @dev Signs the plan as it stands.
    function _seal(Plan memory plan) internal returns (Draft memory draft) {
        uint256 sender = _playerOf(plan.op.sender);
        IEntryPointUnderTest on = players[plan.player].entryPoint;
        bytes32 permissionId = keccak256(abi.encodePacked(block.chainid, validator, plan.op.sender, plan.scope));
        // The contract says itself what is to be signed; that these are the right bytes is the business of other suites.
        bytes32 digest =
            validator.operationDigest(on.getUserOpHash(plan.op), permissionId, plan.claimedAt, plan.deadline);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(plan.key, digest);
        draft.op = plan.op;
        draft.op.signature =
            abi.encodePacked(plan.claimedAt, plan.deadline, r, s, v, plan.hints, plan.scope, plan.witnesses);
        draft.session = sender == PLAYERS ? NO_SESSION : sessionWith(sender, plan.scope);
        (draft.key, draft.claimedAt, draft.deadline) = (plan.key, plan.claimedAt, plan.deadline);
        draft.trick = plan.trick;
    }

    /// @dev The owner removes the session validator: all sessions end.
    function _uninstall(uint256 player) internal {
        // Nexus keeps its validators in a list, and wants to be told what stands before: the start of the list.
        bytes memory data = players[player].nexus ? abi.encode(address(1), bytes("")) : bytes("");
        vm.prank(address(players[player].entryPoint));
        players[player].account.uninstallModule(1, address(validator), data);
        ++players[player].epoch;
        removed[player] = true;
    }

    function _install(uint256 player) internal {
        vm.prank(address(players[player].entryPoint));
        players[player].account.installModule(1, address(validator), abi.encodePacked(ownerValidator));
        ++players[player].epoch;
        removed[player] = false;
    }
}
