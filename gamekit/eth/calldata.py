"""Calldata on the hot path: packed by hand, from templates that are compiled once.

A `CallTemplate` encodes the calls of one function. A `CallSlot` binds it to a contract, and gives each call the bytes
that it has inside a batch, so that a `BatchTemplate` only joins them. `decode_execution` reads an account's calldata
back, and refuses every form but the one that is written here.

::

    execute(bytes32 mode, bytes)   selector 4 | mode 32 | 0x40 | length | execution data, padded to words
    execution data, single         target 20 | value 32 | data
    execution data, batch          0x20 | count | offset of each element | elements
    element of a batch             target 32 | value 32 | 0x60 | length | data, padded to words

Source: ERC-7579, account execution.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple, cast

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import AbiType, AbiValue, arrange, array_of, decode, encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.interface import Function
from gamekit.units import UINT256_MAX, Address, Wei


class Call(NamedTuple):
    """One call that an account makes."""

    target: Address
    value: Wei
    """0 to 2**256 - 1."""
    data: bytes
    """Selector and arguments; may be empty when only value is sent."""


class Mode(Enum):
    """The four mode words of `execute` that gamekit uses; each value is the whole word.

    Source: ERC-7579, execution modes: call type, exec type, unused 4, selector 4, payload 22.
    """

    SINGLE = bytes(32)
    """One call; its revert reverts the operation's execution."""
    SINGLE_TRY = b"\x00\x01" + bytes(30)
    """One call; its revert is reported by an event."""
    BATCH = b"\x01" + bytes(31)
    """An atomic group: all calls, or none."""
    BATCH_TRY = b"\x01\x01" + bytes(30)
    """Independent calls: each may revert by itself."""

    @property
    def is_batch(self) -> bool:
        """Whether the execution data is a list of calls."""
        return self in _BATCH_MODES

    @property
    def is_try(self) -> bool:
        """Whether a reverting call leaves the others alone."""
        return self in _TRY_MODES


class Execution(NamedTuple):
    """What an account is asked to execute."""

    mode: Mode
    calls: tuple[Call, ...]


_BATCH_MODES: Final = frozenset((Mode.BATCH, Mode.BATCH_TRY))
_TRY_MODES: Final = frozenset((Mode.SINGLE_TRY, Mode.BATCH_TRY))

_MODES: Final = {mode.value: mode for mode in Mode}
_NO_VALUE: Final = Wei(0)

EXECUTE_SELECTOR: Final = bytes.fromhex("e9ae5c53")
"""Of `execute(bytes32,bytes)`."""

_ZERO: Final = bytes(32)
_ZERO_12: Final = bytes(12)
_WORD_20: Final = (0x20).to_bytes(32, "big")
_WORD_40: Final = (0x40).to_bytes(32, "big")
_WORD_60: Final = (0x60).to_bytes(32, "big")
_PADDING: Final = tuple(bytes(-length % 32) for length in range(32))
"""By length modulo 32: the zeros that fill up its last word."""
_ELEMENT_HEAD: Final = 128
"""Bytes of a batch element before its data."""
_EXECUTE_HEAD: Final = 4 + 3 * 32
"""Bytes of `execute` calldata before the execution data."""
_SINGLE_HEAD: Final = 52
"""Bytes of a single call before its data."""
_CALL: Final = parse_type("(address,uint256,bytes)")
_CALLS: Final = array_of(_CALL)
_SHAPES_MAX: Final = 1024
"""Most batch shapes, or data lengths, whose constant bytes one template keeps: 64 batch sizes times 16 lengths."""


class CallTemplate:
    """Encodes the calls of one function; static arguments take well under a microsecond."""

    def __init__(self, function: Function) -> None:
        self.function: Final = function
        self._types: Final = tuple(parameter.type for parameter in function.inputs)
        is_static = not any(kind.dynamic for kind in self._types)
        self._pack: Final = _static_packer(function.selector, self._types) if is_static else self._pack_dynamic

    def encode(self, arguments: Sequence[object] | Mapping[str, object]) -> bytes:
        """Encode calldata from arguments by place (a sequence) or by name (a mapping).

        Raises:
            EncodingInvalid: another number of arguments, another name, or a value that its type cannot hold.
        """
        is_plain = arguments.__class__ is tuple or arguments.__class__ is list
        values = arguments if is_plain else arrange(self.function.inputs, arguments)
        if len(values) != len(self._types):
            raise EncodingInvalid(
                f"{self.function.signature} takes {len(self._types)} arguments, got {len(values)}",
                found=len(values),
                expected=len(self._types),
            )
        return self._pack(cast("Sequence[object]", values))

    def decode(self, calldata: bytes) -> tuple[AbiValue, ...]:
        """Decode the arguments again, strictly. Raises EncodingInvalid."""
        return self.function.decode_call(calldata)

    def _pack_dynamic(self, values: Sequence[object]) -> bytes:
        return self.function.selector + encode(self._types, values)


def _static_packer(prefix: bytes, types: Sequence[AbiType]) -> Callable[[Sequence[object]], bytes]:
    """Compile a function that joins the words of static arguments; few arguments are worth a shape of their own."""
    join = b"".join
    encoders = tuple(kind.encode for kind in types)
    if len(encoders) == 1:
        (only,) = encoders
        return lambda values: join((prefix, only(values[0])))
    if len(encoders) == 2:
        first, second = encoders
        return lambda values: join((prefix, first(values[0]), second(values[1])))
    if len(encoders) == 3:
        first, second, third = encoders
        return lambda values: join((prefix, first(values[0]), second(values[1]), third(values[2])))
    return lambda values: join([prefix, *[encoder(value) for encoder, value in zip(encoders, values, strict=True)]])


class CallSlot:
    """Binds calls to a contract and a value: gives batch elements whose constant bytes are joined beforehand."""

    def __init__(self, target: Address, value: Wei = _NO_VALUE) -> None:
        self.target: Final = target
        self.value: Final = value
        self._heads: Final[dict[int, bytes]] = {}

    def element(self, data: bytes) -> bytes:
        """Encode one call as an element of a batch."""
        length = len(data)
        head = self._heads.get(length)
        if head is None:
            head = pack_element(self.target, self.value, data)[:_ELEMENT_HEAD]
            if len(self._heads) < _SHAPES_MAX:
                self._heads[length] = head
        return b"".join((head, data, _PADDING[length & 31]))


class BatchTemplate:
    """Encodes `execute` calldata of batches in one mode; batches of a shape seen before only join their elements."""

    def __init__(self, mode: Mode) -> None:
        if not mode.is_batch:
            raise EncodingInvalid(f"{mode.name} holds one call, not a batch", found=mode.name)
        self.mode: Final = mode
        self._prefixes: Final[dict[tuple[int, ...], bytes]] = {}

    def encode(self, elements: Sequence[bytes]) -> bytes:
        """Join elements, as `CallSlot.element` or `pack_element` gave them, into calldata; at least one."""
        shape = tuple(map(len, elements))
        prefix = self._prefixes.get(shape)
        if prefix is None:
            prefix = _batch_prefix(self.mode, shape)
            if len(self._prefixes) < _SHAPES_MAX:
                self._prefixes[shape] = prefix
        return prefix + b"".join(elements)


def _batch_prefix(mode: Mode, shape: tuple[int, ...]) -> bytes:
    """Everything before the first element, which depends on nothing but the sizes of the elements."""
    if not shape:
        raise EncodingInvalid("a batch needs at least one call", found=0, minimum=1)
    offset = 32 * len(shape)
    words = [2 * 32 + offset + sum(shape), 0x20, len(shape)]
    for size in shape:
        words.append(offset)
        offset += size
    return _execute_head(mode) + b"".join([word.to_bytes(32, "big") for word in words])


BATCH_TEMPLATES: Final = {mode: BatchTemplate(mode) for mode in _BATCH_MODES}
"""One for each batch mode; whoever shares them shares the shapes that they remember."""


def pack_element(target: Address, value: int, data: bytes) -> bytes:
    """Encode one call as an element of a batch.

    Raises:
        EncodingInvalid: the target is not 20 bytes, or the value does not fit a word.
    """
    if len(target) != 20 or not 0 <= value <= UINT256_MAX:
        raise _misfit(target, value)
    length = len(data)
    amount = value.to_bytes(32, "big") if value else _ZERO
    size = length.to_bytes(32, "big")
    return b"".join((_ZERO_12, target, amount, _WORD_60, size, data, _PADDING[length & 31]))


def execute_batch(mode: Mode, calls: Iterable[Call]) -> bytes:
    """Encode `execute` calldata of a batch.

    Raises:
        EncodingInvalid: `mode` is not a batch mode, or a call does not fit.
    """
    if not mode.is_batch:
        raise EncodingInvalid(f"{mode.name} holds one call, not a batch", found=mode.name)
    return BATCH_TEMPLATES[mode].encode([pack_element(*call) for call in calls])


def execute_single(mode: Mode, target: Address, value: int, data: bytes) -> bytes:
    """Encode `execute` calldata of one call.

    Raises:
        EncodingInvalid: `mode` is a batch mode, or the call does not fit.
    """
    if mode.is_batch:
        raise EncodingInvalid(f"{mode.name} holds a batch, not one call", found=mode.name)
    if len(target) != 20 or not 0 <= value <= UINT256_MAX:
        raise _misfit(target, value)
    length = _SINGLE_HEAD + len(data)
    size, amount = length.to_bytes(32, "big"), value.to_bytes(32, "big")
    return b"".join((_execute_head(mode), size, target, amount, data, _PADDING[length & 31]))


def decode_execute(calldata: bytes) -> Execution:
    """Read `execute` calldata back: exactly what `execute_single` and `execute_batch` write, and nothing else.

    Raises:
        EncodingInvalid: another function, another mode word, an offset or a length that is not the canonical one,
            padding that is not zero, trailing bytes, or a batch of nothing.

    Source: SessionValidator.sol reads calldata by the same rules.
    """
    mode_word, offset, length = calldata[4:36], calldata[36:68], int.from_bytes(calldata[68:100], "big")
    if calldata[:4] != EXECUTE_SELECTOR:
        raise _refusal("selector", calldata[:4], EXECUTE_SELECTOR)
    mode = _MODES.get(mode_word)
    if mode is None:
        raise EncodingInvalid(f"mode {mode_word.hex()} is none of the four", found=mode_word)
    if offset != _WORD_40:
        raise _refusal("offset of the execution data", offset, _WORD_40)
    if len(calldata) != _EXECUTE_HEAD + length + -length % 32:
        raise EncodingInvalid(
            f"calldata has {len(calldata)} bytes, its data says {length}", found=len(calldata), expected=length
        )
    data, padding = calldata[_EXECUTE_HEAD : _EXECUTE_HEAD + length], calldata[_EXECUTE_HEAD + length :]
    if padding != _PADDING[length & 31]:
        raise _refusal("padding", padding, _PADDING[length & 31])
    return Execution(mode, _decode_batch(mode, calldata, data) if mode.is_batch else (_decode_single(data),))


def _decode_single(data: bytes) -> Call:
    if len(data) < _SINGLE_HEAD:
        raise EncodingInvalid(f"a single call has at least 52 bytes, got {len(data)}", found=len(data), expected=52)
    return Call(Address(data[:20]), Wei(int.from_bytes(data[20:52], "big")), data[52:])


def _decode_batch(mode: Mode, calldata: bytes, data: bytes) -> tuple[Call, ...]:
    """Read a batch's lengths, compare the frame that follows from them, then read one call after another.

    Three times as fast as the codec, which is only asked where the difference lies once there is one: in the frame,
    before any call is read, or in one call. So a bad input costs no more than a good one.
    """
    sizes = _element_sizes(calldata)
    prefix = _batch_prefix(mode, sizes) if sizes else b""
    at = len(prefix)
    if not sizes or calldata[:at] != prefix:
        decode((_CALLS,), data)
        raise EncodingInvalid("a batch needs at least one call", found=0, minimum=1)
    calls = []
    for size in sizes:
        element = calldata[at : at + size]
        length = int.from_bytes(element[96:_ELEMENT_HEAD], "big")
        value = Wei(int.from_bytes(element[32:64], "big"))
        call = Call(Address(element[12:32]), value, element[_ELEMENT_HEAD : _ELEMENT_HEAD + length])
        if pack_element(*call) != element:
            decode((_CALL,), _WORD_20 + element)
        calls.append(call)
        at += size
    return tuple(calls)


def _element_sizes(calldata: bytes) -> tuple[int, ...]:
    """Say how long each element is, by the lengths alone. Each has a head at least, so the input bounds the steps."""
    count = int.from_bytes(calldata[_EXECUTE_HEAD + 32 : _EXECUTE_HEAD + 64], "big")
    at, end = _EXECUTE_HEAD + 64 + 32 * count, len(calldata)
    sizes = []
    while at + _ELEMENT_HEAD <= end:
        length = int.from_bytes(calldata[at + 96 : at + _ELEMENT_HEAD], "big")
        size = _ELEMENT_HEAD + length + -length % 32
        if size > end - at:
            break
        sizes.append(size)
        at += size
    return tuple(sizes)


def _execute_head(mode: Mode) -> bytes:
    return EXECUTE_SELECTOR + mode.value + _WORD_40


def _misfit(target: bytes, value: int) -> EncodingInvalid:
    return EncodingInvalid(
        f"a call needs a 20-byte target and a value of 256 bits, got {target.hex()} and {value}",
        found=(target.hex(), value),
    )


def _refusal(what: str, found: bytes, expected: bytes) -> EncodingInvalid:
    return EncodingInvalid(f"{what} is {found.hex()}, expected {expected.hex()}", found=found, expected=expected)
