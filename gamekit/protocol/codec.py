"""Reading and writing frames: JSON in text frames, MessagePack in binary frames, the same structs."""

import msgspec

from gamekit.errors import ProtocolViolation
from gamekit.protocol.events import EventFrames
from gamekit.protocol.messages import (
    Accepted,
    Acknowledge,
    Act,
    Cancel,
    Done,
    Error,
    Hello,
    Open,
    Ping,
    Pong,
    Propose,
    Proposed,
    Revoke,
    Welcome,
)
from gamekit.protocol.octets import hexadecimal_octets, raw_octets, read_octets

ClientFrame = Hello | Act | Cancel | Revoke | Acknowledge | Propose | Open | Ping
ServerFrame = Welcome | Accepted | Done | Proposed | Error | Pong | EventFrames

_JSON_ENCODER = msgspec.json.Encoder(enc_hook=hexadecimal_octets)
_MSGPACK_ENCODER = msgspec.msgpack.Encoder(enc_hook=raw_octets)
_CLIENT_JSON: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame, dec_hook=read_octets)
_CLIENT_MSGPACK: msgspec.msgpack.Decoder[ClientFrame] = msgspec.msgpack.Decoder(ClientFrame, dec_hook=read_octets)
_SERVER_JSON: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame, dec_hook=read_octets)
_SERVER_MSGPACK: msgspec.msgpack.Decoder[ServerFrame] = msgspec.msgpack.Decoder(ServerFrame, dec_hook=read_octets)


def encode(frame: ClientFrame | ServerFrame, *, binary: bool) -> bytes:
    """Write a frame: MessagePack for a binary frame, JSON for a text frame."""
    return _MSGPACK_ENCODER.encode(frame) if binary else _JSON_ENCODER.encode(frame)


def decode_client(data: bytes, *, binary: bool) -> ClientFrame:
    """Read what a client sent.

    Raises: ProtocolViolation, naming the place and what was expected there, never the content.
    """
    try:
        return _CLIENT_MSGPACK.decode(data) if binary else _CLIENT_JSON.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolViolation(f"unreadable frame: {error}"[:200]) from error


def decode_server(data: bytes, *, binary: bool) -> ServerFrame:
    """Read what the server sent.

    Raises: ProtocolViolation.
    """
    try:
        return _SERVER_MSGPACK.decode(data) if binary else _SERVER_JSON.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolViolation(f"unreadable frame: {error}"[:200]) from error
