"""Secrets in buffers."""

from pathlib import Path

import pytest

from gamekit.keys.buffers import (
    fill_random,
    private_file,
    read_hexadecimal,
    secret_buffer,
    wipe,
    write_hexadecimal,
    write_private_file,
)


def test_fill_random_default() -> None:
    one, other = bytearray(32), bytearray(32)
    fill_random(one)
    fill_random(other)
    assert len({bytes(one), bytes(other), bytes(32)}) == 3


def test_wipe_default() -> None:
    buffer = bytearray(b"secret")
    wipe(buffer)
    assert buffer == bytes(6)


def use(lent: list[bytearray]) -> None:
    """Put a secret into a buffer, and fail."""
    with secret_buffer(6) as buffer:
        buffer[:] = b"secret"
        lent.append(buffer)
        raise ValueError("whatever")


def test_secret_buffer_error_wipes_too() -> None:
    lent: list[bytearray] = []
    with pytest.raises(ValueError, match="whatever"):
        use(lent)
    assert lent == [bytearray(6)]


@pytest.mark.parametrize("text", [b"00fF", b"0x00ff", b"0X00FF"])
def test_read_hexadecimal_default(text: bytes) -> None:
    into = bytearray(2)
    assert read_hexadecimal(bytearray(text), into)
    assert into == b"\x00\xff"


@pytest.mark.parametrize(
    "text", [b"", b"00f", b"00fff", b"00fg", b"x00f", b"0x00f", b" 0ff", b"-0ff", b"@0ff", b"\x100ff"]
)
def test_read_hexadecimal_error(text: bytes) -> None:
    assert not read_hexadecimal(bytearray(text), bytearray(2))


def test_write_hexadecimal_default() -> None:
    into = bytearray(6)
    write_hexadecimal(bytearray(b"\x00\xa9\xff"), into)
    assert into == b"00a9ff"


def test_write_private_file_default(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private_file(path, b"one")
    write_private_file(path, b"two")
    with private_file(path) as content:
        assert content == b"two"
    assert content == bytes(3)
