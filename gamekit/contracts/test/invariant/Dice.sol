// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Many choices out of one fuzzed number.
struct Dice {
    uint256 seed;
}

using DiceLib for Dice global;

/// @title Choices that follow from a seed.
library DiceLib {
    /// @notice A number of 256 bits.
    function word(Dice memory dice) internal pure returns (uint256) {
        dice.seed = uint256(keccak256(abi.encode(dice.seed)));
        return dice.seed;
    }

    /// @notice 0 to `sides` - 1.
    function roll(Dice memory dice, uint256 sides) internal pure returns (uint256) {
        return dice.word() % sides;
    }

    /// @notice `low` to `high`, both inclusive.
    function between(Dice memory dice, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + dice.roll(high - low + 1);
    }

    /// @notice True in `percent` of 100 cases.
    function chance(Dice memory dice, uint256 percent) internal pure returns (bool) {
        return dice.roll(100) < percent;
    }
}
