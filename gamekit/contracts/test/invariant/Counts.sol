// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

/// @notice How often each thing happened.
struct Counts {
    string[] names;
    mapping(bytes32 nameHash => uint256) index;
    uint256[] numbers;
}

using CountsLib for Counts global;

/// @title Counting by name.
library CountsLib {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function add(Counts storage counts, string memory name) internal {
        bytes32 hash = keccak256(bytes(name));
        uint256 known = counts.index[hash];
        if (known == 0) {
            counts.names.push(name);
            counts.numbers.push(1);
            counts.index[hash] = counts.names.length;
        } else {
            ++counts.numbers[known - 1];
        }
    }

    /// @notice How many names begin like this.
    function kinds(Counts storage counts, bytes8 beginning) internal view returns (uint256 number_) {
        for (uint256 i = 0; i < counts.names.length; ++i) {
            if (bytes8(bytes(counts.names[i])) == beginning) ++number_;
        }
    }

    /// @notice All of it as one JSON object.
    function toJson(Counts storage counts) internal view returns (string memory json) {
        json = "{";
        for (uint256 i = 0; i < counts.names.length; ++i) {
            json = string.concat(json, i == 0 ? '"' : ',"', counts.names[i], '":', VM.toString(counts.numbers[i]));
        }
        json = string.concat(json, "}");
    }
}
