"""The session validator's functions, events and errors, and how to read its answers.

Declared here by heart, so that nothing pure depends on a compiled artifact; a test holds the two equal.

Source: ISessionValidator.sol.
"""

from enum import Enum
from typing import Final, cast

from msgspec import Struct, convert

from gamekit.errors import EncodingInvalid
from gamekit.eth.block import Log
from gamekit.eth.interface import CustomError, Event, Function, Interface
from gamekit.units import ZERO_ADDRESS, Address, PermissionId, UnixSeconds, Wei

GRANT_SESSION: Final = Function.parse("grantSession(bytes scope,address[] implementations)", "bytes32 permissionId")
GRANT_SESSION_FOR: Final = Function.parse(
    "grantSessionFor(address account,bytes scope,string[] functions,address[] implementations,uint48 deadline,"
    "bytes ownerSignature)",
    "bytes32 permissionId",
)
REVOKE_SESSION: Final = Function.parse("revokeSession(bytes32 permissionId)")
REVOKE_SESSION_FOR: Final = Function.parse("revokeSessionFor(address account,bytes scope)")
REVOKE_SESSION_WITH_SIGNATURE: Final = Function.parse(
    "revokeSessionWithSignature(address account,bytes scope,bytes signature)"
)
REVOKE_ALL_SESSIONS: Final = Function.parse("revokeAllSessions()")
REVOKE_ALL_SESSIONS_FOR: Final = Function.parse("revokeAllSessionsFor(address account,bytes scope)")
PERMISSION_ID_OF: Final = Function.parse("permissionIdOf(address account,bytes scope)", "bytes32", "view")
SESSION_OF: Final = Function.parse(
    "sessionOf(address account,bytes32 permissionId)",
    "(uint8 state,uint32 epoch,uint32 uses,uint48 arrival_ms,uint136 gas_spent_wei,uint128 lane0,uint128 lane1)",
    "view",
)
ACCOUNT_OF: Final = Function.parse(
    "accountOf(address account)",
    "(bool installed,uint32 epoch,address owner_validator,bool has_lead,uint8 lead)",
    "view",
)
GRANT_DIGEST: Final = Function.parse(
    "grantDigest(address account,bytes scope,string[] functions,address[] implementations,uint48 deadline)",
    "bytes32",
    "view",
)
REVOKE_DIGEST: Final = Function.parse("revokeDigest(address account,bytes32 permissionId)", "bytes32", "view")
OPERATION_DIGEST: Final = Function.parse(
    "operationDigest(bytes32 userOpHash,bytes32 permissionId,uint48 claimedAt,uint48 deadline)", "bytes32", "pure"
)

SESSION_GRANTED: Final = Event.parse(
    "SessionGranted(address indexed account,bytes32 indexed permissionId,address indexed signer,"
    "address revoker,uint48 validAfter,uint48 validUntil,uint32 epoch,bytes scope)"
)
SESSION_REVOKED: Final = Event.parse("SessionRevoked(address indexed account,bytes32 indexed permissionId)")
ALL_SESSIONS_REVOKED: Final = Event.parse("AllSessionsRevoked(address indexed account,uint32 epoch)")

_ERRORS: Final = (
    "SenderMismatch(address sender, address account)",
    "InitCodeNotEmpty(uint256 length)",
    "SelectorNotExecute(bytes4 selector, bytes4 allowed)",
    "ModeNotAllowed(bytes32 mode)",
    "CallDataNotCanonical(uint256 position, uint256 found, uint256 expected)",
    "CallsOutOfRange(uint256 calls, uint256 callsMax)",
    "SelectorMissing(uint256 call, uint256 dataLength, uint256 dataLengthMin)",
    "SignatureTooShort(uint256 length, uint256 lengthMin)",
    "SessionNotLive(bytes32 permissionId, uint8 state)",
    "EpochStale(uint32 sessionEpoch, uint32 accountEpoch)",
    "NonceKeyMismatch(uint192 nonceKey, uint192 allowed)",
    "PaymasterMismatch(address paymaster, address allowed)",
    "GasFieldTooLarge(uint256 bitsOfAll, uint256 max)",
    "GasPerOperationExceeded(uint256 gasWei, uint256 gasPerOperationWeiMax)",
    "GasBudgetExceeded(uint256 gasSpentWei, uint256 gasBudgetWei)",
    "UsesExceeded(uint256 uses, uint256 usesMax)",
    "RateExceeded(uint256 aheadMs, uint256 aheadMsMax)",
    "TimeRangeEmpty(uint256 validAfter, uint256 validUntil)",
    "WitnessInvalid(uint256 call, bytes32 found, bytes32 root)",
    "SignatureTooLong(uint256 excess)",
    "HintOutOfRange(uint256 call, uint256 hint, uint256 entryCount)",
    "CallNotAllowed(uint256 call, address target, bytes4 selector, address allowedTarget, bytes4 allowedSelector)",
    "ValuePerCallExceeded(uint256 call, uint256 valueWei, uint256 valuePerCallWeiMax)",
    "ArgumentMissing(uint256 call, uint256 argument, uint256 dataLength)",
    "ArgumentRefused(uint256 call, uint256 argument, uint256 condition, uint256 found, uint256 ruleValue)",
    "CapExceeded(uint256 call, uint256 lane, uint256 total, uint256 limit)",
    "TargetForbidden(address target)",
    "ModuleNotInstalled(address account)",
    "InstallDataInvalid(uint256 length, uint256 allowed)",
    "OwnerValidatorInvalid(address ownerValidator)",
    "ScopeLengthMismatch(uint256 length, uint256 expected)",
    "ScopeVersionUnknown(uint256 version, uint256 known)",
    "ScopeReservedNotZero(uint256 position, uint256 word)",
    "SignerInvalid(address signer)",
    "TimeFrameEmpty(uint256 validAfter, uint256 validUntil)",
    "TimeFrameOver(uint256 validUntil, uint256 timestamp)",
    "TimeFrameTooLong(uint256 validUntil, uint256 validUntilMax)",
    "CallsMaxInvalid(uint256 callsMax, uint256 callsMaxLimit)",
    "UsesMaxInvalid(uint256 usesMax, uint256 usesMaxMin)",
    "BurstTooSmall(uint256 burst, uint256 callsMax)",
    "RateTooSlow(uint256 arrivalMs, uint256 arrivalMsMax)",
    "GasLimitInvalid(uint256 gasPerOperationWeiMax, uint256 gasBudgetWei)",
    "ValueLimitInvalid(uint256 valuePerCallWeiMax, uint256 valueTotalWeiMax)",
    "EntriesMissing()",
    "EntriesNotAscending(uint256 entry, uint256 key, uint256 previousKey)",
    "RulesOutOfRange(uint256 entry, uint256 rulesEnd, uint256 ruleCount)",
    "RuleInvalid(uint256 rule, uint256 condition, uint256 ruleValue)",
    "LaneLimitsDiffer(uint256 lane, uint256 limit, uint256 otherLimit)",
    "SelectorDenied(address target, bytes4 selector)",
    "TargetWithoutCode(address target)",
    "TargetDelegated(address target)",
    "TargetIsToken(address target)",
    "TargetIsAccount(address target)",
    "ImplementationNotAccepted(address target, address implementation, address accepted)",
    "ImplementationsUnused(uint256 accepted, uint256 used)",
    "TargetIsModule(address target, uint256 moduleTypeId)",
    "SessionAlreadyGranted(bytes32 permissionId, uint8 state)",
    "FunctionCountMismatch(uint256 functions, uint256 entryCount)",
    "FunctionMismatch(uint256 entry, bytes4 selector, bytes4 entrySelector)",
    "GrantExpired(uint256 timestamp, uint256 deadline)",
    "GrantSignatureInvalid(address account, address ownerValidator)",
    "RevokerMismatch(address caller, address revoker)",
    "RevokeSignatureInvalid(address recovered, address signer)",
)

SESSION_VALIDATOR: Final = Interface(
    functions=(
        GRANT_SESSION,
        GRANT_SESSION_FOR,
        REVOKE_SESSION,
        REVOKE_SESSION_FOR,
        REVOKE_SESSION_WITH_SIGNATURE,
        REVOKE_ALL_SESSIONS,
        REVOKE_ALL_SESSIONS_FOR,
        PERMISSION_ID_OF,
        SESSION_OF,
        ACCOUNT_OF,
        GRANT_DIGEST,
        REVOKE_DIGEST,
        OPERATION_DIGEST,
    ),
    events=(SESSION_GRANTED, SESSION_REVOKED, ALL_SESSIONS_REVOKED),
    errors=map(CustomError.parse, _ERRORS),
)
"""All of it; `decode_revert` names the error of what reverted."""


class SessionState(Enum):
    """What became of a permission on an account; there is no way back."""

    NONE = 0
    LIVE = 1
    REVOKED = 2


class SessionRecord(Struct, frozen=True, gc=False):
    """What the module remembers of a session. It counts only if it is live and its epoch is the account's."""

    state: SessionState
    epoch: int
    """The account's epoch at the grant."""
    uses: int
    """Calls admitted so far."""
    arrival_ms: int
    """Theoretical arrival time of the rate limit, in milliseconds since 1970; 0 before the first use."""
    gas_spent_wei: Wei
    """Sum of all gas limits times the highest fee, over the operations admitted so far."""
    lane0: int
    """Sum of the value sent, in wei, if the scope allows value; else an argument's sum."""
    lane1: int
    """An argument's sum."""


class AccountRecord(Struct, frozen=True, gc=False):
    """What the module remembers of an account."""

    installed: bool
    epoch: int
    """Bumped by install, uninstall and revoke-all; 1 with the first install."""
    owner_validator: Address | None
    """The validator that speaks for the account's owner in grants."""
    lead: int | None = None
    """A byte that the account wants before the validator's address in a signature; None for none."""


class SessionGranted(Struct, frozen=True, gc=False):
    """A session was granted."""

    account: Address
    permission_id: PermissionId
    signer: Address
    revoker: Address
    valid_after: UnixSeconds
    valid_until: UnixSeconds
    epoch: int
    scope: bytes


class SessionRevoked(Struct, frozen=True, gc=False):
    """A permission was revoked, for ever."""

    account: Address
    permission_id: PermissionId


class AllSessionsRevoked(Struct, frozen=True, gc=False):
    """All sessions of an account are dead."""

    account: Address
    epoch: int
    """The new one."""


def decode_session(data: bytes) -> SessionRecord:
    """Read what `sessionOf` returned.

    Raises:
        EncodingInvalid: it is not the encoding of a session.
    """
    (record,) = SESSION_OF.decode_result(data)
    state, epoch, uses, arrival_ms, gas_spent_wei, lane0, lane1 = cast("tuple[int, ...]", record)
    return SessionRecord(_state(state), epoch, uses, arrival_ms, Wei(gas_spent_wei), lane0, lane1)


def decode_account(data: bytes) -> AccountRecord:
    """Read what `accountOf` returned.

    Raises:
        EncodingInvalid: it is not the encoding of an account.
    """
    (record,) = ACCOUNT_OF.decode_result(data)
    installed, epoch, owner_validator, has_lead, lead = cast("tuple[bool, int, Address, bool, int]", record)
    owner = None if owner_validator == ZERO_ADDRESS else owner_validator
    return AccountRecord(installed, epoch, owner, lead if has_lead else None)


def unpack_session_slot(session: bytes, caps: bytes = bytes(32)) -> SessionRecord:
    """Read the module's own storage: a session's word, and the word of its lanes if it has any.

    ::

        session  state 1 | epoch 4 | uses 4 | arrival in ms 6 | gas spent in wei 17
        caps     lane 1: 16 | lane 0: 16

    Raises:
        EncodingInvalid: a state that does not exist.

    Source: SlotLib.sol.
    """
    return SessionRecord(
        _state(session[0]),
        epoch=int.from_bytes(session[1:5], "big"),
        uses=int.from_bytes(session[5:9], "big"),
        arrival_ms=int.from_bytes(session[9:15], "big"),
        gas_spent_wei=Wei(int.from_bytes(session[15:32], "big")),
        lane0=int.from_bytes(caps[16:], "big"),
        lane1=int.from_bytes(caps[:16], "big"),
    )


def _state(number: int) -> SessionState:
    try:
        return SessionState(number)
    except ValueError as error:
        raise EncodingInvalid(f"there is no session state {number}", found=number) from error


def decode_session_log(log: Log, module: Address) -> SessionGranted | SessionRevoked | AllSessionsRevoked | None:
    """Read one of the module's events, or give None for any other log, or one that another contract emitted."""
    decoded = SESSION_VALIDATOR.decode_log(log) if log.address == module else None
    if decoded is None:
        return None
    form = _EVENT_FORMS[decoded.name]
    return convert(dict(zip(form.__struct_fields__, decoded.values.values(), strict=True)), form)


_EVENT_FORMS: Final[dict[str, type[SessionGranted | SessionRevoked | AllSessionsRevoked]]] = {
    SESSION_GRANTED.name: SessionGranted,
    SESSION_REVOKED.name: SessionRevoked,
    ALL_SESSIONS_REVOKED.name: AllSessionsRevoked,
}
