// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccountERC7579} from "@openzeppelin/contracts/account/extensions/draft-AccountERC7579.sol";
import {IEntryPoint} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {MODULE_TYPE_VALIDATOR} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {ERC721Holder} from "@openzeppelin/contracts/token/ERC721/utils/ERC721Holder.sol";

/// @title The account that gamekit's devnet and tests give a player: OpenZeppelin's ERC-7579 account, made concrete.
/// @notice Theirs: execution, modules, ERC-1271, nonce keys (validator 20 | lane 4). Ours: which EntryPoint it obeys,
/// and how a new one gets its owner and its session validator. Not meant for money; a game's players bring their own.
abstract contract ReferenceAccount is AccountERC7579, ERC721Holder, Initializable {
    IEntryPoint private immutable _ENTRY_POINT;

    constructor(IEntryPoint entryPoint_) {
        _ENTRY_POINT = entryPoint_;
        _disableInitializers();
    }

    /// @notice The one EntryPoint that this account obeys.
    function entryPoint() public view override returns (IEntryPoint) {
        return _ENTRY_POINT;
    }

    /// @notice Installs the owner validator and the session validator, once. Anyone may call it: who the owner is stands
    /// in the code of the account itself (`ReferenceAccountFactory`), so there is nothing to gain by being first.
    /// @dev Reverts at any other address than a clone of the factory's making: on an EIP-7702 account, for example, there
    /// is no owner to read.
    function initialize() external initializer {
        (address owner, address ownerValidator, address sessionValidator) =
            abi.decode(Clones.fetchCloneArgs(address(this)), (address, address, address));
        _installModule(MODULE_TYPE_VALIDATOR, ownerValidator, abi.encodePacked(owner));
        _installModule(MODULE_TYPE_VALIDATOR, sessionValidator, abi.encodePacked(ownerValidator));
    }
}

/// @title The reference account for EntryPoint 0.7.
contract ReferenceAccount07 is ReferenceAccount(IEntryPoint(0x0000000071727De22E5E9d8BAf0edAc6f37da032)) {}

/// @title The reference account for EntryPoint 0.8.
contract ReferenceAccount08 is ReferenceAccount(IEntryPoint(0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108)) {}
