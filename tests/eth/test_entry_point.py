"""Bundles equal eth-abi's, and what the EntryPoint says is read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from gamekit.contracts import artifact
from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import encode
from gamekit.eth.block import Log
from gamekit.eth.entry_point import (
    BALANCE_OF,
    BEFORE_EXECUTION,
    DEPOSIT_TO,
    DEPOSITED,
    ENTRY_POINT,
    FAILED_OP,
    FAILED_OP_WITH_REVERT,
    GET_USER_OP_HASH,
    GET_USER_OP_HASH_06,
    HANDLE_OPS,
    HANDLE_OPS_06,
    REVERT_REASON,
    USER_OPERATION_EVENT,
    UserOperationEvent,
    decode_failed_op,
    decode_handle_ops,
    decode_user_operation_event,
    encode_get_nonce,
    encode_get_user_op_hash,
    encode_handle_ops,
    join_handle_ops,
    pack_bundle_element,
    split_logs_by_operation,
)
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Event, Interface
from gamekit.eth.user_operation import UserOperation, pack, unpack
from gamekit.eth.validation_code import Fault
from gamekit.units import ZERO_ADDRESS, Address, Gas, Hash32, NonceKey, UserOpHash, Wei
from tests.eth.operations import VERSIONS, operations

V06, V07, V08, V09 = EntryPointVersion
BENEFICIARY = Address(b"\xbe" * 20)
EP = V07.canonical_address
GAME = Address(b"\x0a" * 20)
ACCOUNT = Address(b"\xac" * 20)
BUNDLES = VERSIONS.flatmap(lambda version: st.tuples(st.just(version), st.lists(operations(version), max_size=4)))


@given(BUNDLES)
def test_encode_handle_ops_behavior_equals_codec(bundle: tuple[EntryPointVersion, list[UserOperation]]) -> None:
    version, ops = bundle
    function = HANDLE_OPS if version.is_packed else HANDLE_OPS_06
    expected = function.encode_call([asdict(pack(op, version)) for op in ops], BENEFICIARY)
    assert encode_handle_ops(ops, BENEFICIARY, version) == expected
    elements = [pack_bundle_element(op, version) for op in ops]
    assert join_handle_ops(elements, BENEFICIARY, version) == expected


@given(BUNDLES)
def test_decode_handle_ops_behavior_inverts_encode(bundle: tuple[EntryPointVersion, list[UserOperation]]) -> None:
    version, ops = bundle
    found = decode_handle_ops(encode_handle_ops(ops, BENEFICIARY, version))
    assert [unpack(op, version) for op in found.operations] == ops
    assert found.beneficiary == BENEFICIARY


def test_decode_handle_ops_error_form() -> None:
    calldata = encode_handle_ops([], BENEFICIARY, V07)
    with pytest.raises(EncodingInvalid):
        decode_handle_ops(calldata + bytes(32))
    with pytest.raises(EncodingInvalid, match="starts with"):
        decode_handle_ops(b"\x00" * 4 + calldata[4:])


@given(VERSIONS.flatmap(lambda version: st.tuples(st.just(version), operations(version))))
def test_encode_get_user_op_hash_behavior_equals_codec(case: tuple[EntryPointVersion, UserOperation]) -> None:
    version, op = case
    function = GET_USER_OP_HASH if version.is_packed else GET_USER_OP_HASH_06
    assert encode_get_user_op_hash(op, version) == function.encode_call(asdict(pack(op, version)))


def test_encode_get_nonce_default() -> None:
    # Source: INonceManager.
    assert encode_get_nonce(ACCOUNT, NonceKey(7)).hex() == f"35567e1a{ACCOUNT.hex():0>64}{7:064x}"
    assert DEPOSIT_TO.selector.hex() == "b760faf9"
    assert BALANCE_OF.selector.hex() == "70a08231"
    assert HANDLE_OPS_06.selector.hex() == "1fad948c"
    assert HANDLE_OPS.selector.hex() == "765e827f"


@pytest.mark.parametrize("name", ["EntryPoint06", "EntryPoint07", "EntryPoint08"])
def test_entry_point_behavior_equals_artifact(name: str) -> None:
    """What is declared by heart is what the compiled contracts have."""
    compiled = Interface.from_json(artifact(name).abi)
    newer = name != "EntryPoint06"
    foreign = HANDLE_OPS_06 if newer else HANDLE_OPS
    ours = [*ENTRY_POINT.functions.values(), GET_USER_OP_HASH if newer else GET_USER_OP_HASH_06]
    for function in ours:
        if function is not foreign:
            assert function.signature in compiled.functions
    only_newer = {"PostOpRevertReason", "UserOperationPrefundTooLow", "FailedOpWithRevert", "PostOpReverted"}
    for event in ENTRY_POINT.events.values():
        if newer or event.name not in only_newer:
            there = compiled.events[event.topic]
            assert [(p.name, p.indexed) for p in event.inputs] == [(p.name, p.indexed) for p in there.inputs]
    for error in ENTRY_POINT.errors.values():
        if newer or error.name not in only_newer:
            assert error.selector in compiled.errors


def emit(event: Event, indexed: tuple[bytes, ...], values: tuple[object, ...], address: Address = EP) -> Log:
    topics = (event.topic, *(Hash32(topic.rjust(32, b"\x00")) for topic in indexed))
    data = encode([parameter.type for parameter in event.inputs if not parameter.indexed], values)
    return Log(address=address, topics=topics, data=data, index=0)


def ended(number: int, *, success: bool = True, paymaster: Address = ZERO_ADDRESS, address: Address = EP) -> Log:
    indexed = (bytes((number,)) * 32, ACCOUNT, paymaster)
    return emit(USER_OPERATION_EVENT, indexed, (number, success, 1000, 50), address)


def played(number: int, address: Address = GAME) -> Log:
    return Log(address=address, topics=(Hash32(bytes((number,)) * 32),), data=b"", index=0)


def reverted(number: int, reason: bytes, address: Address = EP) -> Log:
    return emit(REVERT_REASON, (bytes((number,)) * 32, ACCOUNT), (number, reason), address)


BEFORE = emit(BEFORE_EXECUTION, (), ())


def test_decode_user_operation_event_default() -> None:
    expected = UserOperationEvent(
        user_op_hash=UserOpHash(b"\x07" * 32),
        sender=ACCOUNT,
        paymaster=None,
        nonce=7,
        success=True,
        actual_gas_cost=Wei(1000),
        actual_gas_used=Gas(50),
    )
    assert decode_user_operation_event(ended(7), EP) == expected
    sponsored = decode_user_operation_event(ended(7, paymaster=GAME), EP)
    assert sponsored == replace(expected, paymaster=GAME)


def test_decode_user_operation_event_behavior_only_the_entry_point() -> None:
    assert decode_user_operation_event(ended(7, address=GAME), EP) is None
    assert decode_user_operation_event(BEFORE, EP) is None
    assert decode_user_operation_event(Log(address=EP, topics=(), data=b"", index=0), EP) is None


def test_decode_user_operation_event_error_form() -> None:
    with pytest.raises(EncodingInvalid):
        decode_user_operation_event(replace(ended(7), data=b""), EP)


def test_split_logs_default() -> None:
    deposit = emit(DEPOSITED, (ACCOUNT,), (5,))
    logs = [
        deposit,
        played(1),
        BEFORE,
        played(2),
        played(3),
        ended(1),
        ended(2, success=False),
        deposit,
        ended(3),
        played(4),
    ]
    found = split_logs_by_operation(logs, EP)
    assert [operation.event.nonce for operation in found] == [1, 2, 3]
    assert [operation.logs for operation in found] == [(played(2), played(3)), (), (deposit,)]
    assert [operation.event.success for operation in found] == [True, False, True]


def test_split_logs_args_revert_reason() -> None:
    logs = [BEFORE, played(1), ended(1), reverted(2, b"why"), ended(2, success=False), ended(3)]
    found = split_logs_by_operation(logs, EP)
    assert [operation.revert_reason for operation in found] == [b"", b"why", b""]


def test_split_logs_args_two_bundles_in_one_transaction() -> None:
    logs = [BEFORE, played(1), ended(1), played(9), BEFORE, played(2), ended(2)]
    found = split_logs_by_operation(logs, EP)
    assert [operation.logs for operation in found] == [(played(1),), (played(2),)]


def test_split_logs_behavior_forged_by_a_game() -> None:
    """A game that emits the EntryPoint's topics changes nothing."""
    forged = [ended(9, address=GAME), reverted(9, b"lie", GAME), replace(BEFORE, address=GAME)]
    found = split_logs_by_operation([BEFORE, *forged, ended(1)], EP)
    assert [operation.event.nonce for operation in found] == [1]
    assert found[0].logs == tuple(forged)
    assert found[0].revert_reason == b""
    assert split_logs_by_operation([BEFORE, *forged], EP) == ()


def test_split_logs_args_empty() -> None:
    assert split_logs_by_operation([], EP) == ()
    nameless = Log(address=EP, topics=(), data=b"", index=0)
    assert split_logs_by_operation([BEFORE, nameless, ended(1)], EP)[0].logs == (nameless,)


def test_decode_failed_op_default() -> None:
    found = decode_failed_op(FAILED_OP.encode(3, "AA25 invalid account nonce"))
    assert found is not None
    assert (found.operation_index, found.reason, found.inner) == (3, "AA25 invalid account nonce", b"")
    assert found.code is not None
    assert (found.code.code, found.code.fault) == ("AA25", Fault.ACCOUNT)


def test_decode_failed_op_args_with_revert() -> None:
    found = decode_failed_op(FAILED_OP_WITH_REVERT.encode(0, "AA23 reverted", b"inner"))
    assert found is not None
    assert (found.operation_index, found.inner) == (0, b"inner")


def test_decode_failed_op_args_unknown_code() -> None:
    found = decode_failed_op(FAILED_OP.encode(0, "something else"))
    assert found is not None
    assert found.code is None


@pytest.mark.parametrize("data", [b"", b"\x01\x02\x03\x04", FAILED_OP.selector, FAILED_OP.selector + bytes(64)])
def test_decode_failed_op_behavior_something_else(data: bytes) -> None:
    assert decode_failed_op(data) is None
