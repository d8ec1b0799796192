"""Byte strings on the wire."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.protocol.octets import (
    Octets,
    Octets16,
    Octets20,
    Octets32,
    Octets65,
    SignatureOctets,
    hexadecimal_octets,
    raw_octets,
    read_octets,
)


@given(st.binary(max_size=200))
def test_text_and_raw_form_read_back(data: bytes) -> None:
    octets = Octets(data)
    assert Octets.read(hexadecimal_octets(octets)) == data
    assert Octets.read(raw_octets(octets)) == data
    assert type(raw_octets(octets)) is bytes


@pytest.mark.parametrize("kind", [Octets16, Octets20, Octets32, Octets65])
def test_length_is_exact(kind: type[Octets]) -> None:
    assert kind.read("0x" + "ab" * kind.LENGTH) == b"\xab" * kind.LENGTH
    for length in (0, kind.LENGTH - 1, kind.LENGTH + 1):
        with pytest.raises(EncodingInvalid, match=f"expected {kind.LENGTH} bytes, got {length}"):
            kind.read("0x" + "ab" * length)


def test_longest_signature() -> None:
    assert len(SignatureOctets.read(bytes(1024))) == 1024
    with pytest.raises(EncodingInvalid, match="at most 1024 bytes, got 1025"):
        SignatureOctets.read(bytes(1025))


@pytest.mark.parametrize("text", ["", "00", "0X00", "0x0", "0xzz", "0x 0", "0x00 ", "x00", "0x0x"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(EncodingInvalid, match="whole bytes in hexadecimal"):
        Octets.read(text)


@pytest.mark.parametrize("value", [None, 7, 1.5, [1], {"a": 1}, True])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(EncodingInvalid, match="expected bytes, got"):
        Octets.read(value)


def test_hooks_know_nothing_else() -> None:
    with pytest.raises(TypeError, match="no frame holds a complex"):
        read_octets(complex, 1)
    for hook in (hexadecimal_octets, raw_octets):
        with pytest.raises(EncodingInvalid, match="no frame holds a complex"):
            hook(1j)


def test_decoder_says_where() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"expected 32 bytes, got 1 - at `\$\[0\]`"):
        msgspec.json.decode(b'["0x00"]', type=list[Octets32], dec_hook=read_octets)
