"""How many elements a decoder makes of its input, counted from outside: the interpreter's profile hook sees each call.

An element is a value that has a word of its own in the encoding: an elementary value, or an array. All of them count,
also those of an input that is refused in the end, and each as often as it is read.
Nothing of the package is patched, and nothing of it runs slower anywhere else.
"""

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import TypeVar

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import array_of, elementary
from gamekit.eth.calldata import Call

T = TypeVar("T")

WORD = 32


def _code(function: object) -> CodeType:
    code = getattr(function, "__code__", None)
    assert isinstance(code, CodeType), function
    return code


CALL = 3
"""Elements of a call: target, value and data."""
PRODUCT = {_code(Call.__new__): CALL} | {
    _code(kind.decode): 1
    for kind in (
        array_of(elementary("uint256")),
        *(elementary(name) for name in ("uint256", "int256", "bytes32", "address", "bool", "bytes", "string")),
    )
}
"""What makes elements, and how many each time."""


class Counter:
    """Counts what decoders make, over a whole campaign."""

    def __init__(self, codes: dict[CodeType, int]) -> None:
        self._codes = codes
        self.inputs = 0
        self.elements = 0
        self.most = 0.0
        """Most elements for each word of an input."""
        self.calls_most = 0.0
        """Most function calls, of any kind and in any depth, for each word of an input of at least 8."""

    def decode(self, decoder: Callable[[bytes], T], data: bytes) -> str:
        """Decode once under the counter; says what is wrong when it made more elements than there are words."""
        made = calls = 0
        codes = self._codes

        def see(frame: FrameType, event: str, argument: object) -> None:
            nonlocal made, calls
            if event == "call":
                calls += 1
                made += codes.get(frame.f_code, 0)

        sys.setprofile(see)
        try:
            decoder(data)
        except EncodingInvalid:
            pass
        finally:
            sys.setprofile(None)
        self.inputs += 1
        self.elements += made
        words = len(data) / WORD
        if words:
            self.most = max(self.most, made / words)
        if words >= 8:
            self.calls_most = max(self.calls_most, calls / words)
        return f"{made} elements decoded from {len(data)} bytes, at most {len(data) // WORD}" if made > words else ""
