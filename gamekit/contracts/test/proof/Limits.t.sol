// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionValidator, Session} from "src/ISessionValidator.sol";
import {Proof, Terms} from "./Proof.sol";

/// @title Time, gas, uses, rate, lane and paymaster, for every scope that has these limits.
/// @notice Storage is arbitrary, so whatever was spent before.
contract LimitsProof is Proof {
    function _session(bytes memory scope) private view returns (Session memory) {
        return ISessionValidator(address(validator)).sessionOf(ACCOUNT, permissionIdOf(scope));
    }

    /// @notice The range that the EntryPoint enforces is never empty or without an end, and lies within the deadline, the
    /// slack behind the claimed time and the session.
    function check_time_range() external {
        Terms memory t = terms();
        t.validAfter = uint48(SYMBOLIC.createUint(48, "validAfter"));
        t.validUntil = uint48(SYMBOLIC.createUint(48, "validUntil"));
        uint48 claimedAt = uint48(SYMBOLIC.createUint(48, "claimedAt"));
        uint48 deadline = uint48(SYMBOLIC.createUint(48, "deadline"));
        bytes memory scope = pack(t);
        PackedUserOperation memory op = operation(play(), 1, scope);
        op.signature = envelope(claimedAt, deadline, 1, scope);
        (bool accepted, uint256 range) = accepts(op);
        if (!accepted) return;
        uint256 first = range >> 48;
        uint256 last = uint48(range);
        assertTrue(last != 0 && first < last);
        assertTrue(first >= claimedAt && first >= t.validAfter);
        assertTrue(last <= deadline && last <= t.validUntil && last <= uint256(claimedAt) + 120);
    }

    /// @notice Every gas field counts, whoever pays, and no sum or product wraps around: an accepted operation costs at
    /// most the limit per operation, and is charged in whole, within the budget.
    function check_gas() external {
        Terms memory t = terms();
        t.gasBudgetWei = uint128(SYMBOLIC.createUint(128, "gasBudgetWei"));
        t.gasPerOperationWeiMax = uint128(SYMBOLIC.createUint(128, "gasPerOperationWeiMax"));
        _gas(t, "", 0, 0);
    }

    /// @notice The same with a paymaster.
    function check_gas_paymaster() external {
        Terms memory t = terms();
        t.gasBudgetWei = uint128(SYMBOLIC.createUint(128, "gasBudgetWei"));
        t.gasPerOperationWeiMax = uint128(SYMBOLIC.createUint(128, "gasPerOperationWeiMax"));
        t.paymaster = address(0x9a3);
        uint128 verification = uint128(SYMBOLIC.createUint(128, "paymasterVerification"));
        uint128 postOp = uint128(SYMBOLIC.createUint(128, "paymasterPostOp"));
        _gas(t, abi.encodePacked(t.paymaster, verification, postOp), verification, postOp);
    }

    function _gas(Terms memory t, bytes memory paymasterAndData, uint256 verification, uint256 postOp) private {
        bytes memory scope = pack(t);
        PackedUserOperation memory op = operation(play(), 1, scope);
        op.paymasterAndData = paymasterAndData;
        op.preVerificationGas = SYMBOLIC.createUint256("preVerificationGas");
        op.accountGasLimits = SYMBOLIC.createBytes32("accountGasLimits");
        op.gasFees = SYMBOLIC.createBytes32("gasFees");
        uint256 spentWei = _session(scope).gasSpentWei;
        (bool accepted,) = accepts(op);
        if (!accepted) return;
        uint256 limits = uint256(op.accountGasLimits);
        uint256 feePerGas = uint128(uint256(op.gasFees));
        uint256 max = type(uint120).max;
        // Then five of them have a sum below 2^123, and its product with the fee is below 2^243.
        assertTrue(op.preVerificationGas <= max && limits >> 128 <= max && uint128(limits) <= max);
        assertTrue(verification <= max && postOp <= max && feePerGas <= max);
        unchecked {
            uint256 gas = op.preVerificationGas + ((limits >> 128) + uint128(limits));
            if (paymasterAndData.length != 0) gas = gas + (verification + postOp);
            uint256 costWei = gas * feePerGas;
            assertTrue(costWei <= t.gasPerOperationWeiMax);
            assertTrue(spentWei + costWei <= t.gasBudgetWei);
            assertTrue(_session(scope).gasSpentWei == spentWei + costWei);
        }
    }

    /// @notice The calls of an operation are at most `callsMax`, and each is counted, within `usesMax`.
    function check_uses() external {
        Terms memory t = terms();
        t.usesMax = uint32(SYMBOLIC.createUint(32, "usesMax"));
        t.callsMax = uint8(SYMBOLIC.createUint(8, "callsMax"));
        bytes memory scope = pack(t);
        uint256 uses = _session(scope).uses;
        uint256 calls = pick(SYMBOLIC.createUint256("calls"), 1, 3);
        (bool accepted,) = accepts(operation(play(calls), calls, scope));
        if (!accepted) return;
        assertTrue(calls <= t.callsMax && uses + calls <= t.usesMax);
        assertTrue(_session(scope).uses == uses + calls);
    }

    /// @notice The rate: whatever was used before, the stored arrival never lies more than the burst ahead of the claimed
    /// time, never goes back, and grows by the interval for each call. Any interval, three bursts, one claimed time.
    function check_rate() external {
        Terms memory t = terms();
        t.rateIntervalMs = uint32(SYMBOLIC.createUint(32, "rateIntervalMs"));
        uint256 size = pick(SYMBOLIC.createUint256("size"), 0, 2);
        t.burst = size == 0 ? 1 : size == 1 ? 40 : type(uint16).max;
        // Then no arrival passes the word's 48 bits, which `grant` makes sure of.
        vm.assume(0 < t.rateIntervalMs && t.rateIntervalMs < 2 ** 31);
        bytes memory scope = pack(t);
        uint256 before = _session(scope).arrivalMs;
        (bool accepted,) = accepts(operation(play(), 1, scope));
        if (!accepted) return;
        uint256 arrival = _session(scope).arrivalMs;
        assertTrue(arrival <= NOW * 1000 + uint256(t.burst) * t.rateIntervalMs);
        assertTrue(arrival >= before + t.rateIntervalMs && arrival >= NOW * 1000 + t.rateIntervalMs);
    }

    /// @notice The whole nonce key is the scope's.
    function check_nonce_key() external {
        Terms memory t = terms();
        t.nonceKey = uint192(SYMBOLIC.createUint(192, "nonceKey"));
        PackedUserOperation memory op = operation(play(), 1, pack(t));
        op.nonce = SYMBOLIC.createUint256("nonce");
        (bool accepted,) = accepts(op);
        if (accepted) assertTrue(op.nonce >> 64 == t.nonceKey);
    }

    /// @notice Without a paymaster in the scope none may pay; with one, exactly this one must.
    function check_paymaster() external {
        Terms memory t = terms();
        t.paymaster = SYMBOLIC.createAddress("paymaster");
        PackedUserOperation memory op = operation(play(), 1, pack(t));
        uint256 size = pick(SYMBOLIC.createUint256("size"), 0, 54);
        op.paymasterAndData = SYMBOLIC.createBytes(size, "paymasterAndData");
        (bool accepted,) = accepts(op);
        if (!accepted) return;
        if (t.paymaster == address(0)) assertTrue(size == 0);
        else assertTrue(size >= 52 && address(bytes20(op.paymasterAndData)) == t.paymaster);
    }
}
