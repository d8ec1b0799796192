// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccount, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness, Rule} from "test/Harness.sol";
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
