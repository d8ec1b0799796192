// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccount, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness, Rule} from "test/Harness.sol";
import {LongLists} from "test/LongLists.sol";
import {NexusHarness} from "test/NexusHarness.sol";
import {StackHarness} from "test/StackHarness.sol";

/// @notice What a session costs, kept in snapshots/Gas.json: a change shows in git.
/// @dev Isolated: each call from the test is a transaction of its own, so storage is cold as on a chain. `validation` is
/// the account's validateUserOp without the transaction's own gas; `total` is the whole handleOps transaction, on a
/// nonce key and a player's word that were used before.
abstract contract GasTest is Harness {
    /// @dev How the account is called in the file.
    function name() internal pure virtual returns (string memory);

    function sessionNonceKey() internal view virtual returns (uint192) {
        return fields().nonceKey;
    }

    function ownerNonceKey() internal view virtual returns (uint192) {
        return uint192(uint160(address(ownerValidator))) << 32;
    }

    function test_gas_success_session() public {
        Fields memory f = _oneEntry();
        grant(f);
        submit(sealedBatch(f, attacks(1)));
        uint256 single = _record("session_1_call", sealedBatch(f, attacks(1)));
        uint256 many = _record("session_25_calls", sealedBatch(f, attacks(25)));
        vm.snapshotValue("Gas", string.concat(name(), "_each_further_call_validation"), (many - single) / 24);
        assertLe(single, 38_000, "one entry");
        assertLe((many - single) / 24, 3_500, "each further call");
    }

    function test_gas_success_everyCheckOn() public {
        // Rate, two argument rules, and a cumulative one, so the second slot too.
        Fields memory f = _oneEntry();
        (f.callsMax, f.burst, f.rateIntervalMs) = (25, 1000, 1);
        f.rules = new Rule[](3);
        f.rules[0] = Rule(0, 3, 0, 1);
        f.rules[1] = Rule(1, 2, 0, 100);
        f.rules[2] = Rule(1, 6, 1, 10_000);
        f.entries[0].ruleCount = 3;
        grant(f);
        submit(sealedBatch(f, attacks(1)));
        _record("session_every_check_1_call", sealedBatch(f, attacks(1)));
        _record("session_every_check_25_calls", sealedBatch(f, attacks(25)));
    }

    function test_gas_success_owner() public {
        submit(_owner());
        _record("owner_1_call", _owner());
    }

    function test_gas_success_grant() public {
        // The game's code was read by the first grant of anybody's.
        Fields memory f = _oneEntry();
        grant(f);
        f.usesMax += 1;
        bytes memory scope = pack(f);
        vm.prank(address(account));
        validator.grantSession(scope, none);
        vm.snapshotValue("Gas", string.concat(name(), "_grant_by_account_total"), vm.lastCallGas().gasTotalUsed);
    }

    // -------------------------------------------------------------------------------------------------- helpers

    function _oneEntry() private view returns (Fields memory f) {
        f = fields();
        f.nonceKey = sessionNonceKey();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(address(arena), Arena.attack.selector, 0, 0);
    }

    function _owner() private view returns (PackedUserOperation memory op) {
        Fields memory f = fields();
        f.nonceKey = ownerNonceKey();
        op = operation(f, batchData(BATCH_TRY, attacks(1)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, entryPoint.getUserOpHash(op));
        op.signature = abi.encodePacked(r, s, v);
    }

    /// @return validation the account's own share.
    function _record(string memory what, PackedUserOperation memory op) private returns (uint256 validation) {
        uint256 before = vm.snapshotState();
        bytes memory data = abi.encodeCall(IAccount.validateUserOp, (op, entryPoint.getUserOpHash(op), 0));
        vm.prank(address(entryPoint));
        (bool done,) = address(account).call(data);
        assertTrue(done);
        validation = vm.lastCallGas().gasTotalUsed - _intrinsic(data);
        vm.revertToState(before);
        submit(op);
        uint256 total = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("Gas", string.concat(name(), "_", what, "_validation"), validation);
        vm.snapshotValue("Gas", string.concat(name(), "_", what, "_total"), total);
    }

    /// @dev What a transaction costs before it does anything: 21,000 and its data.
    function _intrinsic(bytes memory data) private pure returns (uint256 gas) {
        gas = 21_000;
        for (uint256 i = 0; i < data.length; ++i) {
            gas += data[i] == 0 ? 4 : 16;
        }
    }
}

/// forge-config: default.isolate = true
contract GasOfReference07Test is GasTest {
    function name() internal pure override returns (string memory) {
        return "reference_07";
    }

    function entryPointVersion() internal pure override returns (uint256) {
        return 7;
    }
}

/// forge-config: default.isolate = true
contract GasOfReference08Test is GasTest {
    function name() internal pure override returns (string memory) {
        return "reference_08";
    }
}

/// forge-config: default.isolate = true
contract GasOfNexusTest is GasTest, NexusHarness {
    function name() internal pure override returns (string memory) {
        return "nexus_07";
    }

    function setUp() public override(Harness, StackHarness) {
        StackHarness.setUp();
    }

    function entryPointVersion() internal pure override(Harness, StackHarness) returns (uint256) {
        return 7;
    }

    function sessionNonceKey() internal view override returns (uint192) {
        return nexusFields().nonceKey;
    }

    function ownerNonceKey() internal view override returns (uint192) {
        return uint160(address(ownerValidator));
    }
}

/// @notice From how many entries on a list is better long: the same operation with both forms, in snapshots/Gas.json.
/// @dev Validation and calldata together, 16 for a byte and 4 for a zero: what the form of the list changes. Once with one
/// function used, once with three, once with one used where each entry has a rule.
/// forge-config: default.isolate = true
contract GasOfListsTest is LongLists {
    uint256[7] private _sizes = [uint256(1), 4, 8, 12, 16, 24, 32];

    function test_gas_success_listOneFunction() public {
        for (uint256 i = 0; i < _sizes.length; ++i) {
            _compare("", _sizes[i], uses1(0), 0);
        }
    }

    function test_gas_success_listThreeFunctions() public {
        for (uint256 i = 1; i < _sizes.length; ++i) {
            uint256[] memory uses = new uint256[](3);
            (uses[1], uses[2]) = (_sizes[i] / 2, _sizes[i] - 1);
            _compare("_3_functions", _sizes[i], uses, 0);
        }
    }

    function test_gas_success_listOfRules() public {
        for (uint256 i = 0; i < _sizes.length; ++i) {
            _compare("_1_rule_each", _sizes[i], uses1(0), 1);
        }
    }

    function _compare(string memory what, uint256 size, uint256[] memory uses, uint8 ruleCount) private {
        Fields memory f = longFields(size);
        f.rules = new Rule[](ruleCount == 0 ? 0 : size);
        for (uint256 i = 0; i < size; ++i) {
            if (ruleCount != 0) f.rules[i] = Rule(0, 2, 0, 99);
            (f.entries[i].ruleFrom, f.entries[i].ruleCount) = (ruleCount == 0 ? 0 : uint8(i), ruleCount);
        }
        grant(f);
        submit(sealedBatch(f, toyCalls(uses)));
        uint256 inline_ =
            _record(string.concat("list_inline_", vm.toString(size), what), sealedBatch(f, toyCalls(uses)));
        grantLong(f);
        submit(sealedLong(f, uses));
        uint256 merkle = _record(string.concat("list_merkle_", vm.toString(size), what), sealedLong(f, uses));
        // The form to choose depends on how many entries an operation uses, and on how long they are. Of one entry, a list
        // of 32 is better long; with three of them used it is still better short.
        if (size == 1 || uses.length == 3) assertLt(inline_, merkle);
        else if (size == 32) assertLt(merkle, inline_);
    }

    function _record(string memory what, PackedUserOperation memory op) private returns (uint256 gas) {
        bytes32 hash = entryPoint.getUserOpHash(op);
        uint256 before = vm.snapshotState();
        vm.prank(address(entryPoint));
        assertEq(uint160(account.validateUserOp(op, hash, 0)), 0);
        gas = vm.lastCallGas().gasTotalUsed - 21_000;
        vm.revertToState(before);
        vm.snapshotValue("Gas", what, gas);
    }
}
