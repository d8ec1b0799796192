"""Speaking with our own paymaster on chain: vouchers, its data in an operation, calldata, records, events and errors.

::

    voucher digest    typed data SponsorSession(...); domain "gamekit SessionPaymaster", "1", chain, paymaster
    operation digest  typed data SponsorOperation(...), same domain: an operation without any signature
    data, session     mode 1: 1 | claimed at 6 | permission id 32
    data, signed      mode 1: 2 | valid after 6 | valid until 6 | game 4 | signature 65

Source: ISessionPaymaster.sol, SessionPaymaster.sol.
"""

from typing import Final, cast

from msgspec import Struct
from msgspec.structs import replace

from gamekit.errors import EncodingInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256
from gamekit.eth.interface import CustomError, Event, Function, Interface
from gamekit.eth.signature import SIGNATURE_LENGTH
from gamekit.eth.user_operation import PackedUserOperation, UserOperation, pack
from gamekit.units import UINT48_MAX, Address, ChainId, Hash32, PermissionId, UnixSeconds, Wei

SPONSOR: Final = Function.parse(
    "sponsor(address account,bytes32 permissionId,uint32 game,uint96 limitWei,uint48 deadline,bytes signature)"
)
SET_SPONSOR: Final = Function.parse("setSponsor(uint32 game,address sponsor_)")
SET_CAPS: Final = Function.parse("setCaps(uint32 game,uint96 dayWeiMax,uint96 playerDayWeiMax,uint96 sessionWeiMax)")
DEPOSIT: Final = Function.parse("deposit()", "", "payable")
WITHDRAW_TO: Final = Function.parse("withdrawTo(address to,uint256 amountWei)")
ADD_STAKE: Final = Function.parse("addStake(uint32 unstakeDelayS)", "", "payable")
GAME_OF: Final = Function.parse(
    "gameOf(uint32 game)",
    "(uint32 generation,uint32 day,uint96 spent_wei,uint96 day_wei_max,address sponsor,uint96 player_day_wei_max,"
    "uint96 session_wei_max)",
    "view",
)
PLAYER_OF: Final = Function.parse("playerOf(uint32 game,address account)", "(uint32 day,uint96 spent_wei)", "view")
SPONSORSHIP_OF: Final = Function.parse(
    "sponsorshipOf(address account,bytes32 permissionId)",
    "(uint32 game,uint32 generation,uint96 limit_wei,uint96 seen_wei)",
    "view",
)
VOUCHER_DIGEST: Final = Function.parse(
    "voucherDigest(address account,bytes32 permissionId,uint32 game,uint96 limitWei,uint48 deadline)", "bytes32", "view"
)
ENTRY_POINT_OF: Final = Function.parse("ENTRY_POINT()", "address", "view")
SESSION_VALIDATOR_OF: Final = Function.parse("SESSION_VALIDATOR()", "address", "view")

SESSION_SPONSORED: Final = Event.parse(
    "SessionSponsored(address indexed account,bytes32 indexed permissionId,uint32 indexed game,uint96 limitWei)"
)
SPONSOR_CHANGED: Final = Event.parse("SponsorChanged(uint32 indexed game,address indexed sponsor,uint32 generation)")
CAPS_CHANGED: Final = Event.parse(
    "CapsChanged(uint32 indexed game,uint96 dayWeiMax,uint96 playerDayWeiMax,uint96 sessionWeiMax)"
)

_ERRORS: Final = (
    "CallerNotEntryPoint(address caller, address entryPoint)",
    "PostOpNotUsed(address caller)",
    "PaymasterDataInvalid(uint256 mode, uint256 length, uint256 lengthExpected)",
    "PostOpGasNotZero(uint256 postOpGasLimit)",
    "SessionNotSponsored(bytes32 permissionId, uint32 generation, uint32 gameGeneration)",
    "SessionNotLive(bytes32 permissionId, uint256 state, uint32 sessionEpoch, uint32 accountEpoch)",
    "SessionNotCharged(uint256 chargedWei, uint256 maxCostWei)",
    "SessionLimitExceeded(uint256 chargedWei, uint256 limitWei)",
    "GameDayCapExceeded(uint32 game, uint256 spentWei, uint256 dayWeiMax)",
    "PlayerDayCapExceeded(address account, uint256 spentWei, uint256 playerDayWeiMax)",
    "TimeRangeInvalid(uint256 validAfter, uint256 validUntil, uint256 validUntilMax)",
    "GameUnknown(uint32 game)",
    "VoucherExpired(uint256 timestamp, uint256 deadline)",
    "VoucherSignatureInvalid(address recovered, address sponsor)",
    "SessionCapExceeded(uint256 limitWei, uint256 sessionWeiMax)",
    "SessionOfAnotherGame(uint32 game, uint32 sponsoredBy)",
    "ChargedTooLarge(uint256 chargedWei, uint256 max)",
    "OwnershipNotRenounceable(address owner)",
)

SESSION_PAYMASTER: Final = Interface(
    functions=(
        SPONSOR,
        SET_SPONSOR,
        SET_CAPS,
        DEPOSIT,
        WITHDRAW_TO,
        ADD_STAKE,
        GAME_OF,
        PLAYER_OF,
        SPONSORSHIP_OF,
        VOUCHER_DIGEST,
        ENTRY_POINT_OF,
        SESSION_VALIDATOR_OF,
    ),
    events=(SESSION_SPONSORED, SPONSOR_CHANGED, CAPS_CHANGED),
    errors=map(CustomError.parse, _ERRORS),
)
"""All that gamekit uses of it; `decode_revert` names the error of what reverted."""

DOMAIN_NAME: Final = "gamekit SessionPaymaster"
DOMAIN_VERSION: Final = "1"
_DOMAIN_HEAD: Final = (
    keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak256(DOMAIN_NAME.encode())
    + keccak256(DOMAIN_VERSION.encode())
)
_VOUCHER_TYPEHASH: Final = keccak256(
    b"SponsorSession(address account,bytes32 permissionId,uint32 game,uint32 generation,uint96 limitWei,"
    b"uint48 deadline)"
)
_OPERATION_TYPEHASH: Final = keccak256(
    b"SponsorOperation(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,"
    b"uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData,uint32 generation)"
)

_MODE_SESSION: Final = b"\x01"
_MODE_SIGNED: Final = b"\x02"
LIMIT_WEI_MAX: Final = (1 << 96) - 1
"""Largest amount that the paymaster keeps, in wei."""
DAY_S: Final = 86_400
SESSION_DATA_LENGTH: Final = 39
SIGNED_DATA_LENGTH: Final = 82
"""Bytes of paymaster data in each mode, the signature included."""


class GameRecord(Struct, frozen=True, gc=False):
    """What the paymaster knows of a game. Amounts in wei."""

    generation: int
    """How often its sponsor was set; 0: unknown to the paymaster."""
    day: int
    """The day that `spent_wei` is of: days since 1970, by the time that operations claim."""
    spent_wei: Wei
    """Sponsored on that day: the most that each operation could cost."""
    day_wei_max: Wei
    """Most in a day; 0: paused."""
    sponsor: Address
    """The key that signs vouchers; address 0 when the game has ended."""
    player_day_wei_max: Wei
    session_wei_max: Wei


class PlayerRecord(Struct, frozen=True, gc=False):
    """What an account has taken of a game."""

    day: int
    spent_wei: Wei


class SponsorshipRecord(Struct, frozen=True, gc=False):
    """What the paymaster knows of a session."""

    game: int
    generation: int
    """It counts only while this is the game's; 0: no voucher was ever taken."""
    limit_wei: Wei
    """Sponsored as long as the module has charged the session no more than this in all."""
    seen_wei: Wei
    """What the module had charged it after the last operation that was sponsored."""


class Voucher(Struct, frozen=True, gc=False):
    """A game's word that it pays for a session."""

    account: Address
    permission_id: PermissionId
    game: int
    limit_wei: Wei
    deadline: UnixSeconds
    """Last second, inclusive, at which it may be submitted."""
    signature: bytes = b""
    """The sponsor's 65 bytes."""


def game_number(name: str) -> int:
    """Give the number by which the paymaster knows a game: the first four bytes of its name's hash."""
    return int.from_bytes(keccak256(name.encode())[:4], "big")


def voucher_digest(chain_id: ChainId, paymaster: Address, voucher: Voucher, generation: int) -> Hash32:
    """Give the 32 bytes that the sponsor signs for a session, at the game's present generation.

    Raises:
        EncodingInvalid: the limit is outside 96 bits or the deadline outside 48.
    """
    if not 0 <= voucher.limit_wei <= LIMIT_WEI_MAX:
        raise EncodingInvalid(f"a voucher's limit must fit 96 bits, got {voucher.limit_wei}", found=voucher.limit_wei)
    _require_time(voucher.deadline)
    words = (voucher.game, generation, voucher.limit_wei, voucher.deadline)
    struct = b"".join((_VOUCHER_TYPEHASH, _address(voucher.account), voucher.permission_id, *map(_word, words)))
    return _digest(chain_id, paymaster, struct)


def sponsor_operation_digest(
    chain_id: ChainId, op: UserOperation, version: EntryPointVersion, generation: int
) -> Hash32:
    """Give the 32 bytes that the sponsor signs for one operation whose data is `signed_data` with any signature.

    Raises:
        EncodingInvalid: it has no paymaster data of that form, or does not fit the version.
    """
    packed = pack(op, version)
    if not isinstance(packed, PackedUserOperation) or op.paymaster is None:
        raise EncodingInvalid("only operations of EntryPoint 0.7 and later, with a paymaster, are signed by a sponsor")
    if len(op.paymaster_data) != SIGNED_DATA_LENGTH:
        raise EncodingInvalid(
            f"the paymaster's data has {len(op.paymaster_data)} bytes, needs {SIGNED_DATA_LENGTH}",
            found=len(op.paymaster_data),
            expected=SIGNED_DATA_LENGTH,
        )
    struct = b"".join(
        (
            _OPERATION_TYPEHASH,
            _address(packed.sender),
            _word(packed.nonce),
            keccak256(packed.init_code),
            keccak256(packed.call_data),
            packed.account_gas_limits,
            _word(packed.pre_verification_gas),
            packed.gas_fees,
            keccak256(packed.paymaster_and_data[:-SIGNATURE_LENGTH]),
            _word(generation),
        )
    )
    return _digest(chain_id, op.paymaster, struct)


def session_data(claimed_at: UnixSeconds, permission: PermissionId) -> bytes:
    """Write the paymaster's data for an operation of a session with a voucher.

    Raises:
        EncodingInvalid: the time is outside 48 bits.
    """
    _require_time(claimed_at)
    return _MODE_SESSION + claimed_at.to_bytes(6, "big") + permission


def signed_data(valid_after: UnixSeconds, valid_until: UnixSeconds, game: int, signature: bytes = b"") -> bytes:
    """Write the paymaster's data for an operation that the sponsor signs; zeros stand for a signature to come.

    Raises:
        EncodingInvalid: a time is outside 48 bits, or the signature is not 65 bytes.
    """
    _require_time(valid_after)
    _require_time(valid_until)
    signed = signature or bytes(SIGNATURE_LENGTH)
    if len(signed) != SIGNATURE_LENGTH:
        raise EncodingInvalid(f"a signature is 65 bytes, got {len(signed)}", found=len(signed), expected=65)
    times = (valid_after << 48 | valid_until).to_bytes(12, "big")
    return _MODE_SIGNED + times + game.to_bytes(4, "big") + signed


def with_sponsor_signature(op: UserOperation, signature: bytes) -> UserOperation:
    """Put the sponsor's signature in its place. Raises EncodingInvalid if it is not 65 bytes."""
    if len(signature) != SIGNATURE_LENGTH:
        raise EncodingInvalid(f"a signature is 65 bytes, got {len(signature)}", found=len(signature), expected=65)
    return replace(op, paymaster_data=op.paymaster_data[:-SIGNATURE_LENGTH] + signature)


def encode_sponsor(voucher: Voucher) -> bytes:
    """Encode the call that hands a voucher in. Raises EncodingInvalid for what does not fit."""
    return SPONSOR.encode_call(
        voucher.account,
        voucher.permission_id,
        voucher.game,
        voucher.limit_wei,
        voucher.deadline,
        voucher.signature,
    )


def decode_game(data: bytes) -> GameRecord:
    """Read what `gameOf` returned. Raises EncodingInvalid."""
    (record,) = GAME_OF.decode_result(data)
    generation, day, spent, day_max, sponsor, player_max, session_max = cast("tuple[int, ...]", record)
    return GameRecord(
        generation, day, Wei(spent), Wei(day_max), cast("Address", sponsor), Wei(player_max), Wei(session_max)
    )


def decode_player(data: bytes) -> PlayerRecord:
    """Read what `playerOf` returned. Raises EncodingInvalid."""
    (record,) = PLAYER_OF.decode_result(data)
    day, spent = cast("tuple[int, int]", record)
    return PlayerRecord(day, Wei(spent))


def decode_sponsorship(data: bytes) -> SponsorshipRecord:
    """Read what `sponsorshipOf` returned. Raises EncodingInvalid."""
    (record,) = SPONSORSHIP_OF.decode_result(data)
    game, generation, limit, seen = cast("tuple[int, ...]", record)
    return SponsorshipRecord(game, generation, Wei(limit), Wei(seen))


def _digest(chain_id: ChainId, paymaster: Address, struct: bytes) -> Hash32:
    domain = _DOMAIN_HEAD + _word(chain_id) + _address(paymaster)
    return keccak256(b"\x19\x01" + keccak256(domain) + keccak256(struct))


def _require_time(time: int) -> None:
    if not 0 <= time <= UINT48_MAX:
        raise EncodingInvalid(f"times must fit 48 bits, got {time}", found=time, maximum=UINT48_MAX)


def _address(address: Address) -> bytes:
    return address.rjust(32, b"\x00")


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")
