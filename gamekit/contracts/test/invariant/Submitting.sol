// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IEntryPointUnderTest} from "test/Harness.sol";
import {Aliases} from "./Aliases.sol";
import {Draft} from "./Book.sol";
import {Counts} from "./Counts.sol";
import {Dice} from "./Dice.sol";
import {Marker} from "./Marker.sol";
import {Refusals} from "./Refusals.sol";

/// @title The bundler: alters operations after they were signed, and hands bundles to the EntryPoint.
abstract contract Submitting is Aliases {
    uint256 internal constant TAMPER_SIGNATURE = 33;
    uint256 internal constant TAMPER_TIMES = 34;
    uint256 internal constant TAMPER_LENGTH = 35;
    uint256 internal constant TAMPER_SCOPE = 36;
    uint256 internal constant TAMPER_FEES = 37;
    uint256 internal constant TAMPER_CALLS = 38;
    uint256 internal constant TAMPER_NONCE = 39;
    uint256 internal constant TAMPER_PAYMASTER = 40;
    uint256 internal constant TAMPERS = 41;
    uint256 internal constant REPLAY = 41;
    uint256 internal constant LATE = 42;

    /// @dev The order of secp256k1.
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    uint256 private constant REMEMBERED = 8;

    /// @dev What happened, for the report.
    Counts internal counts;
    uint256 public submitted;
    uint256 public accepted;

    /// @dev The last operations that were accepted, to be played again.
    bytes[REMEMBERED] private _landed;
    uint256 private _landings;

    // --------------------------------------------------------------------------------------------------- tamper

    /// @dev Alters an operation after it was signed; always at least one byte.
    function _tamper(Draft memory draft, Dice memory dice) internal view {
        draft.tampered = true;
        draft.trick = dice.between(TAMPER_SIGNATURE, TAMPERS - 1);
        PackedUserOperation memory op = draft.op;
        if (draft.trick == TAMPER_SIGNATURE) {
            _tamperSignature(op.signature, dice);
        } else if (draft.trick == TAMPER_TIMES) {
            uint48 claimedAt = dice.chance(50) ? draft.claimedAt : uint48(block.timestamp - dice.roll(100));
            uint48 deadline;
            unchecked {
                deadline = draft.deadline + uint48(dice.between(1, 1000)); // the thief's may be the last one there is
            }
            _overwrite(op.signature, 0, abi.encodePacked(claimedAt, deadline));
        } else if (draft.trick == TAMPER_LENGTH) {
            if (dice.chance(50)) op.signature = bytes.concat(op.signature, new bytes(dice.between(1, 64)));
            else op.signature = _cut(op.signature, dice.roll(op.signature.length));
        } else if (draft.trick == TAMPER_SCOPE) {
            uint256 at = dice.between(77, op.signature.length - 1);
            op.signature[at] ^= bytes1(uint8(dice.between(1, 255)));
        } else if (draft.trick == TAMPER_FEES) {
            if (dice.chance(50)) op.gasFees = bytes32(uint256(op.gasFees) + (1 << 128));
            else op.preVerificationGas += dice.between(1, 100_000);
        } else if (draft.trick == TAMPER_CALLS) {
            if (op.callData.length == 0) op.callData = new bytes(4);
            op.callData[dice.roll(op.callData.length)] ^= bytes1(uint8(dice.between(1, 255)));
        } else if (draft.trick == TAMPER_NONCE) {
            op.nonce += dice.chance(50) ? 1 : 1 << 64;
        } else {
            op.paymasterAndData = op.paymasterAndData.length == 0 ? _paymasterData(address(tollPaymaster)) : bytes("");
        }
    }

    /// @dev The other s, or any bit of r, s and v.
    function _tamperSignature(bytes memory signature, Dice memory dice) private pure {
        if (dice.chance(60)) {
            signature[dice.between(12, 76)] ^= bytes1(uint8(2 ** dice.roll(8)));
            return;
        }
        uint256 s;
        assembly ("memory-safe") {
            s := mload(add(signature, 76))
        }
        _overwrite(signature, 44, abi.encodePacked(ORDER - s, uint8(signature[76]) == 27 ? uint8(28) : uint8(27)));
    }

    function _overwrite(bytes memory data, uint256 at, bytes memory with_) private pure {
        for (uint256 i = 0; i < with_.length; ++i) {
            data[at + i] = with_[i];
        }
    }

    function _cut(bytes memory data, uint256 length) private pure returns (bytes memory shorter) {
        shorter = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(shorter, 32), add(data, 32), length)
        }
    }

    // --------------------------------------------------------------------------------------------------- submit

    /// @dev Submits one operation. Gives whether it was accepted, and if not, why.
    function _submitOne(Draft memory draft, IEntryPointUnderTest on) internal returns (bool done, bytes memory reason) {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = draft.op;
        Draft[] memory drafts = new Draft[](1);
        drafts[0] = draft;
        ++submitted;
        (done, reason) = _handle(ops, on);
        if (done) _accept(drafts, on);
        else counts.add(Refusals.name(reason));
    }

    /// @dev Submits several in one bundle. As a bundler does, leaves out the one that is refused and tries the rest.
    function _submitMany(Draft[] memory drafts, IEntryPointUnderTest on) internal {
        submitted += drafts.length;
        while (drafts.length > 0) {
            (bool done, bytes memory reason) = _handle(_bundle(drafts, on), on);
            if (done) {
                counts.add(string.concat("accepted: bundle of ", vm.toString(drafts.length)));
                return _accept(drafts, on);
            }
            counts.add(Refusals.name(reason));
            // A mark stands behind each operation.
            drafts = _without(drafts, abi.decode(Refusals.arguments(reason), (uint256)) / 2);
        }
    }

    function _bundle(Draft[] memory drafts, IEntryPointUnderTest on)
        private
        view
        returns (PackedUserOperation[] memory ops)
    {
        ops = new PackedUserOperation[](2 * drafts.length);
        for (uint256 i = 0; i < drafts.length; ++i) {
            ops[2 * i] = drafts[i].op;
            PackedUserOperation memory mark = ops[2 * i + 1];
            mark.sender = address(marker);
            // A lane for each, so that none waits for another.
            mark.nonce = on.getNonce(mark.sender, uint192(i));
            mark.callData = abi.encodeCall(Marker.mark, ());
            mark.accountGasLimits = bytes32(abi.encodePacked(uint128(100_000), uint128(100_000)));
            mark.gasFees = bytes32(uint256(1));
        }
    }

    function _without(Draft[] memory drafts, uint256 index) private pure returns (Draft[] memory fewer) {
        fewer = new Draft[](drafts.length - 1);
        for (uint256 i = 0; i < fewer.length; ++i) {
            fewer[i] = drafts[i < index ? i : i + 1];
        }
    }

    /// @dev Whether the EntryPoint took the whole bundle, and if not, why.
    function _handle(PackedUserOperation[] memory ops, IEntryPointUnderTest on)
        private
        returns (bool done, bytes memory reason)
    {
        vm.recordLogs();
        // EntryPoint 0.8 wants a plain account as transaction origin.
        vm.prank(thief, thief);
        try on.handleOps(ops, payable(thief)) {
            return (true, "");
        } catch (bytes memory why) {
            return (false, why);
        }
    }

    function _accept(Draft[] memory drafts, IEntryPointUnderTest on) private {
        accepted += drafts.length;
        _settle(drafts, on);
        for (uint256 i = 0; i < drafts.length; ++i) {
            _countAccepted(drafts[i]);
            // Not each, because it is large.
            if (accepted % 4 == 0) _landed[_landings++ % REMEMBERED] = abi.encode(drafts[i], address(on));
        }
    }

    /// @dev One of the last operations that were accepted, as it was.
    function _replay(Dice memory dice) internal view returns (bool found, Draft memory draft, IEntryPointUnderTest on) {
        if (_landings == 0) return (false, draft, on);
        uint256 kept = _landings < REMEMBERED ? _landings : REMEMBERED;
        (draft, on) = abi.decode(_landed[dice.roll(kept)], (Draft, IEntryPointUnderTest));
        draft.trick = REPLAY;
        // It was used up: to be accepted again is as bad as to be altered.
        draft.tampered = true;
        found = true;
    }

    // --------------------------------------------------------------------------------------------------- counts

    function _countAccepted(Draft memory draft) private {
        if (draft.session == NO_SESSION) return;
        string[3] memory accounts = ["reference 0.7", "reference 0.8", "Nexus 0.7"];
        string[8] memory kinds = ["plain", "rules", "value", "rate", "many", "sponsored", "tight", "long"];
        counts.add(string.concat("accepted: ", accounts[granted[draft.session].player % 3], ", ", _modeName(draft.op)));
        counts.add(string.concat("accepted: ", kinds[granted[draft.session].kind]));
        if (draft.trick != NONE) counts.add("accepted: after a trick that was harmless");
    }

    function _modeName(PackedUserOperation memory op) private pure returns (string memory) {
        bytes32 mode = bytes32(_word(op.callData, 0));
        if (mode == SINGLE) return "single";
        if (mode == SINGLE_TRY) return "single try";
        return mode == BATCH ? "batch" : "batch try";
    }
}
