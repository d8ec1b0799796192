// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Vm} from "forge-std/Vm.sol";

/// @title Why handleOps reverted, in words that can be counted.
library Refusals {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    bytes4 private constant PLAIN_WORDS = 0x08c379a0;

    /// @notice "refused: AA23 0x" and the four bytes of the inner error, or the EntryPoint's own words.
    function name(bytes memory reason) internal pure returns (string memory) {
        bytes4 selector = bytes4(reason);
        if (selector == IEntryPoint.FailedOp.selector) {
            (, string memory words) = abi.decode(arguments(reason), (uint256, string));
            return string.concat("refused: ", words);
        }
        // AA94 comes as plain words.
        if (selector == PLAIN_WORDS) return string.concat("refused: ", abi.decode(arguments(reason), (string)));
        if (selector != IEntryPoint.FailedOpWithRevert.selector) {
            return string.concat("refused: ", VM.toString(reason));
        }
        (, string memory what, bytes memory inner) = abi.decode(arguments(reason), (uint256, string, bytes));
        bytes memory code = bytes(what);
        assembly ("memory-safe") {
            mstore(code, 4)
        }
        return string.concat("refused: ", string(code), " ", VM.toString(abi.encodePacked(bytes4(inner))));
    }

    /// @notice What stands behind the selector.
    function arguments(bytes memory reason) internal pure returns (bytes memory rest) {
        rest = new bytes(reason.length - 4);
        assembly ("memory-safe") {
            mcopy(add(rest, 32), add(reason, 36), mload(rest))
        }
    }
}
