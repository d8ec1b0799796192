"""Bugs planted on Python's side, one at a time: the campaign must find each, or it would not find a real one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType

from msgspec.structs import replace

from gamekit.core.checker import ScopeChecker
from gamekit.core.policy import Allowed, ArgumentRule, CallPolicy, Condition, Denied
from gamekit.core.scope import Scope
from gamekit.core.usage import Usage, charge
from gamekit.errors import EncodingInvalid
from gamekit.eth.calldata import EXECUTE_SELECTOR, Call, Execution, Mode, decode_execute, execute_batch
from gamekit.eth.interface import Function
from gamekit.eth.signature import CURVE_ORDER, recover_address
from gamekit.units import UINT128_MAX, Address, UnixSeconds, Wei
from tests.proof.parity.elements import PRODUCT
from tests.proof.parity.ground import Ground
from tests.proof.parity.verdict import Parts

HEAD = 100
"""Where execution data begins, in canonical calldata."""


def _decode_arguments(function: Function) -> Callable[[bytes], object]:
    return function.decode_call


@dataclass(frozen=True)
class Plant:
    """Python's side with one bug; or with none."""

    parts: Parts = field(default_factory=Parts)
    codes: dict[CodeType, int] = field(default_factory=lambda: PRODUCT)
    """What makes an element."""
    decode_arguments: Callable[[Function], Callable[[bytes], object]] = _decode_arguments


def _word(data: bytes, at: int) -> int:
    if at + 32 > len(data):
        raise EncodingInvalid("beyond the end", at=at)
    return int.from_bytes(data[at : at + 32], "big")


def _lenient_call(data: bytes, at: int) -> Call:
    start = at + _word(data, at + 64)
    length = _word(data, start)
    if start + 32 + length > len(data):
        raise EncodingInvalid("beyond the end", at=start)
    target, value = _word(data, at).to_bytes(32, "big"), Wei(_word(data, at + 32))
    if any(target[:12]):
        raise EncodingInvalid("no address", at=at)
    return Call(Address(target[12:]), value, data[start + 32 : start + 32 + length])


def _decode_by_offsets(data: bytes, calls_max: int) -> Execution:
    """Follow offsets wherever they lead, as many decoders do."""
    start = 4 + _word(data, 36)
    modes = {mode.value: mode for mode in Mode}
    if data[:4] != EXECUTE_SELECTOR or data[4:36] not in modes or start > len(data):
        raise EncodingInvalid("not an execution")
    mode, execution = modes[data[4:36]], data[start + 32 : start + 32 + _word(data, start)]
    if not mode.is_batch:
        return decode_execute(data)
    list_at = _word(execution, 0)
    count, heads = _word(execution, list_at), list_at + 32
    if not 1 <= count <= calls_max or heads + 32 * count > len(execution):
        raise EncodingInvalid("no such list")
    calls = [_lenient_call(execution, heads + _word(execution, heads + 32 * place)) for place in range(count)]
    return Execution(mode, tuple(calls))


def _aliased(data: bytes) -> Execution:
    return _decode_by_offsets(data, calls_max=64)


def _without_budget(data: bytes) -> Execution:
    """Decode by offsets, however many elements that makes, and see only then whether it was the canonical form."""
    mode, calls = _decode_by_offsets(data, calls_max=1 << 20)
    if mode.is_batch and execute_batch(mode, calls) != data:
        raise EncodingInvalid("not canonical")
    return Execution(mode, calls)


def _without_upper_bits(data: bytes) -> Execution:
    """Read a target's word as if its upper bytes were not there."""
    count = int.from_bytes(data[HEAD + 32 : HEAD + 64], "big")
    if data[:4] != EXECUTE_SELECTOR or data[4:5] != b"\x01" or count > 64:
        return decode_execute(data)
    cleaned, at = bytearray(data), HEAD + 64 + 32 * count
    for _ in range(count):
        if at + 128 > len(cleaned):
            break
        cleaned[at : at + 12] = bytes(12)
        at += 128 + -(-int.from_bytes(cleaned[at + 96 : at + 128], "big") // 32) * 32
    return decode_execute(bytes(cleaned))


def _ignoring(condition: Condition) -> Parts:
    """Leave the rules of one condition out."""

    def checker(scope: Scope, ground: Ground) -> ScopeChecker:
        entries = tuple(
            replace(
                entry,
                rules=tuple(
                    rule for rule in entry.rules if not (isinstance(rule, ArgumentRule) and rule.condition is condition)
                ),
            )
            for entry in scope.calls.entries
        )
        return Parts().checker(replace(scope, calls=CallPolicy(entries)), ground)

    return Parts(checker=checker)


def _last_call_only(allowed: Sequence[Allowed]) -> tuple[Wei, tuple[int, int]]:
    """Forget what the earlier calls of the operation add to the counters."""
    return Wei(sum(each.value_wei for each in allowed)), allowed[-1].lane_amounts


def _one_call_more(scope: Scope, before: Usage, at: UnixSeconds, calls: int, *rest: object) -> Usage | Denied:
    return charge(replace(scope, calls_max=scope.calls_max + 1), before, at, calls, *rest)  # type: ignore[arg-type]


def _without_gas_budget(scope: Scope, before: Usage, *rest: object) -> Usage | Denied:
    gas = replace(scope.gas, budget_wei=Wei(UINT128_MAX))
    return charge(replace(scope, gas=gas), before, *rest)  # type: ignore[arg-type]


def _forgets_the_rate(scope: Scope, before: Usage, *rest: object) -> Usage | Denied:
    return charge(replace(scope, rate=None), before, *rest)  # type: ignore[arg-type]


def _charges_less(scope: Scope, before: Usage, *rest: object) -> Usage | Denied:
    """Decide as it should, and then write down one use too few."""
    after = charge(scope, before, *rest)  # type: ignore[arg-type]
    return replace(after, uses=after.uses - 1) if isinstance(after, Usage) else after


def _either_s(digest: bytes, signature: bytes) -> bytes:
    s = int.from_bytes(signature[32:64], "big")
    if CURVE_ORDER // 2 < s < CURVE_ORDER and signature[64] in (27, 28):
        signature = signature[:32] + (CURVE_ORDER - s).to_bytes(32, "big") + bytes((55 - signature[64],))
    return recover_address(digest, signature)


def _too_strict(checker: ScopeChecker, call: Call) -> Allowed | Denied:
    if len(call.data) % 32 == 5:
        return Denied("CallPolicy", 0, 0, "an odd length")
    return checker.check_call(call)


def _arguments_by_offsets(function: Function) -> Callable[[bytes], object]:
    """Decode arguments by following offsets, so that many heads may lead to one list."""
    depth = function.signature.count("[]")
    return lambda data: _follow(data[4:], 0, _word(data, 4), depth)


def _follow(data: bytes, start: int, offset: int, depth: int) -> list[object]:
    at = start + offset
    count = _word(data, at)
    if count * 32 > len(data):
        raise EncodingInvalid("no such list")
    heads = [_word(data, at + 32 + 32 * place) for place in range(count)]
    return [_follow(data, at + 32, head, depth - 1) for head in heads] if depth > 1 else [*heads]


PLANTS: dict[str, tuple[Plant, str]] = {
    "aliased-offset": (Plant(Parts(decode=_aliased)), "Python accepts what the contract refuses"),
    "upper-address-bits": (Plant(Parts(decode=_without_upper_bits)), "Python accepts what the contract refuses"),
    **{
        f"ignores-{condition.name.lower().replace('_', '-')}": (
            Plant(_ignoring(condition)),
            "Python accepts what the contract refuses",
        )
        for condition in Condition
    },
    "calls-max-off-by-one": (Plant(Parts(charge=_one_call_more)), "Python accepts what the contract refuses"),
    "cap-forgets-the-batch": (Plant(Parts(add_up=_last_call_only)), "Python accepts what the contract refuses"),
    "no-gas-budget": (Plant(Parts(charge=_without_gas_budget)), "Python accepts what the contract refuses"),
    "no-rate": (Plant(Parts(charge=_forgets_the_rate)), "Python accepts what the contract refuses"),
    "either-s": (Plant(Parts(recover=_either_s)), "Python accepts what the contract refuses"),
    "no-epoch": (Plant(Parts(looks_at_the_epoch=False)), "Python accepts what the contract refuses"),
    "no-witness": (Plant(Parts(looks_at_witnesses=False)), "Python accepts what the contract refuses"),
    "charges-less": (Plant(Parts(charge=_charges_less)), "both accept, and charge differently"),
    "too-strict": (
        Plant(Parts(check=_too_strict)),
        "the contract accepts what Python refuses, for a reason that is not listed",
    ),
    "no-element-budget": (
        Plant(Parts(decode=_without_budget)),
        "the decoder's work is not bounded by its input",
    ),
    "no-argument-budget": (
        Plant(codes={**PRODUCT, _follow.__code__: 1}, decode_arguments=_arguments_by_offsets),
        "the decoder's work is not bounded by its input",
    ),
}
"""Name to the bug, and the fault that must be found."""
