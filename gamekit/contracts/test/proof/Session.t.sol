// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC7579Validator} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ISessionValidator, Session, SessionState} from "src/ISessionValidator.sol";
import {GAME, Proof, Terms} from "./Proof.sol";

/// @dev A target that answers nothing.
contract Silent {
    fallback() external {
        revert();
    }
}

/// @title Who must have signed what, and that the session is live.
/// @notice Storage is arbitrary in all of these: whatever was granted, revoked, installed or used before.
contract SessionProof is Proof {
    function _module() private view returns (ISessionValidator) {
        return ISessionValidator(address(validator));
    }

    /// @notice An accepted operation belongs to a session that is live, of the account's present epoch.
    function check_epoch() external {
        bytes memory scope = pack(terms());
        Session memory session = _module().sessionOf(ACCOUNT, permissionIdOf(scope));
        uint32 epoch = _module().accountOf(ACCOUNT).epoch;
        (bool accepted,) = accepts(operation(play(), 1, scope));
        if (accepted) assertTrue(session.state == SessionState.Live && session.epoch == epoch);
    }

    /// @notice After `onUninstall` no session that was granted before is accepted, nor after a later `onInstall`.
    function check_uninstall() external {
        bytes memory scope = pack(terms());
        Session memory session = _module().sessionOf(ACCOUNT, permissionIdOf(scope));
        // Granted under an epoch that the account had; 2^32 epochs are never used up.
        uint32 epoch = _module().accountOf(ACCOUNT).epoch;
        vm.assume(session.epoch <= epoch && epoch < type(uint32).max - 1);
        vm.prank(ACCOUNT);
        validator.onUninstall("");
        if (SYMBOLIC.createUint256("installed again") != 0) {
            vm.prank(ACCOUNT);
            validator.onInstall("");
        }
        (bool accepted,) = accepts(operation(play(), 1, scope));
        assertFalse(accepted);
    }

    /// @notice What the session key signed is this operation hash, this permission and this very pair of times.
    function check_signature() external {
        Terms memory t = terms();
        bytes memory scope = pack(t);
        uint48 claimedAt = uint48(SYMBOLIC.createUint(48, "claimedAt"));
        uint48 deadline = uint48(SYMBOLIC.createUint(48, "deadline"));
        (uint256 r, uint256 s) = (SYMBOLIC.createUint256("r"), SYMBOLIC.createUint256("s"));
        uint8 v = uint8(SYMBOLIC.createUint(8, "v"));
        PackedUserOperation memory op = operation(play(), 1, scope);
        op.signature = abi.encodePacked(claimedAt, deadline, r, s, v, uint8(0), scope);
        bytes32 userOpHash = SYMBOLIC.createBytes32("userOpHash");
        (bool accepted,) = accepts(op, userOpHash);
        if (!accepted) return;
        bytes32 typehash =
            keccak256("SessionOperation(bytes32 userOpHash,bytes32 permissionId,uint96 claimedAtAndDeadline)");
        uint256 times = uint256(claimedAt) << 48 | deadline;
        bytes32 digest = keccak256(abi.encode(typehash, userOpHash, permissionIdOf(scope), times));
        assertTrue(ecrecover(digest, v, bytes32(r), bytes32(s)) == t.signer);
        assertTrue(s <= 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0);
    }

    /// @notice No grant names a key that cannot sign: 0, which is what a malformed signature recovers to, above all.
    function check_signer() external {
        Terms memory t = terms();
        t.signer = SYMBOLIC.createAddress("signer");
        if (_granted(t)) assertTrue(t.signer != address(0) && t.signer != ACCOUNT && t.signer != address(validator));
    }

    /// @notice A granted session ends: not at 0, which is for ever, and within 30 days.
    function check_time_frame() external {
        Terms memory t = terms();
        t.validAfter = uint48(SYMBOLIC.createUint(48, "validAfter"));
        t.validUntil = uint48(SYMBOLIC.createUint(48, "validUntil"));
        if (!_granted(t)) return;
        assertTrue(t.validUntil != 0 && t.validAfter < t.validUntil);
        assertTrue(NOW <= t.validUntil && t.validUntil <= NOW + 30 days);
    }

    function _granted(Terms memory t) private returns (bool) {
        vm.etch(GAME, type(Silent).runtimeCode);
        vm.prank(ACCOUNT);
        try _module().grantSession(pack(t), new address[](0)) returns (bytes32) {
            reached();
            return true;
        } catch {
            return false;
        }
    }

    /// @notice The module signs nothing for the account: ERC-1271 is always answered with another word than the magic one.
    function check_erc1271() external {
        address sender = SYMBOLIC.createAddress("sender");
        bytes32 hash = SYMBOLIC.createBytes32("hash");
        bytes memory signature = SYMBOLIC.createBytes(65, "signature");
        bytes4 answer = validator.isValidSignatureWithSender(sender, hash, signature);
        reached();
        assertTrue(answer != 0x1626ba7e);
    }

    /// @notice Only the account itself asks: nobody else's call of validateUserOp changes its session.
    function check_sender() external {
        PackedUserOperation memory op = operation(play(), 1, pack(terms()));
        op.sender = SYMBOLIC.createAddress("sender");
        (bool accepted,) = accepts(op);
        if (accepted) assertTrue(op.sender == ACCOUNT);
    }
}
