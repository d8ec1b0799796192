// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountERC7579} from "@openzeppelin/contracts/account/extensions/draft-AccountERC7579.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IEntryPoint} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {MODULE_TYPE_VALIDATOR} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ERC721Holder} from "@openzeppelin/contracts/token/ERC721/utils/ERC721Holder.sol";
import {SignerEIP7702} from "@openzeppelin/contracts/utils/cryptography/signers/SignerEIP7702.sol";

/// @title The reference account for a person's own address: an externally owned account delegates to this contract.
/// @notice For EntryPoint 0.8. The account's own key is the owner: it signs operations, grants and messages, and keeps
/// all its power as an externally owned account. The one module is the session validator, whose grants that key signs.
/// @dev The storage stands apart from slot 0, at the ERC-7201 slot of "gamekit.storage.ReferenceAccount7702": an account
/// may have delegated to other contracts before, and what those wrote is still there.
contract ReferenceAccount7702 layout at 0xccc0001708ae19f2cd090799518a18781df82abb51d93318739628fa9da90e00
    is
    AccountERC7579,
    SignerEIP7702,
    ERC721Holder
{
    /// @notice The validator of sessions.
    address public immutable SESSION_VALIDATOR;

    /// @notice This contract itself, which is no account.
    address private immutable _SELF = address(this);

    /// @dev Whether `initialize` has run in the account.
    bool private _initialized;

    /// @notice The implementation is no account.
    error NotDelegated(address implementation);

    constructor(address sessionValidator) {
        SESSION_VALIDATOR = sessionValidator;
    }

    /// @notice Installs the session validator, the first time that it is called. Anyone may call it, and there is nothing
    /// to gain by being first: what it installs is part of the code that the account's key chose to delegate to, and no
    /// owner is named. Called again it does nothing, so a module that the owner has removed stays removed.
    function initialize() external {
        if (address(this) == _SELF) revert NotDelegated(_SELF);
        if (_initialized) return;
        _initialized = true;
        // No owner validator: the account's own key is the owner.
        if (!isModuleInstalled(MODULE_TYPE_VALIDATOR, SESSION_VALIDATOR, msg.data[0:0])) {
            _installModule(MODULE_TYPE_VALIDATOR, SESSION_VALIDATOR, "");
        }
    }

    /// @notice The one EntryPoint that this account obeys.
    function entryPoint() public pure override returns (IEntryPoint) {
        return IEntryPoint(0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108);
    }

    /// @inheritdoc IERC1271
    /// @dev The account's key signs for it as before the delegation, or those who ask a contract first would no longer
    /// know the person. A module may also answer; the session validator always says no.
    function isValidSignature(bytes32 hash, bytes calldata signature) public view override returns (bytes4) {
        if (_rawSignatureValidation(hash, signature)) return IERC1271.isValidSignature.selector;
        return super.isValidSignature(hash, signature);
    }

    /// @dev What no module judges, the account's own key does.
    function _rawSignatureValidation(bytes32 hash, bytes calldata signature)
        internal
        view
        override(AccountERC7579, SignerEIP7702)
        returns (bool)
    {
        return SignerEIP7702._rawSignatureValidation(hash, signature);
    }
}
