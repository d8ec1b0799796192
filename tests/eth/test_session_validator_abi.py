"""What is declared by heart is what the compiled module has, and its answers are read strictly."""

import pytest
from msgspec.structs import replace

from gamekit.contracts import artifact
from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import encode
from gamekit.eth.block import Log
from gamekit.eth.interface import CustomError, Event, Interface
from gamekit.eth.session_validator_abi import (
    ACCOUNT_OF,
    ALL_SESSIONS_REVOKED,
    SESSION_GRANTED,
    SESSION_OF,
    SESSION_REVOKED,
    SESSION_VALIDATOR,
    AccountRecord,
    AllSessionsRevoked,
    SessionGranted,
    SessionRecord,
    SessionRevoked,
    SessionState,
    decode_account,
    decode_session,
    decode_session_log,
    unpack_session_slot,
)
from gamekit.units import ZERO_ADDRESS, Address, Hash32, PermissionId, UnixSeconds, Wei
from tests.eth.conftest import Module

MODULE = Address(b"\x0d" * 20)
ACCOUNT = Address(b"\xac" * 20)
PERMISSION = PermissionId(b"\x0e" * 32)


@pytest.fixture(scope="module")
def compiled() -> Interface:
    return Interface.from_json(artifact("SessionValidator").abi)


def test_functions_behavior_equal_artifact(compiled: Interface) -> None:
    for signature, function in SESSION_VALIDATOR.functions.items():
        there = compiled.functions[signature]
        assert [p.name for p in function.inputs] == [p.name for p in there.inputs]
        assert [p.type.canonical for p in function.outputs] == [p.type.canonical for p in there.outputs]
        assert function.state_mutability == there.state_mutability


def test_events_behavior_equal_artifact(compiled: Interface) -> None:
    ours = {topic: event for topic, event in compiled.events.items() if "Session" in event.name}
    assert set(SESSION_VALIDATOR.events) == set(ours)
    for topic, event in SESSION_VALIDATOR.events.items():
        assert [(p.name, p.indexed) for p in event.inputs] == [(p.name, p.indexed) for p in ours[topic].inputs]


def test_errors_behavior_equal_artifact(compiled: Interface) -> None:
    """Every error of the module, and no other; OpenZeppelin's short strings bring two of their own."""
    theirs = {"InvalidShortString", "StringTooLong"}
    there = {error.signature: [p.name for p in error.inputs] for error in compiled.errors.values()}
    ours = {error.signature: [p.name for p in error.inputs] for error in SESSION_VALIDATOR.errors.values()}
    assert {signature: names for signature, names in there.items() if signature.split("(")[0] not in theirs} == ours


def test_decode_revert_default() -> None:
    error = CustomError.parse("ValuePerCallExceeded(uint256 call,uint256 valueWei,uint256 valuePerCallWeiMax)")
    found = SESSION_VALIDATOR.decode_revert(error.encode(2, 9, 5))
    assert (found.name, found.values) == ("ValuePerCallExceeded", {"call": 2, "valueWei": 9, "valuePerCallWeiMax": 5})


def test_decode_session_default() -> None:
    data = encode([SESSION_OF.outputs[0].type], [(1, 2, 3, 4, 5, 6, 7)])
    expected = SessionRecord(SessionState.LIVE, 2, 3, 4, Wei(5), 6, 7)
    assert decode_session(data) == expected


def test_decode_session_args_deployed(module: Module) -> None:
    found = decode_session(module.call(SESSION_OF.encode_call(ACCOUNT, PERMISSION)))
    assert found == SessionRecord(SessionState.NONE, 0, 0, 0, Wei(0), 0, 0)


@pytest.mark.parametrize("data", [b"", bytes(32 * 8), encode([SESSION_OF.outputs[0].type], [(3, 0, 0, 0, 0, 0, 0)])])
def test_decode_session_error_form(data: bytes) -> None:
    with pytest.raises(EncodingInvalid):
        decode_session(data)


def test_decode_account_default(module: Module) -> None:
    kind = ACCOUNT_OF.outputs[0].type
    assert decode_account(encode([kind], [(True, 7, MODULE, True, 1)])) == AccountRecord(True, 7, MODULE, 1)
    assert decode_account(encode([kind], [(True, 7, MODULE, False, 0)])) == AccountRecord(True, 7, MODULE)
    assert decode_account(encode([kind], [(False, 0, ZERO_ADDRESS, False, 0)])) == AccountRecord(False, 0, None)
    assert decode_account(module.call(ACCOUNT_OF.encode_call(ACCOUNT))) == AccountRecord(False, 0, None)


def test_unpack_session_slot_default() -> None:
    word = bytes((1,)) + b"".join(number.to_bytes(size, "big") for number, size in ((2, 4), (3, 4), (4, 6), (5, 17)))
    caps = (7 << 128 | 6).to_bytes(32, "big")
    assert unpack_session_slot(word, caps) == SessionRecord(SessionState.LIVE, 2, 3, 4, Wei(5), 6, 7)
    assert unpack_session_slot(word).lane1 == 0
    with pytest.raises(EncodingInvalid, match="no session state 9"):
        unpack_session_slot(b"\x09" + word[1:])


def emit(event: Event, indexed: tuple[bytes, ...], values: tuple[object, ...]) -> Log:
    topics = (event.topic, *(Hash32(topic.rjust(32, b"\x00")) for topic in indexed))
    data = encode([parameter.type for parameter in event.inputs if not parameter.indexed], values)
    return Log(address=MODULE, topics=topics, data=data, index=0)


def test_decode_session_log_default() -> None:
    granted = emit(SESSION_GRANTED, (ACCOUNT, PERMISSION, b"\x01" * 20), (b"\x02" * 20, 10, 20, 3, b"scope"))
    assert decode_session_log(granted, MODULE) == SessionGranted(
        account=ACCOUNT,
        permission_id=PERMISSION,
        signer=Address(b"\x01" * 20),
        revoker=Address(b"\x02" * 20),
        valid_after=UnixSeconds(10),
        valid_until=UnixSeconds(20),
        epoch=3,
        scope=b"scope",
    )
    revoked = emit(SESSION_REVOKED, (ACCOUNT, PERMISSION), ())
    assert decode_session_log(revoked, MODULE) == SessionRevoked(ACCOUNT, PERMISSION)
    all_revoked = emit(ALL_SESSIONS_REVOKED, (ACCOUNT,), (4,))
    assert decode_session_log(all_revoked, MODULE) == AllSessionsRevoked(ACCOUNT, 4)


def test_decode_session_log_behavior_only_the_module() -> None:
    revoked = emit(SESSION_REVOKED, (ACCOUNT, PERMISSION), ())
    assert decode_session_log(replace(revoked, address=ACCOUNT), MODULE) is None
    assert decode_session_log(replace(revoked, topics=()), MODULE) is None
    assert decode_session_log(replace(revoked, data=b"\x00"), MODULE) is None
