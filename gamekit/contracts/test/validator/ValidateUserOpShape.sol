// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution, IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISessionValidator, Session, SessionState} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields} from "test/Harness.sol";
import {ValidateUserOpHarness} from "test/validator/ValidateUserOpHarness.sol";

/// @notice What an operation looks like: who asks, mode, canonical callData.
/// @dev Through handleOps of a real EntryPoint, unless the EntryPoint itself would refuse before.
abstract contract ValidateUserOpShape is ValidateUserOpHarness {
    // ------------------------------------------------------------------------------------------------ what is admitted

    function test_validateUserOp_success_singleDefault() public {
        _succeedsInMode(SINGLE);
    }

    function test_validateUserOp_success_singleTry() public {
        _succeedsInMode(SINGLE_TRY);
    }

    function test_validateUserOp_success_batchDefault() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        Execution[] memory calls = attacks(3);
        submit(seal(operation(f, batchData(BATCH, calls)), hintsOf(f, calls), scope));
        assertEq(actions(), 3);
    }

    function test_validateUserOp_success_batchTry() public {
        Fields memory f = fields();
        grant(f);
        submit(sealedBatch(f, two(moveData(), craftData(1, 2))));
        assertEq(actions(), 2);
    }

    function test_validateUserOp_success_batchTryGoesOnAfterRevert() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        submit(sealedBatch(f, two(attackData(0, 1), moveData())));
        assertEq(actions(), 1, "the second call ran");
        assertEq(sessionOf(scope).uses, 2, "both were charged");
    }

    function test_validateUserOp_success_64Calls() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        submit(sealedBatch(f, attacks(64)));
        assertEq(actions(), 64);
        assertEq(sessionOf(scope).uses, 64);
    }

    function test_validateUserOp_success_recordsUsesAndGas() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        submit(sealedBatch(f, attacks(2)));
        submit(sealedBatch(f, attacks(3)));
        Session memory session = sessionOf(scope);
        assertEq(uint256(session.state), uint256(SessionState.Live));
        assertEq(session.epoch, 1);
        assertEq(session.uses, 5);
        assertEq(session.gasSpentWei, 2 * gasWei());
        assertEq(session.arrivalMs, 0, "no rate");
        assertEq(session.lane0, 0);
        assertEq(session.lane1, 0);
    }

    function test_validateUserOp_success_twoTargets() public {
        Arena other = new Arena();
        Fields memory f = fields();
        f.entries = new Entry[](2);
        f.entries[0] = Entry(address(arena), Arena.move.selector, 0, 0);
        f.entries[1] = Entry(address(other), Arena.attack.selector, 0, 0);
        _sort(f.entries);
        grant(f);
        Execution[] memory calls = new Execution[](2);
        calls[0] = Execution(address(other), 0, attackData(1, 1));
        calls[1] = Execution(address(arena), 0, moveData());
        submit(sealedBatch(f, calls));
        assertEq(arena.actionsOf(address(account)), 1);
        assertEq(other.actionsOf(address(account)), 1);
    }

    function test_validateUserOp_success_twoSessionsOfOneKey() public {
        Fields memory f = fields();
        grant(f);
        Fields memory g = fields();
        g.nonceKey += 1;
        grant(g);
        submit(sealedBatch(f, attacks(1)));
        submit(sealedBatch(g, attacks(1)));
        assertEq(actions(), 2);
    }

    function test_validateUserOp_success_returnsTimeRange() public {
        Fields memory f = fields();
        grant(f);
        assertEq(_range(f, uint48(NOW - 1), uint48(NOW + 60)), _packed(NOW - 1, NOW + 60), "deadline");
        assertEq(_range(f, uint48(NOW - 1), uint48(NOW + 600)), _packed(NOW - 1, NOW + 119), "slack");
        assertEq(_range(f, uint48(NOW + 1790), uint48(NOW + 5000)), _packed(NOW + 1790, NOW + 1800), "session end");
        assertEq(_range(f, uint48(NOW - 700), uint48(NOW)), _packed(NOW - 600, NOW - 580), "session start");
    }

    function test_validateUserOp_success_touchesAssociatedSlotsOnly() public {
        Fields memory f = fields();
        f.valueTotalWeiMax = f.valuePerCallWeiMax = 1 ether;
        f.entries = new Entry[](1);
        f.entries[0] = Entry(address(arena), Arena.attack.selector, 0, 0);
        bytes memory scope = grant(f);
        PackedUserOperation memory op = sealedBatch(f, one(address(arena), 1, attackData(1, 1)));
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.record();
        vm.prank(address(account));
        validator.validateUserOp(op, hash);
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(address(validator));
        // keccak(account . x), x = keccak(permission . mapping) or the mapping's own number.
        bytes32 permissionId = permissionIdOf(scope);
        for (uint256 i = 0; i < reads.length; ++i) {
            assertTrue(_associated(reads[i], permissionId), "read");
        }
        for (uint256 i = 0; i < writes.length; ++i) {
            assertTrue(_associated(writes[i], permissionId), "write");
        }
        assertEq(writes.length, 2, "session and caps");
    }

    // -------------------------------------------------------------------------------------------------------- who asks

    function test_validateUserOp_revert_senderMismatch() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.SenderMismatch.selector, address(account), address(this))
        );
        validator.validateUserOp(op, hash);
    }

    function test_validateUserOp_revert_initCodeNotEmpty() public {
        Fields memory f = fields();
        grant(f);
        PackedUserOperation memory op = sealedBatch(f, attacks(1));
        op.initCode = abi.encodePacked(factory);
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.prank(address(account));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.InitCodeNotEmpty.selector, 20));
        validator.validateUserOp(op, hash);
    }

    function test_validateUserOp_revert_anotherAccountsSession() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        address other = factory.createAccount(thief, "thief");
        entryPoint.depositTo{value: 1 ether}(other);
        PackedUserOperation memory op = operation(f, batchData(BATCH, attacks(1)));
        op.sender = other;
        op = seal(op, hex"00", scope);
        bytes32 permissionId = keccak256(abi.encodePacked(block.chainid, address(validator), other, scope));
        submitRefused(
            op, abi.encodeWithSelector(ISessionValidator.SessionNotLive.selector, permissionId, SessionState.None)
        );
    }

    // ----------------------------------------------------------------------------------------------- shape of callData

    function test_validateUserOp_revert_selectorNotExecute() public {
        bytes memory install = abi.encodeCall(IERC7579ModuleConfig.installModule, (1, thief, hex"00"));
        _refuses(
            install,
            abi.encodeWithSelector(ISessionValidator.SelectorNotExecute.selector, bytes4(install), bytes4(0xe9ae5c53))
        );
    }

    function test_validateUserOp_revert_executeUserOp() public {
        bytes memory wrapped = bytes.concat(bytes4(0x8dd7712f), batchData(BATCH, attacks(1)));
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op = seal(operation(f, wrapped), hex"00", scope);
        submitRefused(
            op,
            abi.encodeWithSelector(
                ISessionValidator.SelectorNotExecute.selector, bytes4(0x8dd7712f), bytes4(0xe9ae5c53)
            )
        );
    }

    function test_validateUserOp_revert_delegatecall() public {
        _refusesMode(0xff00000000000000000000000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_delegatecallTry() public {
        _refusesMode(0xff01000000000000000000000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_staticcall() public {
        _refusesMode(0xfe00000000000000000000000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_unknownExecType() public {
        _refusesMode(0x0102000000000000000000000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_modeSelector() public {
        _refusesMode(0x0100000000007821000100000000000000000000000000000000000000000000);
    }

    function test_validateUserOp_revert_modePayload() public {
        _refusesMode(0x0100000000000000000000000000000000000000000000000000000000000001);
    }

    function testFuzz_validateUserOp_revert_anyOtherMode(bytes32 mode) public {
        vm.assume(mode != SINGLE && mode != SINGLE_TRY && mode != BATCH && mode != BATCH_TRY);
        PackedUserOperation memory op;
        op.sender = address(this);
        op.callData = batchData(mode, attacks(1));
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.ModeNotAllowed.selector, mode));
        validator.validateUserOp(op, 0);
    }

    function test_validateUserOp_revert_headOffsetAliased() public {
        // The head points at a second body behind the first.
        bytes memory good = abi.encode(attacks(1));
        bytes memory bad = abi.encode(one(address(arena.gold()), 0, abi.encodeCall(IERC20.transfer, (thief, 1))));
        bytes memory callData = abi.encodePacked(
            bytes4(0xe9ae5c53), BATCH, uint256(0x40 + 32 + good.length), good.length, good, bad.length, bad
        );
        _refuses(
            callData,
            abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 36, 0x40 + 32 + good.length, 0x40)
        );
    }

    function test_validateUserOp_revert_callDataShorterThanAnyExecution() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        bytes memory callData = batchData(BATCH, attacks(1));
        uint256[3] memory lengths = [uint256(99), 4, 0];
        for (uint256 i = 0; i < lengths.length; ++i) {
            uint256 length = lengths[i];
            assembly ("memory-safe") {
                mstore(callData, length)
            }
            _refusedByModule(
                seal(operation(f, callData), hintsOf(f, attacks(1)), scope),
                abi.encodeWithSelector(ISessionValidator.CallDataNotCanonical.selector, 0, length, 100)
            );
        }
    }

    function test_validateUserOp_revert_bytesBehindTheLastCall() public {
        // A word more inside of the execution, behind the last call: one decoder leaves it unread, another may not.
        bytes memory callData = bytes.concat(batchData(BATCH, attacks(1)), bytes32(0));
        uint256 length = callData.length - 100;
        assembly ("memory-safe") {
            mstore(add(callData, 100), length)
        }
        _refuses(
            callData,
            abi.encodeWithSelector(
                ISessionValidator.CallDataNotCanonical.selector,
                callData.length - 32,
                callData.length - 32,
                callData.length
            )
        );
    }

    function test_validateUserOp_revert_trailingBytes() public {
        bytes memory callData = batchData(BATCH, attacks(1));
        _refuses(
            bytes.concat(callData, bytes32(0)),
            abi.encodeWithSelector(
                ISessionValidator.CallDataNotCanonical.selector, 68, callData.length, callData.length + 32
            )
        );
    }

    function test_validateUserOp_revert_emptyBatch() public {
        _refuses(
            batchData(BATCH, new Execution[](0)),
            abi.encodeWithSelector(ISessionValidator.CallsOutOfRange.selector, 0, 2)
        );
    }

    function test_validateUserOp_revert_overCallsMax() public {
        Fields memory f = fields();
        f.callsMax = 2;
        grant(f);
        submitRefused(
            sealedBatch(f, attacks(3)), abi.encodeWithSelector(ISessionValidator.CallsOutOfRange.selector, 3, 2)
        );
        submit(sealedBatch(f, attacks(2)));
    }

    function test_validateUserOp_revert_selectorMissing() public {
        _refuses(
            batchData(BATCH, one(hex"a1b2c3")),
            abi.encodeWithSelector(ISessionValidator.SelectorMissing.selector, 0, 3, 4)
        );
    }

    function test_validateUserOp_revert_selectorMissingInSingle() public {
        Fields memory f = fields();
        bytes memory scope = grant(f);
        PackedUserOperation memory op =
            seal(operation(f, singleData(SINGLE, Execution(address(arena), 1 ether, ""))), hex"00", scope);
        submitRefused(op, abi.encodeWithSelector(ISessionValidator.SelectorMissing.selector, 0, 0, 4));
    }
}
