// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Account as AccountBase} from "@openzeppelin/contracts/account/Account.sol";
import {IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ReferenceAccount} from "src/ReferenceAccount.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {IDeposits, SessionOpener} from "src/SessionOpener.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness} from "test/Harness.sol";

contract SessionOpenerTest is Harness {
    SessionOpener private opener = new SessionOpener();
    address private newcomer;
    uint48 private constant DEADLINE = uint48(NOW + 300);

    function setUp() public override {
        super.setUp();
        newcomer = factory.accountAddress(owner, "newcomer");
        vm.deal(address(this), 10 ether);
    }

    function test_open_success_everythingAtOnce() public {
        SessionOpener.Grant[] memory grants = _grants(2);
        _sign(grants);
        assertEq(newcomer.code.length, 0, "signed before the account exists");
        _open(grants, 1 ether);
        assertEq(entryPoint.balanceOf(newcomer), 1 ether);
        assertEq(address(opener).balance, 0);
        _assertLive(grants);
    }

    function test_open_success_overtaken() public {
        // Another submitter was first, with all of it or a part of it.
        SessionOpener.Grant[] memory grants = _grants(2);
        _sign(grants);
        factory.createAccount(owner, "newcomer");
        validator.grantSessionFor(
            newcomer, grants[0].scope, grants[0].functions, none, grants[0].deadline, grants[0].ownerSignature
        );
        _open(grants, 0);
        _assertLive(grants);
        _open(grants, 0);
    }

    function test_open_success_withoutGrants() public {
        _open(new SessionOpener.Grant[](0), 0);
        assertEq(ownerValidator.ownerOf(newcomer), owner);
    }

    function test_open_success_callsTheFactoryUntilTheModuleIsInstalled() public {
        // An account that is there without the module, as an address that has only just delegated.
        factory.createAccount(owner, "newcomer");
        vm.startPrank(newcomer);
        ReferenceAccount(payable(newcomer)).uninstallModule(1, address(validator), "");
        vm.stopPrank();
        SessionOpener.Grant[] memory grants = _grants(1);
        _sign(grants);
        bytes memory data = abi.encodeCall(
            IERC7579ModuleConfig.installModule, (1, address(validator), abi.encodePacked(ownerValidator))
        );
        vm.expectRevert(
            abi.encodeWithSelector(
                SessionOpener.FactoryFailed.selector,
                newcomer,
                abi.encodeWithSelector(AccountBase.AccountUnauthorized.selector, address(opener))
            )
        );
        opener.open(newcomer, newcomer, data, IDeposits(address(entryPoint)), validator, grants);
        // It has no rights: the account says no to it, as to anybody. One that installs the module by itself says yes.
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.ModuleNotInstalled.selector, newcomer));
        _open(grants, 0);
    }

    function test_open_revert_revokedGrant() public {
        SessionOpener.Grant[] memory grants = _grants(1);
        _sign(grants);
        _open(grants, 0);
        bytes32 permissionId = validator.permissionIdOf(newcomer, grants[0].scope);
        vm.prank(newcomer);
        validator.revokeSession(permissionId);
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.SessionAlreadyGranted.selector, permissionId, SessionState.Revoked)
        );
        _open(grants, 0);
    }

    function test_open_revert_badSignature() public {
        SessionOpener.Grant[] memory grants = _grants(1);
        _sign(grants);
        grants[0].ownerSignature[0] ^= 0x01;
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.GrantSignatureInvalid.selector, newcomer, address(ownerValidator))
        );
        _open(grants, 1 ether);
        assertEq(newcomer.code.length, 0, "all or nothing");
    }

    function test_open_revert_accountNotCreated() public {
        bytes memory data = abi.encodeCall(factory.createAccount, (owner, "newcomer"));
        vm.expectRevert(abi.encodeWithSelector(SessionOpener.AccountNotCreated.selector, thief));
        opener.open(thief, address(factory), data, IDeposits(address(entryPoint)), validator, _grants(0));
    }

    function test_open_revert_factoryFailed() public {
        vm.expectRevert(abi.encodeWithSelector(SessionOpener.FactoryFailed.selector, address(factory), ""));
        opener.open(newcomer, address(factory), hex"12345678", IDeposits(address(entryPoint)), validator, _grants(0));
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _open(SessionOpener.Grant[] memory grants, uint256 value) private {
        bytes memory data = abi.encodeCall(factory.createAccount, (owner, "newcomer"));
        opener.open{value: value}(newcomer, address(factory), data, IDeposits(address(entryPoint)), validator, grants);
    }

    function _grants(uint256 count) private view returns (SessionOpener.Grant[] memory grants) {
        grants = new SessionOpener.Grant[](count);
        for (uint256 i = 0; i < count; ++i) {
            Fields memory f = fields();
            f.nonceKey += uint192(i);
            f.entries = new Entry[](1);
            f.entries[0] = Entry(address(arena), Arena.move.selector, 0, 0);
            grants[i].scope = pack(f);
            grants[i].functions = new string[](1);
            grants[i].functions[0] = "move(int16,int16)";
            grants[i].deadline = DEADLINE;
        }
    }

    /// @dev Signs for an account that does not exist yet.
    function _sign(SessionOpener.Grant[] memory grants) private view {
        for (uint256 i = 0; i < grants.length; ++i) {
            bytes32 digest =
                validator.grantDigest(newcomer, grants[i].scope, grants[i].functions, none, grants[i].deadline);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest);
            grants[i].ownerSignature = abi.encodePacked(r, s, v);
        }
    }

    function _assertLive(SessionOpener.Grant[] memory grants) private view {
        for (uint256 i = 0; i < grants.length; ++i) {
            bytes32 permissionId = validator.permissionIdOf(newcomer, grants[i].scope);
            assertEq(uint256(validator.sessionOf(newcomer, permissionId).state), uint256(SessionState.Live));
        }
    }
}
