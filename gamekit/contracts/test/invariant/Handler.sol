// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC7579Execution, IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IEntryPoint, IEntryPointStake, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ReferenceAccount} from "src/ReferenceAccount.sol";
import {SessionValidator} from "src/SessionValidator.sol";
import {Fields, IEntryPointUnderTest} from "test/Harness.sol";
import {Draft, Granted} from "./Book.sol";
import {Dice} from "./Dice.sol";
import {Plan} from "./Moves.sol";
import {Attempt} from "./Raider.sol";
import {Refusals} from "./Refusals.sol";
import {Submitting} from "./Submitting.sol";
import {Coin} from "./Tokens.sol";

/// @title What each adversary, the owners and time may do. The fuzzer calls these, in any order, with any seed.
contract Handler is Submitting {
    uint256 private constant BUNDLE_MAX = 4;
    uint256 private constant REPEATS = 10;
    /// @dev The full check costs as much as an action, so it is done after one action in so many.
    uint256 private constant FULL_CHECK_EVERY = 16;

    /// @notice Actions so far.
    uint256 public actionsDone;

    constructor() {
        vm.deal(address(this), 1_000_000 ether);
        setUp();
    }

    modifier action() {
        ++actionsDone;
        _;
    }

    // ---------------------------------------------------------------------------------------------------- thief

    /// @notice THIEF: plays by the rules. This must be accepted.
    function play(uint256 seed) external action {
        _play(Dice(seed));
    }

    /// @notice THIEF: one trick in an operation that is otherwise good.
    function steal(uint256 seed) external action {
        _steal(Dice(seed));
    }

    /// @notice THIEF: hides calls behind the encoding.
    function smuggle(uint256 seed) external action {
        Plan memory plan = _alias(Dice(seed));
        _submitOne(_seal(plan), players[plan.player].entryPoint);
    }

    /// @notice THIEF: asks everything directly that only an account, an owner or a revoker may ask.
    function intrude(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        uint256 player = dice.roll(PLAYERS);
        Attempt memory attempt = _attempt(player, dice);
        vm.prank(dice.chance(50) ? thief : address(game));
        (bool success,) = attempt.target.call(attempt.data);
        if (success && attempt.forbidden) _breach("something that a stranger asked directly");
        counts.add("intruded");
    }

    // -------------------------------------------------------------------------------------------------- bundler

    /// @notice BUNDLER: alters an operation after it was signed.
    function tamper(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        Plan memory plan = dice.chance(20) ? _planOf(LONG, dice) : _plan(dice);
        Draft memory draft = _seal(plan);
        _tamper(draft, dice);
        _submitOne(draft, players[plan.player].entryPoint);
    }

    /// @notice BUNDLER: several operations at once, of any accounts and sessions, in any order.
    function bundle(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        IEntryPointUnderTest on = players[dice.chance(60) ? REFERENCE_07 : REFERENCE_08].entryPoint;
        Draft[] memory drafts = new Draft[](dice.between(2, BUNDLE_MAX));
        uint256 count = 0;
        for (uint256 tries = 0; tries < 12 && count < drafts.length; ++tries) {
            Plan memory plan = dice.chance(85) ? _plan(dice) : _trick(dice);
            if (players[plan.player].entryPoint != on) continue;
            if (plan.trick == NONE) _queueBehind(plan, drafts, count);
            drafts[count] = _seal(plan);
            if (dice.chance(5)) _tamper(drafts[count], dice);
            ++count;
        }
        if (count > 1 && dice.chance(20)) (drafts[0], drafts[count - 1]) = (drafts[count - 1], drafts[0]);
        assembly ("memory-safe") {
            mstore(drafts, count)
        }
        _submitMany(drafts, on);
    }

    /// @notice BUNDLER: what landed before, once more.
    function replay(uint256 seed) external action {
        (bool found, Draft memory draft, IEntryPointUnderTest on) = _replay(Dice(seed));
        if (!found) return _play(Dice(seed));
        _submitOne(draft, on);
    }

    /// @notice BUNDLER: keeps a good operation back until something happened, and submits it then.
    function delay(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        Plan memory plan = _plan(dice);
        plan.trick = LATE;
        Draft memory draft = _seal(plan);
        uint256 which = dice.roll(5);
        if (which == 0) _revokeOne(plan.session, dice);
        else if (which == 1) _revokeAll(plan.player, plan.session, dice);
        else if (which == 2) _reinstall(plan.player);
        else vm.warp(block.timestamp + dice.between(1, which == 3 ? 70 : 200));
        _submitOne(draft, players[plan.player].entryPoint);
    }

    // ----------------------------------------------------------------------------------------------------- game

    /// @notice GAME: plans what it will try when it is called, and is called.
    function conspire(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        Plan memory plan = _planOf(dice.chance(70) ? MANY : RATE, dice);
        Attempt[] memory attempts = new Attempt[](dice.between(1, 3));
        for (uint256 i = 0; i < attempts.length; ++i) {
            attempts[i] = _attempt(plan.player, dice);
        }
        if (dice.chance(40)) attempts[0] = _reenter(plan, dice);
        scheme.plan(attempts, dice.chance(70) ? 0 : dice.roll(4));
        // A game that burns the gas, or reverts, leaves no trace but is accepted all the same.
        _submitOne(_seal(plan), players[plan.player].entryPoint);
    }

    /// @notice GAME: becomes another, or what it was; takes what it was approved to take.
    function upgrade(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        upgradable.upgrade(dice.chance(60) ? address(raider) : address(calmGame));
        address from = address(players[dice.roll(PLAYERS)].account);
        uint256 left = GOLD_APPROVED - game.taken(from);
        game.grab(from, dice.roll(left / 20 + 1));
        counts.add("upgraded");
        _play(dice);
    }

    // ------------------------------------------------------------------------------------ owner, revoker, time

    /// @notice OWNER: grants, takes back, removes the module and installs it again.
    function own(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        uint256 player = dice.roll(VICTIM);
        uint256 which = dice.roll(20);
        if (removed[player]) _install(player);
        else if (which == 0) _uninstall(player);
        else if (which == 1) _reinstall(player);
        else if (which < 4) _revokeOne(dice.between(1, granted.length - 1), dice);
        if (!removed[player]) _grantKind(player, dice.roll(KINDS), dice);
        counts.add("owned");
        _steal(dice);
    }

    /// @notice REVOKER: ends a session, or all of an account. The thief goes on regardless.
    function revoke(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        Plan memory plan = _plan(dice);
        if (dice.chance(80)) _revokeOne(plan.session, dice);
        else _revokeAll(plan.player, plan.session, dice);
        plan.trick = LATE;
        _submitOne(_seal(plan), players[plan.player].entryPoint);
    }

    /// @notice TIME passes: seconds, at times minutes.
    function wait(uint256 seed) external action {
        Dice memory dice = Dice(seed);
        uint256 which = dice.roll(100);
        vm.warp(block.timestamp + (which < 70 ? dice.between(1, 8) : dice.between(9, which < 96 ? 60 : 1200)));
        _steal(dice);
    }

    // --------------------------------------------------------------------------------------------------- checks

    /// @notice What must hold after every action. Gives the first breach in words, or nothing.
    function check() external returns (string memory) {
        _requireQuiet();
        _checkEffects();
        if (actionsDone % FULL_CHECK_EVERY == 0) _checkEverything();
        return breach;
    }

    /// @notice Everything that must hold at the end.
    function checkAll() external returns (string memory) {
        _checkEverything();
        return breach;
    }

    /// @notice What happened, as one line of JSON.
    function report() external view returns (string memory) {
        return string.concat(
            '{"calls":',
            vm.toString(actionsDone),
            ',"submitted":',
            vm.toString(submitted),
            ',"accepted":',
            vm.toString(accepted),
            ',"attempts":',
            vm.toString(scheme.made()),
            ',"counts":',
            counts.toJson(),
            "}"
        );
    }

    /// @notice How many kinds of operations were accepted, and for how many reasons operations were refused.
    function kinds() external view returns (uint256 acceptances, uint256 refusals) {
        return (counts.kinds("accepted"), counts.kinds("refused:"));
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _play(Dice memory dice) private {
        Plan memory plan = _plan(dice);
        (bool done, bytes memory reason) = _submitOne(_seal(plan), players[plan.player].entryPoint);
        if (!done) _breach(string.concat("a good operation was ", Refusals.name(reason)));
    }

    function _steal(Dice memory dice) private {
        Plan memory plan = _trick(dice);
        IEntryPointUnderTest on = players[plan.player].entryPoint;
        (bool done,) = _submitOne(_seal(plan), on);
        // What uses a session up is repeated until it is refused, or the thief has had enough.
        if (plan.trick != HURRY && plan.trick != WASTE) return;
        for (uint256 i = 0; done && i < REPEATS; ++i) {
            ++plan.op.nonce;
            (done,) = _submitOne(_seal(plan), on);
        }
    }

    /// @dev An operation behind others of its lane in the same bundle.
    function _queueBehind(Plan memory plan, Draft[] memory drafts, uint256 count) private pure {
        for (uint256 i = 0; i < count; ++i) {
            PackedUserOperation memory other = drafts[i].op;
            if (other.sender == plan.op.sender && other.nonce == plan.op.nonce) ++plan.op.nonce;
        }
    }

    /// @dev By the account, by the revoker or with the session key's signature.
    function _revokeOne(uint256 session, Dice memory dice) private {
        Granted storage g = granted[session];
        address owned = address(players[g.player].account);
        bytes memory scope = g.scope;
        bytes32 permissionId = validator.permissionIdOf(owned, scope);
        uint256 which = isLive(session) ? dice.roll(3) : 0;
        if (which == 0) {
            vm.prank(owned);
            validator.revokeSession(permissionId);
        } else if (which == 1) {
            vm.prank(revoker);
            validator.revokeSessionFor(owned, scope);
        } else {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(g.key, validator.revokeDigest(owned, permissionId));
            validator.revokeSessionWithSignature(owned, scope, abi.encodePacked(r, s, v));
        }
        g.revoked = true;
        counts.add("revoked one");
    }

    function _revokeAll(uint256 player, uint256 session, Dice memory dice) private {
        address owned = address(players[player].account);
        if (dice.chance(50)) {
            vm.prank(owned);
            validator.revokeAllSessions();
        } else {
            vm.prank(revoker);
            validator.revokeAllSessionsFor(owned, granted[session].scope);
        }
        ++players[player].epoch;
        counts.add("revoked all");
    }

    function _reinstall(uint256 player) private {
        _uninstall(player);
        _install(player);
        counts.add("reinstalled");
    }

    /// @dev The game calls the EntryPoint with another good operation, or plays again through the account.
    function _reenter(Plan memory plan, Dice memory dice) private returns (Attempt memory) {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = _seal(_plan(dice)).op;
        address on = address(players[plan.player].entryPoint);
        return Attempt(on, abi.encodeCall(IEntryPoint.handleOps, (ops, payable(thief))), true);
    }

    /// @dev Something that nobody but the account, its owner or its revoker may do.
    function _attempt(uint256 player, Dice memory dice) private returns (Attempt memory) {
        address owned = address(players[player].account);
        bytes memory take = abi.encodePacked(address(coin), uint256(0), abi.encodeCall(Coin.transfer, (thief, 1)));
        uint256 which = dice.roll(9);
        if (which == 0) return Attempt(owned, abi.encodeCall(IERC7579Execution.execute, (SINGLE, take)), true);
        if (which == 1) {
            return Attempt(owned, abi.encodeCall(IERC7579Execution.executeFromExecutor, (SINGLE, take)), true);
        }
        if (which == 2) {
            bytes memory install = abi.encodeCall(IERC7579ModuleConfig.installModule, (2, address(raider), bytes("")));
            return Attempt(owned, install, true);
        }
        if (which == 3) return Attempt(owned, abi.encodeCall(ReferenceAccount.initialize, ()), true);
        if (which == 4) return _attemptPermit(player, dice);
        if (which == 5) return _attemptGrant(player, dice);
        if (which == 6) return _attemptRevoke(player, dice);
        if (which == 7) {
            // For itself anybody may end all sessions, if it had the module: it must not be taken for the account.
            bytes memory bump = abi.encodeCall(SessionValidator.revokeAllSessions, ());
            return Attempt(address(validator), bump, true);
        }
        bytes memory withdraw = abi.encodeCall(IEntryPointStake.withdrawTo, (payable(thief), 1 ether));
        return Attempt(address(players[player].entryPoint), withdraw, true);
    }

    /// @dev An approval by ERC-1271 with a session key's signature, through either validator.
    function _attemptPermit(uint256 player, Dice memory dice) private view returns (Attempt memory) {
        address owned = address(players[player].account);
        uint256 session = dice.roll(granted.length);
        bytes32 digest = keccak256(abi.encode("permit", dice.word()));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(dice.roll(KEYS)), digest);
        bytes memory signature = abi.encodePacked(r, s, v);
        if (dice.chance(50)) {
            signature = abi.encodePacked(uint48(1), type(uint48).max, signature, granted[session].scope);
        }
        address module = dice.chance(70) ? address(validator) : address(ownerValidator);
        signature = abi.encodePacked(module, signature);
        return Attempt(address(coin), abi.encodeCall(Coin.permit, (owned, thief, 1 ether, digest, signature)), true);
    }

    /// @dev A grant that was submitted before, on its own account or on another of the same owner, or a forged one.
    function _attemptGrant(uint256 player, Dice memory dice) private returns (Attempt memory) {
        uint256 session = dice.roll(granted.length);
        for (uint256 i = 0; i < 10 && granted[session].ownerSignature.length == 0; ++i) {
            session = dice.roll(granted.length);
        }
        Fields memory f = fieldsOf(session);
        bytes memory scope = granted[session].scope;
        bytes memory signature = granted[session].ownerSignature;
        uint48 deadline = granted[session].grantDeadline;
        if (signature.length == 0 || dice.chance(30)) {
            f.usesMax += 1;
            scope = _packed(granted[session].kind, f);
            deadline = uint48(block.timestamp + 100);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(granted[session].key, keccak256(scope));
            signature = abi.encodePacked(r, s, v);
        } else if (dice.chance(60)) {
            player = granted[session].player;
        }
        address owned = address(players[player].account);
        return Attempt(
            address(validator),
            abi.encodeCall(
                SessionValidator.grantSessionFor, (owned, scope, _texts(f), _implementations(f), deadline, signature)
            ),
            true
        );
    }

    /// @dev A revocation that the caller has no right to.
    function _attemptRevoke(uint256 player, Dice memory dice) private view returns (Attempt memory) {
        uint256 session = dice.roll(granted.length);
        bytes memory scope = granted[session].scope;
        address owned = address(players[dice.chance(80) ? granted[session].player : player].account);
        uint256 which = dice.roll(3);
        if (which == 0) {
            return Attempt(address(validator), abi.encodeCall(SessionValidator.revokeSessionFor, (owned, scope)), true);
        }
        if (which == 1) {
            return
                Attempt(address(validator), abi.encodeCall(SessionValidator.revokeAllSessionsFor, (owned, scope)), true);
        }
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(0xbad, keccak256(scope));
        bytes memory signature = abi.encodePacked(r, s, v);
        return Attempt(
            address(validator),
            abi.encodeCall(SessionValidator.revokeSessionWithSignature, (owned, scope, signature)),
            true
        );
    }
}
