// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CallType, ERC7579Utils, ExecType, Mode} from "@openzeppelin/contracts/account/utils/draft-ERC7579Utils.sol";
import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution, IERC7579Execution, IERC7579Validator} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {Test} from "forge-std/Test.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";

/// @notice Halmos's own cheat codes: values of which nothing is known.
interface ISymbolic {
    function createUint(uint256 bits, string memory name) external view returns (uint256);

    function createUint256(string memory name) external view returns (uint256);

    function createBytes32(string memory name) external view returns (bytes32);

    function createBytes4(string memory name) external view returns (bytes4);

    function createAddress(string memory name) external view returns (address);

    function createBytes(uint256 length, string memory name) external view returns (bytes memory);

    /// @notice From here on every slot of the account holds anything.
    function enableSymbolicStorage(address account) external;
}

/// @dev The one target and function that the scopes of the proofs allow.
address constant GAME = address(0x6a3e);
bytes4 constant PLAY = 0x11223344;

/// @notice A scope of one entry, in words. Limits that a proof does not name are wide.
struct Terms {
    address signer;
    uint48 validAfter;
    uint48 validUntil;
    uint8 callsMax;
    uint16 burst;
    uint192 nonceKey;
    uint32 usesMax;
    uint32 rateIntervalMs;
    uint128 gasBudgetWei;
    uint128 gasPerOperationWeiMax;
    uint128 valueTotalWeiMax;
    uint128 valuePerCallWeiMax;
    address paymaster;
    /// @dev Packed rules, 64 bytes each.
    bytes rules;
}

/// @title What all symbolic proofs share: the module as it is compiled, an account, an operation.
/// @notice A proof is a function `check_...`: Halmos runs it on values of which nothing is known, over all paths, and
/// looks for an assertion that does not hold. The module is the compiled one, all of its `validateUserOp`; its storage is
/// arbitrary, so a proof holds whatever was granted, spent or revoked before. Nothing here reads the module's own decoder:
/// what an operation does is asked of the account's.
///
/// Two things are not computed but left open: ecrecover may give any address, keccak any word that differs for different
/// input.
/// @dev The module's bytecode is read, not linked in, so that `python -m tests.proof.symbolic` can put one with a hole in its
/// place without compiling this again.
abstract contract Proof is Test {
    ISymbolic internal constant SYMBOLIC = ISymbolic(address(uint160(uint256(keccak256("svm cheat code")))));

    bytes32 internal constant SINGLE = bytes32(0);
    bytes32 internal constant SINGLE_TRY = bytes32(uint256(0x0001) << 240);
    bytes32 internal constant BATCH = bytes32(uint256(0x0100) << 240);
    bytes32 internal constant BATCH_TRY = bytes32(uint256(0x0101) << 240);

    uint256 internal constant NOW = 1_800_000_000;
    address internal constant ACCOUNT = address(0xacc0);

    address internal constant SIGNER = address(0x51941e4);
    uint192 internal constant NONCE_KEY = 7;

    IERC7579Validator internal validator;

    function setUp() public virtual {
        vm.warp(NOW);
        bytes memory code = vm.getCode("module.json");
        address deployed;
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
        }
        require(deployed != address(0));
        validator = IERC7579Validator(deployed);
        SYMBOLIC.enableSymbolicStorage(deployed);
    }

    // ------------------------------------------------------------------------------------------------- scopes

    function terms() internal pure returns (Terms memory t) {
        t.signer = SIGNER;
        t.validAfter = uint48(NOW - 600);
        t.validUntil = uint48(NOW + 1800);
        t.callsMax = 64;
        t.nonceKey = NONCE_KEY;
        t.usesMax = type(uint32).max;
        t.gasBudgetWei = type(uint128).max;
        t.gasPerOperationWeiMax = type(uint128).max;
    }

    function pack(Terms memory t) internal pure returns (bytes memory scope) {
        scope = abi.encodePacked(t.signer, t.validAfter, t.validUntil, address(0x4e7), uint8(1), t.callsMax);
        scope = abi.encodePacked(scope, uint8(1), uint8(t.rules.length / 64), t.burst, bytes6(0));
        scope = abi.encodePacked(scope, t.nonceKey, t.usesMax, t.rateIntervalMs, t.gasBudgetWei);
        scope = abi.encodePacked(scope, t.gasPerOperationWeiMax, t.valueTotalWeiMax, t.valuePerCallWeiMax);
        scope = abi.encodePacked(scope, t.paymaster, bytes12(0));
        scope = abi.encodePacked(scope, GAME, PLAY, uint8(0), uint8(t.rules.length / 64), bytes6(0), t.rules);
    }

    function permissionIdOf(bytes memory scope) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(block.chainid, address(validator), ACCOUNT, scope));
    }

    // --------------------------------------------------------------------------------------------- operations

    /// @dev Words of which nothing is known; each a value of its own, so that reading it whole gives it back.
    function words(uint256 count) internal view returns (bytes memory all) {
        for (uint256 i = 0; i < count; ++i) {
            all = abi.encodePacked(all, SYMBOLIC.createUint256("word"));
        }
    }

    /// @dev callData of 100 bytes and `count` words of which nothing but `mode` is known.
    function anyCallData(bytes32 mode, uint256 count) internal view returns (bytes memory) {
        return abi.encodePacked(SYMBOLIC.createBytes4("function"), mode, words(2 + count));
    }

    /// @dev The same, of a batch with this many calls: the second word of its execution.
    function anyBatch(bytes32 mode, uint256 calls, uint256 count) internal view returns (bytes memory) {
        return abi.encodePacked(SYMBOLIC.createBytes4("function"), mode, words(3), calls, words(count - 2));
    }

    /// @dev An operation with any r, s, v, hints and sequence, and nothing else left open.
    function operation(bytes memory callData, uint256 calls, bytes memory scope)
        internal
        view
        returns (PackedUserOperation memory op)
    {
        op.sender = ACCOUNT;
        op.nonce = uint256(NONCE_KEY) << 64 | SYMBOLIC.createUint(64, "sequence");
        op.callData = callData;
        op.accountGasLimits = bytes32(uint256(400_000) << 128 | 2_000_000);
        op.preVerificationGas = 50_000;
        op.gasFees = bytes32(uint256(1 gwei) << 128 | 1 gwei);
        op.signature = envelope(uint48(NOW), uint48(NOW + 60), calls, scope);
    }

    function envelope(uint48 claimedAt, uint48 deadline, uint256 calls, bytes memory scope)
        internal
        view
        returns (bytes memory)
    {
        bytes memory signature = abi.encodePacked(words(2), SYMBOLIC.createBytes(1, "v"));
        return abi.encodePacked(claimedAt, deadline, signature, SYMBOLIC.createBytes(calls, "hints"), scope);
    }

    /// @dev One call that the scope of `terms` allows, with 32 bytes of arguments of which nothing is known.
    function play() internal view returns (bytes memory) {
        bytes memory data = abi.encodePacked(PLAY, SYMBOLIC.createUint256("argument"));
        return abi.encodeCall(IERC7579Execution.execute, (SINGLE, abi.encodePacked(GAME, uint256(0), data)));
    }

    /// @dev So many of them in one batch.
    function play(uint256 calls) internal view returns (bytes memory) {
        Execution[] memory batch = new Execution[](calls);
        for (uint256 i = 0; i < calls; ++i) {
            batch[i] = Execution(GAME, 0, abi.encodePacked(PLAY, SYMBOLIC.createUint256("argument")));
        }
        return abi.encodeCall(IERC7579Execution.execute, (BATCH, abi.encode(batch)));
    }

    /// @dev Whether the module accepts the operation, and the time range that it gives then: validAfter 6 | validUntil 6.
    /// An EntryPoint refuses what reverts, and what names an aggregator: 1, a wrong signature, or any other.
    function accepts(PackedUserOperation memory op) internal returns (bool, uint256) {
        bytes32 userOpHash = SYMBOLIC.createBytes32("userOpHash");
        return accepts(op, userOpHash);
    }

    function accepts(PackedUserOperation memory op, bytes32 userOpHash) internal returns (bool, uint256) {
        return acceptsEncoded(abi.encodeCall(IERC7579Validator.validateUserOp, (op, userOpHash)));
    }

    function acceptsEncoded(bytes memory question) internal returns (bool, uint256) {
        vm.prank(ACCOUNT);
        (bool answered, bytes memory answer) = address(validator).call(question);
        if (!answered) return (false, 0);
        uint256 validationData = abi.decode(answer, (uint256));
        if (uint160(validationData) != 0) return (false, 0);
        reached();
        return (true, validationData >> 160);
    }

    /// @dev Stands where something is to be proven. A proof that never comes here would prove nothing: with PROOF_REACH set,
    /// Halmos must find this.
    function reached() internal view {
        assertFalse(vm.envOr("PROOF_REACH", false));
    }

    /// @dev The path on which `value` is each number from `low` to `high`; one path if it is known already.
    function pick(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        vm.assume(low <= value && value <= high);
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (value <= middle) high = middle;
            else low = middle + 1;
        }
        return low;
    }
}

/// @title An account that tells what it would execute, instead of executing it.
/// @notice The way of OpenZeppelin's AccountERC7579 from `execute` to the call: solc's decoding of the arguments, then
/// ERC7579Utils. Only the call itself is missing.
abstract contract Teller {
    /// @dev The account would call `target` with `value` and `data`; `index` counts within the operation.
    function told(uint256 index, address target, uint256 value, bytes calldata data) internal view virtual;

    /// @dev The account would run code of `target` as its own.
    function toldDelegate(address target) internal view virtual;

    /// @notice The one function of an account that can be reached.
    function execute(bytes32 mode, bytes calldata execution) external view {
        (CallType callType, ExecType execType,,) = ERC7579Utils.decodeMode(Mode.wrap(mode));
        if (!(execType == ERC7579Utils.EXECTYPE_DEFAULT || execType == ERC7579Utils.EXECTYPE_TRY)) return;
        if (callType == ERC7579Utils.CALLTYPE_SINGLE) {
            (address target, uint256 value, bytes calldata data) = ERC7579Utils.decodeSingle(execution);
            told(0, target, value, data);
        } else if (callType == ERC7579Utils.CALLTYPE_BATCH) {
            Execution[] calldata calls = ERC7579Utils.decodeBatch(execution);
            for (uint256 i = 0; i < calls.length; ++i) {
                told(i, calls[i].target, calls[i].value, calls[i].callData);
            }
        } else if (callType == ERC7579Utils.CALLTYPE_DELEGATECALL) {
            (address target,) = ERC7579Utils.decodeDelegate(execution);
            toldDelegate(target);
        }
    }
}
