// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {OwnerValidator} from "src/OwnerValidator.sol";
import {Fields, Harness} from "test/Harness.sol";

abstract contract OwnerValidatorTest is Harness {
    function test_onInstall_success_emitsEvent() public {
        vm.expectEmit(address(ownerValidator));
        emit OwnerValidator.OwnerChanged(thief, owner);
        vm.prank(thief);
        ownerValidator.onInstall(abi.encodePacked(owner));
        assertEq(ownerValidator.ownerOf(thief), owner);
        assertTrue(ownerValidator.isInitialized(thief));
    }

    function test_onInstall_revert_ownerDataInvalid() public {
        vm.expectRevert(abi.encodeWithSelector(OwnerValidator.OwnerDataInvalid.selector, 32, 20));
        ownerValidator.onInstall(abi.encode(owner));
    }

    function test_onInstall_revert_ownerInvalid() public {
        vm.expectRevert(abi.encodeWithSelector(OwnerValidator.OwnerInvalid.selector, address(0)));
        ownerValidator.onInstall(new bytes(20));
        vm.expectRevert(abi.encodeWithSelector(OwnerValidator.OwnerInvalid.selector, address(this)));
        ownerValidator.onInstall(abi.encodePacked(this));
    }

    function test_onInstall_revert_ownerAlreadySet() public {
        vm.prank(address(account));
        vm.expectRevert(abi.encodeWithSelector(OwnerValidator.OwnerAlreadySet.selector, address(account), owner));
        ownerValidator.onInstall(abi.encodePacked(thief));
    }

    function test_onUninstall_success_forgets() public {
        vm.expectEmit(address(ownerValidator));
        emit OwnerValidator.OwnerChanged(address(account), address(0));
        vm.prank(address(account));
        account.uninstallModule(1, address(ownerValidator), "");
        assertFalse(ownerValidator.isInitialized(address(account)));
    }

    function test_validateUserOp_success_plainHash() public {
        PackedUserOperation memory op = _operation();
        op.signature = _sign(entryPoint.getUserOpHash(op), ownerKey);
        submit(op);
        assertEq(arena.depositOf(address(account)), 1 ether);
    }

    function test_validateUserOp_success_prefixedHash() public {
        PackedUserOperation memory op = _operation();
        op.signature = _sign(MessageHashUtils.toEthSignedMessageHash(entryPoint.getUserOpHash(op)), ownerKey);
        submit(op);
        assertEq(arena.depositOf(address(account)), 1 ether);
    }

    function test_validateUserOp_revert_anotherKey() public {
        PackedUserOperation memory op = _operation();
        op.signature = _sign(entryPoint.getUserOpHash(op), signerKey);
        submitFailed(op, "AA24 signature error");
        op.signature = "short";
        submitFailed(op, "AA24 signature error");
    }

    function test_validateUserOp_revert_anotherSender() public {
        PackedUserOperation memory op = _operation();
        op.sender = thief;
        bytes memory signature = _sign(bytes32(uint256(1)), ownerKey);
        op.signature = signature;
        vm.prank(address(account));
        assertEq(ownerValidator.validateUserOp(op, bytes32(uint256(1))), 1);
    }

    function test_isValidSignatureWithSender_success_forSessionValidatorOnly() public {
        bytes32 hash = keccak256("a grant");
        bytes memory signature = abi.encodePacked(ownerValidator, _sign(hash, ownerKey));
        vm.prank(address(validator));
        assertEq(account.isValidSignature(hash, signature), bytes4(0x1626ba7e));
        vm.prank(thief);
        assertEq(account.isValidSignature(hash, signature), bytes4(0xffffffff), "nobody else's question");
        vm.prank(address(validator));
        assertEq(
            account.isValidSignature(hash, abi.encodePacked(ownerValidator, _sign(hash, signerKey))),
            bytes4(0xffffffff),
            "nobody else's signature"
        );
    }

    function test_isModuleType_success_validatorOnly() public view {
        for (uint256 i = 0; i < 10; ++i) {
            assertEq(ownerValidator.isModuleType(i), i == 1);
        }
    }

    function _operation() private view returns (PackedUserOperation memory) {
        Fields memory f = fields();
        f.nonceKey = uint192(uint160(address(ownerValidator))) << 32;
        return operation(f, singleData(SINGLE, Execution(address(arena), 1 ether, abi.encodeCall(arena.deposit, ()))));
    }

    function _sign(bytes32 hash, uint256 key) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return abi.encodePacked(r, s, v);
    }
}

contract OwnerValidator07Test is OwnerValidatorTest {
    function entryPointVersion() internal pure override returns (uint256) {
        return 7;
    }
}

contract OwnerValidator08Test is OwnerValidatorTest {}
