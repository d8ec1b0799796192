import pytest

from gamekit.core.manifest import RuleManifest, parse_manifest
from gamekit.errors import ConfigInvalid
from tests.core.games import QUEST

SMALL = """
name = "quest"
chain_id = 1
abi = "quest.json"
[function.move]
[unit.play]
meaning = "play"
functions = ["move"]
gas_budget_wei = 1
"""


def test_default_unit_is_short_and_narrow() -> None:
    unit = parse_manifest(SMALL).unit["play"]
    assert (unit.minutes, unit.value_total_wei_max, unit.paymaster, unit.calls_max) == (30, 0, "", 32)
    assert unit.burst >= unit.calls_max


def test_default_function_is_not_play() -> None:
    assert not parse_manifest(SMALL).function["move"].play


def test_behavior_everything_is_read() -> None:
    quest = parse_manifest(QUEST)
    assert quest.function["craft"].rules["recipe"] == RuleManifest(one_of=(3, 5, "7"))
    assert quest.function["attack"].reference == {"opponent": "who is attacked; gets nothing by it"}
    assert quest.unit["raid"].value_total_wei_max == 250_000_000_000_000_000


def test_behavior_numbers_beyond_64_bits() -> None:
    text = SMALL.replace("gas_budget_wei = 1", f"gas_budget_wei = {2**100}")
    assert parse_manifest(text).unit["play"].gas_budget_wei == 2**100


@pytest.mark.parametrize(
    ("found", "instead", "words"),
    [
        ("chain_id = 1", "", "chain_id"),
        ("chain_id = 1", "chain_id = 'one'", "chain_id"),
        ("[function.move]", "[function.move]\nfree = true", "free"),
        ("[unit.play]", "[unit.play]\nforever = true", "forever"),
        ("[function.move]", "[function.move]\nrules.x = { most = 1 }", "most"),
        ("name =", "name", "TOML|after"),
    ],
)
def test_error(found: str, instead: str, words: str) -> None:
    with pytest.raises(ConfigInvalid, match=f"game manifest: .*({words}|xpected)"):
        parse_manifest(SMALL.replace(found, instead))
