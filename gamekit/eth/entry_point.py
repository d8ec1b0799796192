"""Speaking with an EntryPoint: calldata to it, and what its events and errors say.

Operations and their hashes stand in `user_operation.py` and `user_op_hash.py`, the AAxx codes in `validation_code.py`.

Source: IEntryPoint, INonceManager and IStakeManager of EntryPoint 0.6 to 0.9.
"""

from collections.abc import Sequence
from typing import Final, TypeVar, cast

from msgspec import Struct, convert

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import AbiValue
from gamekit.eth.block import Log
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import CustomError, Event, Function, Interface
from gamekit.eth.user_operation import (
    OnChainUserOperation,
    PackedUserOperation,
    UnpackedUserOperation,
    UserOperation,
    pack,
)
from gamekit.eth.validation_code import ValidationCode, validation_code
from gamekit.units import ZERO_ADDRESS, Address, Gas, NonceKey, UserOpHash, Wei

T = TypeVar("T", UnpackedUserOperation, PackedUserOperation)

_UNPACKED: Final = (
    "(address sender,uint256 nonce,bytes init_code,bytes call_data,uint256 call_gas_limit,"
    "uint256 verification_gas_limit,uint256 pre_verification_gas,uint256 max_fee_per_gas,"
    "uint256 max_priority_fee_per_gas,bytes paymaster_and_data,bytes signature)"
)
_PACKED: Final = (
    "(address sender,uint256 nonce,bytes init_code,bytes call_data,bytes32 account_gas_limits,"
    "uint256 pre_verification_gas,bytes32 gas_fees,bytes paymaster_and_data,bytes signature)"
)

GET_NONCE: Final = Function.parse("getNonce(address sender,uint192 key)", "uint256 nonce", "view")
DEPOSIT_TO: Final = Function.parse("depositTo(address account)", "", "payable")
BALANCE_OF: Final = Function.parse("balanceOf(address account)", "uint256", "view")
GET_DEPOSIT_INFO: Final = Function.parse(
    "getDepositInfo(address account)",
    "(uint256 deposit,bool staked,uint112 stake,uint32 unstake_delay_s,uint48 withdraw_time)",
    "view",
)
WITHDRAW_TO: Final = Function.parse("withdrawTo(address withdrawAddress,uint256 withdrawAmount)")
INCREMENT_NONCE: Final = Function.parse("incrementNonce(uint192 key)")
HANDLE_OPS_06: Final = Function.parse(f"handleOps({_UNPACKED}[] ops,address beneficiary)")
HANDLE_OPS: Final = Function.parse(f"handleOps({_PACKED}[] ops,address beneficiary)")
"""Of 0.7 and later."""
GET_USER_OP_HASH_06: Final = Function.parse(f"getUserOpHash({_UNPACKED} userOp)", "bytes32", "view")
GET_USER_OP_HASH: Final = Function.parse(f"getUserOpHash({_PACKED} userOp)", "bytes32", "view")
"""Of 0.7 and later."""

USER_OPERATION_EVENT: Final = Event.parse(
    "UserOperationEvent(bytes32 indexed userOpHash,address indexed sender,address indexed paymaster,"
    "uint256 nonce,bool success,uint256 actualGasCost,uint256 actualGasUsed)"
)
REVERT_REASON: Final = Event.parse(
    "UserOperationRevertReason(bytes32 indexed userOpHash,address indexed sender,uint256 nonce,bytes revertReason)"
)
POST_OP_REVERT_REASON: Final = Event.parse(
    "PostOpRevertReason(bytes32 indexed userOpHash,address indexed sender,uint256 nonce,bytes revertReason)"
)
PREFUND_TOO_LOW: Final = Event.parse(
    "UserOperationPrefundTooLow(bytes32 indexed userOpHash,address indexed sender,uint256 nonce)"
)
ACCOUNT_DEPLOYED: Final = Event.parse(
    "AccountDeployed(bytes32 indexed userOpHash,address indexed sender,address factory,address paymaster)"
)
BEFORE_EXECUTION: Final = Event.parse("BeforeExecution()")
DEPOSITED: Final = Event.parse("Deposited(address indexed account,uint256 totalDeposit)")

FAILED_OP: Final = CustomError.parse("FailedOp(uint256 opIndex,string reason)")
FAILED_OP_WITH_REVERT: Final = CustomError.parse("FailedOpWithRevert(uint256 opIndex,string reason,bytes inner)")

ENTRY_POINT: Final = Interface(
    functions=(GET_NONCE, DEPOSIT_TO, BALANCE_OF, WITHDRAW_TO, INCREMENT_NONCE, HANDLE_OPS_06, HANDLE_OPS),
    events=(
        USER_OPERATION_EVENT,
        REVERT_REASON,
        POST_OP_REVERT_REASON,
        PREFUND_TOO_LOW,
        ACCOUNT_DEPLOYED,
        BEFORE_EXECUTION,
        DEPOSITED,
    ),
    errors=(
        FAILED_OP,
        FAILED_OP_WITH_REVERT,
        CustomError.parse("SignatureValidationFailed(address aggregator)"),
        CustomError.parse("PostOpReverted(bytes returnData)"),
    ),
)
"""What all versions share, for reading calldata, logs and reverts that have no typed form below."""


class UserOperationEvent(Struct, frozen=True, gc=False):
    """How one operation ended: the only proof that it was executed."""

    user_op_hash: UserOpHash
    sender: Address
    paymaster: Address | None
    nonce: int
    success: bool
    """Whether its execution did not revert; validation succeeded and its nonce is spent either way."""
    actual_gas_cost: Wei
    """What the account or the paymaster paid."""
    actual_gas_used: Gas
    """All of the operation, its pre-verification gas and penalties included."""


class OperationLogs(Struct, frozen=True):
    """One operation's part of a handleOps transaction."""

    event: UserOperationEvent
    revert_reason: bytes
    """What its execution reverted with; empty when it did not revert, or said nothing."""
    logs: tuple[Log, ...]
    """What its execution emitted, in order, without the EntryPoint's own closing event."""


class FailedOp(Struct, frozen=True):
    """Which operation made handleOps revert in validation, and why."""

    operation_index: int
    """Place in the bundle, from 0."""
    reason: str
    """As the EntryPoint says it, with its AAxx code."""
    code: ValidationCode | None
    """None when the reason has no known code."""
    inner: bytes
    """What the account or the paymaster reverted with; empty on 0.6, which folds it into the reason."""


class HandleOps(Struct, frozen=True):
    """A bundle, read from the calldata of its transaction."""

    operations: tuple[OnChainUserOperation, ...]
    beneficiary: Address


def encode_handle_ops(operations: Sequence[UserOperation], beneficiary: Address, version: EntryPointVersion) -> bytes:
    """Encode the calldata that bundles operations; the beneficiary gets their fees.

    Raises:
        EncodingInvalid: an operation that does not fit the version.
    """
    return join_handle_ops([pack_bundle_element(op, version) for op in operations], beneficiary, version)


def pack_bundle_element(op: UserOperation, version: EntryPointVersion) -> bytes:
    """Encode one operation as it stands in a bundle, so that bundling is only joining.

    Raises:
        EncodingInvalid: the operation does not fit the version.
    """
    packed = pack(op, version)
    if isinstance(packed, UnpackedUserOperation):
        return _join_operation(
            (packed.sender.rjust(32, b"\x00"), _word(packed.nonce)),
            (packed.init_code, packed.call_data),
            (
                _word(packed.call_gas_limit),
                _word(packed.verification_gas_limit),
                _word(packed.pre_verification_gas),
                _word(packed.max_fee_per_gas),
                _word(packed.max_priority_fee_per_gas),
            ),
            (packed.paymaster_and_data, packed.signature),
        )
    return _join_operation(
        (packed.sender.rjust(32, b"\x00"), _word(packed.nonce)),
        (packed.init_code, packed.call_data),
        (packed.account_gas_limits, _word(packed.pre_verification_gas), packed.gas_fees),
        (packed.paymaster_and_data, packed.signature),
    )


def join_handle_ops(elements: Sequence[bytes], beneficiary: Address, version: EntryPointVersion) -> bytes:
    """Join operations, as `pack_bundle_element` gave them, into the calldata of one bundle."""
    offset = 32 * len(elements)
    offsets = []
    for element in elements:
        offsets.append(_word(offset))
        offset += len(element)
    selector = HANDLE_OPS.selector if version.is_packed else HANDLE_OPS_06.selector
    head = (selector, _word(0x40), beneficiary.rjust(32, b"\x00"), _word(len(elements)))
    return b"".join((*head, *offsets, *elements))


def decode_handle_ops(calldata: bytes) -> HandleOps:
    """Read a bundle from calldata of any version; the operations come in the form of their version.

    Raises:
        EncodingInvalid: another function, or an encoding that is not the canonical one.
    """
    is_packed = calldata[:4] == HANDLE_OPS.selector
    operations, beneficiary = (HANDLE_OPS if is_packed else HANDLE_OPS_06).decode_call(calldata)
    rows = cast("tuple[tuple[AbiValue, ...], ...]", operations)
    structs = _structs(PackedUserOperation, rows) if is_packed else _structs(UnpackedUserOperation, rows)
    return HandleOps(structs, Address(_bytes(beneficiary)))


def _structs(form: type[T], rows: Sequence[Sequence[AbiValue]]) -> tuple[T, ...]:
    names = form.__struct_fields__
    return tuple(convert(dict(zip(names, row, strict=True)), form) for row in rows)


def encode_get_nonce(sender: Address, key: NonceKey) -> bytes:
    """Encode the question which nonce comes next on a key."""
    return GET_NONCE.encode_call(sender, key)


def decode_nonce(answer: bytes, key: NonceKey) -> int:
    """Read what `getNonce` answered: the next nonce, 256 bits, of which the upper 192 are the key.

    Raises: EncodingInvalid for an answer that is no such nonce.
    """
    nonce = int.from_bytes(answer, "big")
    if len(answer) != 32 or nonce >> 64 != key:
        raise EncodingInvalid(f"no nonce of key {key:#x}", expected=key, found=answer[:64])
    return nonce


def encode_get_user_op_hash(op: UserOperation, version: EntryPointVersion) -> bytes:
    """Encode the question what the EntryPoint itself takes for an operation's hash."""
    selector = GET_USER_OP_HASH.selector if version.is_packed else GET_USER_OP_HASH_06.selector
    return selector + _word(0x20) + pack_bundle_element(op, version)


def decode_user_operation_event(log: Log, entry_point: Address) -> UserOperationEvent | None:
    """Read how an operation ended, or give None for any other log, or one that another contract emitted."""
    if log.address != entry_point or log.topics[:1] != (USER_OPERATION_EVENT.topic,):
        return None
    values = USER_OPERATION_EVENT.decode(log).values
    paymaster = Address(_bytes(values["paymaster"]))
    return UserOperationEvent(
        user_op_hash=UserOpHash(_bytes(values["userOpHash"])),
        sender=Address(_bytes(values["sender"])),
        paymaster=None if paymaster == ZERO_ADDRESS else paymaster,
        nonce=_int(values["nonce"]),
        success=bool(values["success"]),
        actual_gas_cost=Wei(_int(values["actualGasCost"])),
        actual_gas_used=Gas(_int(values["actualGasUsed"])),
    )


def split_logs_by_operation(logs: Sequence[Log], entry_point: Address) -> tuple[OperationLogs, ...]:
    """Split the logs of one transaction into the operations that it executed, in their order.

    An operation's logs stand between `BeforeExecution`, or the end of the operation before it, and its own
    `UserOperationEvent`. Logs of validation, and those outside any handleOps, belong to none. Only the EntryPoint's own
    logs divide: anyone may emit the same topics.
    """
    operations: list[OperationLogs] = []
    segment: list[Log] = []
    reason = b""
    for log in logs:
        event = decode_user_operation_event(log, entry_point)
        topic = log.topics[0] if log.topics and log.address == entry_point else b""
        if event is not None:
            operations.append(OperationLogs(event, reason, tuple(segment)))
        if event is not None or topic == BEFORE_EXECUTION.topic:
            segment, reason = [], b""
            continue
        segment.append(log)
        if topic == REVERT_REASON.topic:
            reason = _bytes(REVERT_REASON.decode(log).values["revertReason"])
    return tuple(operations)


def decode_failed_op(data: bytes) -> FailedOp | None:
    """Read which operation made handleOps revert, or give None when the revert data says nothing of the kind."""
    revert = ENTRY_POINT.decode_revert(data)
    if revert.name not in (FAILED_OP.name, FAILED_OP_WITH_REVERT.name):
        return None
    reason = str(revert.values["reason"])
    inner = _bytes(revert.values.get("inner", b""))
    return FailedOp(_int(revert.values["opIndex"]), reason, validation_code(reason), inner)


def _join_operation(
    first: Sequence[bytes], early: tuple[bytes, bytes], words: Sequence[bytes], late: tuple[bytes, bytes]
) -> bytes:
    """Join an operation: words, two offsets, words, two offsets, then the four byte strings that they point at."""
    offset = 32 * (len(first) + len(words) + 4)
    offsets, tails = [], []
    for data in (*early, *late):
        offsets.append(_word(offset))
        tail = _word(len(data)) + data + bytes(-len(data) % 32)
        tails.append(tail)
        offset += len(tail)
    return b"".join((*first, *offsets[:2], *words, *offsets[2:], *tails))


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _bytes(value: AbiValue) -> bytes:
    return cast("bytes", value)


def _int(value: AbiValue) -> int:
    return cast("int", value)
