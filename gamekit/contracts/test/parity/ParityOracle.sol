// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Plays the account for the parity campaign (tests/proof/parity): asks the real module about many operations.
/// @notice Its code stands at a real account's address for the length of one eth_call, so that the module sees that
/// account ask, with the sessions that the account granted. It imports nothing and has no storage.
/// @dev An input is the permission id 32 | the ABI encoding of a PackedUserOperation. A verdict is 128 bytes:
///
/// ```
///   0   1  kind: 0 accepted, 1 signature failed, 2 refused, 3 any other answer
///   1   4  selector of the error, of a refusal that has one
///   5   3  zero
///   8   8  gas that the module used
///  16  16  zero
///  32  32  what validateUserOp returned
///  64  32  after it: state 1 | epoch 4 | uses 4 | arrivalMs 6 | gasSpentWei 17
///  96  32  after it: lane 1: 16 | lane 0: 16
/// ```
contract ParityOracle {
    uint256 private constant VERDICT_LENGTH = 128;

    bytes4 private constant VALIDATE_USER_OP =
        bytes4(keccak256("validateUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32)"));
    bytes4 private constant GET_USER_OP_HASH =
        bytes4(keccak256("getUserOpHash((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes))"));
    bytes4 private constant SESSION_OF = bytes4(keccak256("sessionOf(address,bytes32)"));

    /// @notice Carries a verdict out of what is rolled back.
    error Verdict(bytes verdict);

    /// @notice An attempt ended otherwise than with a verdict: the oracle itself is at fault.
    error AttemptBroken(uint256 index, bytes reason);

    /// @notice Judges each operation by itself: what one of them writes is rolled back before the next.
    /// @param validator the deployed session validator.
    /// @param entryPoint whose hash of the operation the module is given.
    /// @return verdicts one behind another, 128 bytes each.
    function judge(address validator, address entryPoint, bytes[] calldata inputs)
        external
        returns (bytes memory verdicts)
    {
        verdicts = new bytes(VERDICT_LENGTH * inputs.length);
        for (uint256 i = 0; i < inputs.length; ++i) {
            (bool success, bytes memory reason) =
                address(this).call(abi.encodeCall(this.attempt, (validator, entryPoint, inputs[i])));
            // Verdict(bytes): selector 4 | 0x20 | 128 | the verdict.
            if (success || reason.length != 68 + VERDICT_LENGTH || bytes4(reason) != Verdict.selector) {
                revert AttemptBroken(i, reason);
            }
            assembly ("memory-safe") {
                mcopy(add(add(verdicts, 32), mul(i, VERDICT_LENGTH)), add(reason, 100), VERDICT_LENGTH)
            }
        }
    }

    /// @notice Asks the module about one operation and reverts with the verdict, always.
    function attempt(address validator, address entryPoint, bytes calldata input) external {
        bytes32 permissionId = bytes32(input[:32]);
        bytes calldata op = input[32:];
        bytes memory question = abi.encodePacked(VALIDATE_USER_OP, uint256(64), _hashOf(entryPoint, op), op);
        uint256 gasBefore = gasleft();
        (bool success, bytes memory answer) = validator.call(question);
        uint256 gasUsed = gasBefore - gasleft();
        uint256 validationData = success && answer.length == 32 ? uint256(bytes32(answer)) : 0;
        (bytes32 session, bytes32 caps) = _sessionOf(validator, permissionId);
        revert Verdict(abi.encodePacked(
                _kind(success, answer.length, validationData),
                success || answer.length < 4 ? bytes4(0) : bytes4(answer),
                bytes3(0),
                uint64(gasUsed),
                bytes16(0),
                validationData,
                session,
                caps
            ));
    }

    function _kind(bool success, uint256 length, uint256 validationData) private pure returns (uint8) {
        if (!success) return 2;
        if (length != 32) return 3;
        uint256 aggregator = uint160(validationData);
        return aggregator < 2 ? uint8(aggregator) : 3;
    }

    function _hashOf(address entryPoint, bytes calldata op) private view returns (bytes32) {
        (bool success, bytes memory hash) = entryPoint.staticcall(abi.encodePacked(GET_USER_OP_HASH, uint256(32), op));
        require(success && hash.length == 32, "getUserOpHash");
        return bytes32(hash);
    }

    /// @dev What the module remembers, as its public function tells it.
    function _sessionOf(address validator, bytes32 permissionId) private view returns (bytes32, bytes32) {
        (bool success, bytes memory told) =
            validator.staticcall(abi.encodeWithSelector(SESSION_OF, address(this), permissionId));
        require(success, "sessionOf");
        (uint8 state, uint32 epoch, uint32 uses, uint48 arrivalMs, uint136 spent, uint128 lane0, uint128 lane1) =
            abi.decode(told, (uint8, uint32, uint32, uint48, uint136, uint128, uint128));
        return
            (bytes32(abi.encodePacked(state, epoch, uses, arrivalMs, spent)), bytes32(abi.encodePacked(lane1, lane0)));
    }
}
