// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution, IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Fields} from "test/Harness.sol";
import {NexusHarness} from "test/NexusHarness.sol";
import {YesModule} from "test/escapes/Strangers.sol";

/// @notice The full path on Nexus: deploy, install, grant through its ERC-1271, operations, revoke.
contract NexusTest is NexusHarness {
    function test_nexus_success_grantPlayRevoke() public {
        Fields memory f = nexusFields();
        bytes memory scope = grantByOwner(f);
        submit(sealedBatch(f, attacks(3)));
        assertEq(actions(), 3);
        Execution[] memory calls = attacks(1);
        submit(seal(operation(f, singleData(SINGLE, calls[0])), hintsOf(f, calls), scope));
        assertEq(actions(), 4);
        vm.prank(revoker);
        validator.revokeSessionFor(address(account), scope);
        submitRefused(
            sealedBatch(f, attacks(1)),
            abi.encodeWithSelector(
                ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), SessionState.Revoked
            )
        );
    }

    function test_nexus_success_tryBatchGoesOn() public {
        Fields memory f = nexusFields();
        grantByOwner(f);
        submit(sealedBatch(f, two(attackData(0, 1), moveData())));
        assertEq(actions(), 1);
    }

    function test_nexus_revert_goldTransfer() public {
        Fields memory f = nexusFields();
        grantByOwner(f);
        submitRefused(
            sealedBatch(f, one(address(arena.gold()), 0, abi.encodeCall(IERC20.transfer, (thief, 1)))),
            abi.encodeWithSelector(
                ISessionValidator.CallNotAllowed.selector,
                0,
                address(arena.gold()),
                IERC20.transfer.selector,
                address(arena),
                f.entries[0].selector
            )
        );
    }

    function test_nexus_revert_moduleEnableMode() public {
        // An operation may have a module installed, and be validated by it at once, if an installed validator agrees.
        grantByOwner(nexusFields());
        address module = address(new YesModule());
        YesModule agreeing = new YesModule();
        vm.prank(address(account));
        IERC7579ModuleConfig(address(account)).installModule(1, address(agreeing), "");
        Fields memory f = nexusFields();
        f.nonceKey = uint192(1) << 160 | uint160(module);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        bytes memory reason = abi.encodeWithSelector(bytes4(keccak256("EnableModeSigError()")));
        op.signature = _enableData(op, module, address(validator), signerKey);
        submitRefused(op, reason);
        op.signature = _enableData(op, module, address(ownerValidator), signerKey);
        submitRefused(op, reason);
        // The owner validator answers to the session validator alone: not even the owner can use this mode.
        op.signature = _enableData(op, module, address(ownerValidator), ownerKey);
        submitRefused(op, reason);
        // The same bytes in the name of a validator that agrees to everything: they are well formed.
        op.signature = _enableData(op, module, address(agreeing), signerKey);
        submit(op);
        assertEq(actions(), 1);
    }

    /// @dev module 20 | type 32 | length 4 | init data | length 4 | (validator 20 | signature) | the operation's own
    function _enableData(PackedUserOperation memory op, address module, address checker, uint256 key)
        private
        view
        returns (bytes memory)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "ModuleEnableMode(address module,uint256 moduleType,bytes32 userOpHash,bytes32 initDataHash)"
                ),
                module,
                uint256(1),
                entryPoint.getUserOpHash(op),
                keccak256("")
            )
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Nexus"),
                keccak256("1.0.1"),
                block.chainid,
                account
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
        bytes memory approval = abi.encodePacked(checker, r, s, v);
        return abi.encodePacked(module, uint256(1), uint32(0), uint32(approval.length), approval);
    }
}
