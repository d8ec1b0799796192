// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    Execution,
    IERC7579Execution,
    IERC7579ModuleConfig
} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IAccountExecute, IEntryPointNonces, IEntryPointStake} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {SessionValidator} from "src/SessionValidator.sol";
import {Fields} from "test/Harness.sol";
import {Dice} from "./Dice.sol";
import {Game, Market, Vault} from "./Games.sol";
import {Moves, Plan} from "./Moves.sol";
import {Coin, Trinket, Wares} from "./Tokens.sol";

/// @title What a thief of session keys changes in an operation before the key signs it.
/// @notice Each trick leaves the rest of the operation as it must be, so that one check at a time stands in the way. Some
/// of them are harmless at times, and are then accepted.
abstract contract Tricks is Moves {
    uint256 internal constant NONE = 0;
    uint256 internal constant EXTRA_CALL = 1;
    uint256 internal constant OTHER_CALL = 2;
    uint256 internal constant VALUE_MORE = 3;
    uint256 internal constant OTHER_SELECTOR = 4;
    uint256 internal constant NO_SELECTOR = 5;
    uint256 internal constant MODE = 6;
    uint256 internal constant ARGUMENT = 7;
    uint256 internal constant ARGUMENT_MISSING = 8;
    uint256 internal constant LANE = 9;
    uint256 internal constant FEES = 10;
    uint256 internal constant PAYMASTER = 11;
    uint256 internal constant TIMES = 12;
    uint256 internal constant OTHER_SCOPE = 13;
    uint256 internal constant WIDER_SCOPE = 14;
    uint256 internal constant SENDER = 15;
    uint256 internal constant KEY = 16;
    uint256 internal constant HINTS = 17;
    uint256 internal constant COUNT = 18;
    uint256 internal constant NOT_EXECUTE = 19;
    uint256 internal constant ENDED = 20;
    uint256 internal constant HURRY = 21;
    uint256 internal constant WASTE = 22;
    uint256 internal constant SPECIAL_TARGET = 23;
    uint256 internal constant INIT_CODE = 24;
    uint256 internal constant WITNESS = 25;
    uint256 internal constant OTHER_TARGET = 26;
    uint256 internal constant TRICKS = 27;

    /// @dev Makes a plan, and spoils it by one trick.
    function _trick(Dice memory dice) internal returns (Plan memory plan) {
        uint256 trick = dice.between(1, TRICKS - 1);
        if (trick == VALUE_MORE && dice.chance(70)) plan = _planOf(dice.chance(50) ? VALUE : TIGHT, dice);
        else if (trick == HURRY) plan = _hurry(dice);
        else if (trick == WASTE) plan = _waste(dice);
        else if (trick == PAYMASTER && dice.chance(50)) plan = _planOf(SPONSORED, dice);
        else if (trick == ENDED) plan = _ended(dice);
        else if (trick == WITNESS) plan = _planOf(LONG, dice);
        else plan = _plan(dice);
        plan.trick = trick;
        if (trick <= NO_SELECTOR || trick == SPECIAL_TARGET || trick == COUNT) _spoilCalls(plan, trick, dice);
        else if (trick <= ARGUMENT_MISSING || trick == NOT_EXECUTE) _spoilData(plan, trick, dice);
        else if (trick <= TIMES || trick == INIT_CODE) _spoilOperation(plan, trick, dice);
        else if (trick <= HINTS) _spoilSignature(plan, trick, dice);
        else if (trick == WITNESS) _spoilWitness(plan, dice);
        else if (trick == OTHER_TARGET) _otherTarget(plan, dice);
    }

    // --------------------------------------------------------------------------------------------------- calls

    function _spoilCalls(Plan memory plan, uint256 trick, Dice memory dice) private view {
        uint256 i = dice.roll(plan.calls.length);
        bytes memory hints = plan.hints;
        bytes memory witnesses = plan.witnesses;
        if (trick == EXTRA_CALL) {
            plan.calls = _with(plan.calls, _harmful(plan, dice));
            if (plan.mode == SINGLE) plan.mode = BATCH;
            if (plan.mode == SINGLE_TRY) plan.mode = BATCH_TRY;
        } else if (trick == OTHER_CALL) {
            plan.calls[i] = _harmful(plan, dice);
        } else if (trick == SPECIAL_TARGET) {
            plan.calls[i] = _special(plan, dice);
        } else if (trick == VALUE_MORE) {
            _moreValue(plan, i, dice);
        } else if (trick == OTHER_SELECTOR) {
            bytes4[5] memory selectors = [
                Game.cashOut.selector,
                Game.claim.selector,
                Vault.stash.selector,
                Market.sell.selector,
                bytes4(0x12345678)
            ];
            plan.calls[i].callData = abi.encodePacked(selectors[dice.roll(5)], uint256(uint160(thief)), uint256(1));
        } else if (trick == NO_SELECTOR) {
            plan.calls[i].callData = dice.chance(50) ? bytes("") : abi.encodePacked(uint24(dice.word()));
        } else {
            uint256 more = dice.between(1, 24);
            for (uint256 j = 0; j < more; ++j) {
                plan.calls = _with(plan.calls, _move(plan, dice.roll(plan.f.entries.length), dice));
            }
            plan.mode = BATCH_TRY;
        }
        _encode(plan);
        // A hint that names the entry of the call that was there before.
        if (hints.length == plan.hints.length && dice.chance(50)) (plan.hints, plan.witnesses) = (hints, witnesses);
    }

    /// @dev The same call, of the same hint, to somebody else.
    function _otherTarget(Plan memory plan, Dice memory dice) private view {
        address[6] memory targets = [
            address(coin),
            address(game),
            address(raider),
            address(upgradable),
            address(players[VICTIM].account),
            address(uint160(dice.word()))
        ];
        plan.calls[dice.roll(plan.calls.length)].target = targets[dice.chance(60) ? 0 : dice.roll(6)];
        bytes memory hints = plan.hints;
        bytes memory witnesses = plan.witnesses;
        _encode(plan);
        (plan.hints, plan.witnesses) = (hints, witnesses);
    }

    function _with(Execution[] memory calls, Execution memory more) internal pure returns (Execution[] memory longer) {
        longer = new Execution[](calls.length + 1);
        for (uint256 i = 0; i < calls.length; ++i) {
            longer[i] = calls[i];
        }
        longer[calls.length] = more;
    }

    /// @dev More in one call than is allowed, or as much as that in so many calls that the sum is too large.
    function _moreValue(Plan memory plan, uint256 i, Dice memory dice) private view {
        uint256 most = plan.f.valuePerCallWeiMax;
        if (most == 0 || dice.chance(30)) {
            plan.calls[i].value = most + dice.between(1, 0.1 ether);
            return;
        }
        plan.calls = new Execution[](plan.f.callsMax);
        for (uint256 j = 0; j < plan.calls.length; ++j) {
            plan.calls[j] = Execution(address(game), most, abi.encodeCall(Game.stake, ()));
        }
        plan.mode = plan.calls.length == 1 ? SINGLE : BATCH_TRY;
    }

    /// @dev A call that would take something, or right to it.
    function _harmful(Plan memory plan, Dice memory dice) internal view returns (Execution memory) {
        address owned = address(players[plan.player].account);
        address victim = address(players[VICTIM].account);
        uint256 which = dice.roll(14);
        if (which == 0) return Execution(address(coin), 0, abi.encodeCall(Coin.transfer, (thief, 1 ether)));
        if (which == 1) return Execution(address(coin), 0, abi.encodeCall(Coin.approve, (thief, 1 ether)));
        if (which == 2) return Execution(address(gold), 0, abi.encodeCall(Coin.increaseAllowance, (thief, 1 ether)));
        if (which == 3) return Execution(address(gold), 0, abi.encodeCall(Coin.transferFrom, (owned, thief, 1)));
        if (which == 4) {
            return Execution(address(trinket), 0, abi.encodeCall(Trinket.setApprovalForAll, (thief, true)));
        }
        if (which == 5) {
            return Execution(address(trinket), 0, abi.encodeCall(Trinket.transferFrom, (owned, thief, uint160(owned))));
        }
        if (which == 6) {
            return Execution(address(wares), 0, abi.encodeCall(Wares.safeTransferFrom, (owned, thief, 1, 1, "")));
        }
        if (which == 7) return Execution(address(market), 0, abi.encodeCall(Market.sell, (thief)));
        if (which == 8) return Execution(address(game), 0, abi.encodeCall(Game.cashOut, (thief)));
        if (which == 9) return Execution(address(game), 0, abi.encodeCall(Game.claim, (thief, 5)));
        if (which == 10) return Execution(address(vault), 0, abi.encodePacked(bytes4(0xdeadbeef)));
        if (which == 11) return Execution(thief, 0.1 ether, abi.encodePacked(bytes4(0)));
        if (which == 12) return Execution(victim, 0, singleData(SINGLE, Execution(address(coin), 0, "")));
        return Execution(address(wares), 0, abi.encodeCall(Wares.setApprovalForAll, (thief, true)));
    }

    /// @dev A call of what could act for the account.
    function _special(Plan memory plan, Dice memory dice) private view returns (Execution memory call) {
        address owned = address(players[plan.player].account);
        bytes memory take =
            singleData(SINGLE, Execution(address(coin), 0, abi.encodeCall(Coin.transfer, (thief, 1 ether))));
        uint256 which = dice.roll(8);
        if (which == 0) return Execution(address(0), 0, take);
        if (which == 1) return Execution(owned, 0, take);
        if (which == 2) {
            return Execution(
                address(players[plan.player].entryPoint),
                0,
                abi.encodeCall(IEntryPointStake.withdrawTo, (payable(thief), 1 ether))
            );
        }
        if (which == 3) {
            return Execution(address(validator), 0, abi.encodeCall(SessionValidator.revokeAllSessions, ()));
        }
        if (which == 4) return Execution(address(validator), 0, abi.encodeCall(SessionValidator.onUninstall, ("")));
        if (which == 5) {
            return
                Execution(owned, 0, abi.encodeCall(IERC7579ModuleConfig.installModule, (2, address(raider), bytes(""))));
        }
        if (which == 6) {
            return Execution(address(ownerValidator), 0, abi.encodeCall(SessionValidator.onUninstall, ("")));
        }
        return Execution(address(4), 0.01 ether, abi.encodePacked(bytes4(0x11223344)));
    }

    // ---------------------------------------------------------------------------------------------------- data

    function _spoilData(Plan memory plan, uint256 trick, Dice memory dice) private view {
        if (trick == MODE) return _otherMode(plan, dice);
        if (trick == NOT_EXECUTE) return _otherFunction(plan, dice);
        uint256 i = dice.roll(plan.calls.length);
        bytes memory data = plan.calls[i].callData;
        if (trick == ARGUMENT && data.length >= 36) {
            uint256[6] memory words =
                [uint256(uint160(thief)), 0, type(uint256).max, dice.word(), dice.roll(100), uint256(1) << 255];
            uint256 word = words[dice.roll(6)];
            uint256 at = 36 + 32 * dice.roll((data.length - 4) / 32);
            assembly ("memory-safe") {
                mstore(add(data, at), word)
            }
        } else if (data.length > 4) {
            uint256 length = dice.between(4, data.length - 1);
            assembly ("memory-safe") {
                mstore(data, length)
            }
        }
        _encode(plan);
    }

    function _otherMode(Plan memory plan, Dice memory dice) private view {
        bool vaulted;
        for (uint256 i = 0; i < plan.f.entries.length; ++i) {
            if (plan.f.entries[i].target != address(vault)) continue;
            vaulted = true;
            plan.calls = one(address(vault), 0, abi.encodeCall(Vault.stash, (1)));
        }
        // By delegatecall, an account takes what stands behind the target as the data: value first. So the selector is 0,
        // and what answers is the fallback.
        uint256 which = dice.roll(vaulted ? 3 : 6);
        plan.mode = SINGLE;
        _encode(plan);
        bytes32[6] memory modes = [
            bytes32(uint256(0xff00) << 240),
            bytes32(uint256(0xff01) << 240),
            bytes32(uint256(0xff01) << 240 | dice.word() >> 16),
            bytes32(uint256(0xfe00) << 240),
            bytes32(uint256(0x0101) << 240 | uint256(1) << dice.roll(240)),
            bytes32(dice.word())
        ];
        plan.op.callData = abi.encodeCall(IERC7579Execution.execute, (modes[which], _executionOf(plan.op.callData)));
    }

    /// @dev What `execute` gets as its second argument.
    function _executionOf(bytes memory callData) internal pure returns (bytes memory execution) {
        uint256 length = _word(callData, 2);
        execution = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(execution, 32), add(callData, 132), length)
        }
    }

    function _otherFunction(Plan memory plan, Dice memory dice) private view {
        bytes memory execution = abi.encodePacked(address(coin), uint256(0), abi.encodeCall(Coin.transfer, (thief, 1)));
        uint256 which = dice.roll(4);
        if (which == 0) {
            plan.op.callData = abi.encodeCall(IERC7579Execution.executeFromExecutor, (SINGLE, execution));
        } else if (which == 1) {
            plan.op.callData = abi.encodeCall(IERC7579ModuleConfig.installModule, (1, address(raider), bytes("")));
        } else if (which == 2) {
            plan.op.callData = abi.encodePacked(IAccountExecute.executeUserOp.selector, plan.op.callData);
        } else {
            plan.op.callData = abi.encodeCall(IERC7579ModuleConfig.uninstallModule, (1, address(validator), bytes("")));
        }
    }

    // ----------------------------------------------------------------------------------------------- operation

    function _spoilOperation(Plan memory plan, uint256 trick, Dice memory dice) private view {
        if (trick == LANE) {
            uint256 lane = dice.between(1, 6);
            uint192 key =
                _nonceKeyOf(plan.player, lane, address(dice.chance(80) ? address(validator) : address(ownerValidator)));
            plan.op.nonce = entryPointOf(plan).getNonce(plan.op.sender, key);
        } else if (trick == FEES) {
            uint256 gwei_ = dice.chance(50) ? dice.between(2, 20) : dice.between(20, 3000);
            if (dice.chance(90)) {
                plan.op.gasFees = bytes32(abi.encodePacked(uint128(gwei_ * 1 gwei), uint128(gwei_ * 1 gwei)));
            } else {
                plan.op.preVerificationGas = dice.chance(50) ? 1 << 121 : dice.between(1, 20_000_000);
            }
        } else if (trick == PAYMASTER) {
            uint256 which = dice.roll(3);
            if (which == 0) plan.op.paymasterAndData = "";
            else plan.op.paymasterAndData = _paymasterData(which == 1 ? address(tollPaymaster) : address(paymaster));
        } else if (trick == TIMES) {
            _otherTimes(plan, dice);
        } else {
            plan.op.initCode = abi.encodePacked(address(factory), dice.word());
        }
    }

    function _otherTimes(Plan memory plan, Dice memory dice) private view {
        uint256 which = dice.roll(6);
        if (which == 0) plan.claimedAt = uint48(block.timestamp + dice.roll(60));
        else if (which == 1) plan.claimedAt = uint48(block.timestamp - dice.between(100, 600));
        else if (which == 2) plan.deadline = uint48(block.timestamp - dice.roll(60));
        else if (which == 3) plan.deadline = 0;
        else if (which == 4) plan.deadline = type(uint48).max;
        else (plan.claimedAt, plan.deadline) = (uint48(block.timestamp - 119), uint48(block.timestamp + 1 days));
    }

    // ----------------------------------------------------------------------------------------------- signature

    function _spoilSignature(Plan memory plan, uint256 trick, Dice memory dice) private view {
        if (trick == OTHER_SCOPE) {
            plan.scope = granted[dice.roll(granted.length)].shown;
        } else if (trick == WIDER_SCOPE) {
            _widen(plan, dice);
        } else if (trick == SENDER) {
            uint256 other = dice.roll(PLAYERS);
            plan.op.sender = address(players[other].account);
            plan.op.nonce = entryPointOf(plan).getNonce(plan.op.sender, _nonceKey(other, dice.between(1, 4)));
            if (other == VICTIM && dice.chance(50)) plan.scope = granted[0].shown;
        } else if (trick == KEY) {
            plan.key = _key(dice.roll(KEYS + 1));
        } else {
            plan.hints[dice.roll(plan.hints.length)] = bytes1(uint8(dice.chance(70) ? dice.roll(8) : dice.word()));
        }
    }

    /// @dev The scope that the thief would like to have.
    function _widen(Plan memory plan, Dice memory dice) private view {
        Fields memory f = plan.f;
        uint256 which = dice.roll(6);
        if (which == 0) f.usesMax += 1000;
        else if (which == 1) f.validUntil += 1 days;
        else if (which == 2) f.gasBudgetWei += 1 ether;
        else if (which == 3) (f.valuePerCallWeiMax, f.valueTotalWeiMax) = (1 ether, 5 ether);
        else if (which == 4) f.rateIntervalMs = 0;
        else (f.entries[0].target, f.entries[0].selector) = (address(coin), Coin.transfer.selector);
        plan.scope = _shown(granted[plan.session].kind, f);
    }

    /// @dev Shows an entry that is not in the list: a token's in the place of the first, or any byte another one.
    function _spoilWitness(Plan memory plan, Dice memory dice) private view {
        if (dice.chance(50)) {
            plan.witnesses[dice.roll(plan.witnesses.length)] ^= bytes1(uint8(dice.between(1, 255)));
            return;
        }
        plan.mode = SINGLE;
        plan.calls = one(address(coin), 0, abi.encodeCall(Coin.transfer, (thief, 1 ether)));
        _encode(plan);
        bytes memory path = dice.chance(50) ? pathOf(plan.f, dice.roll(plan.f.entries.length)) : bytes(hex"00");
        plan.witnesses = abi.encodePacked(address(coin), Coin.transfer.selector, bytes8(0), path);
    }

    // ------------------------------------------------------------------------------------------------ sessions

    /// @dev As many calls as one operation may have, whatever is left of the session.
    function _hurry(Dice memory dice) private returns (Plan memory plan) {
        plan = dice.chance(50) ? _planOf(RATE, dice) : _plan(dice);
        _choose(plan, plan.f.callsMax, dice);
    }

    /// @dev One call, with so little gas at such a price that most of what it may cost is really paid.
    function _waste(Dice memory dice) private returns (Plan memory plan) {
        plan = _planOf(dice.chance(50) ? TIGHT : PLAIN, dice);
        _choose(plan, 1, dice);
        uint128 verification = 200_000;
        uint128 call = 250_000;
        uint256 price = plan.f.gasPerOperationWeiMax / (verification + call + PRE_VERIFICATION_GAS);
        plan.op.accountGasLimits = bytes32(abi.encodePacked(verification, call));
        plan.op.gasFees = bytes32(abi.encodePacked(uint128(price), uint128(price)));
    }

    /// @dev An operation that would be good, had the session not ended.
    function _ended(Dice memory dice) private returns (Plan memory plan) {
        uint256 start = dice.roll(granted.length);
        for (uint256 i = 0; i < 24; ++i) {
            uint256 session = (start + i) % granted.length;
            if (granted[session].player != VICTIM && !isLive(session) && _planFor(session, plan, dice)) return plan;
        }
        return _plan(dice);
    }

    function entryPointOf(Plan memory plan) internal view returns (IEntryPointNonces on) {
        on = IEntryPointNonces(address(players[plan.player].entryPoint));
    }
}
