import pytest

from tests.campaigns.rules import BLOCK, FAULTS, RECEIPTS, SEND, Dice, Rule, byzantine, shaken


def test_decide_default() -> None:
    dice = Dice((), 1)
    assert [dice.decide(BLOCK) for _ in range(3)] == ["", "", ""]
    assert dice.asked == 3


def test_decide_args_nth() -> None:
    """Counted over the matching requests only."""
    dice = Dice((Rule("drop_after", (SEND,), nth=2),), 1)
    assert [dice.decide(each) for each in (SEND, BLOCK, SEND, SEND)] == ["", "", "drop_after", ""]


def test_decide_behavior_same_seed_same_faults() -> None:
    methods = [BLOCK, SEND, RECEIPTS, "eth_call"] * 500
    first, again, other = (Dice(byzantine(0.3), seed) for seed in (7, 7, 8))
    found = [first.decide(each) for each in methods]
    assert found == [again.decide(each) for each in methods]
    assert found != [other.decide(each) for each in methods]


def test_decide_behavior_rules_do_not_shift_each_others_dice() -> None:
    late = Rule("delay", (), 0.2)
    alone, behind = Dice((late,), 3), Dice((Rule("drop_before", (), nth=5), late), 3)
    ones = [alone.decide(BLOCK) for _ in range(50)]
    others = [behind.decide(BLOCK) for _ in range(50)]
    assert [each for place, each in enumerate(ones) if place != 4] == [
        each for place, each in enumerate(others) if place != 4
    ]


@pytest.mark.parametrize(
    ("method", "most"),
    [(BLOCK, 0.5), (SEND, 0.5), (RECEIPTS, 0.85), ("eth_call", 0.4), ("eth_getTransactionCount", 0.5)],
)
def test_byzantine_behavior_three_of_ten_and_more(method: str, most: float) -> None:
    dice = Dice(byzantine(0.3), 1)
    struck = sum(bool(dice.decide(method)) for _ in range(5_000)) / 5_000
    assert 0.25 < struck < most


def test_shaken_behavior_tells_no_lies() -> None:
    lies = {"null", "wrong_hash", "other_fork", "forged_receipt", "forged_outcome", "hidden_receipt", "forged_spent"}
    assert not lies & {rule.fault for rule in shaken(0.1)}


def test_every_fault_has_a_rule() -> None:
    assert {rule.fault for rule in byzantine(0.3)} == set(FAULTS)


def test_dice_error_unknown_fault() -> None:
    with pytest.raises(ValueError, match="no such faults"):
        Dice((Rule("dorp"),), 1)
