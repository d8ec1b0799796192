"""What leaves a socket: websocket frames, and the bound on what has not left yet. Pure."""

from collections import deque
from typing import Final

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PONG: Final = 0xA


def frame_header(opcode: int, length: int) -> bytes:
    """Write the header of a whole, unmasked, uncompressed frame. Source: RFC 6455, section 5.2."""
    if length < 126:
        return bytes((0x80 | opcode, length))
    if length < 1 << 16:
        return bytes((0x80 | opcode, 126)) + length.to_bytes(2, "big")
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big")


class SendWindow:
    """Counts the frames and bytes that were handed to the transport and have not left it.

    The transport's own buffer is the send queue: nothing is held twice, and no task has to empty it.
    """

    __slots__ = ("_bytes_max", "_frames_max", "_parts", "_written", "frames")

    def __init__(self, frames_max: int, bytes_max: int) -> None:
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._written = 0  # bytes handed over so far
        self._parts: deque[tuple[int, int]] = deque()  # (value of _written behind it, frames in it)
        self.frames = 0
        """Frames that have not left, counting one that has left in part."""

    def __repr__(self) -> str:
        return f"<SendWindow {self.frames} of {self._frames_max} frames>"

    def admit(self, frames: int, size: int, held: int) -> bool:
        """Whether a write fits; counts it if so.

        Args:
            frames: how many frames it has.
            size: how many bytes.
            held: bytes that the transport still holds of earlier writes.
        """
        left = self._written - held
        while self._parts and self._parts[0][0] <= left:
            self.frames -= self._parts.popleft()[1]
        # An idle socket takes anything: a bound below one frame would otherwise never let it through.
        if self._parts and (self.frames + frames > self._frames_max or held + size > self._bytes_max):
            return False
        self._written += size
        self._parts.append((self._written, frames))
        self.frames += frames
        return True
