// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Account as AccountBase} from "@openzeppelin/contracts/account/Account.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {ReferenceAccount7702} from "src/ReferenceAccount7702.sol";
import {IDeposits, SessionOpener} from "src/SessionOpener.sol";
import {Fields} from "test/Harness.sol";
import {Reference7702Harness} from "test/Reference7702Harness.sol";

/// @notice What another account's code may have left behind at the first slots.
contract Predecessor {
    uint256[8] private _left;

    function litter() external {
        for (uint256 i = 0; i < _left.length; ++i) {
            _left[i] = type(uint256).max;
        }
    }
}

contract ReferenceAccount7702Test is Reference7702Harness {
    ReferenceAccount7702 private mine;
    SessionOpener private opener = new SessionOpener();
    address private newcomer;
    uint256 private newcomerKey;

    function setUp() public override {
        super.setUp();
        mine = ReferenceAccount7702(payable(owner));
        (newcomer, newcomerKey) = makeAddrAndKey("newcomer");
        vm.deal(address(this), 10 ether);
    }

    function test_initialize_success_installsTheSessionValidatorAlone() public view {
        assertTrue(mine.isModuleInstalled(1, address(validator), ""));
        assertFalse(mine.isModuleInstalled(1, address(ownerValidator), ""));
        assertEq(validator.accountOf(owner).ownerValidator, address(0));
        assertEq(mine.SESSION_VALIDATOR(), address(validator));
        assertEq(address(mine.entryPoint()), address(entryPoint));
    }

    function test_initialize_success_anybodyAndAgain() public {
        uint32 epoch = validator.accountOf(owner).epoch;
        vm.prank(thief);
        mine.initialize();
        assertEq(validator.accountOf(owner).epoch, epoch, "sessions live on");
    }

    function test_initialize_success_aRemovedModuleStaysRemoved() public {
        vm.prank(owner);
        mine.uninstallModule(1, address(validator), "");
        vm.prank(thief);
        mine.initialize();
        assertFalse(mine.isModuleInstalled(1, address(validator), ""));
    }

    function test_initialize_success_afterTheOwnerInstalledTheModule() public {
        vm.signAndAttachDelegation(address(delegate), newcomerKey);
        vm.prank(newcomer);
        ReferenceAccount7702(payable(newcomer)).installModule(1, address(validator), "");
        ReferenceAccount7702(payable(newcomer)).initialize();
        assertEq(validator.accountOf(newcomer).epoch, 1);
    }

    function test_initialize_success_afterAnotherDelegation() public {
        Predecessor predecessor = new Predecessor();
        vm.signAndAttachDelegation(address(predecessor), newcomerKey);
        Predecessor(newcomer).litter();
        vm.signAndAttachDelegation(address(delegate), newcomerKey);
        ReferenceAccount7702(payable(newcomer)).initialize();
        assertTrue(ReferenceAccount7702(payable(newcomer)).isModuleInstalled(1, address(validator), ""));
        assertFalse(ReferenceAccount7702(payable(newcomer)).isModuleInstalled(1, thief, ""));
    }

    function test_initialize_revert_onImplementation() public {
        vm.expectRevert(abi.encodeWithSelector(ReferenceAccount7702.NotDelegated.selector, address(delegate)));
        delegate.initialize();
    }

    function test_installModule_revert_byAnybodyElse() public {
        vm.prank(thief);
        vm.expectRevert(abi.encodeWithSelector(AccountBase.AccountUnauthorized.selector, thief));
        mine.installModule(1, thief, "");
    }

    function test_isValidSignature_success_ownKeyAlone() public view {
        bytes32 hash = keccak256("hello");
        assertEq(mine.isValidSignature(hash, signedByOwner(hash)), IERC1271.isValidSignature.selector);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, hash);
        bytes memory bySession = abi.encodePacked(r, s, v);
        assertEq(mine.isValidSignature(hash, bySession), bytes4(0xffffffff));
        assertEq(mine.isValidSignature(hash, abi.encodePacked(validator, bySession)), bytes4(0xffffffff));
        assertEq(mine.isValidSignature(hash, ""), bytes4(0xffffffff));
    }

    function test_open_success_delegatedInitialisedAndGrantedAtOnce() public {
        SessionOpener.Grant[] memory grants = _grant();
        vm.signAndAttachDelegation(address(delegate), newcomerKey);
        _open(grants);
        assertEq(entryPoint.balanceOf(newcomer), 1 ether);
        _assertLive(grants[0].scope);
    }

    function test_open_success_overtaken() public {
        SessionOpener.Grant[] memory grants = _grant();
        vm.signAndAttachDelegation(address(delegate), newcomerKey);
        vm.prank(thief);
        ReferenceAccount7702(payable(newcomer)).initialize();
        _open(grants);
        _assertLive(grants[0].scope);
        _open(grants);
    }

    function test_open_revert_withoutDelegation() public {
        SessionOpener.Grant[] memory grants = _grant();
        vm.expectRevert(abi.encodeWithSelector(SessionOpener.AccountNotCreated.selector, newcomer));
        _open(grants);
    }

    function test_open_revert_delegatedToAnotherContract() public {
        SessionOpener.Grant[] memory grants = _grant();
        vm.signAndAttachDelegation(address(new Predecessor()), newcomerKey);
        vm.expectRevert(abi.encodeWithSelector(SessionOpener.FactoryFailed.selector, newcomer, ""));
        _open(grants);
    }

    function test_open_revert_grantOfAnotherKey() public {
        SessionOpener.Grant[] memory grants = _grant();
        vm.signAndAttachDelegation(address(delegate), newcomerKey);
        grants[0].ownerSignature = signedByOwner(keccak256("another"));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.GrantSignatureInvalid.selector, newcomer, address(0)));
        _open(grants);
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _open(SessionOpener.Grant[] memory grants) private {
        bytes memory data = abi.encodeCall(ReferenceAccount7702.initialize, ());
        opener.open{value: 1 ether}(newcomer, newcomer, data, IDeposits(address(entryPoint)), validator, grants);
    }

    /// @dev Signed before the newcomer's address is an account.
    function _grant() private view returns (SessionOpener.Grant[] memory grants) {
        Fields memory f = stackFields();
        grants = new SessionOpener.Grant[](1);
        grants[0].scope = pack(f);
        grants[0].functions = textsOf(f);
        grants[0].deadline = uint48(NOW + 300);
        bytes32 digest = validator.grantDigest(newcomer, grants[0].scope, grants[0].functions, none, grants[0].deadline);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(newcomerKey, digest);
        grants[0].ownerSignature = abi.encodePacked(r, s, v);
    }

    function _assertLive(bytes memory scope) private view {
        bytes32 permissionId = validator.permissionIdOf(newcomer, scope);
        assertEq(uint256(validator.sessionOf(newcomer, permissionId).state), uint256(SessionState.Live));
    }
}
