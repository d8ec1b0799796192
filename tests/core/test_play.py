import re

import pytest

from gamekit.core.play import Contract, PlayFunction, SpendingRule, play_function
from gamekit.core.policy import ArgumentRule, Condition
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.interface import Function, Interface
from tests.core.games import function_of
from tests.core.scopes import GAME

OWN = "craft(uint256 recipe,uint8 amount,address recipient)"


def play(text: str, **settings: object) -> PlayFunction:
    contract = Contract("quest", GAME, Interface.from_json([]))
    return play_function("it", contract, Function.parse(text), function_of(**settings))


def refusal(text: str, **settings: object) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        play(text, **settings)
    assert caught.value.compared["function"] == "it"
    return str(caught.value)


class TestPlayFunction:
    def test_default(self) -> None:
        found = play("move(uint8 x,uint8 y)", meaning=" walk ", gas=9)
        assert found.target == GAME
        assert (found.meaning, found.gas, found.rules, found.spending, found.value_per_call_wei_max) == (
            "walk", 9, (), (), 0,
        )  # fmt: skip

    def test_args_beneficiary_is_pinned(self) -> None:
        found = play(OWN, beneficiary=["recipient"])
        assert found.rules == (ArgumentRule(2, Condition.PINNED_TO_ACCOUNT),)

    def test_args_beneficiary_inside_a_struct(self) -> None:
        found = play("craft((uint8 n,address who) order)", beneficiary=["order.who"], reference={"order": "what to do"})
        assert found.rules == (ArgumentRule(1, Condition.PINNED_TO_ACCOUNT),)

    def test_args_reference(self) -> None:
        found = play("attack(address opponent)", reference={"opponent": "who is attacked"})
        assert (found.rules, found.references) == ((), (("opponent", "who is attacked"),))

    def test_args_rules(self) -> None:
        rule = {"equal": 1, "not_equal": 2, "at_least": "3", "at_most": 4, "one_of": [5, 6]}
        found = play("roll(bytes3 a,uint8 b)", rules={"b": rule, "a": {"equal": "0x010203"}})
        assert found.rules == (
            ArgumentRule(1, Condition.EQUAL, 1),
            ArgumentRule(1, Condition.NOT_EQUAL, 2),
            ArgumentRule(1, Condition.AT_LEAST, 3),
            ArgumentRule(1, Condition.AT_MOST, 4),
            ArgumentRule(1, Condition.ONE_OF, 5),
            ArgumentRule(1, Condition.ONE_OF, 6),
            ArgumentRule(0, Condition.EQUAL, 0x010203 << 232),
        )

    def test_args_rules_on_signed_numbers_and_truth(self) -> None:
        found = play("turn(int8 by,bool fast)", rules={"by": {"equal": -1}, "fast": {"equal": True}})
        assert [rule.value for rule in found.rules] == [2**256 - 1, 1]

    def test_args_spending(self) -> None:
        named, unnamed = {"total_at_most": 7, "of": "gold"}, {"total_at_most": "8"}
        found = play("brew(uint256 cost,uint8 herbs)", rules={"cost": named, "herbs": unnamed})
        assert found.spending == (SpendingRule(0, 7, "gold"), SpendingRule(1, 8, "it.herbs"))
        assert found.rules == ()

    @pytest.mark.parametrize(
        ("text", "settings", "words"),
        [
            ("sell(uint8 x)", {}, "gives value away"),
            (OWN, {}, "'recipient' \\(address\\) may name who gets something"),
            ("hire(address to)", {"reference": {"to": "a place"}}, "receives something"),
            ("hire(uint8 to)", {}, "may name"),
            ("invite(address[] friends)", {}, "may name"),
            ("invite(address[] friends)", {"beneficiary": ["friends"]}, "no statically encoded argument"),
            ("move(uint8 x)", {"beneficiary": ["x"]}, "must be an address, got uint8"),
            ("move(uint8 x)", {"beneficiary": ["y"]}, "no statically encoded argument"),
            ("move(uint8 x)", {"reference": {"y": "who"}}, "`reference` needs an argument"),
            ("move(uint8 x)", {"reference": {"x": " "}}, "`reference` needs an argument"),
            ("say(string words)", {"rules": {"words": {"equal": "no"}}}, "no statically encoded argument"),
            ("move(uint8 x)", {"rules": {"x": {}}}, "says nothing"),
            ("move(uint8 x)", {"rules": {"x": {"at_most": 256}}}, "uint8 must be"),
            ("move(int8 x)", {"rules": {"x": {"at_most": 1}}}, "only unsigned numbers"),
            ("move(int8 x)", {"rules": {"x": {"total_at_most": 1}}}, "only unsigned numbers"),
            ("move(bool x)", {"rules": {"x": {"equal": 1}}}, "bool must be"),
        ],
    )
    def test_error(self, text: str, settings: dict[str, object], words: str) -> None:
        assert re.search(words, refusal(text, **settings))

    def test_behavior_a_struct_with_an_address_is_a_reference_or_refused(self) -> None:
        text = "trail((uint8 n,address guide) plan)"
        assert "may name" in refusal(text)
        assert play(text, reference={"plan": "who shows the way"}).rules == ()


class TestEncode:
    FUNCTION = play(OWN, beneficiary=["recipient"])
    EXPECTED = Function.parse(OWN).encode_call(5, 2, b"\xab" * 20)

    @pytest.mark.parametrize(
        "arguments",
        [
            [5, 2, b"\xab" * 20],
            ("5", 2, "0x" + "ab" * 20),
            {"recipient": "0x" + "ab" * 20, "amount": "2", "recipe": 5},
        ],
    )
    def test_default(self, arguments: list[object]) -> None:
        assert self.FUNCTION.encode(arguments) == self.EXPECTED

    @pytest.mark.parametrize(
        "arguments",
        [
            [5, 2],
            [5, 2, b"", 1],
            [5, 256, b"\xab" * 20],
            [5, 2, "0xab"],
            {"recipe": 5},
            ["x", 2, b"\xab" * 20],
            [5, 2.0, 1],
        ],
    )
    def test_error(self, arguments: list[object]) -> None:
        with pytest.raises(EncodingInvalid):
            self.FUNCTION.encode(arguments)

    def test_behavior_words_have_names(self) -> None:
        assert self.FUNCTION.word_names == {0: "recipe", 1: "amount", 2: "recipient"}
