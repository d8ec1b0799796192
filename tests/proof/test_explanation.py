"""The explanation names exactly what the contract enforces: each field, each check, and nothing beyond them."""

import re
from collections.abc import Callable, Iterator

import pytest
from msgspec import Struct
from msgspec.structs import replace

from gamekit.contracts import build
from gamekit.core.explain import describe, explain
from gamekit.core.policy import (
    ArgumentRule,
    CallPolicy,
    Condition,
    GasPolicy,
    RateLimitPolicy,
    SpendingLimitPolicy,
    UsageLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope, scope_fault
from gamekit.units import ZERO_ADDRESS, Address, Wei
from tests.core.games import quest
from tests.core.scopes import PAYMASTER, entry, scope_of
from tests.core.test_explain import arena, bound
from tests.core.towns import town
from tests.proof import sentences
from tests.proof.parity.oracle import validation_errors

CRAFT, BREW, OTHER = "craft(uint256,uint256,address)", "brew(uint256)", Address(b"\x77" * 20)


def full(cap: int = 900) -> Scope:
    """A scope that says everything that a scope can say."""
    rules = tuple(
        ArgumentRule(place, condition, 0 if condition is Condition.PINNED_TO_ACCOUNT else 5 + place)
        for place, condition in enumerate(Condition)
    )
    twins = ArgumentRule(4, Condition.ONE_OF, 21), ArgumentRule(4, Condition.ONE_OF, 22)
    return scope_of(
        entry(CRAFT, *rules, *twins, SpendingLimitPolicy(1, cap, 1)),
        entry(BREW, SpendingLimitPolicy(0, cap, 1)),
        replace(entry(BREW, target=OTHER), function=""),
        gas=GasPolicy(Wei(10**16), Wei(10**15), PAYMASTER),
        value=ValueLimitPolicy(Wei(5), Wei(70)),
        usage=UsageLimitPolicy(1000),
        rate=RateLimitPolicy(50, 64),
    )


def leaves(value: object, path: str = "scope") -> Iterator[tuple[str, Callable[[object], object], object]]:
    """Give each plain value in a scope, with what puts another one in its place."""
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            for place, put, found in leaves(getattr(value, name), f"{path}.{name}"):
                yield place, lambda new, name=name, put=put: replace(value, **{name: put(new)}), found  # type: ignore[misc]
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            for place, put, found in leaves(each, f"{path}[{index}]"):
                yield (
                    place,
                    lambda new, index=index, put=put: (*value[:index], put(new), *value[index + 1 :]),  # type: ignore[misc]
                    found,
                )
    else:
        yield path, lambda new: new, value


def another(path: str, value: object) -> object:
    """Give another value of the same kind."""
    if isinstance(value, Condition):
        return Condition((value + 1) % len(Condition))
    if isinstance(value, bytes):
        return bytes(byte ^ 0x11 for byte in value)
    if isinstance(value, str):
        return "play(uint256,uint256,address)"
    assert isinstance(value, int), path
    return value + 1


NOT_ALONE = {
    "scope.calls.entries[0].rules[0].total_max": "must be equal",  # a cap that two rules share; both: below
    "scope.calls.entries[1].rules[5].value": "must be 0",  # of a pinned argument
}
FIELDS = {path: (put, value) for path, put, value in leaves(full())}


@pytest.mark.parametrize("path", FIELDS)
def test_each_field_is_named(path: str) -> None:
    """What differs in one field reads differently, unless it could not be granted at all."""
    put, value = FIELDS[path]
    changed = put(another(path, value))
    assert isinstance(changed, Scope)
    if path in NOT_ALONE:
        assert NOT_ALONE[path] in scope_fault(changed)
    else:
        assert explain(changed, quest()) != explain(full(), quest())


@pytest.mark.parametrize(
    "changed",
    [
        replace(full(), rate=None),
        replace(full(), value=ValueLimitPolicy()),
        replace(full(), gas=replace(full().gas, paymaster=None)),
        replace(full(), revoker=ZERO_ADDRESS),
        replace(full(), calls=CallPolicy(full().calls.entries[1:])),
        full(cap=901),
        *(
            replace(
                full(), calls=CallPolicy((replace(first, rules=first.rules[:place] + first.rules[place + 1 :]), *rest))
            )
            for first, *rest in [full().calls.entries]
            for place in range(len(first.rules))
        ),
    ],
)
def test_what_is_left_out_reads_differently(changed: Scope) -> None:
    assert explain(changed, quest()) != explain(full(), quest())


def test_a_field_that_nothing_says_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same check, with an explanation that forgets who the signer is."""
    monkeypatch.setattr("gamekit.core.explain._title", lambda game, scope, meaning: game.name)
    put, value = FIELDS["scope.signer"]
    changed = put(another("scope.signer", value))
    assert isinstance(changed, Scope)
    assert explain(changed, quest()) == explain(full(), quest())


EXPLAINED = (
    full(),
    replace(full(), rate=None),
    replace(full(), value=ValueLimitPolicy()),
    replace(full(), revoker=ZERO_ADDRESS),
    replace(full(), gas=replace(full().gas, paymaster=None)),
    bound(arena(), "play_match"),
    bound(quest(), "raid"),
)


@pytest.mark.parametrize("scope", EXPLAINED)
def test_each_sentence_has_what_enforces_it(scope: Scope) -> None:
    assert sentences.unknown(describe(scope, quest())) == []


@pytest.mark.parametrize("unit", ["play_match", "take_a_walk"])
def test_each_sentence_of_a_unit_has_what_enforces_it(unit: str) -> None:
    assert sentences.unknown(describe(arena().unit(unit), arena())) == []


@pytest.mark.parametrize("unit", ["all", "two"])
def test_each_sentence_of_a_game_of_several_contracts_has_what_enforces_it(unit: str) -> None:
    assert sentences.unknown(describe(town().unit(unit), town())) == []
    assert sentences.unknown(describe(bound(town(), unit), town())) == []


def test_a_sentence_that_nothing_enforces_would_be_found() -> None:
    told = describe(full(), quest())
    promise = "Lose a match."
    assert sentences.unknown(replace(told, never=(*told.never, promise))) == [promise]
    moved = replace(told, never=(*told.never, told.not_enforced[1]))
    assert sentences.unknown(moved) == [told.not_enforced[1]]


def test_each_kind_of_sentence_is_used() -> None:
    """The list holds nothing that is no longer said."""
    told = [describe(scope, quest()) for scope in EXPLAINED] + [describe(arena().unit("play_match"), arena())]
    found = [sentences.find(part, line) for each in told for part, line in sentences.lines(each)]
    assert [each.pattern for each in sentences.SENTENCES if each not in found] == []


def test_each_error_of_validation_has_a_sentence() -> None:
    said = {error for each in sentences.SENTENCES for error in each.enforced_by}
    assert sorted(validation_errors() - said) == sorted(sentences.ENCODING_ONLY)
    assert said.isdisjoint(sentences.ENCODING_ONLY)


def test_each_enforcer_is_the_contracts() -> None:
    """Every error or function that a sentence leans on is in the module's source; a wrong signature has no error."""
    source = "".join(path.read_text() for path in sorted((build.PROJECT / "src").glob("*.sol")))
    defined = set(re.findall(r"\b(?:error|function) (\w+)\(", source)) | {"SignatureFailed"}
    for each in sentences.SENTENCES:
        assert bool(each.enforced_by) is not bool(each.promises_nothing), each.pattern
        assert set(each.enforced_by) <= defined


def test_counters_name_what_they_share() -> None:
    """Two functions on one counter share its cap; the same function on two contracts is two things."""
    figures = describe(full(), quest()).figures
    assert figures.spending_max == {"gold and argument 1 of craft(uint256,uint256,address)": 900}
    same, other = (
        entry(BREW, SpendingLimitPolicy(3, cap, lane), target=Address(bytes((lane + 1,)) * 20))
        for lane, cap in enumerate((9, 5))
    )
    apart = describe(scope_of(same, other), quest()).figures.spending_max
    assert sorted(apart.values()) == [5, 9]
    twice = entry(BREW, SpendingLimitPolicy(3, 9, 0), SpendingLimitPolicy(3, 5, 1))
    assert list(describe(scope_of(twice), quest()).figures.spending_max.values()) == [5]


def test_counters_add_up_where_each_lane_counts_a_function_of_its_own() -> None:
    """The most of one thing is what both lanes allow together, unless one counts all that the other does."""
    forge = "forge(uint256,uint8)"
    apart = scope_of(entry(BREW, SpendingLimitPolicy(0, 100, 0)), entry(forge, SpendingLimitPolicy(0, 50, 1)))
    assert describe(apart, quest()).figures.spending_max == {"gold": 150}
    within = scope_of(
        entry(BREW, SpendingLimitPolicy(0, 100, 0)),
        entry(forge, SpendingLimitPolicy(0, 100, 0), SpendingLimitPolicy(0, 50, 1)),
    )
    assert describe(within, quest()).figures.spending_max == {"gold": 100}
