// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness} from "test/Harness.sol";

/// @notice grantSessionFor, by what the account answers to the question whether its owner signed.
contract GrantSessionForAnswersTest is Harness {
    uint48 private constant DEADLINE = uint48(NOW + 600);
    bytes4 private constant MAGIC = IERC1271.isValidSignature.selector;

    Says private player;

    function setUp() public override {
        super.setUp();
        player = new Says();
        vm.prank(address(player));
        validator.onInstall(abi.encodePacked(ownerValidator));
    }

    function test_grantSessionFor_success_theMagicWord() public {
        player.say(abi.encode(MAGIC), false);
        _grants();
    }

    function test_grantSessionFor_success_moreBehindTheMagicWord() public {
        player.say(abi.encode(MAGIC, 1), false);
        _grants();
    }

    function test_grantSessionFor_revert_magicWordAsReasonOfAFailure() public {
        _refuses(abi.encode(MAGIC), true);
    }

    function test_grantSessionFor_revert_magicInLessThanAWord() public {
        _refuses(abi.encodePacked(MAGIC), false);
        _refuses(abi.encodePacked(MAGIC, bytes27(0)), false);
    }

    function test_grantSessionFor_revert_dirtWithinTheMagicWord() public {
        _refuses(abi.encode(bytes32(MAGIC) | bytes32(uint256(1))), false);
        _refuses(abi.encode(bytes32(MAGIC) | bytes32(uint256(1) << 223)), false);
    }

    function test_grantSessionFor_revert_anotherWord() public {
        _refuses(abi.encode(bytes4(0xffffffff)), false);
        _refuses(abi.encode(true), false);
        _refuses(abi.encode(0), false);
        _refuses("", false);
    }

    function test_grantSessionFor_revert_yesOfAnAccountThatNamedNobody() public {
        // Whatever such an account answers, it is not asked.
        player.say(abi.encode(MAGIC), false);
        vm.prank(address(player));
        validator.onInstall("");
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.GrantSignatureInvalid.selector, address(player), address(0))
        );
        _submit(address(player), "signature");
    }

    function test_grantSessionFor_revert_keyOfAnAccountWithoutCode() public {
        // Only a delegated account's own key may sign: one without code runs no session either.
        vm.prank(owner);
        validator.onInstall("");
        bytes32 digest = validator.grantDigest(owner, pack(_fields()), _texts(), none, DEADLINE);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest);
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.GrantSignatureInvalid.selector, owner, address(0)));
        _submit(owner, abi.encodePacked(r, s, v));
        vm.etch(owner, abi.encodePacked(hex"ef0100", address(arena)));
        _submit(owner, abi.encodePacked(r, s, v));
    }

    // ------------------------------------------------------------------------------------------------------ helpers

    function _grants() private {
        _submit(address(player), "signature");
        bytes32 id = validator.permissionIdOf(address(player), pack(_fields()));
        assertEq(uint256(validator.sessionOf(address(player), id).state), uint256(SessionState.Live));
    }

    function _refuses(bytes memory answer, bool fails) private {
        player.say(answer, fails);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISessionValidator.GrantSignatureInvalid.selector, address(player), address(ownerValidator)
            )
        );
        _submit(address(player), "signature");
    }

    function _submit(address who, bytes memory signature) private {
        validator.grantSessionFor(who, pack(_fields()), _texts(), none, DEADLINE, signature);
    }

    function _fields() private view returns (Fields memory f) {
        f = fields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(address(arena), Arena.move.selector, 0, 0);
    }

    function _texts() private pure returns (string[] memory texts) {
        texts = new string[](1);
        texts[0] = "move(int16,int16)";
    }
}

/// @notice An account that answers with the same bytes whoever asks whether its owner signed, or fails with them.
contract Says {
    bytes private _answer;
    bool private _fails;

    function say(bytes memory answer, bool fails) external {
        (_answer, _fails) = (answer, fails);
    }

    function isValidSignature(bytes32, bytes calldata) external view {
        bytes memory answer = _answer;
        bool fails = _fails;
        assembly ("memory-safe") {
            if fails { revert(add(answer, 32), mload(answer)) }
            return(add(answer, 32), mload(answer))
        }
    }
}
