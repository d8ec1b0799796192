// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator} from "./ISessionValidator.sol";
import {TargetLib} from "./TargetLib.sol";

/// @notice What a proxy may answer about itself. Source: ERC-897.
interface IProxy {
    /// @notice The contract whose code the proxy runs.
    function implementation() external view returns (address);
}

/// @notice What is known of a piece of code.
enum CodeKind {
    /// @dev Nobody has asked yet.
    Unknown,
    /// @dev It runs nothing but itself.
    OwnOnly,
    /// @dev `delegatecall` or `callcode` is among its instructions.
    RunsOthers
}

/// @title Targets that can run the code of another contract, so that what they do can change without their address.
/// @notice Asked once, in grant. The chain can see that a contract may run other code, and for some kinds which; where it
/// cannot, what the owner accepts is the owner's own word, which the server compares with the proxy's storage and watches.
library ProxyLib {
    // Source: the EVM's instructions.
    uint256 private constant PUSH1 = 0x60;
    uint256 private constant CALLCODE = 0xf2;
    uint256 private constant DELEGATECALL = 0xf4;

    /// @dev The code of a minimal proxy around the implementation's 20 bytes; more may follow, as immutable arguments.
    /// Source: ERC-1167.
    bytes10 private constant CLONE_HEAD = 0x363d3d373d3d3d363d73;
    bytes15 private constant CLONE_TAIL = 0x5af43d82803e903d91602b57fd5bf3;

    /// @notice Whether the target can run code of others. Reading its code costs some 60 gas a byte, so the answer is
    /// remembered, by the hash of the code: what it is never changes.
    function runsOthers(mapping(bytes32 codeHash => CodeKind) storage known, address target) internal returns (bool) {
        bytes32 codeHash = target.codehash;
        CodeKind kind = known[codeHash];
        if (kind == CodeKind.Unknown) {
            kind = canRunOthersCode(target) ? CodeKind.RunsOthers : CodeKind.OwnOnly;
            known[codeHash] = kind;
        }
        return kind == CodeKind.RunsOthers;
    }

    /// @notice Whether `delegatecall` or `callcode` is among the instructions of the target.
    /// @dev Walks the code as the EVM does to find its jump destinations, so what hides in the data of a PUSH is skipped and
    /// no instruction that can be reached is. Data behind the code may look like one of the two: then the owner accepts
    /// the target itself.
    function canRunOthersCode(address target) internal view returns (bool found) {
        bytes memory code = target.code;
        assembly ("memory-safe") {
            let at := add(code, 32)
            let end := add(at, mload(code))
            for {} lt(at, end) { at := add(at, 1) } {
                let instruction := byte(0, mload(at))
                // PUSH1 to PUSH32 carry 1 to 32 bytes.
                if lt(sub(instruction, PUSH1), 32) { at := add(at, sub(instruction, 0x5f)) }
                if or(eq(instruction, DELEGATECALL), eq(instruction, CALLCODE)) {
                    found := 1
                    break
                }
            }
        }
    }

    /// @notice Requires that `accepted` is what the target runs, as far as the target tells.
    function requireAccepted(address target, address accepted) internal view {
        address told = _toldBy(target);
        if (accepted.code.length == 0 || (told != address(0) && told != accepted)) {
            revert ISessionValidator.ImplementationNotAccepted(target, told, accepted);
        }
    }

    /// @dev 0 if the target does not tell.
    function _toldBy(address target) private view returns (address) {
        bytes memory code = target.code;
        bytes32 head;
        bytes32 tail;
        assembly ("memory-safe") {
            head := mload(add(code, 32))
            tail := mload(add(code, 62))
        }
        if (code.length >= 45 && bytes10(head) == CLONE_HEAD && bytes15(tail) == CLONE_TAIL) {
            return address(uint160(uint256(head) >> 16));
        }
        (bool answered, uint256 answer) = TargetLib.ask(target, abi.encodeCall(IProxy.implementation, ()));
        return answered && answer >> 160 == 0 ? address(uint160(answer)) : address(0);
    }
}
