// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC7579Validator, MODULE_TYPE_VALIDATOR} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Allowlist, AllowlistLib} from "./AllowlistLib.sol";
import {Call, CalldataLib, Walk} from "./CalldataLib.sol";
import {Envelope, EnvelopeLib} from "./EnvelopeLib.sol";
import {GasLib} from "./GasLib.sol";
import {GrantLib} from "./GrantLib.sol";
import {ISessionValidator, Session, SessionAccount, SessionState} from "./ISessionValidator.sol";
import {CodeKind} from "./ProxyLib.sol";
import {EntryLib, Scope, ScopeLib} from "./ScopeLib.sol";
import {SlotLib} from "./SlotLib.sol";
import {TargetLib} from "./TargetLib.sol";

/// @title Session keys for games: a validator module for ERC-7579 accounts.
/// @notice A player's account grants a session: a key and a narrow scope, for at most 30 days. Whoever holds the key
/// can play within the scope. Nobody who holds it can move or approve an asset outside the scope, administer the
/// account, reach another account or outlive the session: each operation is checked here, on chain.
///
/// To revoke without anybody's help: the account calls `revokeSession` or `revokeAllSessions`; the revoker that the
/// grant named calls `revokeSessionFor` or `revokeAllSessionsFor` with the scope that `SessionGranted` shows.
///
/// @dev Validation obeys ERC-7562: no banned opcode, no external call but the ecrecover precompile, and storage only at
/// slots associated with the account (`mapping(... => mapping(address account => word))`). Time and rate are judged by
/// the time that the operation claims, and the EntryPoint enforces that claim through the returned time range.
///
/// The returned range is [max(claimedAt, validAfter), min(deadline, claimedAt + SLACK, validUntil)]. Its end is
/// inclusive in every EntryPoint. Its start is inclusive in 0.6 and 0.7 (`timestamp < validAfter` is refused) and
/// exclusive in 0.8 (`timestamp <= validAfter` is refused), so there an operation lands at the earliest in the second
/// after the one it claims.
///
/// A session that is not stopped in `validateUserOp` is not stopped at all, so every check stands there or in
/// `GrantLib`. The latter checks what needs other contracts or the clock, and what never changes.
contract SessionValidator is ISessionValidator, IERC7579Validator, EIP712 {
    using AllowlistLib for Allowlist;
    using CalldataLib for Walk;
    using EnvelopeLib for Envelope;
    using EntryLib for uint256;

    /// @notice Longest time from the second that an operation claims to the last one at which it may be executed.
    uint256 public constant SLACK = 120;

    /// @dev What isValidSignatureWithSender always answers.
    bytes4 private constant ERC1271_INVALID = 0xffffffff;

    /// @dev What a signature failure adds to the validation data, and an aggregator of 1 means.
    uint256 private constant SIGNATURE_FAILED = 1;

    bytes32 private constant REVOKE_TYPEHASH = keccak256("RevokeSession(address account,bytes32 permissionId)");

    /// @dev A word of storage, so that a slot is found once and then read and written.
    struct Word {
        uint256 value;
    }

    /// @dev The session's word (SlotLib), by permission and account.
    mapping(bytes32 permissionId => mapping(address account => Word)) private _sessions;

    /// @dev The two lanes (SlotLib), by permission and account. Touched only if the scope caps something cumulatively.
    mapping(bytes32 permissionId => mapping(address account => Word)) private _caps;

    /// @dev The account's word (SlotLib).
    mapping(address account => uint256) private _accounts;

    /// @dev What is known of targets' code, for all accounts. Only grants read and write it.
    mapping(bytes32 codeHash => CodeKind) private _codes;

    /// @dev The caps' word while an operation is checked.
    struct Lanes {
        /// The word's slot, once it was read; it is to be written then.
        uint256 slot;
        /// lane 1: 16 | lane 0: 16.
        uint256 sums;
    }

    constructor() EIP712("gamekit SessionValidator", "1") {}

    // ---------------------------------------------------------------------------------------------- validation

    /// @inheritdoc IERC7579Validator
    /// @notice Decides one operation of the calling account.
    /// @dev Reverts with the reason, but for the session key's signature: then it returns 1, as ERC-4337 wants, after
    /// having done every other check, and writes nothing. So a wrong signature uses nothing up, whoever asks. An
    /// estimate made with a wrong signature lacks the gas of writing: 2,900, and up to 22,100 more with a lane.
    /// @return validationData validAfter 6 | validUntil 6 | 0, or 1 in the last place for a wrong signature.
    function validateUserOp(PackedUserOperation calldata op, bytes32 userOpHash)
        external
        returns (uint256 validationData)
    {
        if (op.sender != msg.sender) revert SenderMismatch(op.sender, msg.sender);
        if (op.initCode.length != 0) revert InitCodeNotEmpty(op.initCode.length);
        Walk memory walk = CalldataLib.open(op.callData);
        Envelope memory envelope = EnvelopeLib.open(op.signature, walk.count, msg.sender);
        Word storage session = _sessions[envelope.permissionId][msg.sender];
        uint256 live = _requireLive(session.value, envelope.permissionId, msg.sender);

        // From here on the scope is, byte for byte, one that this account granted.
        bytes calldata paymasterAndData = op.paymasterAndData;
        _requireLane(op.nonce, paymasterAndData, envelope.scope);
        validationData = _timeRange(envelope);
        live = _charge(envelope, live, walk.count, GasLib.costWei(op, paymasterAndData));
        Lanes memory lanes = _checkCalls(walk, envelope);

        if (!envelope.signed(userOpHash)) return validationData | SIGNATURE_FAILED;
        session.value = live;
        if (lanes.slot != 0) _wordAt(lanes.slot).value = lanes.sums;
    }

    /// @inheritdoc IERC7579Validator
    /// @notice A session key signs operations, and never for the account anywhere else: always refused.
    function isValidSignatureWithSender(address, bytes32, bytes calldata) external pure returns (bytes4) {
        return ERC1271_INVALID;
    }

    /// @dev Requires that a session's word is live and of the account's present epoch; gives it.
    function _requireLive(uint256 session, bytes32 permissionId, address account) private view returns (uint256) {
        if (!SlotLib.isLive(session)) revert SessionNotLive(permissionId, SlotLib.stateOf(session));
        uint32 epoch = SlotLib.epochOf(session);
        uint32 accountEpoch = SlotLib.epochOf(_accounts[account]);
        if (epoch != accountEpoch) revert EpochStale(epoch, accountEpoch);
        return session;
    }

    /// @dev The nonce key decides the order of operations and, in some accounts, which code runs; so all of it is fixed.
    function _requireLane(uint256 nonce, bytes calldata paymasterAndData, Scope scope) private pure {
        if (nonce >> 64 != scope.nonceKey()) revert NonceKeyMismatch(uint192(nonce >> 64), scope.nonceKey());
        address allowed = scope.paymaster();
        // A paymaster that the scope names may not be left out: it is who pays.
        if (paymasterAndData.length == 0 && allowed == address(0)) return;
        address paymaster = paymasterAndData.length < 52 ? address(0) : address(bytes20(paymasterAndData));
        if (paymaster != allowed || allowed == address(0)) revert PaymasterMismatch(paymaster, allowed);
    }

    /// @dev The seconds at which the operation is valid, for the EntryPoint to enforce. Never empty, so never "for ever",
    /// which is how an EntryPoint reads an end of 0.
    function _timeRange(Envelope memory envelope) private pure returns (uint256) {
        // Unchecked: numbers of 48 bits.
        unchecked {
            Scope scope = envelope.scope;
            uint256 claimedAt = envelope.claimedAt;
            uint256 deadline = envelope.deadline;
            (uint256 validAfter, uint256 validUntil) = scope.timeFrame();
            if (claimedAt > validAfter) validAfter = claimedAt;
            if (deadline < validUntil) validUntil = deadline;
            if (claimedAt + SLACK < validUntil) validUntil = claimedAt + SLACK;
            if (validAfter >= validUntil) revert TimeRangeEmpty(validAfter, validUntil);
            return validAfter << 208 | validUntil << 160;
        }
    }

    /// @dev The session's word after `calls` calls that can cost `gasWei`: uses, rate and gas.
    function _charge(Envelope memory envelope, uint256 session, uint256 calls, uint256 gasWei)
        private
        pure
        returns (uint256)
    {
        // Unchecked: numbers of 32 and 64 bits, of 136 and 243.
        unchecked {
            Scope scope = envelope.scope;
            uint256 max = scope.callsMax();
            if (calls > max) revert CallsOutOfRange(calls, max);
            max = scope.usesMax();
            uint256 uses = SlotLib.usesOf(session) + calls;
            if (uses > max) revert UsesExceeded(uses, max);

            uint256 budgetWei;
            (budgetWei, max) = scope.gasLimitsWei();
            if (gasWei > max) revert GasPerOperationExceeded(gasWei, max);
            uint256 gasSpentWei = SlotLib.gasSpentWeiOf(session) + gasWei;
            if (gasSpentWei > budgetWei) revert GasBudgetExceeded(gasSpentWei, budgetWei);

            uint256 arrivalMs = _arrivalMs(scope, SlotLib.arrivalMsOf(session), calls, envelope.claimedAt);
            return SlotLib.packSession(SessionState.Live, SlotLib.epochOf(session), uses, arrivalMs, gasSpentWei);
        }
    }

    /// @dev The generic cell rate algorithm: each call moves the clock on by one interval, the clock may be at most a
    /// burst ahead of the claimed time, and it never stands behind it. Unchecked: numbers of 48, 6 and 32 bits.
    function _arrivalMs(Scope scope, uint256 arrivalMs, uint256 calls, uint256 claimedAt)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 intervalMs = scope.rateIntervalMs();
            if (intervalMs == 0) return 0;
            uint256 claimedMs = claimedAt * 1000;
            if (arrivalMs < claimedMs) arrivalMs = claimedMs;
            arrivalMs += calls * intervalMs;
            uint256 aheadMsMax = scope.burst() * intervalMs;
            if (arrivalMs - claimedMs > aheadMsMax) revert RateExceeded(arrivalMs - claimedMs, aheadMsMax);
            return arrivalMs;
        }
    }

    /// @dev Checks every call.
    function _checkCalls(Walk memory walk, Envelope memory envelope) private view returns (Lanes memory lanes) {
        uint256 count = walk.count;
        Allowlist memory list = AllowlistLib.open(envelope, count);
        Call memory call;
        for (uint256 i = 0; i < count; ++i) {
            walk.take(i, call);
            (uint256 entry, uint256 rules) = list.find(i, envelope.hint(i));
            _requireAllowed(i, call, entry);
            if (call.value != 0) _checkValue(envelope, i, call.value, lanes);
            uint256 ruleCount = entry.ruleCount();
            if (ruleCount != 0) _checkRules(envelope, i, call, rules, ruleCount, lanes);
        }
        walk.close();
        list.close();
    }

    /// @dev Requires that the entry allows the call, and that its target is none that no session may call.
    function _requireAllowed(uint256 index, Call memory call, uint256 entry) private view {
        address target = call.target;
        TargetLib.requireNotForbidden(target, msg.sender);
        bytes4 selector = bytes4(bytes32(CalldataLib.word(call.data)));
        if (entry.key() != uint256(uint160(target)) << 32 | uint32(selector)) {
            revert CallNotAllowed(index, target, selector, entry.target(), entry.selector());
        }
    }

    /// @dev Value is refused unless the scope caps it, per call and in all.
    function _checkValue(Envelope memory envelope, uint256 index, uint256 value, Lanes memory lanes) private view {
        uint256 perCall = envelope.scope.valuePerCallWeiMax();
        if (value > perCall) revert ValuePerCallExceeded(index, value, perCall);
        _addToLane(lanes, envelope, index, 0, value, envelope.scope.valueTotalWeiMax());
    }

    /// @dev All rules of the entry must hold, each on one word of the call's data. `position` is where they begin.
    function _checkRules(
        Envelope memory envelope,
        uint256 index,
        Call memory call,
        uint256 position,
        uint256 ruleCount,
        Lanes memory lanes
    ) private view {
        // Unchecked: positions of calldata, and numbers of one byte times 64; a call's data has 4 bytes at least.
        unchecked {
            uint256 end = position + ScopeLib.RULE_LENGTH * ruleCount;
            for (; position < end; position += ScopeLib.RULE_LENGTH) {
                uint256 head = CalldataLib.word(position);
                uint256 value = CalldataLib.word(position + 32);
                uint256 argument = head.argument();
                // The word behind the selector, which must lie in the call's data whole.
                if (argument >= (call.length - 4) >> 5) revert ArgumentMissing(index, argument, call.length);
                uint256 found = CalldataLib.word(call.data + 4 + (argument << 5));
                uint256 condition = head.condition();
                if (condition == ScopeLib.CUMULATIVE) {
                    _addToLane(lanes, envelope, index, head.lane(), found, value);
                    continue;
                }
                bool holds;
                if (condition == ScopeLib.AT_MOST) {
                    holds = found <= value;
                } else if (condition == ScopeLib.AT_LEAST) {
                    holds = found >= value;
                } else if (condition == ScopeLib.EQUAL) {
                    holds = found == value;
                } else if (condition == ScopeLib.NOT_EQUAL) {
                    holds = found != value;
                } else if (condition == ScopeLib.PINNED) {
                    holds = found == uint160(msg.sender);
                } else if (condition == ScopeLib.ONE_OF) {
                    // This rule or any of its neighbours on the same argument.
                    holds = found == value;
                    while (position + ScopeLib.RULE_LENGTH < end) {
                        uint256 next = position + ScopeLib.RULE_LENGTH;
                        // argument 1 | condition 1 are the same.
                        if ((CalldataLib.word(next) ^ head) >> 240 != 0) break;
                        holds = holds || found == CalldataLib.word(next + 32);
                        position = next;
                    }
                }
                if (!holds) revert ArgumentRefused(index, argument, condition, found, value);
            }
        }
    }

    /// @dev Adds to a lane, within its limit. Nothing overflows: sums and limits are below 2^128, and so is `amount`
    /// once it is at most the limit.
    function _addToLane(
        Lanes memory lanes,
        Envelope memory envelope,
        uint256 index,
        uint256 lane,
        uint256 amount,
        uint256 limit
    ) private view {
        unchecked {
            if (lanes.slot == 0) {
                Word storage caps = _caps[envelope.permissionId][msg.sender];
                uint256 slot;
                assembly ("memory-safe") {
                    slot := caps.slot
                }
                lanes.slot = slot;
                lanes.sums = caps.value;
            }
            if (amount > limit) revert CapExceeded(index, lane, amount, limit);
            uint256 total = SlotLib.laneOf(lanes.sums, lane) + amount;
            if (total > limit) revert CapExceeded(index, lane, total, limit);
            lanes.sums = SlotLib.addToLane(lanes.sums, lane, amount);
        }
    }

    function _wordAt(uint256 slot) private pure returns (Word storage word) {
        assembly ("memory-safe") {
            word.slot := slot
        }
    }

    // --------------------------------------------------------------------------------------------------- grant

    /// @inheritdoc ISessionValidator
    function grantSession(bytes calldata scope, address[] calldata implementations) external returns (bytes32) {
        _requireInstalled(msg.sender);
        return _grant(msg.sender, scope, implementations);
    }

    /// @inheritdoc ISessionValidator
    /// @dev Whoever submits it gets nothing but the gas bill: the same grant, for the same account, once. The signature
    /// binds chain, module, account, scope, epoch and deadline. The account asks exactly the validator that it named at
    /// install, never whichever one would answer. No ERC-6492 wrapper is unwrapped: that would be an arbitrary call.
    function grantSessionFor(
        address account,
        bytes calldata scope,
        string[] calldata functions,
        address[] calldata implementations,
        uint48 deadline,
        bytes calldata ownerSignature
    ) external returns (bytes32) {
        if (block.timestamp > deadline) revert GrantExpired(block.timestamp, deadline);
        _requireInstalled(account);
        bytes32 digest = grantDigest(account, scope, functions, implementations, deadline);
        _requireOwnerSigned(account, digest, ownerSignature);
        return _grant(account, scope, implementations);
    }

    function _grant(address account, bytes calldata granted, address[] calldata implementations)
        private
        returns (bytes32 permissionId)
    {
        GrantLib.requireGood(granted, implementations, account, _codes);
        permissionId = ScopeLib.permissionIdOfGranted(account, granted);
        Word storage session = _sessions[permissionId][account];
        SessionState state = SlotLib.stateOf(session.value);
        if (state != SessionState.None) revert SessionAlreadyGranted(permissionId, state);
        uint32 epoch = SlotLib.epochOf(_accounts[account]);
        session.value = SlotLib.packSession(SessionState.Live, epoch, 0, 0, 0);
        _announce(account, permissionId, epoch, granted);
    }

    function _announce(address account, bytes32 permissionId, uint32 epoch, bytes calldata granted) private {
        Scope scope = ScopeLib.locate(granted);
        emit SessionGranted(
            account,
            permissionId,
            scope.signer(),
            scope.revoker(),
            scope.validAfter(),
            scope.validUntil(),
            epoch,
            granted
        );
    }

    /// @dev On an EIP-7702 account its own key may sign; otherwise, and also there, the owner validator is asked.
    function _requireOwnerSigned(address account, bytes32 digest, bytes calldata signature) private view {
        if (TargetLib.isDelegated(account)) {
            (address recovered, ECDSA.RecoverError failed,) = ECDSA.tryRecoverCalldata(digest, signature);
            if (failed == ECDSA.RecoverError.NoError && recovered == account) return;
        }
        SessionAccount memory known = SlotLib.unpackAccount(_accounts[account]);
        if (known.ownerValidator != address(0)) {
            bytes memory named = abi.encodePacked(known.ownerValidator, signature);
            if (known.hasLead) named = abi.encodePacked(known.lead, named);
            (bool answered, bytes memory answer) =
                account.staticcall(abi.encodeCall(IERC1271.isValidSignature, (digest, named)));
            bytes32 valid = bytes32(IERC1271.isValidSignature.selector);
            if (answered && answer.length >= 32 && bytes32(answer) == valid) return;
        }
        revert GrantSignatureInvalid(account, known.ownerValidator);
    }

    function _requireInstalled(address account) private view {
        if (!SlotLib.unpackAccount(_accounts[account]).installed) revert ModuleNotInstalled(account);
    }

    // -------------------------------------------------------------------------------------------------- revoke

    /// @inheritdoc ISessionValidator
    /// @dev A permission that was never granted is revoked too: a grant that is signed but not yet submitted.
    function revokeSession(bytes32 permissionId) external {
        if (SlotLib.stateOf(_sessions[permissionId][msg.sender].value) != SessionState.Revoked) {
            _revoke(msg.sender, permissionId);
        }
    }

    /// @inheritdoc ISessionValidator
    function revokeSessionFor(address account, bytes calldata scope) external {
        _revoke(account, _requireRevoker(account, scope));
    }

    /// @inheritdoc ISessionValidator
    /// @dev It only takes away, and a permission comes never back: nothing to replay.
    function revokeSessionWithSignature(address account, bytes calldata scope, bytes calldata signature) external {
        bytes32 permissionId = ScopeLib.permissionIdOfGranted(account, scope);
        _requireLive(_sessions[permissionId][account].value, permissionId, account);
        (address recovered,,) = ECDSA.tryRecoverCalldata(revokeDigest(account, permissionId), signature);
        address signer = ScopeLib.locate(scope).signer();
        if (recovered != signer) revert RevokeSignatureInvalid(recovered, signer);
        _revoke(account, permissionId);
    }

    /// @inheritdoc ISessionValidator
    function revokeAllSessions() external {
        _requireInstalled(msg.sender);
        _bumpEpoch(msg.sender);
    }

    /// @inheritdoc ISessionValidator
    function revokeAllSessionsFor(address account, bytes calldata scope) external {
        _requireRevoker(account, scope);
        _bumpEpoch(account);
    }

    /// @dev Only a live session's scope proves who the revoker is.
    function _requireRevoker(address account, bytes calldata granted) private view returns (bytes32 permissionId) {
        permissionId = ScopeLib.permissionIdOfGranted(account, granted);
        _requireLive(_sessions[permissionId][account].value, permissionId, account);
        address revoker = ScopeLib.locate(granted).revoker();
        if (msg.sender != revoker) revert RevokerMismatch(msg.sender, revoker);
    }

    function _revoke(address account, bytes32 permissionId) private {
        Word storage session = _sessions[permissionId][account];
        session.value = SlotLib.withState(session.value, SessionState.Revoked);
        emit SessionRevoked(account, permissionId);
    }

    function _bumpEpoch(address account) private {
        SessionAccount memory known = SlotLib.unpackAccount(_accounts[account]);
        ++known.epoch;
        _setAccount(account, known);
    }

    function _setAccount(address account, SessionAccount memory known) private {
        _accounts[account] = SlotLib.packAccount(known);
        emit AllSessionsRevoked(account, known.epoch);
    }

    // ------------------------------------------------------------------------------------------------- ERC-7579

    /// @notice Called by the account that installs the module.
    /// @dev Bumps the epoch, so that no session from before an uninstall comes to life again. An account that removed
    /// the module without telling it may install it anew, so a second install is no error here.
    /// @param data the owner validator's 20 bytes; or the byte that the account wants before them in a signature (Kernel:
    /// 0x01, a validator) and these; or nothing: then only the account itself grants.
    function onInstall(bytes calldata data) external {
        if (data.length != 0 && data.length != 20 && data.length != 21) revert InstallDataInvalid(data.length, 20);
        SessionAccount memory known;
        known.installed = true;
        known.epoch = SlotLib.epochOf(_accounts[msg.sender]) + 1;
        known.hasLead = data.length == 21;
        if (known.hasLead) known.lead = uint8(data[0]);
        known.ownerValidator = address(bytes20(known.hasLead ? data[1:] : data));
        if (known.ownerValidator == address(this)) revert OwnerValidatorInvalid(known.ownerValidator);
        _setAccount(msg.sender, known);
    }

    /// @notice Called by the account that uninstalls the module. All its sessions die.
    function onUninstall(bytes calldata) external {
        SessionAccount memory known;
        known.epoch = SlotLib.epochOf(_accounts[msg.sender]) + 1;
        _setAccount(msg.sender, known);
    }

    /// @notice It is a validator, and nothing else.
    function isModuleType(uint256 moduleTypeId) external pure returns (bool) {
        return moduleTypeId == MODULE_TYPE_VALIDATOR;
    }

    /// @notice Whether the account has the module installed.
    function isInitialized(address account) external view returns (bool) {
        return SlotLib.unpackAccount(_accounts[account]).installed;
    }

    // --------------------------------------------------------------------------------------------------- views

    /// @inheritdoc ISessionValidator
    function permissionIdOf(address account, bytes calldata scope) external view returns (bytes32) {
        return ScopeLib.permissionIdOfGranted(account, scope);
    }

    /// @inheritdoc ISessionValidator
    function sessionOf(address account, bytes32 permissionId) external view returns (Session memory) {
        return SlotLib.unpackSession(_sessions[permissionId][account].value, _caps[permissionId][account].value);
    }

    /// @inheritdoc ISessionValidator
    function accountOf(address account) external view returns (SessionAccount memory) {
        return SlotLib.unpackAccount(_accounts[account]);
    }

    /// @inheritdoc ISessionValidator
    function grantDigest(
        address account,
        bytes calldata scope,
        string[] calldata functions,
        address[] calldata implementations,
        uint48 deadline
    ) public view returns (bytes32) {
        SessionAccount memory known = SlotLib.unpackAccount(_accounts[account]);
        uint32 epoch = known.installed ? known.epoch : known.epoch + 1;
        return _hashTypedDataV4(GrantLib.structHash(account, scope, functions, implementations, epoch, deadline));
    }

    /// @inheritdoc ISessionValidator
    function revokeDigest(address account, bytes32 permissionId) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REVOKE_TYPEHASH, account, permissionId)));
    }

    /// @inheritdoc ISessionValidator
    function operationDigest(bytes32 userOpHash, bytes32 permissionId, uint48 claimedAt, uint48 deadline)
        external
        pure
        returns (bytes32)
    {
        return EnvelopeLib.digest(userOpHash, permissionId, claimedAt, deadline);
    }
}
