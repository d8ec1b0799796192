"""Operations are packed for each EntryPoint and unpacked again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.errors import EncodingInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256
from gamekit.eth.user_operation import (
    DELEGATION_FACTORY,
    PAYMASTER_SIGNATURE_MAGIC,
    PackedUserOperation,
    UnpackedUserOperation,
    UserOperation,
    is_delegation,
    join_nonce,
    pack,
    pack_pair,
    split_nonce,
    split_pair,
    unpack,
)
from gamekit.units import UINT64_MAX, UINT128_MAX, UINT192_MAX, UINT256_MAX, Address, Gas, NonceKey, NonceSequence, Wei
from tests.eth.operations import VERSIONS, operations

V06, V07, V08, V09 = EntryPointVersion
PAYMASTER = Address(b"\x0f" * 20)
FACTORY = Address(b"\x0e" * 20)
OP = UserOperation(
    sender=Address(b"\x0a" * 20),
    nonce=(5 << 64) | 3,
    call_data=b"call",
    call_gas_limit=Gas(1),
    verification_gas_limit=Gas(2),
    pre_verification_gas=Gas(3),
    max_fee_per_gas=Wei(4),
    max_priority_fee_per_gas=Wei(5),
    signature=b"signature",
)
SPONSORED = replace(
    OP,
    factory=FACTORY,
    factory_data=b"init",
    paymaster=PAYMASTER,
    paymaster_verification_gas_limit=Gas(6),
    paymaster_post_op_gas_limit=Gas(7),
    paymaster_data=b"data",
)


@given(VERSIONS.flatmap(lambda version: st.tuples(st.just(version), operations(version))))
def test_unpack_behavior_inverts_pack(case: tuple[EntryPointVersion, UserOperation]) -> None:
    version, op = case
    assert unpack(pack(op, version), version) == op


def test_pack_default() -> None:
    packed = pack(SPONSORED, V07)
    assert isinstance(packed, PackedUserOperation)
    assert packed.init_code == FACTORY + b"init"
    assert packed.account_gas_limits.hex() == f"{2:032x}{1:032x}"
    assert packed.gas_fees.hex() == f"{5:032x}{4:032x}"
    assert packed.paymaster_and_data == PAYMASTER + bytes.fromhex(f"{6:032x}{7:032x}") + b"data"


def test_pack_args_unpacked_version() -> None:
    packed = pack(replace(OP, paymaster=PAYMASTER, paymaster_data=b"data"), V06)
    assert isinstance(packed, UnpackedUserOperation)
    assert packed.paymaster_and_data == PAYMASTER + b"data"
    assert (packed.init_code, packed.call_gas_limit) == (b"", 1)


def test_pack_args_paymaster_signature() -> None:
    op = replace(SPONSORED, paymaster_signature=b"sig")
    packed = pack(op, V09)
    assert isinstance(packed, PackedUserOperation)
    assert packed.paymaster_and_data.endswith(b"datasig\x00\x03" + PAYMASTER_SIGNATURE_MAGIC)
    assert unpack(packed, V09) == op
    # Earlier versions know nothing of it: it is data there.
    assert unpack(packed, V08).paymaster_data == b"datasig\x00\x03" + PAYMASTER_SIGNATURE_MAGIC


def test_paymaster_signature_magic_default() -> None:
    assert keccak256(b"PaymasterSignature")[:8] == PAYMASTER_SIGNATURE_MAGIC


@pytest.mark.parametrize(
    ("op", "version", "message"),
    [
        (replace(OP, nonce=-1), V07, "outside 0 to"),
        (replace(OP, nonce=UINT256_MAX + 1), V07, "outside 0 to"),
        (replace(OP, max_fee_per_gas=Wei(UINT256_MAX + 1)), V06, "outside 0 to"),
        (replace(OP, call_gas_limit=Gas(UINT128_MAX + 1)), V07, "must be 0 to"),
        (replace(OP, max_priority_fee_per_gas=Wei(UINT128_MAX + 1)), V08, "must be 0 to"),
        (replace(SPONSORED, paymaster_post_op_gas_limit=Gas(-1)), V07, "must be 0 to"),
        (replace(OP, sender=Address(b"")), V07, "sender must be 20 bytes, got 0"),
        (replace(OP, factory=Address(b"\x77\x02")), V08, "factory must be 20 bytes, got 2"),
        (replace(SPONSORED, paymaster=Address(bytes(21))), V07, "paymaster must be 20 bytes, got 21"),
        (replace(OP, factory_data=b"x"), V07, "factory_data needs a factory"),
        (replace(OP, paymaster_data=b"x"), V07, "need a paymaster"),
        (replace(OP, paymaster_signature=b"x"), V09, "need a paymaster"),
        (replace(OP, paymaster_verification_gas_limit=Gas(1)), V07, "need a paymaster"),
        (SPONSORED, V06, "no paymaster gas limits"),
        (replace(SPONSORED, paymaster_signature=b"x"), V08, "at most 0 bytes, got 1"),
        (replace(SPONSORED, paymaster_signature=bytes(65536)), V09, "at most 65535 bytes, got 65536"),
    ],
)
def test_pack_error_fields(op: UserOperation, version: EntryPointVersion, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        pack(op, version)


def packed(version: EntryPointVersion = V07, **fields: bytes) -> PackedUserOperation:
    found = pack(OP, version)
    assert isinstance(found, PackedUserOperation)
    return replace(found, **fields)


@pytest.mark.parametrize(
    ("op", "version", "message"),
    [
        (pack(OP, V07), V06, "0.6 takes no PackedUserOperation"),
        (pack(OP, V06), V07, "0.7 takes no UnpackedUserOperation"),
        (packed(init_code=bytes(19)), V07, "init_code has 19 bytes, needs 20"),
        (packed(init_code=b"\x77\x02"), V07, "init_code has 2 bytes, needs 20"),
        (packed(paymaster_and_data=bytes(19)), V07, "paymaster_and_data has 19 bytes, needs 20"),
        (packed(paymaster_and_data=bytes(51)), V07, "paymaster_and_data has 51 bytes, needs 52"),
        (
            packed(paymaster_and_data=bytes(52) + b"\x00\x01" + PAYMASTER_SIGNATURE_MAGIC),
            V09,
            "1 bytes does not fit 62",
        ),
    ],
)
def test_unpack_error_form(
    op: PackedUserOperation | UnpackedUserOperation, version: EntryPointVersion, message: str
) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        unpack(op, version)


@pytest.mark.parametrize(
    "data",
    [
        bytes(52) + PAYMASTER_SIGNATURE_MAGIC,
        bytes(52) + b"\x00\x00" + PAYMASTER_SIGNATURE_MAGIC,
        bytes(52) + b"x" + b"\x00\x01" + PAYMASTER_SIGNATURE_MAGIC + b"\x00",
    ],
)
def test_unpack_behavior_not_a_paymaster_signature(data: bytes) -> None:
    found = unpack(packed(paymaster_and_data=data), V09)
    assert (found.paymaster_data, found.paymaster_signature) == (data[52:], b"")


@pytest.mark.parametrize(
    ("init_code", "expected"),
    [
        (b"\x77\x02", True),
        (DELEGATION_FACTORY, True),
        (b"\x77\x02" + bytes(10), True),
        (DELEGATION_FACTORY + b"data", True),
        (b"", False),
        (b"\x77", False),
        (b"\x77\x02\x01", False),
        (bytes(20), False),
    ],
)
def test_is_delegation_default(init_code: bytes, expected: bool) -> None:
    assert is_delegation(init_code, V08) is is_delegation(init_code, V09) is expected
    assert not is_delegation(init_code, V07)


def test_unpack_args_delegation() -> None:
    assert unpack(packed(init_code=b"\x77\x02"), V08).factory == DELEGATION_FACTORY
    found = unpack(packed(init_code=DELEGATION_FACTORY + b"go"), V09)
    assert (found.factory, found.factory_data) == (DELEGATION_FACTORY, b"go")


@given(st.integers(0, UINT192_MAX), st.integers(0, UINT64_MAX))
def test_split_nonce_behavior_inverts_join(key: int, sequence: int) -> None:
    nonce = join_nonce(NonceKey(key), NonceSequence(sequence))
    assert split_nonce(nonce) == (key, sequence)
    assert nonce >> 64 == key


@pytest.mark.parametrize(("key", "sequence"), [(-1, 0), (UINT192_MAX + 1, 0), (0, -1), (0, UINT64_MAX + 1)])
def test_join_nonce_error_range(key: int, sequence: int) -> None:
    with pytest.raises(EncodingInvalid, match="need 192 and 64 bits"):
        join_nonce(NonceKey(key), NonceSequence(sequence))


@given(st.integers(0, UINT128_MAX), st.integers(0, UINT128_MAX))
def test_split_pair_behavior_inverts_pack(high: int, low: int) -> None:
    assert split_pair(pack_pair(high, low)) == (high, low)
