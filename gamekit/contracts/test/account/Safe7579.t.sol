// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ISafe, ISafe7579Launchpad, ISafeProxyFactory, Safe7579Factory} from "src/Safe7579Factory.sol";
import {Fields} from "test/Harness.sol";
import {Safe7579Harness} from "test/Safe7579Harness.sol";

/// @notice What is asked of a Safe here.
interface ISafeUnderTest {
    function getOwners() external view returns (address[] memory);
    function getThreshold() external view returns (uint256);
    function isModuleEnabled(address module) external view returns (bool);
}

/// @notice How the adapter is told of a registry.
struct RegistryInit {
    address registry;
    address[] attesters;
    uint8 threshold;
}

/// @notice What the adapter can be asked for through a Safe.
interface ISafe7579UnderTest {
    error AccountAccessUnauthorized();

    function initializeAccount(
        ISafe7579Launchpad.ModuleInit[] calldata validators,
        ISafe7579Launchpad.ModuleInit[] calldata executors,
        ISafe7579Launchpad.ModuleInit[] calldata fallbacks,
        ISafe7579Launchpad.ModuleInit[] calldata hooks,
        RegistryInit calldata registryInit
    ) external;

    function initializeAccountWithValidators(ISafe7579Launchpad.ModuleInit[] calldata validators) external;
}

/// @notice A factory that makes accounts elsewhere than it says.
contract WrongProxyFactory {
    function proxyCreationCode() external pure returns (bytes memory) {
        return hex"00";
    }

    function createProxyWithNonce(address, bytes calldata, uint256) external pure returns (address) {
        return address(0xbad);
    }
}

contract Safe7579Test is Safe7579Harness {
    function test_createAccount_success_oneOwnerTwoValidators() public view {
        ISafeUnderTest safe = ISafeUnderTest(address(account));
        assertEq(safe.getOwners().length, 1);
        assertEq(safe.getOwners()[0], owner);
        assertEq(safe.getThreshold(), 1);
        assertTrue(safe.isModuleEnabled(safeFactory.ADAPTER()));
        assertTrue(account.isModuleInstalled(1, address(validator), ""));
        assertTrue(account.isModuleInstalled(1, address(ownerValidator), ""));
        assertEq(ownerValidator.ownerOf(address(account)), owner);
        assertEq(validator.accountOf(address(account)).ownerValidator, address(ownerValidator));
        assertEq(validator.accountOf(address(account)).epoch, 1);
    }

    function test_createAccount_success_emitsEvent() public {
        address expected = safeFactory.accountAddress(thief, "another");
        vm.expectEmit(address(safeFactory));
        emit Safe7579Factory.AccountCreated(expected, thief, "another");
        assertEq(safeFactory.createAccount(thief, "another"), expected);
        assertEq(ownerValidator.ownerOf(expected), thief);
    }

    function test_createAccount_success_twiceIsOnce() public {
        assertEq(safeFactory.createAccount(owner, "player"), address(account));
        assertEq(validator.accountOf(address(account)).epoch, 1);
    }

    function test_createAccount_success_withoutThisFactory() public {
        // Another factory of ours, over the same contracts, finds the same account and leaves it alone.
        Safe7579Factory another = new Safe7579Factory(
            safeFactory.PROXY_FACTORY(),
            safeFactory.SINGLETON(),
            safeFactory.LAUNCHPAD(),
            safeFactory.ADAPTER(),
            address(ownerValidator),
            address(validator)
        );
        assertEq(another.createAccount(owner, "player"), address(account));
    }

    function test_createAccount_revert_accountAddressMismatch() public {
        Safe7579Factory wrong = new Safe7579Factory(
            ISafeProxyFactory(address(new WrongProxyFactory())),
            safeFactory.SINGLETON(),
            safeFactory.LAUNCHPAD(),
            safeFactory.ADAPTER(),
            address(ownerValidator),
            address(validator)
        );
        vm.expectRevert(
            abi.encodeWithSelector(
                Safe7579Factory.AccountAddressMismatch.selector, address(0xbad), wrong.accountAddress(owner, "player")
            )
        );
        wrong.createAccount(owner, "player");
    }

    function testFuzz_accountAddress_success_dependsOnOwnerAndSalt(address other, bytes32 salt) public view {
        vm.assume(other != owner && salt != "player");
        assertTrue(safeFactory.accountAddress(other, "player") != address(account));
        assertTrue(safeFactory.accountAddress(owner, salt) != address(account));
    }

    function test_accountAddress_success_dependsOnModules() public {
        Safe7579Factory another = new Safe7579Factory(
            safeFactory.PROXY_FACTORY(),
            safeFactory.SINGLETON(),
            safeFactory.LAUNCHPAD(),
            safeFactory.ADAPTER(),
            thief,
            address(validator)
        );
        assertTrue(another.accountAddress(owner, "player") != address(account));
    }

    function test_isValidSignature_success_throughTheNamedValidatorAlone() public {
        bytes32 hash = keccak256("grant");
        bytes memory byOwner = abi.encodePacked(ownerValidator, signedByOwner(hash));
        vm.prank(address(validator));
        assertEq(account.isValidSignature(hash, byOwner), IERC1271.isValidSignature.selector);
        // The owner validator answers the session validator alone.
        assertTrue(account.isValidSignature(hash, byOwner) != IERC1271.isValidSignature.selector);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, hash);
        vm.startPrank(address(validator));
        bytes memory byKey = abi.encodePacked(r, s, v);
        assertTrue(
            account.isValidSignature(hash, abi.encodePacked(ownerValidator, byKey))
                != IERC1271.isValidSignature.selector
        );
        assertTrue(
            account.isValidSignature(hash, abi.encodePacked(validator, byKey)) != IERC1271.isValidSignature.selector
        );
    }

    function test_validateUserOp_revert_sessionKeyAsSafeOwner() public {
        // A nonce key that names a validator which is not installed means the Safe's owners; the session key is none.
        Fields memory f = stackFields();
        grantByOwner(f);
        f.nonceKey = uint192(uint160(thief)) << 32;
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, entryPoint.getUserOpHash(op));
        op.signature = abi.encodePacked(uint48(0), uint48(0), r, s, v);
        submitFailed(op, "AA24 signature error");
    }

    function test_installModule_revert_byAnybodyElse() public {
        vm.prank(thief);
        vm.expectRevert(ISafe7579UnderTest.AccountAccessUnauthorized.selector);
        account.installModule(1, thief, "");
    }

    function test_initializeAccount_revert_byAnybodyElse() public {
        // An account that is set up in a transaction of its own could be taken by who is first; this one cannot be.
        ISafe7579Launchpad.ModuleInit[] memory none_ = new ISafe7579Launchpad.ModuleInit[](0);
        ISafe7579Launchpad.ModuleInit[] memory takers = new ISafe7579Launchpad.ModuleInit[](1);
        takers[0] = ISafe7579Launchpad.ModuleInit(thief, "");
        RegistryInit memory registry = RegistryInit(address(0), new address[](0), 0);
        vm.startPrank(thief);
        vm.expectRevert(ISafe7579UnderTest.AccountAccessUnauthorized.selector);
        ISafe7579UnderTest(address(account)).initializeAccount(takers, none_, none_, none_, registry);
        vm.expectRevert(ISafe7579UnderTest.AccountAccessUnauthorized.selector);
        ISafe7579UnderTest(address(account)).initializeAccountWithValidators(takers);
        vm.expectRevert("GS200");
        address[] memory owners = new address[](1);
        owners[0] = thief;
        ISafe(address(account)).setup(owners, 1, address(0), "", address(0), address(0), 0, payable(0));
    }
}
