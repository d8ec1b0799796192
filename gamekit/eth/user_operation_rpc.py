"""The user operation as JSON-RPC carries it: hexadecimal fields, factory and paymaster in groups of all or none.

Reading is strict about what it takes and lenient about how numbers are padded; writing gives the canonical form.
EntryPoint 0.6 has `initCode` and `paymasterAndData` in the place of the groups.

Source: ERC-7769, `eth_sendUserOperation`.
"""

from typing import Final

import msgspec

from gamekit.errors import EncodingInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address, parse_address, parse_hex, to_hex
from gamekit.eth.user_operation import DELEGATION_FACTORY, UnpackedUserOperation, UserOperation, pack, unpack
from gamekit.units import Address, Gas, Wei

_SHORT_DELEGATION: Final = "0x7702"
"""How the standard lets the factory of a delegated account be written."""
_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


class RpcUserOperation(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The fields of an operation as text, for every version."""

    sender: str
    nonce: str
    call_data: str
    call_gas_limit: str
    verification_gas_limit: str
    pre_verification_gas: str
    max_fee_per_gas: str
    max_priority_fee_per_gas: str
    signature: str = "0x"
    init_code: str | None = None
    """0.6 only."""
    paymaster_and_data: str | None = None
    """0.6 only."""
    factory: str | None = None
    factory_data: str | None = None
    paymaster: str | None = None
    paymaster_verification_gas_limit: str | None = None
    paymaster_post_op_gas_limit: str | None = None
    paymaster_data: str | None = None
    paymaster_signature: str | None = None
    """0.9 only."""
    authorization: dict[str, object] | None = msgspec.field(name="eip7702Auth", default=None)
    """The authorization that a bundler puts into its transaction; says which contract the code delegates to."""


def from_rpc(fields: object, version: EntryPointVersion) -> UserOperation:
    """Read an operation from a JSON object.

    Raises:
        EncodingInvalid: a field is missing, unknown, of another version, or not well written; or a group is half there.
    """
    rpc = _convert(fields)
    _require_groups(rpc, version)
    if version is EntryPointVersion.V06:
        return _from_rpc_06(rpc)
    paymaster = None if rpc.paymaster is None else _address("paymaster", rpc.paymaster)
    op = UserOperation(
        sender=_address("sender", rpc.sender),
        nonce=_number("nonce", rpc.nonce),
        factory=None if rpc.factory is None else _factory(rpc.factory),
        factory_data=_data("factoryData", rpc.factory_data or "0x"),
        call_data=_data("callData", rpc.call_data),
        call_gas_limit=Gas(_number("callGasLimit", rpc.call_gas_limit)),
        verification_gas_limit=Gas(_number("verificationGasLimit", rpc.verification_gas_limit)),
        pre_verification_gas=Gas(_number("preVerificationGas", rpc.pre_verification_gas)),
        max_fee_per_gas=Wei(_number("maxFeePerGas", rpc.max_fee_per_gas)),
        max_priority_fee_per_gas=Wei(_number("maxPriorityFeePerGas", rpc.max_priority_fee_per_gas)),
        paymaster=paymaster,
        paymaster_verification_gas_limit=Gas(
            _number("paymasterVerificationGasLimit", rpc.paymaster_verification_gas_limit or "0x0")
        ),
        paymaster_post_op_gas_limit=Gas(_number("paymasterPostOpGasLimit", rpc.paymaster_post_op_gas_limit or "0x0")),
        paymaster_data=_data("paymasterData", rpc.paymaster_data or "0x"),
        paymaster_signature=_data("paymasterSignature", rpc.paymaster_signature or "0x"),
        signature=_data("signature", rpc.signature),
    )
    pack(op, version)  # refuses numbers and groups that the version cannot carry
    return op


def delegate_from_rpc(fields: object) -> Address | None:
    """Read which contract the account's code delegates to, from the operation's `eip7702Auth`; None without one.

    Raises:
        EncodingInvalid: the object is no operation, or its authorization names no address.
    """
    authorization = _convert(fields).authorization
    if authorization is None:
        return None
    address = authorization.get("address")
    if not isinstance(address, str):
        raise EncodingInvalid("eip7702Auth needs the address that the code delegates to", found=str(address)[:80])
    return _address("eip7702Auth.address", address)


def to_rpc(op: UserOperation, version: EntryPointVersion) -> dict[str, str]:
    """Write an operation as the JSON object that bundlers take.

    Raises:
        EncodingInvalid: the operation does not fit the version.
    """
    packed = pack(op, version)
    fields = {
        "sender": checksum_address(op.sender),
        "nonce": hex(op.nonce),
        "callData": to_hex(op.call_data),
        "callGasLimit": hex(op.call_gas_limit),
        "verificationGasLimit": hex(op.verification_gas_limit),
        "preVerificationGas": hex(op.pre_verification_gas),
        "maxFeePerGas": hex(op.max_fee_per_gas),
        "maxPriorityFeePerGas": hex(op.max_priority_fee_per_gas),
        "signature": to_hex(op.signature),
    }
    if isinstance(packed, UnpackedUserOperation):
        return fields | {
            "initCode": to_hex(packed.init_code),
            "paymasterAndData": to_hex(packed.paymaster_and_data),
        }
    if op.factory is not None:
        factory = _SHORT_DELEGATION if op.factory == DELEGATION_FACTORY else checksum_address(op.factory)
        fields |= {"factory": factory, "factoryData": to_hex(op.factory_data)}
    if op.paymaster is not None:
        fields |= {
            "paymaster": checksum_address(op.paymaster),
            "paymasterVerificationGasLimit": hex(op.paymaster_verification_gas_limit),
            "paymasterPostOpGasLimit": hex(op.paymaster_post_op_gas_limit),
            "paymasterData": to_hex(op.paymaster_data),
        }
    if op.paymaster_signature:
        fields["paymasterSignature"] = to_hex(op.paymaster_signature)
    return fields


def _convert(fields: object) -> RpcUserOperation:
    try:
        return msgspec.convert(fields, RpcUserOperation)
    except msgspec.ValidationError as error:
        raise EncodingInvalid(f"this is not a user operation: {error}") from error


def _require_groups(rpc: RpcUserOperation, version: EntryPointVersion) -> None:
    """Refuse fields of another version and groups that are half there."""
    own_06 = {"initCode": rpc.init_code, "paymasterAndData": rpc.paymaster_and_data}
    factory = {"factory": rpc.factory, "factoryData": rpc.factory_data}
    paymaster = {
        "paymaster": rpc.paymaster,
        "paymasterVerificationGasLimit": rpc.paymaster_verification_gas_limit,
        "paymasterPostOpGasLimit": rpc.paymaster_post_op_gas_limit,
        "paymasterData": rpc.paymaster_data,
    }
    newer = factory | paymaster | {"paymasterSignature": rpc.paymaster_signature}
    for name, value in (newer if version is EntryPointVersion.V06 else own_06).items():
        if value is not None:
            raise EncodingInvalid(f"EntryPoint {version.value} has no field {name}", field=name, version=version.value)
    if rpc.factory is not None and _factory(rpc.factory) == DELEGATION_FACTORY:
        del factory["factoryData"]  # optional for a delegated account
    for group in (factory, paymaster):
        missing = [name for name, value in group.items() if value is None]
        if missing and len(missing) < len(group):
            raise EncodingInvalid(f"{', '.join(group)} go together; {', '.join(missing)} is missing", field=missing[0])


def _from_rpc_06(rpc: RpcUserOperation) -> UserOperation:
    unpacked = UnpackedUserOperation(
        sender=_address("sender", rpc.sender),
        nonce=_number("nonce", rpc.nonce),
        init_code=_data("initCode", rpc.init_code or "0x"),
        call_data=_data("callData", rpc.call_data),
        call_gas_limit=Gas(_number("callGasLimit", rpc.call_gas_limit)),
        verification_gas_limit=Gas(_number("verificationGasLimit", rpc.verification_gas_limit)),
        pre_verification_gas=Gas(_number("preVerificationGas", rpc.pre_verification_gas)),
        max_fee_per_gas=Wei(_number("maxFeePerGas", rpc.max_fee_per_gas)),
        max_priority_fee_per_gas=Wei(_number("maxPriorityFeePerGas", rpc.max_priority_fee_per_gas)),
        paymaster_and_data=_data("paymasterAndData", rpc.paymaster_and_data or "0x"),
        signature=_data("signature", rpc.signature),
    )
    return unpack(unpacked, EntryPointVersion.V06)


def _factory(text: str) -> Address:
    return DELEGATION_FACTORY if text == _SHORT_DELEGATION else _address("factory", text)


def _address(field: str, text: str) -> Address:
    try:
        return parse_address(text)
    except EncodingInvalid as error:
        raise EncodingInvalid(f"{field}: {error}", field=field, **error.compared) from error


def _data(field: str, text: str) -> bytes:
    try:
        return parse_hex(text)
    except EncodingInvalid as error:
        raise EncodingInvalid(f"{field}: {error}", field=field, **error.compared) from error


def _number(field: str, text: str) -> int:
    """Read a number of at most 256 bits; leading zeros are taken, since some libraries write them."""
    digits = text[2:]
    if not text.startswith("0x") or not 0 < len(digits) <= 64 or not set(digits) <= _DIGITS:
        raise EncodingInvalid(
            f"{field}: expected a number such as 0x1f, got {text[:80]!r}", field=field, found=text[:80]
        )
    return int(digits, 16)
