// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Journal} from "./Journal.sol";

/// @title A sender of operations that do nothing but mark where they stand in a bundle.
contract Marker {
    Journal private immutable _journal;

    constructor(Journal journal_) {
        _journal = journal_;
    }

    function validateUserOp(PackedUserOperation calldata, bytes32, uint256) external pure returns (uint256) {
        return 0;
    }

    function mark() external {
        _journal.mark();
    }
}
