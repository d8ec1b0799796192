from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.core.checker import ScopeChecker
from gamekit.core.policy import (
    Allowed,
    ArgumentRule,
    Condition,
    Denied,
    SpendingLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import CANONICAL_ENTRY_POINTS
from gamekit.eth.hashing import selector
from gamekit.units import Address, Wei
from tests.core.scopes import ACCOUNT, ATTACK, GAME, MOVE, entry, scope_of, scopes

OTHER = Address(b"\x99" * 20)


def call(function: str, *words: int, target: Address = GAME, value: int = 0) -> Call:
    return Call(target, Wei(value), selector(function) + b"".join(word.to_bytes(32, "big") for word in words))


def verdict(scope: Scope, asked: Call) -> Allowed | Denied:
    return ScopeChecker(scope, ACCOUNT).check_call(asked)


class TestCheckCall:
    def test_default(self) -> None:
        scope = scope_of(entry(MOVE), entry(ATTACK))
        for hint, each in enumerate(scope.calls.entries):
            assert verdict(scope, call(each.function, 1, 2)) == Allowed(hint)

    @pytest.mark.parametrize(
        "asked",
        [
            call(ATTACK, 1, 2),
            call(MOVE, 1, 2, target=OTHER),
            Call(GAME, Wei(0), b""),
            Call(GAME, Wei(0), selector(MOVE)[:3]),
            Call(Address(GAME + selector(MOVE)[:1]), Wei(0), selector(MOVE)[1:]),
        ],
        ids=["other function", "other target", "no data", "short selector", "bytes moved between target and data"],
    )
    def test_error_not_in_the_session(self, asked: Call) -> None:
        denied = verdict(scope_of(), asked)
        assert isinstance(denied, Denied)
        assert denied.policy == "CallPolicy"

    @pytest.mark.parametrize("target", [ACCOUNT, OTHER, *sorted(CANONICAL_ENTRY_POINTS)])
    def test_error_forbidden_target_even_with_an_entry(self, target: Address) -> None:
        checker = ScopeChecker(scope_of(entry(MOVE, target=target)), ACCOUNT, (OTHER,))
        assert isinstance(checker.check_call(call(MOVE, target=target)), Denied)

    @pytest.mark.parametrize("value", [1, -1, 2**256])
    def test_error_value_without_a_cap(self, value: int) -> None:
        denied = verdict(scope_of(), call(MOVE, value=value))
        assert denied == Denied("ValueLimitPolicy", 0, value, "a call may carry at most 0 wei")

    def test_args_value(self) -> None:
        scope = scope_of(value=ValueLimitPolicy(Wei(3), Wei(5)))
        assert verdict(scope, call(MOVE, value=3)) == Allowed(0, Wei(3))
        assert isinstance(verdict(scope, call(MOVE, value=4)), Denied)

    @pytest.mark.parametrize(
        ("rule", "allowed", "denied"),
        [
            (ArgumentRule(1, Condition.EQUAL, 5), [5], [4, 6]),
            (ArgumentRule(1, Condition.NOT_EQUAL, 5), [4, 6], [5]),
            (ArgumentRule(1, Condition.AT_MOST, 5), [0, 5], [6, 2**256 - 1]),
            (ArgumentRule(1, Condition.AT_LEAST, 5), [5, 2**256 - 1], [0, 4]),
            (ArgumentRule(1, Condition.ONE_OF, 5), [5], [4, 6]),
            (
                ArgumentRule(1, Condition.PINNED_TO_ACCOUNT),
                [int.from_bytes(ACCOUNT, "big")],
                [0, int.from_bytes(OTHER, "big"), int.from_bytes(ACCOUNT, "big") | 1 << 160],
            ),
            (SpendingLimitPolicy(1, 5, 0), [0, 5], [6, 2**256 - 1]),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_args_rules(self, rule: ArgumentRule, allowed: list[int], denied: list[int]) -> None:
        scope = scope_of(entry(ATTACK, rule))
        assert all(isinstance(verdict(scope, call(ATTACK, 0, word)), Allowed) for word in allowed)
        assert all(isinstance(verdict(scope, call(ATTACK, 0, word)), Denied) for word in denied)

    def test_behavior_neighbouring_one_of_rules_are_alternatives(self) -> None:
        one, two, other = (ArgumentRule(place, Condition.ONE_OF, value) for place, value in ((0, 1), (0, 2), (1, 9)))
        scope = scope_of(entry(ATTACK, one, two, other))
        assert isinstance(verdict(scope, call(ATTACK, 2, 9)), Allowed)
        assert isinstance(verdict(scope, call(ATTACK, 3, 9)), Denied)
        assert isinstance(verdict(scope, call(ATTACK, 1, 1)), Denied)
        apart = scope_of(entry(ATTACK, one, other, two))
        assert isinstance(verdict(apart, call(ATTACK, 1, 9)), Denied)

    def test_behavior_all_rules_must_hold(self) -> None:
        low, high = ArgumentRule(0, Condition.AT_LEAST, 3), ArgumentRule(0, Condition.AT_MOST, 5)
        scope = scope_of(entry(ATTACK, low, high))
        allowed = [word for word in range(10) if isinstance(verdict(scope, call(ATTACK, word)), Allowed)]
        assert allowed == [3, 4, 5]

    def test_behavior_amounts_are_added_by_lane(self) -> None:
        scope = scope_of(entry(ATTACK, SpendingLimitPolicy(0, 9, 0), SpendingLimitPolicy(1, 99, 1)))
        assert verdict(scope, call(ATTACK, 4, 50)) == Allowed(0, Wei(0), (4, 50))

    def test_error_argument_missing(self) -> None:
        denied = verdict(scope_of(entry(ATTACK, ArgumentRule(1, Condition.NOT_EQUAL, 5))), call(ATTACK, 1))
        assert denied == Denied("CallPolicy", 68, 36, "an argument that has a rule is missing")

    def test_error_reason_names_argument_and_limit(self) -> None:
        rules = ArgumentRule(1, Condition.ONE_OF, 2), ArgumentRule(1, Condition.ONE_OF, 7)
        denied = verdict(scope_of(entry(ATTACK, *rules)), call(ATTACK, 0, 3))
        assert denied == Denied("CallPolicy", "2 or 7", 3, f"argument 1 of {ATTACK} must be one of 2 or 7")
        spent = verdict(scope_of(entry(ATTACK, SpendingLimitPolicy(1, 5, 0))), call(ATTACK, 0, 6))
        assert isinstance(spent, Denied)
        assert spent.policy == "SpendingLimitPolicy"


HOLDS: dict[Condition, Callable[[int, int], bool]] = {
    Condition.EQUAL: lambda found, value: found == value,
    Condition.NOT_EQUAL: lambda found, value: found != value,
    Condition.AT_MOST: lambda found, value: found <= value,
    Condition.AT_LEAST: lambda found, value: found >= value,
    Condition.PINNED_TO_ACCOUNT: lambda found, _: found == int.from_bytes(ACCOUNT, "big"),
}


def holds_as_the_contract_says(rules: tuple[ArgumentRule | SpendingLimitPolicy, ...], words: list[int]) -> bool:
    """The contract's loop, rule by rule, written anew."""
    at = 0
    while at < len(rules):
        rule = rules[at]
        found = words[rule.argument] if rule.argument < len(words) else None
        if found is None:
            return False
        if isinstance(rule, SpendingLimitPolicy):
            good = found <= rule.total_max
        elif rule.condition is Condition.ONE_OF:
            good = found == rule.value
            while at + 1 < len(rules):
                after = rules[at + 1]
                if isinstance(after, SpendingLimitPolicy) or after.condition is not Condition.ONE_OF:
                    break
                if after.argument != rule.argument:
                    break
                good = good or found == after.value
                at += 1
        else:
            good = HOLDS[rule.condition](found, rule.value)
        if not good:
            return False
        at += 1
    return True


class TestAgainstTheContractsLoop:
    @pytest.mark.slow
    @given(scopes(), st.data())
    def test_behavior_same_verdict(self, scope: Scope, data: st.DataObject) -> None:
        hint = data.draw(st.integers(0, len(scope.calls.entries) - 1))
        chosen = scope.calls.entries[hint]
        known = [rule.value if isinstance(rule, ArgumentRule) else rule.total_max for rule in chosen.rules]
        known.append(int.from_bytes(ACCOUNT, "big"))
        words = data.draw(st.lists(st.sampled_from(known) | st.integers(0, 2**256 - 1), min_size=1, max_size=6))
        arguments = b"".join(word.to_bytes(32, "big") for word in words)
        found = verdict(scope, Call(chosen.target, Wei(0), chosen.selector + arguments))
        assert isinstance(found, Allowed) == holds_as_the_contract_says(chosen.rules, words)
        if isinstance(found, Allowed):
            assert found.hint == hint
