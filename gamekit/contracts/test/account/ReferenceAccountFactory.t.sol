// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {ReferenceAccount} from "src/ReferenceAccount.sol";
import {ReferenceAccountFactory} from "src/ReferenceAccountFactory.sol";
import {Item} from "src/example/Item.sol";
import {Harness} from "test/Harness.sol";

contract ReferenceAccountFactoryTest is Harness {
    function test_createAccount_success_emitsEvent() public {
        address expected = factory.accountAddress(owner, "second");
        vm.expectEmit(address(factory));
        emit ReferenceAccountFactory.AccountCreated(expected, owner, "second");
        vm.prank(thief);
        assertEq(factory.createAccount(owner, "second"), expected);
        assertEq(ownerValidator.ownerOf(expected), owner);
        ReferenceAccount created = ReferenceAccount(payable(expected));
        assertTrue(created.isModuleInstalled(1, address(ownerValidator), ""));
        assertTrue(created.isModuleInstalled(1, address(validator), ""));
        assertEq(validator.accountOf(expected).ownerValidator, address(ownerValidator));
        assertEq(address(created.entryPoint()), address(entryPoint));
    }

    function test_createAccount_success_twiceIsOnce() public {
        assertEq(factory.createAccount(owner, "player"), address(account));
        assertEq(validator.accountOf(address(account)).epoch, 1);
    }

    function testFuzz_accountAddress_success_dependsOnOwnerAndSalt(address other, bytes32 salt) public view {
        vm.assume(other != owner || salt != "player");
        assertTrue(factory.accountAddress(other, salt) != address(account));
    }

    function test_accountAddress_success_dependsOnModules() public {
        ReferenceAccountFactory evil =
            new ReferenceAccountFactory(factory.IMPLEMENTATION(), thief, factory.SESSION_VALIDATOR());
        assertTrue(evil.accountAddress(owner, "player") != address(account));
    }

    function test_initialize_revert_again() public {
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        account.initialize();
    }

    function test_initialize_revert_onImplementation() public {
        ReferenceAccount implementation = ReferenceAccount(payable(factory.IMPLEMENTATION()));
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        implementation.initialize();
    }

    function test_initialize_revert_onDelegatedAccount() public {
        // Nobody can make himself the owner of an account that merely delegates to the implementation.
        (address eoa, uint256 key) = makeAddrAndKey("player with delegated code");
        vm.signAndAttachDelegation(factory.IMPLEMENTATION(), key);
        vm.prank(thief);
        vm.expectRevert();
        ReferenceAccount(payable(eoa)).initialize();
    }

    function test_onERC721Received_success_accountHoldsItems() public {
        Item item = arena.item();
        vm.prank(address(account));
        item.transferFrom(address(account), owner, 1);
        vm.prank(owner);
        item.safeTransferFrom(owner, address(account), 1);
        assertEq(item.ownerOf(1), address(account));
    }
}
