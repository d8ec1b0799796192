// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {CalldataLib} from "./CalldataLib.sol";
import {Envelope, EnvelopeLib} from "./EnvelopeLib.sol";
import {ISessionValidator} from "./ISessionValidator.sol";
import {EntryLib, Scope, ScopeLib} from "./ScopeLib.sol";

/// @notice The entries that an operation's hints point at. Positions are absolute in calldata.
struct Allowlist {
    /// @dev How many entries can be pointed at: those of the scope, or the witnesses that were read so far.
    uint256 count;
    /// @dev Short list: where the entries begin.
    uint256 entries;
    /// @dev Short list: where the rules begin.
    uint256 rules;
    /// @dev Long list: what every witness must lead to, else 0.
    bytes32 root;
    /// @dev Long list: where the next witness begins.
    uint256 next;
    /// @dev Long list: where the signature ends.
    uint256 end;
    /// @dev Long list: where the entry of each witness stands.
    uint256[] positions;
}

/// @title The entries of a scope, as a signature shows them: all of a short list, witnesses of a long one.
/// @notice A witness, one for each entry that the operation uses, in the order of first use:
/// ```
/// entry 32 | its rules, 64 each | depth 1 | siblings, 32 each, from the leaf up
/// ```
/// The first call that uses an entry has as its hint the number of witnesses before it; later ones repeat it. Nothing can
/// stand between the witnesses or behind them.
library AllowlistLib {
    /// @notice The entries that this signature shows.
    /// @param callsMax most calls, so most witnesses.
    function open(Envelope memory envelope, uint256 callsMax) internal pure returns (Allowlist memory list) {
        Scope scope = envelope.scope;
        uint256 start = Scope.unwrap(scope);
        unchecked {
            uint256 count = envelope.entryCount;
            list.count = count;
            list.entries = start + ScopeLib.HEADER_LENGTH;
            list.rules = list.entries + ScopeLib.ENTRY_LENGTH * count;
            if (count != 0) return list;
            list.root = scope.root();
            list.next = start + ScopeLib.MERKLE_LENGTH;
            list.end = envelope.end;
            list.positions = new uint256[](callsMax);
        }
    }

    /// @notice The entry that the hint of call `index` names.
    /// @return entry its word.
    /// @return rules where its rules begin.
    function find(Allowlist memory list, uint256 index, uint256 hint)
        internal
        pure
        returns (uint256 entry, uint256 rules)
    {
        unchecked {
            if (list.end != 0) {
                if (hint == list.count) _read(list, index);
                if (hint >= list.count) revert ISessionValidator.HintOutOfRange(index, hint, list.count);
                uint256 position = list.positions[hint];
                return (CalldataLib.word(position), position + ScopeLib.ENTRY_LENGTH);
            }
            if (hint >= list.count) revert ISessionValidator.HintOutOfRange(index, hint, list.count);
            entry = CalldataLib.word(list.entries + (hint << 5));
            rules = list.rules + (EntryLib.ruleFrom(entry) << 6);
        }
    }

    /// @notice Requires that the signature ends with the last witness.
    function close(Allowlist memory list) internal pure {
        if (list.next != list.end) revert ISessionValidator.SignatureTooLong(list.end - list.next);
    }

    /// @dev Reads the next witness and requires that its entry and rules are under the root.
    function _read(Allowlist memory list, uint256 index) private pure {
        uint256 position = list.next;
        // Unchecked: one-byte numbers times 64 at most, behind a position of calldata.
        unchecked {
            _requireInside(list, position, ScopeLib.ENTRY_LENGTH);
            uint256 ruleCount = EntryLib.ruleCount(CalldataLib.word(position));
            uint256 length = ScopeLib.ENTRY_LENGTH + ScopeLib.RULE_LENGTH * ruleCount;
            _requireInside(list, position, length + 1);
            uint256 at = position + length;
            uint256 depth = CalldataLib.word(at) >> 248;
            at += 1;
            _requireInside(list, at, 32 * depth);
            bytes32 hash = ScopeLib.hash(position, length);
            for (; depth != 0; --depth) {
                hash = Hashes.commutativeKeccak256(hash, bytes32(CalldataLib.word(at)));
                at += 32;
            }
            if (hash != list.root) revert ISessionValidator.WitnessInvalid(index, hash, list.root);
            list.next = at;
            list.positions[list.count] = position;
            list.count += 1;
        }
    }

    /// @dev `position` is never beyond the end: it starts inside and moves only after this check.
    function _requireInside(Allowlist memory list, uint256 position, uint256 length) private pure {
        unchecked {
            uint256 left = list.end - position;
            if (length > left) revert ISessionValidator.SignatureTooShort(left, length);
        }
    }
}
