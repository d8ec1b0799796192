"""Frames and the bound on what has not left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.gateway.sending import BINARY, CLOSE, TEXT, SendWindow, frame_header


@pytest.mark.parametrize(
    ("opcode", "length", "header"),
    [
        (TEXT, 0, "8100"),
        (BINARY, 125, "827d"),
        (BINARY, 126, "827e007e"),
        (TEXT, 65535, "817effff"),
        (TEXT, 65536, "817f0000000000010000"),
        (CLOSE, 2, "8802"),
    ],
)
def test_headers_of_the_standard(opcode: int, length: int, header: str) -> None:
    assert frame_header(opcode, length).hex() == header


def test_frames_are_counted_until_they_have_left() -> None:
    window = SendWindow(frames_max=4, bytes_max=1000)
    assert window.admit(2, 20, held=0)
    assert window.admit(2, 20, held=20)
    assert not window.admit(1, 10, held=40)
    assert window.frames == 4
    assert not window.admit(1, 10, held=30), "the first write has left in part only"
    assert window.admit(1, 10, held=20)
    assert repr(window) == "<SendWindow 3 of 4 frames>"


def test_bytes_are_bounded() -> None:
    window = SendWindow(frames_max=100, bytes_max=100)
    assert window.admit(1, 60, held=0)
    assert not window.admit(1, 41, held=60)
    assert window.admit(1, 40, held=60)


def test_an_idle_socket_takes_anything() -> None:
    window = SendWindow(frames_max=1, bytes_max=10)
    assert window.admit(5, 500, held=0)
    assert not window.admit(1, 1, held=500)
    assert window.admit(5, 500, held=0)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 50), st.integers(0, 60)), max_size=60))
def test_counts_agree_with_a_plain_queue(steps: list[tuple[int, int, int]]) -> None:
    window = SendWindow(frames_max=10, bytes_max=100)
    queue: list[int] = []  # bytes of each frame that has not left
    for frames, size, leaving in steps:
        left = leaving
        while left and queue:
            part = min(left, queue[0])
            left -= part
            queue[0] -= part
            if not queue[0]:
                queue.pop(0)
        idle = not queue
        if window.admit(frames, frames * size, held=sum(queue)):
            assert idle or (len(queue) + frames <= 10 and sum(queue) + frames * size <= 100)
            queue += [size] * frames
        assert window.frames >= len(queue), "never less than what is really there"
