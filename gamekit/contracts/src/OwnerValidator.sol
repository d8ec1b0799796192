// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC7579Validator, MODULE_TYPE_VALIDATOR} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title The owner of an account: one externally owned key, all rights.
/// @notice The smallest validator that a reference account, or any ERC-7579 account without one of its own, can have.
/// Operations are signed over userOpHash as it is (typed data since EntryPoint 0.8) or with the prefix of personal
/// messages (what wallets do with the bare hash of EntryPoint 0.7).
/// @dev One slot per account, associated storage.
contract OwnerValidator is IERC7579Validator {
    /// @notice The contract whose typed data the owner signs for its account: the session validator.
    /// @dev Every other question by ERC-1271 is answered no. A digest that does not name the account could be taken to
    /// another account of the same owner, and this validator cannot see what a digest says; the session validator's
    /// grants name it.
    address public immutable SESSION_VALIDATOR;

    mapping(address account => address) private _owners;

    /// @notice The account has a new owner; 0 when the module was uninstalled.
    event OwnerChanged(address indexed account, address indexed owner);

    /// @notice Install data is the owner's 20 bytes.
    error OwnerDataInvalid(uint256 length, uint256 expected);

    /// @notice The owner may not be 0, which is what a malformed signature recovers to, nor the account.
    error OwnerInvalid(address owner);

    /// @notice The account has an owner already.
    error OwnerAlreadySet(address account, address owner);

    constructor(address sessionValidator) {
        SESSION_VALIDATOR = sessionValidator;
    }

    /// @notice Sets the calling account's owner, once.
    /// @param data the owner's 20 bytes.
    function onInstall(bytes calldata data) external {
        if (data.length != 20) revert OwnerDataInvalid(data.length, 20);
        address owner = address(bytes20(data));
        if (owner == address(0) || owner == msg.sender) revert OwnerInvalid(owner);
        if (_owners[msg.sender] != address(0)) revert OwnerAlreadySet(msg.sender, _owners[msg.sender]);
        _owners[msg.sender] = owner;
        emit OwnerChanged(msg.sender, owner);
    }

    /// @notice Forgets the calling account's owner.
    function onUninstall(bytes calldata) external {
        delete _owners[msg.sender];
        emit OwnerChanged(msg.sender, address(0));
    }

    /// @inheritdoc IERC7579Validator
    /// @return 0 if the owner signed, else 1.
    function validateUserOp(PackedUserOperation calldata op, bytes32 userOpHash) external view returns (uint256) {
        return op.sender == msg.sender && _signed(msg.sender, userOpHash, op.signature) ? 0 : 1;
    }

    /// @inheritdoc IERC7579Validator
    function isValidSignatureWithSender(address sender, bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        bool valid = sender == SESSION_VALIDATOR && _signed(msg.sender, hash, signature);
        return valid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// @notice The owner of an account, or 0.
    function ownerOf(address account) external view returns (address) {
        return _owners[account];
    }

    /// @notice It is a validator, and nothing else.
    function isModuleType(uint256 moduleTypeId) external pure returns (bool) {
        return moduleTypeId == MODULE_TYPE_VALIDATOR;
    }

    /// @notice Whether the account has an owner here.
    function isInitialized(address account) external view returns (bool) {
        return _owners[account] != address(0);
    }

    function _signed(address account, bytes32 hash, bytes calldata signature) private view returns (bool) {
        address owner = _owners[account];
        return owner != address(0)
            && (_recover(hash, signature) == owner
                || _recover(MessageHashUtils.toEthSignedMessageHash(hash), signature) == owner);
    }

    /// @dev 0 for anything malformed.
    function _recover(bytes32 hash, bytes calldata signature) private pure returns (address recovered) {
        (recovered,,) = ECDSA.tryRecoverCalldata(hash, signature);
    }
}
