// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Execution, IERC7579Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {Dice} from "./Dice.sol";
import {Plan} from "./Moves.sol";
import {Tricks} from "./Tricks.sol";

/// @title Encodings in which two decoders could see two different operations.
/// @notice Each hides harmful calls in the arguments of an allowed one, and bends one offset so that a decoder who follows
/// offsets finds them, and one who reads on does not. Also plain damage: words replaced, cut, lengthened.
abstract contract Aliases is Tricks {
    uint256 internal constant ALIAS_EXECUTION = 27;
    uint256 internal constant ALIAS_ARRAY = 28;
    uint256 internal constant ALIAS_CALL = 29;
    uint256 internal constant ALIAS_DATA = 30;
    uint256 internal constant DIRTY = 31;
    uint256 internal constant DAMAGE = 32;

    /// @dev Where things stand in call data: selector 4, mode 32, offset 32, length 32, execution.
    uint256 private constant EXECUTION = 100;
    /// @dev Where the one call of a batch stands behind its array's head word.
    uint256 private constant FIRST_CALL = EXECUTION + 96;

    /// @dev Makes a plan, and encodes it in one of these ways.
    function _alias(Dice memory dice) internal returns (Plan memory plan) {
        plan = _plan(dice);
        plan.trick = ALIAS_EXECUTION + dice.roll(6);
        if (plan.trick == DAMAGE) return _damage(plan, dice);
        // One call that can carry anything behind its arguments.
        plan.calls = one(plan.calls[0].target, plan.calls[0].value, plan.calls[0].callData);
        Execution memory harm = _harmful(plan, dice);
        bool attempt = dice.chance(50);
        if (plan.trick == ALIAS_EXECUTION && dice.chance(50)) {
            plan.mode = attempt ? SINGLE_TRY : SINGLE;
            _aliasExecution(plan, abi.encodePacked(harm.target, harm.value, harm.callData), EXECUTION + 52);
        } else {
            plan.mode = attempt ? BATCH_TRY : BATCH;
            uint256 data = FIRST_CALL + 128;
            if (plan.trick == ALIAS_EXECUTION) _aliasExecution(plan, abi.encode(one(harm)), data);
            else if (plan.trick == ALIAS_ARRAY) _aliasArray(plan, harm, data);
            else if (plan.trick == ALIAS_CALL) _aliasCall(plan, harm, data);
            else if (plan.trick == ALIAS_DATA) _aliasData(plan, harm, data, dice);
            else _dirty(plan, dice);
        }
    }

    function one(Execution memory call) internal pure returns (Execution[] memory) {
        return one(call.target, call.value, call.callData);
    }

    /// @dev The offset of the execution points at another execution.
    function _aliasExecution(Plan memory plan, bytes memory other, uint256 data) private view {
        uint256 at = data + _hide(plan, abi.encodePacked(other.length, other));
        _patch(plan, 36, at - 4);
    }

    /// @dev The offset of the array points at another array.
    function _aliasArray(Plan memory plan, Execution memory harm, uint256 data) private view {
        bytes memory encoded = abi.encode(one(harm));
        uint256 at = data + _hide(plan, _from(encoded, 32));
        _patch(plan, EXECUTION, at - EXECUTION);
    }

    /// @dev The head of the call points at another call.
    function _aliasCall(Plan memory plan, Execution memory harm, uint256 data) private view {
        bytes memory encoded = abi.encode(one(harm));
        uint256 at = data + _hide(plan, _from(encoded, 96));
        _patch(plan, EXECUTION + 64, at - (EXECUTION + 64));
    }

    /// @dev The offset of the call's data points at other data, for the same target.
    function _aliasData(Plan memory plan, Execution memory harm, uint256 data, Dice memory dice) private view {
        bytes memory other = dice.chance(50) ? harm.callData : abi.encodePacked(dice.word(), dice.word());
        uint256 at = data + _hide(plan, abi.encodePacked(other.length, other, bytes31(0)));
        _patch(plan, FIRST_CALL + 64, at - FIRST_CALL);
    }

    /// @dev Bits where only zeros may be: the target's upper ones, or behind the end of the data.
    function _dirty(Plan memory plan, Dice memory dice) private view {
        _encode(plan);
        bytes memory callData = plan.op.callData;
        if (dice.chance(50)) {
            _patch(plan, FIRST_CALL, _at(callData, FIRST_CALL) | 2 ** dice.between(160, 255));
        } else {
            callData[callData.length - 1] = bytes1(uint8(dice.between(1, 255)));
        }
    }

    /// @dev Encodes the plan's one call with more bytes behind its arguments; gives where they stand in its data.
    function _hide(Plan memory plan, bytes memory more) private view returns (uint256 at) {
        at = plan.calls[0].callData.length;
        plan.calls[0].callData = abi.encodePacked(plan.calls[0].callData, more);
        _encode(plan);
    }

    function _from(bytes memory data, uint256 start) private pure returns (bytes memory rest) {
        rest = new bytes(data.length - start);
        assembly ("memory-safe") {
            mcopy(add(rest, 32), add(add(data, 32), start), mload(rest))
        }
    }

    function _at(bytes memory data, uint256 position) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), position))
        }
    }

    function _patch(Plan memory plan, uint256 position, uint256 word) private pure {
        bytes memory callData = plan.op.callData;
        assembly ("memory-safe") {
            mstore(add(add(callData, 32), position), word)
        }
    }

    /// @dev Anything, anywhere in the call data.
    function _damage(Plan memory plan, Dice memory dice) private pure returns (Plan memory) {
        bytes memory callData = plan.op.callData;
        uint256 which = dice.roll(4);
        if (which == 0) {
            uint256[6] memory words = [uint256(0), 0x20, 0x40, 0x60, type(uint256).max, dice.roll(callData.length)];
            _patch(plan, 4 + 32 * dice.roll((callData.length - 4) / 32), words[dice.roll(6)]);
        } else if (which == 1) {
            plan.op.callData = bytes.concat(callData, new bytes(dice.between(1, 64)));
        } else if (which == 2) {
            uint256 length = dice.roll(callData.length);
            assembly ("memory-safe") {
                mstore(callData, length)
            }
        } else {
            callData[dice.roll(callData.length)] = bytes1(uint8(dice.word()));
        }
        return plan;
    }
}
