"""A function that is play: what the manifest says of it, checked against the ABI and turned into rules.

Every argument that could name somebody is classified here: pinned to the player's account, or a reference with its
meaning. What is neither is refused.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from msgspec import Struct

from gamekit.core.arguments import read_argument, static_words
from gamekit.core.lint import function_fault, needs_classification, says_beneficiary
from gamekit.core.manifest import FunctionManifest, RuleManifest, Word
from gamekit.core.policy import ArgumentRule, Condition
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.abi import AbiType, arrange
from gamekit.eth.calldata import CallTemplate
from gamekit.eth.interface import Function, Interface
from gamekit.units import Address, Gas, Wei


class SpendingRule(Struct, frozen=True, gc=False):
    """A cap on the sum of an argument, not yet bound to a lane."""

    argument: int
    """Which word of the call's arguments."""
    total_max: int
    of: str
    """What is counted; rules that name the same share one cap."""


class Contract(Struct, frozen=True, eq=False):
    """A contract of a game."""

    name: str
    """What stands before its functions' names; the game's name for the game's own contract."""
    address: Address
    interface: Interface


class PlayFunction(Struct, frozen=True, eq=False):
    """One function that sessions may call."""

    key: str
    """What the manifest and clients call it."""
    contract: Contract
    """Whose function it is."""
    function: Function
    template: CallTemplate
    meaning: str
    gas: Gas
    """Ceiling of one call; 0 for the configured default."""
    value_per_call_wei_max: Wei
    pinned: tuple[str, ...]
    """Arguments that must be the player's own account."""
    references: tuple[tuple[str, str], ...]
    """Arguments that name without giving, each with its meaning."""
    rules: tuple[ArgumentRule, ...]
    spending: tuple[SpendingRule, ...]
    harmless_name: str

    @property
    def target(self) -> Address:
        """The contract that it is called on."""
        return self.contract.address

    @property
    def word_names(self) -> dict[int, str]:
        """Names of the words that rules can speak of, by place."""
        return {place: name for name, (place, _) in static_words(self.function.inputs).items()}

    def encode(self, arguments: Sequence[object] | Mapping[str, object]) -> bytes:
        """Encode calldata from arguments by place or by name; text is read as `arguments.read_argument` does.

        Raises: EncodingInvalid for arguments that do not fit.
        """
        inputs = self.function.inputs
        is_plain = arguments.__class__ is tuple or arguments.__class__ is list
        values = cast("Sequence[object]", arguments) if is_plain else arrange(inputs, arguments)
        for value in values:
            if value.__class__ is not int and len(values) == len(inputs):
                pairs = zip(inputs, values, strict=True)
                return self.template.encode([read_argument(parameter.type, each) for parameter, each in pairs])
        return self.template.encode(values)


def play_function(key: str, contract: Contract, function: Function, manifest: FunctionManifest) -> PlayFunction:
    """Build a function of a contract from its manifest.

    Raises: ConfigInvalid if it may not be play, or an argument is not classified, or a rule fits no argument.
    """
    fault = function_fault(function, manifest)
    if fault:
        _refuse(key, fault)
    words = static_words(function.inputs)
    _require_classified(key, function, manifest)
    rules = [ArgumentRule(_pinned_word(key, name, words), Condition.PINNED_TO_ACCOUNT) for name in manifest.beneficiary]
    spending: list[SpendingRule] = []
    for name, rule in manifest.rules.items():
        place, kind = _word(key, name, words)
        rules += _rules(key, name, place, kind, rule)
        if rule.total_at_most is not None:
            total_max = _number(key, name, _unsigned(key, name, kind), rule.total_at_most)
            spending.append(SpendingRule(place, total_max, rule.of or f"{key}.{name}"))
    return PlayFunction(
        key=key,
        contract=contract,
        function=function,
        template=CallTemplate(function),
        meaning=manifest.meaning.strip(),
        gas=Gas(manifest.gas),
        value_per_call_wei_max=Wei(manifest.value_per_call_wei_max or 0),
        pinned=manifest.beneficiary,
        references=tuple(manifest.reference.items()),
        rules=tuple(rules),
        spending=tuple(spending),
        harmless_name=manifest.harmless_name.strip(),
    )


def _require_classified(key: str, function: Function, manifest: FunctionManifest) -> None:
    names = {parameter.name or str(place): parameter.type for place, parameter in enumerate(function.inputs)}
    for name, meaning in manifest.reference.items():
        if name not in names or not meaning.strip():
            _refuse(key, f"`reference` needs an argument of the function and its meaning, got {name!r}: {meaning!r}")
        if names[name].canonical == "address" and says_beneficiary(name):
            _refuse(key, f"the address {name!r} says that it receives something: name it in `beneficiary`")
    for name, kind in names.items():
        if name in manifest.reference or name in manifest.beneficiary or not needs_classification(name, kind):
            continue
        _refuse(
            key,
            f"argument {name!r} ({kind.canonical}) may name who gets something: "
            "put it into `beneficiary`, or into `reference` with its meaning",
        )


def _pinned_word(key: str, name: str, words: Mapping[str, tuple[int, AbiType]]) -> int:
    place, kind = _word(key, name, words)
    if kind.canonical != "address":
        _refuse(key, f"beneficiary {name!r} must be an address, got {kind.canonical}")
    return place


def _word(key: str, name: str, words: Mapping[str, tuple[int, AbiType]]) -> tuple[int, AbiType]:
    if name not in words:
        _refuse(key, f"{name!r} is no statically encoded argument: known are {sorted(words)}")
    return words[name]


def _rules(key: str, name: str, place: int, kind: AbiType, rule: RuleManifest) -> list[ArgumentRule]:
    singles = (
        (Condition.EQUAL, rule.equal, kind),
        (Condition.NOT_EQUAL, rule.not_equal, kind),
        (Condition.AT_LEAST, rule.at_least, None),
        (Condition.AT_MOST, rule.at_most, None),
    )
    rules = [
        ArgumentRule(place, condition, _number(key, name, fitting or _unsigned(key, name, kind), value))
        for condition, value, fitting in singles
        if value is not None
    ]
    rules += [ArgumentRule(place, Condition.ONE_OF, _number(key, name, kind, value)) for value in rule.one_of]
    if not rules and rule.total_at_most is None:
        _refuse(key, f"the rule on {name!r} says nothing")
    return rules


def _unsigned(key: str, name: str, kind: AbiType) -> AbiType:
    if not kind.canonical.startswith("uint"):
        _refuse(key, f"{name!r} is {kind.canonical}: only unsigned numbers have an order on chain")
    return kind


def _number(key: str, name: str, kind: AbiType, value: Word) -> int:
    try:
        return int.from_bytes(kind.encode(read_argument(kind, value)), "big")
    except EncodingInvalid as error:
        raise ConfigInvalid(f"function {key}: the rule on {name!r}: {error}", function=key) from error


def _refuse(key: str, fault: str) -> NoReturn:
    raise ConfigInvalid(f"function {key}: {fault}", function=key)
