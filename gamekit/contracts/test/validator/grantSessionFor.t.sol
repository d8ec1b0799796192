// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness} from "test/Harness.sol";

contract GrantSessionForTest is Harness {
    uint48 private constant DEADLINE = uint48(NOW + 300);

    function test_grantSessionFor_success_byOwner() public {
        Fields memory f = fields();
        bytes memory scope = pack(f);
        bytes memory signature = _sign(f, ownerKey);
        vm.expectEmit(address(validator));
        emit ISessionValidator.SessionGranted(
            address(account), permissionIdOf(scope), signer, revoker, f.validAfter, f.validUntil, 1, scope
        );
        vm.prank(thief);
        bytes32 permissionId = validator.grantSessionFor(address(account), scope, _texts(f), none, DEADLINE, signature);
        assertEq(permissionId, permissionIdOf(scope));
        assertState(scope, SessionState.Live);
        submit(sealedBatch(f, attacks(2)));
        assertEq(actions(), 2);
    }

    function test_grantSessionFor_success_prefixedSignature() public {
        Fields memory f = fields();
        bytes32 digest = validator.grantDigest(address(account), pack(f), _texts(f), none, DEADLINE);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, MessageHashUtils.toEthSignedMessageHash(digest));
        validator.grantSessionFor(address(account), pack(f), _texts(f), none, DEADLINE, abi.encodePacked(r, s, v));
        assertState(pack(f), SessionState.Live);
    }

    function test_grantSessionFor_success_byDelegatedAccountItself() public {
        // An EIP-7702 account: its own key speaks, with or without an owner validator.
        (address eoa, uint256 key) = makeAddrAndKey("player with delegated code");
        vm.signAndAttachDelegation(factory.IMPLEMENTATION(), key);
        assertEq(eoa.code.length, 23);
        vm.prank(eoa);
        validator.onInstall("");
        Fields memory f = fields();
        bytes32 digest = validator.grantDigest(eoa, pack(f), _texts(f), none, DEADLINE);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        validator.grantSessionFor(eoa, pack(f), _texts(f), none, DEADLINE, abi.encodePacked(r, s, v));
        bytes32 permissionId = validator.permissionIdOf(eoa, pack(f));
        assertEq(uint256(validator.sessionOf(eoa, permissionId).state), uint256(SessionState.Live));
    }

    function test_grantSessionFor_revert_delegatedAccountByAnother() public {
        (address eoa, uint256 key) = makeAddrAndKey("player with delegated code");
        vm.signAndAttachDelegation(factory.IMPLEMENTATION(), key);
        vm.prank(eoa);
        validator.onInstall("");
        Fields memory f = fields();
        bytes32 digest = validator.grantDigest(eoa, pack(f), _texts(f), none, DEADLINE);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest);
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.GrantSignatureInvalid.selector, eoa, address(0)));
        validator.grantSessionFor(eoa, pack(f), _texts(f), none, DEADLINE, abi.encodePacked(r, s, v));
    }

    function test_grantSessionFor_success_atDeadline() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        vm.warp(DEADLINE);
        validator.grantSessionFor(address(account), pack(f), _texts(f), none, DEADLINE, signature);
    }

    function test_grantSessionFor_revert_grantExpired() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        vm.warp(DEADLINE + 1);
        _refuses(f, signature, abi.encodeWithSelector(ISessionValidator.GrantExpired.selector, DEADLINE + 1, DEADLINE));
    }

    function test_grantSessionFor_revert_moduleNotInstalled() public {
        Fields memory f = fields();
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.ModuleNotInstalled.selector, thief));
        validator.grantSessionFor(thief, pack(f), _texts(f), none, DEADLINE, "");
    }

    function test_grantSessionFor_revert_bySomebodyElse() public {
        (, uint256 thiefKey) = makeAddrAndKey("thief");
        Fields memory f = fields();
        _refuses(f, _sign(f, thiefKey), _invalid());
    }

    function test_grantSessionFor_revert_bySessionKey() public {
        grant(fields());
        Fields memory f = fields();
        f.usesMax += 1;
        _refuses(f, _sign(f, signerKey), _invalid());
    }

    function test_grantSessionFor_revert_anotherScope() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        f.usesMax += 1;
        _refuses(f, signature, _invalid());
    }

    function test_grantSessionFor_revert_anotherDeadline() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        vm.expectRevert(_invalid());
        validator.grantSessionFor(address(account), pack(f), _texts(f), none, DEADLINE + 1, signature);
    }

    function test_grantSessionFor_revert_anotherAccount() public {
        // The owner has two accounts; what was signed for the one is nothing for the other.
        address other = factory.createAccount(owner, "another");
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.GrantSignatureInvalid.selector, other, address(ownerValidator))
        );
        validator.grantSessionFor(other, pack(f), _texts(f), none, DEADLINE, signature);
    }

    function test_grantSessionFor_revert_anotherChain() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        vm.chainId(10);
        _refuses(f, signature, _invalid());
    }

    function test_grantSessionFor_revert_anotherEpoch() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        vm.prank(address(account));
        validator.revokeAllSessions();
        _refuses(f, signature, _invalid());
    }

    function test_grantSessionFor_revert_replayed() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        validator.grantSessionFor(address(account), pack(f), _texts(f), none, DEADLINE, signature);
        bytes32 permissionId = permissionIdOf(pack(f));
        vm.prank(address(account));
        validator.revokeSession(permissionId);
        _refuses(
            f,
            signature,
            abi.encodeWithSelector(ISessionValidator.SessionAlreadyGranted.selector, permissionId, SessionState.Revoked)
        );
    }

    function test_grantSessionFor_revert_withoutOwnerValidator() public {
        vm.startPrank(address(account));
        account.uninstallModule(1, address(validator), "");
        account.installModule(1, address(validator), "");
        vm.stopPrank();
        Fields memory f = fields();
        _refuses(
            f,
            _sign(f, ownerKey),
            abi.encodeWithSelector(ISessionValidator.GrantSignatureInvalid.selector, address(account), address(0))
        );
    }

    function test_grantSessionFor_revert_validatorThatSaysYes() public {
        // Another installed validator that accepts everything is not the one that is asked.
        YesValidator yes = new YesValidator();
        vm.prank(address(account));
        account.installModule(1, address(yes), "");
        Fields memory f = fields();
        _refuses(f, abi.encodePacked(address(yes), new bytes(65)), _invalid());
    }

    function test_grantSessionFor_revert_ownerValidatorUninstalled() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        vm.prank(address(account));
        account.uninstallModule(1, address(ownerValidator), "");
        _refuses(f, signature, _invalid());
    }

    function test_grantSessionFor_revert_functionCountMismatch() public {
        Fields memory f = fields();
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.FunctionCountMismatch.selector, 2, 3));
        string[] memory texts = _texts(f);
        string[] memory fewer = new string[](2);
        (fewer[0], fewer[1]) = (texts[0], texts[1]);
        validator.grantSessionFor(address(account), pack(f), fewer, none, DEADLINE, "");
    }

    function test_grantSessionFor_revert_oneFunctionTooMany() public {
        Fields memory f = fields();
        string[] memory texts = _texts(f);
        string[] memory more = new string[](4);
        (more[0], more[1], more[2]) = (texts[0], texts[1], texts[2]);
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.FunctionCountMismatch.selector, 4, 3));
        validator.grantSessionFor(address(account), pack(f), more, none, DEADLINE, "");
    }

    function test_grantSessionFor_revert_functionMismatch() public {
        Fields memory f = fields();
        string[] memory texts = _texts(f);
        texts[1] = "dance(uint256)";
        vm.expectRevert(
            abi.encodeWithSelector(
                ISessionValidator.FunctionMismatch.selector,
                1,
                bytes4(keccak256("dance(uint256)")),
                f.entries[1].selector
            )
        );
        validator.grantSessionFor(address(account), pack(f), texts, none, DEADLINE, "");
    }

    function test_grantSessionFor_revert_scopeLengthMismatch() public {
        Fields memory f = fields();
        bytes memory scope = bytes.concat(pack(f), hex"00");
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, scope.length, scope.length - 1)
        );
        validator.grantSessionFor(address(account), scope, _texts(f), none, DEADLINE, "");
    }

    function test_grantSessionFor_revert_scopeRefused() public {
        // The owner's signature does not lift what no session may have.
        Fields memory f = fields();
        f.signer = address(0);
        _refuses(f, _sign(f, ownerKey), abi.encodeWithSelector(ISessionValidator.SignerInvalid.selector, address(0)));
    }

    // ---------------------------------------------------------------------------------------------- implementations

    function test_grantSessionFor_success_acceptedImplementations() public {
        (Fields memory f, address[] memory accepted) = _twoProxies();
        bytes memory signature = _sign(f, accepted);
        validator.grantSessionFor(address(account), pack(f), _texts(f), accepted, DEADLINE, signature);
        assertState(pack(f), SessionState.Live);
    }

    function test_grantSessionFor_revert_implementationsSwapped() public {
        // Neither proxy tells what it runs, so only the signature binds which is which.
        (Fields memory f, address[] memory accepted) = _twoProxies();
        bytes memory signature = _sign(f, accepted);
        (accepted[0], accepted[1]) = (accepted[1], accepted[0]);
        _refuses(f, accepted, signature, _invalid());
        _refuses(f, none, signature, _invalid());
        (accepted[0], accepted[1]) = (accepted[1], accepted[0]);
        accepted[1] = address(factory);
        _refuses(f, accepted, signature, _invalid());
    }

    function test_grantSessionFor_revert_implementationsAdded() public {
        Fields memory f = fields();
        bytes memory signature = _sign(f, ownerKey);
        address[] memory added = new address[](1);
        added[0] = address(arena);
        _refuses(f, added, signature, _invalid());
        _refuses(
            f, added, _sign(f, added), abi.encodeWithSelector(ISessionValidator.ImplementationsUnused.selector, 1, 0)
        );
    }

    function test_grantSessionFor_revert_implementationNotAccepted() public {
        // The owner signed, and named none.
        (Fields memory f,) = _twoProxies();
        _refuses(
            f,
            none,
            _sign(f, none),
            abi.encodeWithSelector(
                ISessionValidator.ImplementationNotAccepted.selector, f.entries[0].target, address(0), address(0)
            )
        );
    }

    // -------------------------------------------------------------------------------------------------------- lead

    function test_grantSessionFor_success_leadBeforeTheValidator() public {
        // What the account is asked, byte for byte: lead 1 | validator 20 | signature.
        bytes memory signature = "what the owner's validator wants";
        bytes1[3] memory leads = [bytes1(0x01), 0x00, 0xff];
        for (uint256 i = 0; i < leads.length; ++i) {
            _asks(abi.encodePacked(leads[i], thief), abi.encodePacked(leads[i], thief, signature), signature);
        }
        _asks(abi.encodePacked(thief), abi.encodePacked(thief, signature), signature);
    }

    function test_grantSessionFor_revert_leadForgotten() public {
        // Installed anew without a lead, the account is not asked with one.
        bytes memory signature = "signature";
        Particular player = new Particular(abi.encodePacked(bytes1(0x01), thief, signature));
        Fields memory f = fields();
        string[] memory texts = _texts(f);
        vm.startPrank(address(player));
        validator.onInstall(abi.encodePacked(bytes1(0x01), thief));
        validator.onUninstall("");
        validator.onInstall(abi.encodePacked(thief));
        vm.stopPrank();
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.GrantSignatureInvalid.selector, address(player), thief)
        );
        validator.grantSessionFor(address(player), pack(f), texts, none, DEADLINE, signature);
        vm.prank(address(player));
        validator.onInstall(abi.encodePacked(bytes1(0x01), thief));
        validator.grantSessionFor(address(player), pack(f), texts, none, DEADLINE, signature);
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _asks(bytes memory installData, bytes memory expected, bytes memory signature) private {
        Particular player = new Particular(expected);
        vm.prank(address(player));
        validator.onInstall(installData);
        Fields memory f = fields();
        string[] memory texts = _texts(f);
        bytes32 digest = validator.grantDigest(address(player), pack(f), texts, none, DEADLINE);
        vm.expectCall(address(player), abi.encodeCall(IERC1271.isValidSignature, (digest, expected)), 1);
        validator.grantSessionFor(address(player), pack(f), texts, none, DEADLINE, signature);
        bytes32 id = validator.permissionIdOf(address(player), pack(f));
        assertEq(uint256(validator.sessionOf(address(player), id).state), uint256(SessionState.Live));
    }

    /// @dev Two contracts that can run others and do not say whom, and what the owner accepts there.
    function _twoProxies() private returns (Fields memory f, address[] memory accepted) {
        f = fields();
        f.entries = new Entry[](2);
        for (uint256 i = 0; i < 2; ++i) {
            f.entries[i] = Entry(
                address(new ERC1967Proxy(address(arena), abi.encodeCall(Arena.deposit, ()))), Arena.move.selector, 0, 0
            );
        }
        _sort(f.entries);
        accepted = new address[](2);
        (accepted[0], accepted[1]) = (address(arena), address(new Arena()));
    }

    function _refuses(Fields memory f, address[] memory implementations, bytes memory signature, bytes memory reason)
        private
    {
        string[] memory texts = _texts(f);
        vm.expectRevert(reason);
        validator.grantSessionFor(address(account), pack(f), texts, implementations, DEADLINE, signature);
    }

    function _sign(Fields memory f, address[] memory implementations) private view returns (bytes memory) {
        bytes32 digest = validator.grantDigest(address(account), pack(f), _texts(f), implementations, DEADLINE);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest);
        return abi.encodePacked(r, s, v);
    }

    function _refuses(Fields memory f, bytes memory signature, bytes memory reason) private {
        string[] memory texts = _texts(f);
        vm.expectRevert(reason);
        validator.grantSessionFor(address(account), pack(f), texts, none, DEADLINE, signature);
    }

    function _invalid() private view returns (bytes memory) {
        return abi.encodeWithSelector(
            ISessionValidator.GrantSignatureInvalid.selector, address(account), address(ownerValidator)
        );
    }

    function _sign(Fields memory f, uint256 key) private view returns (bytes memory) {
        bytes32 digest = validator.grantDigest(address(account), pack(f), _texts(f), none, DEADLINE);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _texts(Fields memory f) private pure returns (string[] memory texts) {
        texts = new string[](f.entries.length);
        for (uint256 i = 0; i < f.entries.length; ++i) {
            bytes4 selector = f.entries[i].selector;
            texts[i] = selector == Arena.move.selector
                ? "move(int16,int16)"
                : selector == Arena.attack.selector ? "attack(uint256,uint16)" : "craft(uint256,uint256)";
        }
    }
}

/// @notice A validator that accepts every signature.
contract YesValidator {
    function isModuleType(uint256 moduleTypeId) external pure returns (bool) {
        return moduleTypeId == 1;
    }

    function onInstall(bytes calldata) external {}

    function isValidSignatureWithSender(address, bytes32, bytes calldata) external pure returns (bytes4) {
        return 0x1626ba7e;
    }
}

/// @notice An account that takes one signature, byte for byte, whatever it is asked about.
contract Particular {
    bytes32 private immutable _expected;

    constructor(bytes memory expected) {
        _expected = keccak256(expected);
    }

    function isValidSignature(bytes32, bytes calldata signature) external view returns (bytes4) {
        return keccak256(signature) == _expected ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
