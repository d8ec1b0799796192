// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC777} from "@openzeppelin/contracts/interfaces/IERC777.sol";
import {IERC7579AccountConfig, IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ISessionValidator} from "./ISessionValidator.sol";

/// @notice What accounts answer that are not ERC-7579's.
interface IAccountLike {
    /// @notice The EntryPoint that an ERC-4337 account obeys.
    function entryPoint() external view returns (address);

    /// @notice How many owners a Safe asks.
    function getThreshold() external view returns (uint256);
}

/// @title Whom a session may never call.
library TargetLib {
    address private constant ENTRY_POINT_06 = 0x5FF137D4b0FDCD49DcA30c7CF57E578a026d2789;
    address private constant ENTRY_POINT_07 = 0x0000000071727De22E5E9d8BAf0edAc6f37da032;
    address private constant ENTRY_POINT_08 = 0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108;
    address private constant ENTRY_POINT_09 = 0x433709009B8330FDa32311DF1C2AFA402eD8D009;

    // Source: ERC-165, ERC-721, ERC-1155, ERC-6909.
    bytes4 private constant INTERFACE_ERC721 = 0x80ac58cd;
    bytes4 private constant INTERFACE_ERC1155 = 0xd9b67a26;
    bytes4 private constant INTERFACE_ERC6909 = 0x0f632fb3;

    /// @dev Gas for one question to a stranger. ERC-165 sets 30,000. A caller who sends so little gas that a question
    /// runs out of it cannot finish the grant: at most a 63rd of it is left, and the grant has yet to write a slot.
    uint256 private constant PROBE_GAS = 30_000;

    /// @notice Requires that the target is none that could act for the account. Checked in grant and at every use.
    /// @dev Address 0 is the account itself in OpenZeppelin's ERC-7579 accounts and in ERC-7821.
    function requireNotForbidden(address target, address account) internal view {
        bool forbidden;
        // Every call comes by here: seven comparisons without a jump.
        assembly ("memory-safe") {
            forbidden := or(iszero(target), or(eq(target, account), eq(target, address())))
            forbidden := or(forbidden, or(eq(target, ENTRY_POINT_06), eq(target, ENTRY_POINT_07)))
            forbidden := or(forbidden, or(eq(target, ENTRY_POINT_08), eq(target, ENTRY_POINT_09)))
        }
        if (forbidden) revert ISessionValidator.TargetForbidden(target);
    }

    /// @notice Requires everything that only the chain can tell, once, in grant. It may change later: what the
    /// contract at this address becomes is watched off chain, and is not enforced here.
    function requireGame(address target, address account) internal view {
        requireNotForbidden(target, account);
        if (target.code.length == 0) revert ISessionValidator.TargetWithoutCode(target);
        if (isDelegated(target)) revert ISessionValidator.TargetDelegated(target);
        if (_looksLikeToken(target, account)) revert ISessionValidator.TargetIsToken(target);
        if (_looksLikeAccount(target)) revert ISessionValidator.TargetIsAccount(target);
        // Validators, executors and hooks. A fallback handler (3) is installed for a selector, so it cannot be asked
        // about as such.
        _requireNotModule(target, account, 1);
        _requireNotModule(target, account, 2);
        _requireNotModule(target, account, 4);
    }

    /// @notice Whether the address is a person's account that delegates to a contract: 0xef0100 | address.
    /// Source: EIP-7702, delegation designator.
    function isDelegated(address account) internal view returns (bool) {
        if (account.code.length != 23) return false;
        bytes memory code = account.code;
        return code[0] == 0xef && code[1] == 0x01 && code[2] == 0x00;
    }

    function _looksLikeToken(address target, address account) private view returns (bool) {
        (bool answered, uint256 decimals) = ask(target, abi.encodeCall(IERC20Metadata.decimals, ()));
        if (answered && decimals <= type(uint8).max) return true;
        (answered,) = ask(target, abi.encodeCall(IERC20.balanceOf, (account)));
        if (answered) return true;
        (answered,) = ask(target, abi.encodeCall(IERC777.granularity, ()));
        return answered || _supports(target, INTERFACE_ERC721) || _supports(target, INTERFACE_ERC1155)
            || _supports(target, INTERFACE_ERC6909);
    }

    /// @dev ERC-7579 accounts say who they are, ERC-4337 accounts which EntryPoint they obey, a Safe how many owners it
    /// asks.
    function _looksLikeAccount(address target) private view returns (bool) {
        (bool answered, uint256 answer) = ask(target, abi.encodeCall(IERC7579AccountConfig.accountId, ()));
        // A string begins with its offset.
        if (answered && answer == 0x20) return true;
        (answered, answer) = ask(target, abi.encodeCall(IAccountLike.entryPoint, ()));
        if (answered && answer != 0 && answer >> 160 == 0) return true;
        (answered, answer) = ask(target, abi.encodeCall(IAccountLike.getThreshold, ()));
        return answered && answer != 0;
    }

    function _supports(address target, bytes4 interfaceId) private view returns (bool) {
        (bool answered, uint256 supported) = ask(target, abi.encodeCall(IERC165.supportsInterface, (interfaceId)));
        return answered && supported != 0;
    }

    function _requireNotModule(address target, address account, uint256 moduleTypeId) private view {
        (bool answered, uint256 installed) =
            ask(account, abi.encodeCall(IERC7579ModuleConfig.isModuleInstalled, (moduleTypeId, target, "")));
        if (answered && installed != 0) revert ISessionValidator.TargetIsModule(target, moduleTypeId);
    }

    /// @notice Asks a stranger, and reads one word of the answer, whatever else comes back.
    function ask(address target, bytes memory question) internal view returns (bool answered, uint256 answer) {
        assembly ("memory-safe") {
            answered := staticcall(PROBE_GAS, target, add(question, 32), mload(question), 0, 32)
            answered := and(answered, gt(returndatasize(), 31))
            answer := mload(0)
        }
    }
}
