"""The user operation: its version-neutral fields, how they are packed for each EntryPoint, and its nonce.

Hashes stand in `user_op_hash.py`, the JSON-RPC form in `user_operation_rpc.py`.

Source: ERC-4337; the layouts are those of the EntryPoint contracts 0.6 to 0.9.
"""

from typing import Final, TypeAlias

from msgspec import Struct

from gamekit.errors import EncodingInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.units import UINT64_MAX, UINT128_MAX, UINT192_MAX, UINT256_MAX, Address, Gas, NonceKey, NonceSequence, Wei

DELEGATION_FACTORY: Final = Address(b"\x77\x02" + bytes(18))
"""Stands in the factory's place when the account's code is a delegation. Source: ERC-4337, EIP-7702 support."""

PAYMASTER_SIGNATURE_MAGIC: Final = bytes.fromhex("22e325a297439656")
"""Ends `paymasterAndData` when a paymaster signature stands before it. Source: EntryPoint 0.9, UserOperationLib."""

_PAYMASTER_HEAD: Final = 52
"""Paymaster 20, verification gas 16, post-operation gas 16."""
_SIGNATURE_TAIL: Final = 10
"""Length 2, magic 8."""


class UserOperation(Struct, frozen=True, gc=False, kw_only=True):
    """An operation in the words of the standard, whatever the EntryPoint."""

    sender: Address
    """The account."""
    nonce: int
    """Key in the upper 192 bits, sequence in the lower 64."""
    call_data: bytes
    call_gas_limit: Gas
    verification_gas_limit: Gas
    pre_verification_gas: Gas
    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei
    factory: Address | None = None
    """Creates the account, or `DELEGATION_FACTORY`; None when the account exists."""
    factory_data: bytes = b""
    paymaster: Address | None = None
    """Pays the gas; None when the account does."""
    paymaster_verification_gas_limit: Gas = Gas(0)
    """0 on EntryPoint 0.6, which has no place for it."""
    paymaster_post_op_gas_limit: Gas = Gas(0)
    """0 on EntryPoint 0.6, which has no place for it."""
    paymaster_data: bytes = b""
    paymaster_signature: bytes = b""
    """Outside the hash; EntryPoint 0.9 only. At most 65535 bytes."""
    signature: bytes = b""


class UnpackedUserOperation(Struct, frozen=True, gc=False, kw_only=True):
    """An operation as EntryPoint 0.6 takes it."""

    sender: Address
    nonce: int
    init_code: bytes
    call_data: bytes
    call_gas_limit: Gas
    verification_gas_limit: Gas
    pre_verification_gas: Gas
    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei
    paymaster_and_data: bytes
    signature: bytes


class PackedUserOperation(Struct, frozen=True, gc=False, kw_only=True):
    """An operation as EntryPoint 0.7 and later take it."""

    sender: Address
    nonce: int
    init_code: bytes
    """Factory and its data, or empty."""
    call_data: bytes
    account_gas_limits: bytes
    """Verification gas limit 16, call gas limit 16."""
    pre_verification_gas: Gas
    gas_fees: bytes
    """Max priority fee per gas 16, max fee per gas 16."""
    paymaster_and_data: bytes
    """Paymaster 20, its verification gas limit 16, its post-operation gas limit 16, its data; or empty."""
    signature: bytes


OnChainUserOperation: TypeAlias = UnpackedUserOperation | PackedUserOperation


def split_nonce(nonce: int) -> tuple[NonceKey, NonceSequence]:
    """Split a nonce into its key and its place on that key."""
    return NonceKey(nonce >> 64), NonceSequence(nonce & UINT64_MAX)


def join_nonce(key: NonceKey, sequence: NonceSequence) -> int:
    """Join a key and a sequence into a nonce.

    Raises:
        EncodingInvalid: the key has more than 192 bits or the sequence more than 64.
    """
    if not 0 <= key <= UINT192_MAX or not 0 <= sequence <= UINT64_MAX:
        raise EncodingInvalid(f"nonce key {key} and sequence {sequence} need 192 and 64 bits", found=(key, sequence))
    return key << 64 | sequence


def pack_pair(high: int, low: int) -> bytes:
    """Pack two numbers of 128 bits into a word, as all gas pairs of packed operations are.

    Raises:
        EncodingInvalid: either does not fit.
    """
    if not 0 <= high <= UINT128_MAX or not 0 <= low <= UINT128_MAX:
        raise EncodingInvalid(f"{high} and {low} must be 0 to 2**128 - 1", found=(high, low), maximum=UINT128_MAX)
    return (high << 128 | low).to_bytes(32, "big")


def pack(op: UserOperation, version: EntryPointVersion) -> OnChainUserOperation:
    """Give the operation the form that an EntryPoint takes.

    Raises:
        EncodingInvalid: a number out of range, factory or paymaster fields without their address, or a field that
            this version has no place for.
    """
    _require_fields(op, version)
    init_code = (op.factory or b"") + op.factory_data
    if version is EntryPointVersion.V06:
        return UnpackedUserOperation(
            sender=op.sender,
            nonce=op.nonce,
            init_code=init_code,
            call_data=op.call_data,
            call_gas_limit=op.call_gas_limit,
            verification_gas_limit=op.verification_gas_limit,
            pre_verification_gas=op.pre_verification_gas,
            max_fee_per_gas=op.max_fee_per_gas,
            max_priority_fee_per_gas=op.max_priority_fee_per_gas,
            paymaster_and_data=(op.paymaster or b"") + op.paymaster_data,
            signature=op.signature,
        )
    return PackedUserOperation(
        sender=op.sender,
        nonce=op.nonce,
        init_code=init_code,
        call_data=op.call_data,
        account_gas_limits=pack_pair(op.verification_gas_limit, op.call_gas_limit),
        pre_verification_gas=op.pre_verification_gas,
        gas_fees=pack_pair(op.max_priority_fee_per_gas, op.max_fee_per_gas),
        paymaster_and_data=_paymaster_and_data(op),
        signature=op.signature,
    )


def unpack(packed: OnChainUserOperation, version: EntryPointVersion) -> UserOperation:
    """Take an operation in its on-chain form apart; the inverse of `pack`.

    Raises:
        EncodingInvalid: `init_code` or `paymaster_and_data` is too short for what it must hold, or the form is not
            that of this version.
    """
    if isinstance(packed, PackedUserOperation) is not version.is_packed:
        form = type(packed).__name__
        raise EncodingInvalid(f"EntryPoint {version.value} takes no {form}", found=form, version=version.value)
    factory, factory_data = _split_init_code(packed.init_code, version)
    if isinstance(packed, UnpackedUserOperation):
        paymaster, paymaster_data = _split_address("paymaster_and_data", packed.paymaster_and_data)
        return UserOperation(
            sender=packed.sender,
            nonce=packed.nonce,
            factory=factory,
            factory_data=factory_data,
            call_data=packed.call_data,
            call_gas_limit=packed.call_gas_limit,
            verification_gas_limit=packed.verification_gas_limit,
            pre_verification_gas=packed.pre_verification_gas,
            max_fee_per_gas=packed.max_fee_per_gas,
            max_priority_fee_per_gas=packed.max_priority_fee_per_gas,
            paymaster=paymaster,
            paymaster_data=paymaster_data,
            signature=packed.signature,
        )
    verification_gas_limit, call_gas_limit = split_pair(packed.account_gas_limits)
    max_priority_fee_per_gas, max_fee_per_gas = split_pair(packed.gas_fees)
    signed, paymaster_signature = split_paymaster_signature(packed.paymaster_and_data, version)
    paymaster, limits_and_data = _split_address("paymaster_and_data", signed)
    if paymaster is not None and len(signed) < _PAYMASTER_HEAD:
        raise _too_short("paymaster_and_data", signed, _PAYMASTER_HEAD)
    paymaster_verification_gas_limit, paymaster_post_op_gas_limit = split_pair(limits_and_data[:32])
    return UserOperation(
        sender=packed.sender,
        nonce=packed.nonce,
        factory=factory,
        factory_data=factory_data,
        call_data=packed.call_data,
        call_gas_limit=Gas(call_gas_limit),
        verification_gas_limit=Gas(verification_gas_limit),
        pre_verification_gas=packed.pre_verification_gas,
        max_fee_per_gas=Wei(max_fee_per_gas),
        max_priority_fee_per_gas=Wei(max_priority_fee_per_gas),
        paymaster=paymaster,
        paymaster_verification_gas_limit=Gas(paymaster_verification_gas_limit),
        paymaster_post_op_gas_limit=Gas(paymaster_post_op_gas_limit),
        paymaster_data=limits_and_data[32:],
        paymaster_signature=paymaster_signature,
        signature=packed.signature,
    )


def split_pair(word: bytes) -> tuple[int, int]:
    """Split a word into its upper and lower 128 bits."""
    return int.from_bytes(word[:16], "big"), int.from_bytes(word[16:], "big")


def split_paymaster_signature(paymaster_and_data: bytes, version: EntryPointVersion) -> tuple[bytes, bytes]:
    """Split what the operation's hash covers from the paymaster's signature, which may be empty.

    Raises:
        EncodingInvalid: the signature claims to reach into the paymaster's fixed fields.

    Source: EntryPoint 0.9, UserOperationLib: `data | signature | length 2 | magic 8`; a length of 0 is plain data.
    """
    shortest = _PAYMASTER_HEAD + _SIGNATURE_TAIL
    has_tail = len(paymaster_and_data) >= shortest and paymaster_and_data.endswith(PAYMASTER_SIGNATURE_MAGIC)
    length = int.from_bytes(paymaster_and_data[-_SIGNATURE_TAIL:-8], "big")
    if version is not EntryPointVersion.V09 or not has_tail or length == 0:
        return paymaster_and_data, b""
    if length > len(paymaster_and_data) - shortest:
        raise EncodingInvalid(
            f"a paymaster signature of {length} bytes does not fit {len(paymaster_and_data)} bytes of data",
            found=length,
            maximum=len(paymaster_and_data) - shortest,
        )
    end = len(paymaster_and_data) - _SIGNATURE_TAIL
    return paymaster_and_data[: end - length], paymaster_and_data[end - length : end]


def is_delegation(init_code: bytes, version: EntryPointVersion) -> bool:
    """Whether `init_code` says that the account's code is a delegation: 0x7702, zeros up to 20 bytes, then data.

    Source: EntryPoint 0.8, Eip7702Support.
    """
    return version.is_typed_data and len(init_code) >= 2 and init_code[:20].ljust(20, b"\x00") == DELEGATION_FACTORY


def _require_fields(op: UserOperation, version: EntryPointVersion) -> None:
    words = (op.nonce, op.call_gas_limit, op.verification_gas_limit, op.pre_verification_gas)
    if not all(0 <= word <= UINT256_MAX for word in (*words, op.max_fee_per_gas, op.max_priority_fee_per_gas)):
        raise EncodingInvalid("a number of the operation is outside 0 to 2**256 - 1", found=words, maximum=UINT256_MAX)
    for name, address in (("sender", op.sender), ("factory", op.factory), ("paymaster", op.paymaster)):
        if address is not None and len(address) != 20:
            raise EncodingInvalid(f"{name} must be 20 bytes, got {len(address)}", found=len(address), expected=20)
    if op.factory is None and op.factory_data:
        raise EncodingInvalid("factory_data needs a factory", found=op.factory_data)
    limits = (op.paymaster_verification_gas_limit, op.paymaster_post_op_gas_limit)
    if op.paymaster is None and (any(limits) or op.paymaster_data or op.paymaster_signature):
        raise EncodingInvalid("paymaster fields need a paymaster", found=limits)
    if version is EntryPointVersion.V06 and any(limits):
        raise EncodingInvalid(
            f"EntryPoint 0.6 has no paymaster gas limits, got {limits}", found=limits, expected=(0, 0)
        )
    length = len(op.paymaster_signature)
    length_max = (1 << 16) - 1 if version is EntryPointVersion.V09 else 0
    if length > length_max:
        raise EncodingInvalid(
            f"EntryPoint {version.value} takes a paymaster signature of at most {length_max} bytes, got {length}",
            found=length,
            maximum=length_max,
        )


def _paymaster_and_data(op: UserOperation) -> bytes:
    if op.paymaster is None:
        return b""
    limits = pack_pair(op.paymaster_verification_gas_limit, op.paymaster_post_op_gas_limit)
    signed = op.paymaster + limits + op.paymaster_data
    if not op.paymaster_signature:
        return signed
    length = len(op.paymaster_signature).to_bytes(2, "big")
    return signed + op.paymaster_signature + length + PAYMASTER_SIGNATURE_MAGIC


def _split_init_code(init_code: bytes, version: EntryPointVersion) -> tuple[Address | None, bytes]:
    if is_delegation(init_code, version):
        return DELEGATION_FACTORY, init_code[20:]
    return _split_address("init_code", init_code)


def _split_address(field: str, data: bytes) -> tuple[Address | None, bytes]:
    """Split a leading address off; no data means no address."""
    if 0 < len(data) < 20:
        raise _too_short(field, data, 20)
    return Address(data[:20]) if data else None, data[20:]


def _too_short(field: str, data: bytes, minimum: int) -> EncodingInvalid:
    return EncodingInvalid(f"{field} has {len(data)} bytes, needs {minimum}", found=len(data), minimum=minimum)
