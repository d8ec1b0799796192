// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What became of a permission on an account. A permission is granted at most once, ever.
enum SessionState {
    /// @dev Never granted.
    None,
    /// @dev Granted and not revoked by itself. It still counts only while its epoch is the account's.
    Live,
    /// @dev Revoked. There is no way back.
    Revoked
}

/// @notice What the module remembers of a session.
struct Session {
    /// @dev Never granted, live or revoked.
    SessionState state;
    /// @dev The account's epoch at the grant. A session of another epoch is dead.
    uint32 epoch;
    /// @dev Calls admitted so far.
    uint32 uses;
    /// @dev Theoretical arrival time of the rate limit, in milliseconds since 1970. 0 before the first use.
    uint48 arrivalMs;
    /// @dev Sum of (all gas limits x maxFeePerGas) of the operations admitted so far, in wei.
    uint136 gasSpentWei;
    /// @dev Sum of lane 0: value sent in wei if the scope allows value, else an argument's sum.
    uint128 lane0;
    /// @dev Sum of lane 1: an argument's sum.
    uint128 lane1;
}

/// @notice What the module remembers of an account.
struct SessionAccount {
    /// @dev Whether the account has the module installed.
    bool installed;
    /// @dev Bumped by install, uninstall and revoke-all. Starts at 1 with the first install.
    uint32 epoch;
    /// @dev The validator module that speaks for the account's owner in grants. 0: none.
    address ownerValidator;
    /// @dev Whether the account wants a byte before the validator's address in signatures, as Kernel does.
    bool hasLead;
    /// @dev That byte.
    uint8 lead;
}

/// @title Session keys for games: events, errors and functions of the session validator.
/// @notice The layout of a scope is drawn in ScopeLib.sol, that of a signature in EnvelopeLib.sol.
/// @dev Errors carry what was found first and what it was compared with second. `call` is the call's index in the
/// operation, `entry` and `rule` are indices in the scope. Validation errors reach the sender of an operation inside
/// FailedOpWithRevert (AA23); a wrong signature of the session key is the one exception (AA24).
interface ISessionValidator {
    // ------------------------------------------------------------------------------------------------ events

    /// @notice The account, or its owner for it, granted a session.
    /// @param scope the whole scope in its granted form, so that it can be shown, used and revoked by anyone who can read the chain.
    event SessionGranted(
        address indexed account,
        bytes32 indexed permissionId,
        address indexed signer,
        address revoker,
        uint48 validAfter,
        uint48 validUntil,
        uint32 epoch,
        bytes scope
    );

    /// @notice The permission is revoked, for ever.
    event SessionRevoked(address indexed account, bytes32 indexed permissionId);

    /// @notice All sessions of the account are dead; `epoch` is the new one.
    event AllSessionsRevoked(address indexed account, uint32 epoch);

    // ------------------------------------------------------------------------------------- errors of validation

    /// @notice The operation's sender is not the account that asks.
    error SenderMismatch(address sender, address account);

    /// @notice A session cannot deploy its account.
    error InitCodeNotEmpty(uint256 length);

    /// @notice The operation calls something else than execute(bytes32,bytes) of the account.
    error SelectorNotExecute(bytes4 selector, bytes4 allowed);

    /// @notice The mode is not one of single or batch, default or try.
    error ModeNotAllowed(bytes32 mode);

    /// @notice The call data is not the one canonical encoding: at byte `position`, `found` stands for `expected`.
    error CallDataNotCanonical(uint256 position, uint256 found, uint256 expected);

    /// @notice An operation has 1 to `callsMax` calls.
    error CallsOutOfRange(uint256 calls, uint256 callsMax);

    /// @notice A call without a whole selector would reach receive() or fallback().
    error SelectorMissing(uint256 call, uint256 dataLength, uint256 dataLengthMin);

    /// @notice The signature, or what is left of it for a witness, does not hold the fixed parts.
    error SignatureTooShort(uint256 length, uint256 lengthMin);

    /// @notice The permission was never granted (also: some byte of the scope is different), or was revoked.
    error SessionNotLive(bytes32 permissionId, SessionState state);

    /// @notice All sessions of the account were revoked, or the module was installed anew, since the grant.
    error EpochStale(uint32 sessionEpoch, uint32 accountEpoch);

    /// @notice The operation uses another nonce key than the session's.
    error NonceKeyMismatch(uint192 nonceKey, uint192 allowed);

    /// @notice The operation's paymaster is not the scope's (0 means none).
    error PaymasterMismatch(address paymaster, address allowed);

    /// @notice A gas field is beyond what the EntryPoint admits.
    error GasFieldTooLarge(uint256 bitsOfAll, uint256 max);

    /// @notice The most that the operation can cost is over the scope's limit for one operation.
    error GasPerOperationExceeded(uint256 gasWei, uint256 gasPerOperationWeiMax);

    /// @notice The most that all operations so far and this one can cost is over the session's budget.
    error GasBudgetExceeded(uint256 gasSpentWei, uint256 gasBudgetWei);

    /// @notice The session's calls are used up.
    error UsesExceeded(uint256 uses, uint256 usesMax);

    /// @notice Too many calls in too short a time, both in milliseconds of the rate limit's clock.
    error RateExceeded(uint256 aheadMs, uint256 aheadMsMax);

    /// @notice There is no second at which the operation would be valid.
    error TimeRangeEmpty(uint256 validAfter, uint256 validUntil);

    /// @notice A witness leads to another root than the scope's: its entry is not one of the list.
    error WitnessInvalid(uint256 call, bytes32 found, bytes32 root);

    /// @notice The signature goes on behind the last witness.
    error SignatureTooLong(uint256 excess);

    /// @notice The hint names an entry that the scope does not have, or a witness that is not the next one.
    error HintOutOfRange(uint256 call, uint256 hint, uint256 entryCount);

    /// @notice The call is not the one that its hint's entry allows.
    error CallNotAllowed(uint256 call, address target, bytes4 selector, address allowedTarget, bytes4 allowedSelector);

    /// @notice The call sends more than the scope allows for one call.
    error ValuePerCallExceeded(uint256 call, uint256 valueWei, uint256 valuePerCallWeiMax);

    /// @notice A rule speaks of an argument that the call does not have.
    error ArgumentMissing(uint256 call, uint256 argument, uint256 dataLength);

    /// @notice The rule `condition` does not hold between the argument and the rule's value.
    error ArgumentRefused(uint256 call, uint256 argument, uint256 condition, uint256 found, uint256 ruleValue);

    /// @notice The sum of a lane (value sent, or an argument) would pass its limit.
    error CapExceeded(uint256 call, uint256 lane, uint256 total, uint256 limit);

    // ----------------------------------------------------------------------------- errors of validation and grant

    /// @notice The target is address 0, the account, this module or an EntryPoint.
    error TargetForbidden(address target);

    // ------------------------------------------------------------------------------------------ errors of grant

    /// @notice The module is not installed on the account.
    error ModuleNotInstalled(address account);

    /// @notice Install data is the owner validator's 20 bytes, one byte and these, or nothing.
    error InstallDataInvalid(uint256 length, uint256 allowed);

    /// @notice This module cannot be its own account's owner validator.
    error OwnerValidatorInvalid(address ownerValidator);

    /// @notice The scope's length does not match its counts.
    error ScopeLengthMismatch(uint256 length, uint256 expected);

    /// @notice The scope is of a version that this module does not know.
    error ScopeVersionUnknown(uint256 version, uint256 known);

    /// @notice Reserved bytes must be zero; `word` is the scope's word at byte `position`, other bytes masked out.
    error ScopeReservedNotZero(uint256 position, uint256 word);

    /// @notice The session key may not be 0, the account or this module.
    error SignerInvalid(address signer);

    /// @notice valid_until must be after valid_after.
    error TimeFrameEmpty(uint256 validAfter, uint256 validUntil);

    /// @notice The session would be over before it begins.
    error TimeFrameOver(uint256 validUntil, uint256 timestamp);

    /// @notice A session ends at most 30 days after its grant.
    error TimeFrameTooLong(uint256 validUntil, uint256 validUntilMax);

    /// @notice calls_max must be 1 to 64.
    error CallsMaxInvalid(uint256 callsMax, uint256 callsMaxLimit);

    /// @notice uses_max must be at least 1.
    error UsesMaxInvalid(uint256 usesMax, uint256 usesMaxMin);

    /// @notice The burst must admit the largest batch.
    error BurstTooSmall(uint256 burst, uint256 callsMax);

    /// @notice The rate limit's clock would not fit its 48 bits.
    error RateTooSlow(uint256 arrivalMs, uint256 arrivalMsMax);

    /// @notice gas_per_operation must be from 1 to the gas budget.
    error GasLimitInvalid(uint256 gasPerOperationWeiMax, uint256 gasBudgetWei);

    /// @notice Both value limits are 0, or the one per call is from 1 to the total.
    error ValueLimitInvalid(uint256 valuePerCallWeiMax, uint256 valueTotalWeiMax);

    /// @notice A scope without entries allows nothing.
    error EntriesMissing();

    /// @notice Entries stand in strictly ascending order of (target, selector).
    error EntriesNotAscending(uint256 entry, uint256 key, uint256 previousKey);

    /// @notice The entry's rules end behind the last rule.
    error RulesOutOfRange(uint256 entry, uint256 rulesEnd, uint256 ruleCount);

    /// @notice The rule's condition, value or lane is not one that exists.
    error RuleInvalid(uint256 rule, uint256 condition, uint256 ruleValue);

    /// @notice Rules that share a lane must name the same limit.
    error LaneLimitsDiffer(uint256 lane, uint256 limit, uint256 otherLimit);

    /// @notice The function moves assets, rights or code, or calls through (AssetSelectors.sol).
    error SelectorDenied(address target, bytes4 selector);

    /// @notice A call to an address without code succeeds and does nothing.
    error TargetWithoutCode(address target);

    /// @notice The target is a person's account with delegated code (EIP-7702).
    error TargetDelegated(address target);

    /// @notice The target answers as an ERC-20, 721, 777, 1155 or 6909 token.
    error TargetIsToken(address target);

    /// @notice The target answers as somebody's smart account.
    error TargetIsAccount(address target);

    /// @notice The target can run the code of another contract (a proxy, for example), and the owner did not accept that
    /// contract. `implementation` is what the target names itself, 0 if it names none.
    error ImplementationNotAccepted(address target, address implementation, address accepted);

    /// @notice More implementations were accepted than targets can run code of others.
    error ImplementationsUnused(uint256 accepted, uint256 used);

    /// @notice The target is installed on the account as a module of that type.
    error TargetIsModule(address target, uint256 moduleTypeId);

    /// @notice The permission was granted before.
    error SessionAlreadyGranted(bytes32 permissionId, SessionState state);

    /// @notice There must be one function text for each entry.
    error FunctionCountMismatch(uint256 functions, uint256 entryCount);

    /// @notice The selector of the function's text is not the entry's.
    error FunctionMismatch(uint256 entry, bytes4 selector, bytes4 entrySelector);

    /// @notice The grant was to be submitted earlier.
    error GrantExpired(uint256 timestamp, uint256 deadline);

    /// @notice The owner's signature does not hold for this account, scope, epoch and deadline.
    error GrantSignatureInvalid(address account, address ownerValidator);

    // ----------------------------------------------------------------------------------------- errors of revoke

    /// @notice Only the revoker that the grant named may do this.
    error RevokerMismatch(address caller, address revoker);

    /// @notice The signature is not the session key's.
    error RevokeSignatureInvalid(address recovered, address signer);

    // --------------------------------------------------------------------------------------------- functions

    /// @notice Grants a session on the calling account.
    /// @param scope the granted form (ScopeLib).
    /// @param implementations for each target that can run code of others, in the scope's order, the contract that the
    /// owner accepts there: what the target names itself, if it names one.
    /// @return permissionId what names the session from now on.
    function grantSession(bytes calldata scope, address[] calldata implementations)
        external
        returns (bytes32 permissionId);

    /// @notice Grants a session on `account` with its owner's signature. Anyone may submit it.
    /// @param functions the full signature text of each entry's function, for example "attack(uint256,uint16)".
    /// @param implementations as for `grantSession`.
    /// @param deadline last second (inclusive) at which the grant may be submitted.
    /// @param ownerSignature over `grantDigest`: what the owner validator wants behind its own address or, on an
    /// EIP-7702 account, the 65 bytes of the account's own key.
    function grantSessionFor(
        address account,
        bytes calldata scope,
        string[] calldata functions,
        address[] calldata implementations,
        uint48 deadline,
        bytes calldata ownerSignature
    ) external returns (bytes32 permissionId);

    /// @notice Revokes one permission of the calling account, granted or not. Doing it twice changes nothing.
    function revokeSession(bytes32 permissionId) external;

    /// @notice Revokes a live session. Only for the revoker that its scope names; a plain transaction.
    function revokeSessionFor(address account, bytes calldata scope) external;

    /// @notice Revokes a live session with its own session key's signature over `revokeDigest`. Anyone may submit it.
    function revokeSessionWithSignature(address account, bytes calldata scope, bytes calldata signature) external;

    /// @notice Revokes all sessions of the calling account.
    function revokeAllSessions() external;

    /// @notice Revokes all sessions of `account`. Only for the revoker that the scope of a live session names.
    function revokeAllSessionsFor(address account, bytes calldata scope) external;

    /// @notice The name of a permission: keccak256(chainid 32 | module 20 | account 20 | scope in its signed form).
    /// @param scope the granted form, here and in all functions; the two differ for long lists only (ScopeLib).
    function permissionIdOf(address account, bytes calldata scope) external view returns (bytes32);

    /// @notice What is remembered of a session. It counts only if state is live and epoch is the account's.
    function sessionOf(address account, bytes32 permissionId) external view returns (Session memory);

    /// @notice What is remembered of an account.
    function accountOf(address account) external view returns (SessionAccount memory);

    /// @notice What the owner signs to grant: typed data, at the account's present epoch. On an account that does not
    /// have the module, or does not exist yet, it is the epoch that its next install begins.
    function grantDigest(
        address account,
        bytes calldata scope,
        string[] calldata functions,
        address[] calldata implementations,
        uint48 deadline
    ) external view returns (bytes32);

    /// @notice What the session key signs to revoke itself: typed data.
    function revokeDigest(address account, bytes32 permissionId) external view returns (bytes32);

    /// @notice What the session key signs for an operation; a plain hash, no prefix.
    function operationDigest(bytes32 userOpHash, bytes32 permissionId, uint48 claimedAt, uint48 deadline)
        external
        pure
        returns (bytes32);
}
