// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC7579Validator} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {Test} from "forge-std/Test.sol";
import {GAME, PLAY, Proof, Teller} from "./Proof.sol";

/// @dev The account, which finds no call right but those of the scope.
contract ScopedAccount is Teller, Test {
    function told(uint256, address target, uint256 value, bytes calldata data) internal view override {
        assertTrue(target == GAME && value == 0 && data.length >= 4 && bytes4(data) == PLAY);
    }

    function toldDelegate(address) internal view override {
        assertTrue(false);
    }

    /// @dev Then `execute` was not what the operation called.
    fallback() external {
        assertTrue(false);
    }
}

/// @title No escape: whatever callData the module accepts, the account executes only calls that the scope allows.
/// @notice Every word of callData and the whole signature but for times and scope are arbitrary; so is storage. The only
/// split is by the number of bytes, and in a batch by the number of calls that it claims. The scope is one short list of one
/// entry without rules and without value: rules, caps and long lists are the other suites'.
contract CallsProof is Proof {
    /// @dev 100 bytes and 28 words are the longest form up to 1 KB.
    uint256 private constant WORDS_MAX = 28;

    ScopedAccount private _account;

    function setUp() public override {
        super.setUp();
        _account = new ScopedAccount();
    }

    /// @dev Accepted, then executed: everything that the account does must be allowed.
    function _noEscape(bytes memory callData, uint256 calls) internal {
        PackedUserOperation memory op = operation(callData, calls, pack(terms()));
        (bool accepted,) = accepts(op);
        if (!accepted) return;
        // The EntryPoint calls the account with exactly these bytes. What reverts there does nothing.
        (bool executed,) = address(_account).call(callData);
        executed;
    }

    /// @dev Each number of words from `low` to `high`; with PROOF_WORDS only that one, for those who look for a hole: what
    /// they find there is found.
    function _words(uint256 low, uint256 high) private view returns (uint256) {
        uint256 count = SYMBOLIC.createUint256("words");
        uint256 only = vm.envOr("PROOF_WORDS", uint256(0));
        vm.assume(only == 0 || count == only);
        return pick(count, low, high);
    }

    function _single(uint256 low, uint256 high) private {
        bytes32 mode = SYMBOLIC.createBytes32("mode");
        vm.assume(mode != BATCH && mode != BATCH_TRY);
        uint256 count = _words(low, high);
        _noEscape(anyCallData(mode, count), 1);
    }

    /// @notice All callData up to 1 KB in any mode but the two of batches (260 bits of function and mode).
    function check_single() external {
        _single(0, WORDS_MAX);
    }

    /// @notice callData of a length that no execution has is never accepted.
    function check_length() external {
        uint256 size = SYMBOLIC.createUint256("size");
        vm.assume(size <= 1024 && size % 32 != 4);
        PackedUserOperation memory op = operation(words(32), 1, pack(terms()));
        bytes memory question = abi.encodeCall(IERC7579Validator.validateUserOp, (op, bytes32(0)));
        // 1 KB of which the operation claims `size` bytes: the word behind the nine of the head and initCode's length.
        assembly ("memory-safe") {
            mstore(add(question, add(32, 388)), size)
        }
        (bool accepted,) = acceptsEncoded(question);
        assertFalse(accepted);
    }

    function _batch(uint256 calls, uint256 low, uint256 high) private {
        bytes32 mode = SYMBOLIC.createUint256("try") == 0 ? BATCH : BATCH_TRY;
        uint256 count = _words(low, high);
        _noEscape(anyBatch(mode, calls, count), calls);
    }

    /// @notice Batches that claim one call, of 2 to 12 words: with room for another one inside its data.
    function check_batch_1() external {
        _batch(1, 2, 12);
    }

    /// @notice Batches that claim two calls, of 2 to 14 words: the most is the least that two calls with arguments take, as below.
    function check_batch_2() external {
        _batch(2, 2, 14);
    }

    /// @notice Batches that claim three calls, of 2 to 20 words.
    function check_batch_3() external {
        _batch(3, 2, 20);
    }

    /// @notice Batches that claim four calls, of 2 to 26 words.
    function check_batch_4() external {
        _batch(4, 2, 26);
    }
}
