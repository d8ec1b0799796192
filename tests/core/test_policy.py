import msgspec
import pytest

from gamekit.core import policy
from gamekit.core.policy import ArgumentRule, Condition, SpendingLimitPolicy, ValueLimitPolicy
from gamekit.units import Wei


def test_conditions_are_the_contracts_bytes() -> None:
    assert [condition.value for condition in Condition] == [0, 1, 2, 3, 4, 5]
    assert policy.CUMULATIVE_AT_MOST == 6


def test_default_value_is_none_at_all() -> None:
    assert ValueLimitPolicy() == ValueLimitPolicy(per_call_wei_max=Wei(0), total_wei_max=Wei(0))


def test_policies_cannot_be_changed() -> None:
    rule = ArgumentRule(0, Condition.EQUAL, 1)
    with pytest.raises(AttributeError):
        rule.value = 2  # type: ignore[misc]


def test_rules_survive_json() -> None:
    rules: tuple[ArgumentRule | SpendingLimitPolicy, ...] = (
        ArgumentRule(0, Condition.ONE_OF, 2**200),
        SpendingLimitPolicy(1, 2**100, 1),
    )
    kind = tuple[ArgumentRule | SpendingLimitPolicy, ...]
    assert msgspec.convert(msgspec.to_builtins(rules), kind) == rules
