"""Hashes equal those of the EntryPoints' own bytecode."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.errors import EncodingInvalid
from gamekit.eth.entry_point import encode_get_user_op_hash
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import parse_address, parse_hex, to_hex
from gamekit.eth.user_op_hash import UserOpHasher, domain_separator, hash_on_chain_form, user_op_hash
from gamekit.eth.user_operation import DELEGATION_FACTORY, PackedUserOperation, UserOperation, pack
from gamekit.eth.user_operation_rpc import from_rpc
from gamekit.units import UINT256_MAX, Address, ChainId, Gas, Wei
from tests.eth.conftest import Node
from tests.eth.operations import VERSIONS, operations, random_operation

V06, V07, V08, V09 = EntryPointVersion
ANVIL = ChainId(31337)
COUNT = 10_000
"""Operations per version that are compared with the deployed contract."""
OP = UserOperation(
    sender=Address(b"\x0a" * 20),
    nonce=1,
    call_data=b"",
    call_gas_limit=Gas(1),
    verification_gas_limit=Gas(2),
    pre_verification_gas=Gas(3),
    max_fee_per_gas=Wei(4),
    max_priority_fee_per_gas=Wei(5),
)


def test_user_op_hash_behavior_equals_vectors(vectors: Callable[[str], dict[str, object]]) -> None:
    document = vectors("user_op_hash")
    chain_id, cases = document["chain_id"], document["vectors"]
    assert isinstance(chain_id, int)
    assert isinstance(cases, list)
    assert {case["version"] for case in cases} == {version.value for version in EntryPointVersion}
    for case in cases:
        version = EntryPointVersion(case["version"])
        op = from_rpc(case["operation"], version)
        delegate = parse_address(case["delegate"]) if case["delegate"] else None
        found = user_op_hash(op, version, version.canonical_address, ChainId(chain_id), delegate)
        assert to_hex(found) == case["hash"], (case["case"], version)


@pytest.mark.slow
@pytest.mark.parametrize("version", [V06, V07, V08])
def test_user_op_hash_behavior_equals_deployed(entry_points: Node, version: EntryPointVersion) -> None:
    rng = random.Random(f"user operations of {version.value}")
    entry_point = version.canonical_address
    for _ in range(COUNT // 1000):
        ops = [random_operation(rng, version) for _ in range(1000)]
        said = entry_points.call_many(entry_point, [encode_get_user_op_hash(op, version) for op in ops])
        assert said == [user_op_hash(op, version, entry_point, ANVIL) for op in ops]
        assert said == [UserOpHasher(version, entry_point, ANVIL, op.sender).hash(op) for op in ops]


@pytest.mark.slow
def test_user_op_hash_behavior_equals_deployed_for_delegated_accounts(entry_points: Node) -> None:
    rng = random.Random("delegated accounts")
    plain = [random_operation(rng, V08) for _ in range(200)]
    ops = [replace(op, factory=DELEGATION_FACTORY, factory_data=rng.randbytes(rng.choice((0, 40)))) for op in plain]
    delegates = [Address(rng.randbytes(20)) for _ in ops]
    entry_points.ask_many(
        [
            ("anvil_setCode", [to_hex(op.sender), to_hex(b"\xef\x01\x00" + delegate)])
            for op, delegate in zip(ops, delegates, strict=True)
        ]
    )
    entry_point = V08.canonical_address
    said = entry_points.call_many(entry_point, [encode_get_user_op_hash(op, V08) for op in ops])
    pairs = zip(ops, delegates, strict=True)
    assert said == [user_op_hash(op, V08, entry_point, ANVIL, delegate) for op, delegate in pairs]


@given(VERSIONS.flatmap(lambda version: st.tuples(st.just(version), operations(version))))
def test_user_op_hasher_behavior_equals_plain_way(case: tuple[EntryPointVersion, UserOperation]) -> None:
    version, op = case
    entry_point, chain_id = Address(b"\x0e" * 20), ChainId(8453)
    expected = user_op_hash(op, version, entry_point, chain_id)
    assert UserOpHasher(version, entry_point, chain_id, op.sender).hash(op) == expected
    assert UserOpHasher(version, entry_point, chain_id, Address(bytes(20))).hash(op) == expected


@pytest.mark.parametrize("field", ["call_gas_limit", "max_fee_per_gas", "nonce"])
@pytest.mark.parametrize("version", EntryPointVersion)
def test_user_op_hasher_error_range(version: EntryPointVersion, field: str) -> None:
    hasher = UserOpHasher(version, version.canonical_address, ANVIL, OP.sender)
    for number in (-1, UINT256_MAX + 1):
        with pytest.raises(EncodingInvalid):
            hasher.hash(replace(OP, **{field: number}))


@given(st.sampled_from(["sender", "call_data", "factory_data", "paymaster_data"]), VERSIONS)
def test_user_op_hash_behavior_covers_every_field(field: str, version: EntryPointVersion) -> None:
    op = replace(OP, factory=Address(b"\x01" * 20), paymaster=Address(b"\x02" * 20))
    changed = replace(op, **{field: b"\x03" * 20})
    entry_point = version.canonical_address
    assert user_op_hash(op, version, entry_point, ANVIL) != user_op_hash(changed, version, entry_point, ANVIL)


@pytest.mark.parametrize("version", EntryPointVersion)
def test_user_op_hash_behavior_signatures_stay_outside(version: EntryPointVersion) -> None:
    entry_point = version.canonical_address
    expected = user_op_hash(OP, version, entry_point, ANVIL)
    assert user_op_hash(replace(OP, signature=b"other"), version, entry_point, ANVIL) == expected
    assert user_op_hash(OP, version, entry_point, ChainId(1)) != expected
    assert user_op_hash(OP, version, Address(bytes(20)), ANVIL) != expected


def test_user_op_hash_behavior_any_paymaster_signature() -> None:
    """The operation's hash says that there is a paymaster signature, and nothing of what is in it."""
    sponsored = replace(OP, paymaster=Address(b"\x02" * 20), paymaster_data=b"data")
    signed = [replace(sponsored, paymaster_signature=signature) for signature in (b"a", b"b" * 65)]
    hashes = {user_op_hash(op, V09, V09.canonical_address, ANVIL) for op in signed}
    assert len(hashes) == 1
    assert user_op_hash(sponsored, V09, V09.canonical_address, ANVIL) not in hashes


@pytest.mark.parametrize("delegate", [None, Address(b"\x77\x02")])
@pytest.mark.parametrize("version", [V08, V09])
def test_user_op_hash_error_delegate(version: EntryPointVersion, delegate: Address | None) -> None:
    op = replace(OP, factory=DELEGATION_FACTORY)
    with pytest.raises(EncodingInvalid, match="address of its delegate"):
        user_op_hash(op, version, version.canonical_address, ANVIL, delegate)
    with pytest.raises(EncodingInvalid, match="address of its delegate"):
        UserOpHasher(version, version.canonical_address, ANVIL, op.sender).hash(op)


def test_hash_on_chain_form_args_short_delegation() -> None:
    """Two bytes or twenty: the marker is replaced either way."""
    long = pack(replace(OP, factory=DELEGATION_FACTORY), V08)
    assert isinstance(long, PackedUserOperation)
    short = replace(long, init_code=b"\x77\x02")
    delegate = Address(b"\x05" * 20)
    hashes = {hash_on_chain_form(op, V08, V08.canonical_address, ANVIL, delegate) for op in (long, short)}
    assert len(hashes) == 1


def test_hash_on_chain_form_error_form() -> None:
    with pytest.raises(EncodingInvalid, match=r"0\.6 takes no PackedUserOperation"):
        hash_on_chain_form(pack(OP, V07), V06, V06.canonical_address, ANVIL)
    with pytest.raises(EncodingInvalid, match=r"0\.8 takes no UnpackedUserOperation"):
        hash_on_chain_form(pack(OP, V06), V08, V08.canonical_address, ANVIL)


def test_domain_separator_default(entry_points: Node) -> None:
    said = entry_points.call_many(V08.canonical_address, [parse_hex("0x13c65a6e")])[0]
    assert domain_separator(V08.canonical_address, ANVIL) == said
