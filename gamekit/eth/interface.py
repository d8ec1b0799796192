"""The functions, events and errors of a contract, built from its ABI, and how to read what it says.

The codec itself is `abi.py`. An ABI arrives as the JSON that a compiler writes, or as text for the few that gamekit
knows by heart.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Self

import msgspec

from gamekit.errors import EncodingInvalid
from gamekit.eth.abi import AbiType, AbiValue, Parameter, decode, encode, tuple_of
from gamekit.eth.abi_text import add_arrays, parse_parameters, parse_type, split_brackets
from gamekit.eth.block import Log
from gamekit.eth.hashing import event_topic, selector
from gamekit.units import Address, Hash32


class Function(msgspec.Struct, frozen=True, eq=False):
    """A function of a contract."""

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    state_mutability: str
    """`pure`, `view`, `nonpayable` or `payable`."""
    signature: str
    """Canonical: `move(uint8,uint8)`."""
    selector: bytes

    @classmethod
    def parse(cls, text: str, returns: str = "", state_mutability: str = "nonpayable") -> Self:
        """Build from text such as `getNonce(address sender, uint192 key)` and the list of its results."""
        name, inputs = _parse_signature(text)
        return cls.build(name, inputs, parse_parameters(returns), state_mutability)

    @classmethod
    def build(
        cls, name: str, inputs: tuple[Parameter, ...], outputs: tuple[Parameter, ...], state_mutability: str
    ) -> Self:
        """Build from parts; signature and selector follow from them."""
        signature = _canonical(name, inputs)
        return cls(name, inputs, outputs, state_mutability, signature, selector(signature))

    def encode_call(self, *values: object) -> bytes:
        """Encode calldata. Raises EncodingInvalid for values that do not fit."""
        return self.selector + encode(_types(self.inputs), values)

    def decode_call(self, calldata: bytes) -> tuple[AbiValue, ...]:
        """Decode calldata of this function, strictly. Raises EncodingInvalid."""
        _require_selector(self.signature, self.selector, calldata)
        return decode(_types(self.inputs), calldata[4:])

    def decode_result(self, data: bytes) -> tuple[AbiValue, ...]:
        """Decode what a call returned, strictly. Raises EncodingInvalid."""
        return decode(_types(self.outputs), data)


class CustomError(msgspec.Struct, frozen=True, eq=False):
    """An error that a contract reverts with."""

    name: str
    inputs: tuple[Parameter, ...]
    signature: str
    selector: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Build from text such as `FailedOp(uint256 opIndex, string reason)`."""
        return cls.build(*_parse_signature(text))

    @classmethod
    def build(cls, name: str, inputs: tuple[Parameter, ...]) -> Self:
        """Build from parts; signature and selector follow from them."""
        signature = _canonical(name, inputs)
        return cls(name, inputs, signature, selector(signature))

    def encode(self, *values: object) -> bytes:
        """Encode revert data, as the contract would."""
        return self.selector + encode(_types(self.inputs), values)

    def decode(self, data: bytes) -> "Revert":
        """Decode revert data of this error, strictly. Raises EncodingInvalid."""
        _require_selector(self.signature, self.selector, data)
        return Revert(self.name, _named(self.inputs, decode(_types(self.inputs), data[4:])), data)


class Event(msgspec.Struct, frozen=True, eq=False):
    """An event of a contract."""

    name: str
    inputs: tuple[Parameter, ...]
    anonymous: bool
    signature: str
    topic: Hash32

    @classmethod
    def parse(cls, text: str) -> Self:
        """Build from text such as `Deposited(address indexed account, uint256 totalDeposit)`."""
        return cls.build(*_parse_signature(text))

    @classmethod
    def build(cls, name: str, inputs: tuple[Parameter, ...], *, anonymous: bool = False) -> Self:
        """Build from parts; signature and topic follow from them."""
        signature = _canonical(name, inputs)
        return cls(name, inputs, anonymous, signature, event_topic(signature))

    def decode(self, log: Log) -> "DecodedLog":
        """Decode a log of this event, strictly.

        An indexed value that is longer than a word is on chain only as its hash, and is given as that hash.

        Raises:
            EncodingInvalid: another event, or topics or data that do not fit it.
        """
        topics = log.topics if self.anonymous else log.topics[1:]
        indexed = [parameter for parameter in self.inputs if parameter.indexed]
        if (not self.anonymous and log.topics[:1] != (self.topic,)) or len(topics) != len(indexed):
            raise EncodingInvalid(
                f"the log's {len(log.topics)} topics are not those of {self.signature}",
                found=tuple(topic.hex() for topic in log.topics),
                expected=self.topic,
            )
        from_topics = iter(
            [_decode_topic(parameter.type, topic) for parameter, topic in zip(indexed, topics, strict=True)]
        )
        from_data = iter(decode([parameter.type for parameter in self.inputs if not parameter.indexed], log.data))
        values = [next(from_topics if parameter.indexed else from_data) for parameter in self.inputs]
        return DecodedLog(self.name, log.address, _named(self.inputs, values))


class Revert(msgspec.Struct, frozen=True):
    """Why a call reverted."""

    name: str
    """The error's name: `Error` with a `message`, `Panic` with a `code`, a custom error, or empty when unknown."""
    values: dict[str, AbiValue]
    """Its values by name, in order."""
    data: bytes
    """The revert data itself; empty when the call ran out of gas or reverted without saying anything."""


class DecodedLog(msgspec.Struct, frozen=True):
    """What an event said."""

    name: str
    address: Address
    """The contract that emitted it."""
    values: dict[str, AbiValue]
    """Its values by name, in the order of the event's parameters."""


class Interface:
    """All functions, events and errors of a contract."""

    def __init__(
        self,
        functions: Iterable[Function] = (),
        events: Iterable[Event] = (),
        errors: Iterable[CustomError] = (),
    ) -> None:
        self.functions: Final = {function.signature: function for function in functions}
        """By canonical signature, since a name may be overloaded."""
        self.functions_by_selector: Final = {function.selector: function for function in self.functions.values()}
        self.events: Final = {event.topic: event for event in events if not event.anonymous}
        """By first topic."""
        self.errors: Final = {error.selector: error for error in (ERROR, PANIC, *errors)}
        """By selector; with Solidity's own two."""

    @classmethod
    def from_json(cls, abi: object) -> Self:
        """Build from the list that a compiler writes. Constructors, `receive` and `fallback` are left out.

        Raises:
            EncodingInvalid: the list does not have the form of an ABI, or uses a type that is not supported.
        """
        try:
            entries = msgspec.convert(abi, list[_Entry])
        except msgspec.ValidationError as error:
            raise EncodingInvalid(f"this is not a contract ABI: {error}") from error
        return cls(
            [entry.function() for entry in entries if entry.type == "function"],
            [entry.event() for entry in entries if entry.type == "event"],
            [entry.error() for entry in entries if entry.type == "error"],
        )

    def function(self, name: str) -> Function:
        """Find a function by its canonical signature, or by its name if only one has it.

        Raises:
            EncodingInvalid: there is none, or the name is overloaded.
        """
        if name in self.functions:
            return self.functions[name]
        found = [function for function in self.functions.values() if function.name == name]
        if len(found) != 1:
            raise EncodingInvalid(
                f"the ABI has {len(found)} functions named {name[:80]!r}", found=len(found), expected=1
            )
        return found[0]

    def decode_revert(self, data: bytes) -> Revert:
        """Say why a call reverted; an error that is not in the ABI, or not well formed, has an empty name."""
        error = self.errors.get(data[:4])
        if error is not None:
            try:
                return error.decode(data)
            except EncodingInvalid:
                pass
        return Revert("", {}, data)

    def decode_log(self, log: Log) -> DecodedLog | None:
        """Decode a log, or give None when it is not an event of this ABI or not well formed.

        The caller checks that `log.address` is the contract it means: anyone may emit anything.
        """
        event = self.events.get(log.topics[0]) if log.topics else None
        if event is not None:
            try:
                return event.decode(log)
            except EncodingInvalid:
                pass
        return None


class _Parameter(msgspec.Struct):
    type: str
    name: str = ""
    indexed: bool = False
    components: list["_Parameter"] = []

    def compile(self) -> Parameter:
        return Parameter(self.name, self._kind(), indexed=self.indexed)

    def _kind(self) -> AbiType:
        name, brackets = split_brackets(self.type)
        if name != "tuple":
            return parse_type(self.type)
        return add_arrays(tuple_of([component.compile() for component in self.components]), brackets)


class _Entry(msgspec.Struct):
    type: str = "function"
    name: str = ""
    inputs: list[_Parameter] = []
    outputs: list[_Parameter] = []
    anonymous: bool = False
    state_mutability: str = msgspec.field(name="stateMutability", default="nonpayable")

    def function(self) -> Function:
        return Function.build(self.name, _compile(self.inputs), _compile(self.outputs), self.state_mutability)

    def event(self) -> Event:
        return Event.build(self.name, _compile(self.inputs), anonymous=self.anonymous)

    def error(self) -> CustomError:
        return CustomError.build(self.name, _compile(self.inputs))


def _compile(parameters: Sequence[_Parameter]) -> tuple[Parameter, ...]:
    return tuple(parameter.compile() for parameter in parameters)


def _parse_signature(text: str) -> tuple[str, tuple[Parameter, ...]]:
    name, opened, rest = text.strip().partition("(")
    if not name.isidentifier() or not opened or not rest.endswith(")"):
        raise EncodingInvalid(f"cannot read the signature {text[:80]!r}", found=text[:80])
    return name, parse_parameters(rest[:-1])


def _canonical(name: str, inputs: Sequence[Parameter]) -> str:
    return f"{name}({','.join(parameter.type.canonical for parameter in inputs)})"


def _types(parameters: Sequence[Parameter]) -> list[AbiType]:
    return [parameter.type for parameter in parameters]


def _named(parameters: Sequence[Parameter], values: Sequence[AbiValue]) -> dict[str, AbiValue]:
    """Name values; one without a name is called by its place."""
    pairs = zip(parameters, values, strict=True)
    return {parameter.name or str(place): value for place, (parameter, value) in enumerate(pairs)}


def _require_selector(signature: str, expected: bytes, data: bytes) -> None:
    if data[:4] != expected:
        raise EncodingInvalid(
            f"{signature} starts with {expected.hex()}, got {data[:4].hex()}", found=data[:4], expected=expected
        )


def _decode_topic(kind: AbiType, topic: Hash32) -> AbiValue:
    is_word = not kind.dynamic and not kind.components and kind.element is None
    return decode((kind,), topic)[0] if is_word else topic


ERROR: Final = CustomError.parse("Error(string message)")
"""`require` and `revert` with a text. Source: Solidity documentation, error handling."""
PANIC: Final = CustomError.parse("Panic(uint256 code)")
"""A failed `assert`, an overflow, an index out of range. Source: Solidity documentation, error handling."""
