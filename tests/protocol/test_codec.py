"""Frames in both encodings."""

import sys

import msgspec
import pytest

from gamekit.errors import EncodingInvalid, ProtocolViolation
from gamekit.protocol import events, messages
from gamekit.protocol.codec import ClientFrame, ServerFrame, decode_client, decode_server, encode
from gamekit.protocol.octets import Octets16, Octets20, Octets32, Octets65, SignatureOctets
from gamekit.units import Cursor, PlayerId, UnixSeconds

ID = Octets32(b"\x11" * 32)
EPOCH = Octets16(bytes(range(16)))
OWNER = Octets20(b"\x22" * 20)
SIGNATURE = SignatureOctets(b"\x33" * 65)

CLIENT: list[ClientFrame] = [
    messages.Hello(1, messages.WalletLogin("message", SIGNATURE)),
    messages.Hello(1, messages.TokenLogin("token"), messages.Resume(EPOCH, 9)),
    messages.Hello(1, messages.TicketLogin("ticket")),
    messages.Act(1, ID, EPOCH, [messages.ActionRequest("k", "attack", [7, "0xff", True, None, [1], {"a": 1}])]),
    messages.Act(2, ID, EPOCH, [messages.ActionRequest("k", "attack", {"target": 7}, 9, "group", "5")]),
    messages.Cancel(3, ID, "k"),
    messages.Revoke(4, ID),
    messages.Acknowledge(5),
    messages.Propose(6, "arena", "play_match", messages.AccountRequest(OWNER, "nexus", "0.7", OWNER)),
    messages.Open(7, "request", SIGNATURE),
    messages.Open(7, "request", SIGNATURE, messages.SignedAuthorization(1, OWNER, 2, Octets65(bytes(65)))),
    messages.Ping(8),
]
SERVER: list[ServerFrame] = [
    messages.Welcome(
        1,
        PlayerId("alice"),
        EPOCH,
        Cursor(3),
        resumed=True,
        chain_id=31337,
        sessions=(messages.SessionInfo(ID, "arena", "play", OWNER, "open", UnixSeconds(9), ("attack",)),),
        limits=messages.Limits(1, 2, 3.5, 4, 5.5),
        ticket="t",
        ticket_until=UnixSeconds(7),
    ),
    messages.Accepted(1, ID, EPOCH, [messages.AcceptedAction("k", 4)]),
    messages.Done(1, done=False),
    messages.Proposed(1, "r", ID, OWNER, OWNER, "personal_sign", "0x00", False, "x", UnixSeconds(1)),
    messages.Proposed(1, "r", ID, OWNER, OWNER, "personal_sign", "0x00", False, "x", UnixSeconds(1),
                      messages.Authorization(1, OWNER, 2)),
    messages.Error("overloaded", "retry", "full", {"depth": 3}, id=4),
    messages.Pong(1),
    events.Refused(ID, [messages.RefusedAction("k", "c", "final", "m", {"a": "b"})], id=3),
    events.Settled(ID, ID, ID, 5, [events.SettledAction("k", 1, ok=False, error="NotYours()")], cursor=4, at=6),
    events.Reorged(ID, ID, ["k"], cursor=5),
    events.Finalized(ID, ID, ID, 5, ["k"], cursor=6),
    events.SessionOpened(ID, "arena", "play", OWNER, UnixSeconds(9), cursor=7),
    events.SessionLapsed(ID, "arena", "play", OWNER, UnixSeconds(9), code="c", reason="x", cursor=8),
    events.SessionExpiring(ID, "arena", "play", OWNER, UnixSeconds(9), cursor=8),
    events.SessionExpired(ID, "arena", "play", OWNER, UnixSeconds(9), cursor=9),
    events.SessionRevoked(ID, "arena", "play", OWNER, UnixSeconds(9), on_chain=True, reason="x", cursor=10),
]  # fmt: skip


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("frame", CLIENT, ids=lambda frame: type(frame).__name__)
def test_client_frames_read_back(frame: ClientFrame, binary: bool) -> None:
    assert decode_client(encode(frame, binary=binary), binary=binary) == frame


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("frame", SERVER, ids=lambda frame: type(frame).__name__)
def test_server_frames_read_back(frame: ServerFrame, binary: bool) -> None:
    assert decode_server(encode(frame, binary=binary), binary=binary) == frame


def test_bytes_are_hexadecimal_in_text_and_raw_in_binary() -> None:
    revoke = messages.Revoke(4, ID)
    assert msgspec.json.decode(encode(revoke, binary=False))["permission_id"] == "0x" + "11" * 32
    assert msgspec.msgpack.decode(encode(revoke, binary=True))["permission_id"] == b"\x11" * 32


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `type`"),
        (b'{"type":"welcome"}', "Invalid value 'welcome'"),
        (b'{"type":"ping"}', "missing required field `id`"),
        (b'{"type":"ping","id":0}', "Expected `int` >= 1"),
        (b'{"type":"ping","id":9007199254740992}', "Expected `int` <= 9007199254740991"),
        (b'{"type":"ping","id":1.5}', "Expected `int`, got `float`"),
        (b'{"type":"ping","id":"1"}', "Expected `int`, got `str`"),
        (b'{"type":"ping","id":1,"gas":1}', "unknown field `gas`"),
        (b'{"type":"acknowledge","cursor":-1}', "Expected `int` >= 0"),
        (b'{"type":"revoke","id":1,"permission_id":"0x11"}', "expected 32 bytes, got 1"),
    ],
)
def test_other_frames_are_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation, match=reason):
        decode_client(text, binary=False)


def act_with(**changes: object) -> bytes:
    action = {"key": "k", "function": "f"} | changes
    act = {"type": "act", "id": 1, "permission_id": "0x" + "11" * 32, "journal_epoch": "0x" + "00" * 16}
    return msgspec.json.encode(act | {"actions": [action]})


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ""},
        {"key": "k" * 129},
        {"key": "a b"},
        {"key": "a\n"},
        {"key": "a\x1b[0m"},
        {"key": "ключ"},
        {"function": ""},
        {"function": "f" * 65},
        {"arguments": "7"},
        {"not_after": -1},
        {"not_after": 1 << 48},
        {"group": "g" * 65},
        {"value": "-1"},
        {"value": "1e3"},
        {"value": "1" * 40},
        {"value": 5},
        {"scope": {}},
        {"gas": 10**9},
    ],
    ids=str,
)
def test_actions_are_bounded(changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolViolation):
        decode_client(act_with(**changes), binary=False)


def test_act_carries_1_to_64_actions() -> None:
    one = messages.ActionRequest("k", "f")
    decode_client(encode(messages.Act(1, ID, EPOCH, [one] * 64), binary=True), binary=True)
    for count in (0, 65):
        with pytest.raises(ProtocolViolation, match="length"):
            decode_client(encode(messages.Act(1, ID, EPOCH, [one] * count), binary=True), binary=True)


@pytest.mark.parametrize("data", [b"[" * 16_000, b'{"a":' * 3_000, b"\x91" * 16_000])
def test_nesting_is_bounded(data: bytes) -> None:
    for read in (decode_client, decode_server):
        for binary in (False, True):
            with pytest.raises(ProtocolViolation):
                read(data, binary=binary)


@pytest.mark.parametrize("limit", [1000, 100_000], ids=lambda limit: f"recursion limit {limit}")
@pytest.mark.parametrize("depth", [8, 2000, 7000])
def test_nesting_inside_arguments_is_bounded(depth: int, limit: int) -> None:
    text = act_with(arguments=[]).replace(b'"arguments":[]', b'"arguments":' + b"[" * (depth + 1) + b"]" * (depth + 1))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        with pytest.raises(ProtocolViolation, match=r"recursion|nested deeper than 8"):
            decode_client(text, binary=False)
    finally:
        sys.setrecursionlimit(before)


def test_structs_of_arrays_of_structs_are_no_problem() -> None:
    nested: object = 7
    for place in range(7):
        nested = [nested, {"a": 1}] if place % 2 else {"a": nested}
    decode_client(act_with(arguments=[nested]), binary=False)
    decode_client(act_with(arguments={"a": nested}), binary=False)


def test_reasons_are_short_and_hold_no_content() -> None:
    with pytest.raises(ProtocolViolation) as caught:
        decode_client(b'{"type":"hello","version":1,"login":{"by":"token","token":["secret"]}}', binary=False)
    assert "secret" not in str(caught.value)
    with pytest.raises(ProtocolViolation) as caught:
        decode_client(b'{"type":"ping","' + b"x" * 4000 + b'":1,"id":1}', binary=False)
    assert len(str(caught.value)) <= 200


def test_nothing_else_can_be_encoded() -> None:
    with pytest.raises(EncodingInvalid):
        encode(messages.Error("c", "final", "m", {"a": 1j}), binary=False)
