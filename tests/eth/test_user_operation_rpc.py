"""Operations as JSON objects: read strictly, written canonically."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.errors import EncodingInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.user_operation import DELEGATION_FACTORY, UserOperation
from gamekit.eth.user_operation_rpc import delegate_from_rpc, from_rpc, to_rpc
from gamekit.units import Address
from tests.eth.operations import VERSIONS, operations

V06, V07, V08, V09 = EntryPointVersion
# Source: ERC-7769 names the fields; the values are ours.
PLAIN: dict[str, object] = {
    "sender": "0x0A0A0a0a0a0a0a0A0a0a0A0a0A0A0A0a0a0a0a0a",
    "nonce": "0x1f",
    "callData": "0xabcd",
    "callGasLimit": "0x1",
    "verificationGasLimit": "0x2",
    "preVerificationGas": "0x3",
    "maxFeePerGas": "0x4",
    "maxPriorityFeePerGas": "0x5",
    "signature": "0x",
}
FACTORY: dict[str, object] = {"factory": "0x" + "0e" * 20, "factoryData": "0x01"}
PAYMASTER: dict[str, object] = {
    "paymaster": "0x" + "0f" * 20,
    "paymasterVerificationGasLimit": "0x6",
    "paymasterPostOpGasLimit": "0x7",
    "paymasterData": "0x02",
}


@given(VERSIONS.flatmap(lambda version: st.tuples(st.just(version), operations(version))))
def test_from_rpc_behavior_inverts_to_rpc(case: tuple[EntryPointVersion, UserOperation]) -> None:
    version, op = case
    assert from_rpc(to_rpc(op, version), version) == op


def test_from_rpc_default() -> None:
    op = from_rpc(PLAIN | FACTORY | PAYMASTER, V07)
    assert (op.nonce, op.call_data, op.call_gas_limit, op.max_priority_fee_per_gas) == (31, b"\xab\xcd", 1, 5)
    assert (op.factory, op.factory_data) == (b"\x0e" * 20, b"\x01")
    assert (op.paymaster, op.paymaster_post_op_gas_limit, op.paymaster_data) == (b"\x0f" * 20, 7, b"\x02")


def test_to_rpc_default() -> None:
    assert to_rpc(from_rpc(PLAIN, V07), V07) == PLAIN
    assert to_rpc(from_rpc(PLAIN, V06), V06) == PLAIN | {"initCode": "0x", "paymasterAndData": "0x"}


def test_from_rpc_args_unpacked_version() -> None:
    fields = PLAIN | {"initCode": "0x" + "0e" * 20 + "01", "paymasterAndData": "0x" + "0f" * 20 + "02"}
    op = from_rpc(fields, V06)
    assert (op.factory, op.factory_data) == (b"\x0e" * 20, b"\x01")
    assert (op.paymaster, op.paymaster_data) == (b"\x0f" * 20, b"\x02")


@pytest.mark.parametrize("factory", ["0x7702", "0x7702" + "00" * 18])
def test_from_rpc_args_delegated_account(factory: str) -> None:
    op = from_rpc(PLAIN | {"factory": factory}, V08)
    assert (op.factory, op.factory_data) == (DELEGATION_FACTORY, b"")
    assert to_rpc(op, V08) == PLAIN | {"factory": "0x7702", "factoryData": "0x"}


def test_from_rpc_args_paymaster_signature() -> None:
    fields = PLAIN | PAYMASTER | {"paymasterSignature": "0xaa"}
    assert from_rpc(fields, V09).paymaster_signature == b"\xaa"
    assert to_rpc(from_rpc(fields, V09), V09)["paymasterSignature"] == "0xaa"


@pytest.mark.parametrize("nonce", ["0x00", "0x" + "0" * 64, "0x001f", "0x1F"])
def test_from_rpc_args_padded_numbers(nonce: str) -> None:
    assert from_rpc(PLAIN | {"nonce": nonce}, V07).nonce == int(nonce, 16)


def test_from_rpc_args_absent_as_null() -> None:
    fields = PLAIN | dict.fromkeys((*FACTORY, *PAYMASTER, "eip7702Auth"))
    assert from_rpc(fields, V07) == from_rpc(PLAIN, V07)


def without(fields: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in fields.items() if key != name}


@pytest.mark.parametrize(
    ("fields", "version", "message"),
    [
        (None, V07, "not a user operation"),
        ([], V07, "not a user operation"),
        (without(PLAIN, "sender"), V07, "not a user operation.*sender"),
        (PLAIN | {"nonce": 31}, V07, "not a user operation"),
        (PLAIN | {"gas": "0x1"}, V07, "unknown field.*gas"),
        (PLAIN | {"sender": "0x0a"}, V07, "sender: expected 20 bytes"),
        (PLAIN | {"sender": "0x0A" + "0a" * 19}, V07, "sender: address checksum"),
        (PLAIN | {"callData": "0xabc"}, V07, "callData: expected 0x and whole bytes"),
        (PLAIN | {"nonce": "0x"}, V07, "nonce: expected a number"),
        (PLAIN | {"nonce": "31"}, V07, "nonce: expected a number"),
        (PLAIN | {"nonce": "0x" + "1" * 65}, V07, "nonce: expected a number"),
        (PLAIN | {"nonce": "0x1_f"}, V07, "nonce: expected a number"),
        (PLAIN | {"callGasLimit": "0x1" + "0" * 32}, V07, "must be 0 to"),
        (PLAIN | {"initCode": "0x"}, V07, r"0\.7 has no field initCode"),
        (PLAIN | {"paymasterAndData": "0x"}, V09, r"0\.9 has no field paymasterAndData"),
        (PLAIN | FACTORY, V06, r"0\.6 has no field factory"),
        (PLAIN | {"paymasterSignature": "0x"}, V06, r"0\.6 has no field paymasterSignature"),
        (PLAIN | {"initCode": "0x01"}, V06, "init_code has 1 bytes"),
        (PLAIN | without(FACTORY, "factory"), V07, "factory is missing"),
        (PLAIN | without(FACTORY, "factoryData"), V07, "factoryData is missing"),
        (PLAIN | without(PAYMASTER, "paymaster"), V07, "paymaster is missing"),
        (PLAIN | without(PAYMASTER, "paymasterPostOpGasLimit"), V08, "paymasterPostOpGasLimit is missing"),
        (PLAIN | without(PAYMASTER, "paymasterData"), V08, "paymasterData is missing"),
        (PLAIN | PAYMASTER | {"paymasterSignature": "0xaa"}, V08, "at most 0 bytes"),
        (PLAIN | {"paymasterSignature": "0xaa"}, V09, "need a paymaster"),
    ],
)
def test_from_rpc_error_form(fields: object, version: EntryPointVersion, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        from_rpc(fields, version)


def test_to_rpc_error_version() -> None:
    op = replace(from_rpc(PLAIN, V09), paymaster=Address(bytes(20)), paymaster_signature=b"a")
    with pytest.raises(EncodingInvalid):
        to_rpc(op, V08)


def test_delegate_from_rpc_default() -> None:
    auth = {"chainId": "0x1", "address": "0x" + "05" * 20, "nonce": "0x0", "yParity": "0x0", "r": "0x1", "s": "0x1"}
    assert delegate_from_rpc(PLAIN | {"eip7702Auth": auth}) == b"\x05" * 20
    assert delegate_from_rpc(PLAIN) is None


@pytest.mark.parametrize("auth", [{}, {"address": 5}, {"address": "0x05"}, "0x05"])
def test_delegate_from_rpc_error_form(auth: object) -> None:
    with pytest.raises(EncodingInvalid):
        delegate_from_rpc(PLAIN | {"eip7702Auth": auth})
