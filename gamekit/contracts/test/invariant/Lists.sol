// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Entry, Fields, Rule} from "test/Harness.sol";
import {Book} from "./Book.sol";

/// @title Long lists of entries: what is granted, the root that is shown, and the witnesses of entries.
abstract contract Lists is Book {
    /// @dev Bytes of a scope before its entries, and where the counts of entries and rules stand.
    uint256 private constant HEADER = 192;
    uint256 private constant COUNTS = 54;

    /// @dev The granted form: header without counts, then each entry with its rules.
    function packLong(Fields memory f) internal pure returns (bytes memory scope) {
        scope = _header(f);
        for (uint256 i = 0; i < f.entries.length; ++i) {
            scope = bytes.concat(scope, leafOf(f, i));
        }
    }

    /// @dev The signed form: header without counts, then the root.
    function packRoot(Fields memory f) internal pure returns (bytes memory) {
        bytes32[] memory level = _leaves(f);
        while (level.length > 1) level = _above(level);
        return bytes.concat(_header(f), level[0]);
    }

    /// @dev An entry and its rules, as they are hashed.
    function leafOf(Fields memory f, uint256 entry) internal pure returns (bytes memory leaf) {
        Entry memory e = f.entries[entry];
        leaf = abi.encodePacked(e.target, e.selector, uint8(0), e.ruleCount, bytes6(0));
        for (uint256 i = e.ruleFrom; i < uint256(e.ruleFrom) + e.ruleCount; ++i) {
            Rule memory r = f.rules[i];
            leaf = abi.encodePacked(leaf, r.argument, r.condition, r.lane, bytes29(0), r.value);
        }
    }

    /// @dev What proves that the entry is in the list: depth 1 | siblings.
    function pathOf(Fields memory f, uint256 entry) internal pure returns (bytes memory path) {
        uint8 depth = 0;
        bytes32[] memory level = _leaves(f);
        uint256 at = entry;
        for (; level.length > 1; at /= 2) {
            if (at ^ 1 < level.length) {
                path = bytes.concat(path, level[at ^ 1]);
                ++depth;
            }
            level = _above(level);
        }
        path = bytes.concat(bytes1(depth), path);
    }

    function _header(Fields memory f) private pure returns (bytes memory header) {
        bytes memory short = pack(f);
        header = new bytes(HEADER);
        assembly ("memory-safe") {
            mcopy(add(header, 32), add(short, 32), HEADER)
        }
        header[COUNTS] = 0;
        header[COUNTS + 1] = 0;
    }

    function _leaves(Fields memory f) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](f.entries.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = keccak256(leafOf(f, i));
        }
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < level.length; i += 2) {
            above[i / 2] = i + 1 < level.length ? Hashes.commutativeKeccak256(level[i], level[i + 1]) : level[i];
        }
    }
}
