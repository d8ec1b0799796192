// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionPaymaster} from "./ISessionPaymaster.sol";
import {ISessionValidator, SessionState} from "./ISessionValidator.sol";

/// @notice What this contract wants of an EntryPoint, the same in every version.
interface IDeposits {
    /// @notice Adds the value sent to the account's deposit.
    function depositTo(address account) external payable;
}

/// @title Everything a new player needs, in one relayed transaction: account, deposit, sessions.
/// @notice It has no rights, keeps no value and no state; each thing that it does anyone could do, and what the owner
/// signed decides. What is there already is left as it is, so being overtaken by another submitter does no harm.
///
/// An account that is a contract of its own comes from its factory. A person's own address (EIP-7702) becomes an account
/// by the authorization that the same transaction carries; it is its own factory, and the call initialises it.
contract SessionOpener {
    /// @notice The arguments of one `grantSessionFor`.
    struct Grant {
        bytes scope;
        string[] functions;
        address[] implementations;
        uint48 deadline;
        bytes ownerSignature;
    }

    /// @notice The arguments of one `sponsor`, but for the account.
    struct Voucher {
        ISessionPaymaster paymaster;
        bytes32 permissionId;
        uint32 game;
        uint96 limitWei;
        uint48 deadline;
        bytes signature;
    }

    /// @notice The factory was called, and there is still no account at the address.
    error AccountNotCreated(address account);

    /// @notice The factory reverted; its reason follows.
    error FactoryFailed(address factory, bytes reason);

    /// @notice Opens sessions on `account`, which may not exist yet, or not have the session validator.
    /// @param account where the account is or will be.
    /// @param factory whom to call if the account does not have the session validator yet: what deploys the account, or
    /// the account itself where a delegation has made it one.
    /// @param factoryData what to call it with.
    /// @param entryPoint where the value sent along becomes the account's deposit; unused without value.
    /// @param validator the session validator.
    /// @param grants none, one or several.
    function open(
        address account,
        address factory,
        bytes calldata factoryData,
        IDeposits entryPoint,
        ISessionValidator validator,
        Grant[] calldata grants
    ) external payable {
        _open(account, factory, factoryData, entryPoint, validator, grants);
    }

    /// @notice Opens sessions as `open` does, and hands in what the game's sponsor signed for them.
    /// @param vouchers none, one or several; taken again they change nothing.
    function openSponsored(
        address account,
        address factory,
        bytes calldata factoryData,
        IDeposits entryPoint,
        ISessionValidator validator,
        Grant[] calldata grants,
        Voucher[] calldata vouchers
    ) external payable {
        _open(account, factory, factoryData, entryPoint, validator, grants);
        for (uint256 i = 0; i < vouchers.length; ++i) {
            Voucher calldata voucher = vouchers[i];
            voucher.paymaster
                .sponsor(
                    account, voucher.permissionId, voucher.game, voucher.limitWei, voucher.deadline, voucher.signature
                );
        }
    }

    function _open(
        address account,
        address factory,
        bytes calldata factoryData,
        IDeposits entryPoint,
        ISessionValidator validator,
        Grant[] calldata grants
    ) private {
        if (account.code.length == 0 || !validator.accountOf(account).installed) {
            (bool created, bytes memory reason) = factory.call(factoryData);
            if (!created) revert FactoryFailed(factory, reason);
            if (account.code.length == 0) revert AccountNotCreated(account);
        }
        if (msg.value != 0) entryPoint.depositTo{value: msg.value}(account);
        for (uint256 i = 0; i < grants.length; ++i) {
            Grant calldata grant = grants[i];
            bytes32 permissionId = validator.permissionIdOf(account, grant.scope);
            if (validator.sessionOf(account, permissionId).state == SessionState.Live) continue;
            validator.grantSessionFor(
                account, grant.scope, grant.functions, grant.implementations, grant.deadline, grant.ownerSignature
            );
        }
    }
}
