// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Fields, Harness} from "test/Harness.sol";

/// @notice permissionIdOf, operationDigest, grantDigest and revokeDigest against the same bytes written differently.
contract DigestsTest is Harness {
    function testFuzz_permissionIdOf_success_isTheHashOfItsParts(
        uint64 chainId,
        address who,
        bytes memory scope,
        uint8 entries,
        uint8 rules
    ) public {
        // As long as its counts say, and a short list; whatever else stands in it.
        vm.assume(entries != 0);
        scope = bytes.concat(scope, new bytes(192 + 32 * uint256(entries) + 64 * uint256(rules)));
        uint256 length = 192 + 32 * uint256(entries) + 64 * uint256(rules);
        assembly ("memory-safe") {
            mstore(scope, length)
        }
        (scope[54], scope[55]) = (bytes1(entries), bytes1(rules));
        vm.chainId(bound(chainId, 1, type(uint64).max - 1));
        bytes memory preimage = bytes.concat(bytes32(block.chainid), bytes20(address(validator)), bytes20(who), scope);
        assertEq(validator.permissionIdOf(who, scope), keccak256(preimage));
    }

    function test_permissionIdOf_revert_scopeLengthMismatch() public {
        bytes memory scope = pack(fields());
        uint256 whole = scope.length;
        _unnamed(bytes.concat(scope, hex"00"), whole + 1, whole);
        uint256[3] memory lengths = [whole - 1, whole - 32, 191];
        for (uint256 i = 0; i < lengths.length; ++i) {
            uint256 length = lengths[i];
            assembly ("memory-safe") {
                mstore(scope, length)
            }
            // A header that is cut off has no counts to be compared with.
            _unnamed(scope, length, length < 192 ? 192 : whole);
        }
    }

    function _unnamed(bytes memory scope, uint256 found, uint256 expected) private {
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, found, expected));
        validator.permissionIdOf(address(account), scope);
    }

    function testFuzz_operationDigest_success_is128Bytes(
        bytes32 userOpHash,
        bytes32 permissionId,
        uint48 claimedAt,
        uint48 deadline
    ) public view {
        bytes memory preimage = bytes.concat(
            keccak256("SessionOperation(bytes32 userOpHash,bytes32 permissionId,uint96 claimedAtAndDeadline)"),
            userOpHash,
            permissionId,
            bytes20(0),
            bytes6(claimedAt),
            bytes6(deadline)
        );
        assertEq(preimage.length, 128);
        assertEq(validator.operationDigest(userOpHash, permissionId, claimedAt, deadline), keccak256(preimage));
    }

    function test_grantDigest_success_isTypedData() public view {
        Fields memory f = fields();
        string[] memory texts = new string[](1);
        texts[0] = "move(int16,int16)";
        Fields memory g = fieldsWithRules(f.entries[0].selector, f.rules);
        g.entries[0].selector = bytes4(keccak256(bytes(texts[0])));
        bytes32 callHash = keccak256(
            abi.encode(
                keccak256("AllowedCall(address target,string functionSignature)"), arena, keccak256(bytes(texts[0]))
            )
        );
        bytes32 typeHash = keccak256(
            "GrantSession(address account,address sessionKey,address revoker,uint48 validAfter,uint48 validUntil,AllowedCall[] allowedCalls,uint32 usesMax,uint128 gasBudgetWei,uint128 valueTotalWeiMax,address paymaster,address[] acceptedImplementations,bytes scope,uint32 epoch,uint48 deadline)AllowedCall(address target,string functionSignature)"
        );
        bytes memory first = abi.encode(
            typeHash, account, g.signer, g.revoker, g.validAfter, g.validUntil, keccak256(abi.encode(callHash))
        );
        bytes memory second = abi.encode(
            g.usesMax,
            g.gasBudgetWei,
            g.valueTotalWeiMax,
            g.paymaster,
            keccak256(abi.encode(thief, bundler)),
            keccak256(pack(g)),
            uint32(1),
            uint48(NOW)
        );
        bytes32 expected = _typed(keccak256(bytes.concat(first, second)));
        address[] memory implementations = new address[](2);
        (implementations[0], implementations[1]) = (thief, bundler);
        assertEq(validator.grantDigest(address(account), pack(g), texts, implementations, uint48(NOW)), expected);
    }

    function test_grantDigest_success_beforeInstallIsOfTheFirstEpoch() public {
        // What an owner signs for an account that does not have the module yet.
        Fields memory f = fieldsWithRules(Arena.move.selector, fields().rules);
        string[] memory texts = new string[](1);
        texts[0] = "move(int16,int16)";
        bytes32 digest = validator.grantDigest(thief, pack(f), texts, none, uint48(NOW));
        vm.startPrank(thief);
        validator.onInstall("");
        assertEq(validator.grantDigest(thief, pack(f), texts, none, uint48(NOW)), digest);
        validator.onUninstall("");
        bytes32 next = validator.grantDigest(thief, pack(f), texts, none, uint48(NOW));
        assertTrue(next != digest);
        validator.onInstall("");
        assertEq(validator.grantDigest(thief, pack(f), texts, none, uint48(NOW)), next);
        vm.stopPrank();
    }

    function testFuzz_revokeDigest_success_isTypedData(address who, bytes32 permissionId) public view {
        bytes32 typeHash = keccak256("RevokeSession(address account,bytes32 permissionId)");
        assertEq(validator.revokeDigest(who, permissionId), _typed(keccak256(abi.encode(typeHash, who, permissionId))));
    }

    function test_eip712Domain_success_namesModule() public view {
        (, string memory name, string memory version, uint256 chainId, address module,,) = validator.eip712Domain();
        assertEq(name, "gamekit SessionValidator");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(module, address(validator));
    }

    function _typed(bytes32 structHash) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("gamekit SessionValidator"),
                keccak256("1"),
                block.chainid,
                validator
            )
        );
        return keccak256(bytes.concat(hex"1901", domain, structHash));
    }
}
