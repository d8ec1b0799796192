// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionPaymaster} from "src/ISessionPaymaster.sol";
import {Fields} from "test/Harness.sol";
import {PaymasterHarness} from "test/paymaster/PaymasterHarness.sol";

/// @notice ERC-7562: which storage sponsoring touches. Associated with the account, or the staked paymaster's own three
/// words of the game; in the module, associated only.
contract PaymasterStorageTest is PaymasterHarness {
    /// @dev Mappings stand somewhere in the first slots, whatever is inherited.
    uint256 private constant SLOTS = 16;

    function test_validatePaymasterUserOp_success_storageOfASession() public {
        Fields memory f = sponsored();
        _check(_paid(f), permissionIdOf(pack(f)), true);
    }

    function test_validatePaymasterUserOp_success_storageOfASignedOne() public {
        PackedUserOperation memory op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, GAME, uint48(NOW - 1), uint48(NOW + 60), sponsorKey);
        op.signature = _signature(entryPoint.getUserOpHash(op), ownerKey);
        _check(op, bytes32(0), false);
    }

    /// @dev The same check notices a word that is neither: the owner's, which only the operator's functions read.
    function test_validatePaymasterUserOp_finds_anotherWord() public {
        vm.record();
        paymaster.owner();
        (bytes32[] memory reads,) = vm.accesses(address(paymaster));
        assertEq(reads.length, 1);
        assertFalse(_associated(reads[0], bytes32(0)) || _ofGame(reads[0]));
    }

    function _check(PackedUserOperation memory op, bytes32 id, bool asksModule) private {
        vm.record();
        submit(op);
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(address(paymaster));
        assertGt(reads.length, 0);
        assertGt(writes.length, 0);
        for (uint256 i = 0; i < reads.length; ++i) {
            assertTrue(_associated(reads[i], id) || _ofGame(reads[i]), "read");
        }
        for (uint256 i = 0; i < writes.length; ++i) {
            assertTrue(_associated(writes[i], id) || _ofGame(writes[i]), "written");
        }
        (reads,) = vm.accesses(address(validator));
        assertEq(reads.length != 0, asksModule);
        for (uint256 i = 0; i < reads.length; ++i) {
            assertTrue(_associated(reads[i], id), "of the module");
        }
    }

    function _associated(bytes32 slot, bytes32 id) private view returns (bool) {
        bytes32 who = bytes32(uint256(uint160(address(account))));
        for (uint256 number = 0; number < SLOTS; ++number) {
            if (slot == keccak256(abi.encode(who, number))) return true;
            if (slot == keccak256(abi.encode(who, keccak256(abi.encode(id, number))))) return true;
            if (slot == keccak256(abi.encode(who, keccak256(abi.encode(GAME, number))))) return true;
        }
        return false;
    }

    function _ofGame(bytes32 slot) private pure returns (bool) {
        for (uint256 number = 0; number < SLOTS; ++number) {
            for (uint256 word = 0; word < 3; ++word) {
                if (uint256(slot) == uint256(keccak256(abi.encode(GAME, number))) + word) return true;
            }
        }
        return false;
    }
}
