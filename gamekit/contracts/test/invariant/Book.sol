// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Vm} from "forge-std/Vm.sol";
import {IEntryPointUnderTest, Entry, Fields, Rule} from "test/Harness.sol";
import {ScopeLib} from "src/ScopeLib.sol";
import {Arrival} from "./Journal.sol";
import {Player, World} from "./World.sol";

/// @notice A session as it was granted, and what was really done with it.
struct Granted {
    uint256 player;
    /// Which of the kinds of scopes.
    uint256 kind;
    uint256 key;
    uint48 validAfter;
    uint48 validUntil;
    /// abi.encode(Fields): what the owner agreed to.
    bytes fields;
    /// As it was granted, and as signatures show it: the same, unless the list of entries is long.
    bytes scope;
    bytes shown;
    /// The account's epoch at the grant, as the book counts it.
    uint256 epoch;
    bool revoked;
    /// The owner's signature, if the grant was made with one.
    bytes ownerSignature;
    uint48 grantDeadline;
    // What was done.
    uint256 operations;
    uint256 calls;
    uint256 gasWei;
    uint256 valueWei;
    uint256[2] sums;
    /// How far the calls are ahead of the rate, in milliseconds, when the last of them was executed.
    uint256 aheadMs;
    uint256 lastAt;
}

/// @notice An operation as the thief made it.
struct Draft {
    /// The session whose scope the signature shows; NO_SESSION if it is no granted one's, byte for byte.
    uint256 session;
    /// The key that signed.
    uint256 key;
    /// What the key signed about time.
    uint48 claimedAt;
    uint48 deadline;
    /// Whether a byte was altered after the key signed.
    bool tampered;
    /// How it was made.
    uint256 trick;
    PackedUserOperation op;
}

/// @title What was agreed, and whether what happened is within it.
/// @notice The book never asks the validator. It knows what owners granted and took back, and it looks at effects: what
/// the called contracts wrote down, what the EntryPoint charged, what accounts have left.
abstract contract Book is World {
    uint256 internal constant NO_SESSION = type(uint256).max;
    bytes32 private constant USER_OPERATION_EVENT = IEntryPointUnderTest.UserOperationEvent.selector;

    Granted[] internal granted;
    /// @dev Session by hash of account and scope, plus one.
    mapping(bytes32 => uint256) private _sessionOf;
    /// @dev Calls in the journal that were looked at.
    uint256 private _read;

    /// @notice The first thing that should never have happened, in words; empty as long as all is well.
    string public breach;

    function _breach(string memory what) internal {
        if (bytes(breach).length == 0) breach = what;
    }

    // -------------------------------------------------------------------------------------------------- grants

    function _enter(uint256 player, uint256 kind, uint256 key, Fields memory f, bytes memory scope, bytes memory shown)
        internal
        returns (uint256 id)
    {
        id = granted.length;
        Granted storage g = granted.push();
        (g.player, g.kind, g.key) = (player, kind, key);
        (g.fields, g.scope, g.shown) = (abi.encode(f), scope, shown);
        (g.validAfter, g.validUntil, g.epoch) = (f.validAfter, f.validUntil, players[player].epoch);
        _sessionOf[_name(player, shown)] = id + 1;
        players[player].lossWeiMax += uint256(f.gasBudgetWei) + f.valueTotalWeiMax;
    }

    function fieldsOf(uint256 session) internal view returns (Fields memory) {
        return abi.decode(granted[session].fields, (Fields));
    }

    /// @dev The session that signatures show as this scope, on this player's account.
    function sessionWith(uint256 player, bytes memory shown) internal view returns (uint256) {
        uint256 found = _sessionOf[_name(player, shown)];
        return found == 0 ? NO_SESSION : found - 1;
    }

    function _name(uint256 player, bytes memory scope) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(player, scope));
    }

    // ---------------------------------------------------------------------------------------------- executions

    /// @dev Looks at what a bundle did. Each operation of it was accepted, and ended with a mark.
    function _settle(Draft[] memory drafts, IEntryPointUnderTest on) internal {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Arrival[][] memory arrivals = _arrivals(drafts.length);
        for (uint256 i = 0; i < drafts.length; ++i) {
            uint256 player = _playerOf(drafts[i].op.sender);
            if (player == PLAYERS) continue;
            (uint256 gasWei, address payer) = _charged(logs, on, on.getUserOpHash(drafts[i].op));
            if (payer == address(0)) players[player].worthWei -= gasWei;
            for (uint256 j = 0; j < arrivals[i].length; ++j) {
                _settleArrival(player, arrivals[i][j]);
            }
            _settleOperation(player, drafts[i], gasWei, payer, arrivals[i]);
        }
    }

    /// @dev Requires that no account called anything since the journal was last read.
    function _requireQuiet() internal {
        if (journal.count() != _read) _breach("an account called something outside of any operation");
    }

    function _playerOf(address account) internal view returns (uint256 player) {
        while (player < PLAYERS && address(players[player].account) != account) ++player;
    }

    /// @dev What the journal has since it was last read, by operation.
    function _arrivals(uint256 operations) private returns (Arrival[][] memory arrivals) {
        uint256 total = journal.count() - _read;
        uint256 last = journal.section();
        arrivals = new Arrival[][](operations);
        for (uint256 i = 0; i < operations; ++i) {
            arrivals[i] = new Arrival[](0);
        }
        Arrival[] memory all = new Arrival[](total);
        uint256[] memory counts = new uint256[](operations);
        for (uint256 j = 0; j < total; ++j) {
            all[j] = journal.arrival(_read + j);
            // A single operation needs no mark, so its section is the last; else each section ended with one.
            ++counts[_index(all[j].section, last, operations)];
        }
        for (uint256 i = 0; i < operations; ++i) {
            arrivals[i] = new Arrival[](counts[i]);
        }
        for (uint256 j = total; j > 0; --j) {
            uint256 i = _index(all[j - 1].section, last, operations);
            arrivals[i][--counts[i]] = all[j - 1];
        }
        _read += total;
    }

    function _index(uint256 section, uint256 last, uint256 operations) private pure returns (uint256) {
        return operations == 1 ? 0 : operations - (last - section);
    }

    /// @dev What the EntryPoint says that the operation cost, and who paid.
    function _charged(Vm.Log[] memory logs, IEntryPointUnderTest on, bytes32 userOpHash)
        private
        pure
        returns (uint256 gasWei, address payer)
    {
        for (uint256 i = logs.length; i > 0; --i) {
            Vm.Log memory log = logs[i - 1];
            if (log.emitter != address(on) || log.topics[0] != USER_OPERATION_EVENT || log.topics[1] != userOpHash) {
                continue;
            }
            (,, gasWei,) = abi.decode(log.data, (uint256, bool, uint256, uint256));
            return (gasWei, address(uint160(uint256(log.topics[3]))));
        }
    }

    /// @dev What holds for each call of an account, whatever the operation.
    function _settleArrival(uint256 player, Arrival memory arrival) private {
        address account_ = address(players[player].account);
        if (arrival.target == account_) _breach("foreign code ran as the account");
        if (arrival.caller != account_) _breach("a call of another account");
        players[player].worthWei -= arrival.value;
    }

    function _settleOperation(
        uint256 player,
        Draft memory draft,
        uint256 gasWei,
        address payer,
        Arrival[] memory arrivals
    ) private {
        if (player == VICTIM) return _breach("an operation of the victim");
        if (draft.tampered) return _breach("an operation that was altered after signing");
        if (draft.session == NO_SESSION) return _breach("an operation under a scope that nobody granted");
        Granted storage g = granted[draft.session];
        Fields memory f = fieldsOf(draft.session);
        if (g.player != player) return _breach("a session of another account");
        if (g.key != draft.key) return _breach("a session of another key");
        if (draft.op.nonce >> 64 != f.nonceKey) return _breach("a nonce key of no session");
        if (payer != f.paymaster) return _breach("a paymaster that the session does not name");
        _settleTime(player, draft, g, f);
        g.gasWei += gasWei;
        if (gasWei > f.gasPerOperationWeiMax) _breach("gas of one operation");
        if (g.gasWei > f.gasBudgetWei) _breach("gas budget");
        _settleRate(g, f, arrivals.length);
        if (arrivals.length > f.callsMax) _breach("calls in one operation");
        if (g.calls > f.usesMax) _breach("uses");
        for (uint256 i = 0; i < arrivals.length; ++i) {
            _settleCall(g, f, arrivals[i]);
        }
    }

    function _settleTime(uint256 player, Draft memory draft, Granted storage g, Fields memory f) private {
        // Since 0.8 the first second itself is too early.
        uint256 earliest = player == REFERENCE_08 ? 1 : 0;
        if (g.revoked) _breach("a revoked session");
        if (g.epoch != players[player].epoch) _breach("a session of an earlier epoch");
        if (block.timestamp < f.validAfter + earliest || block.timestamp > f.validUntil) {
            _breach("outside the session");
        }
        if (block.timestamp > draft.deadline) _breach("after the deadline");
        if (block.timestamp < draft.claimedAt + earliest) _breach("before the claimed time");
        if (block.timestamp > draft.claimedAt + 120) _breach("long after the claimed time");
    }

    /// @dev For any two seconds, the calls executed from one to the other, both inclusive, are at most
    /// burst + (the time between + slack) / interval. Kept as the one number that is largest over all first seconds.
    function _settleRate(Granted storage g, Fields memory f, uint256 calls) private {
        ++g.operations;
        g.calls += calls;
        if (f.rateIntervalMs == 0) return;
        uint256 passedMs = (block.timestamp - g.lastAt) * 1000;
        g.aheadMs = (g.aheadMs > passedMs ? g.aheadMs - passedMs : 0) + calls * f.rateIntervalMs;
        g.lastAt = block.timestamp;
        if (g.aheadMs > uint256(f.burst) * f.rateIntervalMs + 120_000) _breach("rate");
    }

    function _settleCall(Granted storage g, Fields memory f, Arrival memory arrival) private {
        uint256 found = NO_SESSION;
        bytes4 selector = bytes4(arrival.data);
        for (uint256 i = 0; i < f.entries.length; ++i) {
            bool same = f.entries[i].target == arrival.target && f.entries[i].selector == selector;
            if (same && arrival.data.length >= 4) found = i;
        }
        if (found == NO_SESSION) return _breach("a call that the session does not allow");
        if (arrival.value > f.valuePerCallWeiMax) _breach("value of one call");
        g.valueWei += arrival.value;
        if (g.valueWei > f.valueTotalWeiMax) _breach("value in all");
        Entry memory entry = f.entries[found];
        for (uint256 i = entry.ruleFrom; i < uint256(entry.ruleFrom) + entry.ruleCount; ++i) {
            Rule memory rule = f.rules[i];
            uint256 word = _word(arrival.data, rule.argument);
            if (rule.condition == ScopeLib.CUMULATIVE) {
                // An argument can be so large that the sum has no number.
                if (word > rule.value) return _breach("sum of an argument");
                g.sums[rule.lane] += word;
                if (g.sums[rule.lane] > rule.value) _breach("sum of an argument");
            } else if (!_fits(f, entry, rule, word, arrival.caller)) {
                _breach("an argument");
            }
        }
    }

    /// @dev Whether the argument is what the owner agreed to.
    function _fits(Fields memory f, Entry memory entry, Rule memory rule, uint256 word, address account_)
        private
        pure
        returns (bool)
    {
        if (rule.condition == ScopeLib.PINNED) return word == uint256(uint160(account_));
        if (rule.condition == ScopeLib.EQUAL) return word == rule.value;
        if (rule.condition == ScopeLib.NOT_EQUAL) return word != rule.value;
        if (rule.condition == ScopeLib.AT_MOST) return word <= rule.value;
        if (rule.condition == ScopeLib.AT_LEAST) return word >= rule.value;
        for (uint256 i = entry.ruleFrom; i < uint256(entry.ruleFrom) + entry.ruleCount; ++i) {
            Rule memory other = f.rules[i];
            bool alternative = other.condition == ScopeLib.ONE_OF && other.argument == rule.argument;
            if (alternative && other.value == word) return true;
        }
        return false;
    }

    /// @dev The word behind the selector; a missing one is as none could be.
    function _word(bytes memory data, uint256 argument) internal pure returns (uint256 word) {
        if (data.length < 36 + 32 * argument) return type(uint256).max;
        assembly ("memory-safe") {
            word := mload(add(data, add(36, mul(32, argument))))
        }
    }

    // -------------------------------------------------------------------------------------------------- effects

    /// @dev What must hold after every single call. Cheap: the tokens count their changes.
    function _checkEffects() internal {
        for (uint256 i = 0; i < PLAYERS; ++i) {
            Player storage player = players[i];
            if (worthOf(player) != player.worthWei) _breach("ether of an account");
            if (player.startWorthWei - player.worthWei > player.lossWeiMax) _breach("more than the sessions' budgets");
            if (game.strayed(address(player.account)) != 0) _breach("a beneficiary that is not the account");
        }
        bool moved = coin.changes() != _CHANGES_AT_START * PLAYERS || trinket.changes() != 2 * PLAYERS;
        if (moved || wares.changes() != PLAYERS) _breach("a token that no session may touch");
        if (gold.changes() != PLAYERS + game.takings()) _breach("gold that the game did not take");
        if (scheme.successes() != 0) _breach("something that a game tried while it was called");
    }

    /// @dev Approvals of coin that each account gives at the start.
    uint256 private constant _CHANGES_AT_START = 4;

    /// @dev The same, one by one, and the account itself. Not after every call, because it costs as much as one.
    function _checkEverything() internal {
        _checkEffects();
        for (uint256 i = 0; i < PLAYERS; ++i) {
            address owned = address(players[i].account);
            uint256 taken = game.taken(owned);
            bool same = coin.balanceOf(owned) == COINS && coin.allowance(owned, friend) == FRIEND_APPROVED;
            same = same && coin.allowance(owned, thief) == 0 && coin.allowance(owned, address(game)) == 0;
            same = same && coin.allowance(owned, address(market)) == type(uint256).max;
            if (!same) _breach("coins or their allowances");
            same = gold.balanceOf(owned) == COINS - taken && gold.allowance(owned, thief) == 0;
            if (!same || gold.allowance(owned, address(game)) != GOLD_APPROVED - taken) _breach("gold");
            same = trinket.ownerOf(uint160(owned)) == owned && trinket.getApproved(uint160(owned)) == address(0);
            if (!same || trinket.isApprovedForAll(owned, thief)) _breach("trinket");
            if (wares.balanceOf(owned, 1) != 100 || wares.isApprovedForAll(owned, thief)) _breach("wares");
            _checkAccount(players[i]);
        }
        _checkSums();
    }

    function _checkAccount(Player storage player) private {
        address owned = address(player.account);
        if (owned.codehash != player.codeHash) _breach("code of an account");
        if (vm.load(owned, IMPLEMENTATION) != player.implementation) _breach("implementation of an account");
        if (ownerValidator.ownerOf(owned) != owner) _breach("owner of an account");
        if (!player.account.isModuleInstalled(1, address(ownerValidator), "")) _breach("owner validator gone");
        for (uint256 moduleType = 1; moduleType <= 4; ++moduleType) {
            // Type 3 is asked with a selector.
            bytes memory context = moduleType == 3 ? abi.encode(bytes4(0x12345678)) : bytes("");
            bool installed = player.account.isModuleInstalled(moduleType, thief, context)
                || player.account.isModuleInstalled(moduleType, address(raider), context);
            if (installed) _breach("a stranger's module");
        }
    }

    /// @dev What the game counted, against the caps of all sessions that the account ever had.
    function _checkSums() private {
        uint256[PLAYERS] memory calls;
        uint256[PLAYERS] memory valueWei;
        for (uint256 i = 0; i < granted.length; ++i) {
            calls[granted[i].player] += granted[i].calls;
            valueWei[granted[i].player] += granted[i].valueWei;
        }
        for (uint256 i = 0; i < PLAYERS; ++i) {
            address owned = address(players[i].account);
            if (game.receivedWei(owned) > valueWei[i]) _breach("value that the game counted");
            if (game.played(owned) > calls[i]) _breach("calls that the game counted");
        }
    }
}
