// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Fields} from "test/Harness.sol";
import {PaymasterHarness} from "test/paymaster/PaymasterHarness.sol";

/// @notice What sponsoring costs, kept in snapshots/PaymasterGas.json: whole handleOps transactions of one call, by one
/// session, sponsored and paid by the account itself. Cold storage; nonce key and player's word were used before.
abstract contract PaymasterGasTest is PaymasterHarness {
    function name() internal pure virtual returns (string memory);

    function test_gas_success_session() public {
        Fields memory f = sponsored();
        submit(_paid(f));
        uint256 first = vm.lastCallGas().gasTotalUsed;
        submit(_paid(f));
        uint256 later = vm.lastCallGas().gasTotalUsed;
        entryPoint.depositTo{value: 10 ether}(address(account));
        Fields memory own = fields();
        own.nonceKey += 2;
        grant(own);
        submit(seal(operation(own, batchData(BATCH, attacks(1))), hintsOf(own, attacks(1)), pack(own)));
        submit(seal(operation(own, batchData(BATCH, attacks(1))), hintsOf(own, attacks(1)), pack(own)));
        uint256 alone = vm.lastCallGas().gasTotalUsed;
        _note("session_first_of_a_player_total", first);
        _note("session_total", later);
        _note("unsponsored_total", alone);
        _note("sponsoring_a_session", later - alone);
        assertLe(later - alone, 38_000, "what a paymaster adds");
    }

    function test_gas_success_signed() public {
        submit(_signed());
        submit(_signed());
        uint256 later = vm.lastCallGas().gasTotalUsed;
        entryPoint.depositTo{value: 10 ether}(address(account));
        submit(_ownerOperation(""));
        _note("signed_total", later);
        _note("sponsoring_a_signed_operation", later - vm.lastCallGas().gasTotalUsed);
    }

    function test_gas_success_tenInABundle() public {
        Fields memory f = sponsored();
        submit(_paid(f));
        PackedUserOperation[] memory ops = new PackedUserOperation[](10);
        for (uint256 i = 0; i < 10; ++i) {
            ops[i] = _unsealed(f);
            ops[i].nonce += i;
            ops[i] = _seal(f, ops[i]);
        }
        submitAll(ops);
        _note("session_each_of_ten_in_a_bundle", vm.lastCallGas().gasTotalUsed / 10);
    }

    function test_gas_success_voucher() public {
        Fields memory f = sponsoredFields();
        bytes32 id = permissionIdOf(grant(f));
        uint48 deadline = uint48(NOW + 60);
        bytes memory signature = _voucher(paymaster, id, GAME, LIMIT, deadline, sponsorKey);
        paymaster.sponsor(address(account), id, GAME, LIMIT, deadline, signature);
        _note("voucher_total", vm.lastCallGas().gasTotalUsed);
    }

    function _signed() private view returns (PackedUserOperation memory op) {
        op = _ownerOperation("");
        op.paymasterAndData = _signedData(op, GAME, uint48(NOW - 1), uint48(NOW + 60), sponsorKey);
        op.signature = _signature(entryPoint.getUserOpHash(op), ownerKey);
    }

    function _note(string memory what, uint256 gas) private {
        vm.snapshotValue("PaymasterGas", string.concat(name(), "_", what), gas);
    }
}

/// forge-config: default.isolate = true
contract PaymasterGas07Test is PaymasterGasTest {
    function name() internal pure override returns (string memory) {
        return "reference_07";
    }

    function entryPointVersion() internal pure override returns (uint256) {
        return 7;
    }
}

/// forge-config: default.isolate = true
contract PaymasterGas08Test is PaymasterGasTest {
    function name() internal pure override returns (string memory) {
        return "reference_08";
    }
}
