// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness, Rule} from "test/Harness.sol";

/// @notice What the suites of validateUserOp share.
abstract contract ValidateUserOpHarness is Harness {
    function _succeedsInMode(bytes32 mode) internal {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Execution[] memory calls = attacks(1);
        submit(seal(operation(f, singleData(mode, calls[0])), hintsOf(f, calls), scope));
        assertEq(actions(), 1);
    }

    function _refusesMode(bytes32 mode) internal {
        bytes memory reason = abi.encodeWithSelector(ISessionValidator.ModeNotAllowed.selector, mode);
        _refuses(batchData(mode, attacks(1)), reason);
    }

    /// @dev Refused as a whole operation, and admitted with canonical callData: the twin differs in nothing else.
    function _refuses(bytes memory callData, bytes memory reason) internal {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        submitRefused(seal(operation(f, callData), hintsOf(f, attacks(1)), scope), reason);
        submit(seal(operation(f, batchData(BATCH, attacks(1))), hintsOf(f, attacks(1)), scope));
        assertEq(actions(), 1);
    }

    function _refusesCall(address target, bytes memory data) internal {
        Fields memory f = fields();
        grant(f);
        Execution[] memory calls = one(target, 0, data);
        submitRefused(sealedBatch(f, calls), _notAllowed(f, 0, calls[0]));
    }

    /// @dev Asks the module itself, as the account: for operations that the EntryPoint would refuse before.
    function _refusedByModule(PackedUserOperation memory op, bytes memory reason) internal {
        bytes32 hash = entryPointHash(op);
        vm.prank(address(account));
        vm.expectRevert(reason);
        validator.validateUserOp(op, hash);
    }

    function entryPointHash(PackedUserOperation memory op) internal view returns (bytes32) {
        return entryPoint.getUserOpHash(op);
    }

    function _rule(Rule memory rule, bytes memory good, bytes memory bad, uint256 found) internal {
        Fields memory f = fieldsWithRule(Arena.attack.selector, rule);
        grant(f);
        submitRefused(
            sealedBatch(f, one(bad)),
            abi.encodeWithSelector(
                ISessionValidator.ArgumentRefused.selector, 0, rule.argument, rule.condition, found, rule.value
            )
        );
        submit(sealedBatch(f, one(good)));
        assertEq(actions(), 1);
    }

    function _valueFields() internal returns (Fields memory f) {
        f = fields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(address(new Sink()), Sink.pay.selector, 0, 0);
        f.valueTotalWeiMax = 0.5 ether;
        f.valuePerCallWeiMax = 0.2 ether;
    }

    function _payments(Fields memory f, uint256 count, uint256 value) internal pure returns (Execution[] memory calls) {
        calls = new Execution[](count);
        for (uint256 i = 0; i < count; ++i) {
            calls[i] = Execution(f.entries[0].target, value, abi.encodeCall(Sink.pay, ()));
        }
    }

    function _range(Fields memory f, uint48 claimedAt, uint48 deadline) internal returns (uint256) {
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op = seal(op, hintsOf(f, attacks(1)), pack(f), claimedAt, deadline, signerKey);
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.prank(address(account));
        return validator.validateUserOp(op, hash);
    }

    function _packed(uint256 validAfter, uint256 validUntil) internal pure returns (uint256) {
        return uint256(bytes32(abi.encodePacked(uint48(validAfter), uint48(validUntil), address(0))));
    }

    function _associated(bytes32 slot, bytes32 permissionId) internal view returns (bool) {
        bytes32 who = bytes32(uint256(uint160(address(account))));
        for (uint256 number = 0; number < 10; ++number) {
            if (slot == keccak256(abi.encode(who, number))) return true;
            if (slot == keccak256(abi.encode(who, keccak256(abi.encode(permissionId, number))))) return true;
        }
        return false;
    }

    function _notLive(bytes memory scope, SessionState state) internal view returns (bytes memory) {
        return abi.encodeWithSelector(ISessionValidator.SessionNotLive.selector, permissionIdOf(scope), state);
    }

    function _notAllowed(Fields memory f, uint256 index, Execution memory call) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(
            ISessionValidator.CallNotAllowed.selector,
            index,
            call.target,
            bytes4(call.callData),
            f.entries[0].target,
            f.entries[0].selector
        );
    }
}

/// @notice A game function that takes value.
contract Sink {
    function pay() external payable {}

    function payFor(uint256) external payable {}
}
