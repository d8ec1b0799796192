// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPointNonces, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {ReferenceAccount} from "src/ReferenceAccount.sol";
import {Arena} from "src/example/Arena.sol";
import {Fields, Harness} from "test/Harness.sol";

/// @notice The world of the tests with the account of one stack: what differs between stacks, on one screen.
/// @dev A suite that is written on this runs on every stack: `contract XNexusTest is XSuite, NexusHarness {}`.
abstract contract StackHarness is Harness {
    /// @dev What the account reverts with in place of whatever a module reverted with; empty if it passes that on.
    bytes internal moduleErrorsBecome;

    /// @dev 7 or 8: the EntryPoint that the account is for.
    function entryPointOfStack() internal view virtual returns (uint256);

    /// @dev Deploys an account of the owner's with the session validator installed.
    function makeAccount() internal virtual returns (address);

    /// @dev The nonce key of a session's lane.
    function nonceKeyOfSession(uint256 lane) internal view virtual returns (uint192);

    /// @dev The nonce key of the owner's operations.
    function nonceKeyOfOwner() internal view virtual returns (uint192);

    /// @dev Grants on the owner's signature in the way that players of the stack do.
    function grantByOwner(Fields memory f) internal virtual returns (bytes memory scope);

    function entryPointVersion() internal view virtual override returns (uint256) {
        return entryPointOfStack();
    }

    function setUp() public virtual override {
        super.setUp();
        address made = makeAccount();
        if (made == address(account)) return;
        // The functions used here are those that it shares with the reference account.
        account = ReferenceAccount(payable(made));
        entryPoint.depositTo{value: 10 ether}(made);
        vm.deal(made, 5 ether);
        arena.welcome(made);
    }

    /// @dev The scope of `fields()`, on this stack's lane 9.
    function stackFields() internal view returns (Fields memory f) {
        f = fields();
        f.nonceKey = nonceKeyOfSession(9);
    }

    // ------------------------------------------------------------------------------------------------- grants

    /// @dev Grants on the owner's signature over the module's own digest.
    function grantBySignature(Fields memory f) internal returns (bytes memory scope) {
        scope = pack(f);
        string[] memory texts = textsOf(f);
        uint48 deadline = uint48(block.timestamp + 300);
        bytes32 digest = validator.grantDigest(address(account), scope, texts, none, deadline);
        validator.grantSessionFor(address(account), scope, texts, none, deadline, signedByOwner(wrapped(digest)));
    }

    /// @dev Grants by an operation of the account that the owner signs. Possible on every stack.
    function grantByAccount(Fields memory f) internal returns (bytes memory scope) {
        scope = pack(f);
        submit(
            ownerOperation(
                singleData(SINGLE, one(address(validator), 0, abi.encodeCall(validator.grantSession, (scope, none)))[0])
            )
        );
    }

    /// @dev The function text of each entry of `fields()`.
    function textsOf(Fields memory f) internal pure returns (string[] memory texts) {
        texts = new string[](f.entries.length);
        for (uint256 i = 0; i < texts.length; ++i) {
            bytes4 selector = f.entries[i].selector;
            texts[i] = selector == Arena.move.selector
                ? "move(int16,int16)"
                : selector == Arena.attack.selector ? "attack(uint256,uint16)" : "craft(uint256,uint256)";
        }
    }

    /// @dev What the account asks its owner validator about when it is asked, by ERC-1271, about a digest.
    function wrapped(bytes32 digest) internal view virtual returns (bytes32);

    // -------------------------------------------------------------------------------------------------- owner

    /// @dev An operation of the account that its owner signs.
    function ownerOperation(bytes memory callData) internal view returns (PackedUserOperation memory op) {
        Fields memory f;
        f.nonceKey = nonceKeyOfOwner();
        op = operation(f, callData);
        op.signature = signedByOwner(entryPoint.getUserOpHash(op));
    }

    function signedByOwner(bytes32 digest) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest);
        return abi.encodePacked(r, s, v);
    }

    // ------------------------------------------------------------------------------------------------ refusals

    /// @dev Requires that the module refuses for exactly this reason, and that the EntryPoint therefore refuses.
    function submitRefusedByModule(PackedUserOperation memory op, bytes memory reason) internal {
        if (moduleErrorsBecome.length == 0) return submitRefused(op, reason);
        bytes32 userOpHash = entryPoint.getUserOpHash(op);
        vm.prank(address(account));
        vm.expectRevert(reason);
        validator.validateUserOp(op, userOpHash);
        submitRefused(op, moduleErrorsBecome);
    }

    // ------------------------------------------------------------------------------------------------- deploy

    /// @dev Deploys somebody else's contract, as the build took it out of its npm package.
    function deployOthers(string memory name, bytes memory arguments) internal returns (address deployed) {
        bytes memory code =
            vm.parseJsonBytes(vm.readFile(string.concat("devnet_artifacts/", name, ".json")), ".bytecode");
        code = bytes.concat(code, arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
        }
        assertTrue(deployed != address(0), name);
    }
}
