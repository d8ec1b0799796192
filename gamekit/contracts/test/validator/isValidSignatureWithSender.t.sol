// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Harness} from "test/Harness.sol";

contract IsValidSignatureWithSenderTest is Harness {
    function testFuzz_isValidSignatureWithSender_success_alwaysNo(address sender, bytes32 hash, bytes memory signature)
        public
        view
    {
        assertEq(validator.isValidSignatureWithSender(sender, hash, signature), bytes4(0xffffffff));
    }

    function test_isValidSignatureWithSender_success_noThroughTheAccount() public {
        grant(fields());
        bytes32 hash = keccak256("a permit of all gold");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, hash);
        bytes memory signature = abi.encodePacked(validator, r, s, v);
        assertEq(account.isValidSignature(hash, signature), bytes4(0xffffffff));
    }

    function test_isModuleType_success_validatorOnly() public view {
        for (uint256 i = 0; i < 10; ++i) {
            assertEq(validator.isModuleType(i), i == 1);
        }
    }
}
