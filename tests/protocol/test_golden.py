"""The transcripts in tests/golden/protocol, played against a real gateway.

Each line is one step: `note` explains, `client` is sent, `server` must come, `kit` happens behind the gateway, `close`
must be the end. To write the server's lines anew: GAMEKIT_WRITE_GOLDEN=1 python -m pytest tests/protocol/test_golden.py
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from aiohttp import WSMsgType

from gamekit.protocol.codec import ClientFrame, ServerFrame, decode_server, encode
from gamekit.protocol.octets import read_octets
from tests.gateway.conftest import Socket, World
from tests.gateway.memory import refused_event, session_event

FOLDER = Path(__file__).parents[1] / "golden" / "protocol"
NAMES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
WRITE = bool(os.environ.get("GAMEKIT_WRITE_GOLDEN"))
BINARY = FOLDER / "play.hex"
"""The frames of play.jsonl in MessagePack, one a line: `>` from the client, `<` from the server."""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        world = World(stack)
        numbers = count(1)
        world.random = lambda length: next(numbers).to_bytes(length, "big")
        await world.start(burst_player=8, actions_per_s_player=8.0)
        yield world


def steps(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def happen(world: World, verb: str, *words: Any) -> None:
    """Let something happen behind the gateway."""
    backend = world.backend
    match verb:
        case "settle" | "reorg" | "final":
            backend.settle(*words, kind={"settle": "settled", "reorg": "reorged"}.get(verb, verb))
        case "fail":
            backend.settle(words[0], error=words[1])
        case "refuse":
            backend.emit("refused", refused_event(*words))
        case "session":
            backend.emit(words[0], session_event(*words[1:]))


async def play(world: World, socket: Socket, step: dict[str, Any]) -> dict[str, Any]:
    """Do one step; gives it as it was."""
    if "client" in step:
        await socket.raw.send_str(json.dumps(step["client"]))
    elif "kit" in step and step["kit"][0] == "nonce":
        answer = await world.http.post(f"{world.url}/nonce")
        return {"kit": ["nonce", (await answer.json())["nonce"]]}
    elif "kit" in step:
        happen(world, *step["kit"])
    elif "server" in step:
        message = await socket.raw.receive()
        assert message.type is WSMsgType.TEXT, f"closed with {socket.raw.close_code} {message.extra}"
        return {"server": json.loads(message.data)}
    elif "close" in step:
        return {"close": list(await socket.closed())}
    return step


@pytest.mark.parametrize("name", NAMES)
async def test_transcript(world: World, name: str) -> None:
    socket = await world.connect(binary=False)
    written = steps(name)
    played = [await play(world, socket, step) for step in written]
    if WRITE:
        lines = (json.dumps(step, separators=(", ", ": ")) + "\n" for step in played)
        (FOLDER / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    assert WRITE or played == written


def test_the_same_frames_in_messagepack() -> None:
    lines = []
    for step in steps("play"):
        if "client" in step:
            frame: Any = msgspec.convert(step["client"], ClientFrame, dec_hook=read_octets)
            lines.append(f"> {encode(frame, binary=True).hex()}\n")
        elif "server" in step:
            frame = msgspec.convert(step["server"], ServerFrame, dec_hook=read_octets)
            lines.append(f"< {encode(frame, binary=True).hex()}\n")
    if WRITE:
        BINARY.write_text("".join(lines), encoding="utf-8")
    assert BINARY.read_text(encoding="utf-8") == "".join(lines)


def test_every_type_of_frame_is_shown() -> None:
    lines = [step for name in NAMES for step in steps(name)]
    shown = {frame["type"] for step in lines for frame in (step.get("client"), step.get("server")) if frame}
    kinds = (*get_args(ClientFrame), *get_args(ServerFrame))
    known = {kind.__struct_config__.tag for kind in kinds}
    assert shown == known


@pytest.mark.parametrize("name", NAMES)
def test_server_lines_are_frames(name: str) -> None:
    for step in steps(name):
        if "server" in step:
            frame = decode_server(json.dumps(step["server"]).encode(), binary=False)
            assert json.loads(encode(frame, binary=False)) == step["server"]
