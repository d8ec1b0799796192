"""The protocol's page names every frame, every field and every code."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

import gamekit.protocol
from gamekit.config import GatewayConfig
from gamekit.protocol.codec import ClientFrame, ServerFrame
from gamekit.protocol.messages import VERSION
from gamekit.protocol.peer import CloseCode

PAGE = Path(gamekit.protocol.__file__).with_name("README.md").read_text(encoding="utf-8")
FRAMES = (*get_args(ClientFrame), *get_args(ServerFrame))


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.__struct_config__.tag)
def test_frames_and_their_fields_are_explained(frame: type[msgspec.Struct]) -> None:
    tag = frame.__struct_config__.tag
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{tag}` |")]
    assert rows, f"no row for {tag}"
    named = set(re.findall(r"`([a-z_]+)\??`", "".join(rows) + PAGE.partition("Each has a")[2].partition("|")[0]))
    inherited = {"game", "unit", "account", "valid_until", "permission_id"} if "as above" in rows[0] else set()
    fields = {field.encode_name for field in msgspec.structs.fields(frame)} - {"cursor", "at"}
    assert fields <= named | inherited, f"{tag}: {fields - named - inherited}"


@pytest.mark.parametrize("code", [code for code in CloseCode if code != CloseCode.NORMAL])
def test_close_codes_are_explained(code: CloseCode) -> None:
    assert f"| {code.value} |" in PAGE


def test_numbers_are_the_defaults() -> None:
    config = GatewayConfig()
    assert f"version {VERSION}" in PAGE.splitlines()[0]
    assert f"within {config.authenticate_timeout_s:g} s" in PAGE
    assert f"while {config.frames_in_flight_max} of its act frames" in PAGE
    assert f"`POST {config.path}/nonce`" in PAGE
